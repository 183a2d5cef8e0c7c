//! The graph of a pipeline. It is checked as a whole, in time linear in specs and dependencies, and without recursion,
//! so that a chain may be as long as memory holds.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::nearest::nearest;
use super::spec::{Pipeline, Spec};
use super::text::quoted;
use crate::error::{Error, ErrorKind, Result};

/// The kind of a problem of a pipeline. In JSON it is written as `unknown_dependency`, ….
///
/// ```
/// use coreproc::{Command, Pipeline, ProblemKind, Spec};
///
/// let mut pipeline = Pipeline::new();
/// let mut spec = Spec::new("ouroboros", Command::new("true"));
/// spec.after("ouroboros");
/// pipeline.add(spec);
/// assert_eq!(pipeline.problems()[0].kind, ProblemKind::SelfDependency);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The name of the spec is empty.
    EmptyName,
    /// An earlier spec has the same name.
    DuplicateName,
    /// A dependency is an empty name.
    EmptyDependency,
    /// A dependency is named twice.
    DuplicateDependency,
    /// The spec depends on itself.
    SelfDependency,
    /// A dependency does not exist.
    UnknownDependency,
    /// The spec depends on itself through others.
    Cycle,
    /// A setter of the command refused its value, or options of the command contradict each other.
    Command,
}

/// A reason why a pipeline cannot run.
///
/// ```
/// use coreproc::{Command, Pipeline, Problem, Spec};
///
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("build", Command::new("true")));
/// let mut test = Spec::new("test", Command::new("true"));
/// test.after("biuld");
/// pipeline.add(test);
/// let problem: &Problem = &pipeline.problems()[0];
/// assert_eq!(problem.place, "specs[1].after[0]");
/// assert_eq!(problem.message, r#"unknown spec "biuld", did you mean "build"?"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The kind of the problem.
    pub kind: ProblemKind,
    /// The indices of the specs concerned. For a cycle: those that the message names, in that order, then all others
    /// that are in a cycle with them.
    pub specs: Vec<usize>,
    /// The place of the problem: `specs[3].after[0]`.
    pub place: String,
    /// The problem in words: `unknown spec "biuld", did you mean "build"?`.
    pub message: String,
}

/// A list of specs for each spec, all lists in one piece of memory.
#[derive(Clone)]
pub(super) struct Edges {
    targets: Vec<usize>,
    /// The end of each spec's list.
    ends: Vec<usize>,
}

/// The dependencies of specs, by index.
pub(super) struct Graph {
    /// The dependencies of each spec.
    pub(super) after: Edges,
    /// The dependents of each spec.
    pub(super) before: Edges,
    /// All specs, each after its dependencies.
    pub(super) order: Vec<usize>,
}

/// How many unknown names get a suggestion. The search for the name that was probably meant looks at every other name,
/// so that fewer get one if there are very many names, and the check stays linear.
const SUGGESTIONS: usize = 8;
/// How many names all searches may look at together; one search is always done.
const COMPARISONS: usize = 200_000;
/// How many specs of a cycle its message names.
const NAMED: usize = 50;

impl Edges {
    /// Makes an empty list for each spec.
    pub(super) fn none(specs: usize) -> Edges {
        Edges { targets: Vec::new(), ends: vec![0; specs] }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the list of a spec.
    pub(super) fn of(&self, index: usize) -> &[usize] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.targets[start..self.ends[index]]
    }

    /// Returns the same edges in the other direction.
    fn reversed(&self) -> Edges {
        let mut ends = vec![0; self.len()];
        self.targets.iter().for_each(|target| ends[*target] += 1);
        let mut sum = 0;
        for end in &mut ends {
            // The start of each list; filling the list moves it to the end.
            sum += std::mem::replace(end, sum);
        }
        let mut targets = vec![0; self.targets.len()];
        for index in 0..self.len() {
            for target in self.of(index) {
                targets[ends[*target]] = index;
                ends[*target] += 1;
            }
        }
        Edges { targets, ends }
    }
}

impl Pipeline {
    /// Returns all problems of the pipeline, in the order of its specs, cycles last. Empty if it can run.
    pub fn problems(&self) -> Vec<Problem> {
        match build(&self.specs) {
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        }
    }

    /// Checks that the pipeline can run: names are unique and not empty, dependencies exist, are named once and form no
    /// cycle, and no command was refused. The time that this takes is linear in specs and dependencies.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if it cannot run. The error has the first problem, its place, and the number of others: `check
    /// pipeline: specs[3].after[0]: unknown spec "biuld", did you mean "build"?`.
    pub fn check(&self) -> Result<()> {
        self.graph("check pipeline").map(drop)
    }

    /// Writes [`Pipeline::problems`] as a JSON array, for the C ABI.
    pub(crate) fn problems_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.problems())
            .map_err(|error| Error::new(ErrorKind::OutOfMemory, "check pipeline", error.to_string()))
    }

    pub(super) fn graph(&self, operation: &'static str) -> Result<Graph> {
        build(&self.specs).map_err(|problems| {
            let others = match problems.len() {
                0 | 1 => String::new(),
                2 => " (and 1 more problem)".to_owned(),
                count => format!(" (and {} more problems)", count - 1),
            };
            let first = problems.first();
            let text = first.map(|problem| format!("{}: {}{others}", problem.place, problem.message));
            Error::invalid(operation, text.unwrap_or_default())
        })
    }
}

fn build(specs: &[Spec]) -> std::result::Result<Graph, Vec<Problem>> {
    let mut problems = Vec::new();
    let names = names(specs, &mut problems);
    let after = edges(specs, &names, &mut problems);
    let before = after.reversed();
    let order = order(&after, &before);
    if order.len() < specs.len() {
        cycles(specs, &after, &order, &mut problems);
    }
    if problems.is_empty() { Ok(Graph { after, before, order }) } else { Err(problems) }
}

/// Finds the index of each name. Adds the problems of names and commands.
fn names<'a>(specs: &'a [Spec], problems: &mut Vec<Problem>) -> HashMap<&'a str, usize> {
    let mut names = HashMap::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let mut problem = |kind, specs, field, message| {
            problems.push(Problem { kind, specs, place: format!("specs[{index}].{field}"), message });
        };
        if spec.name.is_empty() {
            problem(ProblemKind::EmptyName, vec![index], "name", "is empty".to_owned());
        } else if let Some(first) = names.get(spec.name.as_str()).copied() {
            let message = format!("{} is the name of specs[{first}] already", quoted(&spec.name));
            problem(ProblemKind::DuplicateName, vec![index, first], "name", message);
        } else {
            names.insert(spec.name.as_str(), index);
        }
        if let Some(flaw) = spec.command.flaw() {
            problem(ProblemKind::Command, vec![index], "command", flaw);
        }
    }
    names
}

/// Finds the dependencies of each spec, without those that are wrong. Adds the problems of those.
fn edges(specs: &[Spec], names: &HashMap<&str, usize>, problems: &mut Vec<Problem>) -> Edges {
    let mut suggestions = (COMPARISONS / specs.len().max(1)).clamp(1, SUGGESTIONS);
    // For each spec, the last spec that named it. This finds doubles without a set for each spec.
    let mut named_by = vec![usize::MAX; specs.len()];
    let mut after = Edges { targets: Vec::new(), ends: Vec::with_capacity(specs.len()) };
    for (index, spec) in specs.iter().enumerate() {
        let mut unknown = HashSet::new();
        for (place, name) in spec.after.iter().enumerate() {
            let mut problem = |kind, specs, message| {
                problems.push(Problem { kind, specs, place: format!("specs[{index}].after[{place}]"), message });
            };
            let text = || quoted(name);
            match names.get(name.as_str()).copied() {
                None if name.is_empty() => problem(ProblemKind::EmptyDependency, vec![index], "is empty".to_owned()),
                None if !unknown.insert(name.as_str()) => {
                    let message = format!("{} is named twice", text());
                    problem(ProblemKind::DuplicateDependency, vec![index], message);
                }
                None => {
                    let mut message = format!("unknown spec {}", text());
                    if suggestions > 0 {
                        suggestions -= 1;
                        let others = specs.iter().filter(|other| other.name != spec.name);
                        if let Some(meant) = nearest(name, others.map(|other| other.name.as_str())) {
                            message += &format!(", did you mean {}?", quoted(meant));
                        }
                    }
                    problem(ProblemKind::UnknownDependency, vec![index], message);
                }
                Some(dependency) if dependency == index => {
                    problem(ProblemKind::SelfDependency, vec![index], format!("{} is the spec itself", text()));
                }
                Some(dependency) if named_by[dependency] == index => {
                    let message = format!("{} is named twice", text());
                    problem(ProblemKind::DuplicateDependency, vec![index, dependency], message);
                }
                Some(dependency) => {
                    named_by[dependency] = index;
                    after.targets.push(dependency);
                }
            }
        }
        after.ends.push(after.targets.len());
    }
    after
}

/// Sorts the specs, each after its dependencies (Kahn's algorithm), without those in a cycle or after one.
fn order(after: &Edges, before: &Edges) -> Vec<usize> {
    let mut pending: Vec<usize> = (0..after.len()).map(|index| after.of(index).len()).collect();
    let mut order: Vec<usize> = (0..after.len()).filter(|index| pending[*index] == 0).collect();
    let mut next = 0;
    while let Some(index) = order.get(next).copied() {
        next += 1;
        for dependent in before.of(index) {
            pending[*dependent] -= 1;
            if pending[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    order
}

/// Adds a problem for each knot, which is a group of specs that all wait for each other. The problem names the shortest
/// cycle through the knot's first spec.
fn cycles(specs: &[Spec], after: &Edges, order: &[usize], problems: &mut Vec<Problem>) {
    let mut left = vec![true; specs.len()];
    order.iter().for_each(|index| left[*index] = false);
    let mut knots = knots(after, &left);
    knots.iter_mut().for_each(|knot| knot.sort_unstable());
    knots.sort_unstable();
    let mut knot_of = vec![usize::MAX; specs.len()];
    for (number, knot) in knots.iter().enumerate() {
        knot.iter().for_each(|index| knot_of[*index] = number);
    }
    // For each spec, the spec from which a search came to it. The searches share it, because each spec is in one knot.
    let mut from = vec![usize::MAX; specs.len()];
    for (number, knot) in knots.iter().enumerate() {
        let mut cycle = cycle_through(knot[0], after, |index| knot_of[index] == number, &mut from);
        let message = cycle_text(specs, &cycle);
        let mut in_cycle: Vec<usize> = cycle.clone();
        in_cycle.sort_unstable();
        cycle.extend(knot.iter().filter(|index| in_cycle.binary_search(index).is_err()));
        let place = format!("specs[{}].after", knot[0]);
        problems.push(Problem { kind: ProblemKind::Cycle, specs: cycle, place, message });
    }
}

/// Writes `cycle: "a" -> "b" -> "a", each after the next`.
fn cycle_text(specs: &[Spec], cycle: &[usize]) -> String {
    let name = |index: &usize| quoted(&specs[*index].name);
    let mut names: Vec<String> = cycle.iter().take(NAMED).map(name).collect();
    if cycle.len() > NAMED {
        names.push(format!("({} more)", cycle.len() - NAMED));
    }
    names.extend(cycle.first().map(name));
    format!("cycle: {}, each after the next", names.join(" -> "))
}

/// Finds the shortest way from `start` along `after` back to it, within a knot.
fn cycle_through(start: usize, after: &Edges, within: impl Fn(usize) -> bool, from: &mut [usize]) -> Vec<usize> {
    let mut queue = vec![start];
    let mut next = 0;
    while let Some(index) = queue.get(next).copied() {
        next += 1;
        for dependency in after.of(index).iter().copied().filter(|index| within(*index)) {
            if dependency == start {
                let mut cycle = vec![index];
                let mut at = index;
                while at != start {
                    at = from[at];
                    cycle.push(at);
                }
                cycle.reverse();
                return cycle;
            }
            if from[dependency] == usize::MAX {
                from[dependency] = index;
                queue.push(dependency);
            }
        }
    }
    vec![start]
}

/// Finds the strongly connected components of more than one spec (Tarjan's algorithm, with a stack of its own).
fn knots(after: &Edges, left: &[bool]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut number = vec![UNSEEN; after.len()];
    let mut lowest = vec![0; after.len()];
    let mut open = vec![false; after.len()];
    let mut members = Vec::new();
    let mut seen = 0;
    let mut knots = Vec::new();
    for root in (0..after.len()).filter(|index| left[*index]) {
        if number[root] != UNSEEN {
            continue;
        }
        // The path: each spec with the edge to follow next.
        let mut path = vec![(root, 0)];
        while let Some((index, edge)) = path.last_mut() {
            let index = *index;
            if *edge == 0 {
                number[index] = seen;
                lowest[index] = seen;
                seen += 1;
                open[index] = true;
                members.push(index);
            }
            let next = after.of(index).get(*edge).copied();
            *edge += 1;
            match next {
                Some(dependency) if !left[dependency] => {}
                Some(dependency) if number[dependency] == UNSEEN => path.push((dependency, 0)),
                Some(dependency) if open[dependency] => lowest[index] = lowest[index].min(number[dependency]),
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some((parent, _)) = path.last() {
                        lowest[*parent] = lowest[*parent].min(lowest[index]);
                    }
                    if lowest[index] == number[index] {
                        let start = members.iter().rposition(|member| *member == index).unwrap_or(0);
                        let knot = members.split_off(start);
                        knot.iter().for_each(|member| open[*member] = false);
                        if knot.len() > 1 {
                            knots.push(knot);
                        }
                    }
                }
            }
        }
    }
    knots
}
