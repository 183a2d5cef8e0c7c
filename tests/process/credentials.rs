//! As whom a process runs: what is set, that it cannot be undone, and what is refused before anything is spawned.

use coreproc::{Command, Descriptor, Error, ErrorKind, Group, PtyOptions, Resource, Scope, Stream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command as StdCommand;
use std::sync::Arc;
use std::time::Duration;
use support::*;

const NOBODY: u32 = 65534;

/// Runs verbs of the child program with some options. Returns what it wrote.
pub(crate) fn told(verbs: &str, options: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let mut command = script(verbs);
    options(&mut command);
    let ended = run(&service(), &command);
    assert_eq!(ended.code(), 0, "{verbs}: {}", ended.text());
    ended.text()
}

pub(crate) fn refusal(options: impl FnOnce(&mut Command) -> &mut Command) -> Error {
    let mut command = script("exit 0");
    options(&mut command);
    refused(&service(), &command)
}

/// Returns the value of a line of a file of /proc, or of a verb.
pub(crate) fn value<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key} in {text}")).trim()
}

/// Returns whether this test may drop privileges; says so if not.
fn may_drop() -> bool {
    if !os::is_root() {
        println!("NOT TESTED: only root can become another user");
    }
    os::is_root()
}

fn id(option: &str, user: &str) -> String {
    let output = StdCommand::new("id").args([option, user]).output().expect("id");
    assert!(output.status.success());
    lossy(&output.stdout).trim().to_owned()
}

fn groups_of(text: &str) -> Vec<u32> {
    let mut groups: Vec<u32> = text.split_whitespace().map(|group| group.parse().expect("a number")).collect();
    groups.sort_unstable();
    groups
}

#[test]
fn a_user_that_the_host_is_already_is_no_change_and_needs_no_privilege() {
    let [uid, _, _, gid, ..] = os::own_ids();
    let plain = told("who", |c| c);
    let groups = groups_of(value(&plain, "groups"));
    assert_eq!(told("who", |c| c.user(uid).primary_group(gid).supplementary_groups(groups)), plain);
}

#[test]
fn a_user_by_name_or_number_gives_its_groups_unless_they_are_set() {
    if !may_drop() {
        return;
    }
    for user in ["nobody", "65534", "daemon", "www-data", "root"] {
        let text = told("who", |c| c.user(user));
        let (uid, gid) = (id("-u", user), id("-g", user));
        assert_eq!(value(&text, "uid"), format!("{uid} {uid} {uid}"), "{user}");
        assert_eq!(value(&text, "gid"), format!("{gid} {gid} {gid}"), "{user}");
        assert_eq!(groups_of(value(&text, "groups")), groups_of(&id("-G", user)), "{user}");
    }
    let text = told("who", |c| c.user("nobody").primary_group("daemon"));
    assert_eq!((value(&text, "uid"), value(&text, "gid")), ("65534 65534 65534", "1 1 1"));
    assert_eq!(value(&text, "groups"), "1");
    let text = told("who", |c| c.user("nobody").supplementary_groups(["daemon", "2", "adm"]));
    assert_eq!((value(&text, "gid"), value(&text, "groups")), ("65534 65534 65534", "1 2 4"));
    let text = told("who", |c| c.user("nobody").supplementary_groups([0u32; 0]));
    assert_eq!(value(&text, "groups"), "");
    // A number that nobody has.
    let text = told("who", |c| c.user(4_000_000_000).primary_group(3_999_999_999));
    assert_eq!(value(&text, "uid"), "4000000000 4000000000 4000000000");
    assert_eq!((value(&text, "gid"), value(&text, "groups")), ("3999999999 3999999999 3999999999", ""));
    // Groups alone.
    let text = told("who", |c| c.primary_group("daemon"));
    assert_eq!((value(&text, "uid"), value(&text, "gid")), ("0 0 0", "1 1 1"));
    let text = told("who", |c| c.supplementary_groups(["adm"]));
    assert_eq!((value(&text, "gid"), value(&text, "groups")), ("0 0 0", "4"));
}

#[test]
fn groups_of_the_database_are_those_that_initgroups_finds() {
    const PATH: &str = test_path!("with_a_database_of_groups");
    if may_drop()
        && let Some(command) = host::command_in_namespaces(PATH, &["--mount"])
    {
        host::run_command(command);
    }
}

hosted_part! {
    fn with_a_database_of_groups() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("group");
        std::fs::write(&file, "root:x:0:\none:x:701:root\nmany:x:702:nobody,root\nnogroup:x:65534:\n").expect("write");
        let mount = StdCommand::new("mount").args(["--bind"]).arg(&file).arg("/etc/group").status().expect("mount");
        assert!(mount.success());
        let text = told("who", |c| c.user("root"));
        assert_eq!(groups_of(value(&text, "groups")), [0, 701, 702]);
        let text = told("who", |c| c.user("nobody"));
        assert_eq!(groups_of(value(&text, "groups")), [702, NOBODY]);
        let text = told("who", |c| c.user("nobody").primary_group("one"));
        assert_eq!(groups_of(value(&text, "groups")), [701, 702]);
    }
}

#[test]
fn a_dropped_user_cannot_be_undone_by_the_child() {
    let secret = tempfile::NamedTempFile::new().expect("file");
    std::fs::set_permissions(secret.path(), PermissionsExt::from_mode(0o600)).expect("chmod");
    std::fs::write(secret.path(), "secret").expect("write");
    let verbs = format!("regain show {} who", secret.path().display());
    if !may_drop() {
        // What cannot be given up is not given up silently.
        assert_eq!(refusal(|c| c.user("root")).errno(), Some(libc::EPERM));
        return;
    }
    // The fixture sees what root may.
    assert!(told(&verbs, |c| c).contains("granted: setresuid(0, 0, 0)"));
    for group in [Group::Own, Group::Inherit] {
        let text = told(&verbs, |c| c.user("nobody").group(group));
        assert_eq!(text, format!("errno 13\nuid {0} {0} {0}\ngid {0} {0} {0}\ngroups {0}\n", NOBODY));
    }
    // It may use what it was given, and its own /proc entries.
    let text = told("show /proc/self/status", |c| c.user("nobody"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(value(&text, set), "0000000000000000", "{set}");
    }
}

#[test]
fn a_set_user_id_program_gives_nothing_without_new_privileges() {
    let dir = tempfile::tempdir().expect("tempdir");
    let program = child_of_root(dir.path());
    let verbs = format!("exec {} who show /proc/self/status", program.display());
    let text = told(&verbs, |c| c.no_new_privileges());
    assert_eq!(value(&text, "NoNewPrivs:"), "1");
    if !may_drop() {
        return;
    }
    // Such a program does give it otherwise, so the option is what prevents it.
    let text = told(&verbs, |c| c.user("nobody"));
    assert_eq!((value(&text, "uid"), value(&text, "NoNewPrivs:")), ("65534 0 0", "0"));
    let text = told(&verbs, |c| c.user("nobody").no_new_privileges());
    assert_eq!(value(&text, "uid"), "65534 65534 65534");
    let text = told(&verbs, |c| c.user("nobody").drop_capabilities(["all"]));
    // It is root, who has nothing.
    assert_eq!((value(&text, "uid"), value(&text, "CapEff:")), ("65534 0 0", "0000000000000000"));
}

#[test]
fn capabilities_are_dropped_from_every_set() {
    let caps = |text: &str| {
        ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"]
            .map(|set| u64::from_str_radix(value(text, set), 16).expect("a number"))
    };
    let before = caps(&told("show /proc/self/status", |c| c));
    fn all(c: &mut Command) -> &mut Command {
        c.drop_capabilities(["all"]).no_new_privileges()
    }
    let [_, permitted, effective, ..] = caps(&told("show /proc/self/status", all));
    assert_eq!((permitted, effective), (0, 0));
    if !may_drop() {
        return;
    }
    assert_eq!(caps(&told("show /proc/self/status", |c| c.drop_capabilities(["all"]))), [0; 5]);
    // Two of them, in two calls.
    fn two(c: &mut Command) -> &mut Command {
        c.drop_capabilities(["cap_chown"]).drop_capabilities(["NET_RAW"])
    }
    let after = caps(&told("show /proc/self/status", two));
    assert_eq!(after, before.map(|set| set & !(1 | 1 << 13)));
    // A root without CAP_SETUID, and one without CAP_SETPCAP, which is what dropping needs.
    let text = told("regain who", |c| c.drop_capabilities(["cap_setuid", "cap_setgid", "cap_setpcap"]));
    assert!(!text.contains("granted: setgroups") && text.contains("uid 0 0 0"), "{text}");
    // Capabilities go after the user is set.
    let text = told("regain who", |c| c.user("nobody").drop_capabilities(["all"]).no_new_privileges());
    assert!(text.starts_with("uid 65534 65534 65534"), "{text}");
}

#[test]
fn the_umask_is_set_and_the_hosts_is_not() {
    let before = told("ids", |c| c);
    for (mask, shown) in [(0, "umask 0\n"), (0o27, "umask 27\n"), (0o777, "umask 777\n")] {
        assert!(told("ids", |c| c.umask(mask)).ends_with(shown));
    }
    assert_eq!(value(&told("ids", |c| c), "umask"), value(&before, "umask"));
}

#[test]
fn mistakes_are_told_before_anything_is_spawned() {
    type Options = fn(&mut Command) -> &mut Command;
    let mistakes: [(Options, &str); 14] = [
        (|c| c.user(""), "user: is empty"),
        (|c| c.user("a\0b"), "user: has a NUL byte"),
        (|c| c.user(u32::MAX), "user: 4294967295 is no account"),
        (|c| c.primary_group(""), "primary group: is empty"),
        (|c| c.primary_group(u32::MAX), "primary group: 4294967295 is no account"),
        (|c| c.supplementary_groups(["adm", ""]), "supplementary groups: is empty"),
        (|c| c.supplementary_groups(0..65_537), "supplementary groups: has more than 65536"),
        (|c| c.umask(0o1000), "umask: 0o1000 is above 0777"),
        (|c| c.drop_capabilities(["cap_chown", "cap_fly"]), "capabilities: \"cap_fly\" is none"),
        (|c| c.keep_ignored([1, 9]), "signals: 9 is none that can be ignored"),
        (|c| c.keep_ignored([0]), "signals: 0 is none that can be ignored"),
        (|c| c.keep_ignored([65]), "signals: 65 is none that can be ignored"),
        (|c| c.user(3_999_999_999), "user: 3999999999 is not in the user database, so it needs a primary group"),
        (|c| c.keep_ignored([19]), "signals: 19 is none that can be ignored"),
    ];
    for (options, what) in mistakes {
        let error = refusal(options);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(what), "{error} has no {what}");
    }
    let unknown: [(Options, &str, &str); 3] = [
        (|c| c.user("no such user"), "user", "there is no user \"no such user\""),
        (|c| c.primary_group("no such group"), "primary group", "there is no group \"no such group\""),
        (|c| c.supplementary_groups(["none"]), "supplementary groups", "there is no group \"none\""),
    ];
    for (options, stage, what) in unknown {
        let error = refusal(options);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::NotFound, stage));
        assert!(error.to_string().contains(what), "{error}");
    }
    let error = refusal(|c| c.chroot("/srv"));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("chroot: \"/srv\" is no boundary"), "{error}");
}

hosted! {
    /// A host that is not root, in whatever the tests run.
    fn a_host_without_privileges_is_refused_by_the_kernel_with_the_options_name() {
        if os::is_root() {
            os::set_real_user_for_good(NOBODY);
        }
        let error = refusal(|c| c.user(12_345).primary_group(12_345).supplementary_groups([0u32; 0]));
        assert_eq!((error.errno(), error.kind()), (Some(libc::EPERM), ErrorKind::PermissionDenied));
        assert!(["user", "primary group", "supplementary groups"].contains(&error.stage()), "{error}");
        for (stage, error) in [
            ("user", refusal(|c| c.user("root"))),
            ("primary group", refusal(|c| c.primary_group(12_345))),
            ("supplementary groups", refusal(|c| c.supplementary_groups([12_345]))),
            ("capabilities", refusal(|c| c.drop_capabilities(["cap_chown"]))),
        ] {
            assert_eq!((error.stage(), error.errno()), (stage, Some(libc::EPERM)), "{error}");
            assert!(error.to_string().contains("operation not permitted"), "{error}");
        }
        // The child of such a host has fewer capabilities only together with no new privileges.
        let text = told("show /proc/self/status", |c| c.drop_capabilities(["all"]).no_new_privileges());
        assert_eq!((value(&text, "CapEff:"), value(&text, "NoNewPrivs:")), ("0000000000000000", "1"));
    }

    /// Saved ids are a way back: all three of them are set, and the proof finds what is left.
    fn a_host_with_another_saved_user_leaves_no_way_back() {
        if may_drop() {
            os::set_effective_user(NOBODY);
            let groups = groups_of(value(&told("who", |c| c), "groups"));
            let text = told("regain who", |c| c.user("nobody").primary_group(0).supplementary_groups(groups));
            assert_eq!(value(&text, "uid"), "65534 65534 65534");
            assert!(!text.contains("uid(0)"), "{text}");
        }
    }

    /// A host that keeps its capabilities when it changes its user would leave them to the child.
    fn what_could_be_taken_back_is_refused_unless_it_is_dropped() {
        if may_drop() {
            os::keep_capabilities_with_other_users();
            let error = refusal(|c| c.user("nobody"));
            assert_eq!((error.stage(), error.errno()), ("user", Some(libc::EPERM)), "{error}");
            assert!(error.to_string().contains("could be taken back"), "{error}");
            let text = told("regain who", |c| c.user("nobody").drop_capabilities(["cap_setuid", "cap_setgid"]));
            assert!(!text.contains("uid(") && !text.contains("gid(") && !text.contains("setgroups"), "{text}");
            let text = told("regain who show /proc/self/status", |c| c.user("nobody").drop_capabilities(["all"]));
            assert!(text.starts_with("uid 65534 65534 65534"), "{text}");
            assert_eq!(value(&text, "CapEff:"), "0000000000000000");
        }
    }

    fn the_host_stays_dumpable_and_keeps_its_ids_while_others_drop_theirs() {
        if may_drop() {
            assert!(os::is_dumpable());
            let (before, umask) = (os::own_ids(), told("ids", |c| c));
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            told("who", |c| c.user("nobody").umask(0));
                            told("who", |c| c.drop_capabilities(["all"]));
                            assert!(os::is_dumpable());
                        }
                    });
                }
            });
            assert_eq!((os::own_ids(), value(&told("ids", |c| c), "umask")), (before, value(&umask, "umask")));
        }
    }

    fn signals_that_the_host_ignores_stay_ignored_on_request() {
        let ignored = |text: &str| u64::from_str_radix(value(text, "SigIgn:"), 16).expect("a number");
        os::set_action(libc::SIGHUP, libc::SIG_IGN);
        os::set_action(libc::SIGUSR1, libc::SIG_IGN);
        os::set_action(libc::SIGINT, libc::SIG_DFL);
        let bit = |signal: i32| 1u64 << (signal - 1);
        assert_eq!(ignored(&told("signals", |c| c)), 0);
        for group in [Group::Own, Group::Inherit] {
            let asked = [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1];
            let text = told("signals", |c| c.keep_ignored(asked).group(group));
            assert_eq!(ignored(&text), bit(libc::SIGHUP) | bit(libc::SIGUSR1));
            assert_eq!(value(&text, "SigBlk:"), "0000000000000000");
        }
        assert_eq!(ignored(&told("signals", |c| c.keep_ignored([libc::SIGUSR1]))), bit(libc::SIGUSR1));
        let host = std::fs::File::open("/proc/self/status").expect("status");
        assert!(!os::signals_in(&host).is_empty());
    }
}

#[test]
fn the_program_is_looked_up_as_the_new_user() {
    if !may_drop() {
        return;
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let program = dir.path().join("program");
    std::fs::copy(child(), &program).expect("copy");
    let command = |path: &Path| {
        let mut command = Command::new(path);
        command.args(["exit", "0"]).user("nobody");
        command
    };
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("chmod");
    let error = refused(&service(), &command(&program));
    assert_eq!((error.stage(), error.errno()), ("exec", Some(libc::EACCES)), "{error}");
    let mut found = command(Path::new("child-of-nobody"));
    let error = refused(&service(), found.search_path(dir.path()));
    assert_eq!(error.errno(), Some(libc::EACCES), "{error}");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
    assert_eq!(run(&service(), &command(&program)).code(), 0);
}

#[test]
fn a_user_with_too_many_processes_is_told_so() {
    if may_drop() {
        let service = service();
        let first = script("pause").user(3_999_999_998).primary_group(1).spawn(&service).expect("spawn");
        let error = refusal(|c| c.user(3_999_999_998).primary_group(1).resource_limit(Resource::Nproc, 0, 0));
        assert_eq!((error.stage(), error.errno()), ("exec", Some(libc::EAGAIN)), "{error}");
        assert!(error.to_string().contains("RLIMIT_NPROC"), "{error}");
        first.kill(Scope::Default).expect("kill");
        finish(&first);
    }
}

#[test]
fn other_themes_hold_for_another_user() {
    if !may_drop() {
        return;
    }
    let service = service();
    // Descriptors, the session and the controlling terminal are there before the user is changed.
    let mut command = script("text 9 nine who ids");
    command.user("nobody").descriptor(9, Descriptor::Output).umask(0o7);
    let process = command.spawn(&service).expect("spawn");
    let text = finish(&process).text();
    assert_eq!((value(&text, "uid"), value(&text, "pgid")), ("65534 65534 65534", process.pid().to_string().as_str()));
    assert_eq!(process.captured(Some(Stream::Descriptor(9))).expect("output").tail, b"nine");
    let mut command = sh("id -u; echo told >/dev/tty; exit 4");
    let ended = run(&service, command.user("nobody").pty(PtyOptions::default()));
    assert_eq!((ended.code(), ended.text().as_str()), (4, "65534\r\ntold\r\n"));
    // It is stopped, timed out and detached as any other.
    let mut command = script("pause");
    command.user("nobody").timeout(Duration::from_millis(10));
    assert_eq!(run(&service, &command).signal(), libc::SIGTERM);
    let mut command = script("who text 2 end");
    let ended = run(&service, command.user("nobody").detach());
    assert!(ended.text().starts_with("uid 65534 65534 65534") && ended.text().ends_with("end"), "{}", ended.text());
}

#[test]
fn a_directory_is_entered_by_its_descriptor() {
    let service = service();
    let dir = tempfile::tempdir().expect("tempdir");
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).expect("mkdir");
    let open = |path: &Path| Arc::new(OwnedFd::from(std::fs::File::open(path).expect("open")));
    let mut command = script("cwd fds");
    command.cwd("/").cwd_fd(open(&inner));
    // It is the directory that is meant, whatever its name is.
    let moved = dir.path().join("moved");
    std::fs::rename(&inner, &moved).expect("rename");
    let text = run(&service, &command).text();
    assert!(text.starts_with(&format!("{}0 ", moved.display())), "{text}");
    // The child does not get the descriptor.
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(run(&service, script("cwd").cwd_fd(open(&moved)).cwd("/")).text(), "/");
    let error = refused(&service, script("cwd").cwd_fd(open(Path::new("/etc/passwd"))));
    assert_eq!((error.stage(), error.errno()), ("chdir", Some(libc::ENOTDIR)));
    // A program with a relative path counts from it.
    std::fs::copy(child(), moved.join("program")).expect("copy");
    let mut relative = Command::new("./program");
    assert_eq!(run(&service, relative.args(["exit", "7"]).cwd_fd(open(&moved))).code(), 7);
    let error = refused(&service, Command::new("./none").cwd_fd(open(&moved)));
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
