//! [`Foreground`]: the host's terminal while a child has the foreground of it, as a job of a shell has.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use super::stdio::above_stdio;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::descriptor;
use crate::sys::spawn::{Stage, Step};
use crate::sys::terminal::{self, Settings};

pub(super) struct Foreground {
    terminal: Arc<OwnedFd>,
    /// The group that has the foreground whenever the child does not.
    host_group: i32,
    host_settings: Settings,
    /// The settings of a child that was stopped.
    child_settings: Option<Settings>,
    /// Whether the child has the foreground.
    is_given: bool,
}

impl Foreground {
    /// Prepares a child that takes the foreground itself before exec, so that it never runs without.
    ///
    /// # Errors
    ///
    /// `InvalidState` if the host does not have it. ENOTTY if the terminal is not the host's controlling terminal.
    pub(super) fn prepare(operation: &'static str, terminal: &Arc<OwnedFd>) -> Result<Foreground> {
        let stage = Stage::Foreground.name();
        let refused = |errno| Error::system(operation, stage, errno);
        let terminal = above_stdio(terminal).map_err(refused)?;
        let host_settings = terminal::settings(&terminal).map_err(refused)?;
        let host_group = terminal::own_group();
        if terminal::foreground_group(&terminal).map_err(refused)? != host_group {
            return Err(not_ours(operation).at(stage));
        }
        Ok(Foreground { terminal, host_group, host_settings, child_settings: None, is_given: true })
    }

    /// Returns the child's step, and what has to be kept until it is made: it needs a descriptor at a number at which
    /// nothing was placed.
    pub(super) fn step(&self, operation: &'static str, placed: &[(u16, Arc<OwnedFd>)]) -> Result<(Step, Vec<OwnedFd>)> {
        let mut kept: Vec<OwnedFd> = Vec::new();
        let mut number = self.terminal.as_raw_fd();
        while placed.iter().any(|(target, _)| i32::from(*target) == number) {
            let duplicate = descriptor::duplicate(self.terminal.as_fd());
            let duplicate = duplicate.map_err(|errno| Error::system(operation, Stage::Foreground.name(), errno))?;
            number = duplicate.as_raw_fd();
            kept.push(duplicate);
        }
        Ok((Step::take_foreground(number), kept))
    }

    /// Gives the foreground back to the host, with the settings that the terminal had, if the child has it. Those that
    /// the child has made are kept if it may go on.
    pub(super) fn take_back(&mut self, may_go_on: bool) {
        if !std::mem::take(&mut self.is_given) {
            return;
        }
        self.child_settings = if may_go_on { terminal::settings(&self.terminal).ok() } else { None };
        // Both fail only if the terminal is gone.
        let _ = terminal::set_foreground_group(&self.terminal, self.host_group);
        let _ = terminal::apply(&self.terminal, &self.host_settings);
    }

    /// Gives the foreground to the child's group again.
    pub(super) fn give(&mut self, group: i32) -> Result<()> {
        const OPERATION: &str = "foreground";
        if self.is_given {
            return Ok(());
        }
        let refused = |errno| Error::system(OPERATION, "", errno);
        if terminal::foreground_group(&self.terminal).map_err(refused)? != self.host_group {
            return Err(not_ours(OPERATION));
        }
        self.host_settings = terminal::settings(&self.terminal).map_err(refused)?;
        terminal::set_foreground_group(&self.terminal, group).map_err(refused)?;
        self.is_given = true;
        if let Some(settings) = self.child_settings.take() {
            let _ = terminal::apply(&self.terminal, &settings);
        }
        Ok(())
    }
}

fn not_ours(operation: &'static str) -> Error {
    let what = "the host is not in the foreground of this terminal";
    Error::new(ErrorKind::InvalidState, operation, what)
}
