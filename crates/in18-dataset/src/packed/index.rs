//! The list of what lies in tar shards: text, a line a thing, tabs between fields.
//!
//! ```text
//! imagenet18 index 1
//! class   NAME                                                       one a label, from 0
//! shard   FILE BYTES MODIFIED END                                    one a shard, from 0
//! image   SHARD OFFSET LENGTH LABEL WIDTH HEIGHT CHECKSUM BEFORE NAME   one an image, from 0
//! end     CHECKSUM                                                   of everything above
//! ```
//! Checksums are CRC-32C in eight hexadecimal digits: of an image's bytes, of what lies BEFORE them
//! (after the padding of the image before), and of what follows a shard's last image (END).
//! MODIFIED is a shard's time of modification in nanoseconds since 1970. What is not known is `-`:
//! shards that were prepared here have no MODIFIED, so that they may be copied; shards of others
//! have no checksums.

use std::fmt::Write;
use std::io::{self, BufRead};
use std::num::NonZeroU32;

use in18_image::Size;

use super::fields::{Hex, field, hex, optional, or_dash, text};
use crate::error::IndexError;

const FIRST_LINE: &str = "imagenet18 index 1";

/// What lies in a set's shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Names of the classes, by label.
    pub classes: Vec<String>,
    /// The shards, by number.
    pub shards: Vec<Shard>,
    /// The images, by number.
    pub images: Vec<PackedImage>,
    /// Names of all images, one after the other.
    names: String,
    /// Where each image's name ends in `names`.
    name_ends: Vec<u64>,
}

/// A tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its name, without folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Nanoseconds since 1970, where a change of time means a change of content.
    pub modified: Option<i64>,
    /// Checksum of what follows the last image and its padding.
    pub end: Option<u32>,
}

/// Where an image lies, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedImage {
    /// Number of its shard.
    pub shard: u32,
    /// Where its bytes begin in the shard.
    pub offset: u64,
    /// How many there are, at least one.
    pub length: u32,
    /// Number of its class.
    pub label: u32,
    /// As its header says; none if it says nothing.
    pub size: Option<Size>,
    /// Of the shards that were prepared here.
    pub checksums: Option<Checksums>,
}

/// CRC-32C of parts of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksums {
    /// The image's bytes.
    pub image: u32,
    /// What lies between the image before and this one: headers and labels.
    pub before: u32,
}

impl Index {
    /// An index of no images yet.
    pub fn new(classes: Vec<String>, shards: Vec<Shard>) -> Self {
        Self { classes, shards, ..Self::default() }
    }

    /// Reads an index and checks that its parts fit together: labels have a class, images lie in
    /// shards that are there.
    ///
    /// # Errors
    /// [`IndexError`], also where anything was changed or cut off since the index was written.
    pub fn parse(text: &[u8]) -> Result<Self, IndexError> {
        // Bytes in memory can be read.
        Self::read(text)
            .unwrap_or_else(|error| Err(IndexError { line: 0, expected: "to read it", got: error.to_string() }))
    }

    /// As [`parse`](Self::parse), from a file, a line at a time.
    pub(crate) fn read(mut text: impl BufRead) -> io::Result<Result<Self, IndexError>> {
        let mut index = Self::default();
        let (mut line, mut checksum) = (Vec::new(), 0);
        for number in 1.. {
            line.clear();
            text.read_until(b'\n', &mut line)?;
            let refused = |expected, got| Ok(Err(IndexError { line: number, expected, got }));
            if line.starts_with(b"end\t") || !line.ends_with(b"\n") {
                let is_last = text.fill_buf()?.is_empty();
                if number == 1 || !is_last || line != format!("end\t{}\n", hex(checksum)).as_bytes() {
                    let shown: String = String::from_utf8_lossy(&line).trim_end().chars().take(40).collect();
                    return refused("a last line with the checksum of those above", format!("`{shown}`"));
                }
                break;
            }
            checksum = crc32c::crc32c_append(checksum, &line);
            let Ok(content) = str::from_utf8(&line[..line.len() - 1]) else {
                return refused("text", "bytes that are no UTF-8".to_owned());
            };
            if let Err((expected, got)) = index.line(number - 1, content) {
                return refused(expected, got);
            }
        }
        index.images.shrink_to_fit();
        index.names.shrink_to_fit();
        index.name_ends.shrink_to_fit();
        Ok(Ok(index))
    }

    /// The index as text.
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for class in &self.classes {
            let _ = writeln!(text, "class\t{class}");
        }
        for Shard { name, bytes, modified, end } in &self.shards {
            let (modified, end) = (or_dash(*modified), or_dash(end.map(hex)));
            let _ = writeln!(text, "shard\t{name}\t{bytes}\t{modified}\t{end}");
        }
        for (image, packed) in self.images.iter().enumerate() {
            let _ = writeln!(text, "{}", packed.line(self.name(image)));
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "end\t{}", hex(checksum));
        text
    }

    /// Adds an image.
    pub fn push(&mut self, image: PackedImage, name: &str) {
        self.images.push(image);
        self.names.push_str(name);
        self.name_ends.push(self.names.len() as u64);
    }

    /// An image's name in its shard.
    pub fn name(&self, image: usize) -> &str {
        let start = if image == 0 { 0 } else { self.name_ends[image - 1] };
        &self.names[start as usize..self.name_ends[image] as usize]
    }

    /// Takes in a line; what was expected and what came, if it is none.
    fn line(&mut self, number: usize, line: &str) -> Result<(), (&'static str, String)> {
        let mut fields = line.split('\t');
        let kind = fields.next().unwrap_or_default();
        match (number, kind) {
            (0, FIRST_LINE) => {}
            (0, other) => return Err(("the line `imagenet18 index 1`", other.to_owned())),
            (_, "class") if self.shards.is_empty() && self.images.is_empty() => {
                self.classes.push(text(&mut fields, "a class")?);
            }
            (_, "shard") if self.images.is_empty() => {
                let name = text(&mut fields, "a shard's file")?;
                if name.contains('/') || name == ".." {
                    return Err(("a file's name without folders", name));
                }
                let bytes = field(&mut fields, "a shard's length in bytes")?;
                let modified = optional(&mut fields, "a time in nanoseconds")?;
                let end = optional(&mut fields, "a checksum")?.map(|Hex(end)| end);
                self.shards.push(Shard { name, bytes, modified, end });
            }
            (_, "image") => {
                let (image, name) = PackedImage::parse(&mut fields)?;
                let Some(shard) = self.shards.get(image.shard as usize) else {
                    return Err(("a shard of those above", image.shard.to_string()));
                };
                if image.label as usize >= self.classes.len() {
                    return Err(("a class of those above", image.label.to_string()));
                }
                if image.end().is_none_or(|end| end > shard.bytes) {
                    let got = format!("{} bytes from byte {}", image.length, image.offset);
                    return Err(("bytes inside of the shard", got));
                }
                self.push(image, &name);
            }
            _ => return Err(("classes, then shards, then images", kind.to_owned())),
        }
        match fields.next() {
            None => Ok(()),
            Some(more) => Err(("the end of the line", more.to_owned())),
        }
    }
}

impl PackedImage {
    /// Where its bytes end in the shard; none beyond what a number holds.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.length))
    }

    /// The line of an image of this name.
    pub(crate) fn line(&self, name: &str) -> String {
        let Self { shard, offset, length, label, size, checksums } = self;
        let (width, height) = (or_dash(size.map(|s| s.width)), or_dash(size.map(|s| s.height)));
        let (image, before) = (or_dash(checksums.map(|c| hex(c.image))), or_dash(checksums.map(|c| hex(c.before))));
        format!("image\t{shard}\t{offset}\t{length}\t{label}\t{width}\t{height}\t{image}\t{before}\t{name}")
    }

    /// Reads the fields after the word `image`: an image and its name.
    pub(crate) fn parse<'a>(
        fields: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(Self, String), (&'static str, String)> {
        let shard = field(fields, "a shard's number")?;
        let offset = field(fields, "an offset in bytes")?;
        let length = field::<NonZeroU32>(fields, "a length in bytes")?.get();
        let label = field(fields, "a label")?;
        let width = optional::<NonZeroU32>(fields, "a width in pixels")?;
        let height = optional::<NonZeroU32>(fields, "a height in pixels")?;
        let size = width.zip(height).map(|(width, height)| Size::new(width.get(), height.get()));
        let image = optional(fields, "a checksum")?;
        let before = optional(fields, "a checksum")?;
        let checksums = image.zip(before).map(|(Hex(image), Hex(before))| Checksums { image, before });
        let name = text(fields, "an image's name")?;
        Ok((Self { shard, offset, length, label, size, checksums }, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Index {
        let shard = |number: u32| Shard {
            name: format!("{number:06}.tar"),
            bytes: 10_240,
            modified: (number == 1).then_some(-7),
            end: (number == 0).then_some(0xab),
        };
        let mut index = Index::new(vec!["cat".to_owned(), "großer Hund".to_owned()], vec![shard(0), shard(1)]);
        for (number, size) in [(0, Some(Size::new(500, 375))), (1, None)] {
            let image = PackedImage {
                shard: number,
                offset: 512,
                length: 9_728,
                label: 1 - number,
                size,
                checksums: (number == 0).then_some(Checksums { image: u32::MAX, before: 0 }),
            };
            index.push(image, &format!("cat/{number}.jpg"));
        }
        index
    }

    /// A text with a last line that fits.
    fn seal(lines: &str) -> Vec<u8> {
        format!("{lines}end\t{}\n", hex(crc32c::crc32c(lines.as_bytes()))).into_bytes()
    }

    #[test]
    fn what_is_written_is_read() {
        let index = example();
        let text = index.text();
        assert_eq!(Index::parse(text.as_bytes()), Ok(index));
        let image = "image\t0\t512\t9728\t1\t500\t375\tffffffff\t00000000\tcat/0.jpg";
        assert_eq!(text.lines().nth(5), Some(image));
        assert_eq!(text.lines().nth(3), Some("shard\t000000.tar\t10240\t-\t000000ab"));
    }

    #[test]
    fn every_bit_and_every_byte_counts() {
        let text = example().text().into_bytes();
        for end in 0..text.len() {
            assert!(Index::parse(&text[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Index::parse(&changed).is_err(), "bit {bit}");
        }
        assert!(Index::parse(&[&text[..], b"\n"].concat()).is_err());
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let said = |from: &str, to: &str| {
            let text = example().text();
            assert!(text.contains(from));
            let lines = text.replacen(from, to, 1);
            Index::parse(&seal(&lines[..lines.rfind("end\t").unwrap()])).unwrap_err().to_string()
        };
        assert_eq!(
            said("index 1", "index 2"),
            "line 1: expected the line `imagenet18 index 1`, got imagenet18 index 2"
        );
        assert_eq!(
            said("\t9728\t1", "\t9729\t1"),
            "line 6: expected bytes inside of the shard, got 9729 bytes from byte 512"
        );
        assert_eq!(said("\t9728\t1", "\t9728\t2"), "line 6: expected a class of those above, got 2");
        assert_eq!(said("\t9728\t1", "\t0\t1"), "line 6: expected a length in bytes, got 0");
        assert_eq!(said("image\t0", "image\t2"), "line 6: expected a shard of those above, got 2");
        assert_eq!(said("\tffffffff", "\t+fffffff"), "line 6: expected a checksum, got +fffffff");
        assert_eq!(said("000001.tar", "../1.tar"), "line 5: expected a file's name without folders, got ../1.tar");
        assert_eq!(said("0.jpg\n", "0.jpg\t\n"), "line 6: expected the end of the line, got ");
        assert_eq!(said("class\tcat", "class\t"), "line 2: expected a class, got ");
        assert_eq!(said("class\tcat", "glass\tcat"), "line 2: expected classes, then shards, then images, got glass");
    }

    proptest! {
        /// Whatever is read is written the same way again.
        #[test]
        fn no_text_is_read_as_something_else(lines in "(imagenet18 index 1\n)?((class|shard|image|end)(\t([0-9]{1,3}|-|[0-9a-f]{8}|[a-z/.]{1,4}))*\n){0,6}") {
            let text = seal(&lines);
            if let Ok(index) = Index::parse(&text) {
                prop_assert_eq!(Index::parse(index.text().as_bytes()), Ok(index));
            }
        }

        #[test]
        fn any_index_comes_back(
            classes in proptest::collection::vec("[^\\p{Cc}]{1,8}", 1..4),
            images in proptest::collection::vec((any::<u32>(), 1_u32.., any::<u32>(), "[^\\p{Cc}]{1,12}", any::<bool>()), 0..9),
        ) {
            let shard = Shard { name: "a.tar".to_owned(), bytes: u64::MAX, modified: None, end: None };
            let mut index = Index::new(classes, vec![shard]);
            for (offset, length, any, name, known) in images {
                let image = PackedImage {
                    shard: 0,
                    offset: u64::from(offset),
                    length,
                    label: any % index.classes.len() as u32,
                    size: known.then(|| Size::new(any | 1, length)),
                    checksums: known.then_some(Checksums { image: any, before: offset }),
                };
                index.push(image, &name);
            }
            prop_assert_eq!(Index::parse(index.text().as_bytes()), Ok(index));
        }
    }
}
