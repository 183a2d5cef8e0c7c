//! The few bare system calls that the tests make themselves.
#![allow(unsafe_code)]

use super::GUARD;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub type Fd = OwnedFd;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

pub fn mkfifo(path: &Path) {
    let path = c_path(path);
    // SAFETY: a valid string.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).expect("mkfifo");
}

/// Waits until `fd` is readable; false when the time is over.
pub fn readable(fd: &impl AsFd, timeout: Duration) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one valid pollfd.
        let n = unsafe { libc::poll(&raw mut poll, 1, timeout.as_millis() as libc::c_int) };
        match check(n) {
            Ok(n) => return n > 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// An event loop of a host's that watches one descriptor, edge-triggered.
pub struct EdgeTriggered(OwnedFd);

impl EdgeTriggered {
    pub fn on(fd: RawFd) -> EdgeTriggered {
        // SAFETY: a new descriptor, and a valid event for one that is watched.
        unsafe {
            let epoll = check(libc::epoll_create1(libc::EPOLL_CLOEXEC)).expect("epoll");
            let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
            check(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event)).expect("epoll_ctl");
            EdgeTriggered(OwnedFd::from_raw_fd(epoll))
        }
    }

    /// Waits for the next edge; false when the time is over.
    pub fn wait(&self, timeout: Duration) -> bool {
        readable(&self.0, timeout) && {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            // SAFETY: room for one event.
            check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, 0) }).expect("epoll_wait") == 1
        }
    }
}

/// Waits until a child has ended, and leaves its status to be reaped.
pub fn await_zombie(pid: i32) {
    // SAFETY: siginfo_t is plain data that waitid fills.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOWAIT;
        check(libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, options)).expect("waitid");
    }
}

pub fn pidfd(pid: i32) -> io::Result<Fd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    check(fd as libc::c_int)?;
    // SAFETY: new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Whether the process behind a pidfd lives, for what has no zombie of ours.
pub fn lives(pidfd: &Fd) -> bool {
    !readable(pidfd, Duration::ZERO)
}

#[track_caller]
pub fn assert_ends(pidfd: &Fd) {
    assert!(readable(pidfd, GUARD), "still alive");
}

pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// The letter of a process's state in /proc: 'T' when stopped, 'Z' for a zombie.
pub fn state_of(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

pub fn pipe() -> (File, File) {
    let mut fds = [0; 2];
    // SAFETY: room for two.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }).expect("pipe2");
    // SAFETY: new and ours.
    unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) }
}

/// Each signal's action as the kernel has it; SIGKILL and SIGSTOP included.
pub fn signal_table() -> Vec<[u64; 4]> {
    (1..=64)
        .map(|signal: libc::c_int| {
            let mut action = [0_u64; 4];
            // SAFETY: the kernel's struct sigaction has at most 32 bytes here, the mask 8.
            let result = unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, std::ptr::null::<u64>(), action.as_mut_ptr(), 8_usize)
            };
            assert_eq!(result, 0, "rt_sigaction {signal}");
            action
        })
        .collect()
}

/// The calling thread's mask, all 64 signals.
pub fn signal_mask() -> u64 {
    let mut mask = 0_u64;
    // SAFETY: room for 8 bytes.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, std::ptr::null::<u64>(), &raw mut mask, 8_usize) };
    assert_eq!(result, 0, "rt_sigprocmask");
    mask
}

/// The mask and the dispositions in an open /proc status file.
pub fn signals_in(status: &File) -> Vec<String> {
    let mut text = [0; 8192];
    let n = std::os::unix::fs::FileExt::read_at(status, &mut text, 0).expect("status");
    let lines = String::from_utf8_lossy(&text[..n]).into_owned();
    let set = |line: &&str| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|name| line.starts_with(name));
    lines.lines().filter(set).map(str::to_owned).collect()
}

pub fn block_all_signals() {
    let mask = u64::MAX;
    // SAFETY: 8 valid bytes.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, std::ptr::null::<u64>(), 8_usize)
    };
    assert_eq!(result, 0, "rt_sigprocmask");
}

/// Sets a signal's action in this process; for hosts of their own only.
pub fn set_action(signal: i32, action: libc::sighandler_t) {
    // SAFETY: SIG_IGN or SIG_DFL.
    let old = unsafe { libc::signal(signal, action) };
    assert_ne!(old, libc::SIG_ERR);
}

/// From now on who opens this file for writing has to wait, or is told to, and SIGIO asks us.
pub fn take_lease(file: &File) {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) }).expect("lease");
}

/// Waits until somebody wants the file, and gives the lease up.
pub fn give_lease_up_when_asked(file: &File) {
    // SAFETY: no pointers.
    let lease = || check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) }).expect("lease");
    super::eventually("somebody wants the file", || lease() == libc::F_UNLCK);
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) }).expect("lease");
}

/// Gives a signal a handler that does nothing, and that system calls are not restarted after; for hosts of their own
/// only.
pub fn set_handler(signal: i32) {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a zeroed sigaction is valid, and so is the handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as libc::sighandler_t;
        check(libc::sigaction(signal, &raw const action, std::ptr::null_mut())).expect("sigaction");
    }
}

/// Puts an action, the default where none is given, in the place of what there is, which is returned.
pub fn swap_action(signal: i32, action: Option<libc::sigaction>) -> libc::sigaction {
    // SAFETY: a zeroed sigaction is the default; both are valid.
    unsafe {
        let action = action.unwrap_or_else(|| std::mem::zeroed());
        let mut old = std::mem::zeroed();
        check(libc::sigaction(signal, &raw const action, &raw mut old)).expect("sigaction");
        old
    }
}

/// Calls what a sigaction named.
pub fn call_handler(handler: libc::sighandler_t, signal: i32) {
    // SAFETY: a handler of one argument.
    let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
    handler(signal);
}

/// From now on the calling thread runs on one processor, and there only while no child of its own, started from now
/// on, wants to.
pub fn run_after_children() {
    const SCHED_RESET_ON_FORK: libc::c_int = 0x4000_0000;
    // SAFETY: plain data that the kernel copies.
    unsafe {
        let mut processors: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(check(libc::sched_getcpu()).expect("sched_getcpu") as usize, &mut processors);
        check(libc::sched_setaffinity(0, size_of_val(&processors), &raw const processors)).expect("sched_setaffinity");
        let parameters = libc::sched_param { sched_priority: 0 };
        check(libc::sched_setscheduler(0, libc::SCHED_IDLE | SCHED_RESET_ON_FORK, &raw const parameters))
            .expect("sched_setscheduler");
    }
}

/// No child at all, neither alive nor a zombie.
pub fn has_no_child() -> bool {
    // SAFETY: all zeros is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: a valid siginfo_t.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
    result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

pub fn limit(resource: libc::__rlimit_resource_t) -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid rlimit.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) }).expect("getrlimit");
    limit
}

pub fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a valid rlimit.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)
}

/// The soft limit of open files as far up as it goes.
pub fn raise_file_limit() -> u64 {
    let hard = limit(libc::RLIMIT_NOFILE).rlim_max;
    set_limit(libc::RLIMIT_NOFILE, hard, hard).expect("setrlimit");
    hard
}

/// Opens as C programs do, without O_CLOEXEC.
pub fn open_inheritable(path: &str) -> Fd {
    let path = c_path(Path::new(path));
    // SAFETY: a valid string; the result is new and ours.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
        check(fd).expect("open");
        OwnedFd::from_raw_fd(fd)
    }
}

pub fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}

pub fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Reads what there is from a non-blocking descriptor.
pub fn read_away(fd: &Fd) {
    let mut buffer = [0_u8; 64];
    // SAFETY: a valid buffer.
    while unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
}

/// Of all threads of this process.
pub fn set_effective_user(user: u32) {
    // SAFETY: no pointers.
    check(unsafe { libc::seteuid(user) }).expect("seteuid");
}

pub fn effective_user() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() }
}

/// Of all threads, with no way back.
pub fn set_real_user_for_good(user: u32) {
    // SAFETY: no pointers.
    check(unsafe { libc::setresuid(user, user, user) }).expect("setresuid");
}

/// Orphans among this process's descendants become its children, which nobody reaps.
pub fn become_subreaper() {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }).expect("prctl");
}

pub fn is_subreaper() -> bool {
    let mut flag: libc::c_int = 0;
    // SAFETY: room for an int.
    check(unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut flag) }).expect("prctl");
    flag != 0
}

/// Runs `work` in a child that fork() alone made, and returns its exit code.
pub fn in_fork(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `work` on its only thread and ends without returning; the C library
    // keeps its allocator usable in a forked child.
    let pid = unsafe { libc::fork() };
    check(pid).expect("fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    let watch = pidfd(pid).expect("pidfd");
    let hung = !readable(&watch, GUARD);
    if hung {
        kill(pid, libc::SIGKILL).expect("kill");
    }
    let mut status = 0;
    // SAFETY: room for a status.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) }).expect("waitpid");
    assert!(!hung, "the forked child hung");
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
}

/// Moves a descriptor out of the way of the lowest numbers.
fn to_high(fd: RawFd) -> Option<Fd> {
    // SAFETY: a new descriptor, or -1 when there was none.
    unsafe {
        let new = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 200);
        (new >= 0).then(|| OwnedFd::from_raw_fd(new))
    }
}

pub fn high(file: File) -> File {
    to_high(file.as_raw_fd()).expect("dup").into()
}

/// Closes descriptors 0 to 2, and keeps what they were.
pub fn put_standard_away() -> [Option<Fd>; 3] {
    [0, 1, 2].map(|fd| {
        let kept = to_high(fd);
        // SAFETY: nothing in this host uses them until they are back.
        unsafe { libc::close(fd) };
        kept
    })
}

pub fn bring_standard_back(kept: &[Option<Fd>; 3]) {
    for (fd, kept) in kept.iter().enumerate() {
        match kept {
            Some(kept) => place(kept, fd as RawFd),
            // SAFETY: it was closed before.
            None => drop(unsafe { libc::close(fd as RawFd) }),
        }
    }
}

/// Makes `fd` a copy of `file`, across exec.
pub fn place(file: &impl AsFd, fd: RawFd) {
    // SAFETY: 0 to 2 belong to nobody's object here.
    check(unsafe { libc::dup2(file.as_fd().as_raw_fd(), fd) }).expect("dup2");
}

pub fn duplicate(fd: RawFd) -> Fd {
    // SAFETY: a new descriptor.
    unsafe {
        let new = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        check(new).expect("dup");
        OwnedFd::from_raw_fd(new)
    }
}

pub fn is_close_on_exec(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) & libc::FD_CLOEXEC != 0 }
}

/// A pseudo-terminal of this size: the host's side, the program's side.
pub fn pty(columns: u16, rows: u16) -> (File, OwnedFd) {
    let (mut host, mut program) = (-1, -1);
    // SAFETY: two descriptors are written; name, settings and size may be NULL.
    let result = unsafe {
        libc::openpty(&raw mut host, &raw mut program, std::ptr::null_mut(), std::ptr::null(), std::ptr::null())
    };
    check(result).expect("openpty");
    // SAFETY: new descriptors that nobody else knows.
    let (host, program) = unsafe { (File::from_raw_fd(host), OwnedFd::from_raw_fd(program)) };
    for fd in [host.as_raw_fd(), program.as_raw_fd()] {
        // SAFETY: sets a flag of a descriptor of ours.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).expect("close-on-exec");
    }
    resize(&program, columns, rows);
    (host, program)
}

pub fn resize(terminal: &impl AsFd, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).expect("resize");
}

/// Forks a child that runs `work` and ends; true in the parent.
pub fn fork_off(work: impl FnOnce()) -> bool {
    // SAFETY: the child runs `work` on its only thread and ends without returning.
    let pid = unsafe { libc::fork() };
    check(pid).expect("fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_or(101, |()| 0);
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    true
}

/// The processes that have this file open.
pub fn who_has_open(path: &Path) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_it = |pid: &i32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|target| target == path)
    };
    pids.filter(has_it).collect()
}

/// Starts processes until one has this PID. For hosts with PIDs of their own.
pub fn reuse<T>(pid: i32, start: impl Fn() -> T, pid_of: impl Fn(&T) -> i32) -> T {
    for _ in 0..10_000 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("ns_last_pid");
        let started = start();
        if pid_of(&started) == pid {
            return started;
        }
        drop(started);
    }
    panic!("PID {pid} was never free");
}

/// A small disk of its own, where we may mount one.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = c_path(dir.path());
        let options = c"size=256k,nr_inodes=200,mode=0755";
        // SAFETY: valid strings.
        let result =
            unsafe { libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast()) };
        if let Err(error) = check(result) {
            println!("skipped: no disk of its own can be mounted: {error}");
            return None;
        }
        Some(SmallDisk(dir))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn fill(&self) {
        use std::io::Write;
        let mut file = File::create(self.path().join("filler")).expect("filler");
        while file.write(&[1; 4096]).is_ok() {}
    }

    /// Not by removing alone: a child that another test has just forked may still have it open.
    pub fn empty(&self) {
        File::create(self.path().join("filler")).expect("filler");
        std::fs::remove_file(self.path().join("filler")).expect("filler");
    }

    pub fn make_read_only(&self) {
        let target = c_path(self.path());
        let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
        // A child that another test has just forked may still have a file there open.
        super::eventually("nobody writes there", || {
            // SAFETY: a valid string.
            let result =
                unsafe { libc::mount(std::ptr::null(), target.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
            match check(result) {
                Ok(_) => true,
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => false,
                Err(error) => panic!("remount: {error}"),
            }
        });
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = c_path(self.path());
        // SAFETY: a valid string.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Takes a file's open-file-description write lock, if nobody has one.
pub fn lock_file(fd: RawFd) -> bool {
    let lock = whole(libc::F_WRLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }).is_ok()
}

pub fn unlock_file(fd: RawFd) {
    let lock = whole(libc::F_UNLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }).expect("unlock");
}

/// Takes its read lock.
pub fn lock_for_reading(file: &File) {
    assert!(try_lock_for_reading(file), "no read lock");
}

/// The same, if nobody has a write lock.
pub fn try_lock_for_reading(file: &File) -> bool {
    let lock = whole(libc::F_RDLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }).is_ok()
}

/// Does somebody else have a lock on it?
pub fn is_locked(file: &File) -> bool {
    let mut lock = whole(libc::F_WRLCK);
    // SAFETY: a valid flock, which the call writes to.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) }).expect("get lock");
    i32::from(lock.l_type) != libc::F_UNLCK
}

pub fn set_umask(mask: libc::mode_t) {
    // SAFETY: no pointers; cannot fail.
    unsafe { libc::umask(mask) };
}

pub fn own_thread() -> i32 {
    // SAFETY: no arguments; cannot fail.
    unsafe { libc::gettid() }
}

/// Sends a signal to one thread of this process.
pub fn kill_thread(tid: i32, signal: i32) {
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
    check(result as libc::c_int).expect("tgkill");
}
