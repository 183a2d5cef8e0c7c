//! Signals of a terminal, Ctrl-Z and Ctrl-C, that meet a host at the worst moment: while it makes a child. And what a
//! shell told the host to ignore.

use coreproc::{Group, Output};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Child;
use support::seccomp::{Refusal, Test, install, refuse, refuse_if};
use support::trace::{Newborn, offer_newborn};
use support::*;

/// Returns the ways of the spawn ladder, from the first.
fn rungs() -> [Vec<Refusal>; 4] {
    let no_clone3 = refuse(libc::SYS_clone3, libc::ENOSYS);
    let no_vfork = refuse_if(libc::SYS_clone, 0, Test::Bits(libc::CLONE_VFORK as u32), libc::EPERM);
    let no_pidfd = refuse_if(libc::SYS_clone, 0, Test::Bits(libc::CLONE_PIDFD as u32), libc::EINVAL);
    [vec![], vec![no_clone3], vec![no_clone3, no_vfork], vec![no_clone3, no_vfork, no_pidfd]]
}

const RUNG: &str = "COREPROC_TEST_RUNG";
const GROUP: &str = "COREPROC_TEST_GROUP";
const ROUNDS: &str = "COREPROC_TEST_ROUNDS";

fn number(name: &str) -> usize {
    env::var(name).expect(name).parse().expect("a number")
}

hosted_part! {
    /// Spawns over and over, and says how each child ended.
    fn a_host_that_spawns() {
        os::set_action(libc::SIGPIPE, libc::SIG_IGN);
        os::set_handler(libc::SIGINT);
        install(&rungs()[number(RUNG)]);
        let service = service();
        let mut command = script("exit 7");
        match env::var(GROUP).expect("group").as_str() {
            "own" => {}
            "session" => _ = command.detach().stdout(Output::Null).stderr(Output::Null),
            _ => _ = command.group(Group::Inherit),
        }
        for _ in 0..number(ROUNDS) {
            offer_newborn();
            let ended = run(&service, &command);
            println!("ended: {:?}", ended.info.status().expect("status"));
        }
    }
}

/// The host of one case, in a group of its own as a shell would start it, killed when the test is over.
struct Host {
    running: host::Running,
    output: std::fs::File,
}

impl Host {
    fn start(group: &str, rung: usize, rounds: u64) -> Host {
        let output = tempfile::tempfile().expect("tempfile");
        let mut command = host::command(test_path!("a_host_that_spawns"));
        command.env(GROUP, group).env(RUNG, rung.to_string()).env(ROUNDS, rounds.to_string());
        command.stdout(output.try_clone().expect("dup")).process_group(0);
        let child: Child = command.spawn().expect("host");
        Host { running: host::Running(child), output }
    }

    fn pid(&self) -> i32 {
        self.running.0.id() as i32
    }

    /// Returns how its children ended.
    fn said(mut self) -> Vec<String> {
        use std::io::{Read, Seek};
        let status = self.running.0.wait().expect("wait");
        let mut text = String::new();
        self.output.rewind().expect("rewind");
        self.output.read_to_string(&mut text).expect("read");
        assert!(status.success() && text.contains("host ran to its end"), "{status}: {text}");
        text.lines().filter_map(|line| line.split_once("ended: ")).map(|(_, status)| status.to_owned()).collect()
    }
}

/// Sends `signals` to the host's group in the very moment in which there is a child that has not run yet; after Ctrl-Z
/// the host is continued as by `fg`, once it is seen to be stopped. Returns how the children ended.
#[track_caller]
fn signalled_while_spawning(group: &str, rung: usize, signals: &[i32], rounds: u64) -> Vec<String> {
    let host = Host::start(group, rung, rounds);
    for _ in 0..rounds {
        let newborn = Newborn::await_one();
        signals.iter().for_each(|signal| os::kill(-host.pid(), *signal).expect("kill"));
        newborn.let_go();
        if signals.contains(&libc::SIGTSTP) {
            trace::await_stopped(host.pid());
            os::kill(-host.pid(), libc::SIGCONT).expect("continue");
        }
    }
    host.said()
}

#[track_caller]
fn assert_all_end(group: &str, signals: &[i32], want: &str) {
    let rounds = count("signals to a host that has a new child", 500);
    for rung in 0..rungs().len() {
        let ends = signalled_while_spawning(group, rung, signals, rounds);
        assert_eq!(ends.len() as u64, rounds);
        assert!(ends.iter().all(|end| end == want), "rung {rung}: {ends:?}");
    }
}

#[test]
fn ctrl_z_at_a_host_that_spawns_stops_the_host_and_not_the_new_child_in_a_group_of_its_own() {
    assert_all_end("own", &[libc::SIGTSTP], "Code(7)");
    assert_all_end("session", &[libc::SIGTSTP], "Code(7)");
}

#[test]
fn ctrl_c_at_a_host_that_spawns_does_not_reach_the_new_child_in_a_group_of_its_own() {
    assert_all_end("own", &[libc::SIGINT], "Code(7)");
    assert_all_end("session", &[libc::SIGINT], "Code(7)");
}

#[test]
fn ctrl_z_at_a_host_that_spawns_stops_the_host_although_the_new_child_is_in_its_group() {
    assert_all_end("inherit", &[libc::SIGTSTP], "Code(7)");
    assert_all_end("inherit", &[libc::SIGTTOU, libc::SIGTTIN, libc::SIGTSTP], "Code(7)");
}

#[test]
fn ctrl_c_at_a_host_that_spawns_reaches_the_new_child_in_its_group() {
    assert_all_end("inherit", &[libc::SIGINT], "Signal { signal: 2, core_dumped: false }");
}

/// Returns the signals that a child ignores.
fn ignored(group: Group) -> u64 {
    let text = run(&service(), script("signals").group(group)).text();
    let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("SigIgn");
    u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
}

fn set(signals: &[i32]) -> u64 {
    signals.iter().fold(0, |set, signal| set | 1 << (signal - 1))
}

/// Takes back what the program that started the tests ignores, such as a shell for a job in the background.
fn ignore_nothing() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        os::set_action(signal, libc::SIG_DFL);
    }
}

hosted! {
    fn what_nohup_and_a_shell_had_the_host_ignore_stays_ignored_in_its_group_alone() {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGTERM, libc::SIGTSTP] {
            os::set_action(signal, libc::SIG_IGN);
        }
        assert_eq!(ignored(Group::Inherit), set(&[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT]));
        assert_eq!(ignored(Group::Own), 0);
    }

    fn a_signal_that_the_host_handles_is_at_its_default_in_a_child_of_its_group() {
        ignore_nothing();
        os::set_handler(libc::SIGINT);
        os::set_action(libc::SIGHUP, libc::SIG_IGN);
        assert_eq!(ignored(Group::Inherit), set(&[libc::SIGHUP]));
    }

    fn what_was_ignored_stays_so_on_every_rung() {
        ignore_nothing();
        os::set_action(libc::SIGHUP, libc::SIG_IGN);
        for rung in rungs() {
            std::thread::spawn(move || {
                install(&rung);
                assert_eq!(ignored(Group::Inherit), set(&[libc::SIGHUP]));
            }).join().expect("rung");
        }
    }
}
