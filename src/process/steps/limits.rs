//! The steps that say what a process may use.

use crate::error::{Error, Result};
use crate::process::command::Command;
use crate::process::explain::{OPERATION, subject};
use crate::process::resources::{IoPriority, Limits, Scheduling};
use crate::sys::limits;
use crate::sys::spawn::{Stage, Steps};

/// Adds them, the limits last, because they may concern the others.
pub(super) fn add(command: &Command, limits: &Limits, steps: &mut Steps) -> Result<()> {
    if let Some(score) = limits.oom_score {
        steps.write_file(Stage::Oom, c"/proc/self/oom_score_adj", &score.to_string());
    }
    if let Some(nice) = limits.nice {
        steps.call(Stage::Nice, libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, nice as usize, 0, 0]);
    }
    if let Some(scheduling) = limits.scheduling {
        let (policy, priority) = match scheduling {
            Scheduling::Other => (libc::SCHED_OTHER, 0),
            Scheduling::Batch => (libc::SCHED_BATCH, 0),
            Scheduling::Idle => (libc::SCHED_IDLE, 0),
            Scheduling::Fifo(priority) => (libc::SCHED_FIFO, priority),
            Scheduling::RoundRobin(priority) => (libc::SCHED_RR, priority),
        };
        let parameter = steps.keep(&i32::from(priority).to_ne_bytes());
        steps.call(Stage::Scheduling, libc::SYS_sched_setscheduler, [0, policy as usize, parameter, 0, 0]);
    }
    if let Some(priority) = limits.io_priority {
        const PROCESS: usize = 1;
        const CLASS_SHIFT: u32 = 13;
        let (class, level) = match priority {
            IoPriority::RealTime(level) => (1usize, level),
            IoPriority::BestEffort(level) => (2, level),
            IoPriority::Idle => (3, 0),
        };
        let value = class << CLASS_SHIFT | usize::from(level);
        steps.call(Stage::IoPriority, libc::SYS_ioprio_set, [PROCESS, 0, value, 0, 0]);
    }
    add_affinity(command, &limits.cpus, steps)?;
    for (resource, soft, hard) in &limits.resources {
        let value = steps.keep(&[soft.to_ne_bytes(), hard.to_ne_bytes()].concat());
        steps.call(Stage::Limit, libc::SYS_prlimit64, [0, *resource as usize, value, 0, 0]);
    }
    Ok(())
}

fn add_affinity(command: &Command, cpus: &[u32], steps: &mut Steps) -> Result<()> {
    let Some(last) = cpus.last() else { return Ok(()) };
    // The kernel passes over numbers that it does not know, as long as it knows one.
    if let Some(known) = limits::last_cpu()
        && *last > known
    {
        let what = format!("cpu affinity: there is no processor {last}, the last is {known}");
        return Err(Error::invalid(OPERATION, what).at("cpu affinity").on(subject(command)));
    }
    let mut mask = vec![0u8; (*last as usize / 64 + 1) * 8];
    for cpu in cpus {
        mask[*cpu as usize / 8] |= 1 << (cpu % 8);
    }
    let at = steps.keep(&mask);
    steps.call(Stage::Affinity, libc::SYS_sched_setaffinity, [0, mask.len(), at, 0, 0]);
    Ok(())
}
