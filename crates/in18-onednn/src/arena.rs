//! Blocks of memory: aligned, zeroed, on huge pages where the system grants them.

use std::alloc::{Layout, alloc, dealloc};

use in18_kernels::KernelError;
use in18_tensor::Region;

use crate::safe::PROVIDER;

/// Large blocks start on a huge page, so that a step's walk over hundreds of megabytes misses the TLB less.
const HUGE_PAGE: usize = 2 << 20;
const PAGE: usize = 4096;

/// A block of memory that this value owns.
#[derive(Debug)]
pub struct Arena {
    start: *mut u8,
    layout: Layout,
}

impl Arena {
    /// A block of `bytes` zeros.
    pub fn new(bytes: usize) -> Result<Self, KernelError> {
        let out_of_memory = || KernelError::OutOfMemory { provider: PROVIDER, bytes };
        let alignment = if bytes >= HUGE_PAGE { HUGE_PAGE } else { PAGE };
        let layout = Layout::from_size_align(bytes.max(1), alignment).map_err(|_| out_of_memory())?;
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            return Err(out_of_memory());
        }
        if bytes >= HUGE_PAGE {
            // Before the first touch, which decides what kind of page it is.
            // SAFETY: the range was just allocated; the advice changes no content, and may be refused.
            unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        // SAFETY: the block was just allocated with this size.
        unsafe { start.write_bytes(0, layout.size()) };
        Ok(Arena { start, layout })
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// The address of its first byte, for as long as the arena lives. Reading and writing through it is up to the
    /// caller to keep within bounds and free of races.
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// The address of a region, which must lie inside.
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
        // SAFETY: allocated in `new` with this layout, and freed once.
        unsafe { dealloc(self.start, self.layout) };
    }
}
