//! Compares pixels with Pillow's: always for the committed set, and for photos if their goldens
//! have been made.
//!
//! `scripts/golden/crops.py` writes both, and explains the manifest.

use std::path::{Path, PathBuf};

use in18_image::{Crop, Decoder, Resizer, Rgb8Image, Size};
use in18_testkit::skip::{Lack, impossible, missing};

/// The differences of pixels, over all images compared.
#[derive(Debug, Default, Clone, Copy)]
struct Difference {
    images: usize,
    values: u64,
    sum: u64,
    max: u8,
    /// The largest mean difference of any image.
    worst_mean: f64,
}

impl Difference {
    fn add(&mut self, ours: &[u8], pillows: &[u8]) -> Self {
        assert_eq!(ours.len(), pillows.len());
        let differences = ours.iter().zip(pillows).map(|(a, b)| a.abs_diff(*b));
        let max = differences.clone().max().unwrap_or(0);
        let sum: u64 = differences.map(u64::from).sum();
        let mean = sum as f64 / ours.len() as f64;
        self.images += 1;
        self.values += ours.len() as u64;
        self.sum += sum;
        self.max = self.max.max(max);
        self.worst_mean = self.worst_mean.max(mean);
        Self { images: 1, values: ours.len() as u64, sum, max, worst_mean: mean }
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.values.max(1) as f64
    }
}

/// The largest difference allowed in a resized image.
const RESIZE_MAX: u8 = 1;

/// Runs every check of a golden folder. Returns the number of decoded images and the differences of
/// resized ones. Decoded images must not differ at all, a resized image by at most `resize_mean` on
/// average.
fn check(folder: &Path, resize_mean: f64) -> (usize, Difference) {
    let manifest = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let mut decoder = Decoder::new();
    let mut resizer = Resizer::new();
    let mut load = |name: &str| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut image = Rgb8Image::new();
        decoder.decode(&bytes, &mut image).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        image
    };
    let (mut decodes, mut resize) = (0, Difference::default());
    for line in manifest.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (source, golden) = (load(fields[1]), load(fields[2]));
        match fields[0] {
            "decode" => {
                assert_eq!(source.size(), golden.size(), "{line}");
                let one = Difference::default().add(source.pixels(), golden.pixels());
                assert_eq!(one.max, 0, "{line}: {one:?}");
                decodes += 1;
            }
            "resize" => {
                let n: Vec<u32> = fields[3..].iter().map(|f| f.parse().unwrap()).collect();
                let &[left, top, width, height, out_width, out_height] = n.as_slice() else {
                    panic!("{line}");
                };
                let crop = Crop { left, top, width, height };
                let out = Size::new(out_width, out_height);
                let mut ours = vec![0; out.bytes()];
                resizer.resize(&source, crop, out, &mut ours).unwrap();
                let one = resize.add(&ours, golden.pixels());
                assert!(one.max <= RESIZE_MAX, "{line}: {one:?}");
                assert!(one.mean() <= resize_mean, "{line}: {one:?}");
            }
            other => panic!("unknown check {other}"),
        }
    }
    (decodes, resize)
}

fn report(name: &str, decodes: usize, resize: &Difference) {
    eprintln!(
        "{name}: {decodes} images decoded alike; {} resizes: max {}, mean {:.4}, worst image's mean {:.4}",
        resize.images,
        resize.max,
        resize.mean(),
        resize.worst_mean
    );
}

#[test]
fn committed_images_are_pillows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (decodes, resize) = check(&folder, 0.1);
    report("committed", decodes, &resize);
    assert!(decodes >= 15 && resize.images >= 15);
}

#[test]
fn photos_are_pillows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("IN18_GOLDEN_CROPS").map_or_else(|| root.join("target/golden/crops"), PathBuf::from);
    let mut folders = vec![folder.clone()];
    if let Ok(entries) = std::fs::read_dir(&folder) {
        folders.extend(entries.flatten().map(|e| e.path()));
    }
    folders.retain(|f| f.join("manifest.tsv").is_file());
    if folders.is_empty() {
        return match root.join("../shared/data").is_dir() {
            true => missing("what Pillow makes of the photos", "`cargo xtask golden`"),
            false => impossible(Lack::Photos),
        };
    }
    for folder in folders {
        let (decodes, resize) = check(&folder, 0.3);
        report(&folder.display().to_string(), decodes, &resize);
    }
}
