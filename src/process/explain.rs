//! Explains a failed start, for which the kernel gives only a number, in words that name the file, the argument or the
//! variable. The file system is looked at only for that, and as the child saw it: relative paths count from its
//! directory.

use std::ffi::{CStr, OsStr};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::{Command, key_of};
use super::containment::STAGE;
use super::resources::Resource;
use crate::error::{Error, ErrorKind, describe_errno, quoted};
use crate::sys::cgroup::Missing;
use crate::sys::file::{self, Kind};
use crate::sys::pty;
use crate::sys::redirect::Refusal;
use crate::sys::spawn::{Expect, Failure, Stage, Step};
use crate::sys::spool::Place;
use crate::sys::strings::{self, Strings};
use crate::util::path;

pub(super) const OPERATION: &str = "spawn";

pub(super) fn subject(command: &Command) -> String {
    quoted(command.program.as_bytes())
}

pub(super) fn failed(command: &Command, stage: &'static str, errno: i32) -> Error {
    Error::system(OPERATION, stage, errno).on(subject(command))
}

/// Explains why the file of a stream could not be opened.
pub(super) fn not_opened(command: &Command, stage: &'static str, path: &Path, refusal: &Refusal) -> Error {
    let path = path::quoted(path);
    failed(command, stage, refusal.errno).because(match refusal.why {
        Some(why) => format!("{path} {why}"),
        None => format!("{path}: {}", describe_errno(refusal.errno)),
    })
}

/// Explains why a spool could not be made.
pub(super) fn no_spool(command: &Command, stage: &'static str, place: &Place, errno: i32) -> Error {
    let told = if place.is_told { "TMPDIR " } else { "" };
    let directory = path::quoted(&place.directory);
    failed(command, stage, errno).because(format!("spool in {told}{directory}: {}", describe_errno(errno)))
}

/// Explains why there is no pseudo-terminal.
pub(super) fn no_terminal(command: &Command, refusal: pty::Refusal) -> Error {
    let pty::Refusal { what, errno } = refusal;
    let error = failed(command, "pty", errno);
    let cause = format!("{what}: {}", describe_errno(errno));
    match errno {
        libc::ENOENT | libc::ENXIO | libc::ENODEV | libc::ENOTTY | libc::EINVAL => {
            error.kind_is(ErrorKind::Unsupported).because(format!("{cause}: the system has no pseudo-terminals here"))
        }
        libc::ENOSPC => error.because(format!("{cause}: all pseudo-terminals are in use (kernel.pty.max)")),
        _ => error.because(cause),
    }
}

/// Says which part of the system allows no cgroup.
pub(super) fn no_cgroup(command: &Command, missing: &Missing) -> Error {
    let error = Error::new(ErrorKind::Unsupported, OPERATION, format!("cgroup: {}", missing.what));
    let error = missing.errno.into_iter().fold(error, Error::errno_is);
    error.at(STAGE).on(subject(command))
}

/// A start that failed.
pub(super) struct Attempt<'a> {
    pub(super) command: &'a Command,
    pub(super) candidates: &'a Strings,
    pub(super) environment: &'a Strings,
    pub(super) steps: &'a [Step],
}

pub(super) fn failure(attempt: &Attempt<'_>, failure: Failure) -> Error {
    let Failure { stage, errno, candidate } = failure;
    let error = failed(attempt.command, stage.name(), errno);
    match (stage, errno) {
        (Stage::Clone, libc::ENOSYS | libc::EINVAL | libc::EPERM) => {
            let error =
                error.because("the kernel, or a filter, allows no way to start a process with a pidfd (Linux 5.4)");
            if errno == libc::EPERM { error } else { error.kind_is(ErrorKind::Unsupported) }
        }
        (Stage::Cgroup, _) => {
            let what = format!("cgroup: the process cannot enter the one made for it: {}", describe_errno(errno));
            error.kind_is(ErrorKind::Unsupported).because(what)
        }
        (Stage::Chdir, _) if attempt.command.cwd_fd.is_some() => error,
        (Stage::Chdir, _) => {
            let cwd = attempt.command.cwd.as_deref().map(CStr::to_bytes).unwrap_or_default();
            error.because(format!("{}: {}", quoted(cwd), describe_errno(errno)))
        }
        (Stage::Descriptor, _) => error.because(format!("{candidate}: {}", describe_errno(errno))),
        (Stage::Exec, libc::ENOENT | libc::ENOTDIR) => attempt.missing(error),
        (Stage::Exec, libc::EACCES) => attempt.denied(error, candidate as usize),
        (Stage::Exec, libc::E2BIG) => match attempt.too_long() {
            Some(what) => error.because(format!("{}: {what}", describe_errno(errno))),
            None => error,
        },
        (Stage::Exec, libc::EAGAIN) => error.because("the user has as many processes as its RLIMIT_NPROC allows"),
        (Stage::Exec, _) => match attempt.candidates.iter().nth(candidate as usize) {
            Some(path) => attempt.refused(error, path, errno),
            None => error,
        },
        _ => match attempt.steps.get(candidate as usize) {
            Some(step) if step.stage == stage => attempt.not_taken(error, step, errno),
            _ => error,
        },
    }
}

impl Attempt<'_> {
    /// Explains why the child could not do what an option asks for.
    fn not_taken(&self, error: Error, step: &Step, errno: i32) -> Error {
        let why = describe_errno(errno);
        match step.stage {
            Stage::User if matches!(step.expect, Expect::Refused(_)) && errno == libc::EPERM => error.because(
                "what was given up could be taken back: the host has CAP_SETUID or CAP_SETGID otherwise than as root",
            ),
            Stage::Limit => {
                let resource = Resource::ALL.iter().find(|known| **known as usize == step.arguments[1]);
                error.because(format!("{}: {why}", resource.map_or("", |resource| resource.name())))
            }
            Stage::Oom if errno == libc::ENOENT => error
                .kind_is(ErrorKind::Unsupported)
                .because("/proc/self/oom_score_adj does not exist: is /proc mounted?"),
            Stage::Capabilities if errno == libc::EPERM => {
                error.because(format!("{why}: the bounding set needs CAP_SETPCAP, or no new privileges"))
            }
            _ => error,
        }
    }

    /// Returns the path of a candidate, as the child would open it.
    fn path(&self, candidate: &[u8]) -> PathBuf {
        let cwd = match (&self.command.cwd, &self.command.cwd_fd) {
            (Some(cwd), _) => PathBuf::from(OsStr::from_bytes(cwd.to_bytes())),
            (None, Some(fd)) => PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())),
            (None, None) => PathBuf::from("."),
        };
        cwd.join(OsStr::from_bytes(candidate))
    }

    fn is_path(&self) -> bool {
        self.command.program.as_bytes().contains(&b'/')
    }

    /// Explains why no candidate could be run although none was refused: none exists, or the interpreter of one does
    /// not.
    fn missing(&self, error: Error) -> Error {
        let is_there =
            |candidate: &&[u8]| file::look_through(&self.path(candidate)).is_ok_and(|f| f.kind == Kind::Regular);
        match self.candidates.iter().find(is_there) {
            Some(candidate) => interpreter_missing(error, candidate),
            None if self.is_path() => error.kind_is(ErrorKind::NotFound),
            None => not_found(error, &[]),
        }
    }

    /// Explains why candidates were refused, of which `at` is the first. A directory that may not be searched hides
    /// whether the program is in it: as in a shell, the program does not count as found there. A candidate that is no
    /// file does not count either.
    fn denied(&self, error: Error, at: usize) -> Error {
        let mut passed = Vec::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            let path = self.path(candidate);
            match file::look_through(&path).map(|facts| (facts.kind, facts.mode)) {
                Ok((Kind::Other(kind), _)) => passed.push(format!("{} is {kind}", quoted(candidate))),
                // It may be run, and another was the first to be refused, so the kernel returned ENOENT for this one.
                Ok(_) if index != at && file::may_be_run(&path) => {
                    return interpreter_missing(error, candidate).errno_is(libc::ENOENT);
                }
                Ok((Kind::Regular, mode)) => {
                    let why = if mode & 0o111 == 0 { "is not executable" } else { "may not be run" };
                    return error.because(format!("permission denied: {} {why}", quoted(candidate)));
                }
                Err(libc::EACCES) if self.is_path() => {
                    let what = "a directory on the way to it may not be searched";
                    return error.because(format!("permission denied: {what}"));
                }
                Err(libc::EACCES) => {
                    let directory = &candidate[..candidate.len() - self.command.program.len() - 1];
                    passed.push(format!("{} may not be searched", quoted(directory)));
                }
                Err(_) => {}
            }
        }
        match passed.first() {
            Some(what) if self.is_path() => error.because(format!("permission denied: {what}")),
            Some(_) => not_found(error, &passed),
            None => error,
        }
    }

    /// Explains why the kernel refused this candidate, for any other reason.
    fn refused(&self, error: Error, candidate: &[u8], errno: i32) -> Error {
        let mut what = describe_errno(errno);
        if errno == libc::ENOEXEC {
            what += &format!(": no program that the kernel can run{}", unknown_format(&self.path(candidate)));
        }
        // A program that was not looked up is the error's subject already.
        error.because(if self.is_path() { what } else { format!("{}: {what}", quoted(candidate)) })
    }

    /// Names what is too long for the kernel: one string, or all of them together.
    fn too_long(&self) -> Option<String> {
        let longest = strings::LONGEST;
        let mut arguments = self.command.argv.iter().map(|argument| argument.as_bytes()).enumerate();
        if let Some((index, argument)) = arguments.find(|(_, argument)| argument.len() > longest) {
            let name = if index == 0 { "argv[0]".to_owned() } else { format!("argument {index}") };
            return Some(format!("{name} has {} bytes, {longest} is the most", argument.len()));
        }
        if let Some(entry) = self.environment.iter().find(|entry| entry.len() > longest) {
            let name = quoted(key_of(entry));
            return Some(format!(
                "the environment's {name} has {} bytes with its name, {longest} is the most",
                entry.len()
            ));
        }
        let arguments: usize = self.command.argv.iter().map(|argument| strings::cost(argument.as_bytes())).sum();
        let environment: usize = self.environment.iter().map(strings::cost).sum();
        let most = strings::most_in_all();
        (arguments + environment + self.command.program.len() > most).then(|| {
            let limit = "a quarter of RLIMIT_STACK, at most 6 MiB";
            format!("the arguments take {arguments} bytes, the environment {environment}; {most} is the most ({limit})")
        })
    }
}

fn not_found(error: Error, passed: &[String]) -> Error {
    let mut cause = "no such program in PATH".to_owned();
    for what in passed.iter().take(3) {
        cause += "; ";
        cause += what;
    }
    if passed.len() > 3 {
        cause += &format!("; and {} more", passed.len() - 3);
    }
    error.at("lookup").kind_is(ErrorKind::NotFound).errno_is(libc::ENOENT).because(cause)
}

fn interpreter_missing(error: Error, candidate: &[u8]) -> Error {
    let cause = format!("{} names an interpreter or loader that does not exist", quoted(candidate));
    error.at("interpreter").kind_is(ErrorKind::NotFound).because(cause)
}

/// Returns why the kernel cannot run a file that is allowed to run.
fn unknown_format(path: &Path) -> &'static str {
    match file::head(path, 4).as_deref() {
        Ok([0x7f, b'E', b'L', b'F', ..]) => ": it is damaged, or for another machine",
        Ok([b'#', b'!', ..]) => ": its #! line names nothing",
        Ok([]) => ": it is empty",
        Ok(_) => ": it has no #! line",
        // A file that may be run need not be readable.
        Err(_) => "",
    }
}
