//! Which files lie where in an archive.

use std::io::{self, Read, Seek};

use tar::{Archive, EntryType};

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, as the archive has it.
    pub name: Vec<u8>,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many there are; all of them lie inside of the archive.
    pub length: u64,
}

/// Lists the regular files of a tar archive of `length` bytes, reading only their headers.
///
/// # Errors
/// What the archive lacks to be one; a file that ends behind its end.
pub fn members(archive: impl Read + Seek, length: u64) -> io::Result<Vec<Member>> {
    let mut archive = Archive::new(archive);
    let mut found = Vec::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        let member =
            Member { name: entry.path_bytes().into_owned(), offset: entry.raw_file_position(), length: entry.size() };
        if member.offset.checked_add(member.length).is_none_or(|end| end > length) {
            let name = String::from_utf8_lossy(&member.name).into_owned();
            return Err(io::Error::other(format!("{name}, which ends behind the archive's end")));
        }
        found.push(member);
    }
    Ok(found)
}
