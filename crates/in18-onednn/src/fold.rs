//! Normalisations that an evaluation folds into the convolution before them.

use in18_tensor::Region;

use crate::threads::Shared;

/// A normalisation with fixed statistics that follows a convolution. Each region holds one fp32
/// value per output channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fold {
    /// Added to the variance.
    pub epsilon: f32,
    /// Scale.
    pub gamma: Region,
    /// Shift.
    pub beta: Region,
    /// The mean to subtract.
    pub mean: Region,
    /// The variance; its root is the divisor.
    pub variance: Region,
}

/// The addresses of a [`Fold`].
#[derive(Clone, Copy)]
pub struct Statistics {
    pub epsilon: f32,
    pub gamma: Shared<f32>,
    pub beta: Shared<f32>,
    pub mean: Shared<f32>,
    pub variance: Shared<f32>,
}

impl Statistics {
    /// The factor for an output channel's weights, and the channel's bias.
    ///
    /// # Safety
    /// The channel must exist.
    pub unsafe fn affine(&self, output: usize) -> (f32, f32) {
        // SAFETY: by the caller's promise.
        unsafe {
            let scale = *self.gamma.at(output) / (*self.variance.at(output) + self.epsilon).sqrt();
            (scale, *self.beta.at(output) - *self.mean.at(output) * scale)
        }
    }
}
