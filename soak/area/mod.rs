//! The areas. To add a row, call `rows.add` or `rows.none` in one; to add an area, write a function and name it here.

mod go;
pub(crate) mod health;
mod idle;
mod kernels;
mod spawn;
mod suites;

use crate::Fallible;
use crate::row::Rows;

type Area = fn(&mut Rows) -> Fallible<()>;

pub(crate) const AREAS: &[(&str, Area)] = &[
    ("spawn", spawn::run),
    ("output", spawn::output),
    ("exits", spawn::exits_at_once),
    ("idle", idle::run),
    ("health", health::run),
    ("kernels", kernels::run),
    ("suites", suites::run),
    ("go", go::run),
];
