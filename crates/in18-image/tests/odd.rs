//! Compares odd files with Pillow: the same files are refused, and the others have the same pixels.
//!
//! The test kit's own files are always compared, files of other projects' test suites if they are
//! there. `in18_testkit::odd` explains both sets, and `scripts/golden/odd.py` explains Pillow's
//! verdicts. Even without a verdict, a file must not make the decoder panic.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use in18_image::{Crop, Decoder, Error, Orientation, Rgb8Image, header};
use in18_testkit::odd::{Case, Set, Verdict, fingerprint, sets};

fn decode(bytes: &[u8]) -> Result<Rgb8Image, Error> {
    let mut image = Rgb8Image::new();
    Decoder::new().decode(bytes, &mut image).map(|()| image)
}

fn fingerprint_of(image: &Rgb8Image) -> String {
    fingerprint(image.size().width, image.size().height, image.pixels())
}

#[test]
fn odd_files_decode_or_are_refused() {
    for Case { name, bytes, .. } in sets().into_iter().flat_map(|set| set.cases) {
        match catch_unwind(AssertUnwindSafe(|| decode(&bytes))) {
            Ok(Ok(image)) => assert_eq!(header(&bytes), Ok(image.size()), "{name}"),
            Ok(Err(error)) => assert!(!error.to_string().contains('\n'), "{name}: {error}"),
            Err(_) => panic!("{name} panics"),
        }
    }
}

#[test]
fn odd_files_are_pillows() {
    for set in sets() {
        let (mut equal, mut refused, mut turned, mut different) = (0, 0, 0, BTreeMap::new());
        for case in &set.cases {
            let Some(verdict) = &case.verdict else { continue };
            match (decode(&case.bytes), verdict) {
                (Err(_), Verdict::Refused) => refused += 1,
                (Ok(image), Verdict::Pixels { stored, upright }) => {
                    turned += usize::from(stored != upright);
                    let (orientation, mut turned) = (Orientation::of(&case.bytes), Rgb8Image::new());
                    orientation.turn(&image, Crop::whole(image.size()), &mut turned);
                    if fingerprint_of(&image) != *stored {
                        different.insert(case.name.as_str(), what_differs(&set, case, &image));
                    } else if fingerprint_of(&turned) != *upright {
                        different.insert(&case.name, format!("turned otherwise, by {orientation:?}"));
                    } else {
                        equal += 1;
                    }
                }
                (Ok(_), Verdict::Refused) => {
                    drop(different.insert(&case.name, "decoded, where Pillow refuses".to_owned()))
                }
                (Err(error), Verdict::Pixels { .. }) => drop(different.insert(&case.name, format!("refused: {error}"))),
            }
        }
        if set.cases.iter().all(|case| case.verdict.is_none()) {
            continue;
        }
        eprintln!(
            "{} odd files {}: {equal} equal, {turned} turned upright, {refused} refused as by Pillow, {} differ",
            set.cases.len(),
            set.origin,
            different.len()
        );
        assert!(turned >= 20, "{turned} files are not upright: make the goldens again");
        assert!(equal >= set.least && refused >= set.least);
        let expected = set.cases.iter().filter(|case| case.exception.is_some()).map(|case| case.name.as_str());
        assert!(different.keys().copied().eq(expected), "{different:#?}");
        for case in &set.cases {
            if let Some(exception) = case.exception {
                assert_eq!(decode(&case.bytes).is_err(), exception.is_refused, "{}", case.name);
            }
        }
    }
}

/// How far the pixels are from Pillow's, if Pillow's are where `cargo xtask golden` writes them.
fn what_differs(set: &Set, case: &Case, image: &Rgb8Image) -> String {
    let path = set.pixels.join(format!("{}.png", case.name));
    let Some(golden) = std::fs::read(&path).ok().and_then(|bytes| decode(&bytes).ok()) else {
        return format!("other pixels; `cargo xtask golden` writes Pillow's to {}", path.display());
    };
    if image.size() != golden.size() {
        return format!("{} instead of {}", image.size(), golden.size());
    }
    let differences = image.pixels().iter().zip(golden.pixels()).map(|(a, b)| a.abs_diff(*b));
    let count = differences.clone().filter(|&difference| difference > 0).count();
    format!("{count} values differ, by up to {}", differences.max().unwrap_or(0))
}
