//! The file that remembers how long specs take.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use coreproc::{ErrorKind, History, RunReport, SpecResult, SpecState, Stamp};
use serde_json::Value;
use support::hosted;

fn spec(name: &str, state: SpecState, ms: u64) -> SpecResult {
    SpecResult {
        name: name.to_owned(),
        state,
        status: None,
        attempts: 1,
        started: (state != SpecState::Skipped).then_some(Stamp { monotonic_ns: 1, realtime_ns: 1 }),
        duration: Duration::from_millis(ms),
        output: Vec::new(),
        dropped_bytes: 0,
        error: None,
        allow_failure: false,
        after: Vec::new(),
    }
}

fn report(specs: Vec<SpecResult>) -> RunReport {
    RunReport { name: String::new(), specs, started: Stamp::default(), duration: Duration::ZERO, limit: 0 }
}

fn known(history: &History, name: &str) -> Option<u64> {
    history.durations().get(name).map(|duration| duration.as_millis() as u64)
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("directory")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_history_remembers_across_openings_and_recent_runs_count_more() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("history.json");
    let mut history = History::open(&path, "nightly").expect("open");
    assert!(history.durations().is_empty() && history.problem().is_none());
    history.record(&report(vec![spec("größe \u{1b}", SpecState::Passed, 1000)])).expect("record");
    assert_eq!(known(&History::open(&path, "nightly").expect("open"), "größe \u{1b}"), Some(1000));
    for _ in 0..2 {
        history.record(&report(vec![spec("größe \u{1b}", SpecState::Passed, 2000)])).expect("record");
    }
    // 1000 → 1300 → 1510.
    assert_eq!(known(&history, "größe \u{1b}"), Some(1510));
    assert_eq!(files(dir.path()), ["history.json"], "nothing is left beside it");
}

#[test]
fn only_what_passed_counts_once_something_is_known() {
    let dir = tempfile::tempdir().expect("directory");
    let mut history = History::open(dir.path().join("h"), "p").expect("open");
    let specs = vec![
        spec("passes", SpecState::Passed, 100),
        spec("fails", SpecState::Failed, 50),
        spec("times out", SpecState::TimedOut, 5),
        spec("cancelled", SpecState::Cancelled, 5),
        spec("skipped", SpecState::Skipped, 0),
    ];
    history.record(&report(specs)).expect("record");
    assert_eq!(history.durations().len(), 2);
    assert_eq!((known(&history, "passes"), known(&history, "fails")), (Some(100), Some(50)));
    history
        .record(&report(vec![spec("passes", SpecState::Failed, 1), spec("fails", SpecState::Failed, 1)]))
        .expect("record");
    assert_eq!((known(&history, "passes"), known(&history, "fails")), (Some(100), Some(50)));
}

#[test]
fn pipelines_of_one_file_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("h");
    let mut first = History::open(&path, "first").expect("open");
    let mut second = History::open(&path, "second").expect("open");
    first.record(&report(vec![spec("build", SpecState::Passed, 10)])).expect("record");
    second.record(&report(vec![spec("build", SpecState::Passed, 20)])).expect("record");
    let opened = |name| known(&History::open(&path, name).expect("open"), "build");
    assert_eq!((opened("first"), opened("second"), opened("third")), (Some(10), Some(20), None));
}

#[test]
fn a_damaged_file_is_set_aside_and_said() {
    let entry = r#"{"version":1,"pipelines":{"p":{"s":{"ns":1,"seen":1"#;
    for damage in ["", "{", "[]", "{\"version\":2,\"pipelines\":{}}", entry, "\u{0}", &"[".repeat(100_000)] {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("h");
        fs::write(&path, damage).expect("write");
        let mut history = History::open(&path, "p").expect("open");
        let problem = history.problem().expect("a problem").to_owned();
        assert!(problem.contains("set aside as") && problem.contains("h.bad"), "{problem}");
        assert_eq!(fs::read_to_string(dir.path().join("h.bad")).expect("aside"), damage);
        history.record(&report(vec![spec("build", SpecState::Passed, 10)])).expect("record");
        assert_eq!(known(&History::open(&path, "p").expect("open"), "build"), Some(10));
    }
}

#[test]
fn what_is_no_file_or_may_not_be_read_is_an_error_and_never_a_hang() {
    let dir = tempfile::tempdir().expect("directory");
    support::os::mkfifo(&dir.path().join("fifo"));
    for path in [dir.path().join("fifo"), dir.path().to_owned()] {
        assert_eq!(support::kind_of(History::open(path, "p")), ErrorKind::InvalidArgument);
    }
    assert_eq!(support::kind_of(History::open("/", "p")), ErrorKind::InvalidArgument);
    let missing = dir.path().join("no directory/h");
    let mut history = History::open(&missing, "p").expect("open");
    let error = history.record(&report(vec![])).expect_err("no directory");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(libc::ENOENT)));
    assert!(error.to_string().starts_with("record history"), "{error}");
}

#[test]
fn the_file_is_bounded_and_what_ran_longest_ago_is_forgotten() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("h");
    let old: serde_json::Map<String, Value> =
        (0..20_000).map(|i| (format!("old {i}"), serde_json::json!({"ns": 1, "seen": i / 2}))).collect();
    fs::write(&path, serde_json::json!({"version": 1, "pipelines": {"old": old}}).to_string()).expect("write");
    let mut history = History::open(&path, "new").expect("open");
    let names: Vec<String> = (0..101).map(|i| format!("new {i}")).collect();
    let mut specs: Vec<SpecResult> = names.iter().map(|name| spec(name, SpecState::Passed, 1)).collect();
    specs.push(spec(&"x".repeat(5000), SpecState::Passed, 1));
    history.record(&report(specs)).expect("record");
    let (old, new) = (History::open(&path, "old").expect("old"), History::open(&path, "new").expect("new"));
    assert_eq!((old.durations().len(), new.durations().len()), (20_000 - 101, 101));
    let stayed = old.durations();
    let gone = (0..20_000).filter(|i| !stayed.contains_key(&format!("old {i}")));
    assert!(gone.max() <= Some(101), "the oldest go");
}

#[test]
fn what_is_written_can_be_read_however_long_the_names_are() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("h");
    History::open(&path, "empty").expect("open").record(&report(vec![])).expect("record");
    let empty = r#"{"version":1,"pipelines":{}}"#;
    assert_eq!(fs::read_to_string(&path).expect("text"), empty, "nothing is known of it");
    let endless = "x".repeat(1025);
    assert_eq!(support::kind_of(History::open(&path, &endless)), ErrorKind::InvalidArgument);
    // Each byte is written as an escape of six, in all more than a file may hold.
    let names: Vec<String> = (10_000..30_000).map(|i| format!("{i}{}", "\u{1}".repeat(1000))).collect();
    let specs = names.iter().map(|name| spec(name, SpecState::Passed, 10)).collect();
    History::open(&path, "p").expect("open").record(&report(specs)).expect("record");
    let history = History::open(&path, "p").expect("open");
    assert_eq!((history.problem(), history.durations().len()), (None, 10_000));
}

#[test]
fn a_link_stays_a_link_and_permissions_stay_as_they_are() {
    let dir = tempfile::tempdir().expect("directory");
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, r#"{"version":1,"pipelines":{}}"#).expect("write");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("mode");
    std::os::unix::fs::symlink("file", &link).expect("link");
    let mut history = History::open(&link, "p").expect("open");
    history.record(&report(vec![spec("build", SpecState::Passed, 10)])).expect("record");
    assert!(fs::symlink_metadata(&link).expect("link").is_symlink());
    assert_eq!(fs::metadata(&file).expect("file").permissions().mode() & 0o7777, 0o600);
    assert_eq!(known(&History::open(&file, "p").expect("open"), "build"), Some(10));
    assert_eq!(files(dir.path()), ["file", "link"]);
}

#[test]
fn what_an_earlier_process_of_the_same_pid_left_behind_is_not_in_the_way() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("history.json");
    // As many as there can have been drafts in this process.
    for number in 0..1000 {
        fs::write(dir.path().join(format!("history.json.{}.{number}.tmp", std::process::id())), "half").expect("write");
    }
    let mut history = History::open(&path, "p").expect("open");
    history.record(&report(vec![spec("a", SpecState::Passed, 100)])).expect("record");
    assert_eq!(known(&History::open(&path, "p").expect("open"), "a"), Some(100));
}

/// If the clock was ahead when they were recorded, and was set back, they would be the newest for ever.
#[test]
fn what_was_recorded_ahead_of_the_clock_does_not_keep_out_what_runs_now() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("h");
    let ahead: Vec<String> = (0..20_000).map(|n| format!(r#""s{n}":{{"ns":1000000,"seen":9999999999}}"#)).collect();
    fs::write(&path, format!(r#"{{"version":1,"pipelines":{{"p":{{{}}}}}}}"#, ahead.join(","))).expect("write");
    let mut history = History::open(&path, "p").expect("open");
    assert_eq!(history.durations().len(), 20_000);
    history.record(&report(vec![spec("zz", SpecState::Passed, 10)])).expect("record");
    let history = History::open(&path, "p").expect("open");
    assert_eq!(known(&history, "zz"), Some(10));
    assert_eq!(history.durations().len(), 20_000);
}

hosted! {
    fn a_history_is_not_for_everybody_to_write_without_a_umask() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("h");
        support::os::set_umask(0);
        let mut history = History::open(&path, "p").expect("open");
        history.record(&report(vec![spec("build", SpecState::Passed, 10)])).expect("record");
        assert_eq!(path.metadata().expect("metadata").permissions().mode() & 0o7777, 0o644);
    }
}
