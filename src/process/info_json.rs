//! All that is known of a process, as JSON for programs; `docs/reports.md` describes it.

use serde::Serialize;

use super::child::State;
use super::containment::Rung;
use super::post_mortem::Known;
use super::process::Process;
use crate::error::Result;
use crate::event::Cause;
use crate::sys::cgroup::Usage;
use crate::sys::pidfd::ExitStatus;
use crate::sys::rusage::ResourceUsage;
use crate::sys::signal;
use crate::util::duration::nanoseconds;
use crate::util::rfc3339;

/// The version of the JSON form.
const VERSION: u32 = 1;

impl Process {
    /// Returns all that is known of it as a JSON object, with what [`Process::post_mortem`] tells; `docs/reports.md` lists
    /// the fields.
    ///
    /// ```
    /// use coreproc::{Command, Service, ServiceOptions};
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let process = Command::new("false").spawn(&service)?;
    /// process.wait(None)?;
    /// let json = process.info_json()?;
    /// assert!(json.contains(r#""command":"false","state":"closed","exit_code":1,"#));
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn info_json(&self) -> Result<String> {
        self.child().check_fork("info")?;
        Ok(json(&Known::of(self)))
    }
}

fn json(known: &Known) -> String {
    let info = &known.info;
    let signal = match info.status() {
        Some(ExitStatus::Signal { signal, .. }) => Some(signal),
        _ => None,
    };
    let whole = Json {
        version: VERSION,
        id: info.id,
        pid: info.pid,
        command: &known.command,
        state: match info.state {
            State::Running => "running",
            State::Exited => "exited",
            State::Closed => "closed",
        },
        exit_code: match info.status() {
            Some(ExitStatus::Code(code)) => Some(code),
            _ => None,
        },
        signal,
        signal_name: signal.and_then(signal::name),
        core_dumped: matches!(info.status(), Some(ExitStatus::Signal { core_dumped: true, .. })),
        status_unknown: info.status() == Some(ExitStatus::Unknown),
        cause: info.ending.map(|ending| name(ending.cause)),
        started: rfc3339::format_with_nanoseconds(info.started.realtime_ns),
        duration_ns: info.duration().map(nanoseconds),
        rusage: info.rusage.map(JsonRusage::from),
        rung: match info.rung {
            Rung::Process => "process",
            Rung::Group => "group",
            Rung::Cgroup => "cgroup",
        },
        tree: info.usage.map(JsonTree::from),
        stdout_bytes: info.stdout_bytes,
        stderr_bytes: info.stderr_bytes,
        dropped_bytes: info.dropped_bytes,
        discarded_bytes: info.discarded_bytes,
        unwritten_bytes: info.unwritten_bytes,
        drain_bound: info.drain_bound,
        holders: known.holders.iter().map(|holder| JsonHolder { pid: holder.pid, command: &holder.command }).collect(),
        stop_refused: info.stop_refused,
        stopped: info.stopped,
        last_lines: &known.last_lines,
    };
    // Text and numbers are always accepted.
    serde_json::to_string(&whole).unwrap_or_default()
}

#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    id: u64,
    pid: i32,
    command: &'a str,
    state: &'static str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    signal_name: Option<&'static str>,
    core_dumped: bool,
    status_unknown: bool,
    cause: Option<&'static str>,
    started: String,
    duration_ns: Option<u64>,
    rusage: Option<JsonRusage>,
    rung: &'static str,
    tree: Option<JsonTree>,
    stdout_bytes: u64,
    stderr_bytes: u64,
    dropped_bytes: u64,
    discarded_bytes: u64,
    unwritten_bytes: u64,
    drain_bound: bool,
    holders: Vec<JsonHolder<'a>>,
    /// The errno.
    stop_refused: Option<i32>,
    /// The signal.
    stopped: Option<i32>,
    last_lines: &'a [String],
}

#[derive(Serialize)]
struct JsonHolder<'a> {
    pid: Option<i32>,
    command: &'a str,
}

#[derive(Serialize)]
struct JsonRusage {
    user_ns: u64,
    system_ns: u64,
    max_rss_bytes: u64,
    max_rss_is_exact: bool,
    minor_faults: u64,
    major_faults: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
    blocks_read: u64,
    blocks_written: u64,
}

impl From<ResourceUsage> for JsonRusage {
    fn from(usage: ResourceUsage) -> JsonRusage {
        JsonRusage {
            user_ns: nanoseconds(usage.user),
            system_ns: nanoseconds(usage.system),
            max_rss_bytes: usage.max_rss_bytes,
            max_rss_is_exact: usage.max_rss_is_exact,
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
            voluntary_switches: usage.voluntary_switches,
            involuntary_switches: usage.involuntary_switches,
            blocks_read: usage.blocks_read,
            blocks_written: usage.blocks_written,
        }
    }
}

#[derive(Serialize)]
struct JsonTree {
    cpu_time_ns: Option<u64>,
    memory_peak_bytes: Option<u64>,
    oom_kills: Option<u64>,
    processes_peak: Option<u64>,
}

impl From<Usage> for JsonTree {
    fn from(usage: Usage) -> JsonTree {
        JsonTree {
            cpu_time_ns: usage.cpu_time.map(nanoseconds),
            memory_peak_bytes: usage.memory_peak,
            oom_kills: usage.oom_kills,
            processes_peak: usage.processes_peak,
        }
    }
}

/// Returns the name of a cause in JSON.
fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Natural => "natural",
        Cause::Stopped => "stopped",
        Cause::Killed => "killed",
        Cause::Timeout => "timeout",
        Cause::Cancelled => "cancelled",
        Cause::StartTimeout => "start_timeout",
        Cause::Silence => "silence",
        Cause::CpuTime => "cpu_time",
        Cause::OutputLimit => "output_limit",
    }
}
