//! BlurPool: the low-pass filter before pixels are dropped (Zhang, *Making Convolutional Networks
//! Shift-Invariant Again*, 2019).

use super::check::{Check, Checker};
use super::{Window, operation};
use crate::KernelError;

/// The filter along one axis. The filter of an image is the product of two of them: sixteenths of
/// `[1 2 1] ⊗ [1 2 1]`.
pub const BLUR_TAPS: [f32; 3] = [0.25, 0.5, 0.25];

/// The largest stride of [`BlurPool`].
const LARGEST_STRIDE: usize = 2;

operation! {
    /// Filters each channel with [`BLUR_TAPS`] along both axes. The image is padded with one zero
    /// on every side.
    BlurPool {
        attributes {
            /// The step between the pixels that are kept: 1 or 2.
            stride: usize,
        }
        reads {
            /// (N, C, H, W) activation.
            src,
        }
        writes {
            /// (N, C, ⌈H / stride⌉, ⌈W / stride⌉) activation.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`BlurPool`].
    BlurPoolBackward {
        attributes {
            /// The step between the pixels that were kept: 1 or 2.
            stride: usize,
        }
        reads {
            /// (N, C, ⌈H / stride⌉, ⌈W / stride⌉) activation.
            ddst,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
        }
    }
}

/// The filter as a sliding window.
pub fn blur_window(stride: usize) -> Window {
    Window { kernel: BLUR_TAPS.len(), stride, padding: 1 }
}

impl Check for BlurPool {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BlurPool", &self.src);
        checker.stride(self.stride, LARGEST_STRIDE)?;
        let [n, c, h, w] = checker.source("src", &self.src)?;
        let window = blur_window(self.stride);
        checker.activation("dst", &self.dst, &[n, c, window.output(h), window.output(w)])
    }
}

impl Check for BlurPoolBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BlurPoolBackward", &self.ddst);
        checker.stride(self.stride, LARGEST_STRIDE)?;
        let [n, c, h, w] = checker.source("dsrc", &self.dsrc)?;
        let window = blur_window(self.stride);
        checker.activation("ddst", &self.ddst, &[n, c, window.output(h), window.output(w)])
    }
}
