//! Sums and ReLU on activations of one shape. They join the two paths of a residual block.
//!
//! An operation's output may lie over any one of its inputs.

use super::check::{Check, Checker, Named, named};
use super::operation;
use crate::KernelError;

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
    /// The gradient of [`AddRelu`] with respect to either addend:
    /// `dsrc = ddst where dst > 0, else 0`.
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
    /// [`Add`] and then [`ReluBackward`] in one pass:
    /// `dsrc = ddst_a + ddst_b where dst > 0, else 0`.
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

impl Check for Add {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("Add", named!(self: a, b, dst))
    }
}

impl Check for AddRelu {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("AddRelu", named!(self: a, b, dst))
    }
}

impl Check for ReluBackward {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("ReluBackward", named!(self: dst, ddst, dsrc))
    }
}

impl Check for SumReluBackward {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("SumReluBackward", named!(self: dst, ddst_a, ddst_b, dsrc))
    }
}

/// Checks that all operands have the shape of the first.
fn one_shape(operation: &'static str, operands: Named<'_>) -> Result<(), KernelError> {
    let (name, first) = operands[0];
    let checker = Checker::new(operation, first);
    let shape = checker.source(name, first)?;
    checker.activations(operands, &shape)
}
