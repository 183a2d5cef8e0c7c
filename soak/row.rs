//! One figure, its goal, and the table and the `report.json` made of them.

use crate::Fallible;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// A goal as data, so that its words and its judgement cannot differ.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Zero means zero.
    Exactly(f64),
    AtMost(f64),
    /// The figure is printed but not judged: from so few counts it says nothing.
    None,
}

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Goal::Exactly(goal) => value == goal,
            Goal::AtMost(goal) => value <= goal,
            Goal::None => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Exactly(goal) => write!(f, "{goal}"),
            Goal::AtMost(goal) => write!(f, "≤ {goal}"),
            Goal::None => write!(f, "none"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    value: f64,
    goal: String,
    unit: String,
    ok: bool,
}

/// Marks a row among what an area prints.
const MARK: &str = "row: ";

#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    /// Adds a figure, with its counts in the name.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, goal: Goal, unit: &str) {
        let value = (value * 1000.0).round() / 1000.0;
        let row = Row { name: name.into(), value, goal: goal.to_string(), unit: unit.to_owned(), ok: goal.met(value) };
        // The orchestrator reads it, even if the area does not run to its end.
        if let Ok(text) = serde_json::to_string(&row) {
            println!("\n{MARK}{text}");
        }
        self.0.push(row);
    }

    /// Adds a count of something that must not happen.
    pub(crate) fn none(&mut self, name: impl Into<String>, count: impl TryInto<u32>) {
        self.add(name, count.try_into().map_or(f64::INFINITY, f64::from), Goal::Exactly(0.0), "");
    }

    pub(crate) fn parse(&mut self, text: &str) -> Fallible<()> {
        for line in text.lines().filter_map(|line| line.strip_prefix(MARK)) {
            self.0.push(serde_json::from_str(line)?);
        }
        Ok(())
    }

    /// Adds a row for an area that did not run to its end.
    pub(crate) fn failed(&mut self, area: &str, why: &str) {
        self.0.push(Row {
            name: format!("{area}: did not come to its end ({why})"),
            value: 1.0,
            goal: Goal::Exactly(0.0).to_string(),
            unit: String::new(),
            ok: false,
        });
    }

    pub(crate) fn all_met(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.ok)
    }

    pub(crate) fn table(&self) -> String {
        let cells = |row: &Row| {
            [
                row.name.clone(),
                row.value.to_string(),
                row.unit.clone(),
                row.goal.clone(),
                ["NO", "yes"][usize::from(row.ok)].to_owned(),
            ]
        };
        let head = ["what", "figure", "unit", "goal", "met"].map(str::to_owned);
        let lines: Vec<[String; 5]> = std::iter::once(head).chain(self.0.iter().map(cells)).collect();
        let widths: [usize; 5] =
            std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
        let mut table = String::new();
        for line in &lines {
            let [what, figure, unit, goal, met] = line;
            let [a, b, c, d, _] = widths;
            table += format!("{what:<a$}  {figure:>b$}  {unit:<c$}  {goal:>d$}  {met}").trim_end();
            table.push('\n');
        }
        table
    }

    pub(crate) fn write_json(&self, path: &Path) -> Fallible<()> {
        Ok(std::fs::write(path, serde_json::to_string_pretty(&self.0)? + "\n")?)
    }
}
