//! As whom a process runs, and what it may not do.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::Command;
use crate::error::{Error, ErrorKind, quoted};
use crate::process::credentials::{Account, Credentials};
use crate::sys::{capability, signal};

/// The number that means "unchanged" in the kernel's calls.
const NOBODY_AT_ALL: u32 = u32::MAX;
/// The most groups of a process, NGROUPS_MAX of Linux.
const MOST_GROUPS: usize = 65_536;

impl Command {
    /// Runs it as this user, with the user's primary and supplementary groups of the database (as initgroups(3) finds
    /// them), unless they are set as well. A number that the database does not know needs
    /// [`Command::primary_group`], and gets no supplementary groups.
    ///
    /// Real, effective and saved ids are set: first the groups, then the user. Before the program runs, the child tries
    /// to get back each id of the host's and the groups; if the kernel grants one (a host that is not root but has
    /// CAP_SETUID, or one with unusual securebits), the spawn fails at the stage `user` instead. Only root, or who has
    /// CAP_SETUID and CAP_SETGID, may become another; for others a user that they are already is no change.
    ///
    /// The directory is entered and files are opened as the host's user; the program is looked up and run as the new
    /// one. Such a child starts with a copy of the host's memory map (fork semantics), so that the new user cannot
    /// reach into the host before exec: it costs more in a big host.
    pub fn user(&mut self, user: impl Into<Account>) -> &mut Self {
        if let Some(user) = self.account("user", user.into()) {
            self.credentials().user = Some(user);
        }
        self
    }

    /// Runs it with this primary group: real, effective and saved group id. Without [`Command::user`] the supplementary
    /// groups stay those of the host.
    pub fn primary_group(&mut self, group: impl Into<Account>) -> &mut Self {
        if let Some(group) = self.account("primary group", group.into()) {
            self.credentials().primary_group = Some(group);
        }
        self
    }

    /// Runs it with these supplementary groups and no others.
    pub fn supplementary_groups<A: Into<Account>>(&mut self, groups: impl IntoIterator<Item = A>) -> &mut Self {
        const FIELD: &str = "supplementary groups";
        let mut accounts = Vec::new();
        for group in groups {
            match self.account(FIELD, group.into()) {
                Some(_) if accounts.len() >= MOST_GROUPS => {
                    self.mistake(FIELD, "has more than 65536");
                    return self;
                }
                Some(group) => accounts.push(group),
                None => return self,
            }
        }
        self.credentials().supplementary_groups = Some(accounts);
        self
    }

    /// Sets its file mode creation mask, at most 0777.
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        if mask > 0o777 {
            self.mistake("umask", &format!("{mask:#o} is above 0777"));
        } else {
            self.credentials().umask = Some(mask);
        }
        self
    }

    /// Lets no exec give it, or what it starts, more than it has: set-user-ID and set-group-ID bits and the capabilities
    /// of files are without effect (PR_SET_NO_NEW_PRIVS).
    pub fn no_new_privileges(&mut self) -> &mut Self {
        self.credentials().no_new_privileges = true;
        self
    }

    /// Takes capabilities from all its sets, the bounding set included, so that no program gives them back. A name is
    /// that of capabilities(7), such as `cap_net_raw`, or `all`. Calls add up.
    ///
    /// The bounding set needs CAP_SETPCAP. A host without it sets [`Command::no_new_privileges`] as well, which has the
    /// same effect; else the spawn fails with EPERM. A user other than root loses all capabilities anyway.
    pub fn drop_capabilities<N: AsRef<str>>(&mut self, names: impl IntoIterator<Item = N>) -> &mut Self {
        let mut dropped = 0;
        for name in names {
            match capability::mask_of(name.as_ref()) {
                Some(mask) => dropped |= mask,
                None => {
                    self.mistake("capabilities", &format!("{} is none", quoted(name.as_ref().as_bytes())));
                    return self;
                }
            }
        }
        self.credentials().dropped |= dropped;
        self
    }

    /// Lets it ignore those of these signals that the host ignores at the spawn, as a host under `nohup` ignores SIGHUP.
    /// Otherwise a process in a group of its own starts with every signal at its default. Calls add up.
    pub fn keep_ignored(&mut self, signals: impl IntoIterator<Item = i32>) -> &mut Self {
        for number in signals {
            if !signal::is_valid(number) || number == libc::SIGKILL || number == libc::SIGSTOP {
                self.mistake("signals", &format!("{number} is none that can be ignored"));
                return self;
            }
            self.credentials().keep_ignored |= 1 << (number - 1);
        }
        self
    }

    /// Sets its working directory by a descriptor of it, which may be opened with O_PATH; replaces [`Command::cwd`], as
    /// that replaces it.
    pub fn cwd_fd(&mut self, directory: Arc<OwnedFd>) -> &mut Self {
        self.cwd = None;
        self.cwd_fd = Some(directory);
        self
    }

    /// Refuses: the spawn fails with `Unsupported`. A chroot(2) holds nobody who has privileges, and the program, its
    /// loader, and the names of users and files would be looked up partly outside and partly inside.
    pub fn chroot(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        let directory = quoted(directory.as_ref().as_os_str().as_encoded_bytes());
        let why = "is no boundary: a process with privileges leaves it; use a container, or a launcher such as bwrap";
        self.refuse(Error::new(ErrorKind::Unsupported, "spawn", format!("chroot: {directory} {why}")));
        self
    }

    fn credentials(&mut self) -> &mut Credentials {
        self.credentials.get_or_insert_default()
    }

    fn account(&mut self, field: &str, account: Account) -> Option<Account> {
        let what = match &account {
            Account::Name(name) if name.is_empty() => "is empty",
            Account::Name(name) if name.contains('\0') => "has a NUL byte",
            Account::Id(NOBODY_AT_ALL) => "4294967295 is no account",
            _ => return Some(account),
        };
        self.mistake(field, what);
        None
    }
}
