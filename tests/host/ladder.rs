//! Kernels and filters that lack something: the library does the same by other means, or says what is missing.

use coreproc::{
    Cause, Command, Containment, Descriptor, Drain, ErrorKind, ExitStatus, Output, Rung, Scope, Service, Stdin,
    StopOptions,
};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use support::census::Census;
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::seccomp::{Refusal, Test, install, refuse, refuse_if};
use support::*;

fn no_clone3() -> Refusal {
    refuse(libc::SYS_clone3, libc::ENOSYS)
}

/// Before Linux 5.2.
fn no_clone_pidfd() -> Refusal {
    refuse_if(libc::SYS_clone, 0, Test::Bits(libc::CLONE_PIDFD as u32), libc::EINVAL)
}

fn no_vfork() -> Refusal {
    refuse_if(libc::SYS_clone, 0, Test::Bits(libc::CLONE_VFORK as u32), libc::EPERM)
}

/// Before Linux 6.9: no signal to a group through a pidfd.
fn no_group_signal() -> Refusal {
    refuse_if(libc::SYS_pidfd_send_signal, 3, Test::NotZero, libc::EINVAL)
}

/// Checks in short what a caller can tell of the engine; nothing here starts a thread.
fn works_as_ever(service: &Service) {
    census::warm_up(service, &script("exit 0"));
    let before = Census::take();
    os::set_action(libc::SIGHUP, libc::SIG_IGN);
    let (table, mask) = (os::signal_table(), os::signal_mask());

    for i in 0..count("lives on this rung", 500) {
        let code = (i % 256) as i32;
        let ended = run(service, &script(&format!("pattern 1 3000 {i} exit {code}")));
        assert_eq!((ended.code(), ended.info.cause()), (code, Some(Cause::Natural)));
        assert_same(&ended.output, &pattern(3000, i));
    }
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGPIPE] {
        let want = ExitStatus::Signal { signal, core_dumped: false };
        assert_eq!(run(service, &script(&format!("raise {signal}"))).info.status(), Some(want));
    }
    given(service);
    refusals(service);
    stops(service);

    assert_eq!(os::signal_table(), table);
    assert_eq!(os::signal_mask(), mask);
    before.assert_restored("work on this rung");
}

fn given(service: &Service) {
    let mut command = script("fds signals cwd");
    command.cwd("/proc").stdin(Stdin::Pipe).stderr(Output::Merge);
    let text = run(service, &command).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3 + 3 + 1, "{text}");
    for (fd, line) in lines[..3].iter().enumerate() {
        assert!(line.starts_with(&format!("{fd} pipe:")), "{text}");
    }
    assert!(lines[3..6].iter().all(|line| line.ends_with("0000000000000000")), "{text}");
    assert_eq!(lines[6], "/proc");
    descriptors(service);
}

/// Gives descriptors at all numbers that the host's next ones would have, each in the way of another.
fn descriptors(service: &Service) {
    let files: Vec<File> = (0..8).map(|at| os::memory_file(&format!("file {at}\n"))).collect();
    let numbers: Vec<u32> = files.iter().map(|file| file.as_raw_fd() as u32).collect();
    let files: Vec<Arc<OwnedFd>> = files.into_iter().map(|file| Arc::new(OwnedFd::from(file))).collect();
    let verbs: Vec<String> = numbers.iter().map(|number| format!("copy {number} 1")).collect();
    for shift in 0..8 {
        let mut command = script(&(verbs.join(" ") + " fds"));
        let mut want = String::new();
        for (at, number) in numbers.iter().enumerate() {
            command.descriptor(*number, Descriptor::Fd(Arc::clone(&files[(at + shift) % 8])));
            want += &format!("file {}\n", (at + shift) % 8);
        }
        // Every number up to here that the library may have used for itself is in the way, too.
        for number in (3..64).filter(|number| !numbers.contains(number)) {
            command.descriptor(number, Descriptor::Data(Arc::default()));
        }
        files.iter().for_each(os::rewind);
        let text = run(service, &command).text();
        assert!(text.starts_with(&want), "{text}");
        let given =
            text.lines().skip(8).filter(|line| !line.starts_with(['0', '1', '2']) || line.as_bytes()[1] != b' ');
        assert_eq!(given.count(), 61, "{text}");
    }
}

fn refusals(service: &Service) {
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("file");
    std::fs::write(&file, "#!/no/such\n").expect("write");
    let mut nowhere = script("exit 0");
    nowhere.cwd("/no/such");
    let huge = tool(["exit", &"x".repeat(1 << 20)]);
    for (command, stage, errno) in [
        (Command::new("coreproc-gti"), "lookup", libc::ENOENT),
        (Command::new(&file), "exec", libc::EACCES),
        (nowhere, "chdir", libc::ENOENT),
        (huge, "exec", libc::E2BIG),
    ] {
        let error = refused(service, &command);
        assert_eq!((error.stage(), error.errno()), (stage, Some(errno)), "{error}");
    }
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    assert_eq!(refused(service, &Command::new(&file)).stage(), "interpreter");
}

fn stops(service: &Service) {
    let mut talk = Talk::new();
    let options = StopOptions { grace: Some(Duration::from_millis(50)), ..Default::default() };
    let member = "fork plain ignore 15 notify INBOX up await GATE end";
    let forever = Drain { silence: Duration::MAX, total: Duration::MAX };

    // The leader obeys, the member does not.
    let process = talk.tool(&format!("{member} notify INBOX up await GATE")).spawn(service).expect("spawn");
    let members = talk.inbox.expect_many("up", 2);
    process.stop(Some(&options)).expect("stop");
    members.iter().for_each(os::assert_ends);
    assert_eq!(finish(&process).info.cause(), Some(Cause::Stopped));

    // The leader is long gone.
    for kill in [false, true] {
        let mut command = talk.tool(&format!("{member} exit 4"));
        let process = command.drain(forever).spawn(service).expect("spawn");
        let members = talk.inbox.expect_many("up", 1);
        process.wait_exit(GUARDED).expect("exited");
        if kill {
            process.kill(Scope::Group).expect("kill");
        } else {
            process.stop(Some(&options)).expect("stop");
        }
        members.iter().for_each(os::assert_ends);
        assert_eq!(finish(&process).code(), 4);
    }
}

/// Checks that the library works, or says in the kernel's terms or its own that it cannot, and leaves nothing behind.
fn works_or_says_so(service: &Service) {
    let before = Census::take();
    let mask = os::signal_mask();
    match script("exit 3").spawn(service) {
        Ok(process) => {
            assert_eq!(finish(&process).code(), 3);
            drop(process);
            works_as_ever(service);
        }
        Err(error) => {
            println!("{error}");
            assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::System), "{error:?}");
            assert!(!error.stage().is_empty());
            assert_eq!(os::signal_mask(), mask);
            before.assert_restored("a refusal");
        }
    }
}

hosted! {
    fn works_with_all_that_this_kernel_has() {
        works_as_ever(&service());
    }

    fn works_without_clone3() {
        install(&[no_clone3()]);
        works_as_ever(&service());
    }

    /// Some filters return EPERM for calls that they do not know. Then the C library cannot start a thread, so the
    /// service comes before the filter.
    fn works_where_clone3_is_not_permitted() {
        let service = service();
        install(&[refuse(libc::SYS_clone3, libc::EPERM)]);
        works_as_ever(&service);
    }

    fn works_without_clone3_and_pidfds_from_clone() {
        install(&[no_clone3(), no_clone_pidfd()]);
        works_as_ever(&service());
    }

    fn works_with_fork_alone() {
        install(&[no_clone3(), no_vfork()]);
        works_as_ever(&service());
    }

    fn works_with_fork_and_pidfd_open_alone() {
        install(&[no_clone3(), no_vfork(), no_clone_pidfd()]);
        works_as_ever(&service());
    }

    fn works_without_group_signals_through_a_pidfd() {
        install(&[no_group_signal()]);
        works_as_ever(&service());
    }

    /// Signals that are queued, too.
    fn real_time_signals_reach_a_group_without_group_signals_through_a_pidfd() {
        install(&[no_group_signal()]);
        let (mut talk, service) = (Talk::new(), service());
        let process =
            talk.tool("on 40 3 fork plain notify INBOX up await GATE end notify INBOX up await GATE").spawn(&service).expect("spawn");
        let members = talk.inbox.expect_many("up", 2);
        process.signal(40, Scope::Group).expect("signal");
        members.iter().for_each(os::assert_ends);
        assert_eq!(finish(&process).code(), 3);
    }

    /// Signals by number would need no descriptor; the address that serves instead exists from the start.
    fn a_group_can_be_killed_without_a_descriptor_left() {
        for refusal in [no_group_signal(), refuse(libc::SYS_pidfd_send_signal, libc::ENOSYS)] {
            install(&[refusal]);
            let (mut talk, service) = (Talk::new(), service());
            let family = "fork plain ignore 15 notify INBOX up await GATE end notify INBOX up await GATE";
            let killed = talk.tool(family).spawn(&service).expect("spawn");
            let stopped = talk.tool(family).spawn(&service).expect("spawn");
            let members = talk.inbox.expect_many("up", 4);
            let limit = os::limit(libc::RLIMIT_NOFILE);
            os::set_limit(libc::RLIMIT_NOFILE, 0, limit.rlim_max).expect("limit");
            killed.kill(Scope::Group).expect("kill");
            stopped.stop(Some(&StopOptions { grace: Some(Duration::from_millis(50)), ..Default::default() })).expect("stop");
            os::set_limit(libc::RLIMIT_NOFILE, limit.rlim_cur, limit.rlim_max).expect("limit");
            members.iter().for_each(os::assert_ends);
            assert_eq!(finish(&killed).signal(), libc::SIGKILL);
            assert_eq!(finish(&stopped).signal(), libc::SIGTERM);
        }
    }

    fn works_without_any_signal_through_a_pidfd() {
        install(&[refuse(libc::SYS_pidfd_send_signal, libc::ENOSYS)]);
        works_as_ever(&service());
    }

    /// Some filters return EPERM for calls that they do not know.
    fn works_where_signals_through_a_pidfd_are_not_permitted() {
        install(&[refuse(libc::SYS_pidfd_send_signal, libc::EPERM)]);
        works_as_ever(&service());
    }

    fn ends_are_seen_where_waitid_is_refused() {
        // The filter is for pidfds alone, because the tests themselves ask by number.
        let by_pidfd = Test::Equals { mask: u32::MAX, value: libc::P_PIDFD };
        install(&[refuse_if(libc::SYS_waitid, 0, by_pidfd, libc::EPERM)]);
        works_as_ever(&service());
    }

    fn ends_are_seen_where_nobody_may_ask_for_them() {
        install(&[refuse(libc::SYS_waitid, libc::EPERM), refuse(libc::SYS_wait4, libc::EPERM)]);
        let service = service();
        let ended = run(&service, &script("text 1 word exit 3"));
        assert_eq!((ended.info.status(), ended.text().as_str()), (Some(ExitStatus::Unknown), "word"));
    }

    fn works_on_what_linux_5_4_had() {
        let get_info = Test::Equals { mask: 0xffff, value: 0xff0b };
        install(&[
            no_clone3(),
            no_clone_pidfd(),
            no_group_signal(),
            refuse_if(libc::SYS_ioctl, 1, get_info, libc::ENOTTY),
        ]);
        works_as_ever(&service());
    }

    fn works_without_close_range_or_says_so() {
        install(&[refuse(libc::SYS_close_range, libc::ENOSYS)]);
        os::raise_file_limit();
        works_or_says_so(&service());
    }

    fn spools_work_where_files_have_names_and_no_holes() {
        install(&[
            refuse(libc::SYS_fallocate, libc::EOPNOTSUPP),
            refuse_if(libc::SYS_openat, 2, Test::Bits(0o20_000_000), libc::EOPNOTSUPP),
        ]);
        let service = service();
        for i in 0..20 {
            let mut command = script(&format!("pattern 1 3000000 {i} exit 4"));
            command.detach().capture(coreproc::Size::Bytes(4 << 20));
            let ended = run(&service, &command);
            assert_eq!(ended.code(), 4);
            assert_same(&ended.output, &pattern(3_000_000, i));
        }
    }

    fn without_any_pidfd_it_says_so() {
        install(&[no_clone3(), no_clone_pidfd(), refuse(libc::SYS_pidfd_open, libc::ENOSYS)]);
        works_or_says_so(&service());
    }

    fn a_filter_that_forbids_new_processes_is_reported() {
        let service = service();
        run(&service, &script("exit 0"));
        let before = Census::take();
        install(&[
            refuse(libc::SYS_clone3, libc::EPERM),
            refuse(libc::SYS_clone, libc::EPERM),
            #[cfg(target_arch = "x86_64")]
            refuse(libc::SYS_fork, libc::EPERM),
            #[cfg(target_arch = "x86_64")]
            refuse(libc::SYS_vfork, libc::EPERM),
        ]);
        let error = refused(&service, &script("exit 0"));
        assert_eq!((error.kind(), error.errno()), (ErrorKind::PermissionDenied, Some(libc::EPERM)));
        before.assert_restored("a refusal");
    }
}

/// In a user namespace, a capability allows signals that a descriptor's owner would not get.
#[test]
fn works_without_group_signals_as_root_of_a_user_namespace() {
    let name = test_path!("works_without_group_signals_as_root_of_a_user_namespace");
    if host::inside(name) {
        install(&[no_group_signal()]);
        works_as_ever(&service());
        return host::done();
    }
    let user = ["--user", "--map-root-user"];
    let Some(command) = host::command_in_namespaces(name, &user) else { return };
    host::run_command(command);
}

hosted! {
    /// The child enters its cgroup itself, before exec.
    fn a_cgroup_is_entered_without_clone3() {
        let service = service();
        for refusals in [vec![no_clone3()], vec![no_clone3(), no_vfork()], vec![no_clone3(), no_vfork(), no_clone_pidfd()]] {
            install(&refusals);
            let mut talk = Talk::new();
            let mut command = talk.tool("fork double notify INBOX up await GATE end notify INBOX up await GATE");
            command.contain(Containment::Require(Rung::Cgroup));
            let process = match command.spawn(&service) {
                Ok(process) => process,
                Err(error) => return println!("NOT TESTED: {error}"),
            };
            let members = talk.inbox.expect_many("up", 2);
            process.kill(Scope::Tree).expect("kill");
            members.iter().for_each(os::assert_ends);
            assert_eq!(finish(&process).info.rung, Rung::Cgroup);
        }
    }
}
