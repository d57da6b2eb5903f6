//! `data info`: classes, counts, sizes and shapes.

use std::collections::HashSet;
use std::fmt::Write;

use anyhow::Result;
use in18_dataset::{ImageReader, ImageSet};
use in18_image::Size;
use serde_json::{Value, json};

use super::{name, opening, sets};
use crate::cli::DataInfoArgs;
use crate::{cores, output};

/// Boundaries between the classes of aspect ratios (width by height); the first class begins at 0.
const ASPECTS: [f64; 8] = [0.5, 0.65, 0.75, 0.9, 1.1, 1.35, 1.6, 2.1];

/// Width of the longest bar, in columns.
const BAR: usize = 40;

/// Prints what the headers of a folder's images say.
pub(super) fn info(arguments: &DataInfoArgs) -> Result<()> {
    let threads = arguments.set.threads.unwrap_or_else(cores::available);
    let summaries: Vec<(String, Summary)> = sets(&arguments.set.folder, &opening(&arguments.set.reading))?
        .into_iter()
        .map(|(half, set)| {
            // Drop the errors: they would fill more memory than everything else.
            let sizes = set.each(threads, ImageReader::default, |reader, image| reader.size(&set, image).ok());
            (name(half), Summary::new(&set, &sizes))
        })
        .collect();
    if arguments.json {
        let of_sets: serde_json::Map<String, Value> =
            summaries.iter().map(|(name, summary)| (name.clone(), summary.json())).collect();
        return output::print(&format!("{}\n", Value::Object(of_sets)));
    }
    output::print(&summaries.iter().map(|(name, summary)| summary.text(name)).collect::<Vec<_>>().join("\n"))
}

/// What the headers of a set's images say. Sizes are of the images whose header states one.
#[derive(Debug, PartialEq)]
struct Summary {
    images: usize,
    /// Images whose header states no size.
    unreadable: usize,
    /// Each class's name and number of images.
    classes: Vec<(String, usize)>,
    different_sizes: usize,
    /// The shortest, the median and the longest short side, in pixels.
    short_sides: [u32; 3],
    longest_side: u32,
    /// Numbers of images by aspect ratio.
    aspects: [usize; ASPECTS.len() + 1],
}

impl Summary {
    fn new(set: &ImageSet, sizes: &[Option<Size>]) -> Self {
        let known: Vec<Size> = sizes.iter().copied().flatten().collect();
        let mut short: Vec<u32> = known.iter().map(|size| size.width.min(size.height)).collect();
        short.sort_unstable();
        let short_sides =
            [0, short.len() / 2, short.len().saturating_sub(1)].map(|at| short.get(at).copied().unwrap_or(0));
        let mut aspects = [0; ASPECTS.len() + 1];
        for size in &known {
            let aspect = f64::from(size.width) / f64::from(size.height);
            aspects[ASPECTS.partition_point(|&begin| begin <= aspect)] += 1;
        }
        let classes = set.classes().iter().enumerate().map(|(label, name)| (name.clone(), set.class_len(label)));
        Summary {
            images: set.len(),
            unreadable: set.len() - known.len(),
            classes: classes.collect(),
            different_sizes: known.iter().map(|size| (size.width, size.height)).collect::<HashSet<_>>().len(),
            short_sides,
            longest_side: known.iter().map(|size| size.width.max(size.height)).max().unwrap_or(0),
            aspects,
        }
    }

    fn text(&self, name: &str) -> String {
        let Summary { images, unreadable, classes, different_sizes, short_sides: [least, middle, most], .. } = self;
        let counts = classes.iter().map(|(_, count)| *count);
        let (fewest, largest) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
        let mut text = format!(
            "{name}: {images} images of {} classes, {fewest} to {largest} a class\n  \
             short side {least} to {most} px, median {middle}; long side up to {} px; {different_sizes} different sizes\n  \
             width by height\n",
            classes.len(),
            self.longest_side
        );
        let longest = self.aspects.iter().max().copied().unwrap_or(0).max(1);
        for (number, &count) in self.aspects.iter().enumerate() {
            let from = if number == 0 { 0.0 } else { ASPECTS[number - 1] };
            let to = ASPECTS.get(number).map_or("     ".to_owned(), |to| format!("-{to:<4.2}"));
            let bar = "#".repeat((count * BAR).div_ceil(longest));
            let _ = writeln!(text, "  {from:4.2}{to} {count:>9} {bar}");
        }
        if *unreadable > 0 {
            let _ =
                writeln!(text, "  {unreadable} without a size in their header: `imagenet18 data verify` names them");
        }
        text
    }

    fn json(&self) -> Value {
        let classes: serde_json::Map<String, Value> =
            self.classes.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        let aspects: Vec<Value> = self
            .aspects
            .iter()
            .enumerate()
            .map(
                |(number, count)| json!({"from": if number == 0 { 0.0 } else { ASPECTS[number - 1] }, "images": count}),
            )
            .collect();
        json!({
            "images": self.images,
            "unreadable": self.unreadable,
            "classes": classes,
            "different_sizes": self.different_sizes,
            "short_side_px": self.short_sides,
            "longest_side_px": self.longest_side,
            "aspects": aspects,
        })
    }
}
