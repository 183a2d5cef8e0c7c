//! [`Process`]: the handle to a child.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::capture::Captured;
use super::child::{Child, Info, State};
use super::containment::TreeMember;
use super::descriptor::{FIRST, STDIN};
use super::identity::ProcessIdentity;
use super::stop::{Scope, StopOptions, StopPolicy};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Batch, Cause, Stream};
use crate::runtime::Deadline;
use crate::sys::procfs::Holder;

/// A process that a [`Service`](crate::Service) started. Cheap to clone; thread-safe.
///
/// Dropping it does nothing to the process. While a clone is held, an ended process keeps its status and its
/// captured output.
///
/// ```
/// use coreproc::{Command, Scope, Service, ServiceOptions, State};
/// use std::time::Duration;
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").spawn(&service)?;
/// assert_eq!(process.info()?.state, State::Running);
/// assert_eq!(process.wait(Some(Duration::ZERO)).unwrap_err().kind(), coreproc::ErrorKind::TimedOut);
/// process.kill(Scope::Default)?;
/// assert_eq!(process.wait(None)?.state, State::Closed);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Process(Arc<Child>);

impl Batch {
    /// Returns the process whose events these are, even if it has ended and is closed. So a subscriber gets a handle to
    /// processes that others start, such as a run.
    ///
    /// # Errors
    ///
    /// `NotFound` for a run's own events, and once the subscription is closed.
    pub fn process(&self) -> Result<Process> {
        const OPERATION: &str = "process of batch";
        self.check_fork(OPERATION)?;
        let source = self.source().map(|source| source as Arc<dyn Any + Send + Sync>);
        match source.map(Arc::downcast::<Child>) {
            Some(Ok(child)) => Ok(Process::new(child)),
            Some(Err(_)) => Err(Error::new(ErrorKind::NotFound, OPERATION, "the events are a run's own")),
            None => Err(Error::new(ErrorKind::NotFound, OPERATION, "there are no more events of it")),
        }
    }
}

impl Process {
    pub(super) fn new(child: Arc<Child>) -> Process {
        Process(child)
    }

    pub(crate) fn child(&self) -> &Arc<Child> {
        &self.0
    }

    /// Returns its number in its service: from 1, never reused.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// Returns its PID; may be another process's once this one has ended.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Returns a snapshot of what is known of it.
    pub fn info(&self) -> Result<Info> {
        self.0.check_fork("info")?;
        Ok(self.0.info())
    }

    /// Returns what names it for good, to be written down: this and any other program of the user finds it again by that
    /// ([`ProcessIdentity::open`]), and never another process.
    ///
    /// # Errors
    ///
    /// `NotRunning` once it has ended. `Unsupported` if the system does not tell what names it: without /proc.
    pub fn identity(&self) -> Result<ProcessIdentity> {
        self.0.check_fork("identity")?;
        self.0.check_descriptors("identity")?;
        self.0.identity()
    }

    /// Waits until it is closed: it has ended and its output was read. None waits for ever, zero only looks.
    ///
    /// # Errors
    ///
    /// `TimedOut` if it has not been closed in time. `Deadlock` inside a callback, if it would wait. `Panic` or
    /// `System` if the service is broken.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Info> {
        self.0.check_fork("wait")?;
        self.0.wait(State::Closed, Deadline::after(timeout))
    }

    /// Waits until it has ended. Output may follow, from a grandchild that holds the pipes.
    ///
    /// # Errors
    ///
    /// `TimedOut` if it has not ended in time; else those of [`Process::wait`].
    pub fn wait_exit(&self, timeout: Option<Duration>) -> Result<Info> {
        self.0.check_fork("wait")?;
        self.0.wait(State::Exited, Deadline::after(timeout))
    }

    /// Returns a copy of what the capture holds: the last bytes of both streams, in order of arrival.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if there is no memory for the copy.
    pub fn output(&self) -> Result<Vec<u8>> {
        self.0.check_fork("output")?;
        self.0.output()
    }

    /// Returns a copy of what a capture holds, its first and its last bytes: of both standard outputs together, or, with
    /// a stream, of one that has a capture of its own ([`Command::capture_apart`](crate::Command::capture_apart),
    /// [`Descriptor::Output`](crate::Descriptor::Output)).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is no such capture. `OutOfMemory` if there is no memory for the copy.
    pub fn captured(&self, stream: Option<Stream>) -> Result<Captured> {
        self.0.check_fork("output")?;
        self.0.captured(stream)
    }

    /// Returns the processes that held its output pipes when it was closed at the drain bound; empty otherwise.
    pub fn holders(&self) -> Result<Vec<Holder>> {
        self.0.check_fork("holders")?;
        Ok(self.0.holders())
    }

    /// Looks for the living processes of its tree: in its cgroup, if it has one; otherwise in its group and among its
    /// descendants, by a pass over /proc. For a command with a containment ([`Command::contain`](crate::Command::contain))
    /// but without a cgroup it also names those that have left the tree, as far as their environments can be read and
    /// still have its mark. So after a stop or a kill it names what that did not reach, even once the process is closed.
    /// One that was just killed may be seen for a moment. Other users' processes may be hidden.
    pub fn tree(&self) -> Result<Vec<TreeMember>> {
        self.0.check_fork("tree")?;
        self.0.check_descriptors("tree")?;
        Ok(self.0.tree())
    }

    /// Sends a signal (`pidfd_send_signal(2)`); 0 only probes. [`Scope::Default`] is the process. It reaches this
    /// process or its group, and never another.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a number that is no signal, and for a group that the process does not lead. `NotRunning`
    /// once it has ended. `PermissionDenied` if the kernel refuses. `Unsupported` for a group before Linux 6.9 if the
    /// host has reaped the process (it ignores SIGCHLD, or calls `waitpid(-1)`), because then nothing proves which
    /// group the number names.
    pub fn signal(&self, signal: i32, scope: Scope) -> Result<()> {
        self.0.check_fork("signal")?;
        self.0.check_descriptors("signal")?;
        self.0.signal(signal, scope)
    }

    /// Keeps it from running until [`Process::resume`]. [`Scope::Default`] is all that is held together, as for kill. A
    /// tree in a cgroup is frozen (`cgroup.freeze`), which no process in it sees or can undo; other scopes get SIGSTOP, of
    /// which the parent of each process is told.
    ///
    /// Signals wait until it is resumed, but SIGKILL ends it, and so does a stop, which resumes it. Timeouts run on.
    ///
    /// # Errors
    ///
    /// Those of [`Process::signal`].
    pub fn pause(&self, scope: Scope) -> Result<()> {
        self.0.check_fork("pause")?;
        self.0.check_descriptors("pause")?;
        self.0.pause(scope, true)
    }

    /// Lets it run on after [`Process::pause`] with the same scope: thaws the cgroup, or sends SIGCONT.
    ///
    /// # Errors
    ///
    /// Those of [`Process::signal`].
    pub fn resume(&self, scope: Scope) -> Result<()> {
        self.0.check_fork("resume")?;
        self.0.check_descriptors("resume")?;
        self.0.pause(scope, false)
    }

    /// Looks at once whether it is stopped, or runs on, and tells it as [`Command::report_stops`] says: for a host that gets
    /// SIGCHLD itself, or that wants to know [`Info::stopped`] now. Fine once it has ended.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if its command did not ask for reports of stops.
    ///
    /// [`Command::report_stops`]: crate::Command::report_stops
    pub fn look_for_stops(&self) -> Result<()> {
        self.0.check_fork("look for stops")?;
        self.0.check_descriptors("look for stops")?;
        self.0.look_for_stops()
    }

    /// Sends SIGKILL, once. A group can be killed after its leader ended, until the process is closed.
    ///
    /// # Errors
    ///
    /// `NotRunning` if no process is left to kill; else those of [`Process::signal`].
    pub fn kill(&self, scope: Scope) -> Result<()> {
        self.0.check_fork("kill")?;
        self.0.check_descriptors("kill")?;
        self.0.kill(scope)
    }

    /// Stops it by a signal and, after a grace period, SIGKILL; as these options say, or else by its command's policy.
    /// See [`Process::stop_by`].
    pub fn stop(&self, options: Option<&StopOptions>) -> Result<()> {
        self.0.check_fork("stop")?;
        if let Some(options) = options {
            options.check("stop")?;
        }
        self.stop_with(options.map(|options| (*options).into()))
    }

    /// Stops it by a policy: one signal after another, each after the grace period of the one before. Does not wait.
    ///
    /// SIGCONT follows each signal that a stopped process would not act on. A second stop, whatever its options, moves to
    /// the next step of the policy by which it is being stopped. Stopping a process that has ended has no effect. While
    /// a group's stop goes on, the process is not closed.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` or `System` if the kernel refuses the signal, usually because the process has become another
    /// user's: the stop goes on, and the signal is tried again until it is taken or the process ends
    /// ([`Info::stop_refused`]). `InvalidArgument` and `Unsupported` as for [`Process::signal`].
    pub fn stop_by(&self, policy: &StopPolicy) -> Result<()> {
        self.stop_with(Some(policy.clone()))
    }

    fn stop_with(&self, policy: Option<StopPolicy>) -> Result<()> {
        self.0.check_fork("stop")?;
        self.0.check_descriptors("stop")?;
        self.0.stop(policy, Cause::Stopped)
    }

    /// Stops it by its command's policy, because its run is cancelled; a second time, moves to the next step. A process
    /// that may not be signalled runs on.
    pub(crate) fn cancel(&self) {
        let _ = self.0.stop(None, Cause::Cancelled);
    }

    /// Writes to its standard input, and returns how many bytes were written: at least one, and fewer than all only if
    /// `timeout` has passed or its reader has gone. Writes of several threads do not mix. Never raises SIGPIPE.
    ///
    /// # Errors
    ///
    /// An error means that not one byte was written; after a partial write, the next call returns it. `NotRunning` if
    /// the process has ended, whatever became of its standard input before. `StdinClosed` if it runs, but its input is
    /// no pipe, was closed, or has no reader left; because a reader usually ends right after it has closed its input,
    /// the end is waited for first, up to 0.1 s and within `timeout`. `TimedOut` if the pipe stayed full.
    pub fn write_stdin(&self, data: &[u8], timeout: Option<Duration>) -> Result<usize> {
        self.0.check_fork("write stdin")?;
        self.0.check_descriptors("write stdin")?;
        self.0.write(STDIN, data, Deadline::after(timeout))
    }

    /// Closes its standard input: its reader sees the end, even while a child that the host forked lives (by libc's
    /// fork, which runs `pthread_atfork(3)` handlers; a copy that a bare clone made keeps it open). Idempotent. A write
    /// that waits fails.
    pub fn close_stdin(&self) -> Result<()> {
        self.0.check_fork("close stdin")?;
        self.0.check_descriptors("close stdin")?;
        self.0.close_input(STDIN);
        Ok(())
    }

    /// Changes the size of its pseudo-terminal ([`Command::pty`](crate::Command::pty)), with TIOCSWINSZ of
    /// `ioctl_tty(2)`: the kernel sends SIGWINCH to the terminal's foreground group if the size differs.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if it has no pseudo-terminal, or for a size of zero. `NotRunning` if it has ended, unless a
    /// descendant still has the terminal open.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        const OPERATION: &str = "resize";
        self.0.check_fork(OPERATION)?;
        for (field, value) in [("columns", columns), ("rows", rows)] {
            if value == 0 {
                return Err(Error::invalid(OPERATION, format!("{field}: is zero")));
            }
        }
        self.0.check_descriptors(OPERATION)?;
        self.0.resize(columns, rows)
    }

    /// Brings a process of [`Command::foreground`](crate::Command::foreground) to the foreground of the host's terminal
    /// again after a stop, with the settings that it had made there, and continues its group (SIGCONT), as `fg` of a
    /// shell does.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if its command did not ask for the foreground. `NotRunning` if it has ended. `InvalidState` if
    /// the host is not in the foreground, because another process has it.
    pub fn foreground(&self) -> Result<()> {
        const OPERATION: &str = "foreground";
        self.0.check_fork(OPERATION)?;
        self.0.check_descriptors(OPERATION)?;
        self.0.to_foreground()
    }

    /// Writes to an input pipe at a descriptor above 2 ([`Descriptor::Input`](crate::Descriptor::Input)), as
    /// [`Process::write_stdin`] writes to standard input.
    ///
    /// # Errors
    ///
    /// Those of [`Process::write_stdin`]; `StdinClosed` also for a number that is no input pipe.
    pub fn write_descriptor(&self, number: u32, data: &[u8], timeout: Option<Duration>) -> Result<usize> {
        const OPERATION: &str = "write descriptor";
        self.0.check_fork(OPERATION)?;
        self.0.check_descriptors(OPERATION)?;
        self.0.write(self.descriptor(OPERATION, number)?, data, Deadline::after(timeout))
    }

    /// Closes the library's end of the pipe at a descriptor above 2: of an input as [`Process::close_stdin`] does, of an
    /// output as [`Process::close_output`]. Idempotent, and without effect if there is no such pipe.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for the number of a standard stream.
    pub fn close_descriptor(&self, number: u32) -> Result<()> {
        const OPERATION: &str = "close descriptor";
        self.0.check_fork(OPERATION)?;
        self.0.check_descriptors(OPERATION)?;
        let number = self.descriptor(OPERATION, number)?;
        self.0.close_input(number);
        self.0.close_output(Stream::Descriptor(number));
        Ok(())
    }

    /// Closes the library's end of an output: what is in the pipe is lost, and a process that writes to it from now on
    /// gets a SIGPIPE, as in a shell pipeline whose reader has ended. Idempotent, and without effect on an output that
    /// the library does not read.
    pub fn close_output(&self, stream: Stream) -> Result<()> {
        self.0.check_fork("close output")?;
        self.0.check_descriptors("close output")?;
        self.0.close_output(stream);
        Ok(())
    }

    /// Takes the number of a descriptor above the standard streams, or of the one that is the process's terminal.
    fn descriptor(&self, operation: &'static str, number: u32) -> Result<u16> {
        match u16::try_from(number) {
            Ok(number) if number < FIRST && !self.0.has_descriptor(number) => {
                Err(Error::invalid(operation, format!("descriptor {number}: is a standard stream")))
            }
            Ok(number) => Ok(number),
            Err(_) => Err(Error::invalid(operation, format!("descriptor {number}: is above 1023"))),
        }
    }
}
