//! What a process may use: each limit as the child finds it, and pairs of all options that the child carries out.

use super::credentials::{refusal, told, value};
use coreproc::{Command, ErrorKind, IoPriority, Resource, Scheduling};
use std::collections::BTreeSet;
use support::*;

/// Returns the soft and hard limit in /proc/PID/limits.
fn limit_in(text: &str, name: &str) -> (u64, u64) {
    let mut words = value(text, name).split_whitespace();
    let mut next = || match words.next().expect("a number") {
        "unlimited" => u64::MAX,
        number => number.parse().expect("a number"),
    };
    (next(), next())
}

const NAMES: [&str; 16] = [
    "Max cpu time ",
    "Max file size ",
    "Max data size ",
    "Max stack size ",
    "Max core file size ",
    "Max resident set ",
    "Max processes ",
    "Max open files ",
    "Max locked memory ",
    "Max address space ",
    "Max file locks ",
    "Max pending signals ",
    "Max msgqueue size ",
    "Max nice priority ",
    "Max realtime priority ",
    "Max realtime timeout ",
];

#[test]
fn each_limit_is_what_the_child_finds() {
    let before = told("show /proc/self/limits", |c| c);
    let mut all = script("show /proc/self/limits");
    let mut wanted = Vec::new();
    for (resource, name) in Resource::ALL.into_iter().zip(NAMES) {
        // A soft limit below the hard one, both at most those of the host, so that no privilege is needed.
        let (_, hard) = limit_in(&before, name);
        let hard = hard.min(1 << 40);
        let soft = hard - u64::from(hard > 0);
        let text = told("show /proc/self/limits", |c| c.resource_limit(resource, soft, hard));
        for other in NAMES {
            let want = if other == name { (soft, hard) } else { limit_in(&before, other) };
            assert_eq!(limit_in(&text, other), want, "{other} with {resource:?}");
        }
        all.resource_limit(resource, 0, 0).resource_limit(resource, soft, hard);
        wanted.push((name, (soft, hard)));
    }
    let text = run(&service(), &all).text();
    wanted.into_iter().for_each(|(name, want)| assert_eq!(limit_in(&text, name), want, "{name}"));
    assert_eq!(told("show /proc/self/limits", |c| c), before);
}

#[test]
fn a_limit_holds_and_is_not_that_of_the_host() {
    let text = told("limit fds", |c| c.resource_limit(Resource::Nofile, 7, 7));
    assert!(text.starts_with("7 7\n"), "{text}");
    let mut command = sh("while :; do :; done");
    let ended = run(&service(), command.resource_limit(Resource::Cpu, 1, 2));
    assert_eq!(ended.signal(), libc::SIGXCPU);
    // What the stack limit leaves for arguments is the child's, not the host's.
    let mut command = script("exit 0");
    command.resource_limit(Resource::Stack, 1 << 20, 1 << 20).args(vec!["x".repeat(100_000); 4]);
    assert_eq!(refused(&service(), &command).errno(), Some(libc::E2BIG));
}

#[test]
fn a_limit_that_the_kernel_refuses_is_named() {
    // No host may have more descriptors than this.
    let error = refusal(|c| c.resource_limit(Resource::Nofile, u64::MAX, u64::MAX));
    assert_eq!((error.stage(), error.errno()), ("limit", Some(libc::EPERM)));
    assert!(error.to_string().contains("nofile: operation not permitted"), "{error}");
}

#[test]
fn priorities_are_what_the_child_finds() {
    let own = told("priority", |c| c);
    let nice: i32 = value(&own, "nice").parse().expect("a number");
    let text = told("priority", |c| c.nice((nice + 3).min(19)));
    assert_eq!(value(&text, "nice"), (nice + 3).min(19).to_string());
    for (scheduling, policy) in [(Scheduling::Other, "0 0"), (Scheduling::Batch, "3 0"), (Scheduling::Idle, "5 0")] {
        assert_eq!(value(&told("priority", |c| c.scheduling(scheduling)), "policy"), policy);
    }
    for (priority, number) in [(IoPriority::BestEffort(0), 2 << 13), (IoPriority::BestEffort(7), (2 << 13) + 7)] {
        assert_eq!(value(&told("priority", |c| c.io_priority(priority)), "io"), number.to_string());
    }
    let text = told("priority", |c| c.io_priority(IoPriority::Idle));
    assert_eq!(value(&text, "io"), (3 << 13).to_string());
    if os::is_root() {
        let text = told("priority", |c| c.nice(-20).io_priority(IoPriority::RealTime(3)));
        assert_eq!((value(&text, "nice"), value(&text, "io")), ("-20", ((1 << 13) + 3).to_string().as_str()));
        for (scheduling, policy) in [(Scheduling::Fifo(1), "1 1"), (Scheduling::RoundRobin(99), "2 99")] {
            assert_eq!(value(&told("priority", |c| c.scheduling(scheduling)), "policy"), policy);
        }
    }
    assert_eq!(told("priority", |c| c), own);
}

/// Returns the numbers of a list such as `0-3,8`.
fn cpus_in(text: &str) -> BTreeSet<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<u32>().expect("a number")..=last.parse().expect("a number")
    };
    value(text, "Cpus_allowed_list:").split(',').flat_map(range).collect()
}

#[test]
fn processors_are_those_that_were_named() {
    let all = cpus_in(&told("show /proc/self/status", |c| c));
    for cpu in &all {
        let text = told("show /proc/self/status", |c| c.cpu_affinity([*cpu]));
        assert_eq!(cpus_in(&text), BTreeSet::from([*cpu]));
    }
    let text = told("show /proc/self/status", |c| c.cpu_affinity(all.iter().rev().copied()));
    assert_eq!(cpus_in(&text), all);
}

#[test]
fn the_oom_score_is_what_the_child_finds_and_not_that_of_the_host() {
    let host = std::fs::read_to_string("/proc/self/oom_score_adj").expect("read");
    let own: i32 = host.trim().parse().expect("a number");
    let higher = (own + 250).min(1000);
    let text = told("show /proc/self/oom_score_adj", |c| c.oom_score(higher));
    assert_eq!(text, format!("{higher}\n"));
    assert_eq!(std::fs::read_to_string("/proc/self/oom_score_adj").expect("read"), host);
}

#[test]
fn mistakes_are_told_before_anything_is_spawned() {
    type Options = fn(&mut Command) -> &mut Command;
    let mistakes: [(Options, &str); 13] = [
        (|c| c.resource_limit(Resource::Core, 2, 1), "limit core: the soft limit 2 is above the hard limit 1"),
        (|c| c.resource_limit(Resource::As, u64::MAX, 1), "limit as: the soft limit unlimited is above"),
        (|c| c.nice(20), "nice: 20 is not from -20 to 19"),
        (|c| c.nice(-21), "nice: -21 is not"),
        (|c| c.scheduling(Scheduling::Fifo(0)), "scheduling: the priority 0 is not from 1 to 99"),
        (|c| c.scheduling(Scheduling::RoundRobin(100)), "scheduling: the priority 100"),
        (|c| c.io_priority(IoPriority::BestEffort(8)), "io priority: the level 8 is not from 0 to 7"),
        (|c| c.io_priority(IoPriority::RealTime(255)), "io priority: the level 255"),
        (|c| c.cpu_affinity([]), "cpu affinity: names no processor"),
        (|c| c.cpu_affinity([0, 8192]), "cpu affinity: 8192 is above 8191"),
        (|c| c.cpu_affinity([0, 8191]), "cpu affinity: there is no processor 8191"),
        (|c| c.oom_score(1001), "oom score: 1001 is not from -1000 to 1000"),
        (|c| c.oom_score(-1001), "oom score: -1001 is not"),
    ];
    for (options, what) in mistakes {
        let error = refusal(options);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(what), "{error} has no {what}");
    }
}

hosted! {
    fn what_needs_privileges_is_refused_with_the_options_name() {
        if os::is_root() {
            os::set_real_user_for_good(65534);
        }
        for (stage, errno, error) in [
            ("nice", libc::EACCES, refusal(|c| c.nice(-20))),
            ("scheduling", libc::EPERM, refusal(|c| c.scheduling(Scheduling::Fifo(50)))),
            ("io priority", libc::EPERM, refusal(|c| c.io_priority(IoPriority::RealTime(0)))),
            ("oom score", libc::EACCES, refusal(|c| c.oom_score(-1000))),
        ] {
            assert_eq!((error.stage(), error.errno()), (stage, Some(errno)), "{error}");
        }
    }
}

/// An option: its name, how it is set, and whether the child's report shows it. The report is of the verbs below.
type Row = (&'static str, fn(&mut Command) -> &mut Command, fn(&str) -> bool);

const REPORT: &str = "who priority ids signals show /proc/self/status show /proc/self/limits cwd";

const ROWS: [Row; 13] = [
    ("user", |c| c.user("nobody"), |text| value(text, "uid") == "65534 65534 65534"),
    ("primary group", |c| c.primary_group("daemon"), |text| value(text, "gid") == "1 1 1"),
    ("groups", |c| c.supplementary_groups(["2", "4"]), |text| value(text, "groups") == "2 4"),
    ("umask", |c| c.umask(0o31), |text| value(text, "umask") == "31"),
    ("no new privileges", |c| c.no_new_privileges(), |text| value(text, "NoNewPrivs:") == "1"),
    (
        "capabilities",
        |c| c.drop_capabilities(["all"]),
        |text| value(text, "CapEff:") == "0000000000000000" && value(text, "CapBnd:") == "0000000000000000",
    ),
    ("limit", |c| c.resource_limit(Resource::Nofile, 20, 30), |text| limit_in(text, "Max open files ") == (20, 30)),
    (
        "another limit",
        |c| c.resource_limit(Resource::Core, 0, 0),
        |text| limit_in(text, "Max core file size ") == (0, 0),
    ),
    ("nice", |c| c.nice(7), |text| value(text, "nice") == "7"),
    ("scheduling", |c| c.scheduling(Scheduling::Batch), |text| value(text, "policy") == "3 0"),
    ("io priority", |c| c.io_priority(IoPriority::Idle), |text| value(text, "io") == "24576"),
    ("affinity", |c| c.cpu_affinity([0]), |text| value(text, "Cpus_allowed_list:") == "0"),
    ("cwd", |c| c.cwd("/usr"), |text| text.ends_with("/usr")),
];

/// Each option alone and with each other one. What a report shows without an option must differ from what it shows with
/// it, so that no row passes by itself.
#[test]
fn options_work_in_pairs() {
    let is_usable = |row: &Row| os::is_root() || !["user", "primary group", "groups", "capabilities"].contains(&row.0);
    let rows: Vec<Row> = ROWS.into_iter().filter(is_usable).collect();
    let service = service();
    let report = |options: &[&Row]| {
        let mut command = script(REPORT);
        for (_, set, _) in options {
            set(&mut command);
        }
        let ended = run(&service, &command);
        assert_eq!(ended.code(), 0, "{}", ended.text());
        ended.text()
    };
    let plain = report(&[]);
    for (at, row) in rows.iter().enumerate() {
        assert!(!(row.2)(&plain), "{} shows without being set", row.0);
        for other in &rows[at..] {
            let text = report(&[row, other]);
            for (name, _, shows) in &rows {
                let is_set = *name == row.0 || *name == other.0;
                // A user brings its groups, and leaves no capability to use.
                let follows =
                    [row.0, other.0].contains(&"user") && ["primary group", "groups", "capabilities"].contains(name);
                assert!(is_set == shows(&text) || !is_set && follows, "{name} with {} and {}: {text}", row.0, other.0);
            }
        }
    }
}
