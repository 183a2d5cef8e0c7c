//! Small helpers that belong to no layer. This is a leaf: it knows neither processes nor events, and of the layers
//! below it uses `sys` and `error` alone.

pub(crate) mod condition;
pub(crate) mod copied;
pub(crate) mod draft;
pub(crate) mod duration;
pub(crate) mod epoch;
pub(crate) mod path;
pub(crate) mod rfc3339;
pub(crate) mod text;
