//! Pixels to the network's input.

use super::operation;

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
