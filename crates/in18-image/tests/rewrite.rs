//! Rewritten files have the pixels of their originals.

use std::path::{Path, PathBuf};

use in18_image::{Crop, Decoder, Format, Rgb8Image, Size, header, sniff};
use in18_testkit::images::photos;
use in18_testkit::odd::sets;

fn shared(folder: &str, every: usize) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    let mut pending = vec![folder];
    let mut files = Vec::new();
    while let Some(path) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&path) else {
            eprintln!("skipped: no folder {}", path.display());
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() { pending.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files.into_iter().step_by(every).collect()
}

fn decode(bytes: &[u8]) -> Option<Rgb8Image> {
    let mut image = Rgb8Image::new();
    Decoder::new().decode(bytes, &mut image).ok().map(|()| image)
}

/// Whether a file was rewritten. Checks the rewritten file.
fn check(name: &str, bytes: &[u8]) -> bool {
    let Some(image) = decode(bytes) else {
        return false;
    };
    let mut scratch = Rgb8Image::new();
    let Some(rewritten) = Decoder::new().rewrite(bytes, &image, &mut scratch) else { return false };
    assert_eq!(header(&rewritten), Ok(image.size()));
    assert!(decode(&rewritten).unwrap() == image, "{name}");
    // Restarts let regions be decoded by themselves.
    let mut decoder = Decoder::new();
    for (x, y, across, down) in [(0, 2, 4, 2), (1, 1, 2, 2), (3, 0, 1, 4), (2, 3, 1, 1), (0, 0, 1, 1)] {
        let quarter = |whole: u32, quarters: u32| whole * quarters / 4;
        let region = |size: Size| Crop {
            left: quarter(size.width, x),
            top: quarter(size.height, y),
            width: quarter(size.width, across).max(1),
            height: quarter(size.height, down).max(1),
        };
        let mut part = Rgb8Image::new();
        let crop = decoder.decode_region(&rewritten, &mut part, region).unwrap();
        for row in crop.top..crop.top + crop.height {
            let start = (row as usize * image.size().width as usize + crop.left as usize) * 3;
            let pixels = start..start + crop.width as usize * 3;
            assert!(part.pixels()[pixels.clone()] == image.pixels()[pixels], "{name}: {crop}");
        }
    }
    // Rewriting the new file gives the same bytes again, so nothing is lost.
    assert_eq!(Decoder::new().rewrite(&rewritten, &image, &mut scratch).as_ref(), Some(&rewritten), "{name}");
    true
}

#[test]
fn photos_are_rewritten_to_the_bit() {
    for (name, bytes) in photos() {
        assert!(check(&name, &bytes), "{name}");
    }
    let all = std::env::var_os("IN18_ALL_PHOTOS").is_some();
    for (folder, every) in [("photos-original", 5), ("imagewoof320", 40)] {
        let files = shared(folder, if all { 1 } else { every });
        let is_rewritten = |path: &&PathBuf| check(&path.display().to_string(), &std::fs::read(path).unwrap());
        let rewritten = files.iter().filter(is_rewritten).count();
        eprintln!("{rewritten} of {} photos rewritten", files.len());
        assert_eq!(rewritten, files.len());
    }
}

#[test]
fn odd_files_are_rewritten_or_left() {
    for set in sets() {
        let jpegs = set.cases.iter().filter(|case| sniff(&case.bytes) == Ok(Format::Jpeg));
        let rewritten = jpegs.filter(|case| check(&case.name, &case.bytes)).count();
        eprintln!("{rewritten} of {} odd files {} rewritten", set.cases.len(), set.origin);
        assert!(rewritten > 80);
    }
}
