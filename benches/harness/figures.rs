//! The figures that a host prints about one run of one workload: a line `NAME VALUE` for each.

use crate::Fallible;
use std::fmt;

#[derive(Default)]
pub(crate) struct Figures(Vec<(String, String)>);

impl Figures {
    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Adds the figures of another host; each name begins with `other_`.
    pub(crate) fn joined(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().map(|(name, value)| (format!("other_{name}"), value.clone())));
        self
    }

    pub(crate) fn text(&self, name: &str) -> Fallible<&str> {
        let pair = self.0.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str()).ok_or_else(|| format!("no figure {name:?}").into())
    }

    pub(crate) fn number(&self, name: &str) -> Fallible<f64> {
        Ok(self.text(name)?.parse()?)
    }

    /// Checks a figure that proves that a host did the whole work.
    pub(crate) fn expect(&self, name: &str, expected: impl fmt::Display) -> Fallible<()> {
        match (self.text(name)?, expected.to_string()) {
            (actual, expected) if actual == expected => Ok(()),
            (actual, expected) => Err(format!("{name} is {actual}, expected {expected}").into()),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(formatter, "{name} {value}"))
    }
}
