//! One run of the benches: its scale, its contenders, and the rows so far.

use crate::Fallible;
use crate::harness::figures::Figures;
use crate::harness::goal::Goal;
use crate::harness::report::{Better, Role, Row};
use crate::harness::round::{Contender, Samples, Workload};
use crate::harness::toolchain::Toolchain;
use std::path::PathBuf;

pub(super) const IMPLEMENTATIONS: [&str; 8] =
    ["limit", "rust", "c", "std", "tokio", "go-ours", "os-exec", "go-manager"];

pub(crate) struct Session {
    pub(crate) toolchain: Toolchain,
    pub(crate) scale: f64,
    pub(crate) rows: Vec<Row>,
    pub(crate) failures: Vec<String>,
    implementations: Vec<String>,
    rust_host: PathBuf,
    go_host: PathBuf,
}

/// One column of what the hosts print, as rows of the report.
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) goal: Goal,
    pub(crate) figure: &'a dyn Fn(&Figures) -> Fallible<f64>,
}

impl Session {
    /// Opens a session. `implementations` are those that take part, all if it is empty; `from_go` says whether Go hosts
    /// are among them.
    pub(crate) fn new(implementations: &[&str], from_go: bool) -> Fallible<Self> {
        let scale = match std::env::var("COREPROC_SCALE") {
            Ok(text) => text.parse().map_err(|_| format!("COREPROC_SCALE={text:?}: not a number"))?,
            Err(_) => 1.0,
        };
        let toolchain = Toolchain::new()?;
        let session = Self {
            go_host: toolchain.file("go-host"),
            toolchain,
            scale,
            rows: Vec::new(),
            failures: Vec::new(),
            implementations: implementations.iter().map(|&name| name.to_owned()).collect(),
            rust_host: std::env::current_exe()?,
        };
        session.toolchain.build_children()?;
        if session.takes_part("limit") {
            session.toolchain.build_limits()?;
        }
        if session.takes_part("c") {
            session.toolchain.build_ours_c()?;
        }
        if from_go && ["go-ours", "os-exec", "go-manager"].iter().any(|name| session.takes_part(name)) {
            session.toolchain.build_go(&session.go_host)?;
        }
        Ok(session)
    }

    fn takes_part(&self, implementation: &str) -> bool {
        self.implementations.is_empty() || self.implementations.iter().any(|name| name == implementation)
    }

    /// Returns a count of work, `full` at scale 1.
    pub(crate) fn count(&self, full: usize, least: usize) -> usize {
        ((full as f64 * self.scale) as usize).max(least)
    }

    /// Returns the number of rounds, fewer for a quick look.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        if self.scale < 1.0 { full.min(3) } else { full }
    }

    pub(crate) fn child(&self, name: &str) -> String {
        self.toolchain.child(name).display().to_string()
    }

    /// Returns a contender for every implementation, each with the same arguments.
    pub(crate) fn all(&self, workload: &str, arguments: &[String]) -> Vec<Contender> {
        let named = [("limit", "limit"), ("Rust", "rust"), ("C", "c"), ("std", "std"), ("tokio", "tokio")];
        named.iter().filter_map(|(name, implementation)| self.one(name, implementation, workload, arguments)).collect()
    }

    /// `None` if it takes no part in this run.
    pub(crate) fn one(
        &self,
        name: &'static str,
        implementation: &str,
        workload: &str,
        arguments: &[String],
    ) -> Option<Contender> {
        let in_rust =
            |host: &str| (self.rust_host.clone(), vec!["--host".to_owned(), host.to_owned(), workload.to_owned()]);
        let in_go = |host: &str| (self.go_host.clone(), vec![host.to_owned(), workload.to_owned()]);
        let in_c = |prefix: &str| (self.toolchain.file(&format!("{prefix}-{workload}")), Vec::new());
        let (role, (host, mut all)) = match implementation {
            "limit" => (Role::Limit, in_c("limit")),
            "c" => (Role::Ours, in_c("ours")),
            "rust" => (Role::Ours, in_rust("ours")),
            "go-ours" => (Role::Ours, in_go("ours")),
            "os-exec" => (Role::Peer, in_go("os-exec")),
            "go-manager" => (Role::Peer, in_go("manager")),
            peer => (Role::Peer, in_rust(peer)),
        };
        all.extend_from_slice(arguments);
        self.takes_part(implementation).then_some(Contender {
            name,
            role,
            host,
            arguments: all,
            environment: Vec::new(),
        })
    }

    pub(crate) fn run(&mut self, workload: &Workload<'_>) -> Fallible<Samples> {
        let mut samples = workload.run(&self.toolchain)?;
        self.failures.append(&mut samples.failures);
        Ok(samples)
    }

    /// Adds a row for each way into coreproc, with the same peers and limit.
    pub(crate) fn report(&mut self, samples: &Samples, metric: &Metric<'_>) -> Fallible<()> {
        let medians = samples.medians(metric.figure)?;
        let of = |role: Role| medians.iter().filter(move |(_, known, _)| *known == role);
        let mut ways = samples.names(Role::Ours);
        if ways.is_empty() {
            ways.push("not measured");
        }
        for way in ways {
            self.rows.push(Row {
                metric: format!("{} ({way})", metric.name),
                unit: metric.unit,
                better: metric.better,
                ours: of(Role::Ours).find(|(name, ..)| *name == way).map(|(_, _, value)| *value),
                peers: of(Role::Peer).map(|(name, _, value)| (*name, *value)).collect(),
                limit: of(Role::Limit).map(|(_, _, value)| *value).next(),
                goal: metric.goal.clone(),
            });
        }
        Ok(())
    }
}
