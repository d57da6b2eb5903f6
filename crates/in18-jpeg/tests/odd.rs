//! The odd files of other projects' test suites: each decodes or is refused in one line, none panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use in18_jpeg::{Decoder, Rgb8Image, header};

#[test]
fn odd_files_decode_or_are_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/odd");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no folder {}", folder.display());
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut decoded, mut refused, mut panicked) = (0, 0, Vec::new());
    for path in &paths {
        let bytes = std::fs::read(path).unwrap();
        let mut image = Rgb8Image::new();
        let result = catch_unwind(AssertUnwindSafe(|| Decoder::new().decode(&bytes, &mut image)));
        match result {
            Ok(Ok(())) => {
                assert_eq!(header(&bytes), Ok(image.size()), "{}", path.display());
                decoded += 1;
            }
            Ok(Err(error)) => {
                assert!(!error.to_string().contains('\n'), "{}: {error}", path.display());
                refused += 1;
            }
            Err(_) => panicked.push(path),
        }
    }
    eprintln!("{} odd files: {decoded} decoded, {refused} refused", paths.len());
    assert!(panicked.is_empty(), "panicked on {panicked:?}");
}
