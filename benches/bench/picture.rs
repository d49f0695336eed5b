//! A picture of the alternatives side by side: bars on a logarithmic scale.
//!
//! Written by hand, because what it is shown on may be dark: a style sheet in the picture knows,
//! while libraries that draw charts write one colour into every element.

use std::fmt::Write as _;

use crate::figure::{Figure, Row, seconds};
use crate::server::LARGE_BYTES;

/// Where bars begin, how long the longest is, and the height of one.
const LEFT: f64 = 190.0;
const LONGEST: f64 = 470.0;
const BAR: f64 = 15.0;
const WIDTH: f64 = 760.0;

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px }
  .faint { fill: #656d76; font-size: 11px }
  line { stroke: #d0d7de }
  rect { fill: #afb8c1 }
  .own { fill: #0969da }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .faint { fill: #8d96a0 }
    line { stroke: #30363d }
    rect { fill: #6e7681 }
    .own { fill: #4493f8 }
    .page { fill: #0d1117 }
  }
";

/// What is done, and how long it takes everybody, in seconds.
struct Group<'a> {
    what: &'a str,
    title: String,
    bars: Vec<(&'a str, f64)>,
}

/// The picture in SVG of the rows that compare times or rates.
pub(crate) fn draw<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let groups = groups(rows);
    let all = || groups.iter().flat_map(|group| group.bars.iter().map(|(_, time)| *time));
    let least = all().fold(f64::INFINITY, f64::min).log10().floor();
    let most = all().fold(0.0, f64::max).log10().ceil().max(least + 1.0);
    let length = |time: f64| (time.log10() - least) / (most - least) * LONGEST;
    let bars: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = 46.0 + groups.len() as f64 * 30.0 + bars as f64 * (BAR + 2.0);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         width=\"{WIDTH}\" height=\"{height:.0}\">\n<style>{STYLE}</style>\n"
    );
    let mut put = |line: String| svg.push_str(&(line + "\n"));
    // What it lies on may be light where the viewer asks for dark.
    put("<rect class=\"page\" width=\"100%\" height=\"100%\"/>".to_owned());
    put(text(LEFT, 14.0, "faint", "seconds, on a logarithmic scale: shorter is better"));
    for power in (least as i32)..=(most as i32) {
        let time = 10_f64.powi(power);
        let x = LEFT + length(time);
        put(format!("<line x1=\"{x:.1}\" y1=\"36\" x2=\"{x:.1}\" y2=\"{:.0}\"/>", height - 4.0));
        put(text(x - 10.0, 30.0, "faint", &axis(power)));
    }
    let mut y = 44.0;
    for group in &groups {
        put(text(8.0, y + 14.0, "title", &group.title));
        y += 22.0;
        for (name, time) in &group.bars {
            let (class, long) = (if *name == "gistfs" { "own" } else { "other" }, length(*time));
            put(text(20.0, y + 12.0, class_of_text(class), name));
            put(format!(
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.1}\" \
                 height=\"{BAR}\" rx=\"2\"/>",
                long.max(1.0)
            ));
            put(text(LEFT + long + 6.0, y + 12.0, "value", &seconds(*time)));
            y += BAR + 2.0;
        }
        y += 8.0;
    }
    svg.push_str("</svg>\n");
    svg
}

fn class_of_text(class: &str) -> &'static str {
    // The colour of a bar would make its name hard to read.
    if class == "own" { "title" } else { "name" }
}

fn text(x: f64, y: f64, class: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")
}

/// A power of ten as a time.
fn axis(power: i32) -> String {
    let mut label = String::new();
    let (number, unit) = match power {
        ..-6 => (10_f64.powi(power + 9), "ns"),
        -6..-3 => (10_f64.powi(power + 6), "µs"),
        -3..0 => (10_f64.powi(power + 3), "ms"),
        0.. => (10_f64.powi(power), "s"),
    };
    write!(label, "{number:.0} {unit}").expect("writing to a string cannot fail");
    label
}

fn groups<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for row in rows {
        let Some((name, figure)) = &row.other else { continue };
        let (Some(own), Some(other)) = (taken(&row.gistfs), taken(figure)) else { continue };
        match groups.last_mut().filter(|group| group.what == row.what) {
            Some(group) => group.bars.push((name, other)),
            None => {
                let title = match row.gistfs {
                    Figure::Rate(_) => format!("{}, one file", row.what),
                    Figure::Time(_) if !row.what.contains("gists") => {
                        format!("{}, the whole tree", row.what)
                    }
                    Figure::Time(_) | Figure::Flow(_) => row.what.clone(),
                    Figure::Memory(_) | Figure::Words(_) => continue,
                };
                let bars = vec![("gistfs", own), (name.as_str(), other)];
                groups.push(Group { what: &row.what, title, bars });
            }
        }
    }
    groups
}

/// How long it takes once, in seconds.
fn taken(figure: &Figure) -> Option<f64> {
    match figure {
        Figure::Time(time) => Some(time.as_secs_f64()),
        Figure::Rate(rate) => Some(rate.recip()),
        Figure::Flow(rate) => Some(LARGE_BYTES as f64 / rate),
        Figure::Memory(_) | Figure::Words(_) => None,
    }
}
