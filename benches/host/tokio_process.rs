//! The peer `tokio::process`, in its natural form: a task for each child, `wait_with_output`, `AsyncRead`,
//! `AsyncBufRead`, `wait`. Work that is one child after another runs on the current-thread runtime, work on many
//! children on the multi-thread runtime.

use super::flood::{FloodPlan, flood_figures};
use super::*;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

pub(crate) fn run(plan: &Plan) -> Fallible<Figures> {
    match plan {
        Plan::Spawn(plan) => spawn(plan),
        Plan::Output(plan) => one_thread()?.block_on(read_one(plan)).map(|(stream, ns)| stream.figures(ns)),
        Plan::Flood(plan) => flood(plan),
        Plan::Latency(plan) => one_thread()?.block_on(latency(plan)),
        Plan::Idle(plan) => idle(plan),
        Plan::BigHost(plan) => big_host(plan),
        Plan::Stop(plan) => many_threads()?.block_on(stop(plan)),
        Plan::Ring(_) => Err("it has no ring".into()),
        _ => Err("it has no pipelines".into()),
    }
}

fn one_thread() -> Fallible<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn many_threads() -> Fallible<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

fn piped(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn spawn(plan: &SpawnPlan) -> Fallible<Figures> {
    let tasks = plan.threads * plan.window;
    let runtime = match tasks {
        1 => one_thread()?,
        _ => Builder::new_multi_thread().worker_threads(plan.threads).enable_all().build()?,
    };
    spawn_figures(plan.count, || {
        runtime.block_on(async {
            let next = Arc::new(AtomicUsize::new(0));
            let mut running = JoinSet::new();
            for _ in 0..tasks {
                running.spawn(worker(plan.child.clone(), Arc::clone(&next), plan.count));
            }
            let mut total = Tally::default();
            while let Some(tally) = running.join_next().await {
                total = total.merge(&tally??);
            }
            Ok(total)
        })
    })
}

async fn worker(child: PathBuf, next: Arc<AtomicUsize>, count: usize) -> Fallible<Tally> {
    let mut tally = Tally::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return Ok(tally);
        }
        let output = piped(&child).arg(index.to_string()).spawn()?.wait_with_output().await?;
        exit_code_is(output.status.code(), index)?;
        tally.add_output(&output.stdout);
        tally.add_output(&output.stderr);
    }
}

async fn read_one(plan: &OutputPlan) -> Fallible<(Stream, u64)> {
    let pattern = check::Pattern::new();
    let mut stream = Stream::begin();
    let mut child = piped(&plan.child).arg(plan.lines.to_string()).spawn()?;
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("no pipes".into());
    };
    let mut ring = Vec::new();
    match plan.mode {
        OutputMode::Bytes => ring = keep_last(&mut stdout, &mut stream).await?,
        OutputMode::Check => compare(&mut stdout, &mut stream, &pattern).await?,
        OutputMode::Lines => {
            let mut lines = BufReader::with_capacity(65536, stdout).lines();
            while let Some(line) = lines.next_line().await? {
                stream.add_line(line.as_bytes());
            }
        }
        OutputMode::LinesReused => {
            let mut reader = BufReader::with_capacity(65536, stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).await? > 0 {
                stream.add_line(&line[..line.len() - 1]);
                line.clear();
            }
        }
    }
    if stderr.read(&mut [0]).await? > 0 {
        return Err("stderr is not empty".into());
    }
    let status = child.wait().await?;
    let ns = stream.ns();
    exit_code_is(status.code(), 0)?;
    check_ring(&pattern, &ring, stream.bytes)?;
    Ok((stream, ns))
}

/// A task for each child, on the runtime that is best for this number of children.
fn flood(plan: &FloodPlan) -> Fallible<Figures> {
    let runtime = if plan.count == 1 { one_thread()? } else { many_threads()? };
    flood_figures(|| {
        runtime.block_on(async {
            let mut readers = JoinSet::new();
            for _ in 0..plan.count {
                let plan = plan.output.clone();
                readers.spawn(async move { read_one(&plan).await });
            }
            readers.join_all().await.into_iter().collect()
        })
    })
}

/// Reads straight into a ring that keeps the last 1 MiB.
async fn keep_last(stdout: &mut ChildStdout, stream: &mut Stream) -> Fallible<Vec<u8>> {
    let mut ring = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let read = stdout.read(&mut ring[at..]).await?;
        if read == 0 {
            return Ok(ring);
        }
        stream.bytes += read as u64;
        at = (at + read) % ring.len();
    }
}

async fn compare(stdout: &mut ChildStdout, stream: &mut Stream, pattern: &check::Pattern) -> Fallible<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let read = stdout.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        pattern.check(stream.bytes, &buffer[..read])?;
        stream.bytes += read as u64;
    }
}

async fn latency(plan: &LatencyPlan) -> Fallible<Figures> {
    let page = probe::Page::map(&plan.page)?;
    let mut samples = Vec::with_capacity(plan.count);
    for slot in 0..plan.count {
        let mut command = piped(&plan.child);
        command.arg(&plan.page).arg(slot.to_string()).arg(&plan.hold_us);
        let mut child = command.spawn()?;
        let status = child.wait().await?;
        samples.push(probe::monotonic_ns() - page.stamp(slot));
        exit_code_is(status.code(), slot)?;
    }
    Ok(latency_figures(&mut samples))
}

/// Measures idle children; each live child is watched by a task that waits for it.
fn idle(plan: &IdlePlan) -> Fallible<Figures> {
    let runtime = many_threads()?;
    let (figures, children) = idle_figures(plan, || {
        let _entered = runtime.enter();
        let mut child = piped(&plan.child).args(idle_arguments(&plan.page, false)).spawn()?;
        let stdin = child.stdin.take();
        Ok((stdin, runtime.spawn(async move { child.wait().await })))
    })?;
    let (stdins, waits): (Vec<Option<ChildStdin>>, Vec<_>) = children.into_iter().unzip();
    drop(stdins);
    for wait in waits {
        exit_code_is(runtime.block_on(wait)??.code(), 0)?;
    }
    Ok(figures)
}

fn big_host(plan: &BigHostPlan) -> Fallible<Figures> {
    let runtime = one_thread()?;
    big_host_figures(plan, |count, samples| {
        runtime.block_on(async {
            for index in 0..count {
                let mut command = piped(&plan.child);
                command.arg(index.to_string());
                let start = probe::monotonic_ns();
                let child = command.spawn()?;
                samples.push(probe::monotonic_ns() - start);
                let output = child.wait_with_output().await?;
                exit_code_is(output.status.code(), index)?;
                hello_is_whole(output.stdout.len(), output.stderr.len())?;
            }
            Ok(())
        })
    })
}

async fn stop(plan: &StopPlan) -> Fallible<Figures> {
    let page = probe::Page::map(&plan.page)?;
    let mut children = Vec::with_capacity(plan.count);
    for index in 0..plan.count {
        let arguments = idle_arguments(&plan.page, index < plan.stubborn);
        let mut child = piped(&plan.child).args(arguments).spawn()?;
        let stdin = child.stdin.take();
        children.push((child, stdin));
    }
    page.wait_ready(plan.count);
    let start = probe::monotonic_ns();
    let mut stopping = JoinSet::new();
    for (child, stdin) in children {
        stopping.spawn(stop_one(child, stdin, plan.grace));
    }
    let mut by_kill = 0;
    let mut ended = Vec::with_capacity(plan.count);
    while let Some(signal) = stopping.join_next().await {
        let (signal, child, stdin) = signal??;
        by_kill += usize::from(signal == libc::SIGKILL);
        ended.push((child, stdin));
    }
    Ok(stop_figures(start, by_kill))
}

/// `wait` would close stdin, and the child would end by that: it is kept until the child has ended.
async fn stop_one(
    mut child: Child,
    stdin: Option<ChildStdin>,
    grace: Duration,
) -> Fallible<(i32, Child, Option<ChildStdin>)> {
    probe::send_signal(child.id().ok_or("already reaped")?, libc::SIGTERM)?;
    let status = match tokio::time::timeout(grace, child.wait()).await {
        Ok(status) => status?,
        Err(_) => {
            child.start_kill()?;
            child.wait().await?
        }
    };
    let signal = status.signal().ok_or("a child did not end by a signal")?;
    Ok((signal, child, stdin))
}
