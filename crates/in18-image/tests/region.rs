//! Regions have the pixels of a whole decode. This is tested with the golden files, the odd files,
//! generated photos, and other photos if they are there. `IN18_ALL_PHOTOS=1` takes all of the
//! latter instead of one in forty.

use std::fs;
use std::path::{Path, PathBuf};

use in18_image::{Crop, Decoder, Rgb8Image, Size};
use in18_testkit::images::photos;
use in18_testkit::odd::sets;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// The number of regions tested per file.
const REGIONS: u32 = 6;

/// A multiplicative congruential generator (Lehmer's, by Park and Miller).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        (self.0 % u64::from(bound)) as u32
    }

    fn region(&mut self, size: Size) -> Crop {
        let (width, height) = (1 + self.below(size.width), 1 + self.below(size.height));
        Crop { left: self.below(size.width - width + 1), top: self.below(size.height - height + 1), width, height }
    }
}

/// The files below a folder, sorted; none if the folder does not exist.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        eprintln!("skipped: no folder {}", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn rows(image: &Rgb8Image, crop: Crop) -> impl Iterator<Item = &[u8]> {
    let stride = image.size().width as usize * 3;
    let (start, length) = (crop.left as usize * 3, crop.width as usize * 3);
    let top = crop.top as usize;
    (top..top + crop.height as usize).map(move |row| &image.pixels()[row * stride + start..][..length])
}

/// Compares regions of a file with a whole decode, and returns their number.
fn check(path: &Path, random: &mut Random) -> u32 {
    check_bytes(&fs::read(path).unwrap(), &path.display().to_string(), random)
}

fn check_bytes(bytes: &[u8], name: &str, random: &mut Random) -> u32 {
    let mut decoder = Decoder::new();
    let mut whole = Rgb8Image::new();
    if decoder.decode(bytes, &mut whole).is_err() {
        // A truncated file must be refused whatever region is asked for. Damage after a region may
        // go unnoticed.
        return 0;
    }
    let size = whole.size();
    let corner = |left, top| Crop { left, top, width: 1, height: 1 };
    let corners = [corner(0, 0), corner(size.width - 1, size.height - 1), Crop::whole(size)];
    let mut regions = corners.to_vec();
    regions.extend((0..REGIONS).map(|_| random.region(size)));
    for region in regions {
        // Only the region is written, so pixels that are not decoded show.
        let mut part = Rgb8Image::from_pixels(size, vec![0x55; size.bytes()]).unwrap();
        let got = decoder.decode_region(bytes, &mut part, |_| region).unwrap();
        assert_eq!((got, part.size()), (region, size), "{name}");
        assert!(rows(&part, region).eq(rows(&whole, region)), "{name}: {region} differs");
    }
    3 + REGIONS
}

#[test]
fn regions_equal_a_whole_decode() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = root.join("../../../shared/data");
    let step = if std::env::var_os("IN18_ALL_PHOTOS").is_some() { 1 } else { 40 };
    let mut paths: Vec<PathBuf> = files(&root.join("tests/golden"));
    for photos in ["imagewoof320", "photos-original"] {
        paths.extend(files(&shared.join(photos)).into_iter().step_by(step));
    }
    let mut random = Random(1);
    let compared: u32 = paths.iter().map(|path| check(path, &mut random)).sum();
    println!("{compared} regions of {} files", paths.len());
    assert!(compared > 100);
}

#[test]
fn regions_of_generated_photos_equal_a_whole_decode() {
    let mut random = Random(2);
    for (name, bytes) in photos() {
        assert!(check_bytes(&bytes, &name, &mut random) > 0, "{name}");
    }
}

#[test]
fn regions_of_odd_files_equal_a_whole_decode() {
    let mut random = Random(3);
    for set in sets() {
        let compared: u32 = set.cases.iter().map(|case| check_bytes(&case.bytes, &case.name, &mut random)).sum();
        println!("{compared} regions of {} odd files {}", set.cases.len(), set.origin);
        assert!(compared > set.least as u32 * REGIONS);
    }
}

/// Rows are skipped by their restart markers, whatever the interval. If bytes are wrong, regions
/// still equal a whole decode.
#[test]
fn regions_behind_restarts_equal_a_whole_decode() {
    let mut random = Random(7);
    let mut compared = 0;
    for (width, height) in [(97_u16, 150_u16), (64, 64), (33, 200)] {
        let size = usize::from(width) * usize::from(height);
        let noise: Vec<u8> = (0..size * 3).map(|at| (at / 7) as u8 ^ random.below(64) as u8).collect();
        for (sampling, mcu) in [(SamplingFactor::F_2_2, 16), (SamplingFactor::F_1_1, 8), (SamplingFactor::F_2_1, 16)] {
            let row = width.div_ceil(mcu);
            for interval in [row, 1, 3, 7, row + 1, 2 * row] {
                for color in [ColorType::Rgb, ColorType::Luma] {
                    let mut bytes = Vec::new();
                    let mut encoder = Encoder::new(&mut bytes, 80);
                    encoder.set_sampling_factor(sampling);
                    encoder.set_restart_interval(interval);
                    let channels = if color == ColorType::Rgb { 3 } else { 1 };
                    encoder.encode(&noise[..size * channels], width, height, color).unwrap();
                    let name = format!("{width} x {height}, {sampling:?}, restart every {interval}");
                    compared += check_bytes(&bytes, &name, &mut random);
                    for _ in 0..4 {
                        let at = random.below(bytes.len() as u32) as usize;
                        let mut damaged = bytes.clone();
                        damaged[at] = random.below(256) as u8;
                        // A wrong size, or the end of the file, has nothing to do with restarts.
                        if at > 650 && at + 2 < bytes.len() {
                            compared += check_bytes(&damaged, &format!("{name}, byte {at} wrong"), &mut random);
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 2000, "{compared}");
}

#[test]
fn cut_files_are_refused_wherever_the_region_lies() {
    let bytes = include_bytes!("golden/jpeg_420.jpg");
    let top = |size: Size| Crop { left: 0, top: 0, width: size.width, height: 1 };
    let mut image = Rgb8Image::new();
    assert!(Decoder::new().decode_region(bytes, &mut image, top).is_ok());
    for cut in [bytes.len() - 2, bytes.len() - 40, bytes.len() / 2] {
        let (mut region, mut whole) = (Rgb8Image::new(), Rgb8Image::new());
        let expected = Decoder::new().decode(&bytes[..cut], &mut whole);
        assert_eq!(Decoder::new().decode_region(&bytes[..cut], &mut region, top).map(|_| ()), expected);
    }
}

#[test]
fn a_region_outside_is_refused() {
    for bytes in [&include_bytes!("golden/jpeg_420.jpg")[..], include_bytes!("golden/png_rgb.png")] {
        let outside = |size: Size| Crop { left: 1, top: 0, width: size.width, height: 1 };
        let error = Decoder::new().decode_region(bytes, &mut Rgb8Image::new(), outside).unwrap_err();
        assert!(error.to_string().contains("at column 1"), "{error}");
    }
}
