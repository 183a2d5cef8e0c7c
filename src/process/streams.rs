//! [`Stdio`]: opens both ends of a child's standard streams, before the clone.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;

use super::capture::Shape;
use super::child::Extra;
use super::command::Command;
use super::descriptor::{Descriptor, FIRST, STDIN};
use super::explain::{failed, no_spool, no_terminal, not_opened};
use super::input::Input;
use super::pty::{PtyMode, PtyOptions};
use super::reader::Reader;
use super::stdio::{FileMode, Output, Stdin, above_stdio, duplicate};
use crate::error::{Result, describe_errno};
use crate::sys::close_on_fork::CloseOnFork;
use crate::sys::descriptor;
use crate::sys::pipe;
use crate::sys::pty::{self, Pair};
use crate::sys::redirect::{self, Refusal};
use crate::sys::spool::{self, Spool};

/// Both ends of a child's standard streams, and of its descriptors above them.
pub(super) struct Stdio {
    /// The child's ends; None for a stream that it inherits.
    pub(super) theirs: [Option<Arc<OwnedFd>>; 3],
    /// Our side of its standard input.
    pub(super) stdin: Input,
    /// Our side of each output that we read.
    pub(super) outputs: [Option<Reader>; 2],
    /// The child's ends at numbers above 2.
    pub(super) placed: Vec<(u16, Arc<OwnedFd>)>,
    /// Our side of the pipes among them.
    pub(super) extra: Option<Box<Extra>>,
    /// The first standard stream that is on the command's pseudo-terminal.
    pub(super) terminal: Option<u16>,
}

impl Stdio {
    pub(super) fn open(command: &Command, capture: Shape) -> Result<Stdio> {
        let mut stdio = Stdio {
            theirs: [None, None, None],
            stdin: Input::Absent,
            outputs: [None, None],
            placed: Vec::new(),
            extra: None,
            terminal: None,
        };
        if let Some(options) = &command.pty {
            stdio.open_terminal(command, options, capture)?;
        }
        stdio.open_stdin(command)?;
        stdio.open_output(command, 0)?;
        stdio.open_output(command, 1)?;
        for (number, listener) in (FIRST..).zip(&command.listeners) {
            stdio.placed.push((number, Arc::clone(&listener.fd)));
        }
        for (number, descriptor) in &command.descriptors {
            stdio.open_descriptor(command, *number, descriptor, capture)?;
        }
        Ok(stdio)
    }

    /// Opens the terminal, and puts on it the streams that are not set otherwise. What comes from it counts as the first
    /// output that is on it, else as that of descriptor 0; the host types at standard input, else at that output.
    fn open_terminal(&mut self, command: &Command, options: &PtyOptions, capture: Shape) -> Result<()> {
        let opened = pty::open(options.columns, options.rows, options.mode.discipline());
        let Pair { ours, theirs } = opened.map_err(|refusal| no_terminal(command, refusal))?;
        let typed = descriptor::duplicate(ours.as_fd()).map_err(|errno| failed(command, "pty", errno))?;
        let input = Input::terminal(CloseOnFork::terminal(typed), options.mode == PtyMode::Raw);
        let reader = Reader::of_terminal(ours);
        let on = command.on_terminal();
        match (1..3).find(|number| on[*number]) {
            Some(number) => self.outputs[number - 1] = Some(reader),
            None => self.extra.get_or_insert_default().add_output(STDIN, reader, capture),
        }
        let first = (0..3).zip(on).find(|(_, is_on)| *is_on).map(|(number, _)| number);
        match first {
            None | Some(STDIN) => self.stdin = input,
            Some(number) => self.extra.get_or_insert_default().add_input(number, input),
        }
        let theirs = Arc::new(theirs);
        self.theirs = on.map(|is_on| is_on.then(|| Arc::clone(&theirs)));
        self.terminal = first;
        Ok(())
    }

    /// Opens what the child gets at a number above 2.
    fn open_descriptor(&mut self, command: &Command, number: u16, wanted: &Descriptor, capture: Shape) -> Result<()> {
        const STAGE: &str = "descriptor";
        let failed = |errno| failed(command, STAGE, errno).because(format!("{number}: {}", describe_errno(errno)));
        let not_opened = |path: &Path, refusal: &Refusal| not_opened(command, STAGE, path, refusal);
        let theirs = match wanted {
            Descriptor::Output => {
                let (ours, theirs) = pipe::pipe().map_err(failed)?;
                descriptor::set_nonblocking(&ours).map_err(failed)?;
                self.extra.get_or_insert_default().add_output(number, Reader::pipe(ours), capture);
                Arc::new(theirs)
            }
            Descriptor::Input => {
                let (theirs, ours) = pipe::pipe().map_err(failed)?;
                descriptor::set_nonblocking(&ours).map_err(failed)?;
                self.extra.get_or_insert_default().add_input(number, Input::pipe(CloseOnFork::new(ours)));
                Arc::new(theirs)
            }
            Descriptor::Data(bytes) => {
                let (theirs, ours) = pipe::pipe().map_err(failed)?;
                let input = Input::feed(CloseOnFork::new(ours), bytes).map_err(failed)?;
                self.extra.get_or_insert_default().add_input(number, input);
                Arc::new(theirs)
            }
            Descriptor::Fd(fd) => Arc::clone(fd),
            Descriptor::ReadFile(path) => {
                Arc::new(redirect::to_read(path).map_err(|refusal| not_opened(path, &refusal))?)
            }
            Descriptor::WriteFile(path, mode) => {
                Arc::new(redirect::to_write(path, flag_of(*mode)).map_err(|refusal| not_opened(path, &refusal))?)
            }
        };
        self.placed.push((number, theirs));
        Ok(())
    }

    fn open_stdin(&mut self, command: &Command) -> Result<()> {
        const STAGE: &str = "stdin";
        if self.theirs[0].is_some() {
            return Ok(());
        }
        let failed = |errno| failed(command, STAGE, errno);
        self.theirs[0] = match &command.stdin {
            Stdin::Default | Stdin::Null => {
                Some(Arc::new(descriptor::open(Path::new("/dev/null"), OFlag::O_RDONLY).map_err(failed)?))
            }
            Stdin::Pipe => {
                let (theirs, ours) = pipe::pipe().map_err(failed)?;
                descriptor::set_nonblocking(&ours).map_err(failed)?;
                self.stdin = Input::pipe(CloseOnFork::new(ours));
                Some(Arc::new(theirs))
            }
            Stdin::Data(bytes) => {
                let (theirs, ours) = pipe::pipe().map_err(failed)?;
                self.stdin = Input::feed(CloseOnFork::new(ours), bytes).map_err(failed)?;
                Some(Arc::new(theirs))
            }
            Stdin::Inherit => None,
            Stdin::Fd(fd) => Some(above_stdio(fd).map_err(failed)?),
            Stdin::File(path) => {
                let opened = redirect::to_read(path);
                Some(Arc::new(opened.map_err(|refusal| not_opened(command, STAGE, path, &refusal))?))
            }
        };
        Ok(())
    }

    fn open_output(&mut self, command: &Command, index: usize) -> Result<()> {
        let (stage, wanted) = [("stdout", &command.stdout), ("stderr", &command.stderr)][index];
        if self.theirs[index + 1].is_some() {
            return Ok(());
        }
        let failed = |errno| failed(command, stage, errno);
        let theirs = match wanted {
            Output::Default if command.detached => Some(self.open_spool(command, stage, index)?),
            Output::Spool => Some(self.open_spool(command, stage, index)?),
            Output::Default | Output::Pipe => {
                let (ours, theirs) = pipe::pipe().map_err(failed)?;
                descriptor::set_nonblocking(&ours).map_err(failed)?;
                self.outputs[index] = Some(Reader::pipe(ours));
                Some(Arc::new(theirs))
            }
            Output::Null => Some(Arc::new(descriptor::open(Path::new("/dev/null"), OFlag::O_WRONLY).map_err(failed)?)),
            Output::Inherit => None,
            Output::Fd(fd) => Some(above_stdio(fd).map_err(failed)?),
            Output::File(path, mode) => {
                let opened = redirect::to_write(path, flag_of(*mode));
                Some(Arc::new(opened.map_err(|refusal| not_opened(command, stage, path, &refusal))?))
            }
            Output::Merge => match &self.theirs[1] {
                Some(stdout) => Some(Arc::clone(stdout)),
                // The host's own stream, as a duplicate above 2, which the plan of a spawn needs.
                None => Some(duplicate(1).map_err(failed)?),
            },
        };
        self.theirs[index + 1] = theirs;
        Ok(())
    }

    fn open_spool(&mut self, command: &Command, stage: &'static str, index: usize) -> Result<Arc<OwnedFd>> {
        let place = spool::Place::now();
        let created = Spool::create(&place);
        let Spool { ours, theirs } = created.map_err(|errno| no_spool(command, stage, &place, errno))?;
        self.outputs[index] = Some(Reader::spool(ours, command.spool_max));
        Ok(Arc::new(theirs))
    }
}

fn flag_of(mode: FileMode) -> OFlag {
    match mode {
        FileMode::Truncate => OFlag::O_TRUNC,
        FileMode::Append => OFlag::O_APPEND,
    }
}
