//! Pixels to the network's input.

use in18_tensor::{DType, Format};

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

/// Mean of each channel (red, green, blue) of ImageNet's training pixels, in grey levels.
pub const PIXEL_MEAN: [f32; 3] = [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0];

/// Standard deviation of each channel of ImageNet's training pixels, in grey levels.
pub const PIXEL_DEVIATION: [f32; 3] = [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0];

operation! {
    /// `dst = (pixels − mean) / deviation`, channel by channel.
    Normalize {
        reads {
            /// (N, 3, H, W) u8, channels last.
            pixels,
        }
        writes {
            /// (N, 3, H, W) activation.
            dst,
        }
    }
}

impl Check for Normalize {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("Normalize", &self.dst);
        let [n, _, h, w] = checker.source("dst", &self.dst)?;
        let shape = [n, PIXEL_MEAN.len(), h, w];
        checker.activation("dst", &self.dst, &shape)?;
        checker.tensor("pixels", &self.pixels, &shape, DType::U8, Format::ChannelsLast)
    }
}
