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
        self.offset.saturating_add(self.bytes)
    }

    /// Whether two regions share a byte. An empty region shares none.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.arena == other.arena && self.offset.max(other.offset) < self.end().min(other.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_means_a_shared_byte() {
        let region = |arena, offset, bytes| Region { arena: ArenaId(arena), offset, bytes };
        let here = region(0, 64, 64);
        assert!(here.overlaps(&here));
        assert!(here.overlaps(&region(0, 127, 1)));
        assert!(!here.overlaps(&region(0, 128, 64)));
        assert!(!here.overlaps(&region(0, 0, 64)));
        assert!(!here.overlaps(&region(0, 80, 0)));
        assert!(!here.overlaps(&region(1, 64, 64)));
    }
}
