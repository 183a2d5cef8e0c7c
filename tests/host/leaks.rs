//! Nothing is left over: descriptors, zombies and threads are the same before and after. Each count in a host of its own.

use coreproc::{Command, ErrorKind, Output, Service, Size, Stdin};
use std::sync::atomic::{AtomicU64, Ordering};
use support::census::{Census, memory_kb};
use support::seccomp::{install, refuse};
use support::*;

const CALLERS: u64 = 16;

/// Spawns children with every kind of stdio; each must end with its own code and output.
fn good_spawns(service: &Service, name: &str) {
    let total = count(name, 100_000);
    let life = |i: u64| {
        let code = (i % 255 + 1) as i32;
        let mut command = script(&format!("text 1 {i} text 2 e exit {code}"));
        match i % 4 {
            0 => &mut command,
            1 => command.stderr(Output::Merge).stdin(Stdin::Pipe),
            2 => command.stderr(Output::Null).capture(Size::Bytes(64)),
            _ => command.stdout(Output::Null),
        };
        let ended = run(service, &command);
        assert_eq!(ended.code(), code, "neither lost nor somebody else's");
        let want = [i.to_string().len() as u64, 0][usize::from(i % 4 == 3)];
        assert_eq!(ended.info.stdout_bytes, want + u64::from(i % 4 == 1));
    };
    // Memory that is taken once and kept is no leak, so this measures from a warm start.
    in_parallel(CALLERS, 2_000.min(total), |_, i| life(i));
    let before = memory_kb("VmRSS");
    in_parallel(CALLERS, total, |_, i| life(i));
    let growth = memory_kb("VmRSS").saturating_sub(before);
    println!("{total} spawns, {CALLERS} at a time: memory grew by {growth} kB");
    assert!(growth < 1024, "{growth} kB");
}

fn failing_spawns(service: &Service, name: &str) {
    let dir = tempfile::tempdir().expect("tempdir");
    let no_format = dir.path().join("no-format");
    std::fs::write(&no_format, "x").expect("write");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&no_format, mode(0o755)).expect("chmod");
    let interpreter = dir.path().join("interpreter");
    std::fs::write(&interpreter, "#!/no/such\n").expect("write");
    std::fs::set_permissions(&interpreter, mode(0o755)).expect("chmod");
    let huge = "x".repeat(1 << 20);

    let seen: [AtomicU64; 7] = Default::default();
    in_parallel(CALLERS, count(name, 10_000), |_, i| {
        let kind = i as usize % seen.len();
        let mut bad_cwd = script("exit 0");
        bad_cwd.cwd("/no/such/directory").stdin(Stdin::Pipe);
        let mut bad_stdout = script("exit 0");
        bad_stdout.stdout(Output::File("/no/such/log".into(), coreproc::FileMode::Append));
        let (command, stage, errno) = match kind {
            0 => (Command::new("coreproc-gti"), "lookup", libc::ENOENT),
            1 => (Command::new(dir.path()), "exec", libc::EACCES),
            2 => (Command::new(&no_format), "exec", libc::ENOEXEC),
            3 => (Command::new(&interpreter), "interpreter", libc::ENOENT),
            4 => (tool(["exit", &huge]), "exec", libc::E2BIG),
            5 => (bad_cwd, "chdir", libc::ENOENT),
            _ => (bad_stdout, "stdout", libc::ENOENT),
        };
        let error = refused(service, &command);
        assert_eq!((error.stage(), error.errno()), (stage, Some(errno)), "{error}");
        seen[kind].fetch_add(1, Ordering::Relaxed);
    });
    println!("failing spawns of each kind: {seen:?}");
}

fn nothing_is_left(mut work: impl FnMut(&Service)) {
    let outside = Census::take();
    let service = service();
    work_once(&service);
    let inside = Census::take();
    work(&service);
    inside.assert_restored("the work, with the service open");
    drop(service);
    outside.assert_restored("the service");
}

/// Runs a first child, so that what a service sets up with it counts as the service's own.
fn work_once(service: &Service) {
    census::warm_up(service, &script("exit 0"));
}

hosted! {
    fn good_spawns_leave_nothing() {
        nothing_is_left(|service| good_spawns(service, "good spawns"));
    }

    fn failing_spawns_leave_nothing() {
        nothing_is_left(|service| failing_spawns(service, "failing spawns"));
    }

    fn good_and_failing_spawns_leave_nothing_without_clone3() {
        install(&[refuse(libc::SYS_clone3, libc::ENOSYS)]);
        nothing_is_left(|service| {
            good_spawns(service, "good spawns without clone3");
            failing_spawns(service, "failing spawns without clone3");
        });
    }

    fn services_and_subscriptions_leave_nothing() {
        let before = Census::take();
        for i in 0..count("services", 1_000) {
            let service = service();
            let options = coreproc::SubscriptionOptions::default;
            let subscription = service.subscribe(options()).expect("subscribe");
            subscription.fd().expect("fd");
            let listener = service.listen(options(), |_| {}).expect("listen");
            if i % 2 == 0 {
                finish(&script("text 1 x").spawn(&service).expect("spawn"));
            }
            if i % 3 == 0 {
                listener.close().expect("close");
                service.close(coreproc::CloseMode::Kill).expect("close");
            }
        }
        before.assert_restored("services, subscriptions and listeners");
    }

    fn many_exits_in_the_same_moment_are_all_seen_and_threads_stay_constant() {
        os::raise_file_limit();
        let mut talk = fifo::Talk::new();
        let service = service();
        work_once(&service);
        let before = Census::take();
        let total = 1_000;
        let subscription = service
            .subscribe(coreproc::SubscriptionOptions {
                delivery: coreproc::Delivery::None,
                ..Default::default()
            })
            .expect("subscribe");
        let processes: Vec<_> = (0..total)
            .map(|i| {
                let mut command = talk.tool("notify INBOX up await GATE exit");
                command.arg((i % 256).to_string()).spawn(&service).expect("spawn")
            })
            .collect();
        for _ in 0..total {
            talk.inbox.expect("up");
        }
        assert_eq!(census::thread_count(), before.threads);
        talk.gate.open(total);
        let log = events::until_closed(&subscription, total);
        for (i, process) in processes.iter().enumerate() {
            events::assert_whole(&log[&process.id()]);
            assert_eq!(finish(process).code(), (i % 256) as i32);
        }
        println!("{total} live children, {total} exits at once: missed 0");
        drop((subscription, processes, log));
        before.assert_restored("1,000 children");
    }

    fn the_service_refused_everything_when_descriptors_ran_out_and_recovers() {
        let talk = fifo::Talk::new();
        let service = service();
        work_once(&service);
        let before = Census::take();
        let limit = os::limit(libc::RLIMIT_NOFILE);
        os::set_limit(libc::RLIMIT_NOFILE, 20, limit.rlim_max).expect("setrlimit");

        let mut processes = Vec::new();
        let error = loop {
            match talk.tool("await GATE exit 3").spawn(&service) {
                Ok(process) => processes.push(process),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(libc::EMFILE)), "{error}");
        println!("with 20 descriptors: {} children, then: {error}", processes.len());
        for _ in 0..200 {
            assert_eq!(refused(&service, &talk.tool("await GATE")).errno(), Some(libc::EMFILE));
        }
        talk.gate.open(processes.len());
        for process in processes {
            assert_eq!(finish(&process).code(), 3);
        }
        for _ in 0..20 {
            assert_eq!(run(&service, &script("text 1 x exit 4")).code(), 4);
        }
        os::set_limit(libc::RLIMIT_NOFILE, limit.rlim_cur, limit.rlim_max).expect("setrlimit");
        before.assert_restored("spawns with 20 descriptors");
    }
}
