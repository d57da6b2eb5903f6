//! Small JPEGs whose classes differ in colour and stripes, for tests of loading and training.
//!
//! A class has a colour, a stripe direction (rows or columns, which flipping does not change) and a
//! period, so that a network learns the classes in a few steps. Images of one class differ in
//! phase, brightness and noise. Everything follows from class and index, so the files are the same
//! on every run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::generator::{bits, stream};

/// Writes `images_per_class` JPEGs into each of `dir/class00`, `dir/class01`, …. Image `i` has size
/// `sizes[i % sizes.len()]`, (width, height). Returns the paths, class by class.
///
/// # Errors
/// Errors of the file system, and `InvalidInput` if there are no sizes or a JPEG cannot have a
/// size.
pub fn write_class_folders(
    dir: &Path,
    classes: usize,
    images_per_class: usize,
    sizes: &[(u16, u16)],
) -> io::Result<Vec<PathBuf>> {
    if sizes.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected at least one image size, got none"));
    }
    let mut paths = Vec::with_capacity(classes * images_per_class);
    for class in 0..classes {
        let folder = dir.join(format!("class{class:02}"));
        fs::create_dir_all(&folder)?;
        for index in 0..images_per_class {
            let (width, height) = sizes[index % sizes.len()];
            let path = folder.join(format!("{index:04}.jpg"));
            fs::write(&path, jpeg(&class_image(class, index, width, height), width, height)?)?;
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Image `index` of class `class`, (H, W, 3) u8 RGB.
pub fn class_image(class: usize, index: usize, width: u16, height: u16) -> Vec<u8> {
    let stream = stream(&format!("class/{class}/{index}"));
    let colour = hue(class as f64 * 0.618_034);
    let period = 6 + class / 2 % 3 * 5;
    let phase = bits(stream, 0) as usize % period;
    let brightness = 0.7 + 0.3 * (bits(stream, 1) >> 40) as f64 / (1u64 << 24) as f64;
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..usize::from(height) {
        for x in 0..usize::from(width) {
            let along = if class.is_multiple_of(2) { x } else { y };
            let stripe = if (along + phase) % period < period / 2 { 1.0 } else { 0.35 };
            for level in colour {
                let noise = (bits(stream, 2 + pixels.len()) >> 60) as f64;
                pixels.push((level * stripe * brightness * 230.0 + noise) as u8);
            }
        }
    }
    pixels
}

/// Encodes `rgb`, (H, W, 3) u8, as a JPEG of quality 90.
///
/// # Errors
/// `InvalidInput` if a side is 0 or `rgb` is too short.
pub fn jpeg(rgb: &[u8], width: u16, height: u16) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 90)
        .encode(rgb, width, height, ColorType::Rgb)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    Ok(bytes)
}

/// The demo's photos as JPEGs with several chroma samplings, in one scan or many, with and without
/// restarts. Each has a name.
pub fn photos() -> Vec<(String, Vec<u8>)> {
    let samplings = [SamplingFactor::F_2_2, SamplingFactor::F_1_1, SamplingFactor::F_2_1];
    let jpeg = |index: usize| {
        let photo = in18_demo::draw(18, in18_demo::Split::Train, index);
        let colours = if photo.grey { ColorType::Luma } else { ColorType::Rgb };
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, photo.quality);
        encoder.set_sampling_factor(samplings[index % 3]);
        encoder.set_progressive(index % 4 == 3);
        if index % 5 == 1 {
            encoder.set_restart_interval(7);
        }
        let (width, height) = (photo.width as u16, photo.height as u16);
        encoder.encode(&photo.pixels, width, height, colours).expect("a photo's size is a JPEG's");
        (format!("photo {index} of the demo"), bytes)
    };
    (0..16).map(jpeg).collect()
}

/// A saturated colour, each component in 0..=1. Hues repeat with period 1.
fn hue(turn: f64) -> [f64; 3] {
    [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|offset| {
        let distance = ((turn + offset).rem_euclid(1.0) - 0.5).abs() * 6.0;
        (distance - 1.0).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_the_same_jpegs_on_every_run() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sizes = [(40, 30), (33, 47)];
        let paths = write_class_folders(first.path(), 3, 4, &sizes).unwrap();
        let again = write_class_folders(second.path(), 3, 4, &sizes).unwrap();
        assert_eq!(paths.len(), 12);
        assert!(paths[5].ends_with("class01/0001.jpg"));
        for (a, b) in paths.iter().zip(&again) {
            let bytes = fs::read(a).unwrap();
            assert_eq!(bytes, fs::read(b).unwrap());
            assert_eq!(bytes[..2], [0xff, 0xd8]);
            assert_eq!(bytes[bytes.len() - 2..], [0xff, 0xd9]);
        }
        assert_ne!(fs::read(&paths[0]).unwrap(), fs::read(&paths[2]).unwrap(), "images of a class differ");
    }

    #[test]
    fn classes_differ_in_colour_or_stripes() {
        let mean = |class| {
            let pixels = class_image(class, 0, 60, 60);
            [0, 1, 2].map(|c| pixels.iter().skip(c).step_by(3).map(|&p| f64::from(p)).sum::<f64>() / 3600.0)
        };
        for a in 0..10 {
            for b in 0..a {
                let [r, g, bl] = mean(a).iter().zip(mean(b)).map(|(x, y)| (x - y).abs()).collect::<Vec<_>>()[..] else {
                    unreachable!("three channels")
                };
                let direction_differs = a % 2 != b % 2;
                assert!(r + g + bl > 15.0 || direction_differs, "classes {a} and {b} look alike");
            }
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write_class_folders(dir.path(), 1, 1, &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(jpeg(&[0; 12], 9, 9).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
