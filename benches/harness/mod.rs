//! Code that the hosts and the metrics share.

pub(crate) mod check;
pub(crate) mod figures;
pub(crate) mod goal;
pub(crate) mod plot;
pub(crate) mod probe;
pub(crate) mod report;
pub(crate) mod round;
pub(crate) mod toolchain;
