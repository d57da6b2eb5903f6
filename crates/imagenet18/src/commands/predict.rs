//! `imagenet18 predict`: names what is on images.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use in18_image::{Crop, Decoder, Resizer, Rgb8Image, Size as Pixels};
use in18_program::Size;
use in18_recipe::Tta;
use serde_json::{Value, json};
use walkdir::WalkDir;

use crate::classifier::Opened;
use crate::cli::PredictArgs;
use crate::exit::BadImages;
use crate::{engine, output};

/// The long side is rounded to a multiple of this, as in rectangular validation. That makes few
/// shapes, with hardly any distortion.
const STEP: f64 = 8.0;

/// The longest long side, in short sides. Longer images are squeezed to it; otherwise their memory
/// would have no bound.
const LONGEST: f64 = 8.0;

/// Prints each image's best classes.
pub fn predict(arguments: &PredictArgs) -> Result<()> {
    engine::check(&arguments.engine)?;
    let opened = Opened::new(&arguments.network)?;
    let mut classifier = opened.classifier(&arguments.engine, Tta::None)?;
    let (mut decoder, mut resizer, mut image) = (Decoder::new(), Resizer::new(), Rgb8Image::new());
    let mut scratch = Rgb8Image::new();
    let (mut seen, mut bad) = (0, 0);
    for file in arguments.images.iter().flat_map(|path| files(path)) {
        seen += 1;
        let read = file.and_then(|file| match fs::read(&file) {
            Ok(bytes) => {
                let decoded = match arguments.exif {
                    true => decoder.decode_upright(&bytes, &mut image, &mut scratch).map(|_| ()),
                    false => decoder.decode(&bytes, &mut image),
                };
                decoded.map(|()| file.clone()).map_err(|error| say(&file, &error))
            }
            Err(error) => Err(say(&file, &error)),
        });
        let file = match read {
            Ok(file) => file,
            Err(reason) => {
                bad += 1;
                output::complain(&reason);
                continue;
            }
        };
        let out = resized(image.size(), arguments.size.get());
        let mut pixels = vec![0; out.bytes()];
        resizer.resize(&image, Crop::whole(image.size()), out, &mut pixels)?;
        let size = Size { batch: 1, height: out.height as usize, width: out.width as usize };
        let probabilities = classifier.probabilities(size, &pixels)?;
        let mut best: Vec<(usize, f64)> = probabilities.into_iter().enumerate().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        best.truncate(arguments.top.get());
        let best: Vec<(&str, f64)> = best.iter().map(|&(label, p)| (opened.classes[label].as_str(), p)).collect();
        output::print(&if arguments.json { json_line(&file, &best) } else { line(&file, &best) })?;
    }
    if bad > 0 || seen == 0 {
        return Err(BadImages { bad, seen }.into());
    }
    Ok(())
}

fn json_line(file: &Path, best: &[(&str, f64)]) -> String {
    let top: Vec<Value> = best.iter().map(|(class, p)| json!({ "class": class, "probability": p })).collect();
    let (class, probability) = best[0];
    let file = file.to_string_lossy();
    format!("{}\n", json!({ "file": file, "class": class, "probability": probability, "top": top }))
}

fn line(file: &Path, best: &[(&str, f64)]) -> String {
    let best: Vec<String> = best.iter().map(|(class, p)| format!("{class} {:.2} %", 100.0 * p)).collect();
    format!("{}: {}\n", file.display(), best.join(", "))
}

/// The size to which the whole image is resized.
fn resized(image: Pixels, short: u32) -> Pixels {
    let ratio = f64::from(image.width.max(image.height)) / f64::from(image.width.min(image.height));
    let long = (f64::from(short) * ratio.min(LONGEST) / STEP).round() * STEP;
    // A square stays square, whatever its side.
    let long = if ratio == 1.0 { short } else { (long as u32).max(short) };
    if image.width < image.height { Pixels::new(short, long) } else { Pixels::new(long, short) }
}

/// A file, or all files in a folder, sorted by name and without hidden files. For what cannot be
/// listed, an error in one line.
fn files(path: &Path) -> Vec<Result<PathBuf, String>> {
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    walk.filter_entry(|entry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| match entry {
            Ok(entry) if entry.file_type().is_dir() => None,
            Ok(entry) => Some(Ok(entry.into_path())),
            Err(error) => Some(Err(say(error.path().unwrap_or(path), &error))),
        })
        .collect()
}

fn say(file: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("{}: expected a JPEG or PNG image, got: {reason}", file.display()).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_image_is_seen_at_nearly_its_own_shape() {
        for (image, short, seen) in [
            ((500, 500), 225, (225, 225)),
            ((500, 375), 224, (296, 224)),
            ((375, 500), 224, (224, 296)),
            ((1, 10_000), 32, (32, 256)),
            ((101, 100), 30, (32, 30)),
            ((1001, 1000), 29, (32, 29)),
            ((1001, 1000), 33, (33, 33)),
        ] {
            let size = resized(Pixels::new(image.0, image.1), short);
            assert_eq!((size.width, size.height), seen, "{image:?} at {short}");
        }
    }
}
