//! Blocks of memory: aligned, zeroed, and on huge pages where the system grants them.

use std::ptr;

use in18_kernels::KernelError;
use in18_tensor::Region;

use crate::safe::PROVIDER;

/// Large blocks start on a huge page, so that a step that walks over hundreds of megabytes has
/// fewer TLB misses.
const HUGE_PAGE: usize = 2 << 20;

/// A block of memory that this value owns. It is mapped from the system, so its zeros cost nothing
/// until they are touched.
#[derive(Debug)]
pub struct Arena {
    start: *mut u8,
    bytes: usize,
    /// The whole mapping. It is larger than the block if the block had to be aligned.
    mapped: (*mut libc::c_void, usize),
}

impl Arena {
    /// A block of `bytes` zeros.
    pub fn new(bytes: usize) -> Result<Self, KernelError> {
        let out_of_memory = || KernelError::OutOfMemory { provider: PROVIDER, bytes };
        let slack = if bytes >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        let length = bytes.max(1).checked_add(slack).ok_or_else(out_of_memory)?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the system's choice touches nobody's memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(out_of_memory());
        }
        let mut start = base.cast::<u8>();
        if slack > 0 {
            // SAFETY: the offset is less than the slack that was mapped for it.
            start = unsafe { start.add(start.align_offset(HUGE_PAGE)) };
            // Advise before the first touch, because the first touch decides the kind of page.
            // SAFETY: the range was just mapped; the advice changes no content, and may be refused.
            unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        Ok(Arena { start, bytes: bytes.max(1), mapped: (base, length) })
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of the arena's first byte, valid as long as the arena lives. The caller must
    /// keep reads and writes through it within bounds and free of races.
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// The address of a region, which must lie inside the arena.
    pub fn address(&self, region: &Region) -> Result<*mut u8, KernelError> {
        match region.offset.checked_add(region.bytes) {
            // SAFETY: the offset is at most the block's length, as just compared.
            Some(end) if end <= self.bytes() => Ok(unsafe { self.start.add(region.offset) }),
            _ => Err(KernelError::OutOfBounds { region: *region, size: self.bytes() }),
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, and unmapped only here.
        unsafe { libc::munmap(self.mapped.0, self.mapped.1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_zeros_and_aligned() {
        for bytes in [0, 1, 5000, HUGE_PAGE, HUGE_PAGE + 1] {
            let arena = Arena::new(bytes).unwrap();
            assert_eq!(arena.bytes(), bytes.max(1));
            assert!((arena.start() as usize).is_multiple_of(if bytes >= HUGE_PAGE { HUGE_PAGE } else { 4096 }));
            // SAFETY: these are the block's own bytes.
            let all = unsafe { std::slice::from_raw_parts(arena.start(), arena.bytes()) };
            assert!(all.iter().all(|&byte| byte == 0));
        }
        assert!(matches!(Arena::new(usize::MAX), Err(KernelError::OutOfMemory { .. })));
        assert!(matches!(Arena::new(1 << 60), Err(KernelError::OutOfMemory { .. })));
    }
}
