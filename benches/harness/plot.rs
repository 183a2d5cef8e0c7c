//! A small plot as SVG: lines over a logarithmic x-axis, readable on a light and on a dark page.

use crate::Fallible;
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 480.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 300.0;
const GREY: &str = "#808080";
const COLOURS: [&str; 6] = ["#7a7a7a", "#2a7fd4", "#d1571f", "#2e9150", "#a35bc4", "#a67c00"];

pub(crate) struct Series {
    pub(crate) name: String,
    /// x above 0, y at least 0.
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) series: &'a [Series],
}

impl Plot<'_> {
    fn xs(&self) -> Vec<f64> {
        let mut xs: Vec<f64> = self.series.iter().flat_map(|series| series.points.iter().map(|(x, _)| *x)).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        xs
    }

    /// Returns the whole file.
    pub(crate) fn svg(&self) -> Fallible<String> {
        let xs = self.xs();
        let (Some(first), Some(last)) = (xs.first(), xs.last()) else {
            return Err(format!("{}: nothing to plot", self.title).into());
        };
        let highest = self.series.iter().flat_map(|series| series.points.iter().map(|(_, y)| *y)).fold(0.0, f64::max);
        let step = round_step(highest);
        let top = step * (highest / step).ceil().max(1.0);
        let decades = (last / first).log10().max(f64::MIN_POSITIVE);
        let x_at = |x: f64| LEFT + (x / first).log10() / decades * (RIGHT - LEFT);
        let y_at = |y: f64| BOTTOM - y / top * (BOTTOM - TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"{GREY}\">\n<title>{}</title>\n",
            escaped(self.title)
        );
        text(&mut svg, (LEFT, 22.0), "start", self.title)?;
        for tick in 0..=(top / step).round() as usize {
            let y = tick as f64 * step;
            line(&mut svg, (LEFT, y_at(y)), (RIGHT, y_at(y)), 0.3)?;
            text(&mut svg, (LEFT - 8.0, y_at(y) + 4.0), "end", &label(y))?;
        }
        for x in &xs {
            line(&mut svg, (x_at(*x), BOTTOM), (x_at(*x), BOTTOM + 5.0), 1.0)?;
            text(&mut svg, (x_at(*x), BOTTOM + 20.0), "middle", &label(*x))?;
        }
        line(&mut svg, (LEFT, TOP), (LEFT, BOTTOM), 1.0)?;
        line(&mut svg, (LEFT, BOTTOM), (RIGHT, BOTTOM), 1.0)?;
        text(&mut svg, (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0), "middle", self.x_label)?;
        let middle = f64::midpoint(TOP, BOTTOM);
        writeln!(
            svg,
            "<text x=\"16\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle})\">{}</text>",
            escaped(self.y_label)
        )?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let at: Vec<(f64, f64)> = series.points.iter().map(|(x, y)| (x_at(*x), y_at(*y))).collect();
            let points: Vec<String> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            )?;
            for (x, y) in at {
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>")?;
            }
            let y = TOP + 12.0 + 20.0 * index as f64;
            writeln!(
                svg,
                "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"3\" fill=\"{colour}\"/>",
                RIGHT + 18.0,
                y - 5.0
            )?;
            text(&mut svg, (RIGHT + 38.0, y), "start", &series.name)?;
        }
        Ok(svg + "</svg>\n")
    }
}

/// Returns 1, 2 or 5 times a power of ten, so that up to six steps reach a height.
fn round_step(height: f64) -> f64 {
    let rough = if height > 0.0 { height / 5.0 } else { 1.0 };
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power)
}

fn label(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) -> Fallible<()> {
    Ok(writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(text))?)
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), opacity: f64) -> Fallible<()> {
    Ok(writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{GREY}\" \
         stroke-opacity=\"{opacity}\"/>"
    )?)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
