//! Whether a process is blocked until it gets input: which call its threads are in, and on which file.
//!
//! See proc_pid_syscall(5), proc_pid_wchan(5), proc_pid_fdinfo(5), proc_pid_mem(5). The first of them needs the right
//! to trace the process, which an ancestor with the same user has.

use super::place::Place;

/// A file: device and inode.
pub(crate) type FileId = (u64, u64);

/// What a process, or a thread, that does not run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It runs.
    Runs,
    /// For input.
    Input,
    /// For something else.
    Other,
    /// That cannot be seen.
    Untold,
}

/// Looks at all threads of a process. Input is what comes from one of these files, or from a terminal.
pub(super) fn waiting(place: &Place, threads: u64, inputs: &[FileId]) -> Waiting {
    if threads <= 1 {
        return thread(place, "", inputs);
    }
    let Ok(threads) = place.numbers("task") else { return Waiting::Untold };
    let mut all = Waiting::Other;
    for number in threads {
        match (thread(place, &format!("task/{number}/"), inputs), all) {
            (Waiting::Input, _) => return Waiting::Input,
            (Waiting::Untold, _) => all = Waiting::Untold,
            (Waiting::Runs, Waiting::Other) => all = Waiting::Runs,
            _ => {}
        }
    }
    all
}

/// Looks at the thread whose files are in this directory of the process.
fn thread(place: &Place, directory: &str, inputs: &[FileId]) -> Waiting {
    match place.read(&format!("{directory}syscall")) {
        Ok(text) => Call::parse(&text).map_or(Waiting::Untold, |call| call.waiting(place, inputs)),
        // It has ended meanwhile.
        Err(libc::ESRCH | libc::ENOENT) if !directory.is_empty() => Waiting::Other,
        Err(_) => by_kernel_function(&place.read(&format!("{directory}wchan")).unwrap_or_default()),
    }
}

/// Judges by the kernel's function in which a thread sleeps, which does not tell the file. Only what is certainly no
/// input counts.
fn by_kernel_function(name: &str) -> Waiting {
    const OTHER: [&str; 8] = [
        "do_wait",
        "hrtimer_nanosleep",
        "do_nanosleep",
        "futex_",
        "do_sys_pause",
        "sigsuspend",
        "do_sigtimedwait",
        "do_exit",
    ];
    let name = name.trim().trim_start_matches("__");
    if OTHER.iter().any(|other| name.starts_with(other)) { Waiting::Other } else { Waiting::Untold }
}

/// The line of `/proc/PID/syscall`.
enum Call {
    Runs,
    /// Blocked, but not in a system call.
    None,
    In {
        number: libc::c_long,
        arguments: [u64; 6],
    },
    /// That of a 32-bit program, whose numbers mean other calls.
    Foreign,
}

impl Call {
    fn parse(text: &str) -> Option<Call> {
        let text = text.trim_end();
        if text == "running" {
            return Some(Call::Runs);
        }
        let mut words = text.split(' ');
        let number: libc::c_long = words.next()?.parse().ok()?;
        if number < 0 {
            return Some(Call::None);
        }
        let values = words.map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let values: Vec<u64> = values.collect::<Option<_>>()?;
        let stack = *values.get(6)?;
        if stack <= u64::from(u32::MAX) {
            return Some(Call::Foreign);
        }
        Some(Call::In { number, arguments: values[..6].try_into().ok()? })
    }

    fn waiting(&self, place: &Place, inputs: &[FileId]) -> Waiting {
        let Call::In { number, arguments: [first, second, ..] } = *self else {
            return match self {
                Call::Runs => Waiting::Runs,
                Call::Foreign => Waiting::Untold,
                _ => Waiting::Other,
            };
        };
        let watched = match number {
            libc::SYS_read | libc::SYS_readv | libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_splice => {
                Some(vec![first])
            }
            libc::SYS_sendfile => Some(vec![second]),
            libc::SYS_poll | libc::SYS_ppoll => polled(place, first, second),
            libc::SYS_select | libc::SYS_pselect6 => selected(place, first, second),
            libc::SYS_epoll_wait | libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => registered(place, first),
            libc::SYS_io_uring_enter | libc::SYS_restart_syscall => None,
            _ => return Waiting::Other,
        };
        let Some(watched) = watched else { return Waiting::Untold };
        let mut all = Waiting::Other;
        for fd in watched {
            match is_input(place, fd, inputs) {
                Some(true) => return Waiting::Input,
                Some(false) => {}
                None => all = Waiting::Untold,
            }
        }
        all
    }
}

/// Returns whether input comes from this descriptor; None if that cannot be seen.
fn is_input(place: &Place, fd: u64, inputs: &[FileId]) -> Option<bool> {
    match place.look(&format!("fd/{}", fd as u32)) {
        Ok(file) => Some(inputs.contains(&(file.st_dev, file.st_ino)) || is_terminal(file.st_mode, file.st_rdev)),
        // It is closed.
        Err(libc::ENOENT) => Some(false),
        Err(_) => None,
    }
}

/// Returns whether a file is a terminal, by its number; see the kernel's list of devices.
fn is_terminal(mode: libc::mode_t, device: u64) -> bool {
    // Virtual consoles and serial lines, /dev/tty and the console, pseudo-terminals.
    mode & libc::S_IFMT == libc::S_IFCHR && matches!(libc::major(device), 4 | 5 | 136..=143)
}

/// The most descriptors that are looked through.
const MOST: u64 = 1024;

/// Returns the descriptors that are polled for input.
fn polled(place: &Place, array: u64, count: u64) -> Option<Vec<u64>> {
    if count > MOST {
        return None;
    }
    let bytes = place.memory(array, count as usize * size_of::<libc::pollfd>())?;
    let entries = bytes.chunks_exact(size_of::<libc::pollfd>()).map(|entry| {
        let [a, b, c, d, events, ..] = *entry else { return None };
        let fd = i32::from_ne_bytes([a, b, c, d]);
        (fd >= 0 && i16::from(events) & libc::POLLIN != 0).then_some(fd as u64)
    });
    Some(entries.flatten().collect())
}

/// Returns the descriptors that are selected for input: the array of bits at `set`.
fn selected(place: &Place, count: u64, set: u64) -> Option<Vec<u64>> {
    if set == 0 {
        return Some(Vec::new());
    }
    let count = count.min(MOST);
    let bytes = place.memory(set, count.div_ceil(64) as usize * 8)?;
    let is_set = |fd: &u64| bytes.get((fd / 8) as usize).is_some_and(|byte| byte & (1 << (fd % 8)) != 0);
    Some((0..count).filter(is_set).collect())
}

/// Returns the descriptors that an epoll reports input of.
fn registered(place: &Place, epoll: u64) -> Option<Vec<u64>> {
    let text = place.read(&format!("fdinfo/{}", epoll as u32)).ok()?;
    // tfd:        0 events:       19 data: …
    let entries = text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
        let fd = words.next()?.parse().ok()?;
        let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
        (events & libc::EPOLLIN as u32 != 0).then_some(fd)
    });
    Some(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_call_is_read_or_refused() {
        let line = "7 0x7ffd2023e980 0x1 0xffffffff 0x0 0x0 0x0 0x7ffd2023e968 0x7f992f1df503\n";
        assert!(matches!(
            Call::parse(line),
            Some(Call::In { number: 7, arguments: [0x7ffd_2023_e980, 1, 0xffff_ffff, 0, 0, 0] })
        ));
        assert!(matches!(Call::parse("running\n"), Some(Call::Runs)));
        assert!(matches!(Call::parse("-1 0x7ffd2023e968 0x7f992f1df503\n"), Some(Call::None)));
        let narrow = "3 0x0 0xffffd000 0x1 0x0 0x0 0x0 0xffffcf00 0xf7fc4559\n";
        assert!(matches!(Call::parse(narrow), Some(Call::Foreign)));
        for text in ["", "x", "0", "0 0x0", "0 1 2 3 4 5 6 7 8"] {
            assert!(Call::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_kernel_function_tells_only_what_is_no_input() {
        for name in ["do_wait", "futex_wait_queue", "hrtimer_nanosleep", "__do_sys_pause", "sigsuspend\n"] {
            assert_eq!(by_kernel_function(name), Waiting::Other, "{name}");
        }
        for name in ["", "0", "anon_pipe_read", "wait_woken", "do_select", "ep_poll", "do_sys_poll"] {
            assert_eq!(by_kernel_function(name), Waiting::Untold, "{name}");
        }
    }

    #[test]
    fn terminals_are_known_by_their_numbers() {
        let character = libc::S_IFCHR | 0o600;
        assert!(is_terminal(character, libc::makedev(136, 3)) && is_terminal(character, libc::makedev(5, 0)));
        assert!(!is_terminal(character, libc::makedev(1, 3)) && !is_terminal(libc::S_IFIFO, libc::makedev(136, 3)));
    }
}
