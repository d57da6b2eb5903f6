//! Pooling: the maximum after the stem, and the global mean that lets the network take any image
//! size.

use super::check::{Check, Checker};
use super::{Window, operation};
use crate::KernelError;

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
    /// The gradient of [`MaxPool`]: each output's gradient goes to the first place (row-major) of
    /// its maximum.
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

impl Check for MaxPool {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("MaxPool", &self.src);
        checker.window(self.window)?;
        let [n, c, h, w] = checker.source("src", &self.src)?;
        checker.activation("dst", &self.dst, &[n, c, self.window.output(h), self.window.output(w)])
    }
}

impl Check for MaxPoolBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("MaxPoolBackward", &self.ddst);
        checker.window(self.window)?;
        let [n, c, h, w] = checker.source("dsrc", &self.dsrc)?;
        checker.activation("ddst", &self.ddst, &[n, c, self.window.output(h), self.window.output(w)])
    }
}

impl Check for GlobalAvgPool {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("GlobalAvgPool", &self.src);
        let [n, c, _, _] = checker.source("src", &self.src)?;
        checker.parameter("dst", &self.dst, &[n, c])
    }
}

impl Check for GlobalAvgPoolBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("GlobalAvgPoolBackward", &self.dsrc);
        let [n, c, _, _] = checker.source("dsrc", &self.dsrc)?;
        checker.parameter("ddst", &self.ddst, &[n, c])
    }
}
