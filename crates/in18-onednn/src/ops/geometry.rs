//! A sliding window in oneDNN's terms.

use in18_kernels::op::Window;
use in18_tensor::Tensor;

use crate::safe::dims;
use crate::sys;

/// oneDNN's parameters of a window: two extents each, for the two spatial axes.
pub struct Geometry {
    /// The step between windows.
    pub strides: sys::dims,
    /// The side of the window.
    pub kernel: sys::dims,
    /// Extra distance between the elements of a window: none.
    pub dilation: sys::dims,
    /// Padding before the image.
    pub padding: sys::dims,
    /// Padding after the image, exactly as far as the last window reaches. This is less than the
    /// padding before the image if the stride leaves pixels over.
    pub padding_end: sys::dims,
}

impl Geometry {
    /// A window that slides over `src`, (N, C, H, W), and makes `dst`, (N, C', H', W').
    pub fn new(window: Window, src: &Tensor, dst: &Tensor) -> Self {
        let mut padding_end = dims(&[0; 2]);
        for (axis, end) in padding_end.iter_mut().take(2).enumerate() {
            let reach = (dst.shape[2 + axis] - 1) * window.stride + window.kernel;
            *end = reach as sys::dim - (src.shape[2 + axis] + window.padding) as sys::dim;
        }
        Geometry {
            strides: dims(&[window.stride; 2]),
            kernel: dims(&[window.kernel; 2]),
            dilation: dims(&[0; 2]),
            padding: dims(&[window.padding; 2]),
            padding_end,
        }
    }
}
