//! Average pooling: each square of 2×2 pixels becomes its mean, which halves an image.

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

/// The side of the squares of [`AvgPool`], in pixels, and the step between them.
pub const AVG_POOL_SIDE: usize = 2;

operation! {
    /// The mean of each square of [`AVG_POOL_SIDE`] pixels. The squares begin at the first row and
    /// column. If the image has an odd number of rows or columns, the last squares hold fewer
    /// pixels, and the mean is over these (`ceil_mode`, without padding in the count).
    AvgPool {
        reads {
            /// (N, C, H, W) activation.
            src,
        }
        writes {
            /// (N, C, ⌈H / 2⌉, ⌈W / 2⌉) activation.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`AvgPool`]: each pixel of a square gets an equal part of the gradient of the
    /// square's mean.
    AvgPoolBackward {
        reads {
            /// (N, C, ⌈H / 2⌉, ⌈W / 2⌉) activation.
            ddst,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
        }
    }
}

/// How many squares of [`AvgPool`] lie along an extent, the last one perhaps cut off.
pub fn avg_pool_output(extent: usize) -> usize {
    extent.div_ceil(AVG_POOL_SIDE)
}

impl Check for AvgPool {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("AvgPool", &self.src);
        let [n, c, h, w] = checker.source("src", &self.src)?;
        checker.activation("dst", &self.dst, &[n, c, avg_pool_output(h), avg_pool_output(w)])
    }
}

impl Check for AvgPoolBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("AvgPoolBackward", &self.ddst);
        let [n, c, h, w] = checker.source("dsrc", &self.dsrc)?;
        checker.activation("ddst", &self.ddst, &[n, c, avg_pool_output(h), avg_pool_output(w)])
    }
}
