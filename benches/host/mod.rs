//! The Rust hosts: one file for each implementation, all with the same workloads. A host runs one workload once and
//! prints its figures as one line of JSON; the C hosts (`../c`, `../limit`) take the same arguments.

mod flood;
mod ours;
mod ours_pipeline;
mod std_process;
mod tokio_process;

use crate::Fallible;
use crate::harness::figures::Figures;
use crate::harness::{check, probe};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `spawn CHILD COUNT THREADS WINDOW`: THREADS times WINDOW children in flight.
pub(crate) struct SpawnPlan {
    pub(crate) child: PathBuf,
    pub(crate) count: usize,
    pub(crate) threads: usize,
    pub(crate) window: usize,
}

/// `output CHILD LINES MODE`
#[derive(Clone)]
pub(crate) struct OutputPlan {
    pub(crate) child: PathBuf,
    pub(crate) lines: u64,
    pub(crate) mode: OutputMode,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum OutputMode {
    /// The last 1 MiB is kept; there is no listener.
    Bytes,
    /// Every byte is compared by the consumer.
    Check,
    /// Each line goes to the consumer.
    Lines,
    /// Each line, in the peer's other way, if it has one.
    LinesReused,
}

impl OutputMode {
    fn parse(word: &str) -> Fallible<Self> {
        match word {
            "bytes" => Ok(Self::Bytes),
            "check" => Ok(Self::Check),
            "lines" => Ok(Self::Lines),
            "lines_reused" => Ok(Self::LinesReused),
            other => Err(format!("unknown mode {other:?}").into()),
        }
    }
}

/// `latency CHILD PAGE COUNT HOLD_US`
pub(crate) struct LatencyPlan {
    pub(crate) child: PathBuf,
    pub(crate) page: PathBuf,
    pub(crate) count: usize,
    pub(crate) hold_us: String,
}

/// `idle CHILD PAGE COUNT WARM`
pub(crate) struct IdlePlan {
    pub(crate) child: PathBuf,
    pub(crate) page: PathBuf,
    pub(crate) count: usize,
    pub(crate) warm: usize,
}

/// `big_host CHILD COUNT MIB`
pub(crate) struct BigHostPlan {
    pub(crate) child: PathBuf,
    pub(crate) count: usize,
    pub(crate) mib: usize,
}

/// `stop CHILD PAGE COUNT STUBBORN GRACE_MS`
pub(crate) struct StopPlan {
    pub(crate) child: PathBuf,
    pub(crate) page: PathBuf,
    pub(crate) count: usize,
    pub(crate) stubborn: usize,
    pub(crate) grace: Duration,
}

/// `ring COUNT`
pub(crate) struct RingPlan {
    pub(crate) count: usize,
}

pub(crate) enum Plan {
    Spawn(SpawnPlan),
    Output(OutputPlan),
    Flood(flood::FloodPlan),
    Latency(LatencyPlan),
    Idle(IdlePlan),
    BigHost(BigHostPlan),
    Stop(StopPlan),
    Specs(ours_pipeline::SpecsPlan),
    Makespan(ours_pipeline::MakespanPlan),
    Chains(ours_pipeline::ChainsPlan),
    Graph(ours_pipeline::GraphPlan),
    Ring(RingPlan),
}

pub(crate) fn run(arguments: &[String]) -> Fallible<()> {
    probe::begin_host();
    let (implementation, plan) = parse(arguments)?;
    let figures = match implementation {
        "ours" => ours::run(&plan)?,
        "std" => std_process::run(&plan)?,
        "tokio" => tokio_process::run(&plan)?,
        other => return Err(format!("unknown implementation {other:?}").into()),
    };
    print!("{figures}");
    Ok(())
}

fn parse(arguments: &[String]) -> Fallible<(&str, Plan)> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [implementation, "ring", count] = words[..] {
        return Ok((implementation, Plan::Ring(RingPlan { count: count.parse()? })));
    }
    let [implementation, workload, child, rest @ ..] = words.as_slice() else {
        return Err("expected IMPLEMENTATION WORKLOAD CHILD".into());
    };
    let child = PathBuf::from(child);
    let plan = match (*workload, rest) {
        ("spawn", [count, threads, window]) => {
            Plan::Spawn(SpawnPlan { child, count: count.parse()?, threads: threads.parse()?, window: window.parse()? })
        }
        ("output", [lines, mode]) => {
            Plan::Output(OutputPlan { child, lines: lines.parse()?, mode: OutputMode::parse(mode)? })
        }
        ("flood", [lines, mode, count]) => Plan::Flood(flood::FloodPlan {
            output: OutputPlan { child, lines: lines.parse()?, mode: OutputMode::parse(mode)? },
            count: count.parse()?,
        }),
        ("latency", [page, count, hold_us]) => Plan::Latency(LatencyPlan {
            child,
            page: page.into(),
            count: count.parse()?,
            hold_us: (*hold_us).to_owned(),
        }),
        ("idle", [page, count, warm]) => {
            Plan::Idle(IdlePlan { child, page: page.into(), count: count.parse()?, warm: warm.parse()? })
        }
        ("big_host", [count, mib]) => Plan::BigHost(BigHostPlan { child, count: count.parse()?, mib: mib.parse()? }),
        ("stop", [page, count, stubborn, grace_ms]) => Plan::Stop(StopPlan {
            child,
            page: page.into(),
            count: count.parse()?,
            stubborn: stubborn.parse()?,
            grace: Duration::from_millis(grace_ms.parse()?),
        }),
        ("specs", [count, limit]) => {
            Plan::Specs(ours_pipeline::SpecsPlan { child, count: count.parse()?, limit: limit.parse()? })
        }
        ("makespan", [graphs, specs, limit]) => Plan::Makespan(ours_pipeline::MakespanPlan {
            child,
            graphs: graphs.parse()?,
            specs: specs.parse()?,
            limit: limit.parse()?,
        }),
        ("chains", [steps]) => Plan::Chains(ours_pipeline::ChainsPlan { child, steps: steps.parse()? }),
        ("graph", [count]) => Plan::Graph(ours_pipeline::GraphPlan { child, count: count.parse()? }),
        _ => {
            return Err(format!("unknown workload {workload:?} with {} arguments", rest.len()).into());
        }
    };
    Ok((implementation, plan))
}

/// The output that one worker, or a whole run, of the spawn workload has read.
#[derive(Default)]
pub(crate) struct Tally {
    bytes: u64,
    checksum: u64,
}

impl Tally {
    pub(crate) fn add_output(&mut self, output: &[u8]) {
        self.bytes += output.len() as u64;
        self.checksum = self.checksum.wrapping_add(check::sum_lines(output));
    }

    pub(crate) fn merge(mut self, other: &Self) -> Self {
        self.bytes += other.bytes;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        self
    }
}

/// Measures `work`, which spawns and ends `count` children.
pub(crate) fn spawn_figures(count: usize, work: impl FnOnce() -> Fallible<Tally>) -> Fallible<Figures> {
    let (start, cpu) = (probe::monotonic_ns(), probe::cpu_us());
    let tally = work()?;
    let seconds = (probe::monotonic_ns() - start) as f64 / 1e9;
    let cpu = probe::cpu_us() - cpu;
    Ok(Figures::default()
        .with("per_second", count as f64 / seconds)
        .with("cpu_us", cpu as f64 / count as f64)
        .with("bytes", tally.bytes)
        .with("checksum", format!("{:016x}", tally.checksum)))
}

/// Runs `worker` on each thread with its share of the children; `worker` is given the indexes it has to spawn.
pub(crate) fn on_threads(
    plan: &SpawnPlan,
    worker: impl Fn(std::ops::Range<usize>) -> Fallible<Tally> + Sync,
) -> Fallible<Tally> {
    let share = plan.count / plan.threads;
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..plan.threads)
            .map(|thread| {
                let last = if thread + 1 == plan.threads { plan.count } else { share * (thread + 1) };
                let worker = &worker;
                scope.spawn(move || worker(share * thread..last))
            })
            .collect();
        running.into_iter().try_fold(Tally::default(), |total, thread| {
            let tally = thread.join().map_err(|_| "a worker panicked")??;
            Ok(total.merge(&tally))
        })
    })
}

/// Keeps up to `window` children in flight, and ends the oldest first.
pub(crate) fn in_window<C>(
    indexes: std::ops::Range<usize>,
    window: usize,
    mut start: impl FnMut(usize) -> Fallible<C>,
    mut end: impl FnMut(usize, C) -> Fallible<()>,
) -> Fallible<()> {
    let mut flying = std::collections::VecDeque::with_capacity(window);
    for index in indexes {
        if flying.len() == window
            && let Some((oldest, child)) = flying.pop_front()
        {
            end(oldest, child)?;
        }
        flying.push_back((index, start(index)?));
    }
    flying.into_iter().try_for_each(|(index, child)| end(index, child))
}

/// The output that the output workload has read, and when it began.
pub(crate) struct Stream {
    start: u64,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) checksum: u64,
}

impl Stream {
    pub(crate) fn begin() -> Self {
        Self { start: probe::monotonic_ns(), bytes: 0, lines: 0, checksum: 0 }
    }

    /// `line` without its newline.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        self.lines += 1;
        self.bytes += line.len() as u64 + 1;
        self.checksum = check::add_line(self.checksum, line);
    }

    pub(crate) fn ns(&self) -> u64 {
        probe::monotonic_ns() - self.start
    }

    pub(crate) fn figures(&self, ns: u64) -> Figures {
        let seconds = ns as f64 / 1e9;
        Figures::default()
            .with("bytes_per_second", self.bytes as f64 / seconds)
            .with("lines_per_second", self.lines as f64 / seconds)
            .with("bytes", self.bytes)
            .with("lines", self.lines)
            .with("checksum", format!("{:016x}", self.checksum))
    }
}

/// Checks a peer's ring of the last bytes against what the child wrote.
pub(crate) fn check_ring(pattern: &check::Pattern, ring: &[u8], bytes: u64) -> Fallible<()> {
    let read = usize::try_from(bytes)?;
    let kept = &ring[..read.min(ring.len())];
    let (newer, older) = kept.split_at(if read > ring.len() { read % ring.len().max(1) } else { 0 });
    pattern.check(bytes - kept.len() as u64, older)?;
    pattern.check(bytes - newer.len() as u64, newer)
}

pub(crate) fn percentile(samples: &mut [u64], percent: usize) -> f64 {
    samples.sort_unstable();
    let at = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
    samples.get(at).copied().unwrap_or(0) as f64
}

pub(crate) fn latency_figures(samples: &mut [u64]) -> Figures {
    Figures::default().with("p50_us", percentile(samples, 50) / 1e3).with("p99_us", percentile(samples, 99) / 1e3)
}

pub(crate) fn exit_code_is(actual: Option<i32>, index: usize) -> Fallible<()> {
    match actual {
        Some(code) if usize::try_from(code) == Ok(index % 64) => Ok(()),
        other => Err(format!("child {index} ended with {other:?}").into()),
    }
}

/// Checks that both lines of a `hello` were read.
pub(crate) fn hello_is_whole(stdout: usize, stderr: usize) -> Fallible<()> {
    match (stdout, stderr) {
        (check::HELLO_BYTES, check::HELLO_BYTES) => Ok(()),
        other => Err(format!("a child wrote {other:?} bytes").into()),
    }
}

/// Spawns `warm` children, then `count` more, and looks at what the latter cost. The children are kept alive by their
/// stdin, and returned.
pub(crate) fn idle_figures<C>(plan: &IdlePlan, mut start: impl FnMut() -> Fallible<C>) -> Fallible<(Figures, Vec<C>)> {
    let page = probe::Page::map(&plan.page)?;
    let mut children = Vec::with_capacity(plan.warm + plan.count);
    for _ in 0..plan.warm {
        children.push(start()?);
    }
    page.wait_ready(plan.warm);
    let threads_before = probe::threads()?.count;
    probe::rss_bytes()?; // what the look itself costs comes before it
    let rss = probe::rss_bytes()?;
    for _ in 0..plan.count {
        children.push(start()?);
    }
    page.wait_ready(plan.warm + plan.count);
    let per_child = (probe::rss_bytes()? - rss) / plan.count as f64;
    let threads_after = probe::threads()?.count;
    let figures = Figures::default()
        .with("rss_per_child", per_child)
        .with("threads_before", threads_before)
        .with("threads_after", threads_after)
        .with("switches", probe::idle_switches()?);
    Ok((figures, children))
}

/// Measures after a warm-up: small, big, small, so that what changes as a host gets older is not taken for an effect of
/// its memory. `spawn_ns` spawns this many children and adds the time of each call to the samples.
pub(crate) fn big_host_figures(
    plan: &BigHostPlan,
    mut spawn_ns: impl FnMut(usize, &mut Vec<u64>) -> Fallible<()>,
) -> Fallible<Figures> {
    let (mut small, mut big) = (Vec::with_capacity(plan.count), Vec::with_capacity(plan.count));
    spawn_ns(plan.count / 2, &mut Vec::new())?;
    spawn_ns(plan.count / 2, &mut small)?;
    let ballast = probe::Ballast::new(plan.mib)?;
    spawn_ns(plan.count, &mut big)?;
    drop(ballast);
    spawn_ns(plan.count / 2, &mut small)?;
    Ok(Figures::default()
        .with("small_us", percentile(&mut small, 50) / 1e3)
        .with("big_us", percentile(&mut big, 50) / 1e3))
}

pub(crate) fn stop_figures(start: u64, by_kill: usize) -> Figures {
    Figures::default().with("ms", (probe::monotonic_ns() - start) as f64 / 1e6).with("by_kill", by_kill)
}

/// Returns the arguments of `idle`.
pub(crate) fn idle_arguments(page: &Path, stubborn: bool) -> Vec<std::ffi::OsString> {
    let mut arguments = vec![page.as_os_str().to_owned()];
    arguments.extend(stubborn.then(|| "stubborn".into()));
    arguments
}
