//! System calls that fail: a clean error with their errno, or another way; the mask restored, nothing left.

use coreproc::{
    CloseMode, Command, Error, ErrorKind, EventKind, Scope, Service, ServiceOptions, Stdin, SubscriptionOptions,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::thread;
use support::census::Census;
use support::seccomp::{Refusal, Test, install, install_everywhere, refuse, refuse_if};
use support::*;

/// The result that a fault may have.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    /// An error with this very errno.
    Refused,
    /// Another way is found.
    Works,
    /// Either of them, for calls that the library need not use.
    Either,
}

struct Fault {
    name: &'static str,
    refusal: fn(i32) -> Refusal,
    errnos: &'static [i32],
    stage: Option<&'static str>,
    want: Want,
}

fn detached() -> Command {
    let mut command = script("exit 7");
    command.detach();
    command
}

fn plain() -> Command {
    let mut command = script("text 1 x exit 7");
    command.cwd("/").stdin(Stdin::Pipe);
    command
}

fn from_file() -> Command {
    let mut command = script("exit 7");
    command.stdin(Stdin::File(child().to_owned()));
    command
}

/// Tries each errno on a thread of its own, which the filter does not outlive; the supervisor is not under it.
fn try_each(service: &Service, command: fn() -> Command, faults: &[Fault]) {
    for fault in faults {
        for errno in fault.errnos {
            let (before, table) = (Census::take(), os::signal_table());
            let outcome = thread::scope(|scope| {
                scope.spawn(|| under(service, &command(), (fault.refusal)(*errno))).join().expect("caller")
            });
            assert_eq!(os::signal_table(), table);
            let name = fault.name;
            match outcome {
                Err(error) => {
                    println!("{name}, errno {errno}: {error}");
                    assert!(fault.want != Want::Works, "{name}: {error}");
                    assert_eq!(error.errno(), Some(*errno), "{name}: {error}");
                    assert_eq!(error.operation(), "spawn");
                    if let Some(stage) = fault.stage {
                        assert_eq!(error.stage(), stage, "{name}: {error}");
                    }
                }
                Ok(()) => {
                    println!("{name}, errno {errno}: another way was found");
                    assert!(fault.want != Want::Refused, "{name}, errno {errno}: not noticed");
                }
            }
            before.assert_restored(name);
        }
    }
}

fn under(service: &Service, command: &Command, refusal: Refusal) -> Result<(), Error> {
    // Opened before the filter, which may refuse the very calls that looking needs.
    let status = File::open("/proc/thread-self/status").expect("status");
    let before = os::signals_in(&status);
    install(&[refusal]);
    let result = command.spawn(service);
    assert_eq!(os::signals_in(&status), before);
    assert_eq!(finish(&result?).code(), 7);
    Ok(())
}

macro_rules! fault {
    ($call:ident, $errnos:expr, $stage:expr, $want:ident) => {
        Fault {
            name: stringify!($call),
            refusal: |errno| refuse(libc::$call, errno),
            errnos: &$errnos,
            stage: $stage,
            want: Want::$want,
        }
    };
}

fn warm() -> Service {
    let service = service();
    census::warm_up(&service, &plain());
    census::warm_up_detached(&service);
    service
}

hosted! {
    fn a_fault_in_the_path_of_a_spawn_is_a_clean_error_or_another_way() {
        use libc::*;
        let service = warm();
        try_each(&service, plain, &[
            fault!(SYS_clone3, [EAGAIN, ENOMEM, EUSERS], None, Refused),
            fault!(SYS_clone3, [ENOSYS, EPERM], None, Works),
            fault!(SYS_clone3, [EINVAL, ENOSPC], None, Either),
            fault!(SYS_pipe2, [EMFILE, ENFILE], None, Refused),
            fault!(SYS_execve, [
                EACCES, EIO, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOEXEC, ENOMEM, EPERM, ETXTBSY,
                EAGAIN, E2BIG, EINVAL, EISDIR, ELIBBAD, EFAULT,
            ], Some("exec"), Refused),
            // The program is there, so its interpreter is not.
            fault!(SYS_execve, [ENOENT, ENOTDIR], Some("interpreter"), Refused),
            fault!(SYS_chdir, [EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR], Some("chdir"), Either),
            fault!(SYS_setpgid, [EACCES, EPERM, ESRCH], None, Refused),
            fault!(SYS_dup3, [EBADF, EBUSY, EINTR, EMFILE], None, Either),
            #[cfg(target_arch = "x86_64")]
            fault!(SYS_dup2, [EBADF, EBUSY, EINTR, EMFILE], None, Either),
            fault!(SYS_close_range, [EINVAL, ENOSYS, ENOMEM], None, Either),
            fault!(SYS_rt_sigaction, [EINVAL], None, Either),
            fault!(SYS_rt_sigprocmask, [EINVAL], None, Either),
            fault!(SYS_mmap, [ENOMEM], None, Either),
            fault!(SYS_openat, [EMFILE, ENFILE, ENOMEM], None, Either),
            fault!(SYS_fcntl, [EMFILE, EPERM], None, Either),
            fault!(SYS_prlimit64, [EPERM], None, Either),
            fault!(SYS_sched_setaffinity, [EPERM], None, Works),
        ]);
        try_each(&service, detached, &[
            fault!(SYS_setsid, [EPERM], None, Refused),
            fault!(SYS_openat, [EACCES, EMFILE, ENFILE, ENOSPC, EROFS], None, Refused),
            // The call is not needed for a child that has ended by then.
            fault!(SYS_inotify_add_watch, [ENOSPC, ENOMEM], None, Either),
        ]);
        try_each(&service, from_file, &[
            fault!(SYS_openat, [EACCES, EIO, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENXIO], Some("stdin"), Refused),
        ]);
    }

    fn a_fault_below_clone3_is_a_clean_error_or_another_way() {
        use libc::*;
        install(&[refuse(SYS_clone3, ENOSYS)]);
        let service = warm();
        // Threads need a clone of their own: only what makes processes is refused.
        fn clone(errno: i32) -> Refusal {
            refuse_if(SYS_clone, 0, Test::Bits(CLONE_VFORK as u32), errno)
        }
        let fault = |errnos, want| Fault { name: "clone with CLONE_VFORK", refusal: clone, errnos, stage: None, want };
        try_each(&service, plain, &[
            fault(&[EAGAIN, ENOMEM], Want::Refused),
            fault(&[EPERM, EINVAL], Want::Either),
        ]);
    }

    fn a_service_that_cannot_be_made_says_why_and_leaves_nothing() {
        use libc::*;
        let faults = [
            fault!(SYS_epoll_create1, [EMFILE, ENFILE, ENOMEM], None, Refused),
            fault!(SYS_eventfd2, [EMFILE, ENFILE, ENODEV, ENOMEM], None, Either),
            fault!(SYS_timerfd_create, [EMFILE, ENFILE, ENODEV, ENOMEM], None, Either),
            fault!(SYS_epoll_ctl, [ENOMEM, ENOSPC], None, Refused),
            fault!(SYS_pipe2, [EMFILE, ENFILE], None, Either),
            Fault {
                name: "a thread",
                refusal: |errno| refuse(SYS_clone3, errno),
                errnos: &[EAGAIN, EPERM],
                stage: None,
                want: Want::Refused,
            },
        ];
        // What is made only once is there already.
        drop(warm());
        let make = || Service::new(ServiceOptions::default());
        census::wait_serviceless();
        for fault in &faults {
            for errno in fault.errnos {
                let before = Census::take();
                let made = thread::scope(|scope| {
                    let caller = scope.spawn(|| {
                        install(&[(fault.refusal)(*errno)]);
                        make().map(drop)
                    });
                    caller.join().expect("caller")
                });
                match made {
                    Ok(()) => assert!(fault.want != Want::Refused, "{}", fault.name),
                    Err(error) => {
                        println!("{}, errno {errno}: {error}", fault.name);
                        assert_eq!(error.errno(), Some(*errno), "{error}");
                    }
                }
                before.assert_restored(fault.name);
            }
        }
    }

    fn a_subscription_that_cannot_be_made_says_why_and_leaves_nothing() {
        use libc::*;
        let service = warm();
        let before = Census::take();
        thread::scope(|scope| {
            scope.spawn(|| {
                install(&[refuse(SYS_pipe2, EMFILE), refuse(SYS_clone3, EAGAIN)]);
                let listener = service.listen(SubscriptionOptions::default(), |_| {});
                assert_eq!(listener.err().expect("no thread").errno(), Some(EAGAIN));
                // The pipe may be made when it is asked for.
                match service.subscribe(SubscriptionOptions::default()) {
                    Ok(made) => assert_eq!(made.fd().expect_err("no pipe").errno(), Some(EMFILE)),
                    Err(error) => assert_eq!(error.errno(), Some(EMFILE)),
                }
            });
        });
        before.assert_restored("subscriptions");
        run(&service, &plain());
    }

    /// The child is there before it can be watched: it must not be left behind unwatched.
    fn a_child_that_cannot_be_watched_is_not_left_behind() {
        use libc::*;
        let service = warm();
        let before = Census::take();
        install_everywhere(&[refuse_if(
            SYS_epoll_ctl,
            1,
            Test::Equals { mask: u32::MAX, value: EPOLL_CTL_ADD as u32 },
            ENOSPC,
        )]);
        let talk = fifo::Talk::new();
        match talk.tool("await GATE exit 7").spawn(&service) {
            Err(error) => assert_eq!(error.errno(), Some(ENOSPC), "{error}"),
            Ok(process) => match process.wait(GUARDED) {
                // The child was killed, or was waited for by other means.
                Ok(info) => println!("{info:?}"),
                Err(error) => assert_ne!(error.kind(), ErrorKind::TimedOut, "{error}"),
            },
        }
        drop(talk);
        census::wait_childless();
        drop(before);
    }

    /// On the last rung there is a child before there is a pidfd: it ends by itself, and is reaped.
    fn a_child_whose_pidfd_cannot_be_opened_is_not_left_behind() {
        use libc::*;
        let service = warm();
        let before = Census::take();
        install(&[
            refuse(SYS_clone3, ENOSYS),
            refuse_if(SYS_clone, 0, Test::Bits(CLONE_VFORK as u32), EPERM),
            refuse_if(SYS_clone, 0, Test::Bits(CLONE_PIDFD as u32), EINVAL),
            refuse_if(SYS_pidfd_open, 0, Test::Differs(std::process::id()), EMFILE),
        ]);
        for _ in 0..count("spawns without a pidfd", 200) {
            assert_eq!(refused(&service, &plain()).errno(), Some(EMFILE));
        }
        assert!(os::has_no_child());
        before.assert_restored("spawns without a pidfd");
    }

    /// The child was left unreaped, because before Linux 6.9 its number is that of its group.
    fn a_child_that_ends_before_it_cannot_be_watched_is_reaped() {
        use libc::*;
        install(&[refuse_if(SYS_pidfd_send_signal, 3, Test::NotZero, EINVAL)]);
        let service = warm();
        // Its queue is full, so its output is not read to the end, and the pipes are watched.
        let options = SubscriptionOptions { queue_bytes: 1, ..SubscriptionOptions::default() };
        let _subscription = service.subscribe(options).expect("subscribe");
        // Then the child runs first as soon as it exists.
        os::run_after_children();
        install(&[refuse_if(SYS_epoll_ctl, 1, Test::Equals { mask: u32::MAX, value: EPOLL_CTL_ADD as u32 }, ENOSPC)]);
        for _ in 0..50 {
            let error = script("text 1 x exit 7").spawn(&service).err().expect("it cannot be watched");
            assert_eq!(error.errno(), Some(ENOSPC), "{error}");
        }
        assert!(os::has_no_child());
    }

    /// Between the start of a child and the start of its watch, its first event may have been taken.
    fn whoever_saw_a_child_start_that_cannot_be_watched_sees_its_end() {
        use libc::*;
        let service = warm();
        let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
        thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut over = BTreeMap::new();
                loop {
                    match subscription.take(0, GUARDED) {
                        Ok(batch) => batch.events().for_each(|event| {
                            over.insert(event.process_id, matches!(event.kind, EventKind::Closed { .. }));
                        }),
                        Err(error) => break (over, error.kind()),
                    }
                }
            });
            let spawner = scope.spawn(|| {
                let add = Test::Equals { mask: u32::MAX, value: EPOLL_CTL_ADD as u32 };
                install(&[refuse_if(SYS_epoll_ctl, 1, add, ENOSPC)]);
                for _ in 0..200 {
                    let error = script("pause").spawn(&service).err().expect("it cannot be watched");
                    assert_eq!(error.errno(), Some(ENOSPC), "{error}");
                }
            });
            spawner.join().expect("spawner");
            service.close(CloseMode::Leave).expect("close");
            let (over, end) = taker.join().expect("taker");
            println!("{} were seen", over.len());
            assert_eq!(end, ErrorKind::Closed);
            assert!(over.values().all(|over| *over), "{over:?}");
        });
        census::wait_childless();
    }

    fn a_capture_that_cannot_grow_drops_and_counts() {
        let service = warm();
        // Room for some of it.
        let limit = os::limit(libc::RLIMIT_AS);
        let now = census::memory_kb("VmSize") << 10;
        os::set_limit(libc::RLIMIT_AS, now + (64 << 20), limit.rlim_max).expect("setrlimit");
        let mut command = script("pattern 1 300000000 1 exit 5");
        command.capture(coreproc::Size::Bytes(1 << 30));
        let process = command.spawn(&service).expect("spawn");
        let info = process.wait(GUARDED).expect("closed");
        let kept = process.output().map(|bytes| bytes.len());
        os::set_limit(libc::RLIMIT_AS, limit.rlim_cur, limit.rlim_max).expect("setrlimit");

        assert_eq!(info.status(), Some(coreproc::ExitStatus::Code(5)));
        assert_eq!(info.stdout_bytes, 300_000_000);
        // The allocator may have reserved as much again before.
        assert!(info.dropped_bytes > 100_000_000, "{} bytes dropped", info.dropped_bytes);
        match kept {
            Ok(kept) => assert_eq!(kept as u64 + info.dropped_bytes, info.stdout_bytes),
            Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfMemory),
        }
        let output = process.output().expect("output");
        assert_eq!(output.len() as u64 + info.dropped_bytes, info.stdout_bytes);
        pattern::assert_same(&output, &pattern::pattern(300_000_000, 1)[info.dropped_bytes as usize..]);
    }

    fn events_that_memory_cannot_hold_are_lost_and_said_to_be() {
        let service = warm();
        let subscription = service
            .subscribe(SubscriptionOptions {
                delivery: coreproc::Delivery::Chunks,
                queue_bytes: u64::MAX,
                ..Default::default()
            })
            .expect("subscribe");
        let limit = os::limit(libc::RLIMIT_AS);
        let now = census::memory_kb("VmSize") << 10;
        os::set_limit(libc::RLIMIT_AS, now + (64 << 20), limit.rlim_max).expect("setrlimit");
        let mut command = script("pattern 1 300000000 1 exit 5");
        command.capture(coreproc::Size::None);
        let process = command.spawn(&service).expect("spawn");
        let info = process.wait(GUARDED).expect("closed");
        os::set_limit(libc::RLIMIT_AS, limit.rlim_cur, limit.rlim_max).expect("setrlimit");

        assert_eq!(info.stdout_bytes, 300_000_000);
        let (mut taken, mut gaps, mut closed) = (0, 0, false);
        while !closed {
            for event in subscription.take(0, GUARDED).expect("events").events() {
                gaps += u64::from(event.lost);
                match event.kind {
                    coreproc::EventKind::Output { .. } => taken += event.data.len() as u64,
                    coreproc::EventKind::Closed { .. } => closed = true,
                    _ => {}
                }
            }
        }
        println!("{taken} of {} bytes could be kept, with {gaps} gaps", info.stdout_bytes);
        assert!(taken < info.stdout_bytes && gaps > 0);
    }

    fn a_signal_that_is_not_permitted_says_so() {
        let talk = fifo::Talk::new();
        let service = service();
        let process = talk.tool("await GATE exit 7").spawn(&service).expect("spawn");
        thread::scope(|scope| {
            scope.spawn(|| {
                install(&[refuse(libc::SYS_pidfd_send_signal, libc::EPERM)]);
                for result in [process.signal(libc::SIGTERM, Scope::Process), process.kill(Scope::Process)] {
                    let error = result.expect_err("not permitted");
                    assert_eq!((error.kind(), error.errno()), (ErrorKind::PermissionDenied, Some(libc::EPERM)));
                }
            });
        });
        talk.gate.open(1);
        assert_eq!(finish(&process).code(), 7);
    }
}
