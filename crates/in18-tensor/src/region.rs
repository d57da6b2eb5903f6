//! Regions: ranges of an arena of planned memory.

/// Regions start at multiples of this many bytes: a cache line, and the width of the widest vector.
pub const ALIGNMENT: usize = 64;

/// The next multiple of [`ALIGNMENT`] that is not below `bytes`.
pub const fn align_up(bytes: usize) -> usize {
    bytes.div_ceil(ALIGNMENT) * ALIGNMENT
}

/// Names a block of memory that a kernel provider owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArenaId(pub u32);

/// A range of bytes in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// The arena.
    pub arena: ArenaId,
    /// First byte.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
}

impl Region {
    /// The byte after the last.
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }

    /// Whether two regions share a byte.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.arena == other.arena && self.offset < other.end() && other.offset < self.end()
    }
}
