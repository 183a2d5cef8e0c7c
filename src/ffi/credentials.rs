//! As whom a command's process runs, what it may not do, and whether it outlives the host.

use std::ffi::{OsStr, c_char};
use std::mem::MaybeUninit;

use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use crate::Command;
use crate::error::{Error, Result};

/// Runs it as this user, a name or a decimal number, with the user's primary and supplementary
/// groups of the database, as initgroups(3) finds them, unless they are set as well. A number that
/// the database does not know needs coreproc_command_primary_group, and gets no supplementary
/// groups. Names are looked up at each spawn: one that does not exist fails it with NOT_FOUND, stage
/// "user".
///
/// Real, effective and saved ids are set, the groups first. Before the program runs, the child tries
/// to get back the ids and the groups that it gave up; if the kernel grants one, the spawn fails.
/// Only root, or a host with CAP_SETUID and CAP_SETGID, may become another user; for others the user
/// that they are already is no change. Its directory and its files are opened as the host's user,
/// the program is looked up as the new one. Such a process starts with a copy of the host's memory
/// map, as by fork(2), which costs more in a big host.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_user(
    command: Option<&mut coreproc_command>,
    user: *const c_char,
    user_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `user` has `user_len` bytes.
    set(command, err, |op, command| set_user(op, command, unsafe { op.text("user", user, user_len) }?))
}

pub(super) fn set_user<'a>(op: Operation, command: &'a mut Command, user: &OsStr) -> Result<&'a mut Command> {
    Ok(command.user(utf8(op, "user", user)?))
}

/// Runs it with this primary group, a name or a decimal number: real, effective and saved group id.
/// Without coreproc_command_user the supplementary groups stay those of the host.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_primary_group(
    command: Option<&mut coreproc_command>,
    group: *const c_char,
    group_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `group` has `group_len` bytes.
    set(command, err, |op, command| set_group(op, command, unsafe { op.text("group", group, group_len) }?))
}

pub(super) fn set_group<'a>(op: Operation, command: &'a mut Command, group: &OsStr) -> Result<&'a mut Command> {
    Ok(command.primary_group(utf8(op, "group", group)?))
}

/// Runs it with these supplementary groups and no others: names or decimal numbers with commas
/// between them, `"adm,27"`; nothing for none.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_supplementary_groups(
    command: Option<&mut coreproc_command>,
    groups: *const c_char,
    groups_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `groups` has `groups_len` bytes.
    set(command, err, |op, command| set_groups(op, command, unsafe { op.text("groups", groups, groups_len) }?))
}

pub(super) fn set_groups<'a>(op: Operation, command: &'a mut Command, groups: &OsStr) -> Result<&'a mut Command> {
    Ok(command.supplementary_groups(listed(utf8(op, "groups", groups)?)))
}

/// Sets its file mode creation mask, at most 0777.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_umask(
    command: Option<&mut coreproc_command>,
    mask: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.umask(mask)))
}

/// Lets no exec give it, or what it starts, more than it has (PR_SET_NO_NEW_PRIVS): set-user-ID and
/// set-group-ID bits and the capabilities of files are without effect.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_no_new_privileges(
    command: Option<&mut coreproc_command>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.no_new_privileges()))
}

/// Takes capabilities from all its sets, the bounding set included: names with commas between them,
/// such as `"cap_net_raw,cap_sys_admin"`, or `"all"`. Calls add up. The bounding set needs
/// CAP_SETPCAP: a host without it sets coreproc_command_no_new_privileges as well, else the spawn
/// fails with EPERM.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_drop_capabilities(
    command: Option<&mut coreproc_command>,
    names: *const c_char,
    names_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `names` has `names_len` bytes.
    set(command, err, |op, command| set_dropped(op, command, unsafe { op.text("names", names, names_len) }?))
}

pub(super) fn set_dropped<'a>(op: Operation, command: &'a mut Command, names: &OsStr) -> Result<&'a mut Command> {
    Ok(command.drop_capabilities(listed(utf8(op, "names", names)?)))
}

/// Lets it ignore this signal if the host ignores it at the spawn, as a host under `nohup` ignores
/// SIGHUP. Otherwise a process in a group of its own starts with every signal at its default. Calls
/// add up.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_keep_ignored(
    command: Option<&mut coreproc_command>,
    signal: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.keep_ignored([signal])))
}

/// Sets its working directory by a descriptor of it, which may be opened with O_PATH; replaces
/// coreproc_command_cwd, as that replaces it. `fd` is duplicated.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_cwd_fd(
    command: Option<&mut coreproc_command>,
    fd: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_directory(op, command, fd))
}

pub(super) fn set_directory(op: Operation, command: &mut Command, fd: i32) -> Result<&mut Command> {
    let fd = crate::process::duplicate(fd).map_err(|errno| Error::system(op.0, "cwd fd", errno))?;
    Ok(command.cwd_fd(fd))
}

/// Has the kernel send it this signal when the host dies, however that happens (PR_SET_PDEATHSIG):
/// SIGKILL ends it for sure. The signal reaches the process alone, not what it has started; running a
/// set-user-ID program, or one with capabilities of its own, undoes it. Such processes are started
/// one after another by a thread of the service, which lives as long as they do; what Linux keeps
/// for each thread (namespaces, processors, nice value) they have from that thread, which has it from
/// the first one that spawned such a process. Refused together with coreproc_command_detach, by the
/// spawn.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_die_with_host(
    command: Option<&mut coreproc_command>,
    signal: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.die_with_host(signal)))
}

fn utf8<'a>(op: Operation, name: &str, text: &'a OsStr) -> Result<&'a str> {
    text.to_str().ok_or_else(|| op.invalid(format!("{name}: is not UTF-8")))
}

/// Returns the items of a list with commas; an empty list has none.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').take(if text.is_empty() { 0 } else { usize::MAX })
}
