//! From a [`Command`] to a running child: its descriptors, environment and candidate paths, all made before
//! the clone.

use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;

use super::child::Seed;
use super::command::{self, Command, EnvBase, FileMode, Group, Output, Stdin, key_of};
use super::explain::{self, Attempt, OPERATION, failed, no_spool, not_opened, subject};
use super::member::Member;
use super::output;
use super::process::Process;
use super::service::{self, Size};
use super::supervisor::Supervisor;
use crate::error::{Error, Result};
use crate::sys::clock::Stamp;
use crate::sys::descriptor;
use crate::sys::pipe;
use crate::sys::private::Private;
use crate::sys::redirect;
use crate::sys::spawn::{self, Grouping, Plan};
use crate::sys::spool::{self, Spool};
use crate::sys::strings::{Strings, for_each_variable};

/// The kernel's limit for one path.
const PATH_MAX: usize = 4096;
/// Where programs are looked up without a PATH, as by execvp of libc.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

pub(super) fn spawn(command: &Command, supervisor: &Arc<Supervisor>, member: Option<Member>) -> Result<Process> {
    if !command.subscriptions.iter().all(|subscription| subscription.belongs_to(&**supervisor)) {
        let what = "subscription: belongs to another service";
        return Err(Error::invalid(OPERATION, what).on(subject(command)));
    }
    if let Some((stage, what)) = command.contradiction() {
        return Err(Error::invalid(OPERATION, what).at(stage).on(subject(command)));
    }
    supervisor.begin_spawn().map_err(|error| error.on(subject(command)))?;
    let launched = launch(command, supervisor, member);
    let seed = match launched {
        Ok(seed) => seed,
        Err(error) => {
            supervisor.retract();
            return Err(error);
        }
    };
    let (child, closing) = supervisor.admit(seed, &command.subscriptions);
    let process = Process::new(Arc::clone(&child));
    child.introduce(&process);
    child.begin().map_err(|errno| Error::system(OPERATION, "epoll", errno).on(subject(command)))?;
    if let Some(mode) = closing {
        // The service was closed while this one was on its way.
        let _ = service::end(&child, mode);
    }
    Ok(process)
}

fn launch(command: &Command, supervisor: &Supervisor, member: Option<Member>) -> Result<Seed> {
    let environment = environment(command);
    let candidates = candidates(command, &environment);
    let argv = strings(&command.argv);
    let mut stdio = Stdio::open(command)?;
    let plan = Plan {
        candidates: &candidates,
        argv: &argv,
        envp: &environment,
        cwd: command.cwd.as_deref(),
        stdio: [stdio.theirs[0].as_deref(), stdio.theirs[1].as_deref(), stdio.theirs[2].as_deref()],
        grouping: match command.group {
            _ if command.detached => Grouping::Session,
            Group::Own => Grouping::Own,
            Group::Inherit => Grouping::Inherit,
        },
    };
    let time = Stamp::now();
    let started = spawn::spawn(&plan).map_err(|failure| {
        explain::failure(&Attempt { command, candidates: &candidates, environment: &environment }, failure)
    })?;
    let capture = match (command.capture, supervisor.options.capture) {
        (Size::Default, Size::Default) => Size::Bytes(1024 * 1024),
        (Size::Default, size) => size,
        (size, _) => size,
    };
    Ok(Seed {
        started: time,
        pid: started.pid,
        pidfd: started.pidfd,
        stdin: stdio.stdin.take(),
        outputs: std::mem::take(&mut stdio.outputs),
        capture_bytes: match capture {
            Size::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            _ => 0,
        },
        leads_group: plan.grouping != Grouping::Inherit,
        stop: command.stop,
        drain: command.drain.unwrap_or(supervisor.options.drain),
        timeout: command.timeout,
        member,
    })
}

/// Both ends of a child's standard streams.
#[derive(Default)]
struct Stdio {
    theirs: [Option<Arc<OwnedFd>>; 3],
    stdin: Option<Private>,
    outputs: [Option<output::Output>; 2],
}

impl Stdio {
    fn open(command: &Command) -> Result<Stdio> {
        let mut stdio = Stdio::default();
        stdio.open_stdin(command)?;
        stdio.open_output(command, 0)?;
        stdio.open_output(command, 1)?;
        Ok(stdio)
    }

    fn open_stdin(&mut self, command: &Command) -> Result<()> {
        const STAGE: &str = "stdin";
        let failed = |errno| failed(command, STAGE, errno);
        self.theirs[0] = match &command.stdin {
            Stdin::Null => Some(Arc::new(descriptor::open(Path::new("/dev/null"), OFlag::O_RDONLY).map_err(failed)?)),
            Stdin::Pipe => {
                let (theirs, ours) = pipe::pipe().map_err(failed)?;
                descriptor::set_nonblocking(&ours).map_err(failed)?;
                self.stdin = Some(Private::new(ours));
                Some(Arc::new(theirs))
            }
            Stdin::Inherit => None,
            Stdin::Fd(fd) => Some(command::above_stdio(fd).map_err(failed)?),
            Stdin::File(path) => {
                let opened = redirect::to_read(path);
                Some(Arc::new(opened.map_err(|refusal| not_opened(command, STAGE, path, &refusal))?))
            }
        };
        Ok(())
    }

    fn open_output(&mut self, command: &Command, index: usize) -> Result<()> {
        let (stage, wanted) = [("stdout", &command.stdout), ("stderr", &command.stderr)][index];
        let failed = |errno| failed(command, stage, errno);
        let theirs = match wanted {
            Output::Default if command.detached => Some(self.open_spool(command, stage, index)?),
            Output::Spool => Some(self.open_spool(command, stage, index)?),
            Output::Default | Output::Pipe => {
                let (ours, theirs) = pipe::pipe().map_err(failed)?;
                descriptor::set_nonblocking(&ours).map_err(failed)?;
                self.outputs[index] = Some(output::Output::pipe(ours));
                Some(Arc::new(theirs))
            }
            Output::Null => Some(Arc::new(descriptor::open(Path::new("/dev/null"), OFlag::O_WRONLY).map_err(failed)?)),
            Output::Inherit => None,
            Output::Fd(fd) => Some(command::above_stdio(fd).map_err(failed)?),
            Output::File(path, mode) => {
                let how = match mode {
                    FileMode::Truncate => OFlag::O_TRUNC,
                    FileMode::Append => OFlag::O_APPEND,
                };
                let opened = redirect::to_write(path, how);
                Some(Arc::new(opened.map_err(|refusal| not_opened(command, stage, path, &refusal))?))
            }
            Output::Merge => match &self.theirs[1] {
                Some(stdout) => Some(Arc::clone(stdout)),
                // The host's own: its number is taken in the child.
                None => Some(command::duplicate(1).map_err(failed)?),
            },
        };
        self.theirs[index + 1] = theirs;
        Ok(())
    }

    fn open_spool(&mut self, command: &Command, stage: &'static str, index: usize) -> Result<Arc<OwnedFd>> {
        let place = spool::Place::now();
        let created = Spool::create(&place);
        let Spool { ours, theirs } = created.map_err(|errno| no_spool(command, stage, &place, errno))?;
        self.outputs[index] = Some(output::Output::spool(ours, command.spool_max));
        Ok(Arc::new(theirs))
    }
}

fn strings(list: &[CString]) -> Strings {
    let mut strings = Strings::default();
    list.iter().for_each(|text| strings.push(&[text.as_bytes()]));
    strings
}

fn environment(command: &Command) -> Cow<'_, Strings> {
    let mut environment = Strings::default();
    let mut add = |entry: &[u8]| {
        if !command.env.iter().any(|added| key_of(added.as_bytes()) == key_of(entry)) {
            environment.push(&[entry]);
        }
    };
    match &command.env_base {
        EnvBase::Given(whole) if command.env.is_empty() => return Cow::Borrowed(whole),
        EnvBase::Given(base) => base.iter().for_each(add),
        EnvBase::Inherited => for_each_variable(&mut add),
    }
    command.env.iter().for_each(|entry| environment.push(&[entry.as_bytes()]));
    Cow::Owned(environment)
}

/// The paths to try, in order: the program as it is if it has a slash, else in each folder of the search
/// path, where an empty one is the child's directory.
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
    for folder in path.split(|byte| *byte == b':') {
        let folder = if folder.is_empty() { b"." } else { folder };
        if folder.len() + 1 + program.len() < PATH_MAX {
            candidates.push(&[folder, b"/", program]);
        }
    }
    candidates
}
