//! [`History`]: a file that remembers how long specs take.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::result::{RunReport, SpecResult};
use crate::error::{Error, Result, describe_errno};
use crate::event::SpecState;
use crate::sys::clock::Stamp;
use crate::sys::file::{self, Kind};
use crate::sys::fork;
use crate::util::draft::Draft;
use crate::util::duration::nanoseconds;
use crate::util::path::{quoted, with_suffix};

const VERSION: u32 = 1;
/// The weight of the last run in the mean; all runs before it have the rest.
const NEWEST: f64 = 0.3;
/// The most specs that are remembered, of all pipelines of a file together. Those that ran last stay.
const MOST_SPECS: usize = 20_000;
/// The longest name, in bytes. Longer names of specs are not remembered, longer names of pipelines are refused.
const LONGEST_NAME: usize = 1024;
/// The largest file, in bytes, that is written. If long names would make it larger, fewer specs are remembered.
const LARGEST_FILE: usize = 64 * 1024 * 1024;

/// How long the specs of a pipeline took in earlier runs, kept in a file that may serve several pipelines. It is meant
/// for [`RunOptions::durations`](crate::RunOptions::durations), by which the longest path starts first and the time
/// that is left is estimated.
///
/// The file is JSON, and bounded. It is replaced as a whole by rename(2); its permissions stay, and a symbolic link to
/// it stays one. It holds no more than hints: a damaged file is set aside as `FILE.bad` and begun anew, and if two
/// processes record in the same moment, the record of one may be lost.
///
/// ```
/// use coreproc::{Command, History, Pipeline, RunOptions, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let path = scratch.path().join("durations.json");
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("build", Command::new("true")));
/// let mut history = History::open(&path, "nightly")?;
/// let options = RunOptions { durations: history.durations(), ..RunOptions::default() };
/// let report = pipeline.start(&service, options)?.wait(None)?;
/// history.record(&report)?;
/// assert!(History::open(&path, "nightly")?.durations().contains_key("build"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
    pipeline: String,
    specs: BTreeMap<String, Entry>,
    problem: Option<String>,
}

/// The JSON of the file: specs by pipeline and name.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    pipelines: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The mean duration in nanoseconds; recent runs count more.
    ns: u64,
    /// When the spec ran last, in seconds since the epoch.
    seen: u64,
}

const OPEN: &str = "open history";
const RECORD: &str = "record history";

impl History {
    /// Reads what the file says of the pipeline of this name. A missing file counts as an empty one.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the path names no regular file, or the pipeline's name is longer than 1024 bytes.
    /// `PermissionDenied`, `System` and the like if the file cannot be read. A damaged file is no error, see
    /// [`History::problem`].
    pub fn open(path: impl AsRef<Path>, pipeline: &str) -> Result<History> {
        fork::check_original(OPEN)?;
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

    /// Returns how long each spec took, by name: the mean of its runs, in which recent runs count more.
    pub fn durations(&self) -> HashMap<String, Duration> {
        let known = self.specs.iter();
        known.map(|(name, entry)| (name.clone(), Duration::from_nanos(entry.ns))).collect()
    }

    /// Returns what was wrong with the file, if it was damaged and set aside.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Remembers how long the specs of a run took, and writes the file. Specs that passed count; those that failed
    /// count only if nothing is known of them yet. What the file says of other pipelines stays.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`, `System` and the like if the file cannot be read or written; it is as it was.
    pub fn record(&mut self, report: &RunReport) -> Result<()> {
        fork::check_original(RECORD)?;
        let mut document = self.read(RECORD)?;
        let now = Stamp::now().realtime_ns / 1_000_000_000;
        not_ahead(&mut document, now);
        let specs = document.pipelines.entry(self.pipeline.clone()).or_default();
        for spec in report.specs.iter().filter(|spec| spec.name.len() <= LONGEST_NAME) {
            learn(specs, spec, now);
        }
        self.specs = specs.clone();
        document.version = VERSION;
        self.replace(&text_of(document)).map_err(|errno| self.failed(RECORD, "write", errno))
    }

    /// Reads the file. A file that is not a history is set aside, and an empty document returned.
    fn read(&mut self, operation: &'static str) -> Result<Document> {
        let fail = |errno| self.failed(operation, "read", errno);
        let refused = || Err(Error::invalid(operation, "is not a regular file").on(quoted(&self.path)));
        let file = match file::open_through(&self.path) {
            Err(libc::ENOENT) => return Ok(Document::default()),
            // The path has a NUL byte.
            Err(libc::EINVAL) => return refused(),
            file => file.map_err(fail)?,
        };
        if file::facts(&file).map_err(fail)?.kind != Kind::Regular {
            return refused();
        }
        let text = file::read_large(file, LARGEST_FILE).map_err(fail)?;
        let problem = match serde_json::from_slice::<Document>(&text) {
            Ok(document) if document.version == VERSION => return Ok(document),
            Ok(document) => format!("version {} is not known, known is {VERSION}", document.version),
            Err(_) if text.len() > LARGEST_FILE => format!("is larger than {LARGEST_FILE} bytes"),
            Err(error) => error.to_string(),
        };
        let aside = with_suffix(&self.path, ".bad");
        let became = match file::rename(&self.path, &aside) {
            Ok(()) => format!("set aside as {}", quoted(&aside)),
            Err(errno) => format!("could not be set aside: {}", describe_errno(errno)),
        };
        self.problem = Some(format!("{}: {problem}; {became}", quoted(&self.path)));
        Ok(Document::default())
    }

    /// Replaces the file by one with this text: whole, or not at all, also if the machine stops.
    fn replace(&self, text: &[u8]) -> std::result::Result<(), i32> {
        // A symbolic link stays one: the file to which it leads is replaced.
        let path = file::real_path(&self.path).unwrap_or_else(|_| self.path.clone());
        let earlier = file::look_through(&path).ok();
        // Only its owner may write it, whatever the umask is.
        let draft = Draft::create(0o644, |pid, number| with_suffix(&path, &format!(".{pid}.{number}.tmp")))?;
        if let Some(earlier) = earlier {
            file::set_mode(draft.file(), earlier.mode & 0o7777)?;
        }
        draft.write(text).map_err(|(_, errno)| errno)?;
        draft.publish(&path)?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        file::sync_directory(directory.unwrap_or(Path::new(".")))
    }

    fn failed(&self, operation: &'static str, stage: &'static str, errno: i32) -> Error {
        Error::system(operation, stage, errno).on(quoted(&self.path))
    }
}

/// Writes the document as JSON, without the specs for which it has no room.
fn text_of(mut document: Document) -> Vec<u8> {
    let mut most = MOST_SPECS;
    loop {
        forget(&mut document, most);
        // Names and numbers are always accepted.
        let text = serde_json::to_vec(&document).unwrap_or_default();
        if text.len() <= LARGEST_FILE || most == 0 {
            return text;
        }
        most /= 2;
    }
}

/// Adds the duration of a spec to its mean.
fn learn(specs: &mut BTreeMap<String, Entry>, spec: &SpecResult, now: u64) {
    let took = nanoseconds(spec.duration);
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

/// Lets specs that seem to have run in the future, because the clock was set back, count as having run before this run;
/// else they would be forgotten last.
fn not_ahead(document: &mut Document, now: u64) {
    for entry in document.pipelines.values_mut().flat_map(BTreeMap::values_mut).filter(|entry| entry.seen > now) {
        entry.seen = now.saturating_sub(1);
    }
}

/// Forgets the specs that ran longest ago, if there are more than `most`.
fn forget(document: &mut Document, most: usize) {
    let mut seen: Vec<u64> = document.pipelines.values().flat_map(|specs| specs.values().map(|e| e.seen)).collect();
    seen.sort_unstable_by(|a, b| b.cmp(a));
    // Of the specs that ran as long ago as the first that is forgotten, as many stay as there is room for.
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
