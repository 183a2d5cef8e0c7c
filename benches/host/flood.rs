//! Several children that write at once, each with a reader of its own: the sum of the rates, how even they are, and how
//! many cores the host and its children use.

use super::{Fallible, Figures, OutputPlan, Stream, probe};

/// `flood CHILD LINES MODE COUNT`: COUNT children of the output workload at once.
pub(crate) struct FloodPlan {
    pub(super) output: OutputPlan,
    pub(super) count: usize,
}

/// Measures `work`, which returns what each reader has read, and after how many nanoseconds it knew the end.
pub(super) fn flood_figures(work: impl FnOnce() -> Fallible<Vec<(Stream, u64)>>) -> Fallible<Figures> {
    let mut total = Stream::begin();
    let cpu = probe::cpu_with_children_us();
    let readers = work()?;
    let ns = total.ns();
    let cpu = probe::cpu_with_children_us() - cpu;
    let rates = || readers.iter().map(|(stream, ns)| stream.bytes as f64 / *ns as f64);
    let spread = rates().fold(0.0, f64::max) / rates().fold(f64::INFINITY, f64::min);
    for (stream, _) in &readers {
        total.bytes += stream.bytes;
        total.lines += stream.lines;
        total.checksum = total.checksum.wrapping_add(stream.checksum);
    }
    Ok(total.figures(ns).with("spread", spread).with("cores", cpu as f64 * 1e3 / ns as f64))
}
