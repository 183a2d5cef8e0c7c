//! A goal as data, so that its words and its judgement cannot differ.

use std::fmt;

#[derive(Clone, Copy)]
pub(crate) enum Reference {
    Limit,
    Peer(&'static str),
    BestPeer,
    /// The best of the peers that have an arrangement in common, which the words name.
    BestOf(&'static str, &'static [&'static str]),
    /// The factor is the figure itself.
    Absolute,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64, Reference),
    AtMost(f64, Reference),
}

/// Every bound must hold; no bound is no goal.
#[derive(Clone)]
pub(crate) struct Goal(pub(crate) Vec<Bound>);

impl Goal {
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Returns whether the goal was met; `None` without a goal, or if what it refers to was not measured.
    pub(crate) fn met(&self, ours: Option<f64>, look_up: impl Fn(Reference) -> Option<f64>) -> Option<bool> {
        let ours = ours?;
        let held = self.0.iter().map(|bound| match *bound {
            Bound::AtLeast(factor, reference) => look_up(reference).map(|value| ours >= factor * value),
            Bound::AtMost(factor, reference) => look_up(reference).map(|value| ours <= factor * value),
        });
        held.reduce(|all, one| Some(all? && one?))?
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, bound) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match bound {
                Bound::AtLeast(factor, reference) => write!(formatter, "{comma}≥ {}", Words(*factor, *reference))?,
                Bound::AtMost(factor, reference) => write!(formatter, "{comma}≤ {}", Words(*factor, *reference))?,
            }
        }
        Ok(())
    }
}

struct Words(f64, Reference);

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(factor, reference) = self;
        match reference {
            Reference::Limit => write!(formatter, "{factor:.2} × limit"),
            Reference::Peer(name) => write!(formatter, "{factor:.2} × {name}"),
            Reference::BestPeer => write!(formatter, "{factor:.2} × best peer"),
            Reference::BestOf(words, _) => write!(formatter, "{factor:.2} × {words}"),
            Reference::Absolute => write!(formatter, "{factor}"),
        }
    }
}
