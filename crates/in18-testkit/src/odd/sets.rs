//! Odd files with Pillow's verdicts: the files made here and, if they are on this machine, those of
//! other projects.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::skip::missing;

/// Pillow's verdict on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pillow decodes it. These are the [`fingerprint`]s of the pixels.
    Pixels {
        /// The image as it is stored.
        stored: String,
        /// The image turned as its metadata say.
        upright: String,
    },
    /// Pillow refuses it.
    Refused,
}

/// A file to decode.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name, unique in its set.
    pub name: String,
    /// The file's content.
    pub bytes: Vec<u8>,
    /// Pillow's verdict, if it is known.
    pub verdict: Option<Verdict>,
    /// The entry in [`EXCEPTIONS`] if this project knowingly differs from Pillow.
    pub exception: Option<&'static Exception>,
}

impl Case {
    /// Whether this project should refuse the file, if that is known.
    pub fn is_refused(&self) -> Option<bool> {
        match self.exception {
            Some(exception) => Some(exception.is_refused),
            None => self.verdict.as_ref().map(|verdict| *verdict == Verdict::Refused),
        }
    }
}

/// Files from one source, sorted by name.
#[derive(Clone, Debug)]
pub struct Set {
    /// Where the files come from.
    pub origin: &'static str,
    /// How many files must be decoded at least, and how many refused.
    pub least: usize,
    /// The files.
    pub cases: Vec<Case>,
    /// Where Pillow's pixels may be, as NAME.png and NAME.upright.png, to see what differs.
    pub pixels: PathBuf,
}

/// A file on which this project's result differs from Pillow's.
#[derive(Debug)]
pub struct Exception {
    /// The file's name.
    pub name: &'static str,
    /// Whether this project refuses the file. If not, it decodes the file to other pixels than
    /// Pillow.
    pub is_refused: bool,
    /// Why the difference is right, or why it stays.
    pub why: &'static str,
}

/// All known exceptions, among the files made here. The files of other projects have none.
pub const EXCEPTIONS: &[Exception] = &[
    decoded("exif-raw-profile.png", "not turned: text is not searched for what an eXIf chunk is for"),
    refused("frame-c9.jpg", "arithmetic coding is not read"),
    refused("other-bmp.jpg", "BMP is not read"),
    refused("other-gif.jpg", "GIF is not read"),
    refused("other-ppm.jpg", "PPM is not read"),
    refused("other-tiff.jpg", "TIFF is not read"),
    refused("other-webp.jpg", "WebP is not read"),
    decoded("png-grey-16-interlaced.png", GREY_16),
    decoded("png-grey-16.png", GREY_16),
    refused("png-lying-higher.png", BLACK_ROWS),
    refused("png-lying-much-higher.png", BLACK_ROWS),
    refused("whole-lossless.jpg", "lossless coding is not read"),
];

const GREY_16: &str =
    "Pillow clips grey of 16 bits at 255, which makes nearly all of it white; the high byte is kept here";
const BLACK_ROWS: &str = "Pillow leaves rows black that are missing as a whole";

const fn refused(name: &'static str, why: &'static str) -> Exception {
    Exception { name, is_refused: true, why }
}

const fn decoded(name: &'static str, why: &'static str) -> Exception {
    Exception { name, is_refused: false, why }
}

/// The files made here, and the files of other projects if they are on this machine. The latter may
/// lack verdicts. A line that begins with "skipped:" names what is missing.
///
/// # Panics
/// If the recorded verdicts are of other files.
pub fn sets() -> Vec<Set> {
    [Some(generated()), of_others()].into_iter().flatten().collect()
}

/// Identifies pixels, (H, W, 3), by their size and the start of their SHA-256.
pub fn fingerprint(width: u32, height: u32, pixels: &[u8]) -> String {
    format!("{width}x{height}:{}", checksum(pixels))
}

fn generated() -> Set {
    let mut verdicts = parse(include_str!("../../golden/odd.tsv"));
    let judge = |file: super::OddFile| {
        let verdict = verdicts.remove(&file.name).filter(|(sum, _)| *sum == checksum(&file.bytes));
        let (_, verdict) = verdict.unwrap_or_else(|| panic!("{} is new or was changed: {RECORD}", file.name));
        let exception = EXCEPTIONS.iter().find(|exception| exception.name == file.name);
        Case { name: file.name, bytes: file.bytes, verdict: Some(verdict), exception }
    };
    let cases = super::files().into_iter().map(judge).collect();
    assert!(verdicts.is_empty(), "{:?} are no longer made: {RECORD}", verdicts.keys());
    Set { origin: "made by the test kit", least: 150, cases, pixels: root().join("target/golden/odd-generated") }
}

const RECORD: &str = "record Pillow's verdicts anew, with `cargo xtask golden`";

fn of_others() -> Option<Set> {
    let folder = root().join("../shared/data/odd");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: no folder {} with odd files of other projects", folder.display());
        return None;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let pixels = root().join("target/golden/odd");
    let verdicts = fs::read_to_string(pixels.join("verdicts.tsv")).map(|lines| parse(&lines));
    if verdicts.is_err() {
        missing("Pillow's verdicts on the odd files of other projects", "`cargo xtask golden`");
    }
    let judge = |path: &PathBuf| {
        let name = path.file_name().expect("a file's path").display().to_string();
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let verdict = verdicts.as_ref().ok().map(|verdicts| {
            let verdict = verdicts.get(&name).filter(|(sum, _)| *sum == checksum(&bytes));
            verdict.unwrap_or_else(|| panic!("{name} is new or was changed: {RECORD}")).1.clone()
        });
        Case { name, bytes, verdict, exception: None }
    };
    let cases = paths.iter().map(judge).collect();
    Some(Set { origin: "of other projects", least: 80, cases, pixels })
}

/// Parses the lines that `scripts/golden/odd.py` writes: name → checksum of the file, and verdict.
fn parse(lines: &str) -> BTreeMap<String, (String, Verdict)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let verdict = match fields[..] {
            [_, _, "ok", stored, upright] => Verdict::Pixels { stored: stored.to_owned(), upright: upright.to_owned() },
            [_, _, "ok", stored] => Verdict::Pixels { stored: stored.to_owned(), upright: stored.to_owned() },
            [_, _, "refused", _] => Verdict::Refused,
            _ => panic!("expected a verdict of scripts/golden/odd.py, got {line:?}: {RECORD}"),
        };
        (fields[0].to_owned(), (fields[1].to_owned(), verdict))
    };
    lines.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

/// The first 64 bits of the SHA-256, in hexadecimal.
fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_verdict() {
        let set = generated();
        let refused = set.cases.iter().filter(|case| case.verdict == Some(Verdict::Refused)).count();
        assert!(refused >= set.least && set.cases.len() - refused >= set.least, "{refused} of {}", set.cases.len());
        for Exception { name, .. } in EXCEPTIONS {
            assert!(set.cases.iter().any(|case| case.name == *name), "{name}");
        }
    }

    #[test]
    fn pixels_are_told_apart() {
        // The first bits of the SHA-256 of "abc" (FIPS 180-4, example).
        assert_eq!(fingerprint(1, 1, b"abc"), "1x1:ba7816bf8f01cfea");
        assert_ne!(fingerprint(2, 1, b"abcdef"), fingerprint(1, 2, b"abcdef"));
    }

    #[test]
    fn lines_are_understood() {
        let parsed =
            parse("# by Pillow\na.jpg\t01\tok\t1x2:03\t2x1:04\nb.jpg\t05\trefused\tOSError: no\nc\t06\tok\t1x1:07\n");
        let pixels = |stored: &str, upright: &str| Verdict::Pixels { stored: stored.into(), upright: upright.into() };
        assert_eq!(parsed["a.jpg"], ("01".into(), pixels("1x2:03", "2x1:04")));
        assert_eq!(parsed["b.jpg"], ("05".into(), Verdict::Refused));
        assert_eq!(parsed["c"], ("06".into(), pixels("1x1:07", "1x1:07")));
    }
}
