//! Turns a [`Command`] into a running child: its environment, its candidate paths and its streams are all made before
//! the clone.

use std::borrow::Cow;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::capture::Shape;
use super::child::Seed;
use super::command::{Command, EnvBase, Group, key_of};
use super::containment::{self, Contained, Containment, MARKS};
use super::deadlines::Deadlines;
use super::explain::{self, Attempt, OPERATION, failed, subject};
use super::foreground::Foreground;
use super::member::Member;
use super::options::Size;
use super::process::Process;
use super::service::Service;
use super::stdio::above_stdio;
use super::steps::steps;
use super::streams::Stdio;
use super::supervisor::Supervisor;
use super::terms::Terms;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::clock::Stamp;
use crate::sys::procfs;
use crate::sys::pty;
use crate::sys::spawn::{self, Grouping, PID_ROOM, Plan, Stage};
use crate::sys::strings::{Strings, for_each_variable};

/// The kernel's limit for one path.
const PATH_MAX: usize = 4096;
/// Where programs are looked up without a PATH, as by execvp of libc.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

impl Command {
    /// Starts it. Returns once exec has succeeded. It runs on the calling thread, so that callers spawn in parallel, by
    /// `clone3(2)` with vfork semantics, whose cost does not depend on the host's size.
    ///
    /// # Errors
    ///
    /// An error names the stage: `lookup`, `chdir`, `exec`, `interpreter`, `stdin`, …; nothing was started. There is no
    /// `/bin/sh` for a script without a `#!` line: that is ENOEXEC. `InvalidArgument` for the first value that a setter
    /// refused. `Closed` if the service is closed.
    ///
    /// A spawn never waits for the other end of a file. For a file system that does not answer (NFS, FUSE, autofs) it
    /// waits, as every program does; timeouts and deadlines do not run yet.
    pub fn spawn(&self, service: &Service) -> Result<Process> {
        service.check_fork("spawn")?;
        self.spawn_in(service.supervisor(), None, |_, _| ())
    }

    /// Like [`Command::spawn`], for a run. `started` is called when the process runs and is not watched yet, so before
    /// the run's observer hears of it.
    pub(crate) fn spawn_for(
        &self,
        service: &Service,
        member: Member,
        started: impl FnOnce(&Process, Stamp),
    ) -> Result<Process> {
        self.spawn_in(service.supervisor(), Some(member), started)
    }

    fn spawn_in(
        &self,
        supervisor: &Arc<Supervisor>,
        member: Option<Member>,
        started: impl FnOnce(&Process, Stamp),
    ) -> Result<Process> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        if !self.subscriptions.iter().all(|subscription| subscription.belongs_to(&**supervisor)) {
            let what = "subscription: belongs to another service";
            return Err(Error::invalid(OPERATION, what).on(subject(self)));
        }
        if let Some((stage, what)) = self.contradiction() {
            return Err(Error::invalid(OPERATION, what).at(stage).on(subject(self)));
        }
        supervisor.begin_spawn().map_err(|error| error.on(subject(self)))?;
        let seed = launch(self, supervisor, member).inspect_err(|_| supervisor.retract())?;
        let (child, closing) = supervisor.admit(seed, &self.subscriptions);
        if let Some(router) = &self.router {
            router.add(child.id(), &self.logs);
        }
        let process = Process::new(Arc::clone(&child));
        started(&process, child.started());
        child.begin().map_err(|errno| {
            if let Some(router) = &self.router {
                router.remove(child.id());
            }
            Error::system(OPERATION, "epoll", errno).on(subject(self))
        })?;
        if let Some(mode) = closing {
            // The service was closed while this one was on its way.
            let _ = child.end(mode);
        }
        Ok(process)
    }
}

fn launch(command: &Command, supervisor: &Supervisor, member: Option<Member>) -> Result<Seed> {
    let contained = Contained::new(command.containment, &command.tree_limits)
        .map_err(|missing| explain::no_cgroup(command, &missing))?;
    let has_cgroup = contained.as_ref().is_some_and(|contained| contained.cgroup.is_some());
    let seed = match launch_in(command, supervisor, contained) {
        // The cgroup could be made, but not entered.
        Err(error)
            if has_cgroup
                && error.stage() == containment::STAGE
                && command.containment == Containment::Prefer
                && command.tree_limits.is_empty() =>
        {
            launch_in(command, supervisor, Some(Contained::marked()))
        }
        other => other,
    };
    Ok(Seed { member, ..seed? })
}

fn launch_in(command: &Command, supervisor: &Supervisor, contained: Option<Contained>) -> Result<Seed> {
    let mark = contained.as_ref().and_then(|contained| contained.mark.as_deref());
    let environment = environment(command, mark);
    let candidates = candidates(command, &environment);
    let argv = strings(&command.argv);
    let capture = match (command.capture, supervisor.options().capture) {
        (Size::Default, Size::Default) => Size::Bytes(1024 * 1024),
        (Size::Default, size) => size,
        (size, _) => size,
    };
    let tail = match capture {
        Size::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        _ => 0,
    };
    let head = usize::try_from(command.capture_head).unwrap_or(usize::MAX);
    let shape = Shape { tail, head, lines: command.capture_lines };
    let mut steps = steps(command)?;
    let cwd_fd = command.cwd_fd.as_ref().map(above_stdio).transpose();
    let cwd_fd = cwd_fd.map_err(|errno| failed(command, Stage::Chdir.name(), errno))?;
    if command.deadlines.cpu.is_some() && !procfs::is_ours() {
        let what = "cpu time limit: /proc is not mounted, or shows the processes of another PID namespace";
        return Err(Error::new(ErrorKind::Unsupported, OPERATION, what).on(subject(command)));
    }
    let mut stdio = Stdio::open(command, shape)?;
    if command.captures_apart {
        stdio.extra.get_or_insert_default().capture_stderr(shape);
    }
    stdio.terminal.into_iter().for_each(|descriptor| steps.add(pty::control(descriptor)));
    let on = |error: Error| error.on(subject(command));
    let foreground = command.foreground.as_ref().map(|terminal| Foreground::prepare(OPERATION, terminal));
    let mut foreground = foreground.transpose().map_err(on)?;
    let taken = foreground.as_ref().map(|foreground| foreground.step(OPERATION, &stdio.placed));
    let taken = taken.transpose().map_err(on)?;
    taken.iter().for_each(|(step, _)| steps.add(*step));
    let plan = Plan {
        candidates: &candidates,
        argv: &argv,
        envp: &environment,
        cwd: command.cwd.as_deref(),
        cwd_fd: cwd_fd.as_deref(),
        stdio: [stdio.theirs[0].as_deref(), stdio.theirs[1].as_deref(), stdio.theirs[2].as_deref()],
        descriptors: &stdio.placed,
        has_pid_room: !command.listeners.is_empty(),
        grouping: match command.group {
            _ if command.detached => Grouping::Session,
            _ if command.pty.is_some() => Grouping::Session,
            Group::Own => Grouping::Own,
            Group::Session => Grouping::Session,
            Group::Inherit => Grouping::Inherit,
        },
        cgroup: contained.as_ref().and_then(|contained| Some(contained.cgroup.as_ref()?.directory())),
        steps: steps.list(),
        own_memory: steps.own_memory,
    };
    let time = Stamp::now();
    let outcome = match command.die_with_host {
        None => spawn::spawn(&plan),
        Some(_) => {
            let spawner = supervisor.spawner().map_err(|error| error.during(OPERATION).on(subject(command)))?;
            spawner.run(|| spawn::spawn(&plan)).ok_or_else(|| {
                let what = "the thread that starts processes panicked";
                Error::new(ErrorKind::Panic, OPERATION, what).on(subject(command))
            })?
        }
    };
    let started = outcome.map_err(|failure| {
        // It may have taken the foreground before it failed.
        foreground.as_mut().into_iter().for_each(|foreground| foreground.take_back(false));
        let (candidates, environment, steps) = (&candidates, &environment, steps.list());
        explain::failure(&Attempt { command, candidates, environment, steps }, failure)
    })?;
    let leads_group = plan.grouping != Grouping::Inherit;
    let rung = Contained::rung(contained.as_ref(), leads_group);
    let is_contained = contained.is_some();
    if let Some(contained) = contained {
        stdio.extra.get_or_insert_default().contained = Some(contained);
    }
    if foreground.is_some() {
        stdio.extra.get_or_insert_default().foreground = foreground;
    }
    if command.deadlines != Deadlines::default() {
        stdio.extra.get_or_insert_default().watch(&command.deadlines, time.monotonic_ns);
    }
    if let Some(interval) = command.stops {
        stdio.extra.get_or_insert_default().report_stops(interval, time.monotonic_ns);
    }
    Ok(Seed {
        started: time,
        pid: started.pid,
        pidfd: started.pidfd,
        stdin: stdio.stdin,
        extra: stdio.extra,
        outputs: std::mem::take(&mut stdio.outputs),
        capture: shape,
        leads_group,
        rung,
        is_contained,
        terms: Terms::new(&command.stop, &command.program, &command.argv),
        drain: command.drain.unwrap_or(supervisor.options().drain),
        timeout: command.timeout,
        member: None,
    })
}

fn strings(list: &[CString]) -> Strings {
    let mut strings = Strings::default();
    list.iter().for_each(|text| strings.push(&[text.as_bytes()]));
    strings
}

/// Makes the environment, with the mark of its tree if it has one.
fn environment<'a>(command: &'a Command, mark: Option<&str>) -> Cow<'a, Strings> {
    let mut environment = Strings::default();
    let mut marks = Vec::new();
    let listens = !command.listeners.is_empty();
    let mut is_ours = |entry: &[u8]| {
        let is_mark = mark.is_some() && key_of(entry) == MARKS.as_bytes();
        if is_mark {
            // It is part of the host's tree, too.
            marks.extend_from_slice(&entry[MARKS.len()..]);
        }
        is_mark || listens && LISTEN.contains(&key_of(entry))
    };
    let mut add = |entry: &[u8]| {
        if !is_ours(entry) && !command.env.iter().any(|added| key_of(added.as_bytes()) == key_of(entry)) {
            environment.push(&[entry]);
        }
    };
    match &command.env_base {
        EnvBase::Given(whole) if command.env.is_empty() && !listens && mark.is_none() => return Cow::Borrowed(whole),
        EnvBase::Given(base) => base.iter().for_each(add),
        EnvBase::Inherited => for_each_variable(&mut add),
    }
    let added = command.env.iter().filter(|entry| !is_ours(entry.as_bytes()));
    added.for_each(|entry| environment.push(&[entry.as_bytes()]));
    if let Some(mark) = mark {
        let outer = marks.strip_prefix(b"=").filter(|outer| !outer.is_empty());
        environment.push(&[
            MARKS.as_bytes(),
            b"=",
            outer.unwrap_or_default(),
            if outer.is_some() { b":" } else { b"" },
            mark.as_bytes(),
        ]);
    }
    if listens {
        let names: Vec<&[u8]> = command.listeners.iter().map(|listener| listener.name.as_bytes()).collect();
        environment.push(&[LISTEN[0], b"=", command.listeners.len().to_string().as_bytes()]);
        environment.push(&[LISTEN[1], b"=", &names.join(&b':')]);
        // The child writes its PID, which nothing else knows before.
        environment.push(&[LISTEN[2], b"=", &PID_ROOM]);
    }
    Cow::Owned(environment)
}

/// The variables of systemd's socket activation; see sd_listen_fds(3).
const LISTEN: [&[u8]; 3] = [b"LISTEN_FDS", b"LISTEN_FDNAMES", b"LISTEN_PID"];

/// Returns the paths to try, in order: the program as it is if it has a slash, else in each directory of the search
/// path, in which an empty one is the child's directory.
fn candidates(command: &Command, environment: &Strings) -> Strings {
    let program = command.program.as_bytes();
    let mut candidates = Strings::default();
    if program.contains(&b'/') {
        candidates.push(&[program]);
        return candidates;
    }
    let path = match &command.search_path {
        Some(path) => path.as_bytes(),
        None => environment.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH),
    };
    for directory in path.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        if directory.len() + 1 + program.len() < PATH_MAX {
            candidates.push(&[directory, b"/", program]);
        }
    }
    candidates
}
