//! Pseudo-terminals: a pair of which the library keeps one side, and a child gets the other as its terminal.
//!
//! System calls: open(2) of /dev/ptmx, read(2), ioctl(2) with TIOCSPTLCK, TIOCGPTPEER, TIOCGPTN, TIOCGWINSZ, TIOCSWINSZ,
//! TIOCSCTTY, TCGETS and TCSETS; see pty(7), ioctl_tty(2), termios(3).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;

use super::descriptor::{self, Result, above_stdio};
use super::errno;
use super::pipe::{Read, read_raw};
use super::space::Space;
use super::spawn::{Stage, Step};
use super::terminal::{Settings, apply, settings};

/// The most bytes that wait on the way to the library's side: what the kernel buffers for one terminal.
pub(crate) const HOLDS: usize = 64 * 1024;

/// What a new terminal does with what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    Cooked,
    NoEcho,
    Raw,
}

/// Both sides of a pseudo-terminal. Neither is or becomes the host's controlling terminal.
pub(crate) struct Pair {
    /// The library's side, which does not block.
    pub(crate) ours: OwnedFd,
    /// The child's side.
    pub(crate) theirs: OwnedFd,
}

/// The reason why there is no pseudo-terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What failed.
    pub(crate) what: &'static str,
    pub(crate) errno: i32,
}

/// Makes a pseudo-terminal of this size.
pub(crate) fn open(columns: u16, rows: u16, discipline: Discipline) -> std::result::Result<Pair, Refusal> {
    let at = |what| move |errno| Refusal { what, errno };
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK;
    let ours = descriptor::open(Path::new("/dev/ptmx"), flags).map_err(at("/dev/ptmx"))?;
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) }).map_err(at("TIOCSPTLCK"))?;
    let peer_flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: no pointers. The other side is opened by its own descriptor, so that its name, which may be another
    // terminal's in a container, does not matter.
    let peer = check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, peer_flags) });
    // SAFETY: a new descriptor that nothing else knows.
    let theirs = peer.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).map_err(at("TIOCGPTPEER"))?;
    let theirs = above_stdio(theirs).map_err(at("fcntl"))?;
    settle(&theirs, discipline).map_err(at("TCSETS"))?;
    resize(&ours, columns, rows).map_err(at("TIOCSWINSZ"))?;
    Ok(Pair { ours, theirs })
}

fn settle(terminal: &OwnedFd, discipline: Discipline) -> Result<()> {
    let Settings(mut settings) = settings(terminal)?;
    match discipline {
        // Erasing a character erases all its bytes.
        Discipline::Cooked => settings.c_iflag |= libc::IUTF8,
        Discipline::NoEcho => {
            settings.c_iflag |= libc::IUTF8;
            settings.c_lflag &= !(libc::ECHO | libc::ECHONL);
        }
        // SAFETY: changes the structure alone.
        Discipline::Raw => unsafe { libc::cfmakeraw(&raw mut settings) },
    }
    apply(terminal, &Settings(settings))
}

/// Changes the size. The kernel tells the group in the foreground by SIGWINCH.
pub(crate) fn resize(terminal: &OwnedFd, columns: u16, rows: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(|_| ())
}

/// Returns what a user would type to say that no more input follows. After a part of a line that the terminal holds
/// back, the character gives that to the reader, and only a second one is the end. Empty if it is switched off.
pub(crate) fn end_of_input(terminal: &OwnedFd, in_line: bool) -> Vec<u8> {
    let Ok(Settings(settings)) = settings(terminal) else { return Vec::new() };
    let (end, holds_back) = (settings.c_cc[libc::VEOF], settings.c_lflag & libc::ICANON != 0);
    match end {
        libc::_POSIX_VDISABLE => Vec::new(),
        end if in_line && holds_back => vec![end; 2],
        end => vec![end],
    }
}

/// Returns the number N of the terminal `/dev/pts/N`, from our side.
pub(crate) fn number(ours: &OwnedFd) -> Option<u32> {
    number_of(ours.as_raw_fd())
}

/// Like [`number`], for any descriptor; None if that is not our side of a terminal. Allowed in a signal handler.
pub(super) fn number_of(fd: libc::c_int) -> Option<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int.
    let result = unsafe { libc::syscall(libc::SYS_ioctl, fd, libc::TIOCGPTN, &raw mut number) };
    (result == 0).then_some(number)
}

/// Reads once from our side. [`Read::End`] says that no process has the terminal open and nothing is left. The kernel
/// says so by EIO, and looks at the bytes first and at the writers then: bytes of a writer that came and went in
/// between are found by a second look.
pub(crate) fn read<'a>(ours: &OwnedFd, mut space: Space<'a, '_>) -> Read<'a> {
    let mut result = read_raw(ours, &mut space);
    if result == Err(libc::EIO) {
        result = read_raw(ours, &mut space);
    }
    Read::of(result, space)
}

/// Returns the step by which a child, which leads a session, makes its descriptor its controlling terminal.
pub(crate) fn control(descriptor: u16) -> Step {
    Step::new(Stage::Terminal, libc::SYS_ioctl, [usize::from(descriptor), libc::TIOCSCTTY as usize, 0, 0, 0])
}

fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 { Err(errno()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_input_depends_on_the_settings() {
        let cooked = open(80, 24, Discipline::Cooked).expect("a terminal");
        assert_eq!(end_of_input(&cooked.ours, false), [4]);
        assert_eq!(end_of_input(&cooked.ours, true), [4, 4]);
        let raw = open(80, 24, Discipline::Raw).expect("a terminal");
        assert_eq!(end_of_input(&raw.ours, true), [4]);
        assert_ne!(number(&cooked.ours), number(&raw.ours));
        assert_eq!(number(&cooked.theirs), None);
    }
}
