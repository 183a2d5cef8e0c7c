//! The pseudo-terminal of a command.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Command, Group};
use crate::process::pty::PtyOptions;
use crate::process::stdio::{Output, Stdin};

impl Command {
    /// Gives the process a pseudo-terminal, as its controlling terminal, in a session of its own. Each of its standard
    /// streams that is not set otherwise is on it.
    ///
    /// What the process writes to the terminal arrives as its standard output: standard error is on the same terminal,
    /// and cannot be told apart. If standard output is set otherwise, it arrives as standard error, and if that is, too,
    /// as [`Stream::Descriptor`](crate::Stream::Descriptor) 0. It includes what the process, or a descendant, writes to
    /// `/dev/tty`, and the echo of what it is sent. The terminal ends when the process has ended and no descendant has
    /// it open.
    ///
    /// What the host writes by [`Process::write_stdin`](crate::Process::write_stdin) is typed at the terminal (by
    /// [`Process::write_descriptor`](crate::Process::write_descriptor) with 1 or 2 if standard input is set otherwise):
    /// Ctrl-C is the byte 3. [`Process::close_stdin`](crate::Process::close_stdin) types the terminal's character for
    /// the end of input, Ctrl-D, unless the command has made it [`PtyMode::Raw`](crate::PtyMode::Raw), in which there is
    /// none. [`Process::resize`](crate::Process::resize) changes the size. The environment is not changed: programs look
    /// up the kind of terminal in `TERM`.
    ///
    /// When the process ends, the kernel sends SIGHUP to the terminal's foreground group; when the host ends, or
    /// [`Process::close_output`](crate::Process::close_output) closes the terminal, to the process. Contradicts
    /// [`Command::detach`], [`Group::Inherit`](crate::Group::Inherit), and [`Output::Merge`](crate::Output::Merge) if
    /// standard output is on the terminal.
    ///
    /// # Errors
    ///
    /// The spawn fails at the stage `pty`: with `Unsupported` if the system has no `/dev/ptmx`; with ENOSPC if all
    /// terminals that it allows (`kernel.pty.max`) are in use.
    pub fn pty(&mut self, options: PtyOptions) -> &mut Self {
        if options.columns == 0 {
            self.mistake("pty columns", "is zero");
        } else if options.rows == 0 {
            self.mistake("pty rows", "is zero");
        } else {
            self.pty = Some(options);
        }
        self
    }

    /// Gives the process's group the foreground of the host's own terminal while it runs, as a shell does it with a job:
    /// it can read there, and has its Ctrl-C and Ctrl-Z to itself. `terminal` is the controlling terminal of the host,
    /// in whose foreground the host has to be, usually `/dev/tty`; the streams are to be set to it as well
    /// ([`Output::Inherit`](crate::Output::Inherit)).
    ///
    /// The process takes it before its program runs. The host has it back, with the settings that the terminal had,
    /// before the end of the process is told, and when the process is stopped (Ctrl-Z); then
    /// [`Process::foreground`](crate::Process::foreground) lets it go on. For this a thread waits for each such process.
    /// No signal handler is installed, and SIGTTOU is blocked around the calls (`tcsetpgrp(3)`). Needs
    /// [`Group::Own`](crate::Group::Own), the default.
    ///
    /// # Errors
    ///
    /// The spawn fails at the stage `foreground`: with `InvalidState` if the host is in the background, or another of
    /// its processes has the foreground; with ENOTTY if it is not the host's controlling terminal.
    pub fn foreground(&mut self, terminal: Arc<OwnedFd>) -> &mut Self {
        self.foreground = Some(terminal);
        self
    }

    /// Says which of the standard streams are on its terminal.
    pub(in crate::process) fn on_terminal(&self) -> [bool; 3] {
        let has_one = self.pty.is_some();
        let is_default = |output: &Output| matches!(output, Output::Default);
        [matches!(self.stdin, Stdin::Default), is_default(&self.stdout), is_default(&self.stderr)]
            .map(|is_default| has_one && is_default)
    }

    /// Finds options that contradict a pseudo-terminal.
    pub(super) fn terminal_contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.foreground.is_some() && (self.pty.is_some() || self.detached || self.group != Group::Own) {
            return Some(("foreground", "needs a group of its own in the session of the host"));
        }
        self.pty?;
        let on = self.on_terminal();
        if self.detached {
            Some(("pty", "contradicts detach: the terminal would end with the host"))
        } else if self.group == Group::Inherit {
            Some(("group", "inherit contradicts pty: a terminal of its own needs a session of its own"))
        } else if !on.contains(&true) {
            Some(("pty", "none of the standard streams is on it"))
        } else if on[1] && matches!(self.stderr, Output::Merge) {
            Some(("stderr", "merge contradicts pty: on the terminal both outputs are one anyway"))
        } else {
            None
        }
    }
}
