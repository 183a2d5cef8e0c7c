//! [`ProgressOptions`]: how a run is shown.

/// The style in which a run is shown.
///
/// ```
/// use coreproc::{ProgressOptions, ProgressStyle};
///
/// let options = ProgressOptions { style: ProgressStyle::Plain, ..ProgressOptions::default() };
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressStyle {
    /// `Terminal` if the target is a terminal, `NO_COLOR` is not set (or empty), and `TERM` is not `dumb`; else
    /// `Plain`.
    #[default]
    Auto,
    /// Lines that stay and, below them, the specs that run, how many are done, and how long the rest will take.
    Terminal,
    /// Only lines that stay, without control sequences.
    Plain,
}

/// How the output of specs is shown.
///
/// ```
/// use coreproc::{ProgressOptions, ProgressOutput};
///
/// let options = ProgressOptions { output: ProgressOutput::Grouped, ..ProgressOptions::default() };
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressOutput {
    /// Line by line, as it comes: `name | line`.
    #[default]
    Prefixed,
    /// The output of each attempt together, once it has ended; the last mebibyte of it. If a process holds the output
    /// open, output that comes more than ten seconds after the end is shown below a line of its own.
    Grouped,
    /// Not at all.
    None,
}

/// How a run is shown.
///
/// ```
/// use coreproc::{ProgressOptions, ProgressOutput, ProgressStyle};
///
/// let options = ProgressOptions { style: ProgressStyle::Plain, output: ProgressOutput::None };
/// assert_ne!(options, ProgressOptions::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressOptions {
    /// Whether lines are replaced, as on a terminal.
    pub style: ProgressStyle,
    /// How the output of specs is shown.
    pub output: ProgressOutput,
}
