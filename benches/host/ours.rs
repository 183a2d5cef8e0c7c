//! Ours, through the Rust API.

use super::flood::{FloodPlan, flood_figures};
use super::*;
use coreproc::{
    Command, Delivery, EventKind, ExitStatus, Process, Scope, Service, Stdin, StopOptions, Stream as From,
    Subscription, SubscriptionOptions, SubscriptionScope,
};
use std::sync::mpsc;

/// What a consumer has seen, once its process is closed.
type Consumed = mpsc::Receiver<Fallible<(Stream, u64)>>;

/// How many bytes a command captures by default.
const CAPTURE_BYTES: usize = 1 << 20;

pub(crate) fn run(plan: &Plan) -> Fallible<Figures> {
    match plan {
        Plan::Spawn(plan) => spawn(plan),
        Plan::Output(plan) => output(plan),
        Plan::Flood(plan) => flood(plan),
        Plan::Latency(plan) => latency(plan),
        Plan::Idle(plan) => idle(plan),
        Plan::BigHost(plan) => big_host(plan),
        Plan::Stop(plan) => stop(plan),
        Plan::Specs(plan) => ours_pipeline::specs(plan),
        Plan::Makespan(plan) => ours_pipeline::makespan(plan),
        Plan::Chains(plan) => ours_pipeline::chains(plan),
        Plan::Graph(plan) => ours_pipeline::graph(plan),
        Plan::Ring(plan) => ring(plan),
    }
}

fn piped(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdin::Pipe);
    command
}

fn exited(status: Option<ExitStatus>, index: usize) -> Fallible<()> {
    match status {
        Some(ExitStatus::Code(code)) => exit_code_is(Some(code), index),
        other => Err(format!("child {index} ended with {other:?}").into()),
    }
}

fn spawn(plan: &SpawnPlan) -> Fallible<Figures> {
    let service = Service::new(Default::default())?;
    let worker = |indexes| {
        let mut tally = Tally::default();
        in_window(
            indexes,
            plan.window,
            |index| Ok(piped(&plan.child).arg(index.to_string()).spawn(&service)?),
            |index, process: Process| {
                exited(process.wait(None)?.status(), index)?;
                tally.add_output(&process.output()?);
                Ok(())
            },
        )?;
        Ok(tally)
    };
    spawn_figures(plan.count, || on_threads(plan, worker))
}

fn output(plan: &OutputPlan) -> Fallible<Figures> {
    let pattern = check::Pattern::new();
    let service = Service::new(Default::default())?;
    let flow = Flow::start(plan, &service, &pattern)?;
    let (stream, ns) = flow.wait()?;
    flow.check_capture(&pattern)?;
    Ok(stream.figures(ns))
}

/// One service; a listener for each child.
fn flood(plan: &FloodPlan) -> Fallible<Figures> {
    let pattern = check::Pattern::new();
    let service = Service::new(Default::default())?;
    let mut flows = Vec::with_capacity(plan.count);
    let figures = flood_figures(|| {
        for _ in 0..plan.count {
            flows.push(Flow::start(&plan.output, &service, &pattern)?);
        }
        flows.iter().map(Flow::wait).collect()
    })?;
    flows.iter().try_for_each(|flow| flow.check_capture(&pattern))?;
    Ok(figures)
}

/// A child that writes, and its listener, if it has one.
struct Flow {
    process: Process,
    listener: Option<(Subscription, Consumed)>,
    stream: Stream,
}

impl Flow {
    fn start(plan: &OutputPlan, service: &Service, pattern: &check::Pattern) -> Fallible<Self> {
        let delivery = match plan.mode {
            OutputMode::Bytes => None,
            OutputMode::Check => Some(Delivery::Chunks),
            OutputMode::Lines | OutputMode::LinesReused => Some(Delivery::Lines),
        };
        let mut command = piped(&plan.child);
        command.arg(plan.lines.to_string());
        let stream = Stream::begin();
        let listener = delivery.map(|delivery| listen(service, delivery, pattern)).transpose()?;
        if let Some((subscription, _)) = &listener {
            command.subscribe(subscription);
        }
        Ok(Self { process: command.spawn(service)?, listener, stream })
    }

    /// Returns what was read, and after how many nanoseconds its end was known.
    fn wait(&self) -> Fallible<(Stream, u64)> {
        let delivered = self.listener.as_ref().map(|(_, closed)| closed.recv()?).transpose()?;
        let info = self.process.wait(None)?;
        exited(info.status(), 0)?;
        let (stream, ns) = match delivered {
            Some((stream, _)) if stream.bytes != info.stdout_bytes => {
                return Err(format!("{} of {} bytes delivered", stream.bytes, info.stdout_bytes).into());
            }
            Some(delivered) => delivered,
            None => (Stream { bytes: info.stdout_bytes, ..self.stream }, self.stream.ns()),
        };
        if info.stderr_bytes > 0 {
            return Err("stderr is not empty".into());
        }
        Ok((stream, ns))
    }

    fn check_capture(&self, pattern: &check::Pattern) -> Fallible<()> {
        let bytes = self.process.info()?.stdout_bytes;
        let tail = self.process.output()?;
        if tail.len() != CAPTURE_BYTES.min(usize::try_from(bytes)?) {
            return Err(format!("{} bytes captured", tail.len()).into());
        }
        pattern.check(bytes - tail.len() as u64, &tail)
    }
}

fn listen(service: &Service, delivery: Delivery, pattern: &check::Pattern) -> Fallible<(Subscription, Consumed)> {
    let (done, closed) = mpsc::channel();
    let options = SubscriptionOptions { scope: SubscriptionScope::Named, delivery, ..Default::default() };
    let in_lines = delivery == Delivery::Lines;
    let mut consumer = Consumer { in_lines, pattern: pattern.clone(), done, stream: Stream::begin() };
    Ok((service.listen(options, move |batch| consumer.receive(batch))?, closed))
}

/// A consumer on the dispatcher's thread, which hands over its counts when the process is closed.
struct Consumer {
    in_lines: bool,
    pattern: check::Pattern,
    done: mpsc::Sender<Fallible<(Stream, u64)>>,
    stream: Stream,
}

impl Consumer {
    fn receive(&mut self, batch: &coreproc::Batch) {
        for event in batch.events() {
            match event.kind {
                EventKind::Output { stream: From::Stdout, .. } if self.in_lines => self.stream.add_line(event.data),
                EventKind::Output { stream: From::Stdout, .. } => {
                    if let Err(error) = self.pattern.check(self.stream.bytes, event.data) {
                        let _ = self.done.send(Err(error));
                    }
                    self.stream.bytes += event.data.len() as u64;
                }
                EventKind::Closed { .. } => {
                    let ns = self.stream.ns();
                    let _ = self.done.send(Ok((std::mem::replace(&mut self.stream, Stream::begin()), ns)));
                }
                _ => {}
            }
        }
    }
}

fn latency(plan: &LatencyPlan) -> Fallible<Figures> {
    let page = probe::Page::map(&plan.page)?;
    let service = Service::new(Default::default())?;
    let mut samples = Vec::with_capacity(plan.count);
    for slot in 0..plan.count {
        let mut command = piped(&plan.child);
        command.arg(&plan.page).arg(slot.to_string()).arg(&plan.hold_us);
        let process = command.spawn(&service)?;
        let info = process.wait_exit(None)?;
        samples.push(probe::monotonic_ns() - page.stamp(slot));
        exited(info.status(), slot)?;
        process.wait(None)?;
    }
    Ok(latency_figures(&mut samples))
}

fn idle(plan: &IdlePlan) -> Fallible<Figures> {
    let service = Service::new(Default::default())?;
    let (figures, processes) =
        idle_figures(plan, || Ok(piped(&plan.child).args(idle_arguments(&plan.page, false)).spawn(&service)?))?;
    for process in &processes {
        process.close_stdin()?;
    }
    for process in processes {
        exited(process.wait(None)?.status(), 0)?;
    }
    Ok(figures)
}

fn big_host(plan: &BigHostPlan) -> Fallible<Figures> {
    let service = Service::new(Default::default())?;
    big_host_figures(plan, |count, samples| {
        for index in 0..count {
            let mut command = piped(&plan.child);
            command.arg(index.to_string());
            let start = probe::monotonic_ns();
            let process = command.spawn(&service)?;
            samples.push(probe::monotonic_ns() - start);
            let info = process.wait(None)?;
            exited(info.status(), index)?;
            hello_is_whole(usize::try_from(info.stdout_bytes)?, usize::try_from(info.stderr_bytes)?)?;
        }
        Ok(())
    })
}

fn stop(plan: &StopPlan) -> Fallible<Figures> {
    let page = probe::Page::map(&plan.page)?;
    let service = Service::new(Default::default())?;
    let options = StopOptions { grace: Some(plan.grace), scope: Scope::Default, ..Default::default() };
    let mut processes = Vec::with_capacity(plan.count);
    for index in 0..plan.count {
        let arguments = idle_arguments(&plan.page, index < plan.stubborn);
        processes.push(piped(&plan.child).args(arguments).spawn(&service)?);
    }
    page.wait_ready(plan.count);
    let start = probe::monotonic_ns();
    for process in &processes {
        process.stop(Some(&options))?;
    }
    let mut by_kill = 0;
    for process in &processes {
        match process.wait_exit(None)?.status() {
            Some(ExitStatus::Signal { signal: libc::SIGTERM, .. }) => {}
            Some(ExitStatus::Signal { signal: libc::SIGKILL, .. }) => by_kill += 1,
            other => return Err(format!("a stopped child ended with {other:?}").into()),
        }
    }
    let figures = stop_figures(start, by_kill);
    for process in processes {
        process.wait(None)?;
    }
    Ok(figures)
}

fn ring(plan: &RingPlan) -> Fallible<Figures> {
    const SIZE: usize = 1 << 20;
    const PIECE: usize = 64 << 10;
    let data: Vec<u8> = (0..PIECE).map(|at| (at * 7) as u8).collect();
    let ring = coreproc::Ring::new(SIZE);
    for _ in 0..2 * SIZE / PIECE {
        ring.write(&data);
    }
    let start = probe::monotonic_ns();
    for _ in 0..plan.count {
        ring.write(&data);
    }
    let seconds = (probe::monotonic_ns() - start) as f64 / 1e9;
    let kept = ring.to_vec()?;
    if kept.chunks(PIECE).any(|piece| piece != data) {
        return Err("the ring is wrong".into());
    }
    Ok(Figures::default().with("bytes_per_second", (plan.count * PIECE) as f64 / seconds).with("kept", kept.len()))
}
