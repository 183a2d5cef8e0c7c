//! What a process may use, and before which others it comes.

use super::Command;
use crate::process::resources::{IoPriority, Limits, Resource, Scheduling};

/// The greatest number of a processor that can be named, CPU_SETSIZE of kernels for big machines.
const MOST_CPUS: u32 = 8192;

impl Command {
    /// Sets a limit of the kernel's: soft and hard, [`u64::MAX`] for none. A later call for the same resource replaces
    /// an earlier one. It is set before the user, so that a host with CAP_SYS_RESOURCE may raise a hard limit; another
    /// host gets EPERM for that, at the stage `limit`.
    pub fn resource_limit(&mut self, resource: Resource, soft: u64, hard: u64) -> &mut Self {
        if soft > hard {
            let of = |value: u64| if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() };
            let what = format!("the soft limit {} is above the hard limit {}", of(soft), of(hard));
            self.mistake(&format!("limit {}", resource.name()), &what);
        } else {
            let limits = self.limits();
            limits.resources.retain(|known| known.0 != resource);
            limits.resources.push((resource, soft, hard));
        }
        self
    }

    /// Sets its nice value, from -20, the most favourable, to 19. One that is lower than the host's needs CAP_SYS_NICE
    /// or RLIMIT_NICE.
    pub fn nice(&mut self, nice: i32) -> &mut Self {
        if (-20..=19).contains(&nice) {
            self.limits().nice = Some(nice);
        } else {
            self.mistake("nice", &format!("{nice} is not from -20 to 19"));
        }
        self
    }

    /// Sets its scheduling policy.
    pub fn scheduling(&mut self, scheduling: Scheduling) -> &mut Self {
        match scheduling {
            Scheduling::Fifo(priority) | Scheduling::RoundRobin(priority) if !(1..=99).contains(&priority) => {
                self.mistake("scheduling", &format!("the priority {priority} is not from 1 to 99"));
            }
            _ => self.limits().scheduling = Some(scheduling),
        }
        self
    }

    /// Sets its priority of reads and writes of disks.
    pub fn io_priority(&mut self, priority: IoPriority) -> &mut Self {
        match priority {
            IoPriority::RealTime(level) | IoPriority::BestEffort(level) if level > 7 => {
                self.mistake("io priority", &format!("the level {level} is not from 0 to 7"));
            }
            _ => self.limits().io_priority = Some(priority),
        }
        self
    }

    /// Sets on which processors it may run, by their numbers, which count from 0.
    pub fn cpu_affinity(&mut self, cpus: impl IntoIterator<Item = u32>) -> &mut Self {
        const FIELD: &str = "cpu affinity";
        let mut cpus: Vec<u32> = cpus.into_iter().take(MOST_CPUS as usize + 1).collect();
        cpus.sort_unstable();
        cpus.dedup();
        match cpus.last() {
            None => self.mistake(FIELD, "names no processor"),
            Some(last) if *last >= MOST_CPUS => self.mistake(FIELD, &format!("{last} is above {}", MOST_CPUS - 1)),
            Some(_) => self.limits().cpus = cpus,
        }
        self
    }

    /// Sets how likely the kernel chooses it when memory runs out: from -1000, never, to 1000, first
    /// (`/proc/PID/oom_score_adj`). A value below the host's needs CAP_SYS_RESOURCE.
    pub fn oom_score(&mut self, score: i32) -> &mut Self {
        if (-1000..=1000).contains(&score) {
            self.limits().oom_score = Some(score);
        } else {
            self.mistake("oom score", &format!("{score} is not from -1000 to 1000"));
        }
        self
    }

    fn limits(&mut self) -> &mut Limits {
        self.limits.get_or_insert_default()
    }
}
