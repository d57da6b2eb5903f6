//! Pooling: the maximum after the stem, and the global mean that lets the network take any image size.

use super::{Window, operation};

operation! {
    /// The maximum over each place of a window; padding never wins.
    MaxPool {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
        }
        reads {
            /// (N, C, H, W) activation.
            src,
        }
        writes {
            /// (N, C, H', W') activation.
            dst,
            /// The provider's own bytes, for the backward half: where each maximum was.
            workspace,
        }
    }
}

operation! {
    /// The gradient of [`MaxPool`]: each output's gradient goes to the first place (row-major) of its maximum.
    MaxPoolBackward {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
        }
        reads {
            /// (N, C, H', W') activation.
            ddst,
            /// The provider's own bytes.
            workspace,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
        }
    }
}

operation! {
    /// The mean over (H, W).
    GlobalAvgPool {
        reads {
            /// (N, C, H, W) activation.
            src,
        }
        writes {
            /// (N, C) fp32.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`GlobalAvgPool`].
    GlobalAvgPoolBackward {
        reads {
            /// (N, C) fp32.
            ddst,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
        }
    }
}
