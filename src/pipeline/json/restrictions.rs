//! As whom a command's process runs, and what it may use.

use super::field::{Field, Object};
use super::signal::signal_number;
use crate::error::Result;
use crate::process::{Account, Command, IoPriority, Resource, Scheduling};

pub(super) fn credentials(object: &Object<'_>, command: &mut Command) -> Result<()> {
    if let Some(user) = object.get("user") {
        command.user(account(&user)?);
    }
    if let Some(group) = object.get("primary_group") {
        command.primary_group(account(&group)?);
    }
    if let Some(groups) = object.get("supplementary_groups") {
        let groups = groups.list("a list of groups")?.map(|group| account(&group)).collect::<Result<Vec<_>>>()?;
        command.supplementary_groups(groups);
    }
    if let Some(mask) = object.get("umask") {
        let text = mask.text()?;
        let is_octal = !text.is_empty() && text.len() <= 4 && text.bytes().all(|digit| (b'0'..b'8').contains(&digit));
        let bits = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
        command.umask(bits.ok_or_else(|| mask.wrong("is no octal number, such as \"027\""))?);
    }
    if let Some(set) = object.get("no_new_privileges")
        && set.boolean()?
    {
        command.no_new_privileges();
    }
    if let Some(names) = object.get("drop_capabilities") {
        let names = names.list("a list of strings")?.map(|name| name.text()).collect::<Result<Vec<_>>>()?;
        command.drop_capabilities(names);
    }
    if let Some(signals) = object.get("keep_ignored") {
        let signals =
            signals.list("a list of signals")?.map(|signal| signal_number(&signal)).collect::<Result<Vec<_>>>()?;
        command.keep_ignored(signals);
    }
    if let Some(signal) = object.get("die_with_host") {
        command.die_with_host(signal_number(&signal)?);
    }
    if let Some(directory) = object.get("chroot") {
        command.chroot(directory.text()?);
    }
    Ok(())
}

pub(super) fn resources(object: &Object<'_>, command: &mut Command) -> Result<()> {
    if let Some(limits) = object.get("limits") {
        for (name, value) in limits.object(&Resource::ALL.map(Resource::name))?.fields() {
            let [soft, hard] = limit(&value)?;
            if let Some(resource) = Resource::ALL.into_iter().find(|known| known.name() == name) {
                command.resource_limit(resource, soft, hard);
            }
        }
    }
    if let Some(nice) = object.get("nice") {
        command.nice(nice.integer(-20, 19)?);
    }
    if let Some(scheduling) = object.get("scheduling") {
        command.scheduling(policy(&scheduling)?);
    }
    if let Some(priority) = object.get("io_priority") {
        command.io_priority(io_priority(&priority)?);
    }
    if let Some(cpus) = object.get("cpu_affinity") {
        let number = |cpu: Field<'_>| cpu.integer(0, i32::MAX).map(i32::cast_unsigned);
        command.cpu_affinity(cpus.list("a list of processors")?.map(number).collect::<Result<Vec<_>>>()?);
    }
    if let Some(score) = object.get("oom_score") {
        command.oom_score(score.integer(-1000, 1000)?);
    }
    Ok(())
}

/// Reads a name or a number.
fn account(field: &Field<'_>) -> Result<Account> {
    if field.is_text() {
        return Ok(Account::from(field.name()?));
    }
    let number = field.whole(0, u64::from(u32::MAX) - 1)?;
    u32::try_from(number).map(Account::Id).map_err(|_| field.expected("a name or a number"))
}

/// Reads one value for both limits, or a list of the soft and the hard one; null is no limit.
fn limit(field: &Field<'_>) -> Result<[u64; 2]> {
    let one = |field: &Field<'_>| if field.is_null() { Ok(u64::MAX) } else { field.whole(0, u64::MAX) };
    if !field.is_list() {
        return Ok([one(field)?; 2]);
    }
    let values = field.list("a list")?.map(|value| one(&value)).collect::<Result<Vec<_>>>()?;
    values.try_into().map_err(|_| field.expected("the soft and the hard limit"))
}

fn policy(field: &Field<'_>) -> Result<Scheduling> {
    if !field.is_object() {
        return field.choice(&[("other", Scheduling::Other), ("batch", Scheduling::Batch), ("idle", Scheduling::Idle)]);
    }
    let object = field.object(&["fifo", "round_robin"])?;
    match (object.get("fifo"), object.get("round_robin")) {
        (Some(priority), None) => Ok(Scheduling::Fifo(level(&priority, 1, 99)?)),
        (None, Some(priority)) => Ok(Scheduling::RoundRobin(level(&priority, 1, 99)?)),
        _ => Err(field.wrong("has to have one of \"fifo\" and \"round_robin\"")),
    }
}

fn io_priority(field: &Field<'_>) -> Result<IoPriority> {
    if !field.is_object() {
        return field.choice(&[("idle", IoPriority::Idle)]);
    }
    let object = field.object(&["best_effort", "real_time"])?;
    match (object.get("best_effort"), object.get("real_time")) {
        (Some(priority), None) => Ok(IoPriority::BestEffort(level(&priority, 0, 7)?)),
        (None, Some(priority)) => Ok(IoPriority::RealTime(level(&priority, 0, 7)?)),
        _ => Err(field.wrong("has to have one of \"best_effort\" and \"real_time\"")),
    }
}

fn level(field: &Field<'_>, least: u64, most: u64) -> Result<u8> {
    Ok(field.whole(least, most)?.try_into().unwrap_or(u8::MAX))
}
