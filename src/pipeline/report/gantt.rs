//! The report as a Gantt chart: one SVG that needs no scripts, fonts or other files.
//!
//! Each spec has a row, in the order of their starts. Specs that did not start come last, with the reason. States
//! differ in colour, in pattern and by a sign, so that the chart can be read without colours. Bars of the critical path
//! have a thick edge, and a line leads from each to the next.

use std::fmt::Write;
use std::time::Duration;

use super::words::outcome;
use super::xml::{attribute, escaped};
use crate::pipeline::text;
use crate::pipeline::{RunReport, SpecResult, SpecState};
use crate::util::rfc3339;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 16.0;
/// The height of the title, the legend and the upper axis.
const HEAD: f64 = 86.0;
const FOOT: f64 = 28.0;
/// The width of a character at the chart's font size. It is an average, since the viewer chooses the font.
const COLUMN: f64 = 7.0;
/// How many columns names get. Longer names are cut; the tool tip has them whole.
const NAMES: std::ops::RangeInclusive<usize> = 8..=44;
/// The most columns of the note beside a bar.
const NOTE: usize = 34;

/// How a state is drawn.
struct Look {
    /// The class of the bar.
    class: &'static str,
    /// The path of the sign, in a box of 10 by 10.
    sign: &'static str,
    /// The words in the legend.
    words: &'static str,
}

const PASSED: Look = Look { class: "ok", sign: "M1 5l3 3 5-7", words: "passed" };
const FAILED: Look = Look { class: "no", sign: "M1.5 1.5l7 7m0-7l-7 7", words: "failed" };
const ALLOWED: Look = Look { class: "al", sign: "M5 1v5m0 2v1.5", words: "failed, allowed" };
const TIMED_OUT: Look = Look { class: "to", sign: "M2 1h6l-6 8h6z", words: "timed out" };
const CANCELLED: Look = Look { class: "ca", sign: "M2 2h6v6h-6z", words: "cancelled" };
const SKIPPED: Look = Look { class: "sk", sign: "M1 5h8", words: "skipped" };

fn look(spec: &SpecResult) -> Look {
    match spec.state {
        _ if spec.is_allowed_failure() => ALLOWED,
        SpecState::Passed => PASSED,
        SpecState::Failed => FAILED,
        SpecState::TimedOut => TIMED_OUT,
        SpecState::Cancelled => CANCELLED,
        SpecState::Skipped => SKIPPED,
    }
}

const STYLE: &str = "<style>\
text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#222;paint-order:stroke;stroke:#fff;stroke-opacity:.7;\
stroke-width:2px}\
.t{font-size:15px;font-weight:600}.d{fill:#555}.n{text-anchor:end}.a{text-anchor:middle;fill:#555;font-size:11px}\
.g{stroke:#e2e2e2}.z{fill:#f6f7f9}\
rect{stroke-width:1}\
.ok{fill:#8fcf9f;stroke:#2e7d43}.no{fill:url(#no);stroke:#a31515}.al{fill:url(#al);stroke:#9a5b00}\
.to{fill:url(#to);stroke:#8a4500}.ca{fill:url(#ca);stroke:#5b3a8e}.sk{fill:#fff;stroke:#777;stroke-dasharray:3 2}\
.s{fill:none;stroke:#222;stroke-width:1.6;stroke-dasharray:none}\
.c{stroke:#111;stroke-width:2.6;stroke-dasharray:none}.l{fill:none;stroke:#111;stroke-width:1.6}\
</style>";

/// Hatchings: failed leans right, allowed leans left, timed out is dotted, cancelled is striped.
const PATTERNS: &str = "<defs>\
<pattern id=\"no\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
<path d=\"M0 0h6v6h-6z\" fill=\"#f4a6a0\"/><path d=\"M-1 1l2-2M0 6l6-6M5 7l2-2\" stroke=\"#c62828\" stroke-width=\"1.5\"/></pattern>\
<pattern id=\"al\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
<path d=\"M0 0h6v6h-6z\" fill=\"#ffe3a3\"/><path d=\"M-1 5l2 2M0 0l6 6M5-1l2 2\" stroke=\"#d99000\" stroke-width=\"1.2\"/></pattern>\
<pattern id=\"to\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
<path d=\"M0 0h5v5h-5z\" fill=\"#ffc08a\"/><circle cx=\"2.5\" cy=\"2.5\" r=\"1.2\" fill=\"#b35400\"/></pattern>\
<pattern id=\"ca\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">\
<path d=\"M0 0h4v4h-4z\" fill=\"#d9c8ee\"/><path d=\"M1 0v4\" stroke=\"#8e63c7\"/></pattern></defs>";

/// Sizes and positions.
struct Layout {
    /// The height of a row.
    row: f64,
    /// The left edge of the time axis.
    left: f64,
    /// The width of the time axis.
    width: f64,
    /// The time that the axis shows.
    span: Duration,
    /// How many columns names get.
    names: usize,
}

impl Layout {
    fn of(report: &RunReport) -> Layout {
        let widest = report.specs.iter().map(|spec| text::columns(&text::clean(&spec.name))).max().unwrap_or(0);
        let names = widest.clamp(*NAMES.start(), *NAMES.end());
        let left = MARGIN + names as f64 * COLUMN + 26.0;
        let ends = report.specs.iter().filter_map(|spec| Some(report.offset(spec)?.saturating_add(spec.duration)));
        let span = ends.chain([report.duration, Duration::from_millis(1)]).max().unwrap_or_default();
        let row = if report.specs.len() > 60 { 17.0 } else { 24.0 };
        Layout { row, left, width: WIDTH - MARGIN - left, span, names }
    }

    fn x(&self, at: Duration) -> f64 {
        self.left + self.width * (at.as_secs_f64() / self.span.as_secs_f64()).min(1.0)
    }

    fn y(&self, row: usize) -> f64 {
        HEAD + row as f64 * self.row
    }
}

pub(super) fn render(report: &RunReport) -> String {
    let layout = Layout::of(report);
    let critical = report.critical_path();
    let height = layout.y(report.specs.len()) + FOOT;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Gantt chart of a pipeline run</title>\n{STYLE}\n{PATTERNS}\n\
         <path d=\"M0 0h{WIDTH}v{height}h-{WIDTH}z\" fill=\"#fff\"/>\n"
    );
    head(&mut svg, report, &critical);
    axis(&mut svg, report, &layout);
    let mut order: Vec<usize> = (0..report.specs.len()).collect();
    order.sort_by_key(|index| {
        let spec = &report.specs[*index];
        (spec.started.is_none(), report.offset(spec), *index)
    });
    let mut rows = vec![0; order.len()];
    order.iter().enumerate().for_each(|(row, index)| rows[*index] = row);
    let mut is_critical = vec![false; order.len()];
    critical.iter().for_each(|index| is_critical[*index] = true);
    // Lines come first, so that they pass behind bars and words.
    for pair in critical.windows(2) {
        link(&mut svg, report, &layout, (pair[0], rows[pair[0]]), (pair[1], rows[pair[1]]));
    }
    for (row, index) in order.iter().enumerate() {
        draw_spec(&mut svg, report, &layout, &report.specs[*index], row, is_critical[*index]);
    }
    svg.push_str("</svg>\n");
    svg
}

fn head(svg: &mut String, report: &RunReport, critical: &[usize]) {
    let verdict = if report.success() { "succeeded" } else { "did not succeed" };
    let longest = report.critical_duration(critical);
    let limit = match report.limit {
        0 => "no limit".to_owned(),
        limit => format!("at most {limit} at a time"),
    };
    let name = match report.name.as_str() {
        "" => String::new(),
        name => format!(" {}", escaped(&text::cut(&text::clean(name), *NAMES.end()))),
    };
    let _ = writeln!(
        svg,
        "<text class=\"t\" x=\"{MARGIN}\" y=\"26\">Pipeline{name} {verdict} in {}</text>\
         <text class=\"d\" x=\"{}\" y=\"26\" text-anchor=\"end\">{} specs, {limit}; critical path {}; started {} UTC</text>",
        text::duration(report.duration),
        WIDTH - MARGIN,
        report.specs.len(),
        text::duration(longest),
        rfc3339::format_with_nanoseconds(report.started.realtime_ns)
            .split('.')
            .next()
            .unwrap_or_default()
            .replace('T', " "),
    );
    let mut x = MARGIN;
    let counted = [PASSED, FAILED, ALLOWED, TIMED_OUT, CANCELLED, SKIPPED];
    for entry in counted {
        let count = report.specs.iter().filter(|spec| look(spec).class == entry.class).count();
        if count == 0 {
            continue;
        }
        let words = format!("{} {count}", entry.words);
        let _ = write!(svg, "<rect class=\"{}\" x=\"{x}\" y=\"41\" width=\"22\" height=\"13\" rx=\"2\"/>", entry.class);
        sign(svg, &entry, x + 27.0, 42.5);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"52\">{words}</text>", x + 42.0);
        x += 42.0 + COLUMN * words.len() as f64 + 22.0;
    }
    if critical.is_empty() {
        return;
    }
    let _ = writeln!(
        svg,
        "<rect class=\"c\" fill=\"#fff\" x=\"{x}\" y=\"41\" width=\"22\" height=\"13\" rx=\"2\"/>\
         <text x=\"{}\" y=\"52\">critical path</text>",
        x + 28.0
    );
}

fn sign(svg: &mut String, look: &Look, x: f64, y: f64) {
    let _ = write!(svg, "<path class=\"s\" transform=\"translate({x:.1} {y:.1})\" d=\"{}\"/>", look.sign);
}

/// Draws grid lines with their times above and below, and a shade behind every second row.
fn axis(svg: &mut String, report: &RunReport, layout: &Layout) {
    let bottom = layout.y(report.specs.len());
    for row in (1..report.specs.len()).step_by(2) {
        let (y, height, width) = (layout.y(row), layout.row, WIDTH - 2.0 * MARGIN);
        let _ = write!(svg, "<path class=\"z\" d=\"M{MARGIN} {y}h{width}v{height}h-{width}z\"/>");
    }
    svg.push('\n');
    let step = nice_step(layout.span);
    let times = std::iter::successors(Some(Duration::ZERO), |at| at.checked_add(step));
    for at in times.take_while(|at| *at <= layout.span) {
        let (x, label) = (layout.x(at), tick(at, step));
        let middle = x.min(WIDTH - COLUMN * label.len() as f64 / 2.0);
        let _ = writeln!(
            svg,
            "<path class=\"g\" d=\"M{x:.1} {HEAD}V{bottom}\"/><text class=\"a\" x=\"{middle:.1}\" y=\"{}\">{label}</text>\
             <text class=\"a\" x=\"{middle:.1}\" y=\"{}\">{label}</text>",
            HEAD - 6.0,
            bottom + 16.0
        );
    }
}

/// Returns the distance of grid lines: 1, 2 or 5 times a power of ten up to 10 s, above that whole minutes or hours, so
/// that a chart has about six lines.
fn nice_step(span: Duration) -> Duration {
    const MOST: u32 = 9;
    let decimal = (0..11u32).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.pow(power)));
    let large =
        [15u64, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18_000, 43_200, 86_400].map(|s| s * 1_000_000_000);
    let steps = decimal.filter(|ns| *ns <= 10_000_000_000).chain(large);
    steps.map(Duration::from_nanos).find(|step| span <= *step * MOST).unwrap_or(span / MOST)
}

/// Writes a time on the axis, as exact as the step needs.
fn tick(at: Duration, step: Duration) -> String {
    let seconds = at.as_secs_f64();
    match step.as_nanos() {
        _ if at.is_zero() => "0".to_owned(),
        0..1_000_000 => format!("{} µs", at.as_nanos() as f64 / 1e3),
        1_000_000..100_000_000 if at < Duration::from_secs(1) => format!("{} ms", at.as_millis()),
        1_000_000..10_000_000 => format!("{seconds:.3} s"),
        10_000_000..100_000_000 => format!("{seconds:.2} s"),
        100_000_000..1_000_000_000 => format!("{seconds:.1} s"),
        _ if at < Duration::from_secs(60) => format!("{} s", at.as_secs()),
        _ if at < Duration::from_secs(3600) => format!("{}:{:02} min", at.as_secs() / 60, at.as_secs() % 60),
        _ => format!("{}:{:02} h", at.as_secs() / 3600, at.as_secs() / 60 % 60),
    }
}

fn draw_spec(svg: &mut String, report: &RunReport, layout: &Layout, spec: &SpecResult, row: usize, critical: bool) {
    let (y, look) = (layout.y(row), look(spec));
    let baseline = y + layout.row / 2.0 + 4.0;
    let name = text::clean(&spec.name);
    let _ = write!(svg, "<g><title>{}</title>", tool_tip(report, spec, &name));
    let _ = write!(
        svg,
        "<text class=\"n\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>",
        layout.left - 22.0,
        escaped(&text::cut(&name, layout.names))
    );
    sign(svg, &look, layout.left - 16.0, y + layout.row / 2.0 - 5.0);
    let Some(start) = report.offset(spec) else {
        let reason = spec.error.clone().unwrap_or_else(|| outcome(spec));
        let columns = (layout.width / COLUMN) as usize - 2;
        let reason = escaped(&text::cut(&text::clean(&reason), columns));
        let _ =
            writeln!(svg, "<text class=\"d\" x=\"{:.1}\" y=\"{baseline:.1}\">{reason}</text></g>", layout.left + 6.0);
        return;
    };
    let (from, to) = (layout.x(start), layout.x(start.saturating_add(spec.duration)));
    let _ = write!(
        svg,
        "<rect class=\"{}{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
        look.class,
        if critical { " c" } else { "" },
        y + 3.0,
        (to - from).max(1.5),
        layout.row - 6.0
    );
    let note = note(spec);
    // The note is behind the bar; if there is no room, before it; else on it.
    let needed = text::columns(&note) as f64 * COLUMN + 8.0;
    let (x, anchor) = if to + needed < WIDTH - MARGIN {
        (to + 5.0, "")
    } else if from - needed > layout.left {
        (from - 5.0, " n")
    } else {
        (to - 6.0, " n")
    };
    let _ = writeln!(svg, "<text class=\"d{anchor}\" x=\"{x:.1}\" y=\"{baseline:.1}\">{}</text></g>", escaped(&note));
}

/// Writes the note beside a bar.
fn note(spec: &SpecResult) -> String {
    let mut note = text::duration(spec.duration);
    if spec.state != SpecState::Passed {
        let _ = write!(note, ", {}", outcome(spec));
    }
    if spec.attempts > 1 {
        let _ = write!(note, ", {} attempts", spec.attempts);
    }
    text::cut(&text::clean(&note), NOTE)
}

fn tool_tip(report: &RunReport, spec: &SpecResult, name: &str) -> String {
    let mut tip = format!("{name}: {}", outcome(spec));
    if spec.is_allowed_failure() {
        tip.push_str(" (allowed)");
    }
    if let Some(start) = report.offset(spec) {
        let (start, took) = (text::duration(start), text::duration(spec.duration));
        let _ = write!(tip, ", from {start} for {took}, attempts: {}", spec.attempts);
    }
    if let Some(error) = &spec.error {
        let _ = write!(tip, "; {}", text::clean(error));
    }
    attribute(&tip)
}

/// Draws a line from the end of a bar of the critical path to the start of the next.
fn link(svg: &mut String, report: &RunReport, layout: &Layout, from: (usize, usize), to: (usize, usize)) {
    let (before, after) = (&report.specs[from.0], &report.specs[to.0]);
    let (Some(began), Some(start)) = (report.offset(before), report.offset(after)) else { return };
    let (x1, x2) = (layout.x(began.saturating_add(before.duration)), layout.x(start));
    let middle = |row: usize| layout.y(row) + layout.row / 2.0;
    // Down or up from the end of the bar to the row of the next, and along it to the start of that bar.
    let edge = if to.1 > from.1 { layout.y(to.1) + 3.0 } else { layout.y(to.1) + layout.row - 3.0 };
    let leave = if to.1 > from.1 { layout.y(from.1) + layout.row - 3.0 } else { layout.y(from.1) + 3.0 };
    if x2 - x1 < 6.0 {
        let _ = writeln!(svg, "<path class=\"l\" d=\"M{x1:.1} {leave:.1}V{edge:.1}\"/>");
    } else {
        let _ = writeln!(svg, "<path class=\"l\" d=\"M{x1:.1} {leave:.1}V{:.1}H{x2:.1}\"/>", middle(to.1));
    }
}
