//! The generated set as a user of it sees it: files, sizes, and how hard it is.

use in18_demo::{Class, DemoError, DemoSpec, Photo, Split, draw, generate};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

const SMALL: DemoSpec = DemoSpec { seed: 7, train_images: 40, val_images: 20 };

/// Every file below a folder with its bytes.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_number_of_threads_and_of_photos_changes_no_byte() {
    let [one, four, more] = [1, 4, 2].map(|_| tempfile::tempdir().unwrap());
    let larger = DemoSpec { train_images: 50, ..SMALL };
    generate(one.path(), &SMALL, 1).unwrap();
    generate(four.path(), &SMALL, 4).unwrap();
    generate(more.path(), &larger, 2).unwrap();
    let (one, four, more) = (files(one.path()), files(four.path()), files(more.path()));
    assert!(one == four);
    for (name, bytes) in one.iter().filter(|(name, _)| name.ends_with(".jpg")) {
        assert!(more[name] == *bytes, "{name}");
    }
}

#[test]
fn the_seed_and_the_split_change_the_photos() {
    assert_eq!(draw(0, Split::Train, 3), draw(0, Split::Train, 3));
    assert_ne!(draw(0, Split::Train, 3), draw(1, Split::Train, 3));
    assert_ne!(draw(0, Split::Train, 3), draw(0, Split::Validation, 3));
}

#[test]
fn every_class_has_its_share_and_every_file_decodes() {
    let dir = tempfile::tempdir().unwrap();
    let summary = generate(dir.path(), &SMALL, 2).unwrap();
    let files = files(dir.path());
    let mut bytes_written = 0;
    for split in Split::ALL {
        for class in Class::ALL {
            let folder = format!("{}/{}/", split.folder(), class.name());
            let photos: Vec<_> = files.iter().filter(|(n, _)| n.starts_with(&folder)).collect();
            assert_eq!(photos.len(), SMALL.images(split) / 10, "{folder}");
            for (name, bytes) in photos {
                bytes_written += bytes.len() as u64;
                let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
                decoder.decode().unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
    }
    assert_eq!(summary.bytes, bytes_written);
    assert_eq!(summary.classes, 10);
    // The photos and the marker, nothing temporary.
    assert_eq!(files.len(), 61);
}

#[test]
fn sizes_shapes_and_greys_vary() {
    let photos: Vec<Photo> = (0..200).map(|k| draw(0, Split::Train, k)).collect();
    let short = |p: &Photo| p.width.min(p.height);
    assert!(photos.iter().all(|p| (72..=200).contains(&short(p))));
    assert!(photos.iter().any(|p| short(p) < 85) && photos.iter().any(|p| short(p) > 187));
    let aspect = |p: &Photo| p.width as f32 / p.height as f32;
    assert!(photos.iter().all(|p| (0.49..=2.02).contains(&aspect(p))));
    assert!(photos.iter().any(|p| aspect(p) < 0.6) && photos.iter().any(|p| aspect(p) > 1.7));
    assert!(photos.iter().all(|p| (60..=95).contains(&p.quality)));
    let grey = photos.iter().filter(|p| p.grey).count();
    assert!((4..40).contains(&grey), "{grey} of 200 are grey");
}

#[test]
fn a_second_call_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!generate(dir.path(), &SMALL, 2).unwrap().reused);
    let photo = dir.path().join("train/arrow/00000.jpg");
    fs::write(&photo, b"touched").unwrap();
    let summary = generate(dir.path(), &SMALL, 2).unwrap();
    assert!(summary.reused && summary.bytes == 0);
    assert_eq!(fs::read(&photo).unwrap(), b"touched");
}

#[test]
fn an_interrupted_run_is_taken_up_again() {
    let [whole, broken] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    generate(whole.path(), &SMALL, 2).unwrap();
    generate(broken.path(), &SMALL, 2).unwrap();
    // As if it had been killed: the marker still has its first name and a photo is missing.
    let marker = |name: &str| broken.path().join(name);
    fs::rename(marker("demo-photos.txt"), marker("demo-photos.unfinished.txt")).unwrap();
    fs::remove_file(marker("validation/star/00008.jpg")).unwrap();
    assert!(!generate(broken.path(), &SMALL, 2).unwrap().reused);
    assert!(files(whole.path()) == files(broken.path()));
}

#[test]
fn other_peoples_folders_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("thesis.txt");
    fs::write(&theirs, b"years of work").unwrap();
    let error = generate(dir.path(), &SMALL, 1).unwrap_err();
    assert!(matches!(error, DemoError::NotOurs { .. }), "{error}");
    assert_eq!(files(dir.path()).len(), 1);

    let dir = tempfile::tempdir().unwrap();
    generate(dir.path(), &SMALL, 2).unwrap();
    let before = files(dir.path());
    let other = DemoSpec { seed: 8, ..SMALL };
    let error = generate(dir.path(), &other, 2).unwrap_err();
    assert!(matches!(error, DemoError::OtherSet { .. }), "{error}");
    assert!(error.to_string().contains("seed 7"), "{error}");
    assert!(files(dir.path()) == before);
}

#[test]
fn a_set_with_an_empty_class_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spec = DemoSpec { val_images: 9, ..SMALL };
    let error = generate(dir.path(), &spec, 1).unwrap_err();
    assert!(matches!(error, DemoError::Spec { got: 9, .. }), "{error}");
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = generate(&file.join("set"), &SMALL, 1).unwrap_err();
    assert!(error.to_string().contains("file/set"), "{error}");
}

/// The demo shall show that a network learns, so what needs none must fail: the nearest class mean
/// over photos squeezed to 8 × 8 pixels. Chance is 10 %.
#[test]
fn averages_of_pixels_do_not_solve_it() {
    let spec = DemoSpec::default();
    let mut means = vec![[0.0f32; 192]; 10];
    for k in 0..spec.train_images {
        let (label, pixels) = squeezed(&draw(spec.seed, Split::Train, k));
        for (sum, pixel) in means[label].iter_mut().zip(pixels) {
            *sum += pixel * 10.0 / spec.train_images as f32;
        }
    }
    let right = (0..spec.val_images)
        .map(|k| squeezed(&draw(spec.seed, Split::Validation, k)))
        .filter(|(label, pixels)| {
            let distance = |mean: &[f32; 192]| -> f32 { mean.iter().zip(pixels).map(|(m, p)| (m - p).powi(2)).sum() };
            let nearest = (0..10).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b]))).unwrap();
            nearest == *label
        })
        .count();
    let accuracy = right as f32 / spec.val_images as f32;
    eprintln!("nearest class mean: {:.1} %", 100.0 * accuracy);
    assert!(accuracy < 0.35, "{accuracy}");
}

/// A photo's label and its means over an 8 × 8 grid, (8, 8, 3).
fn squeezed(photo: &Photo) -> (usize, [f32; 192]) {
    let mut sums = [0.0; 192];
    let mut counts = [0.0f32; 64];
    let channels = if photo.grey { 1 } else { 3 };
    for (k, pixel) in photo.pixels.chunks_exact(channels).enumerate() {
        let (row, column) = (k / photo.width, k % photo.width);
        let cell = row * 8 / photo.height * 8 + column * 8 / photo.width;
        counts[cell] += 1.0;
        for channel in 0..3 {
            sums[cell * 3 + channel] += f32::from(pixel[channel % channels]);
        }
    }
    for (k, sum) in sums.iter_mut().enumerate() {
        *sum /= counts[k / 3];
    }
    let label = Class::ALL.iter().position(|c| *c == photo.class).unwrap();
    (label, sums)
}
