//! What happens to the results of a convolution before they are stored.

use crate::simd::{Stored, Vector};

/// What is fused to a convolution's end, beside a bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// Whether results are added to what lies in their place.
    pub adds: bool,
    /// Whether negative ones become 0.
    pub relu: bool,
}

/// The end of a block of channels.
#[derive(Clone, Copy)]
pub struct Finish<V> {
    /// Added, a value a channel.
    pub bias: V,
    /// The rest.
    pub end: End,
}

impl<V: Vector> Finish<V> {
    /// What to store in the place of a result.
    ///
    /// # Safety
    /// `at` must be valid; as [`Vector`].
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
