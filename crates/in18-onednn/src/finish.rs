//! Operations on the results of a convolution before they are stored.

use crate::simd::{Stored, Vector};

/// The operations fused to a convolution's end, beside a bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// Whether results are added to the values at their destination.
    pub adds: bool,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// The operations at the end of a convolution, for a block of channels.
#[derive(Clone, Copy)]
pub struct Finish<V> {
    /// Added to the results, one value per channel.
    pub bias: V,
    /// The other operations.
    pub end: End,
}

impl<V: Vector> Finish<V> {
    /// The value to store for a result at `at`.
    ///
    /// # Safety
    /// `at` must be valid, and the conditions of [`Vector`] hold.
    #[inline(always)]
    pub unsafe fn apply<E: Stored>(&self, value: V, at: *const E) -> V {
        // SAFETY: by the caller's promise.
        unsafe {
            let value = value.add(self.bias);
            let value = if self.end.adds { value.add(E::load(at)) } else { value };
            if self.end.relu { value.relu() } else { value }
        }
    }
}
