//! The peer `std::process`, in its natural form: `wait_with_output`, `Read`, `BufRead`, `wait`.

use super::flood::{FloodPlan, flood_figures};
use super::*;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) fn run(plan: &Plan) -> Fallible<Figures> {
    match plan {
        Plan::Spawn(plan) => spawn(plan),
        Plan::Output(plan) => read_one(plan).map(|(stream, ns)| stream.figures(ns)),
        Plan::Flood(plan) => flood(plan),
        Plan::Latency(plan) => latency(plan),
        Plan::Idle(plan) => idle(plan),
        Plan::BigHost(plan) => big_host(plan),
        Plan::Stop(plan) => stop(plan),
        Plan::Ring(_) => Err("it has no ring".into()),
        _ => Err("it has no pipelines".into()),
    }
}

fn piped(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn spawn(plan: &SpawnPlan) -> Fallible<Figures> {
    let worker = |indexes| {
        let mut tally = Tally::default();
        in_window(
            indexes,
            plan.window,
            |index| Ok(piped(&plan.child).arg(index.to_string()).spawn()?),
            |index, child: Child| {
                let output = child.wait_with_output()?;
                exit_code_is(output.status.code(), index)?;
                tally.add_output(&output.stdout);
                tally.add_output(&output.stderr);
                Ok(())
            },
        )?;
        Ok(tally)
    };
    spawn_figures(plan.count, || on_threads(plan, worker))
}

fn read_one(plan: &OutputPlan) -> Fallible<(Stream, u64)> {
    let pattern = check::Pattern::new();
    let mut stream = Stream::begin();
    let mut child = piped(&plan.child).arg(plan.lines.to_string()).spawn()?;
    let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("no pipes".into());
    };
    let mut ring = Vec::new();
    match plan.mode {
        OutputMode::Bytes => ring = keep_last(stdout, &mut stream)?,
        OutputMode::Check => compare(stdout, &mut stream, &pattern)?,
        OutputMode::Lines => {
            for line in BufReader::with_capacity(65536, stdout).lines() {
                stream.add_line(line?.as_bytes());
            }
        }
        OutputMode::LinesReused => {
            let mut reader = BufReader::with_capacity(65536, stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                stream.add_line(&line[..line.len() - 1]);
                line.clear();
            }
        }
    }
    if stderr.read(&mut [0])? > 0 {
        return Err("stderr is not empty".into());
    }
    let status = child.wait()?;
    let ns = stream.ns();
    exit_code_is(status.code(), 0)?;
    check_ring(&pattern, &ring, stream.bytes)?;
    Ok((stream, ns))
}

/// A thread for each child.
fn flood(plan: &FloodPlan) -> Fallible<Figures> {
    flood_figures(|| {
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..plan.count).map(|_| scope.spawn(|| read_one(&plan.output))).collect();
            readers.into_iter().map(|reader| reader.join().map_err(|_| "a reader panicked")?).collect()
        })
    })
}

/// Reads straight into a ring that keeps the last 1 MiB.
fn keep_last(mut stdout: ChildStdout, stream: &mut Stream) -> Fallible<Vec<u8>> {
    let mut ring = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let read = stdout.read(&mut ring[at..])?;
        if read == 0 {
            return Ok(ring);
        }
        stream.bytes += read as u64;
        at = (at + read) % ring.len();
    }
}

fn compare(mut stdout: ChildStdout, stream: &mut Stream, pattern: &check::Pattern) -> Fallible<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let read = stdout.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        pattern.check(stream.bytes, &buffer[..read])?;
        stream.bytes += read as u64;
    }
}

fn latency(plan: &LatencyPlan) -> Fallible<Figures> {
    let page = probe::Page::map(&plan.page)?;
    let mut samples = Vec::with_capacity(plan.count);
    for slot in 0..plan.count {
        let mut command = piped(&plan.child);
        command.arg(&plan.page).arg(slot.to_string()).arg(&plan.hold_us);
        let mut child = command.spawn()?;
        let status = child.wait()?;
        samples.push(probe::monotonic_ns() - page.stamp(slot));
        exit_code_is(status.code(), slot)?;
    }
    Ok(latency_figures(&mut samples))
}

fn idle(plan: &IdlePlan) -> Fallible<Figures> {
    let (figures, mut children) =
        idle_figures(plan, || Ok(piped(&plan.child).args(idle_arguments(&plan.page, false)).spawn()?))?;
    for child in &mut children {
        drop(child.stdin.take());
    }
    for mut child in children {
        exit_code_is(child.wait()?.code(), 0)?;
    }
    Ok(figures)
}

fn big_host(plan: &BigHostPlan) -> Fallible<Figures> {
    big_host_figures(plan, |count, samples| {
        for index in 0..count {
            let mut command = piped(&plan.child);
            command.arg(index.to_string());
            let start = probe::monotonic_ns();
            let child = command.spawn()?;
            samples.push(probe::monotonic_ns() - start);
            let output = child.wait_with_output()?;
            exit_code_is(output.status.code(), index)?;
            hello_is_whole(output.stdout.len(), output.stderr.len())?;
        }
        Ok(())
    })
}

/// `wait` cannot be bounded in time, so std has no natural form of a grace period: none of the children is stubborn.
fn stop(plan: &StopPlan) -> Fallible<Figures> {
    let page = probe::Page::map(&plan.page)?;
    let mut children: Vec<(Child, Option<ChildStdin>)> = Vec::with_capacity(plan.count);
    for _ in 0..plan.count {
        let mut child = piped(&plan.child).args(idle_arguments(&plan.page, false)).spawn()?;
        let stdin = child.stdin.take();
        children.push((child, stdin));
    }
    page.wait_ready(plan.count);
    let start = probe::monotonic_ns();
    for (child, _) in &children {
        probe::send_signal(child.id(), libc::SIGTERM)?;
    }
    for (child, _) in &mut children {
        if child.wait()?.signal() != Some(libc::SIGTERM) {
            return Err("a child did not end by SIGTERM".into());
        }
    }
    Ok(stop_figures(start, 0))
}
