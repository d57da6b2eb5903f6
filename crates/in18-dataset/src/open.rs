//! Opening what a listing called an image.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a regular file for reading.
///
/// # Errors
/// The system's; one of its own where `path` is no regular file: a pipe has no end that is worth waiting for, and a
/// device may have none at all.
pub fn open_image(path: &Path) -> io::Result<File> {
    // Opening a named pipe would wait for a writer forever; a file is not touched by the flag.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no regular file")) }
}
