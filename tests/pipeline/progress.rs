//! The progress view: what it writes to a log, and what is to be seen on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coreproc::{
    Backoff, Command, ErrorKind, Pipeline, ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, RunOptions,
    RunReport, Service, Spec,
};
use support::fifo::Gate;
use support::{GUARDED, service};

/// A shell script as a spec.
fn sh(name: &str, script: &str, after: &[&str]) -> Spec {
    let mut spec = Spec::new(name, support::sh(script));
    for name in after {
        spec.after(*name);
    }
    spec
}

fn pipeline(specs: impl IntoIterator<Item = Spec>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for spec in specs {
        pipeline.add(spec);
    }
    pipeline
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("log").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("log").clone()).expect("UTF-8")
    }
}

fn options(style: ProgressStyle, output: ProgressOutput) -> ProgressOptions {
    ProgressOptions { style, output }
}

fn watching(view: &ProgressView) -> RunOptions {
    RunOptions { subscriptions: vec![view.subscription().clone()], ..RunOptions::default() }
}

/// Runs it one spec at a time, and gives the lines, times replaced by `T`.
fn logged(pipeline: &Pipeline, output: ProgressOutput) -> (Vec<String>, Arc<RunReport>) {
    let (service, log) = (service(), Log::default());
    let mut view = ProgressView::to_writer(&service, log.clone(), options(ProgressStyle::Auto, output)).expect("view");
    let mut options = watching(&view);
    options.limit = coreproc::Limit::At(1);
    let run = pipeline.start(&service, options).expect("start");
    let report = view.watch(&run, GUARDED).expect("watch");
    let text = log.text();
    assert!(!text.contains('\u{1b}'), "{text:?}");
    (text.lines().map(without_times).collect(), report)
}

/// `1.23 s`, `4 ms` → `T`.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        let unit = word.trim_end_matches([':', ',']);
        let number = kept.last().is_some_and(|last| last.parse::<f64>().is_ok());
        if number && matches!(unit, "s" | "ms" | "µs" | "min") {
            kept.pop();
            kept.push(word.replace(unit, "T"));
        } else {
            kept.push(word.to_owned());
        }
    }
    kept.join(" ")
}

/// Fails at its first attempt, and passes at the second.
fn flaky(name: &str, folder: &std::path::Path) -> Spec {
    let marker = folder.join("marker").display().to_string();
    let mut spec =
        sh(name, &format!("if [ -e {marker} ]; then echo again; else : > {marker}; echo no; exit 7; fi"), &[]);
    spec.retries(1, Backoff { first: Duration::from_millis(1), most: Duration::from_millis(1) });
    spec
}

#[test]
fn a_log_says_what_started_what_was_written_and_how_it_ended() {
    let folder = tempfile::tempdir().expect("folder");
    let mut lint = sh("lint", "echo warning >&2; exit 3", &["flaky"]);
    lint.allow_failure(true);
    let mut missing = Spec::new("missing", Command::new("/no/such/program"));
    missing.after("lint");
    let pipeline = pipeline([
        flaky("flaky", folder.path()),
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

/// As times are shown.
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

/// Runs it with all at a time, and gives the lines and the report.
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
        let folder = tempfile::tempdir().expect("folder");
        let mut hangs = support::sh("exec sleep 1000");
        hangs.timeout(Duration::from_millis(20));
        let slow = Spec::new("slow", hangs);
        let short = (0..20).map(|i| sh(&format!("short{i}"), "echo out", &[]));
        let specs = [flaky("flaky", folder.path()), slow, Spec::new("missing", Command::new("/no/such/program"))];
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
    let folder = tempfile::tempdir().expect("folder");
    let pipeline = pipeline([
        flaky("flaky", folder.path()),
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
        // What was captured is what was written.
        let captured = support::lossy(&report.specs[0].output);
        assert!(captured.starts_with("::error file=a::b\n  ##[group]c\n##vso[task.x]d\ne\x1b[8mf"), "{captured:?}");
    }
}

#[test]
fn a_watch_can_be_interrupted_and_taken_up_again() {
    let folder = tempfile::tempdir().expect("folder");
    let gate = Gate::new(folder.path(), "gate");
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

/// What a terminal shows after these bytes: the part of its language that the view speaks.
struct Terminal {
    columns: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Terminal {
    fn showing(columns: usize, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let mut screen = Terminal { columns, rows: vec![Vec::new()], row: 0, column: 0 };
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match character {
                '\r' => screen.column = 0,
                '\n' => screen.down(),
                '\u{1b}' => screen.control(&mut rest),
                _ => screen.put(character),
            }
        }
        screen.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    fn control(&mut self, rest: &mut std::str::Chars<'_>) {
        assert_eq!(rest.next(), Some('['));
        let mut digits = String::new();
        let last = rest
            .find(|c| {
                digits.push(*c);
                c.is_ascii_alphabetic()
            })
            .expect("a sequence ends");
        let number = digits[..digits.len() - 1].parse().unwrap_or(0);
        match last {
            'A' => self.row = self.row.checked_sub(number).expect("not above what was written"),
            'J' => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].truncate(self.column);
            }
            'm' => {}
            other => panic!("unknown sequence {other}"),
        }
    }

    fn put(&mut self, character: char) {
        if self.column == self.columns {
            self.down();
            self.column = 0;
        }
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + 1), ' ');
        row[self.column] = character;
        self.column += 1;
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Vec::new());
        }
    }
}

/// Reads what the view writes to a terminal until `enough`.
fn read_until(host: &mut File, seen: &mut Vec<u8>, enough: impl Fn(&str) -> bool) {
    while !enough(&String::from_utf8_lossy(seen)) {
        assert!(support::os::readable(host, support::GUARD), "{}", String::from_utf8_lossy(seen));
        let mut buffer = [0; 4096];
        let n = host.read(&mut buffer).expect("terminal");
        seen.extend_from_slice(&buffer[..n]);
    }
}

/// A run of two specs that wait at a gate, watched on a terminal; `look` sees both running.
fn on_a_terminal(
    service: &Service,
    columns: u16,
    output: ProgressOutput,
    look: impl FnOnce(&mut File, &OwnedFd, &mut Vec<u8>),
) -> (Vec<u8>, Arc<RunReport>) {
    let folder = tempfile::tempdir().expect("folder");
    let gate = Gate::new(folder.path(), "gate");
    let (mut host, terminal) = support::os::pty(columns, 24);
    let mut view = ProgressView::to_fd(service, &terminal, options(ProgressStyle::Terminal, output)).expect("view");
    let waits = |name: &str, script: &str| sh(name, &format!("{script}; read line < {}", gate.path()), &["first"]);
    let pipeline = pipeline([
        sh("first", "printf '\\033[32mgreen\\033[0m\\n'", &[]),
        waits("compile a long name 建造建造建造建造建造建造", "true"),
        waits("second", "echo '  \\t tab'"),
        sh("last", "exit 4", &["second"]),
    ]);
    let mut run_options = watching(&view);
    run_options.limit = coreproc::Limit::At(2);
    run_options.durations =
        pipeline.specs().iter().map(|spec| (spec.name().to_owned(), Duration::from_secs(100))).collect();
    let run = pipeline.start(service, run_options).expect("start");
    let mut seen = Vec::new();
    let report = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let report = view.watch(&run, GUARDED).expect("watch");
            // The end of what is written, which the terminal itself does not tell.
            (&File::from(terminal.try_clone().expect("terminal"))).write_all(b"END").expect("write");
            report
        });
        read_until(&mut host, &mut seen, |text| text.contains("2 running"));
        look(&mut host, &terminal, &mut seen);
        for _ in 0..2 {
            (&File::options().write(true).open(gate.path()).expect("gate")).write_all(b"\n").expect("open");
        }
        read_until(&mut host, &mut seen, |text| text.ends_with("END"));
        watcher.join().expect("watcher")
    });
    (seen, report)
}

#[test]
fn a_terminal_shows_what_runs_and_what_is_left_and_at_the_end_only_what_stays() {
    let service = service();
    let (seen, report) = on_a_terminal(&service, 80, ProgressOutput::Prefixed, |host, _, seen| {
        read_until(host, seen, |text| text.contains("second") && text.matches("2 running").count() > 2);
        let last_frame = seen.len() - 1 - seen.iter().rev().position(|b| *b == b'\n').expect("lines");
        let screen = Terminal::showing(80, &seen[..=last_frame]);
        let status = screen.iter().rposition(|line| line.contains("2 running")).map(|at| screen[at].clone());
        let status = status.expect("a status line");
        assert!(status.starts_with("[=====>              ] 1 of 4 done, 2 running,"), "{screen:#?}");
        assert!(status.ends_with("left") && status.contains("about"), "{status}");
        assert_eq!(screen.iter().filter(|line| line.contains("running")).count(), 1, "replaced: {screen:#?}");
        assert!(screen.iter().any(|line| line.starts_with("  second ")), "{screen:#?}");
    });
    assert!(!report.success());
    let text = String::from_utf8_lossy(&seen);
    assert!(text.contains("\u{1b}[32mgreen\u{1b}[0m"), "colours are kept: {text:?}");
    let screen = Terminal::showing(80, &seen);
    assert!(screen.iter().all(|line| !line.contains("running") && !line.starts_with("  second")), "{screen:#?}");
    assert_eq!(screen.last().map(String::as_str), Some("END"), "{screen:#?}");
    let stays: Vec<&str> = screen.iter().map(String::as_str).filter(|line| line.starts_with("FAIL")).collect();
    assert!(stays[0].starts_with("FAIL  last ") && stays[0].contains(": exit code 4 ("), "{stays:#?}");
    assert!(stays[1].starts_with("FAILED in ") && stays[1].ends_with(": 3 passed, 1 failed"), "{stays:#?}");
}

#[test]
fn a_terminal_that_becomes_narrow_gets_shorter_lines() {
    let service = service();
    let (seen, _) = on_a_terminal(&service, 120, ProgressOutput::None, |host, terminal, seen| {
        support::os::resize(terminal, 20, 24);
        let before = String::from_utf8_lossy(seen).matches("1 of 4 done, 2").count();
        read_until(host, seen, |text| text.matches("1 of 4 done, 2").count() > before + 2);
    });
    let text = String::from_utf8(seen).expect("UTF-8");
    // Frames of both widths: whole words in the wide ones, cut ones in the narrow.
    assert!(text.contains("2 running, "), "{text:?}");
    assert!(text.contains("1 of 4 done, 2 run…"), "{text:?}");
}

#[test]
fn no_color_in_the_environment_means_plain_lines() {
    // The environment is the process's: a process of its own.
    let program = std::env::current_exe().expect("this program");
    for (name, value, plain) in
        [("NO_COLOR", "1", true), ("NO_COLOR", "", false), ("TERM", "dumb", true), ("TERM", "xterm", false)]
    {
        let (mut host, terminal) = support::os::pty(80, 24);
        let mut command = std::process::Command::new(&program);
        command.args(["--exact", "shows_itself", "--ignored", "--nocapture"]);
        command.env_remove("NO_COLOR").env("TERM", "xterm").env(name, value);
        command.stdout(terminal.try_clone().expect("terminal")).stdin(std::process::Stdio::null());
        let mut child = command.spawn().expect("spawn");
        let mut seen = Vec::new();
        read_until(&mut host, &mut seen, |text| text.contains("test result"));
        assert!(child.wait().expect("wait").success());
        let text = String::from_utf8_lossy(&seen);
        let shown = text.split("VIEW").nth(1).expect("the view");
        assert_eq!(!shown.contains('\u{1b}'), plain, "{name}={value}: {shown:?}");
        assert!(shown.contains("done"), "{shown:?}");
    }
}

/// What [`no_color_in_the_environment_means_plain_lines`] starts.
#[test]
#[ignore = "is started by another test"]
fn shows_itself() {
    let service = service();
    println!("VIEW");
    let mut view = ProgressView::to_fd(&service, std::io::stdout(), ProgressOptions::default()).expect("view");
    let run = pipeline([sh("a", "true", &[])]).start(&service, watching(&view)).expect("start");
    view.watch(&run, GUARDED).expect("watch");
    println!("VIEW");
}

/// Watches for so long, on a thread of its own; fails if that does not come back, whatever became of it.
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
        // Where the end is to be found: looking through all of it each time would take long.
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

/// More lines than a queue and what a view keeps hold together, numbered, so that none can be missing unseen.
const MANY: usize = 100_000;

fn many_lines() -> String {
    format!("seq -f 'line %.0f of the output' {MANY}")
}

fn numbers(text: &str) -> Vec<usize> {
    let number = |line: &str| line.split_once("| line ")?.1.split(' ').next()?.parse().ok();
    text.lines().filter_map(number).collect()
}

/// What stands still in different ways: each a place to write to, and the end at which it can be read.
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
            wanted.deadline = Some(Duration::from_millis(300));
        }
        // What it writes on its way out is more than is kept.
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
