//! Files of images: opened, read, or read as far as tells an image's size.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use in18_image::Size;

use crate::error::Error;

/// Bytes that are read first for a header. Where the header is longer, twice as many are read,
/// until it ends.
const FIRST_READ: u64 = 4096;

/// Opens a regular file for reading.
///
/// # Errors
/// The system's; one of its own where `path` is no regular file: a pipe has no end that is worth
/// waiting for, and a device may have none at all.
pub(crate) fn open_image(path: &Path) -> io::Result<File> {
    // Opening a named pipe would wait for a writer forever; a file is not touched by the flag.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no regular file")) }
}

/// Puts the bytes of the image in a file of its own in the place of what `bytes` held.
///
/// # Errors
/// [`Error::Vanished`], [`Error::Unreadable`].
pub(crate) fn read_file(path: &Path, bytes: &mut Vec<u8>) -> Result<(), Error> {
    bytes.clear();
    let read = open_image(path).and_then(|mut file| file.read_to_end(bytes));
    read.map(|_| ()).map_err(|error| Error::reading(path, error))
}

/// The size of the image in a file of its own, of which only the start is read.
///
/// # Errors
/// As [`read_file`]; [`Error::Image`].
pub(crate) fn size_of_file(path: &Path) -> Result<Size, Error> {
    let opened = open_image(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let read = opened.and_then(|(length, file)| size_in_header(&file, 0, length));
    let header = read.map_err(|error| Error::reading(path, error))?;
    header.map_err(|source| Error::Image { path: path.to_owned(), source })
}

/// The size of the image at an offset of a file, of which only the start is read; or what is wrong
/// with its header.
pub(crate) fn size_in_header(file: &File, offset: u64, length: u64) -> io::Result<Result<Size, in18_image::Error>> {
    let mut start = vec![0; length.min(FIRST_READ) as usize];
    loop {
        file.read_exact_at(&mut start, offset)?;
        match in18_image::header(&start) {
            Err(in18_image::Error::Truncated { .. }) if (start.len() as u64) < length => {
                start.resize((start.len() as u64 * 2).min(length) as usize, 0);
            }
            result => return Ok(result),
        }
    }
}
