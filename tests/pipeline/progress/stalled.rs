//! The progress view on a descriptor that takes nothing.

use super::{options, sh, watching};
use crate::pipeline;
use coreproc::{ErrorKind, ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, RunReport};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use support::{GUARDED, service};

/// Watches for this long, on a thread of its own; fails if that does not return, with whatever result.
fn watch_in_time(
    mut view: ProgressView,
    run: &coreproc::Run,
    timeout: Option<Duration>,
) -> (ProgressView, coreproc::Result<Arc<RunReport>>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let run = run.clone();
    std::thread::spawn(move || {
        let result = view.watch(&run, timeout);
        let _ = sender.send((view, result));
    });
    receiver.recv_timeout(support::GUARD).expect("watch comes back")
}

/// Reads all of it, once `go_on` was called, while the view is watched to the end of its run.
fn read_on(
    host: &mut File,
    view: ProgressView,
    run: &coreproc::Run,
    go_on: impl FnOnce(&mut File),
    is_all: impl Fn(&str) -> bool,
) -> (String, Arc<RunReport>) {
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || watch_in_time(view, run, GUARDED).1.expect("watch"));
        go_on(host);
        let mut seen = Vec::new();
        // Only the end is searched: all of it would take long each time.
        let end = |seen: &[u8]| String::from_utf8_lossy(&seen[seen.len().saturating_sub(200)..]).into_owned();
        while !is_all(&end(&seen)) {
            assert!(support::os::readable(host, support::GUARD), "{}", end(&seen));
            let mut buffer = [0; 65536];
            let n = host.read(&mut buffer).expect("read");
            seen.extend_from_slice(&buffer[..n]);
        }
        (String::from_utf8(seen).expect("UTF-8"), watcher.join().expect("watcher"))
    })
}

/// More lines than a queue and a view hold together. They are numbered, so that none can be missing unseen.
const MANY: usize = 100_000;

fn many_lines() -> String {
    format!("seq -f 'line %.0f of the output' {MANY}")
}

fn numbers(text: &str) -> Vec<usize> {
    let number = |line: &str| line.split_once("| line ")?.1.split(' ').next()?.parse().ok();
    text.lines().filter_map(number).collect()
}

/// Makes targets that stand still in different ways: each a place to write to, and the end at which it can be read.
fn standing_still() -> Vec<(&'static str, File, OwnedFd)> {
    let (reader, writer) = support::os::pipe();
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let (mut host, terminal) = support::os::pty(80, 24);
    // Ctrl-S: the terminal's own flow control.
    host.write_all(b"\x13").expect("stop");
    vec![
        ("a pipe", reader, writer.into()),
        ("a socket", File::from(OwnedFd::from(near)), far.into()),
        ("a stopped terminal", host, terminal),
    ]
}

#[test]
fn what_takes_nothing_keeps_watch_no_longer_than_its_timeout_and_loses_nothing() {
    for (what, mut host, fd) in standing_still() {
        println!("{what}");
        let service = service();
        let mut view =
            ProgressView::to_fd(&service, &fd, options(ProgressStyle::Plain, ProgressOutput::Prefixed)).expect("view");
        let run = pipeline([sh("a", &many_lines(), &[])]).start(&service, watching(&view)).expect("start");
        for _ in 0..3 {
            let (back, result) = watch_in_time(view, &run, Some(Duration::from_millis(30)));
            view = back;
            assert_eq!(result.expect_err("nobody reads").kind(), ErrorKind::TimedOut);
        }
        assert!(!run.progress().expect("progress").ended, "the child is slowed");
        let go_on = |host: &mut File| {
            if what == "a stopped terminal" {
                // Ctrl-Q
                host.write_all(b"\x11").expect("go on");
            }
        };
        let (text, report) = read_on(&mut host, view, &run, go_on, |text| text.contains("done in"));
        assert!(report.success());
        assert_eq!(numbers(&text), (1..=MANY).collect::<Vec<_>>());
        assert!(!text.contains("not shown"));
    }
}

#[test]
fn the_descriptor_that_a_view_was_given_stays_blocking_for_those_who_share_it() {
    let (_reader, writer) = support::os::pipe();
    let flags = || nix_flags(&writer);
    let before = flags();
    let service = service();
    let _view = ProgressView::to_fd(&service, &writer, ProgressOptions::default()).expect("view");
    assert_eq!(flags(), before);
}

fn nix_flags(file: &File) -> String {
    use std::os::fd::AsRawFd;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).expect("fdinfo");
    info.lines().find(|line| line.starts_with("flags:")).expect("flags").to_owned()
}

#[test]
fn a_run_that_is_cancelled_ends_although_what_it_is_shown_on_takes_nothing() {
    for by_deadline in [false, true] {
        let (mut host, writer) = support::os::pipe();
        let service = service();
        let plain = options(ProgressStyle::Plain, ProgressOutput::Prefixed);
        let mut view = ProgressView::to_fd(&service, &writer, plain).expect("view");
        drop(writer);
        let mut wanted = watching(&view);
        if by_deadline {
            // Long enough for the shell to set its trap on a busy machine.
            wanted.deadline = Some(Duration::from_secs(3));
        }
        // It writes more on its way out than is kept.
        let script = format!("many() {{ {}; }}; trap 'many; exit 3' TERM; while :; do many; done", many_lines());
        let run = pipeline([sh("a", &script, &[])]).start(&service, wanted).expect("start");
        let (back, result) = watch_in_time(view, &run, Some(Duration::from_millis(30)));
        view = back;
        assert_eq!(result.expect_err("nobody reads").kind(), ErrorKind::TimedOut);
        if !by_deadline {
            run.cancel().expect("cancel");
        }
        let ended = run.clone();
        let waiter = std::thread::spawn(move || ended.wait(GUARDED));
        while !waiter.is_finished() {
            let (back, result) = watch_in_time(view, &run, Some(Duration::from_millis(50)));
            view = back;
            assert_eq!(result.expect_err("nobody reads").kind(), ErrorKind::TimedOut);
        }
        assert!(!waiter.join().expect("waiter").expect("the run ends").success());

        let (text, _) = read_on(&mut host, view, &run, |_| (), |text| text.contains("FAILED in"));
        let shown = numbers(&text);
        assert!(shown.len() > 1000, "{} lines", shown.len());
        assert!(text.contains(" lines are not shown: they were not taken in time\n"), "{}", &text[text.len() - 300..]);
    }
}
