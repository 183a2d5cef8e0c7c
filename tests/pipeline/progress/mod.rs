//! The progress view: what it writes to a log, and what it shows on a terminal.

mod log;
mod stalled;
mod terminal;

use crate::spec_after;
use coreproc::{Pipeline, ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, RunOptions, RunReport, Spec};
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use support::{GUARDED, service};

/// Makes a spec that runs a shell script.
fn sh(name: &str, script: &str, after: &[&str]) -> Spec {
    spec_after(name, support::sh(script), after)
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

/// Runs one spec at a time, and returns the lines, with `T` in place of times.
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

/// Reads what the view writes to a terminal until `enough`.
fn read_until(host: &mut File, seen: &mut Vec<u8>, enough: impl Fn(&str) -> bool) {
    while !enough(&String::from_utf8_lossy(seen)) {
        assert!(support::os::readable(host, support::GUARD), "{}", String::from_utf8_lossy(seen));
        let mut buffer = [0; 4096];
        let n = host.read(&mut buffer).expect("terminal");
        seen.extend_from_slice(&buffer[..n]);
    }
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
