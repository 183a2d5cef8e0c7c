//! The JSON of a [`DaemonEntry`].

use serde::{Deserialize, Serialize};

use super::entry::DaemonEntry;
use crate::sys::identity::{PidNamespace, ProcessStart};
use crate::util::epoch::{from_ns, to_ns};
use crate::util::rfc3339;

/// 0001-01-01T00:00:00Z, which in Go is a time that was never set.
const NO_TIME_NS: i128 = -62_135_596_800_000_000_000;

/// The JSON object: the fields that Go programs know, and ours behind them. Further fields of a file are ignored.
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

/// Fails with the first text that has a NUL byte: in C it would end there, and no path has one.
pub(super) fn check_texts(entry: &DaemonEntry) -> Result<(), String> {
    let texts = [
        ("code", &entry.code),
        ("daemon", &entry.daemon),
        ("health", &entry.health),
        ("project", &entry.project),
        ("binary", &entry.binary),
    ];
    match texts.iter().find(|(_, text)| text.contains('\0')) {
        Some((field, _)) => Err(format!("{field}: contains a NUL byte")),
        None => Ok(()),
    }
}

/// Makes the text of the entry's file. An error names the field that cannot be written.
pub(super) fn to_json(entry: &DaemonEntry) -> Result<Vec<u8>, String> {
    check_texts(entry)?;
    let started = entry.started.map(|time| {
        rfc3339::format(to_ns(time)).ok_or_else(|| "started: is not within the years 0 to 9999".to_owned())
    });
    let record = Record {
        code: entry.code.clone(),
        daemon: entry.daemon.clone(),
        pid: entry.pid,
        health: entry.health.clone(),
        project: entry.project.clone(),
        binary: entry.binary.clone(),
        started: started.transpose()?.unwrap_or_default(),
        start_ticks: entry.process.as_ref().map(|process| process.ticks),
        boot_id: match (&entry.process, &entry.pid_namespace) {
            (Some(ProcessStart { boot_id, .. }), _) | (None, Some(PidNamespace { boot_id, .. })) => {
                Some(boot_id.clone())
            }
            (None, None) => None,
        },
        pid_namespace: entry.pid_namespace.as_ref().map(|namespace| namespace.inode),
    };
    let mut text = serde_json::to_vec_pretty(&record).map_err(|error| error.to_string())?;
    text.push(b'\n');
    Ok(text)
}

/// Reads the entry in a file's text. An error says what is wrong with the text, and where.
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
    let process = record.start_ticks.zip(boot_id).map(|(ticks, boot)| ProcessStart { ticks, boot_id: boot.clone() });
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
