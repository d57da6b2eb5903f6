//! One line chart as inline SVG. It knows curves and axes, and nothing of runs.
//!
//! It is written by hand because the usual crate, `plotters`, writes colours, fonts and measured
//! text into the SVG. Here, elements have classes, and the page's style sheet decides how they look.
//! Long curves also need a band from the lowest to the highest value of each bucket.

use crate::scale::{Bucket, Scale, thinned, tick_label, ticks};
use crate::text::{escape, number};
use std::fmt::Write;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 468.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 216.0;
/// The most buckets of a long curve: about one for each two pixels of a usual screen.
const BUCKETS: usize = 300;

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Every step: a thin line over a pale band from lowest to highest.
    Fine,
    /// One point for each epoch, joined by lines.
    Marked,
    /// A dashed line, for a run of somebody else.
    Reference,
}

/// A curve.
pub(crate) struct Curve {
    pub label: String,
    /// Its colour: the run's number; `None` for a reference.
    pub color: Option<usize>,
    pub line: Line,
    /// Points from left to right. NaN interrupts the curve.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
pub(crate) struct Chart {
    /// Unique in the page; letters and hyphens.
    pub id: &'static str,
    pub title: &'static str,
    pub x: String,
    pub y: &'static str,
    /// Whether the y axis begins at 0.
    pub from_zero: bool,
    pub curves: Vec<Curve>,
}

impl Chart {
    /// The chart as an HTML figure; empty if no curve has a point.
    pub(crate) fn html(&self) -> String {
        let Some((x, y)) = self.scales() else { return String::new() };
        let mut svg = String::new();
        let (x_ticks, y_ticks) = (ticks(x.low, x.high, 6), ticks(y.low, y.high, 4));
        for &tick in &y_ticks {
            let (at, label) = (y.place(tick), tick_label(tick, y_ticks[1] - y_ticks[0]));
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
            let _ = write!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 7.0, at + 4.0);
        }
        for &tick in x_ticks.iter().filter(|&&tick| tick <= x.high * (1.0 + 1e-9)) {
            let (at, label) = (x.place(tick), tick_label(tick, x_ticks[1] - x_ticks[0]));
            let _ = write!(svg, "<path class=\"tick\" d=\"M{at:.1} {BOTTOM}v4\"/>");
            let _ = write!(svg, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", BOTTOM + 18.0);
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>");
        let middle = (LEFT + RIGHT) / 2.0;
        let label = escape(&self.x);
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            HEIGHT - 7.0
        );
        for curve in &self.curves {
            svg += &drawn(curve, x, y);
        }
        let highest = self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        if highest.filter(|value| value.is_finite()).any(|value| value > y.high) {
            let _ = write!(
                svg,
                "<text x=\"{RIGHT}\" y=\"{}\" text-anchor=\"end\">some values lie above</text>",
                TOP + 16.0
            );
        }
        let Self { id, title, y: unit, .. } = self;
        format!(
            "<figure><figcaption id=\"{id}-t\">{title} <span class=\"unit\">{unit}</span></figcaption>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <desc id=\"{id}-d\">{}</desc>{svg}</svg></figure>\n",
            escape(&self.description())
        )
    }

    fn scales(&self) -> Option<(Scale, Scale)> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|point| point.0.is_finite());
        let mut values: Vec<f64> = points().map(|point| point.1).filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (&low, &high) = (values.first()?, values.last()?);
        // A few outliers must not flatten the rest, such as a first step that waits, or a loss on
        // its way to infinity.
        let most = values[(values.len() - 1) * 99 / 100];
        let low = if self.from_zero { low.min(0.0) } else { low };
        let high = if values.len() > 50 { high.min(low + 1.5 * (most - low)).max(most) } else { high };
        let y = ticks(low, high, 4);
        let x_low = points().map(|point| point.0).fold(0.0, f64::min);
        let x_high = points().map(|point| point.0).fold(x_low, f64::max);
        let x_high = if x_high > x_low { x_high } else { x_low + 1.0 };
        Some((
            Scale { low: x_low, high: x_high, from: LEFT, to: RIGHT },
            Scale { low: y[0], high: y[y.len() - 1], from: BOTTOM, to: TOP },
        ))
    }

    /// What a reader who does not see the chart should know.
    fn description(&self) -> String {
        let curve = |curve: &Curve| {
            let finite = || curve.points.iter().map(|point| point.1).filter(|value| value.is_finite());
            let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
            let last = finite().next_back().unwrap_or(f64::NAN);
            format!("{}: from {} to {}, last {}.", curve.label, number(low, 3), number(high, 3), number(last, 3))
        };
        self.curves.iter().map(curve).collect::<Vec<_>>().join(" ")
    }
}

fn drawn(curve: &Curve, x: Scale, y: Scale) -> String {
    let class = match (curve.color, curve.line) {
        (None, _) => "reference".to_owned(),
        (Some(color), Line::Fine) => format!("fine c{}", color % 6),
        (Some(color), _) => format!("line c{}", color % 6),
    };
    let buckets = thinned(&curve.points, BUCKETS);
    let mut path = String::new();
    let mut marks = String::new();
    let mut pen_down = false;
    for bucket in &buckets {
        if !(bucket.at.is_finite() && bucket.mean.is_finite()) {
            pen_down = false;
            continue;
        }
        let (left, top) = (x.place(bucket.at), y.place(bucket.mean));
        let _ = write!(path, "{}{left:.1} {top:.1}", if pen_down { "L" } else { "M" });
        pen_down = true;
        // Few points can be told apart and pointed at. A single point would not be seen without a
        // mark.
        if curve.line == Line::Marked && curve.points.len() <= 120 {
            let _ = write!(
                marks,
                "<circle class=\"{}\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"2.4\"><title>{}: {} at {}</title></circle>",
                class.replace("line", "dot"),
                escape(&curve.label),
                number(bucket.mean, 3),
                number(bucket.at, 2)
            );
        }
    }
    let band = if buckets.len() < curve.points.len() { band(&buckets, &class, x, y) } else { String::new() };
    // If there are more runs than colours, dashes tell them apart.
    let dashes = match curve.color {
        Some(color) if color >= 6 => " stroke-dasharray=\"6 3\"",
        _ => "",
    };
    if path.is_empty() { path } else { format!("{band}<path class=\"{class}\"{dashes} d=\"{path}\"/>{marks}") }
}

/// From the lowest to the highest of each bucket, as an area.
fn band(buckets: &[Bucket], class: &str, x: Scale, y: Scale) -> String {
    let mut path = String::new();
    let seen = || buckets.iter().filter(|bucket| bucket.at.is_finite() && bucket.mean.is_finite());
    let edges = seen().map(|bucket| (bucket.at, bucket.high)).chain(seen().rev().map(|bucket| (bucket.at, bucket.low)));
    for (at, value) in edges {
        let _ = write!(path, "{}{:.1} {:.1}", if path.is_empty() { "M" } else { "L" }, x.place(at), y.place(value));
    }
    format!("<path class=\"{}\" d=\"{path}Z\"/>", class.replace("fine", "band"))
}
