//! What a training run needs of the ranks.

use in18_tensor::{DType, MemoryRange};

use crate::error::CommError;

/// The ranks that train together, seen from one of them.
///
/// Every rank must call the same functions with the same lengths, in the same order. After a
/// function has failed, the group is unusable.
pub trait Comm {
    /// This process's rank, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn world(&self) -> usize;

    /// Starts to sum a range of values of a float type over all ranks, in place, and returns.
    /// Nobody may touch the range until [`finish`](Comm::finish) has returned.
    fn start_sum(&mut self, range: MemoryRange, dtype: DType) -> Result<(), CommError>;

    /// Waits for all started sums. On a device that computes beside this thread, it instead makes
    /// the device's next operations wait for them.
    fn finish(&mut self) -> Result<(), CommError>;

    /// Checks the sums that a device still works on, without waiting for them.
    ///
    /// # Errors
    /// If a sum has failed, or takes longer than its limit.
    fn watch(&mut self) -> Result<(), CommError> {
        Ok(())
    }

    /// Waits, with a time limit, until no device works on a sum. Call it before anything that waits
    /// for the device itself.
    ///
    /// # Errors
    /// As for [`watch`](Comm::watch).
    fn settle(&mut self) -> Result<(), CommError> {
        Ok(())
    }

    /// Copies rank 0's bytes of a range to all ranks, in place.
    fn broadcast(&mut self, range: MemoryRange) -> Result<(), CommError>;

    /// Sums values over all ranks, in place. Every rank gets the same bits.
    fn sum(&mut self, values: &mut [f64]) -> Result<(), CommError>;

    /// The bytes of every rank, in the order of ranks. Their lengths may differ.
    fn gather(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, CommError>;

    /// Publishes what this rank is about to do, for the others' messages if it hangs.
    fn note(&mut self, doing: &str) -> Result<(), CommError>;
}
