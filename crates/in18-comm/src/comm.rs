//! What a run asks of the ranks.

use in18_tensor::{DType, MemoryRange};

use crate::error::CommError;

/// The ranks that train together, seen from one of them.
///
/// Every rank calls the same functions with the same lengths, in the same order. A function that has failed leaves the group
/// unusable.
pub trait Comm {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn world(&self) -> usize;

    /// Starts summing a range of values of a float type over all ranks, in place, and returns. Nobody may touch the range until
    /// [`finish`](Comm::finish) has returned.
    fn start_sum(&mut self, range: MemoryRange, dtype: DType) -> Result<(), CommError>;

    /// Waits for all sums that were started, or makes what their device does next wait for them.
    fn finish(&mut self) -> Result<(), CommError>;

    /// Looks at the sums that a device still works on, without waiting for them.
    ///
    /// # Errors
    /// If one has failed, or takes longer than it may.
    fn watch(&mut self) -> Result<(), CommError> {
        Ok(())
    }

    /// Waits until no device works on a sum any more, but not for ever: before whatever waits for the device itself.
    ///
    /// # Errors
    /// As for [`watch`](Comm::watch).
    fn settle(&mut self) -> Result<(), CommError> {
        Ok(())
    }

    /// Gives all ranks rank 0's bytes of a range, in place.
    fn broadcast(&mut self, range: MemoryRange) -> Result<(), CommError>;

    /// Sums values over all ranks, in place; every rank gets the same bits.
    fn sum(&mut self, values: &mut [f64]) -> Result<(), CommError>;

    /// Every rank's bytes, in the order of ranks; lengths may differ.
    fn gather(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, CommError>;

    /// Says what this rank is about to do, so that the others can tell if it never comes back.
    fn note(&mut self, doing: &str) -> Result<(), CommError>;
}
