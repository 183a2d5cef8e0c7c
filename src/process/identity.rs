//! [`ProcessIdentity`]: a process written down, so that it is found again later, and never another in its place.

use std::fmt;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::sys::identity::{self, PidNamespace, ProcessStart};
use crate::sys::{fork, pidfd};

/// What names a process for good: its PID, and what tells it from any other that has the same number before or after, in
/// another PID namespace or in another boot. It is plain data, which may be stored and shared.
///
/// Its text is `coreproc:1:PID:START:BOOT:NAMESPACE:PIDFS`. START is the start in clock ticks since the boot (field 22
/// of `/proc/PID/stat`), BOOT the boot id, NAMESPACE the inode of the PID namespace in which the number counts, PIDFS
/// the inode of the process in the kernel's pidfs (Linux 6.9), which is also the content of its file handle. START or
/// PIDFS is `-` if it is not known; one of them always is. The number in the second field is raised if the text changes.
///
/// With PIDFS, the proof is exact. Before Linux 6.9 it is the start, which the kernel counts in steps of 10 ms: a process
/// is mistaken for another only if all the numbers of its namespace are used within one step, or if a privileged process
/// chooses the same number within it.
///
/// ```
/// use coreproc::{Command, ExitStatus, ProcessIdentity, Scope, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").spawn(&service)?;
/// let text = process.identity()?.to_string();
///
/// // Later, or in another program:
/// let found = text.parse::<ProcessIdentity>()?.open()?;
/// found.signal(15, Scope::Process)?;
/// found.wait(None)?;
/// # assert!(matches!(process.wait(None)?.status(), Some(ExitStatus::Signal { signal: 15, .. })));
/// assert!(text.parse::<ProcessIdentity>()?.open().is_err(), "it has ended");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    pid: i32,
    /// In clock ticks since the boot.
    start: Option<u64>,
    namespace: PidNamespace,
    pidfs: Option<u64>,
}

const PARSE: &str = "parse process identity";
const OPEN: &str = "open process";
const VERSION: &str = "1";

impl ProcessIdentity {
    /// Returns what names the process that has this PID now, in the PID namespace of this process. It need be no child;
    /// one that has ended and is not yet reaped has it still.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a number below 1. `NotFound` if no process has this number (a thread's is none).
    /// `Unsupported` if the system does not tell what names it: without `pidfd_open(2)`, or without /proc.
    pub fn of_pid(pid: i32) -> Result<ProcessIdentity> {
        const OPERATION: &str = "identity";
        fork::check(OPERATION)?;
        if pid < 1 {
            return Err(Error::invalid(OPERATION, format!("pid: {pid} is below 1")));
        }
        ProcessIdentity::behind(OPERATION, &pidfd_of(OPERATION, pid, "there is no such process")?, pid)
    }

    /// Returns what names the process of this pidfd, which has this number unless it has been reaped.
    pub(super) fn behind(operation: &'static str, pidfd: &OwnedFd, pid: i32) -> Result<ProcessIdentity> {
        let namespace = own_namespace(operation)?;
        let start = identity::start_behind(pidfd, pid).map_err(|_| missing(operation, pid, "it has ended"))?;
        let pidfs = pidfd::inode(pidfd);
        if start.is_none() && pidfs.is_none() {
            let cause = "its start cannot be seen in /proc, and this kernel has no pidfs (Linux 6.9)";
            return Err(Error::new(ErrorKind::Unsupported, operation, cause).on(subject(pid)));
        }
        Ok(ProcessIdentity { pid, start, namespace, pidfs })
    }

    /// Returns the PID, which may be another process's once this one has ended.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns when it started, in ticks of the boot; None if that is not known.
    pub fn start(&self) -> Option<ProcessStart> {
        self.start.map(|ticks| ProcessStart { ticks, boot_id: self.namespace.boot_id.clone() })
    }

    /// Returns the PID namespace in which its PID counts.
    pub fn pid_namespace(&self) -> &PidNamespace {
        &self.namespace
    }

    /// Opens the pidfd of the process, if it is still the one that has the number.
    pub(super) fn find(&self) -> Result<OwnedFd> {
        let here = own_namespace(OPEN)?;
        let invalid = |cause| Err(Error::invalid(OPEN, cause).on(subject(self.pid)));
        if here.boot_id != self.namespace.boot_id {
            return invalid("boot: it ran before the last start of this machine, or on another machine");
        }
        if here.inode != self.namespace.inode {
            return invalid("PID namespace: its number counts in another one than that of this process");
        }
        let pidfd = pidfd_of(OPEN, self.pid, "it has ended")?;
        let is_it = match (self.pidfs, pidfd::inode(&pidfd)) {
            (Some(its), Some(found)) => its == found,
            _ => match (self.start, identity::start_behind(&pidfd, self.pid)) {
                (Some(its), Ok(Some(found))) => its == found,
                (_, Err(_)) => false,
                _ => {
                    let cause = "the start of the process that has its number cannot be seen, so it may be another";
                    return Err(Error::new(ErrorKind::Unsupported, OPEN, cause).on(subject(self.pid)));
                }
            },
        };
        if is_it {
            Ok(pidfd)
        } else {
            Err(missing(OPEN, self.pid, "it has ended, and its number is another process's"))
        }
    }
}

fn subject(pid: i32) -> String {
    format!("PID {pid}")
}

fn missing(operation: &'static str, pid: i32, cause: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, cause).on(subject(pid))
}

/// Returns the namespace and boot in which this process sees numbers.
fn own_namespace(operation: &'static str) -> Result<PidNamespace> {
    identity::pid_namespace().ok_or_else(|| {
        let cause = "neither the boot nor the PID namespace can be told: there is no /proc that shows this process";
        Error::new(ErrorKind::Unsupported, operation, cause)
    })
}

/// Opens the pidfd of the process that has this number now.
fn pidfd_of(operation: &'static str, pid: i32, absent: &str) -> Result<OwnedFd> {
    let opened = pidfd::open(pid).and_then(crate::sys::descriptor::above_stdio);
    opened.map_err(|errno| match errno {
        // EINVAL, and ENOENT on newer kernels: the number is that of a thread, so no process has it.
        libc::ESRCH | libc::EINVAL | libc::ENOENT => missing(operation, pid, absent),
        libc::ENOSYS | libc::EPERM | libc::EACCES => {
            let cause = "this kernel, or a filter, has no pidfd_open(2) (Linux 5.3)";
            Error::new(ErrorKind::Unsupported, operation, cause).on(subject(pid)).errno_is(errno)
        }
        _ => Error::system(operation, "pidfd_open", errno).on(subject(pid)),
    })
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
        let (start, pidfs) = (known(self.start), known(self.pidfs));
        let PidNamespace { inode, boot_id } = &self.namespace;
        write!(f, "coreproc:{VERSION}:{}:{start}:{boot_id}:{inode}:{pidfs}", self.pid)
    }
}

/// Reads the text that [`ProcessIdentity`] writes. An error is `Malformed`, and names the field.
impl FromStr for ProcessIdentity {
    type Err = Error;

    fn from_str(text: &str) -> Result<ProcessIdentity> {
        let mut fields = text.split(':');
        let mut field = |name: &'static str| fields.next().ok_or_else(|| malformed(name, "is missing"));
        match field("prefix")? {
            "coreproc" => {}
            other => return Err(malformed("prefix", format!("expected \"coreproc\", found {}", shown(other)))),
        }
        match field("version")? {
            VERSION => {}
            other => return Err(malformed("version", format!("{} is not known, known is {VERSION}", shown(other)))),
        }
        let pid = number("pid", field("pid")?)?;
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| malformed("pid", "is not from 1 to 2147483647"))?;
        let start = number_if_known("start", field("start")?)?;
        let boot_id = boot(field("boot")?)?;
        let inode = number("namespace", field("namespace")?)?;
        let pidfs = number_if_known("pidfs", field("pidfs")?)?;
        if let Some(more) = fields.next() {
            return Err(malformed("pidfs", format!("is the last field, but {} follows", shown(more))));
        }
        if start.is_none() && pidfs.is_none() {
            return Err(malformed("start", "is not known, and neither is pidfs"));
        }
        Ok(ProcessIdentity { pid, start, namespace: PidNamespace { inode, boot_id }, pidfs })
    }
}

fn malformed(field: &str, cause: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, PARSE, format!("{field}: {cause}"))
}

/// Shows a part of a text, but not more than the start of a long one.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        None => quoted(text.as_bytes()),
        Some((end, _)) => format!("{}…", quoted(&text.as_bytes()[..end])),
    }
}

/// Reads a number in the one form in which it is written: without a sign and without leading zeros.
fn number(field: &str, text: &str) -> Result<u64> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical).ok_or_else(|| malformed(field, format!("{} is no number", shown(text))))
}

fn number_if_known(field: &str, text: &str) -> Result<Option<u64>> {
    if text == "-" { Ok(None) } else { number(field, text).map(Some) }
}

/// Reads a boot id, as the kernel writes it: a UUID in small letters.
fn boot(text: &str) -> Result<String> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let fits =
        |(at, byte)| if HYPHENS.contains(&at) { byte == b'-' } else { matches!(byte, b'0'..=b'9' | b'a'..=b'f') };
    if text.len() == 36 && text.bytes().enumerate().all(fits) {
        return Ok(text.to_owned());
    }
    Err(malformed("boot", format!("{} is no boot id", shown(text))))
}
