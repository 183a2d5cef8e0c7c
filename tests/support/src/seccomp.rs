//! Kernels that lack something, and calls that fail: seccomp filters on the calling thread and on what it starts.
#![allow(unsafe_code)]

use std::ffi::c_ulong;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

/// A system call that is refused with `errno`; if `argument` names one, only for values that it tests.
#[derive(Clone, Copy)]
pub struct Refusal {
    pub call: libc::c_long,
    pub argument: Option<(u32, Test)>,
    pub errno: i32,
}

#[derive(Clone, Copy)]
pub enum Test {
    /// All these bits are set.
    Bits(u32),
    /// The value under this mask.
    Equals { mask: u32, value: u32 },
    /// Any other value than this.
    Differs(u32),
    /// Any other value than zero.
    NotZero,
}

pub fn refuse(call: libc::c_long, errno: i32) -> Refusal {
    Refusal { call, argument: None, errno }
}

pub fn refuse_if(call: libc::c_long, argument: u32, test: Test, errno: i32) -> Refusal {
    Refusal { call, argument: Some((argument, test)), errno }
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// Offset of args[0] in struct seccomp_data.
const ARGUMENTS: u32 = 16;
const LOW_HALF: u32 = if cfg!(target_endian = "little") { 0 } else { 4 };

fn program(refusals: &[Refusal]) -> Vec<libc::sock_filter> {
    let mut filter = Vec::new();
    for refusal in refusals {
        let deny = libc::SECCOMP_RET_ERRNO | (refusal.errno as u32 & libc::SECCOMP_RET_DATA);
        filter.push(statement(LOAD, 0));
        match refusal.argument {
            None => filter.push(jump(EQUAL, refusal.call as u32, 0, 1)),
            Some((index, test)) => {
                let (mask, value, wanted) = match test {
                    Test::Bits(bits) => (bits, bits, true),
                    Test::Equals { mask, value } => (mask, value, true),
                    Test::Differs(value) => (u32::MAX, value, false),
                    Test::NotZero => (u32::MAX, 0, false),
                };
                filter.push(jump(EQUAL, refusal.call as u32, 0, 4));
                filter.push(statement(LOAD, ARGUMENTS + 8 * index + LOW_HALF));
                filter.push(statement(AND, mask));
                let (jt, jf) = if wanted { (0, 1) } else { (1, 0) };
                filter.push(jump(EQUAL, value, jt, jf));
            }
        }
        filter.push(statement(RETURN, deny));
    }
    filter.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    filter
}

/// Refuses these calls to the calling thread, for ever, and to the threads and processes it starts from now on.
pub fn install(refusals: &[Refusal]) {
    load(refusals, 0);
}

/// Does the same for all threads of this process.
pub fn install_everywhere(refusals: &[Refusal]) {
    load(refusals, libc::SECCOMP_FILTER_FLAG_TSYNC);
}

fn load(refusals: &[Refusal], flags: c_ulong) {
    let mut filter = program(refusals);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the call, the kernel copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, 0, 0, 0), 0);
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        assert_eq!(libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program), 0, "seccomp");
    }
}

/// Runs `work` on a thread of its own, on which each of these calls is interrupted by a signal (EINTR) the first time,
/// and made when it is tried again. Returns the number of interrupted calls.
pub fn interrupt_each(call: libc::c_long, work: impl FnOnce() + Send) -> usize {
    let (tell, told) = mpsc::channel::<OwnedFd>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            // The filter goes with the thread, and then the listener is at its end.
            tell.send(listen(call)).expect("listener");
            work();
        });
        let listener = told.recv().expect("listener");
        let interrupted = answer_all(&listener);
        worker.join().expect("worker");
        interrupted
    })
}

/// Installs a filter: each such call of this thread, and of what it starts, waits for an answer of the listener.
fn listen(call: libc::c_long) -> OwnedFd {
    let mut filter = vec![
        statement(LOAD, 0),
        jump(EQUAL, call as u32, 0, 1),
        statement(RETURN, libc::SECCOMP_RET_USER_NOTIF),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the call, the kernel copies it; the descriptor is new.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, 0, 0, 0), 0);
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
        let fd = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program);
        assert!(fd >= 0, "seccomp: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd as i32)
    }
}

/// Answers until no process with the filter is left. Returns the number of interrupted calls.
fn answer_all(listener: &OwnedFd) -> usize {
    const RECEIVE: c_ulong = 0xc050_2100;
    const SEND: c_ulong = 0xc018_2101;
    let (mut interrupted, mut last_was) = (0, false);
    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd; what the kernel fills and reads has its size.
        unsafe {
            assert!(libc::poll(&raw mut poll, 1, -1) == 1, "poll: {}", io::Error::last_os_error());
            if poll.revents & libc::POLLIN == 0 {
                return interrupted;
            }
            let mut asked: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut asked) != 0 {
                continue;
            }
            last_was = !last_was;
            let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
            answer.id = asked.id;
            if last_was {
                interrupted += 1;
                answer.error = -libc::EINTR;
            } else {
                answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            }
            libc::ioctl(listener.as_raw_fd(), SEND, &raw mut answer);
        }
    }
}
