//! [`DaemonEntry`]: what the registry knows of a daemon, and its JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::sys::identity::{self, PidNamespace, Presence, ProcessStart};
use crate::util::rfc3339;

/// A daemon in the registry: `daemon` of the program `code`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonEntry {
    /// Which program it belongs to. Not empty.
    pub code: String,
    /// Which of its daemons it is. Not empty.
    pub daemon: String,
    /// Its process.
    pub pid: i32,
    /// Where its health server listens, or empty.
    pub health: String,
    /// The folder it works for, or empty.
    pub project: String,
    /// Its program, or empty.
    pub binary: String,
    /// When it started; None: when it is registered.
    pub started: Option<SystemTime>,
    /// When its process started, by the kernel's count; filled in when it is registered, and missing in entries of
    /// programs that do not write it.
    pub process: Option<ProcessStart>,
    /// Where its PID counts; filled in when it is registered, and missing in entries of programs that do not write it.
    pub pid_namespace: Option<PidNamespace>,
}

/// A process that has started later than its entry says, by more than this, is another.
const SLACK_NS: i128 = 2_000_000_000;

/// Whether an entry's process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    Dead,
    /// It is of another PID namespace: that cannot be told here.
    Foreign,
}

/// What entries are compared with, looked at once for many.
pub(super) struct Here {
    boot_id: Option<String>,
    pid_namespace: Option<PidNamespace>,
}

impl Here {
    pub(super) fn now() -> Here {
        Here { boot_id: identity::boot_id(), pid_namespace: identity::pid_namespace() }
    }
}

impl DaemonEntry {
    /// Does the process that it was written for live? A PID that another process has now does not count, nor does one of
    /// another PID namespace, which says nothing here.
    pub fn is_alive(&self) -> bool {
        matches!(self.life(&Here::now()), Life::Alive)
    }

    pub(super) fn life(&self, here: &Here) -> Life {
        let boot_id = self.process.as_ref().map(|process| &process.boot_id);
        let boot_id = boot_id.or(self.pid_namespace.as_ref().map(|namespace| &namespace.boot_id));
        if let (Some(then), Some(now)) = (boot_id, &here.boot_id)
            && then != now
        {
            return Life::Dead;
        }
        if self.pid_namespace.is_some() && self.pid_namespace != here.pid_namespace {
            return Life::Foreign;
        }
        let lives = match (identity::presence(self.pid), &self.process, self.started) {
            (Presence::Gone, ..) => false,
            (Presence::Here(Some(ticks)), Some(process), _) => process.ticks == ticks,
            (Presence::Here(Some(ticks)), None, Some(started)) => {
                identity::realtime_ns(ticks) <= to_ns(started) + SLACK_NS
            }
            (Presence::Here(_), ..) => true,
        };
        if lives { Life::Alive } else { Life::Dead }
    }

    /// Are both of the same daemon?
    pub(super) fn is_namesake(&self, code: &str, daemon: &str) -> bool {
        self.code == code && self.daemon == daemon
    }

    /// Were both written for the same process?
    pub(super) fn is_of_same_process(&self, other: &DaemonEntry) -> bool {
        self.pid == other.pid && self.process == other.process && self.pid_namespace == other.pid_namespace
    }

    /// Fails with the text that has a NUL byte: in C it would end there, and no path has one.
    pub(super) fn check_texts(&self) -> Result<(), String> {
        let texts = [
            ("code", &self.code),
            ("daemon", &self.daemon),
            ("health", &self.health),
            ("project", &self.project),
            ("binary", &self.binary),
        ];
        match texts.iter().find(|(_, text)| text.contains('\0')) {
            Some((field, _)) => Err(format!("{field}: contains a NUL byte")),
            None => Ok(()),
        }
    }

    /// The file's text; or which field does not fit.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, String> {
        self.check_texts()?;
        let started = self.started.map(|time| {
            rfc3339::format(to_ns(time)).ok_or_else(|| "started: is not within the years 0 to 9999".to_owned())
        });
        let record = Record {
            code: self.code.clone(),
            daemon: self.daemon.clone(),
            pid: self.pid,
            health: self.health.clone(),
            project: self.project.clone(),
            binary: self.binary.clone(),
            started: started.transpose()?.unwrap_or_default(),
            start_ticks: self.process.as_ref().map(|process| process.ticks),
            boot_id: match (&self.process, &self.pid_namespace) {
                (Some(ProcessStart { boot_id, .. }), _) | (None, Some(PidNamespace { boot_id, .. })) => {
                    Some(boot_id.clone())
                }
                (None, None) => None,
            },
            pid_namespace: self.pid_namespace.as_ref().map(|namespace| namespace.inode),
        };
        let mut text = serde_json::to_vec_pretty(&record).map_err(|error| error.to_string())?;
        text.push(b'\n');
        Ok(text)
    }

    /// From a file's text; or what is wrong with it, and where.
    pub(super) fn from_json(text: &[u8]) -> Result<DaemonEntry, String> {
        let record: Record = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        for (field, value) in [("code", &record.code), ("daemon", &record.daemon)] {
            if value.is_empty() {
                return Err(format!("{field}: is empty"));
            }
        }
        let started = match record.started.as_str() {
            "" => None,
            text => {
                let wrong = |why| format!("started: {why}");
                let ns = rfc3339::parse(text).map_err(wrong)?;
                if ns == NO_TIME_NS { None } else { Some(from_ns(ns).map_err(wrong)?) }
            }
        };
        let boot_id = record.boot_id.as_ref();
        let process =
            record.start_ticks.zip(boot_id).map(|(ticks, boot)| ProcessStart { ticks, boot_id: boot.clone() });
        let namespace = record.pid_namespace.zip(boot_id);
        let pid_namespace = namespace.map(|(inode, boot)| PidNamespace { inode, boot_id: boot.clone() });
        Ok(DaemonEntry {
            code: record.code,
            daemon: record.daemon,
            pid: record.pid,
            health: record.health,
            project: record.project,
            binary: record.binary,
            started,
            process,
            pid_namespace,
        })
    }
}

/// 0001-01-01T00:00:00Z: in Go, a time that was never set.
const NO_TIME_NS: i128 = -62_135_596_800_000_000_000;

/// The JSON: the fields that Go programs know, and ours behind them. What else a file has is somebody's business.
#[derive(Serialize, Deserialize)]
struct Record {
    code: String,
    daemon: String,
    pid: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    health: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    project: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    binary: String,
    #[serde(default)]
    started: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_ticks: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid_namespace: Option<u64>,
}

/// Nanoseconds since the epoch.
pub(crate) fn to_ns(time: SystemTime) -> i128 {
    // A duration has less than 2^64 seconds.
    let signed = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

/// The inverse of [`to_ns`].
pub(crate) fn from_ns(ns: i128) -> Result<SystemTime, String> {
    const SECOND: u128 = 1_000_000_000;
    let size = ns.unsigned_abs();
    // The remainder fits.
    let duration = u64::try_from(size / SECOND).ok().map(|seconds| Duration::new(seconds, (size % SECOND) as u32));
    let time = duration
        .and_then(|duration| if ns < 0 { UNIX_EPOCH.checked_sub(duration) } else { UNIX_EPOCH.checked_add(duration) });
    time.ok_or_else(|| "is out of range".to_owned())
}
