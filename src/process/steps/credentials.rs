//! The steps that say as whom a process runs. Names are looked up here, before the clone.

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::process::command::Command;
use crate::process::credentials::{Account, Credentials};
use crate::process::explain::{OPERATION, failed, subject};
use crate::sys::account::{self, Own};
use crate::sys::spawn::{Stage, Step, Steps};
use crate::sys::{capability, signal};

/// Adds them in this order: what needs privileges, the groups, the user, the capabilities that are left, and the proof
/// that nothing can be regained.
pub(super) fn add(command: &Command, wanted: &Credentials, steps: &mut Steps) -> Result<()> {
    for number in (1..=signal::MAX).filter(|number| wanted.keep_ignored >> (number - 1) & 1 == 1) {
        if signal::is_ignored(number) {
            let action = signal::ignoring() as usize;
            steps.call(Stage::Signals, libc::SYS_rt_sigaction, [number as usize, action, 0, size_of::<u64>(), 0]);
        }
    }
    if let Some(mask) = wanted.umask {
        steps.call(Stage::Umask, libc::SYS_umask, [mask as usize, 0, 0, 0, 0]);
    }
    if wanted.dropped != 0 {
        // A process of the same user that has fewer capabilities must not reach into the host.
        steps.own_memory = true;
        // Without new privileges, no program can give back what the bounding set has.
        if !wanted.no_new_privileges || capability::may_drop_from_bounding() {
            for number in capability::bounding(wanted.dropped) {
                let drop = [libc::PR_CAPBSET_DROP as usize, number as usize, 0, 0, 0];
                steps.call(Stage::Capabilities, libc::SYS_prctl, drop);
            }
        }
    }
    let proof = add_identity(command, wanted, steps)?;
    if wanted.dropped != 0 {
        steps.add(Step::drop_capabilities(wanted.dropped));
    }
    proof.into_iter().for_each(|step| steps.add(step));
    if wanted.no_new_privileges {
        let set = [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0];
        steps.call(Stage::NoNewPrivs, libc::SYS_prctl, set);
    }
    Ok(())
}

/// The ids that a process gets; None for what stays the host's. Each group is with the option that gave it.
#[derive(Default)]
struct Identity {
    uid: Option<u32>,
    gid: Option<(u32, Stage)>,
    groups: Option<(Vec<u32>, Stage)>,
}

/// Adds the steps that set groups and user. Returns those that must be refused afterwards.
fn add_identity(command: &Command, wanted: &Credentials, steps: &mut Steps) -> Result<Vec<Step>> {
    let identity = look_up(command, wanted)?;
    if identity.uid.is_none() && identity.gid.is_none() && identity.groups.is_none() {
        return Ok(Vec::new());
    }
    let own = Own::get().map_err(|errno| failed(command, Stage::User.name(), errno))?;
    // What is so already needs no privilege, so it is not set.
    if let Some((groups, stage)) = identity.groups
        && !is_same(&groups, &own.groups)
    {
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
        let at = steps.keep(&bytes);
        steps.call(stage, libc::SYS_setgroups, [groups.len(), at, 0, 0, 0]);
    }
    if let Some((gid, stage)) = identity.gid
        && own.gids != [gid; 3]
    {
        steps.own_memory = true;
        steps.call(stage, libc::SYS_setresgid, all_three(gid));
    }
    let Some(uid) = identity.uid.filter(|uid| own.uids != [*uid; 3]) else { return Ok(Vec::new()) };
    steps.own_memory = true;
    steps.call(Stage::User, libc::SYS_setresuid, all_three(uid));
    if uid == 0 {
        // Root may become anyone.
        return Ok(Vec::new());
    }
    let gid = identity.gid.map(|(gid, _)| gid);
    let uids = own.uids.iter().filter(|own| **own != uid).map(|uid| (libc::SYS_setresuid, *uid));
    let gids = own.gids.iter().filter(|own| gid.is_some_and(|gid| gid != **own)).map(|gid| (libc::SYS_setresgid, *gid));
    let mut regained: Vec<(libc::c_long, u32)> = uids.chain(gids).collect();
    regained.dedup();
    let mut proof: Vec<Step> =
        regained.iter().map(|(call, id)| Step::new(Stage::User, *call, all_three(*id))).collect();
    proof.push(Step::new(Stage::User, libc::SYS_setgroups, [0; 5]));
    Ok(proof.into_iter().map(Step::refused).collect())
}

fn all_three(id: u32) -> [usize; 5] {
    let id = id as usize;
    [id, id, id, 0, 0]
}

fn look_up(command: &Command, wanted: &Credentials) -> Result<Identity> {
    let mut identity = Identity::default();
    if let Some(group) = &wanted.primary_group {
        identity.gid = Some((number_of(command, Stage::PrimaryGroup, group)?, Stage::PrimaryGroup));
    }
    if let Some(groups) = &wanted.supplementary_groups {
        let stage = Stage::SupplementaryGroups;
        let numbers = groups.iter().map(|group| number_of(command, stage, group)).collect::<Result<_>>()?;
        identity.groups = Some((numbers, stage));
    }
    let Some(user) = &wanted.user else { return Ok(identity) };
    let failed = |errno| failed(command, Stage::User.name(), errno);
    let entry = match user {
        Account::Name(name) => account::user_named(name).map_err(failed)?,
        // The database is not asked for what is told.
        Account::Id(_) if identity.gid.is_some() && identity.groups.is_some() => None,
        Account::Id(number) => account::user_numbered(*number).map_err(failed)?,
    };
    match (entry, user) {
        (Some(entry), _) => {
            identity.uid = Some(entry.uid);
            let (gid, _) = *identity.gid.get_or_insert((entry.gid, Stage::User));
            if identity.groups.is_none() {
                identity.groups = Some((account::groups_of(&entry.name, gid).map_err(failed)?, Stage::User));
            }
        }
        (None, Account::Name(name)) => return Err(unknown(command, Stage::User, name)),
        (None, Account::Id(number)) if identity.gid.is_none() => {
            let what = format!("user: {number} is not in the user database, so it needs a primary group");
            return Err(Error::invalid(OPERATION, what).at(Stage::User.name()).on(subject(command)));
        }
        (None, Account::Id(number)) => {
            identity.uid = Some(*number);
            identity.groups.get_or_insert((Vec::new(), Stage::User));
        }
    }
    Ok(identity)
}

fn number_of(command: &Command, stage: Stage, group: &Account) -> Result<u32> {
    match group {
        Account::Id(number) => Ok(*number),
        Account::Name(name) => account::group_named(name)
            .map_err(|errno| failed(command, stage.name(), errno))?
            .ok_or_else(|| unknown(command, stage, name)),
    }
}

fn unknown(command: &Command, stage: Stage, name: &str) -> Error {
    let what = if stage == Stage::User { "user" } else { "group" };
    let cause = format!("there is no {what} {}", quoted(name.as_bytes()));
    Error::new(ErrorKind::NotFound, OPERATION, cause).at(stage.name()).on(subject(command))
}

/// Returns whether both have the same groups, in any order.
fn is_same(groups: &[u32], others: &[u32]) -> bool {
    let sorted = |groups: &[u32]| {
        let mut groups = groups.to_vec();
        groups.sort_unstable();
        groups.dedup();
        groups
    };
    sorted(groups) == sorted(others)
}
