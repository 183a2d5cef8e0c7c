//! [`History`]: a file that remembers how long specs take.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::result::{RunReport, SpecResult};
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::event::SpecState;
use crate::sys::clock::Stamp;
use crate::sys::{file, fork, retried};

const VERSION: u32 = 1;
/// What the last run counts against all before it.
const NEWEST: f64 = 0.3;
/// Specs that are remembered, of all pipelines of a file; those that ran last stay.
const MOST_SPECS: usize = 20_000;
/// Longer names of specs are not remembered, those of pipelines refused.
const LONGEST_NAME: usize = 1024;
/// No file of ours is larger: where long names would make it so, fewer specs are remembered.
const LARGEST_FILE: usize = 64 * 1024 * 1024;

/// How long the specs of a pipeline took in earlier runs, kept in a file, which may serve several pipelines: for
/// [`RunOptions::durations`](crate::RunOptions), by which the longest path starts first and the time left is
/// known.
///
/// The file is JSON, replaced as a whole by rename(2), which keeps its permissions and follows a symbolic link, and
/// bounded. It holds hints: one that is damaged is set
/// aside as `FILE.bad`, and begun anew; of two processes that record in the same moment, one may be forgotten.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
    pipeline: String,
    specs: BTreeMap<String, Entry>,
    problem: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    pipelines: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The mean, in nanoseconds; recent runs count more.
    ns: u64,
    /// When it ran last, in seconds since the epoch.
    seen: u64,
}

const OPEN: &str = "open history";
const RECORD: &str = "record history";

impl History {
    /// What the file says of the pipeline of this name. A file that there is not yet is an empty one.
    ///
    /// # Errors
    /// What kept it from being read: [`ErrorKind::PermissionDenied`], [`ErrorKind::System`],
    /// [`ErrorKind::InvalidArgument`] (not a regular file, no file's name, a pipeline's of more than 1024 bytes). A damaged file is none, see
    /// [`History::problem`].
    pub fn open(path: impl AsRef<Path>, pipeline: &str) -> Result<History> {
        fork::check(OPEN)?;
        let path = path.as_ref().to_owned();
        if path.file_name().is_none() {
            return Err(Error::invalid(OPEN, "path: names no file"));
        }
        if pipeline.len() > LONGEST_NAME {
            return Err(Error::invalid(OPEN, format!("pipeline: is longer than {LONGEST_NAME} bytes")));
        }
        let mut history = History { path, pipeline: pipeline.to_owned(), specs: BTreeMap::new(), problem: None };
        let mut document = history.read(OPEN)?;
        history.specs = document.pipelines.remove(pipeline).unwrap_or_default();
        Ok(history)
    }

    /// How long each spec took, by name: the mean of its runs, of which recent ones count more.
    pub fn durations(&self) -> HashMap<String, Duration> {
        let known = self.specs.iter();
        known.map(|(name, entry)| (name.clone(), Duration::from_nanos(entry.ns))).collect()
    }

    /// What was wrong with the file, if it was set aside.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Remembers how long the specs of a run took that passed; of others only when nothing is known of them yet,
    /// and they ended by themselves. Writes the file: what other pipelines have in it stays.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::System`]; the file is as it was.
    pub fn record(&mut self, report: &RunReport) -> Result<()> {
        fork::check(RECORD)?;
        let mut document = self.read(RECORD)?;
        let now = Stamp::now().realtime_ns / 1_000_000_000;
        not_ahead(&mut document, now);
        let specs = document.pipelines.entry(self.pipeline.clone()).or_default();
        for spec in report.specs.iter().filter(|spec| spec.name.len() <= LONGEST_NAME) {
            learn(specs, spec, now);
        }
        self.specs = specs.clone();
        document.version = VERSION;
        self.replace(&text_of(document)).map_err(|error| self.failed(RECORD, "write", &error))
    }

    /// Reads the file; sets aside what is not ours.
    fn read(&mut self, operation: &'static str) -> Result<Document> {
        let text = match self.text() {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Document::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Error::invalid(operation, "is not a regular file").on(self.subject()));
            }
            Err(error) => return Err(self.failed(operation, "read", &error)),
        };
        let problem = match serde_json::from_slice::<Document>(&text) {
            Ok(document) if document.version == VERSION => return Ok(document),
            Ok(document) => format!("version {} is not known, known is {VERSION}", document.version),
            Err(_) if text.len() > LARGEST_FILE => format!("is larger than {LARGEST_FILE} bytes"),
            Err(error) => error.to_string(),
        };
        let aside = beside(&self.path, ".bad");
        let became = match retried(|| fs::rename(&self.path, &aside)) {
            Ok(()) => format!("set aside as {}", quoted(aside.as_os_str().as_encoded_bytes())),
            Err(error) => format!("could not be set aside: {error}"),
        };
        self.problem = Some(format!("{}: {problem}; {became}", self.subject()));
        Ok(Document::default())
    }

    /// None: there is no file.
    fn text(&self) -> io::Result<Option<Vec<u8>>> {
        // Without waiting for the writer of a FIFO.
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&self.path)
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut text = Vec::new();
        file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut text)?;
        Ok(Some(text))
    }

    /// Written whole, or not at all, also if the machine stops: a file of our own beside it takes its name.
    fn replace(&self, text: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Where a symbolic link leads to, so that it stays one.
        let path = retried(|| fs::canonicalize(&self.path)).unwrap_or_else(|_| self.path.clone());
        let permissions = retried(|| fs::metadata(&path)).ok().map(|known| known.permissions());
        let own = format!(".{}.{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let temporary = beside(&path, &own);
        // Not for everybody to write, whatever the umask.
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary).and_then(|mut file| {
                if let Some(permissions) = permissions {
                    file.set_permissions(permissions)?;
                }
                file.write_all(text)?;
                file.sync_all()?;
                retried(|| fs::rename(&temporary, &path))
            });
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        file::sync_directory(folder.unwrap_or(Path::new("."))).map_err(io::Error::from_raw_os_error)
    }

    fn subject(&self) -> String {
        quoted(self.path.as_os_str().as_encoded_bytes())
    }

    fn failed(&self, operation: &'static str, stage: &'static str, error: &io::Error) -> Error {
        match error.raw_os_error() {
            Some(errno) => Error::system(operation, stage, errno).on(self.subject()),
            None => Error::new(ErrorKind::System, operation, error.to_string()).at(stage).on(self.subject()),
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The document as JSON, without what it has no room for.
fn text_of(mut document: Document) -> Vec<u8> {
    let mut most = MOST_SPECS;
    loop {
        forget(&mut document, most);
        // Names and numbers alone: nothing in it can be refused.
        let text = serde_json::to_vec(&document).unwrap_or_default();
        if text.len() <= LARGEST_FILE || most == 0 {
            return text;
        }
        most /= 2;
    }
}

fn learn(specs: &mut BTreeMap<String, Entry>, spec: &SpecResult, now: u64) {
    let took = u64::try_from(spec.duration.as_nanos()).unwrap_or(u64::MAX);
    match (spec.state, specs.get_mut(&spec.name)) {
        (SpecState::Passed, Some(known)) => {
            known.ns = (known.ns as f64 * (1.0 - NEWEST) + took as f64 * NEWEST) as u64;
            known.seen = now;
        }
        (SpecState::Passed, None) | (SpecState::Failed, None) if spec.started.is_some() => {
            specs.insert(spec.name.clone(), Entry { ns: took, seen: now });
        }
        (_, Some(known)) => known.seen = now,
        _ => {}
    }
}

/// What ran at a time that is ahead of the clock, which was set back, would be the last to be forgotten: it ran before this run.
fn not_ahead(document: &mut Document, now: u64) {
    for entry in document.pipelines.values_mut().flat_map(BTreeMap::values_mut).filter(|entry| entry.seen > now) {
        entry.seen = now.saturating_sub(1);
    }
}

/// Drops what ran longest ago, where there is more than so many.
fn forget(document: &mut Document, most: usize) {
    let mut seen: Vec<u64> = document.pipelines.values().flat_map(|specs| specs.values().map(|e| e.seen)).collect();
    seen.sort_unstable_by(|a, b| b.cmp(a));
    // What ran as long ago as the first that goes stays as far as there is room.
    if let Some(oldest) = seen.get(most).copied() {
        let mut room = most - seen.iter().filter(|seen| **seen > oldest).count();
        for specs in document.pipelines.values_mut() {
            specs.retain(|_, entry| {
                let spared = entry.seen == oldest && room > 0;
                room -= usize::from(spared);
                entry.seen > oldest || spared
            });
        }
    }
    document.pipelines.retain(|_, specs| !specs.is_empty());
}
