//! Runs the contenders of a workload in turn, round after round, each time in a fresh host process.

use super::figures::Figures;
use super::probe::Page;
use super::report::Role;
use super::toolchain::Toolchain;
use crate::Fallible;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// Stands for the path of the shared page among a host's arguments.
pub(crate) const PAGE: &str = "@page";

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) host: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
}

pub(crate) struct Workload<'a> {
    pub(crate) title: &'a str,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) rounds: usize,
    /// Time stamps on the shared page.
    pub(crate) stamps: usize,
    /// A check that the host did the whole work.
    pub(crate) check: &'a dyn Fn(&Figures) -> Fallible<()>,
}

/// The figures that each contender printed in each round.
pub(crate) struct Samples {
    contenders: Vec<(&'static str, Role, Vec<Figures>)>,
    pub(crate) failures: Vec<String>,
}

impl Workload<'_> {
    pub(crate) fn run(&self, toolchain: &Toolchain) -> Fallible<Samples> {
        eprintln!("{}: {} rounds", self.title, self.rounds);
        let mut samples = Samples {
            contenders: self.contenders.iter().map(|c| (c.name, c.role, Vec::new())).collect(),
            failures: Vec::new(),
        };
        let mut failed = vec![false; self.contenders.len()];
        for _ in 0..self.rounds {
            for (index, contender) in self.contenders.iter().enumerate() {
                if failed[index] {
                    continue;
                }
                match self.run_host(contender, toolchain) {
                    Ok(figures) => samples.contenders[index].2.push(figures),
                    Err(error) => {
                        failed[index] = true;
                        samples.contenders[index].2.clear();
                        let failure = format!("{}, {}: {error}", self.title, contender.name);
                        eprintln!("failed: {failure}");
                        samples.failures.push(failure);
                    }
                }
            }
        }
        Ok(samples)
    }

    fn run_host(&self, contender: &Contender, toolchain: &Toolchain) -> Fallible<Figures> {
        let page = toolchain.file("page");
        File::create(&page)?.set_len(Page::bytes(self.stamps))?;
        let mut command = Command::new(&contender.host);
        command.envs(contender.environment.iter().copied());
        for argument in &contender.arguments {
            match argument.as_str() {
                PAGE => command.arg(&page),
                other => command.arg(other),
            };
        }
        let output = command.output()?;
        std::fs::remove_file(&page)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}", output.status, message.trim()).into());
        }
        let figures = Figures::parse(&String::from_utf8(output.stdout)?);
        (self.check)(&figures)?;
        Ok(figures)
    }
}

impl Samples {
    /// Returns the contenders of a role that took part, including those that failed.
    pub(crate) fn names(&self, role: Role) -> Vec<&'static str> {
        let of_role = self.contenders.iter().filter(|(_, known, _)| *known == role);
        of_role.map(|(name, ..)| *name).collect()
    }

    /// Joins the figures of each contender with those of the one behind it, round by round; the names of the latter's
    /// figures begin with `other_`. The two have the same name, and both finished or neither has figures.
    pub(crate) fn paired(self) -> Self {
        let mut contenders = self.contenders.into_iter();
        let mut pairs = Vec::new();
        while let (Some((name, role, first)), Some((_, _, second))) = (contenders.next(), contenders.next()) {
            pairs.push((name, role, first.into_iter().zip(second).map(|(one, other)| one.joined(&other)).collect()));
        }
        Self { contenders: pairs, failures: self.failures }
    }

    /// Returns the median over the rounds of one figure, for each contender that finished.
    pub(crate) fn medians(
        &self,
        figure: &dyn Fn(&Figures) -> Fallible<f64>,
    ) -> Fallible<Vec<(&'static str, Role, f64)>> {
        let mut medians = Vec::new();
        for (name, role, rounds) in &self.contenders {
            let mut values = rounds.iter().map(figure).collect::<Fallible<Vec<f64>>>()?;
            if !values.is_empty() {
                medians.push((*name, *role, median(&mut values)));
            }
        }
        Ok(medians)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
