//! Sums and ReLU on activations of one shape: what joins the two paths of a residual block.
//!
//! The output of these may lie over any one of their inputs.

use super::operation;

operation! {
    /// `dst = a + b`: the sum of two gradients of one activation.
    Add {
        reads {
            /// (N, C, H, W) activation.
            a,
            /// (N, C, H, W) activation.
            b,
        }
        writes {
            /// (N, C, H, W) activation.
            dst,
        }
    }
}

operation! {
    /// `dst = max(a + b, 0)`: the end of a residual block.
    AddRelu {
        reads {
            /// (N, C, H, W) activation.
            a,
            /// (N, C, H, W) activation.
            b,
        }
        writes {
            /// (N, C, H, W) activation.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`AddRelu`] with respect to either addend: `dsrc = ddst where dst > 0, else 0`.
    ReluBackward {
        reads {
            /// (N, C, H, W) activation: the result of the forward half.
            dst,
            /// (N, C, H, W) activation.
            ddst,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
        }
    }
}

operation! {
    /// [`Add`] and then [`ReluBackward`] in one pass: `dsrc = ddst_a + ddst_b where dst > 0, else 0`.
    SumReluBackward {
        reads {
            /// (N, C, H, W) activation: the result of the forward half.
            dst,
            /// (N, C, H, W) activation.
            ddst_a,
            /// (N, C, H, W) activation.
            ddst_b,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
        }
    }
}
