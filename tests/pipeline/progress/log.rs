//! The progress view in a log.

use super::{Log, logged, options, sh, watching, without_times};
use crate::pipeline;
use coreproc::{
    Backoff, Command, ErrorKind, Pipeline, ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, RunOptions,
    RunReport, Spec,
};
use std::sync::Arc;
use std::time::Duration;
use support::fifo::Gate;
use support::{GUARDED, service};

/// Fails at its first attempt, and passes at the second.
fn flaky(name: &str, dir: &std::path::Path) -> Spec {
    let marker = dir.join("marker").display().to_string();
    let mut spec =
        sh(name, &format!("if [ -e {marker} ]; then echo again; else : > {marker}; echo no; exit 7; fi"), &[]);
    spec.retries(1, Backoff { first: Duration::from_millis(1), most: Duration::from_millis(1) });
    spec
}

#[test]
fn a_log_says_what_started_what_was_written_and_how_it_ended() {
    let dir = tempfile::tempdir().expect("directory");
    let mut lint = sh("lint", "echo warning >&2; exit 3", &["flaky"]);
    lint.allow_failure(true);
    let mut missing = Spec::new("missing", Command::new("/no/such/program"));
    missing.after("lint");
    let pipeline = pipeline([
        flaky("flaky", dir.path()),
        lint,
        sh("test", "printf 'one\\ntwo'; exit 1", &["lint"]),
        sh("deploy", "true", &["test"]),
        missing,
    ]);
    let (lines, report) = logged(&pipeline, ProgressOutput::Prefixed);
    assert!(!report.success());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "start flaky",
            "flaky   | no",
            "retry flaky T: exit code 7, another attempt follows",
            "start flaky, attempt 2",
            "flaky   | again",
            "pass  flaky T (1 of 5)",
            "start lint",
            "lint    | warning",
            "FAIL  lint T: exit code 3 (2 of 5)",
            "start test",
            "test    | one",
            "test    | two",
            "FAIL  test T: exit code 1 (3 of 5)",
            "skip  deploy: \"test\" failed (4 of 5)",
            "start missing",
            "FAIL  missing T: spawn \"/no/such/program\": exec: no such file or directory (5 of 5)",
            "FAILED in T: 1 passed, 3 failed, 1 skipped, 1 of the failures allowed",
        ]
    );
}

#[test]
fn a_spec_that_ended_is_told_behind_its_last_line_and_counted_in_the_order_shown() {
    let (service, log) = (service(), Log::default());
    let mut view = ProgressView::to_writer(&service, log.clone(), ProgressOptions::default()).expect("view");
    let names: Vec<String> = (10..50).map(|i| format!("s{i}")).collect();
    let specs = names.iter().map(|name| sh(name, "echo first; sleep 0.001; echo last", &[]));
    let mut options = watching(&view);
    options.limit = coreproc::Limit::At(8);
    let run = pipeline(specs).start(&service, options).expect("start");
    view.watch(&run, GUARDED).expect("watch");
    let lines: Vec<String> = log.text().lines().map(without_times).collect();
    let place = |line: String| lines.iter().position(|shown| shown.starts_with(&line)).expect("shown");
    for name in &names {
        assert!(place(format!("{name} | last")) < place(format!("pass  {name} T")), "{name}: {lines:#?}");
    }
    let counts: Vec<&str> =
        lines.iter().filter_map(|line| Some(line.strip_prefix("pass")?.split_once('(')?.1)).collect();
    let expected: Vec<String> = (1..=40).map(|count| format!("{count} of 40)")).collect();
    assert_eq!(counts, expected);
}

/// Writes a time as it is shown.
fn shown(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        _ if ms < 1.0 => format!("{} µs", time.as_micros()),
        _ if ms < 99.5 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}

const OUTPUTS: [ProgressOutput; 3] = [ProgressOutput::Prefixed, ProgressOutput::Grouped, ProgressOutput::None];

/// Runs all specs at a time, and returns the lines and the report.
fn told(pipeline: &Pipeline, output: ProgressOutput) -> (Vec<String>, Arc<RunReport>) {
    let (service, log) = (service(), Log::default());
    let mut view = ProgressView::to_writer(&service, log.clone(), options(ProgressStyle::Auto, output)).expect("view");
    let mut options = watching(&view);
    options.limit = coreproc::Limit::None;
    let run = pipeline.start(&service, options).expect("start");
    let report = view.watch(&run, GUARDED).expect("watch");
    (log.text().lines().map(str::to_owned).collect(), report)
}

#[test]
fn the_times_shown_are_those_of_the_report() {
    for output in OUTPUTS {
        let dir = tempfile::tempdir().expect("directory");
        let mut hangs = support::sh("exec sleep 1000");
        hangs.timeout(Duration::from_millis(20));
        let slow = Spec::new("slow", hangs);
        let short = (0..20).map(|i| sh(&format!("short{i}"), "echo out", &[]));
        let specs = [flaky("flaky", dir.path()), slow, Spec::new("missing", Command::new("/no/such/program"))];
        let (lines, report) = told(&pipeline(specs.into_iter().chain(short)), output);
        for spec in &report.specs {
            let begins =
                ["pass ", "FAIL ", "TIME "].map(|word| format!("{word} {} {}", spec.name, shown(spec.duration)));
            let ends = |line: &String| begins.iter().any(|begin| line.starts_with(begin));
            assert!(lines.iter().any(ends), "{} {:?}: {lines:#?}", spec.name, spec.duration);
        }
        let slow = lines.iter().find(|line| line.starts_with("TIME  slow")).expect("shown");
        assert!(slow.contains(": timed out after 20 ms ("), "{slow}");
    }
}

#[test]
fn nothing_is_told_before_what_it_comes_after_and_counts_only_grow() {
    let mut specs = Vec::new();
    for chain in 0..10 {
        let name = |step: &str| format!("{step}{chain}");
        specs.push(sh(&name("a"), "echo a", &[]));
        specs.push(sh(&name("b"), "echo b; exit 3", &[&name("a")]));
        specs.push(sh(&name("skipped"), "true", &[&name("b")]));
        let mut last = sh(&name("clean"), "echo c", &[&name("skipped")]);
        last.always_run(true);
        specs.push(last);
    }
    let pipeline = pipeline(specs);
    for output in OUTPUTS {
        let (lines, _) = told(&pipeline, output);
        let at = |begin: String| lines.iter().position(|line| line.starts_with(&begin)).expect("shown");
        for chain in 0..10 {
            let mut order = vec![format!("start a{chain}"), format!("pass  a{chain} "), format!("start b{chain}")];
            order.extend([format!("FAIL  b{chain} "), format!("skip  skipped{chain}")]);
            order.extend([format!("start clean{chain}"), format!("pass  clean{chain} ")]);
            assert!(order.iter().cloned().map(at).is_sorted(), "{order:?}: {lines:#?}");
        }
        let counts = lines.iter().filter_map(|line| line.rsplit_once(" (")?.1.strip_suffix(" of 40)"));
        let expected: Vec<String> = (1..=40).map(|count| count.to_string()).collect();
        assert_eq!(counts.collect::<Vec<_>>(), expected, "{lines:#?}");
    }
}

#[test]
fn grouped_output_follows_its_specs_line() {
    let dir = tempfile::tempdir().expect("directory");
    let pipeline = pipeline([
        flaky("flaky", dir.path()),
        sh("talks", "echo a; echo b >&2", &["flaky"]),
        sh("silent", "true", &["talks"]),
    ]);
    let (lines, _) = logged(&pipeline, ProgressOutput::Grouped);
    let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.starts_with("start")).collect();
    let order =
        |words: &[&str]| words.iter().map(|word| lines.iter().position(|line| line.contains(word))).collect::<Vec<_>>();
    assert_eq!(lines.len(), 9, "{lines:#?}");
    let at = order(&["retry flaky", "    no"]);
    assert_eq!(at[0].map(|at| at + 1), at[1], "{lines:#?}");
    let at = order(&["pass  flaky", "    again"]);
    assert_eq!(at[0].map(|at| at + 1), at[1], "{lines:#?}");
    let at = order(&["pass  talks"]);
    let next = at[0].map(|at| [lines[at + 1], lines[at + 2]]);
    assert!(next == Some(["    a", "    b"]) || next == Some(["    b", "    a"]), "{lines:#?}");
    assert_eq!(lines[8], "done in T: 3 passed");
}

#[test]
fn grouped_output_keeps_its_last_mebibyte_and_says_what_it_dropped() {
    let script = "i=0; while [ $i -lt 40000 ]; do echo line-$i-0123456789012345678901234567890; i=$((i+1)); done";
    let (lines, _) = logged(&pipeline([sh("much", script, &[])]), ProgressOutput::Grouped);
    let dropped: usize =
        lines[2].trim_start_matches("    … ").split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(lines[2].ends_with("bytes before this are not shown"), "{}", lines[2]);
    let kept: usize = lines[3..lines.len() - 1].iter().map(|line| line.len() + 1).sum();
    let all: usize = (0..40000).map(|i| format!("    line-{i}-0123456789012345678901234567890\n").len()).sum();
    assert_eq!(kept + dropped, all);
    assert!(kept <= 1024 * 1024, "{kept}");
    assert!(lines[lines.len() - 2].contains("line-39999-"));
}

#[test]
fn no_output_is_shown_where_none_is_wanted() {
    let (lines, _) = logged(&pipeline([sh("talks", "echo a", &[])]), ProgressOutput::None);
    assert_eq!(lines, ["start talks", "pass  talks T (1 of 1)", "done in T: 1 passed"]);
}

#[test]
fn an_empty_pipeline_is_done_at_once() {
    let (lines, _) = logged(&Pipeline::new(), ProgressOutput::Prefixed);
    assert_eq!(lines, ["done in T: no specs"]);
}

#[test]
fn names_and_output_cannot_steer_the_terminal() {
    let (lines, _) = logged(
        &pipeline([sh("evil\u{1b}[2J\r\n", "printf 'a\\033[2Jb\\033]0;x\\007c\\rlast\\n'", &[])]),
        ProgressOutput::Prefixed,
    );
    assert!(lines.contains(&"evil\\u{1b}[2J\\r\\n | last".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"pass  evil\\u{1b}[2J\\r\\n T (1 of 1)".to_owned()), "{lines:#?}");
}

#[test]
fn a_log_that_is_read_for_commands_gets_none_of_a_child() {
    for output in [ProgressOutput::Prefixed, ProgressOutput::Grouped] {
        let script = "echo '::error file=a::b'; echo '  ##[group]c'; echo '##vso[task.x]d'; printf 'e\\033[8mf\\033[0m\\n'; exit 1";
        let (lines, report) = logged(&pipeline([sh("::warning::name", script, &[])]), output);
        let text = lines.join("\n");
        for text in ["error file=a::b", "# #[group]c", "# #vso[task.x]d", "ef"] {
            assert!(lines.iter().any(|line| line.ends_with(text)), "{text}: {lines:#?}");
        }
        assert!(!text.contains("##") && lines.iter().all(|line| !line.trim_start().starts_with("::")), "{lines:#?}");
        // The capture has what was written.
        let captured = support::lossy(&report.specs[0].output);
        assert!(captured.starts_with("::error file=a::b\n  ##[group]c\n##vso[task.x]d\ne\x1b[8mf"), "{captured:?}");
    }
}

#[test]
fn a_watch_can_be_interrupted_and_taken_up_again() {
    let dir = tempfile::tempdir().expect("directory");
    let gate = Gate::new(dir.path(), "gate");
    let (service, log) = (service(), Log::default());
    let mut view = ProgressView::to_writer(&service, log.clone(), ProgressOptions::default()).expect("view");
    let mut spec = Spec::new("waits", support::tool(["await", gate.path()]));
    spec.after("first");
    let pipeline = pipeline([sh("first", "true", &[]), spec]);
    let run = pipeline.start(&service, watching(&view)).expect("start");
    let error = view.watch(&run, Some(Duration::ZERO)).expect_err("too early");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.to_string(), format!("watch run {}: it has not ended in time", run.id()));
    assert_eq!(support::kind_of(view.watch(&run, Some(Duration::from_millis(5)))), ErrorKind::TimedOut);
    gate.open(1);
    assert!(view.watch(&run, GUARDED).expect("watch").success());
    assert!(view.watch(&run, GUARDED).expect("and again").success());
    assert_eq!(log.text().matches("done in").count(), 1, "the last words are said once");
}

#[test]
fn a_view_shows_the_run_that_it_watched_first_and_nothing_of_another() {
    let (service, log) = (service(), Log::default());
    let mut view = ProgressView::to_writer(&service, log.clone(), ProgressOptions::default()).expect("view");
    let other = pipeline([sh("other", "echo other", &[])]).start(&service, watching(&view)).expect("start");
    other.wait(GUARDED).expect("wait");
    let run = pipeline([sh("shown", "echo shown", &[])]).start(&service, watching(&view)).expect("start");
    view.watch(&run, GUARDED).expect("watch");
    assert!(log.text().contains("shown | shown") && !log.text().contains("other"), "{}", log.text());
    assert_eq!(support::kind_of(view.watch(&other, GUARDED)), ErrorKind::InvalidState);
    assert!(!log.text().contains("other"));
}

#[test]
fn a_name_of_a_mebibyte_is_cut_where_it_is_shown_and_repeated() {
    let name = "ä\u{1b}]".repeat(300_000);
    let (lines, report) = logged(
        &pipeline([
            sh(&name, "for i in 1 2 3 4 5 6 7 8 9; do echo line; done; exit 1", &[]),
            sh("b", "true", &[&name]),
        ]),
        ProgressOutput::Prefixed,
    );
    assert!(lines.iter().all(|line| line.len() < 5000));
    let error = report.specs[1].error.as_deref().expect("skipped");
    assert!(error.starts_with("skipped: \"ä\\u{1b}]") && error.ends_with("\"… failed"), "{error}");
    assert!(error.len() < 5000);
    assert_eq!(report.specs[0].name, name);
}

#[test]
fn a_run_without_the_view_is_refused() {
    let service = service();
    let mut view = ProgressView::to_writer(&service, Log::default(), ProgressOptions::default()).expect("view");
    let run = pipeline([sh("a", "true", &[])]).start(&service, RunOptions::default()).expect("start");
    assert_eq!(support::kind_of(view.watch(&run, GUARDED)), ErrorKind::InvalidState);
    run.wait(GUARDED).expect("wait");
}

#[test]
fn a_reader_that_goes_away_is_an_error_once_the_run_has_ended_and_no_sigpipe() {
    let service = service();
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    let mut view = ProgressView::to_fd(&service, &writer, ProgressOptions::default()).expect("view");
    let run = pipeline([sh("a", "echo a", &[])]).start(&service, watching(&view)).expect("start");
    let error = view.watch(&run, GUARDED).expect_err("EPIPE");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(libc::EPIPE)));
    assert!(run.wait(GUARDED).expect("wait").success());
}
