//! The table, for people, and `report.json`, for programs.

use super::goal::{Goal, Reference};
use crate::Fallible;
use std::fmt::Write;
use std::path::Path;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Ours,
    Peer,
    Limit,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

pub(crate) struct Row {
    pub(crate) metric: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) ours: Option<f64>,
    pub(crate) peers: Vec<(&'static str, f64)>,
    pub(crate) limit: Option<f64>,
    pub(crate) goal: Goal,
}

impl Row {
    fn best_of(&self, is_one: impl Fn(&str) -> bool) -> Option<f64> {
        let values = self.peers.iter().filter(|(name, _)| is_one(name)).map(|(_, value)| *value);
        match self.better {
            Better::Higher => values.reduce(f64::max),
            Better::Lower => values.reduce(f64::min),
        }
    }

    fn look_up(&self, reference: Reference) -> Option<f64> {
        match reference {
            Reference::Limit => self.limit,
            Reference::BestPeer => self.best_of(|_| true),
            Reference::BestOf(_, names) => self.best_of(|name| names.contains(&name)),
            Reference::Peer(name) => self.peers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value),
            Reference::Absolute => Some(1.0),
        }
    }

    fn met(&self) -> Option<bool> {
        self.goal.met(self.ours, |reference| self.look_up(reference))
    }

    fn cells(&self) -> [String; 9] {
        let arrow = if self.better == Better::Higher { '↑' } else { '↓' };
        let ratio = |reference| match (self.ours, self.look_up(reference)) {
            (Some(ours), Some(other)) if other > 0.0 => format!("{:.2}", ours / other),
            _ => "–".to_owned(),
        };
        let peers: Vec<String> = self.peers.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
        [
            self.metric.clone(),
            format!("{} {arrow}", self.unit),
            self.ours.map_or_else(|| "–".to_owned(), short),
            self.limit.map_or_else(|| "–".to_owned(), short),
            ratio(Reference::Limit),
            ratio(Reference::BestPeer),
            match self.met() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "–",
            }
            .to_owned(),
            self.goal.to_string(),
            peers.join(" · "),
        ]
    }

    fn json(&self) -> String {
        let peers: Vec<String> =
            self.peers.iter().map(|(name, value)| format!("{}: {}", quoted(name), number(Some(*value)))).collect();
        format!(
            "{{\"metric\": {}, \"unit\": {}, \"better\": \"{}\", \"ours\": {}, \"peers\": {{{}}}, \"limit\": {}, \
             \"goal\": {}, \"met\": {}}}",
            quoted(&self.metric),
            quoted(self.unit),
            if self.better == Better::Higher { "higher" } else { "lower" },
            number(self.ours),
            peers.join(", "),
            number(self.limit),
            quoted(&self.goal.to_string()),
            self.met().map_or_else(|| "null".to_owned(), |met| met.to_string()),
        )
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["metric", "unit", "ours", "limit", "÷ limit", "÷ peer", "met", "goal", "peers"].map(str::to_owned);
    let lines: Vec<[String; 9]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    let mut table = String::new();
    for (index, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            2..=5 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        let _ = writeln!(table, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        if index == 0 {
            let _ = writeln!(table, "{}", widths.map(|width| "─".repeat(width)).join("  "));
        }
    }
    table
}

pub(crate) fn write_json(rows: &[Row], path: &Path) -> Fallible<()> {
    let rows: Vec<String> = rows.iter().map(|row| format!("  {}", row.json())).collect();
    Ok(std::fs::write(path, format!("[\n{}\n]\n", rows.join(",\n")))?)
}

/// Three or more significant digits, thousands apart.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size == 0.0 || size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        _ => 2,
    };
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let groups: Vec<&str> = whole.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{}{}{rest}", if value < 0.0 { "−" } else { "" }, groups.join(","))
}

fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}
