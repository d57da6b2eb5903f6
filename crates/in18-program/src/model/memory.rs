//! How much memory a network and its programs take, and whether that much is free.

use super::{Mode, Model, Size};
use crate::error::ProgramError;

impl Model {
    /// Says how many processes that do the same work share this machine's memory. Checks then leave
    /// each process its part. A GPU's memory is not divided.
    pub fn share_memory(&mut self, processes: usize) {
        self.sharers = processes.max(1);
    }

    /// Bytes that a program would work in, beside the [state](Self::state_bytes). Prepares nothing.
    pub fn work_bytes(&self, mode: Mode, size: Size) -> Result<usize, ProgramError> {
        Ok(self.lower(mode, size)?.work_bytes)
    }

    /// Floating-point operations of a program, as [`Op::flops`](in18_kernels::Op::flops) counts
    /// them. Prepares nothing.
    pub fn flops(&self, mode: Mode, size: Size) -> Result<u64, ProgramError> {
        Ok(self.lower(mode, size)?.ops.iter().map(|op| op.flops()).sum())
    }

    /// Bytes of all slots and of the gradients, including the copy of the gradients that is
    /// exchanged.
    pub fn state_bytes(&self) -> usize {
        let exchanged = self.exchanged.map_or(0, |_| self.exchanged_bytes());
        self.slots.bytes() + self.tables.parameters.bytes() + exchanged
    }

    /// Checks that there is enough memory for a program.
    ///
    /// # Errors
    /// [`ProgramError::TooLarge`], with the largest batch that fits.
    pub fn check_fits(&self, mode: Mode, size: Size) -> Result<(), ProgramError> {
        self.check_memory(mode, size, self.work_bytes(mode, size)?)
    }

    pub(super) fn check_memory(&self, mode: Mode, size: Size, needed: usize) -> Result<(), ProgramError> {
        let Some(free) = self.kernels.available_bytes() else { return Ok(()) };
        // A larger work arena replaces the present one, so the bytes that the present one has taken
        // are available again. The system gives an arena's pages only when they are first used.
        let sharers = if self.kernels.is_apart() { 1 } else { self.sharers };
        let available = free / sharers + self.taken;
        if needed <= available {
            return Ok(());
        }
        let fits = self.largest_batch(mode, size, available);
        Err(ProgramError::TooLarge { size, needed, available, fits })
    }

    /// The largest batch whose program works in at most `bytes`; 0 if none does.
    fn largest_batch(&self, mode: Mode, size: Size, bytes: usize) -> usize {
        let fits = |batch| self.work_bytes(mode, Size { batch, ..size }).is_ok_and(|needed| needed <= bytes);
        let (mut least, mut most) = (0, size.batch);
        while most - least > 1 {
            let middle = least + (most - least) / 2;
            if fits(middle) { least = middle } else { most = middle }
        }
        least
    }
}
