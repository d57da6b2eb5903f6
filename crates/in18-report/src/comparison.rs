//! The page that compares recipes: accuracy against compute, and a table.

use crate::chart::{Chart, Curve, Line};
use crate::figures::swatch;
use crate::page::document;
use crate::tables::plain;
use crate::text::escape;

/// A recipe's curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The recipe.
    pub name: String,
    /// Compute so far, and accuracy in percent.
    pub points: Vec<(f64, f64)>,
}

/// The page of these recipes. Each of `rows` has a cell for each of `head`.
#[must_use]
pub fn comparison_page(head: &[&str], rows: &[Vec<String>], series: &[Series]) -> String {
    let curves = series.iter().enumerate().map(|(at, series)| Curve {
        label: series.name.clone(),
        color: Some(at),
        line: Line::Marked,
        points: series.points.clone(),
    });
    let chart = Chart {
        id: "top1-compute",
        title: "Top-1 accuracy by compute",
        x: "training images · (pixels/128)² of a ResNet-18".to_owned(),
        y: "%",
        from_zero: true,
        curves: curves.collect(),
    };
    let legend: String = series
        .iter()
        .enumerate()
        .map(|(at, series)| format!("<li>{} {}</li>", swatch(Some(at)), escape(&series.name)))
        .collect();
    let title = format!("{} recipes compared", series.len());
    let body = format!(
        "<header><p class=\"kicker\">imagenet18 comparison</p>\n<h1>{title}</h1>\n</header>\n\
         <section>\n<h2>Curves</h2>\n<ul class=\"legend\">{legend}</ul>\n<div class=\"figures\">\n{}</div></section>\n\
         <section>\n<h2>Last evaluations</h2>\n{}</section>\n",
        chart.html(),
        plain("Mean ± half of the 95 % interval (standard deviation)", head, rows),
    );
    document(&title, &body)
}
