//! Hosts of every kind: they ignore SIGCHLD, block signals, fork, reap our children, close descriptors 0 to 2.
#![allow(unsafe_code)]

use coreproc::{
    Command, Delivery, ErrorKind, ExitStatus, FileMode, Output, Scope, Service, ServiceOptions, Stdin,
    SubscriptionOptions,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use support::census::Census;
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::seccomp::{Test, install, refuse_if};
use support::*;

/// PIDFD_GET_INFO with exit information.
fn kernel_tells_of_stolen_children() -> bool {
    os::kernel() >= (6, 15)
}

/// Ends processes in many ways, none of them 0, so that a 0 must be invented. Returns how many were unknown.
fn ends_are_true(service: &Service, what: &str) -> u64 {
    let unknown = AtomicU64::new(0);
    let total = count(what, 10_000);
    in_parallel(8, total, |_, i| {
        let code = (i % 255 + 1) as i32;
        let (command, want) = if i % 5 == 0 {
            let signal = [libc::SIGKILL, libc::SIGTERM, libc::SIGHUP][i as usize % 3];
            let status = ExitStatus::Signal { signal, core_dumped: false };
            (script(&format!("text 1 word raise {signal}")), status)
        } else {
            (script(&format!("text 1 word exit {code}")), ExitStatus::Code(code))
        };
        let ended = run(service, &command);
        assert_eq!(ended.text(), "word");
        match ended.info.status().expect("status") {
            ExitStatus::Unknown => drop(unknown.fetch_add(1, Ordering::Relaxed)),
            status => assert_eq!(status, want),
        }
    });
    let unknown = unknown.into_inner();
    println!("{what}: {total}, false 0, unknown {unknown}");
    unknown
}

/// Runs `work` while another thread of this host reaps every child that it finds.
fn with_a_thief(work: impl FnOnce()) -> u64 {
    let stolen = AtomicU64::new(0);
    let steal = || {
        // SAFETY: no status is asked for.
        if unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {
            stolen.fetch_add(1, Ordering::Relaxed);
        } else {
            thread::yield_now();
        }
    };
    beside(1, steal, work);
    stolen.into_inner()
}

hosted! {
    fn a_host_that_ignores_sigchld_gets_the_right_ends() {
        os::set_action(libc::SIGCHLD, libc::SIG_IGN);
        let unknown = ends_are_true(&service(), "ends with SIGCHLD ignored");
        assert!(unknown == 0 || !kernel_tells_of_stolen_children());
    }

    fn a_host_that_wants_no_zombies_gets_the_right_ends() {
        // SAFETY: a valid sigaction.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            action.sa_flags = libc::SA_NOCLDWAIT;
            assert_eq!(libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()), 0);
        }
        let unknown = ends_are_true(&service(), "ends with SA_NOCLDWAIT");
        assert!(unknown == 0 || !kernel_tells_of_stolen_children());
    }

    fn a_host_that_reaps_every_child_gets_the_right_ends() {
        let service = service();
        let stolen = with_a_thief(|| {
            let unknown = ends_are_true(&service, "ends with a waitpid(-1) loop");
            assert!(unknown == 0 || !kernel_tells_of_stolen_children());
        });
        println!("stolen: {stolen}");
        assert!(stolen > 0, "the thief did nothing");
    }

    /// So it is on a kernel before 6.13.
    fn without_pidfd_info_a_stolen_end_is_unknown_and_never_false() {
        let get_info = Test::Equals { mask: 0xffff, value: 0xff0b };
        install(&[refuse_if(libc::SYS_ioctl, 1, get_info, libc::ENOTTY)]);
        let service = service();
        assert_eq!(ends_are_true(&service, "ends of a host that steals nothing"), 0);
        let stolen = with_a_thief(|| {
            ends_are_true(&service, "ends with a waitpid(-1) loop and no PIDFD_GET_INFO");
        });
        println!("stolen: {stolen}");
        os::set_action(libc::SIGCHLD, libc::SIG_IGN);
        let unknown = ends_are_true(&service, "ends with SIGCHLD ignored and no PIDFD_GET_INFO");
        assert!(unknown > 0, "nobody could have known");
    }

    fn a_host_that_blocks_every_signal_works() {
        os::block_all_signals();
        let mask = os::signal_mask();
        let mut talk = Talk::new();
        let service = service();
        assert_eq!(ends_are_true(&service, "ends with every signal blocked"), 0);
        let process = talk.tool("notify INBOX up await GATE").spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        process.stop(None).expect("stop");
        assert_eq!(finish(&process).signal(), libc::SIGTERM);
        assert_eq!(os::signal_mask(), mask);
    }

    fn a_host_with_a_thousand_threads_works() {
        os::raise_file_limit();
        let service = service();
        let callers = count("threads that spawn at once", 1_000);
        let ready = std::sync::Barrier::new(callers as usize);
        thread::scope(|scope| {
            for i in 0..callers {
                let (service, ready) = (&service, &ready);
                scope.spawn(move || {
                    ready.wait();
                    let code = (i % 256) as i32;
                    assert_eq!(run(service, &script(&format!("exit {code}"))).code(), code);
                });
            }
        });
    }

    fn a_host_with_descriptors_0_to_2_closed_works_and_none_of_ours_lands_there() {
        let standard = os::put_standard_away();
        let result = thread::spawn(closed_standard_streams).join();
        os::bring_standard_back(&standard);
        result.expect("with 0 to 2 closed");
    }

    fn the_library_prints_nothing_and_leaves_the_hosts_settings_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let heard = dir.path().join("heard");
        let file = std::fs::File::create(&heard).expect("create");
        let standard = os::put_standard_away();
        os::place(&file, 1);
        os::place(&file, 2);
        let result = thread::spawn(everything_that_could_be_said).join();
        os::bring_standard_back(&standard);
        result.expect("work");
        assert_eq!(std::fs::read_to_string(&heard).expect("read"), "");
    }

    fn calls_in_a_forked_child_are_refused_and_the_parent_goes_on() {
        let mut talk = Talk::new();
        let service = service();
        let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
        let mut command = talk.tool("notify INBOX up await GATE exit 5");
        command.stdin(Stdin::Pipe);
        let process = command.spawn(&service).expect("spawn");
        talk.inbox.expect("up");

        let status = os::in_fork(|| {
            let forever = None;
            let results = [
                kind_of(script("exit 0").spawn(&service)),
                kind_of(process.wait(forever)),
                kind_of(process.wait_exit(forever)),
                kind_of(process.kill(Scope::Default)),
                kind_of(process.signal(libc::SIGTERM, Scope::Process)),
                kind_of(process.stop(None)),
                kind_of(process.write_stdin(b"x", forever)),
                kind_of(process.close_stdin()),
                kind_of(process.output()),
                kind_of(service.process(process.id())),
                kind_of(service.wait_idle(forever)),
                kind_of(service.close(coreproc::CloseMode::Kill)),
                kind_of(service.subscribe(SubscriptionOptions::default())),
                kind_of(service.listen(SubscriptionOptions::default(), |_| {})),
                kind_of(subscription.take(0, forever)),
                kind_of(subscription.close()),
            ];
            // Dropping what the parent made neither hangs nor touches it.
            drop((process.clone(), service.clone(), subscription.clone()));
            i32::from(results.iter().any(|kind| *kind != ErrorKind::Forked))
        });
        assert_eq!(status, 0, "not all were refused");

        // A service that the child makes for itself is refused too, or works.
        let status = os::in_fork(|| match Service::new(ServiceOptions::default()) {
            Ok(service) => run(&service, &script("exit 0")).code(),
            Err(error) => i32::from(error.kind() != ErrorKind::Forked),
        });
        assert_eq!(status, 0, "a service of the child's own");

        process.signal(0, Scope::Process).expect("untouched");
        talk.gate.open(1);
        assert_eq!(finish(&process).code(), 5);
        assert_eq!(events::until_closed(&subscription, 1).len(), 1);
    }

    fn a_forked_child_that_drops_everything_neither_hangs_nor_kills() {
        let mut talk = Talk::new();
        let service = service();
        let process = talk.tool("notify INBOX up await GATE exit 5").spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        let held = std::cell::Cell::new(Some((service.clone(), process.clone())));
        assert_eq!(os::in_fork(|| { drop(held.take()); 0 }), 0);
        talk.gate.open(1);
        assert_eq!(finish(&process).code(), 5);
    }

    fn a_host_that_forks_while_others_spawn_gets_every_end() {
        let service = service();
        let forks = AtomicU64::new(0);
        let fork = || {
            assert_eq!(os::in_fork(|| 0), 0);
            forks.fetch_add(1, Ordering::Relaxed);
        };
        let total = count("ends while the host forks", 10_000);
        beside(1, fork, || {
            in_parallel(8, total, |_, i| {
                let code = (i % 255 + 1) as i32;
                let ended = run(&service, &script(&format!("pattern 1 5000 {i} exit {code}")));
                assert_eq!(ended.code(), code);
                assert_same(&ended.output, &pattern(5000, i));
            });
        });
        println!("forks meanwhile: {}", forks.into_inner());
    }

    fn every_descriptor_of_the_library_is_close_on_exec() {
        let before = census::fds();
        let service = service();
        let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
        subscription.fd().expect("fd");
        let talk = Talk::new();
        let mut commands = [talk.tool("await GATE"), talk.tool("await GATE")];
        commands[0].stdin(Stdin::Pipe);
        commands[1].detach();
        let processes = commands.map(|command| command.spawn(&service).expect("spawn"));

        let ours: Vec<i32> = census::fds().into_keys().filter(|fd| !before.contains_key(fd)).collect();
        // These are poller, wakers, timer, bell, spools, pipes and pidfds.
        assert!(ours.len() > 10, "{ours:?}");
        for fd in ours {
            assert!(os::is_close_on_exec(fd), "{fd}: {:?}", census::fds().get(&fd));
        }
        talk.gate.open(2);
        processes.iter().for_each(|process| drop(finish(process)));
    }

    /// The C library stops every thread by a signal of its own for this; one that blocks it would hang the host.
    fn a_host_that_changes_its_user_does_not_hang() {
        let talk = Talk::new();
        let service = service();
        let listener = service.listen(SubscriptionOptions::default(), |_| {}).expect("listen");
        let process = talk.tool("await GATE exit 6").spawn(&service).expect("spawn");
        os::set_effective_user(os::effective_user());
        if os::is_root() {
            os::set_effective_user(65_534);
            os::set_effective_user(0);
        }
        talk.gate.open(1);
        assert_eq!(finish(&process).code(), 6);
        listener.close().expect("close");
    }

    fn a_host_with_an_enormous_file_limit_spawns_as_ever() {
        let limit = os::limit(libc::RLIMIT_NOFILE);
        let most = std::fs::read_to_string("/proc/sys/fs/nr_open").expect("nr_open");
        let most: u64 = most.trim().parse().expect("a number");
        let want = most.min(1_000_000_000);
        let got = match os::set_limit(libc::RLIMIT_NOFILE, want, want.max(limit.rlim_max)) {
            Ok(()) => want,
            Err(_) => os::raise_file_limit(),
        };
        println!("RLIMIT_NOFILE {got}");
        let ended = run(&service(), &script("limit fds"));
        let text = ended.text();
        assert!(text.starts_with(&format!("{got} ")), "{text}");
        assert_eq!(text.lines().count(), 1 + 3, "{text}");
    }

    fn a_host_that_may_have_no_more_processes_gets_a_clean_error() {
        let service = service();
        run(&service, &script("exit 0"));
        let before = Census::take();
        let limit = os::limit(libc::RLIMIT_NPROC);
        // The limit does not hold for root; an unused number has no other processes.
        if os::is_root() {
            os::set_real_user_for_good(48_213);
        }
        os::set_limit(libc::RLIMIT_NPROC, 1, limit.rlim_max).expect("setrlimit");
        for _ in 0..100 {
            let error = refused(&service, &Command::new("/bin/true"));
            assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(libc::EAGAIN)));
        }
        os::set_limit(libc::RLIMIT_NPROC, limit.rlim_max, limit.rlim_max).expect("setrlimit");
        assert_eq!(run(&service, &Command::new("/bin/true")).code(), 0);
        before.assert_restored("spawns that were refused");
    }
}

/// Descriptors 0 to 2 are closed here.
fn closed_standard_streams() {
    let none_below_3 = |when: &str| {
        let low: Vec<_> = census::fds().into_iter().filter(|(fd, _)| *fd < 3).collect();
        // Reading /proc itself takes the lowest number for a moment.
        assert!(low.iter().all(|(_, target)| target.starts_with("/proc/")), "{when}: {low:?}");
    };
    let mut talk = Talk::at_high_descriptors();
    none_below_3("before");
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    subscription.fd().expect("fd");
    let listener = service.listen(SubscriptionOptions::default(), |_| {}).expect("listen");
    none_below_3("with a service");

    let log = talk.path("log");
    let variants: [&dyn Fn(&mut Command) -> &mut Command; 5] = [
        &|c| c,
        &|c| c.stdin(Stdin::Pipe).stderr(Output::Merge),
        &|c| c.stdin(Stdin::File("/dev/null".into())).stderr(Output::Null),
        &|c| c.stderr(Output::File(log.clone(), FileMode::Append)),
        &|c| c.stderr(Output::Null).stdin(Stdin::Null),
    ];
    for change in variants {
        let mut command = talk.tool("fds notify INBOX up await GATE pattern 1 100000 4 exit 7");
        change(&mut command);
        let process = command.spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        none_below_3("with a child");
        talk.gate.open(1);
        let ended = finish(&process);
        assert_eq!(ended.code(), 7);
        let split = ended.output.len() - 100_000;
        assert_same(&ended.output[split..], &pattern(100_000, 4));
        let fds = lossy(&ended.output[..split]);
        assert_eq!(fds.lines().count(), 3, "{fds}");
        assert!(fds.lines().nth(1).is_some_and(|line| line.starts_with("1 pipe:")), "{fds}");
    }
    refused(&service, &Command::new("coreproc-gti"));
    listener.close().expect("close");
    assert_eq!(events::until_closed(&subscription, 5).len(), 5);
    none_below_3("after");
}

fn everything_that_could_be_said() {
    let umask = || std::fs::read_to_string("/proc/self/status").expect("status");
    let settings = || {
        let status = umask();
        let umask = status.lines().find(|line| line.starts_with("Umask")).map(str::to_owned);
        let environment: Vec<_> = std::env::vars_os().collect();
        (umask, environment, std::env::current_dir().expect("cwd"), os::is_subreaper())
    };
    let before = settings();
    let mut talk = Talk::new();
    let service = Service::new(ServiceOptions::default()).expect("service");
    let slow = service
        .subscribe(SubscriptionOptions { delivery: Delivery::Chunks, queue_bytes: 1, ..Default::default() })
        .expect("subscribe");
    refused(&service, &Command::new("coreproc-gti"));
    refused(&service, script("exit 0").cwd("/no/such/directory"));
    let mut command = talk.tool("fork setsid notify INBOX up await GATE end text 1 a text 2 b exit 3");
    command.drain(coreproc::Drain { silence: Duration::from_millis(50), total: Duration::from_millis(100) });
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    events::until_closed(&slow, 1);
    assert!(finish(&process).info.drain_bound);
    kind_of(process.kill(Scope::Process));
    talk.gate.open(1);
    service.close(coreproc::CloseMode::Stop).expect("close");
    assert_eq!(settings(), before);
    assert!(!before.3, "a subreaper");
}
