//! Sends signals to a child and to its group that can reach no other process.
//!
//! A pidfd names one process for good, and from Linux 6.9 on the group that it leads as well. If the kernel offers
//! numbers alone (for groups before 6.9; for everything if a filter refuses `pidfd_send_signal`), a number is never
//! passed to kill(2): between any proof and the call its owner may be reaped by the host, and the number given to
//! another process. Instead an [`Address`] is made from the number first, which the kernel resolves once, and the child
//! is then shown to be unreaped: so the address is the child's, whatever becomes of the number.
//!
//! System calls: pidfd_send_signal(2), pidfd_open(2), waitid(2), fcntl(2) with F_SETOWN_EX, kill(2) with signal 0
//! alone.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::address::Address;
pub(crate) use super::address::Target;
use super::fork::Renewed;
use super::pidfd::{self, Number, send_signal};
use super::{errno, procfs};

/// A child to which a signal is sent.
#[derive(Clone, Copy)]
pub(crate) struct Recipient<'a> {
    pub(crate) pidfd: &'a OwnedFd,
    pub(crate) pid: i32,
    pub(crate) target: Target,
    /// The address that [`address`] made for the same target while the child was unreaped.
    pub(crate) address: Option<&'a Address>,
}

/// Why a signal was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The host has reaped the child, and nothing else proves that the number is still its own; or there is no other
    /// proof than a pidfd, by which nothing can be sent here.
    Unproven,
    /// The kernel's answer.
    Errno(i32),
}

impl From<i32> for Undelivered {
    fn from(errno: i32) -> Undelivered {
        Undelivered::Errno(errno)
    }
}

/// The abilities of `pidfd_send_signal` here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByPidfd {
    Nothing = 1,
    /// Since Linux 5.1.
    Processes,
    /// Since Linux 6.9.
    Groups,
}

const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;
/// The first real-time signal. If too many signals are queued, one from here on is refused; an [`Address`] would send
/// SIGIO in its place.
const FIRST_REAL_TIME: i32 = 32;

/// Sends `signal`; 0 only probes.
pub(crate) fn send(to: Recipient<'_>, signal: i32) -> Result<(), Undelivered> {
    match send_by_pidfd(to.pidfd, signal, to.target) {
        Err(Undelivered::Unproven) => by_address(to, signal),
        other => other,
    }
}

/// Sends `signal` to the process of a pidfd, child or not, or to the group that it leads; 0 only probes. `Unproven` if
/// that cannot be done by pidfd here.
pub(crate) fn send_by_pidfd(pidfd: &OwnedFd, signal: i32, target: Target) -> Result<(), Undelivered> {
    let flags = match (by_pidfd(), target) {
        (ByPidfd::Groups, Target::Group) => PIDFD_SIGNAL_PROCESS_GROUP,
        (ByPidfd::Groups | ByPidfd::Processes, Target::Process) => 0,
        _ => return Err(Undelivered::Unproven),
    };
    match send_signal(pidfd.as_raw_fd(), signal, flags) {
        // A filter was installed meanwhile.
        Err(libc::ENOSYS) => Err(Undelivered::Unproven),
        other => Ok(other?),
    }
}

/// Returns whether a group can be signalled through the pidfd of its leader, even after the leader was reaped.
pub(crate) fn groups_have_pidfds() -> bool {
    by_pidfd() == ByPidfd::Groups
}

/// Makes the address of an unreaped child's group, for signals that follow when the child may have been reaped; None if
/// none is needed, or none can be made.
pub(crate) fn address(pidfd: &OwnedFd, pid: i32, target: Target) -> Option<Address> {
    if groups_have_pidfds() || target == Target::Process {
        return None;
    }
    let address = Address::new().ok()?;
    address.set(target, pid).ok()?;
    (pidfd::number(pidfd) == Number::Own).then_some(address)
}

fn by_pidfd() -> ByPidfd {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Ordering::Relaxed) {
        1 => ByPidfd::Nothing,
        2 => ByPidfd::Processes,
        3 => ByPidfd::Groups,
        _ => {
            // An unknown flag is EINVAL before the descriptor is looked at; a known one gives EBADF.
            let known = match send_signal(-1, 0, PIDFD_SIGNAL_PROCESS_GROUP) {
                Err(libc::EBADF) => ByPidfd::Groups,
                Err(libc::EINVAL) => ByPidfd::Processes,
                _ => ByPidfd::Nothing,
            };
            KNOWN.store(known as u8, Ordering::Relaxed);
            known
        }
    }
}

/// One address for all services, so that a kill needs no new descriptor; used by one signal at a time.
static SHARED: Renewed<Mutex<Weak<Address>>> = Renewed::new();

fn kept() -> MutexGuard<'static, Weak<Address>> {
    SHARED.get(|| Mutex::new(Weak::new())).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the descriptors that [`send`] needs on this kernel, while descriptors are left. They last as long as the
/// result.
pub(crate) fn prepare() -> Result<Option<Arc<Address>>, i32> {
    if groups_have_pidfds() {
        return Ok(None);
    }
    // This reads a file once, while that is possible.
    Address::reaches_all();
    shared(&mut kept()).map(Some)
}

fn shared(kept: &mut Weak<Address>) -> Result<Arc<Address>, i32> {
    // An address that the host has closed, perhaps to open other files under its numbers, is useless.
    if let Some(address) = kept.upgrade().filter(|address| address.is_intact()) {
        return Ok(address);
    }
    let address = Arc::new(Address::new()?);
    *kept = Arc::downgrade(&address);
    Ok(address)
}

fn by_address(to: Recipient<'_>, signal: i32) -> Result<(), Undelivered> {
    let mut kept = kept();
    let shared = shared(&mut kept)?;
    shared.set(to.target, to.pid)?;
    // It reaches no process, and answers as kill(2) would: the answer is about the child if the child is unreaped.
    let answer = probe(to);
    let number = pidfd::number(to.pidfd);
    let sent = match number {
        Number::Own => answer.map_err(Undelivered::from).and_then(|()| match signal {
            0 => Ok(()),
            libc::SIGKILL if Address::reaches_all() => Ok(shared.send(signal)?).inspect(|()| reach_leader(to)),
            1..FIRST_REAL_TIME if Address::reaches_all() => Ok(shared.send(signal)?),
            _ => one_by_one(to, signal, &shared),
        }),
        _ => match to.address {
            Some(address) if signal != 0 => address.send(signal).map_err(Undelivered::from),
            _ if to.target == Target::Process && number == Number::Free => Err(libc::ESRCH.into()),
            _ => Err(Undelivered::Unproven),
        },
    };
    shared.clear();
    sent
}

/// Asks kill(2) whether a signal would be permitted.
fn probe(to: Recipient<'_>) -> Result<(), i32> {
    let number = if to.target == Target::Group { -to.pid } else { to.pid };
    // SAFETY: takes no pointers; signal 0 reaches no process.
    if unsafe { libc::kill(number, 0) } == 0 { Ok(()) } else { Err(errno()) }
}

/// Signals the members of the group through pidfds of their own. A process that was in the group before its leader was
/// shown to be unreaped is in that leader's group. Members that are forked meanwhile are found by a further pass.
fn one_by_one(to: Recipient<'_>, signal: i32, address: &Address) -> Result<(), Undelivered> {
    const PASSES: usize = 8;
    if by_pidfd() == ByPidfd::Nothing {
        return Ok(address.send(signal)?);
    }
    let mut reached: Vec<(i32, OwnedFd)> = Vec::new();
    let mut is_seen_whole = true;
    let mut result = Err(Undelivered::Errno(libc::ESRCH));
    for _ in 0..PASSES {
        let mut found = Vec::new();
        let Some(members) = procfs::members_of(to.pid) else {
            is_seen_whole = false;
            break;
        };
        for pid in members {
            let is_known = |(known, pidfd): &(i32, OwnedFd)| *known == pid && !pidfd::has_ended(pidfd);
            if reached.iter().any(is_known) {
                continue;
            }
            // It may have ended since, and its number may be another process's, so it is looked at again.
            match pidfd::open(pid) {
                Ok(pidfd) if procfs::group_of(pid) == Some(to.pid) => found.push((pid, pidfd)),
                Ok(_) | Err(libc::ESRCH | libc::EINVAL) => {}
                // No descriptor is left for it.
                Err(_) => is_seen_whole = false,
            }
        }
        if found.is_empty() {
            break;
        }
        if pidfd::number(to.pidfd) != Number::Own {
            return if result.is_ok() { result } else { Err(Undelivered::Unproven) };
        }
        for (pid, pidfd) in found {
            let sent = send_signal(pidfd.as_raw_fd(), signal, 0).map_err(Undelivered::from);
            // As with kill(2), it is a success if one was reached.
            if result.is_err() && sent != Err(Undelivered::Errno(libc::ESRCH)) {
                result = sent;
            }
            reached.push((pid, pidfd));
        }
    }
    if !is_seen_whole && pidfd::number(to.pidfd) == Number::Own {
        // At least the members of our own user are reached.
        return Ok(address.send(signal)?);
    }
    result
}

/// Sends a SIGKILL by pidfd as well: the first process of a PID namespace, which the child may be, does not take one by
/// address.
fn reach_leader(to: Recipient<'_>) {
    if by_pidfd() != ByPidfd::Nothing {
        let _ = send_signal(to.pidfd.as_raw_fd(), libc::SIGKILL, 0);
    }
}
