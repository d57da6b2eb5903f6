//! Copies of a set whose images are small: short side at most so many pixels, aspect kept, never enlarged.
//!
//! An image that is small enough already, and every image of the full size, is copied as it is. Others are JPEGs of one
//! restart interval a row of blocks, so that a decoder can begin at any of them. The same image gives the same bytes. Files
//! appear whole, and those that are there are left alone: an interrupted preparation continues.

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use in18_jpeg::{Crop, Decoder, Resizer, Rgb8Image, Size};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::folders::ImageSet;
use crate::open::open_image;
use crate::root::DataRoot;

/// Pixels of an MCU's side, with chroma at half the resolution.
const MCU: u16 = 16;

/// Notes what a folder was prepared with. Hidden, so that it is no image.
const NOTE: &str = ".prepared-by-imagenet18";

/// How large prepared images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreparedSize {
    /// The short side has at most so many pixels.
    ShortSide(NonZeroU32),
    /// As they are.
    Full,
}

impl PreparedSize {
    /// What is appended to the data path, as published schedules expect it: `-sz/160`, or nothing.
    pub fn suffix(&self) -> String {
        match self {
            PreparedSize::ShortSide(side) => format!("-sz/{side}"),
            PreparedSize::Full => String::new(),
        }
    }
}

impl FromStr for PreparedSize {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        if written == "full" {
            return Ok(PreparedSize::Full);
        }
        let side = written.parse().map_err(|_| format!("expected pixels of the short side, or full, got {written}"))?;
        Ok(PreparedSize::ShortSide(side))
    }
}

/// Why a preparation ends.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The system did not let us write.
    #[error("{path}: expected to write it, got: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds images that were prepared otherwise.
    #[error(
        "{path}: expected a new folder or one prepared with {expected}, got one with {got}: give another DST or remove it"
    )]
    Other {
        /// The folder.
        path: PathBuf,
        /// What was asked for.
        expected: String,
        /// What it holds.
        got: String,
    },
    /// The copy would be the source.
    #[error("{path}: expected another folder than the source's for its full size, got the same: give another DST")]
    Same {
        /// The folder.
        path: PathBuf,
    },
}

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// Written, in at least one size.
    Written,
    /// There already.
    Kept,
    /// Not read or not encoded, with its path and why.
    Bad(String),
}

/// A preparation of one half, train or validation, in several sizes.
#[derive(Debug)]
pub struct Preparation<'a> {
    set: &'a ImageSet,
    quality: u8,
    /// The folder of class folders of each size.
    targets: Vec<(PreparedSize, PathBuf)>,
}

impl<'a> Preparation<'a> {
    /// Makes the folders `to + suffix/half`, for JPEGs of a quality from 1 to 100.
    ///
    /// # Errors
    /// [`PrepareError`], also where a folder holds images of another quality or size.
    pub fn new(
        set: &'a ImageSet,
        to: &DataRoot,
        half: &str,
        sizes: &[PreparedSize],
        quality: u8,
    ) -> Result<Self, PrepareError> {
        let mut targets = Vec::new();
        for &size in sizes {
            let folder = to.with_suffix(&size.suffix()).join(half);
            make_folder(&folder)?;
            let same = |path: &Path| path.canonicalize().ok();
            if same(&folder) == same(set.root()) {
                return Err(PrepareError::Same { path: folder });
            }
            check_note(&folder, &size, quality)?;
            targets.push((size, folder));
        }
        Ok(Preparation { set, quality, targets })
    }

    /// Prepares an image of the set in all sizes.
    ///
    /// # Errors
    /// [`PrepareError::Write`].
    pub fn image(&self, worker: &mut PrepareWorker, image: usize) -> Result<Prepared, PrepareError> {
        let PrepareWorker { path, file, decoder, decoded, resizer, resized, encoded } = worker;
        self.set.path_into(image, path);
        // Class folders are direct children of the set's.
        let name = path.strip_prefix(self.set.root()).unwrap_or(path).to_owned();
        let missing = self.targets.iter().filter(|(_, folder)| !is_there(folder, &name));
        let missing: Vec<&(PreparedSize, PathBuf)> = missing.collect();
        if missing.is_empty() {
            return Ok(Prepared::Kept);
        }
        file.clear();
        let said = match open_image(path).and_then(|mut opened| opened.read_to_end(file)) {
            Err(error) => Some(error.to_string()),
            Ok(_) => decoder.decode(file, decoded).err().map(|error| error.to_string()),
        };
        if let Some(said) = said {
            return Ok(Prepared::Bad(format!("{}: {said}", path.display())));
        }
        let from = decoded.size();
        for (size, folder) in missing {
            let Some(to) = reduced(from, *size) else {
                write_whole(&folder.join(&name), file)?;
                continue;
            };
            let resizing = resizer.resize(decoded, Crop::whole(from), to, resized.reset(to));
            let encoding = resizing.map_err(|error| error.to_string()).and_then(|()| {
                encoded.clear();
                encode(resized.pixels(), to, self.quality, encoded)
            });
            if let Err(said) = encoding {
                return Ok(Prepared::Bad(format!("{}: {said}", path.display())));
            }
            write_whole(&folder.join(as_jpeg(&name)), encoded)?;
        }
        Ok(Prepared::Written)
    }
}

/// Buffers of a thread that prepares.
#[derive(Default)]
pub struct PrepareWorker {
    path: PathBuf,
    file: Vec<u8>,
    decoder: Decoder,
    decoded: Rgb8Image,
    resizer: Resizer,
    resized: Rgb8Image,
    encoded: Vec<u8>,
}

/// The size that an image of size `from` is reduced to; none if it stays.
fn reduced(from: Size, to: PreparedSize) -> Option<Size> {
    let PreparedSize::ShortSide(short) = to else { return None };
    let (short, least) = (short.get(), from.width.min(from.height));
    // To the nearest, as an exact fraction.
    let scaled =
        |side: u32| ((u64::from(side) * u64::from(short) * 2 + u64::from(least)) / (2 * u64::from(least))) as u32;
    (least > short).then(|| Size::new(scaled(from.width), scaled(from.height)))
}

/// A baseline JPEG of RGB pixels with chroma at half the resolution, a restart interval a row of blocks; or why there is none.
fn encode(pixels: &[u8], size: Size, quality: u8, to: &mut Vec<u8>) -> Result<(), String> {
    // A PNG may be larger than any JPEG.
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| format!("expected at most {} pixels a side, got {pixels}", u16::MAX))
    };
    let (width, height) = (side(size.width)?, side(size.height)?);
    let mut encoder = Encoder::new(to, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // With optimised tables this encoder would write a scan a component, which decode whole and more slowly.
    encoder.set_optimized_huffman_tables(false);
    encoder.set_restart_interval(width.div_ceil(MCU));
    encoder.encode(pixels, width, height, ColorType::Rgb).map_err(|error| error.to_string())
}

/// An image's name as a JPEG's: that of a PNG gets an ending.
fn as_jpeg(name: &Path) -> PathBuf {
    let ending = name.extension().map(|ending| ending.to_ascii_lowercase());
    if ending.is_some_and(|ending| ending == "jpg" || ending == "jpeg") {
        return name.to_owned();
    }
    let mut longer = name.as_os_str().to_owned();
    longer.push(".jpg");
    PathBuf::from(longer)
}

/// Whether an image was written, as it was or reduced.
fn is_there(folder: &Path, name: &Path) -> bool {
    folder.join(name).exists() || folder.join(as_jpeg(name)).exists()
}

fn make_folder(path: &Path) -> Result<(), PrepareError> {
    fs::create_dir_all(path).map_err(|source| PrepareError::Write { path: path.to_owned(), source })
}

/// Compares the note in a folder with what is asked for, or leaves one.
fn check_note(folder: &Path, size: &PreparedSize, quality: u8) -> Result<(), PrepareError> {
    let expected = match size {
        PreparedSize::ShortSide(side) => format!("short side {side}, quality {quality}"),
        PreparedSize::Full => "full size".to_owned(),
    };
    let note = folder.join(NOTE);
    match fs::read_to_string(&note) {
        Ok(got) if got == expected => Ok(()),
        Ok(got) => Err(PrepareError::Other { path: folder.to_owned(), expected, got }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // What is hidden may be this note, half written when somebody stopped us.
            let is_shown = |entry: fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
            let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
            let entries = entries.map_err(|source| PrepareError::Write { path: folder.to_owned(), source })?;
            if entries.into_iter().any(is_shown) {
                let got = "files of another program".to_owned();
                return Err(PrepareError::Other { path: folder.to_owned(), expected, got });
            }
            write_whole(&note, expected.as_bytes())
        }
        Err(source) => Err(PrepareError::Write { path: note, source }),
    }
}

/// Writes a file so that it is there whole or not at all, also if this process is killed.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PrepareError> {
    let error = |source| PrepareError::Write { path: path.to_owned(), source };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(error(io::ErrorKind::InvalidFilename.into()));
    };
    make_folder(folder)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".part");
    let part = folder.join(hidden);
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_side_is_reduced_and_never_enlarged() {
        let to = |width, height| reduced(Size::new(width, height), "160".parse().unwrap());
        assert_eq!(to(500, 375), Some(Size::new(213, 160)));
        assert_eq!(to(320, 1000), Some(Size::new(160, 500)));
        assert_eq!((to(160, 700), to(90, 100)), (None, None));
        assert_eq!(reduced(Size::new(500, 375), PreparedSize::Full), None);
    }

    #[test]
    fn a_note_that_was_cut_short_does_not_stop_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let size: PreparedSize = "160".parse().unwrap();
        fs::write(folder.path().join(format!(".{NOTE}.part")), "short").unwrap();
        check_note(folder.path(), &size, 90).unwrap();
        check_note(folder.path(), &size, 90).unwrap();
        assert!(matches!(check_note(folder.path(), &size, 80), Err(PrepareError::Other { .. })));
        fs::remove_file(folder.path().join(NOTE)).unwrap();
        fs::write(folder.path().join("a.jpg"), "").unwrap();
        assert!(matches!(check_note(folder.path(), &size, 90), Err(PrepareError::Other { .. })));
    }

    #[test]
    fn sizes_are_pixels_or_full() {
        assert_eq!("full".parse(), Ok(PreparedSize::Full));
        assert_eq!("352".parse::<PreparedSize>().map(|size| size.suffix()), Ok("-sz/352".to_owned()));
        assert!("0".parse::<PreparedSize>().is_err() && "large".parse::<PreparedSize>().is_err());
    }

    #[test]
    fn reduced_images_are_jpegs_by_name() {
        let named = |name: &str| as_jpeg(Path::new(name)).to_str().unwrap().to_owned();
        assert_eq!(named("dogs/a.JPEG"), "dogs/a.JPEG");
        assert_eq!((named("dogs/a.png"), named("dogs/a")), ("dogs/a.png.jpg".to_owned(), "dogs/a.jpg".to_owned()));
    }
}
