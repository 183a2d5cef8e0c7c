//! Turns the options of a command that the child carries out itself into the system calls that it makes before exec.
//! An option that is not used has none.

mod bound;
mod credentials;
mod limits;

use super::command::Command;
use crate::error::Result;
use crate::sys::spawn::Steps;

/// Returns the steps of a command, in the order in which privileges go: what may need them, then the user, then what
/// must hold afterwards.
///
/// # Errors
///
/// If a user, a group or a processor is not known.
pub(super) fn steps(command: &Command) -> Result<Steps> {
    let mut steps = Steps::default();
    if let Some(limits) = &command.limits {
        limits::add(command, limits, &mut steps)?;
    }
    if let Some(credentials) = &command.credentials {
        credentials::add(command, credentials, &mut steps)?;
    }
    if let Some(signal) = command.die_with_host {
        bound::add(signal, &mut steps);
    }
    Ok(steps)
}
