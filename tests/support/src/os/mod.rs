//! The few bare system calls that the tests make themselves.
#![allow(unsafe_code)]

mod descriptors;
mod disk;
mod limits;
mod locks;
mod processes;
mod signals;
mod terminal;
mod users;

pub use descriptors::*;
pub use disk::*;
pub use limits::*;
pub use locks::*;
pub use processes::*;
pub use signals::*;
pub use terminal::*;
pub use users::*;

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub type Fd = OwnedFd;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}
