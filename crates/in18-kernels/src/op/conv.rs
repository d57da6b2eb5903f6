//! Two-dimensional convolution without bias (cross-correlation, as in every framework).

use super::check::{Check, Checker, NamedOperand};
use super::operation;
use crate::KernelError;

/// A square sliding window: its side, its step and the zeros around the image, all in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Side.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros (for pooling: nothing) on each side of the image.
    pub padding: usize,
}

impl Window {
    /// How many places the window takes along an extent:
    /// `⌊(extent + 2·padding − kernel) / stride⌋ + 1`, or 0 if the padded extent is shorter than
    /// the window.
    pub fn output(&self, extent: usize) -> usize {
        match (extent + 2 * self.padding).checked_sub(self.kernel) {
            Some(room) => room / self.stride + 1,
            None => 0,
        }
    }
}

operation! {
    /// `dst[n,o,y,x] = Σ src[n,i,sy,sx] · weight[o,i,ky,kx]`, summed over i, ky and kx, with
    /// `sy = y·stride + ky − padding` and `sx = x·stride + kx − padding`.
    Conv {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
        }
        reads {
            /// (N, I, H, W) activation.
            src,
            /// (O, I, K, K) fp32.
            weight,
        }
        writes {
            /// (N, O, H', W') activation.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`Conv`] with respect to its input.
    ConvBackwardData {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
        }
        reads {
            /// (O, I, K, K) fp32.
            weight,
            /// (N, O, H', W') activation.
            ddst,
        }
        writes {
            /// (N, I, H, W) activation.
            dsrc,
        }
    }
}

operation! {
    /// The gradient of [`Conv`] with respect to its weights, summed over the batch.
    ConvBackwardWeight {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
        }
        reads {
            /// (N, I, H, W) activation.
            src,
            /// (N, O, H', W') activation.
            ddst,
        }
        writes {
            /// (O, I, K, K) fp32.
            dweight,
        }
    }
}

impl Check for Conv {
    fn check(&self) -> Result<(), KernelError> {
        check("Conv", self.window, ("src", &self.src), ("weight", &self.weight), ("dst", &self.dst))
    }
}

impl Check for ConvBackwardData {
    fn check(&self) -> Result<(), KernelError> {
        check("ConvBackwardData", self.window, ("dsrc", &self.dsrc), ("weight", &self.weight), ("ddst", &self.ddst))
    }
}

impl Check for ConvBackwardWeight {
    fn check(&self) -> Result<(), KernelError> {
        check("ConvBackwardWeight", self.window, ("src", &self.src), ("dweight", &self.dweight), ("ddst", &self.ddst))
    }
}

/// Checks a convolution's operands. A gradient stands in the place of the operand whose gradient it
/// is.
pub(super) fn check(
    operation: &'static str,
    window: Window,
    (src_name, src): NamedOperand<'_>,
    (weight_name, weight): NamedOperand<'_>,
    (dst_name, dst): NamedOperand<'_>,
) -> Result<(), KernelError> {
    let checker = Checker::new(operation, src);
    checker.window(window)?;
    let [n, inputs, h, w] = checker.source(src_name, src)?;
    let [_, outputs, _, _] = checker.source(dst_name, dst)?;
    checker.parameter(weight_name, weight, &[outputs, inputs, window.kernel, window.kernel])?;
    checker.activation(dst_name, dst, &[n, outputs, window.output(h), window.output(w)])
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn output_extents() {
        let stem = Window { kernel: 7, stride: 2, padding: 3 };
        assert_eq!(stem.output(224), 112);
        assert_eq!(stem.output(1), 1);
        let pool = Window { kernel: 3, stride: 2, padding: 1 };
        assert_eq!(pool.output(112), 56);
        assert_eq!(pool.output(113), 57);
        assert_eq!(Window { kernel: 3, stride: 1, padding: 0 }.output(2), 0);
    }
}
