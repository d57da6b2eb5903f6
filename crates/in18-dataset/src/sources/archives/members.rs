//! Which files lie where in an archive.

use std::io::{self, Read, Seek};

use tar::{Archive, EntryType};

use crate::printable::printable;

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
            let name = printable(&member.name);
            return Err(io::Error::other(format!("{name}, which ends behind the archive's end")));
        }
        found.push(member);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// A name of some length: from 100 bytes on, formats have extra ways to write it.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[a-z]{1,8}(/[a-z]{1,8}){0,3}\\.jpg", 1 => "[a-zü]{90,110}/[a-z]{90,180}"]
    }

    proptest! {
        #[test]
        fn members_are_those_that_were_written(
            files in proptest::collection::vec((name(), proptest::collection::vec(any::<u8>(), 0..1200), any::<bool>()), 0..8),
            cut in 1_usize..4000,
        ) {
            let mut archive = tar::Builder::new(Vec::new());
            for (name, content, is_folder) in &files {
                let mut header = tar::Header::new_gnu();
                header.set_size(if *is_folder { 0 } else { content.len() as u64 });
                header.set_entry_type(if *is_folder { EntryType::Directory } else { EntryType::Regular });
                archive.append_data(&mut header, name, if *is_folder { &[][..] } else { content }).unwrap();
            }
            let archive = archive.into_inner().unwrap();
            let found = members(Cursor::new(&archive), archive.len() as u64).unwrap();
            let expected: Vec<(&[u8], &[u8])> =
                files.iter().filter(|file| !file.2).map(|(name, content, _)| (name.as_bytes(), &content[..])).collect();
            let got: Vec<(&[u8], &[u8])> = found
                .iter()
                .map(|member| (&member.name[..], &archive[member.offset as usize..][..member.length as usize]))
                .collect();
            prop_assert_eq!(&got, &expected);
            // Cut short, it is refused, or has the first of them.
            let cut = &archive[..archive.len() - cut.min(archive.len())];
            if let Ok(less) = members(Cursor::new(cut), cut.len() as u64) {
                prop_assert!(found.starts_with(&less));
            }
        }
    }
}
