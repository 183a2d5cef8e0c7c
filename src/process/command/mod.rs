//! [`Command`]: a program to run, with all that its process gets.

mod bound;
mod capture;
mod containment;
mod credentials;
mod deadlines;
mod descriptors;
mod limits;
mod logs;
mod stops;
mod terminal;

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memchr::{memchr, memchr_iter};

use crate::error::{Error, quoted};
use crate::event::{Queue, Subscription};
use crate::process::containment::Containment;
use crate::process::credentials::Credentials;
use crate::process::deadlines::Deadlines;
use crate::process::descriptor::{Descriptor, Listener};
use crate::process::log::{Route, Router};
use crate::process::options::{Drain, Size};
use crate::process::pty::PtyOptions;
use crate::process::resources::Limits;
use crate::process::stdio::{Output, SPOOL_MAX, Stdin};
use crate::process::stop::{Scope, StopOptions, StopPolicy};
use crate::sys::cgroup::TreeLimits;
use crate::sys::strings::Strings;

/// A child's process group; [`Command::group`] says what follows from it.
///
/// ```
/// use coreproc::{Command, ErrorKind, Group, Scope, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").group(Group::Inherit).spawn(&service)?;
/// // It leads no group that could be signalled.
/// assert_eq!(process.kill(Scope::Group).unwrap_err().kind(), ErrorKind::InvalidArgument);
/// process.kill(Scope::Process)?;
/// # process.wait(None)?;
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// A group of its own, which it leads: it can be stopped with all that it starts, and a Ctrl-C or Ctrl-Z at the
    /// host's terminal does not reach it. The kernel stops it when it reads from the terminal.
    #[default]
    Own,
    /// The host's group: it can use the terminal as the host can.
    Inherit,
    /// A session of its own, and in it a group as with [`Group::Own`]: it has no terminal (`setsid(2)`), and can take
    /// one. Unlike a detached command it has pipes to the library.
    Session,
}

/// The environment that a child starts from.
#[derive(Clone)]
pub(in crate::process) enum EnvBase {
    /// The host's own, as it is at the spawn.
    Inherited,
    /// `KEY=VALUE` entries, as they are.
    Given(Strings),
}

/// A command to spawn, once or often. It is a builder, whose setters return it. A value that a setter refuses changes
/// nothing, and [`Command::spawn`] reports the first such mistake. Thread-safe: several threads may spawn one command.
///
/// ```
/// use coreproc::{Command, ExitStatus, Service, ServiceOptions};
/// use std::time::Duration;
///
/// let service = Service::new(ServiceOptions::default())?; let mut command = Command::new("sh"); command.args(["-c",
/// "echo $GREETING; pwd; exit 3"]).env("GREETING", "hello").cwd("/").timeout(Duration::from_secs(10)); let process =
/// command.spawn(&service)?; assert_eq!(process.wait(None)?.status(), Some(ExitStatus::Code(3)));
/// assert_eq!(process.output()?, b"hello\n/\n");
///
/// let error = Command::new("no-such-program").spawn(&service).err().unwrap();
/// assert_eq!(error.kind(), coreproc::ErrorKind::NotFound);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Command {
    pub(in crate::process) program: OsString,
    pub(in crate::process) argv: Vec<CString>,
    pub(in crate::process) env_base: EnvBase,
    /// Added `KEY=VALUE` entries; a later one replaces an earlier one, and one of the base.
    pub(in crate::process) env: Vec<CString>,
    pub(in crate::process) cwd: Option<CString>,
    /// The directory as a descriptor, instead of `cwd`.
    pub(in crate::process) cwd_fd: Option<Arc<OwnedFd>>,
    /// As whom it runs, and what it may use: None if the command says nothing about it.
    pub(in crate::process) credentials: Option<Box<Credentials>>,
    pub(in crate::process) limits: Option<Box<Limits>>,
    /// The signal that it gets when the host dies.
    pub(in crate::process) die_with_host: Option<i32>,
    pub(in crate::process) search_path: Option<OsString>,
    pub(in crate::process) stdin: Stdin,
    pub(in crate::process) stdout: Output,
    pub(in crate::process) stderr: Output,
    /// The descriptors above 2, whose numbers differ.
    pub(in crate::process) descriptors: Vec<(u16, Descriptor)>,
    /// The sockets at 3 and the following numbers.
    pub(in crate::process) listeners: Vec<Listener>,
    pub(in crate::process) capture: Size,
    pub(in crate::process) capture_head: u64,
    pub(in crate::process) capture_lines: u64,
    pub(in crate::process) captures_apart: bool,
    pub(in crate::process) pty: Option<PtyOptions>,
    /// The host's terminal, if the process is to have its foreground.
    pub(in crate::process) foreground: Option<Arc<OwnedFd>>,
    pub(in crate::process) group: Group,
    pub(in crate::process) detached: bool,
    pub(in crate::process) containment: Containment,
    /// The limits of all its processes together.
    pub(in crate::process) tree_limits: TreeLimits,
    pub(in crate::process) spool_max: u64,
    pub(in crate::process) timeout: Option<Duration>,
    pub(in crate::process) deadlines: Deadlines,
    /// How often to look whether it is stopped; None: it is not asked for.
    pub(in crate::process) stops: Option<Duration>,
    pub(in crate::process) stop: Arc<StopPolicy>,
    pub(in crate::process) drain: Option<Drain>,
    pub(in crate::process) subscriptions: Vec<Arc<Queue>>,
    pub(in crate::process) logs: Vec<Route>,
    /// What writes the logs, which all are of one service.
    pub(in crate::process) router: Option<Arc<Router>>,
    /// The first value that a setter refused.
    pub(in crate::process) mistake: Option<Error>,
}

impl Command {
    /// Makes a command that runs `program`: a path if it has a slash (which counts from the child's directory), else a
    /// name that is looked up in the child's PATH.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command {
            program: program.as_ref().to_owned(),
            argv: Vec::new(),
            env_base: EnvBase::Inherited,
            env: Vec::new(),
            cwd: None,
            cwd_fd: None,
            credentials: None,
            limits: None,
            die_with_host: None,
            search_path: None,
            stdin: Stdin::default(),
            stdout: Output::default(),
            stderr: Output::default(),
            descriptors: Vec::new(),
            listeners: Vec::new(),
            capture: Size::default(),
            capture_head: 0,
            capture_lines: 0,
            captures_apart: false,
            pty: None,
            foreground: None,
            group: Group::default(),
            detached: false,
            containment: Containment::Default,
            tree_limits: TreeLimits::default(),
            spool_max: SPOOL_MAX,
            timeout: None,
            deadlines: Deadlines::default(),
            stops: None,
            stop: StopPolicy::shared_default(),
            drain: None,
            subscriptions: Vec::new(),
            logs: Vec::new(),
            router: None,
            mistake: None,
        };
        if command.program.is_empty() {
            command.mistake("program", "is empty");
        }
        let name = command.text("program", program.as_ref());
        command.argv.push(name.unwrap_or_default());
        command
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        let field = format!("argument {}", self.argv.len());
        let text = self.text(&field, argument.as_ref());
        self.argv.extend(text);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Sets argv\[0\]; the default is the program's name.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        if let Some(name) = self.text("argv[0]", name.as_ref()) {
            self.argv[0] = name;
        }
        self
    }

    /// Adds a variable to the environment, or replaces one.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let key = key.as_ref();
        if key.is_empty() || key.as_bytes().contains(&b'=') {
            self.mistake("environment", &format!("key {} is empty or has a \"=\"", quoted(key.as_bytes())));
            return self;
        }
        let mut entry = key.to_owned();
        entry.push("=");
        entry.push(value);
        self.env_entry(&entry)
    }

    /// Adds several variables. Their keys differ from each other, have no `=`, and were not added before.
    pub(crate) fn env_distinct<'a>(&mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> &mut Self {
        for (key, value) in variables {
            if let Some(text) = self.entry(OsStr::new(&format!("{key}={value}"))) {
                self.env.push(text);
            }
        }
        self
    }

    /// Like [`Command::env`], from one `KEY=VALUE` entry.
    pub fn env_entry(&mut self, entry: impl AsRef<OsStr>) -> &mut Self {
        if let Some(text) = self.entry(entry.as_ref()) {
            self.env.retain(|old| key_of(old.as_bytes()) != key_of(text.as_bytes()));
            self.env.push(text);
        }
        self
    }

    /// Starts from an empty environment: nothing is inherited, and what was added so far is dropped.
    pub fn env_clear(&mut self) -> &mut Self {
        self.env_base = EnvBase::Given(Strings::default());
        self.env.clear();
        self
    }

    /// Sets the whole environment as `KEY=VALUE` entries, taken as they are, even with an empty key, as launchers of
    /// other systems leave them (`=::=::\`). Replaces what was set before. An inherited environment is read from the
    /// host's own, which races with setenv; a host that changes its environment sets it in this way instead.
    pub fn env_whole<E: AsRef<OsStr>>(&mut self, entries: impl IntoIterator<Item = E>) -> &mut Self {
        self.env_given(Strings::default(), entries)
    }

    /// Like [`Command::env_whole`], from entries with a NUL between them.
    pub(crate) fn env_block(&mut self, block: &[u8]) -> &mut Self {
        // It is made at its full size: memory left behind by growing would lie between what processes keep.
        let whole = Strings::with_capacity(memchr_iter(0, block).count() + 1, block.len() + 1);
        self.env_given(whole, block.split(|byte| *byte == 0).map(OsStr::from_bytes))
    }

    fn env_given<E: AsRef<OsStr>>(&mut self, mut whole: Strings, entries: impl IntoIterator<Item = E>) -> &mut Self {
        for entry in entries {
            let entry = entry.as_ref();
            // Entries of the host are for its children, even odd ones.
            if !self.is_entry(entry, 0) {
                return self;
            }
            whole.push(&[entry.as_bytes()]);
        }
        self.env_base = EnvBase::Given(whole);
        self.env.clear();
        self
    }

    /// Sets the child's working directory.
    pub fn cwd(&mut self, path: impl AsRef<Path>) -> &mut Self {
        if path.as_ref().as_os_str().is_empty() {
            self.mistake("cwd", "is empty");
        } else if let Some(path) = self.text("cwd", path.as_ref().as_os_str()) {
            self.cwd = Some(path);
            self.cwd_fd = None;
        }
        self
    }

    /// Looks the program up in these directories, separated by colons, instead of the child's PATH.
    pub fn search_path(&mut self, path: impl AsRef<OsStr>) -> &mut Self {
        if self.text("search path", path.as_ref()).is_some() {
            self.search_path = Some(path.as_ref().to_owned());
        }
        self
    }

    /// Sets its standard input.
    pub fn stdin(&mut self, stdin: Stdin) -> &mut Self {
        let usable = match &stdin {
            Stdin::File(path) => self.text("stdin", path.as_os_str()).is_some(),
            _ => true,
        };
        if usable {
            self.stdin = stdin;
        }
        self
    }

    /// Sets its standard output; not [`Output::Merge`].
    pub fn stdout(&mut self, output: Output) -> &mut Self {
        if matches!(output, Output::Merge) {
            self.mistake("stdout", "only stderr can be merged");
        } else if self.is_usable("stdout", &output) {
            self.stdout = output;
        }
        self
    }

    /// Sets its standard error.
    pub fn stderr(&mut self, output: Output) -> &mut Self {
        if self.is_usable("stderr", &output) {
            self.stderr = output;
        }
        self
    }

    /// Sets its process group.
    ///
    /// A child that may ask at the terminal (a password, an editor, `stty`) needs [`Group::Inherit`]. In a group of its
    /// own it is in the background there: the kernel stops it as soon as it reads from the terminal or changes its
    /// settings (SIGTTIN, SIGTTOU). It counts as running then, no event tells of it, and a wait without a timeout does
    /// not return.
    ///
    /// In the host's group it gets the terminal's Ctrl-C, Ctrl-Z and hang-up together with the host, and SIGHUP, SIGINT
    /// and SIGQUIT stay ignored in it if the host ignores them, as `nohup` and a shell's `&` have it. Every other
    /// signal starts at its default, and in a group of its own every signal does. A stop of a group is not possible.
    pub fn group(&mut self, group: Group) -> &mut Self {
        self.group = group;
        self
    }

    /// Lets it outlive the host: it gets a session of its own, and no pipe to the library, whose end would kill or
    /// block it. Outputs that are not set otherwise become spools.
    pub fn detach(&mut self) -> &mut Self {
        self.detached = true;
        self
    }

    /// Sets how many bytes may wait unread in a spool before the oldest are lost, and counted; the default is 64 MiB.
    pub fn spool_max(&mut self, bytes: u64) -> &mut Self {
        if bytes == 0 {
            self.mistake("spool max", "is zero");
        } else {
            self.spool_max = bytes;
        }
        self
    }

    /// Sets the time after which it is stopped by its stop options.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how it is stopped, in the usual way: a signal, a grace period, SIGKILL; see [`Command::stop_policy`].
    pub fn stop_options(&mut self, options: StopOptions) -> &mut Self {
        match options.check("spawn") {
            Ok(()) => self.stop_policy(options.into()),
            Err(error) => {
                self.refuse(error);
                self
            }
        }
    }

    /// Sets how it is stopped: by its timeout and its other deadlines, by a close of its service, and by a stop without
    /// a policy of its own.
    pub fn stop_policy(&mut self, policy: StopPolicy) -> &mut Self {
        match policy.check("spawn") {
            Ok(()) => self.stop = policy.shared(),
            Err(error) => self.refuse(error),
        }
        self
    }

    /// Sets its drain bound.
    pub fn drain(&mut self, drain: Drain) -> &mut Self {
        self.drain = Some(drain);
        self
    }

    /// Names a subscription that gets its events; needed only for subscriptions with a named scope.
    pub fn subscribe(&mut self, subscription: &Subscription) -> &mut Self {
        self.subscribe_queue(subscription.queue());
        self
    }

    /// Says why no system could spawn it: the first mistake made in the setters, or options that contradict each other.
    pub(crate) fn flaw(&self) -> Option<String> {
        let contradiction = || self.contradiction().map(|(stage, what)| format!("{stage}: {what}"));
        self.mistake.as_ref().map(|mistake| mistake.cause().to_owned()).or_else(contradiction)
    }

    /// Finds options that contradict each other, which no setter sees because their order is free. Returns the stage of
    /// the spawn that would fail, and why.
    pub(in crate::process) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        const PIPE: &str = "a pipe would not outlive the host: use a file or a spool";
        if self.detached && matches!(self.stdout, Output::Pipe) {
            return Some(("stdout", PIPE));
        }
        if self.detached && matches!(self.stderr, Output::Pipe) {
            return Some(("stderr", PIPE));
        }
        let found = self.descriptor_contradiction().or_else(|| self.terminal_contradiction());
        if let Some(found) = found.or_else(|| self.containment_contradiction()).or_else(|| self.bound_contradiction()) {
            return Some(found);
        }
        if let Some(found) = self.deadline_contradiction() {
            return Some(found);
        }
        // No signal could be sent: its timeout and each stop without options of its own would do nothing.
        let leads = self.detached || self.group != Group::Inherit;
        (self.stop.scope == Scope::Group && !leads)
            .then_some(("stop", "scope: the process would not lead a group of its own"))
    }

    /// Gives its events to a subscription, which may have ended.
    pub(crate) fn subscribe_queue(&mut self, queue: &Arc<Queue>) {
        if !self.subscriptions.iter().any(|known| Arc::ptr_eq(known, queue)) {
            self.subscriptions.push(Arc::clone(queue));
        }
    }

    /// Shows all that the setters set, so that tests can compare commands.
    #[cfg(test)]
    pub(crate) fn settings(&self) -> String {
        let base = match &self.env_base {
            EnvBase::Inherited => None,
            EnvBase::Given(entries) => Some(entries.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()),
        };
        let texts = (&self.program, &self.argv, base, &self.env, &self.cwd, &self.search_path);
        let streams = (&self.stdin, &self.stdout, &self.stderr, self.capture, self.spool_max);
        let captures = (self.capture_head, self.capture_lines, self.captures_apart);
        let more = (
            &self.descriptors,
            &self.listeners,
            (self.containment, &self.tree_limits),
            &self.deadlines,
            &self.cwd_fd,
            &self.credentials,
            &self.limits,
            (&self.pty, &self.foreground),
        );
        let bound = self.die_with_host;
        let life = (
            bound,
            self.group,
            self.detached,
            (self.timeout, self.stops),
            &self.stop,
            self.drain,
            self.subscriptions.len(),
        );
        format!("{texts:?} {streams:?} {captures:?} {more:?} {life:?}")
    }

    /// Takes the first mistake made in the setters.
    pub(crate) fn take_mistake(&mut self) -> Option<Error> {
        self.mistake.take()
    }

    fn mistake(&mut self, field: &str, what: &str) {
        self.refuse(Error::invalid("spawn", format!("{field}: {what}")));
    }

    fn refuse(&mut self, error: Error) {
        let error = error.on(quoted(self.program.as_bytes()));
        self.mistake.get_or_insert(error);
    }

    fn text(&mut self, field: &str, text: &OsStr) -> Option<CString> {
        let text = CString::new(text.as_bytes());
        if text.is_err() {
            self.mistake(field, "has a NUL byte");
        }
        text.ok()
    }

    fn entry(&mut self, entry: &OsStr) -> Option<CString> {
        if self.is_entry(entry, 1) { CString::new(entry.as_bytes()).ok() } else { None }
    }

    /// Returns whether this is a `KEY=VALUE` whose key has at least this many bytes.
    fn is_entry(&mut self, entry: &OsStr, shortest_key: usize) -> bool {
        let bytes = entry.as_bytes();
        if memchr(b'=', bytes).is_none_or(|at| at < shortest_key) {
            self.mistake("environment", &format!("{} is not KEY=VALUE", quoted(bytes)));
            return false;
        }
        if memchr(0, bytes).is_some() {
            self.mistake("environment", "has a NUL byte");
            return false;
        }
        true
    }

    fn is_usable(&mut self, field: &str, output: &Output) -> bool {
        match output {
            Output::File(path, _) => self.text(field, path.as_os_str()).is_some(),
            _ => true,
        }
    }
}

/// Returns the key of a `KEY=VALUE` entry.
pub(in crate::process) fn key_of(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}
