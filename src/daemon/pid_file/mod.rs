//! The PID file: one daemon at a time for each path.
//!
//! The proof of life is a lock on the file, not the number in it: the kernel gives the lock back when the daemon ends,
//! however that happens. It is an open-file-description lock, so that the lock is not lost if the host closes another
//! descriptor of the file. The number is for people, and for programs that signal the daemon.
//!
//! `pid_file` is what callers hold, `acquire` takes the file, and `read` tells whether its daemon lives. Both ask
//! `content` what is in the file, `holder` which process has the lock, and `trust` which users may have written the
//! file.

mod acquire;
mod content;
mod holder;
#[allow(clippy::module_inception, reason = "the file is named like the type in it")]
mod pid_file;
mod read;
mod trust;

pub use pid_file::PidFile;
pub use read::{PidRead, PidState, read_pid};
