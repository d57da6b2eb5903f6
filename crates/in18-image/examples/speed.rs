//! Measures how fast JPEGs are decoded on one core, in turn with zune-jpeg:
//!
//!     cargo run --release -p in18-image --example speed -- PHOTOS [FILES] [ROUNDS]
//!
//! takes at most FILES files (500), evenly from all files below PHOTOS, and prints a line for each
//! of ROUNDS rounds (5).

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use in18_image::{Decoder, Rgb8Image};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = arguments.first().ok_or("expected a folder of photos")?;
    let number = |n: usize, default| arguments.get(n).map_or(Ok(default), |text| text.parse::<usize>());
    let (most, rounds) = (number(1, 500)?, number(2, 5)?);
    let files = read(PathBuf::from(folder), most)?;
    let (mut decoder, mut ours, mut zunes) = (Decoder::new(), Rgb8Image::new(), Vec::new());
    for round in 1..=rounds {
        let start = Instant::now();
        for file in &files {
            decoder.decode(file, &mut ours)?;
        }
        let our_rate = files.len() as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        for file in &files {
            let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
            let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
            decoder.decode_headers().map_err(|error| format!("{error:?}"))?;
            zunes.resize(decoder.output_buffer_size().ok_or("no size")?, 0);
            decoder.decode_into(&mut zunes).map_err(|error| format!("{error:?}"))?;
        }
        let zunes_rate = files.len() as f64 / start.elapsed().as_secs_f64();
        let ratio = our_rate / zunes_rate;
        println!("round {round}: {our_rate:.0} images/s, zune-jpeg {zunes_rate:.0}, ratio {ratio:.3}");
    }
    let differences = ours.pixels().iter().zip(&zunes).map(|(a, b)| a.abs_diff(*b));
    assert!(ours.pixels().len() == zunes.len() && differences.max() < Some(16), "another picture");
    Ok(())
}

/// At most `most` files below a folder.
fn read(folder: PathBuf, most: usize) -> Result<Vec<Vec<u8>>, std::io::Error> {
    let (mut open, mut paths) = (vec![folder], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                open.push(entry?.path());
            }
        } else {
            paths.push(path);
        }
    }
    paths.sort();
    let step = paths.len().div_ceil(most.max(1)).max(1);
    paths.iter().step_by(step).map(fs::read).collect()
}
