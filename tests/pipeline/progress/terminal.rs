//! The progress view on a terminal.

use super::{options, read_until, sh, watching};
use crate::pipeline;
use coreproc::{ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, RunReport, Service};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use support::fifo::Gate;
use support::test_path;
use support::{GUARDED, service};

/// The screen of a terminal, which knows the part of its language that the view uses.
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

/// Runs two specs that wait at a gate, watched on a terminal; `look` sees both running.
fn on_a_terminal(
    service: &Service,
    columns: u16,
    output: ProgressOutput,
    look: impl FnOnce(&mut File, &OwnedFd, &mut Vec<u8>),
) -> (Vec<u8>, Arc<RunReport>) {
    let dir = tempfile::tempdir().expect("directory");
    let gate = Gate::new(dir.path(), "gate");
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
            // Marks the end of what is written; the terminal itself does not report it.
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
    // There are frames of both widths: whole words in the wide ones, cut ones in the narrow.
    assert!(text.contains("2 running, "), "{text:?}");
    assert!(text.contains("1 of 4 done, 2 run…"), "{text:?}");
}

#[test]
fn no_color_in_the_environment_means_plain_lines() {
    // The environment belongs to the process, so each case has a process of its own.
    for (name, value, plain) in
        [("NO_COLOR", "1", true), ("NO_COLOR", "", false), ("TERM", "dumb", true), ("TERM", "xterm", false)]
    {
        let (mut host, terminal) = support::os::pty(80, 24);
        let mut command = support::host::command(test_path!("shows_itself"));
        command.arg("--ignored").env_remove("NO_COLOR").env("TERM", "xterm").env(name, value);
        command.stdout(terminal.try_clone().expect("terminal"));
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

/// The process that [`no_color_in_the_environment_means_plain_lines`] starts.
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
