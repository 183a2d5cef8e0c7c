//! Which users may have put a PID file where it is, and whether it is believed.

use std::path::Path;

use crate::sys::clock;
use crate::sys::file::{self, Facts, Kind};
use crate::sys::identity::{self, Presence};
use crate::util::path::quoted;

/// The start of a process is known to a clock tick (10 ms), the time of a file to a timer tick (10 ms at most).
const TICKS_NS: i128 = 20_000_000;

/// Returns why another user could put a file in place of one in this directory, or a directory in place of one above
/// it, on the path as given or on that to which its links lead; None if no other user can.
pub(super) fn why_replaceable(directory: &Path) -> std::result::Result<Option<String>, i32> {
    let real = file::real_path(directory)?;
    let beyond_links = real.ancestors().filter(|above| !directory.starts_with(above));
    for directory in directory.ancestors().chain(beyond_links) {
        if file::look_through(directory)?.lets_everybody_replace() {
            let directory = quoted(directory);
            return Ok(Some(format!("its directory {directory} may be written by everybody and is not sticky")));
        }
    }
    Ok(None)
}

/// Fails if the process that has this PID now did not write the file; the error says why.
pub(super) fn wrote(pid: i32, facts: &Facts) -> std::result::Result<(), String> {
    match identity::presence(pid) {
        Presence::Gone => Err(format!("PID {pid} does not run")),
        // After a boot with a clock that is behind, every process is older, by the clock, than the file.
        _ if clock::is_ahead(facts.modified_ns) => Err(format!(
            "nobody has its lock, and its time is ahead of the clock, which was set back after it was written: PID {pid} may be \
             any process"
        )),
        Presence::Here(Some(ticks)) if identity::realtime_ns(ticks) > facts.modified_ns + TICKS_NS => {
            Err(format!("PID {pid} is another process, which started after the file was written"))
        }
        Presence::Here(_) if is_believed(facts) || identity::runs_as(pid, facts.owner) == Some(true) => Ok(()),
        Presence::Here(_) => {
            Err(format!("PID {pid} is a process of another user than {}, to whom the file belongs", facts.owner))
        }
    }
}

/// Returns whether the file belongs to root or to this process's own user, which are believed about any process.
fn is_believed(facts: &Facts) -> bool {
    [0, file::effective_user()].contains(&facts.owner)
}

/// Returns why any user could have put the file there, or have changed it; None if only its owner could.
pub(super) fn why_anybodys(path: &Path, facts: &Facts) -> std::result::Result<Option<String>, i32> {
    if let Kind::Other(what) = facts.kind {
        return Ok(Some(format!("is {what}, not a plain file")));
    }
    if facts.links > 1 {
        return Ok(Some(format!("has {} names: it may be another daemon's", facts.links)));
    }
    if facts.is_everybodys() {
        return Ok(Some("may be written by everybody".to_owned()));
    }
    let path = std::path::absolute(path).map_err(|error| error.raw_os_error().unwrap_or(libc::ENOENT))?;
    let Some(directory) = path.parent() else { return Ok(None) };
    if let Some(reason) = why_replaceable(directory)? {
        return Ok(Some(reason));
    }
    if !is_believed(facts) && file::look_through(directory)?.is_everybodys() {
        let (owner, user) = (facts.owner, file::effective_user());
        return Ok(Some(format!("belongs to user {owner}, not to {user}, in a directory that everybody may write")));
    }
    Ok(None)
}
