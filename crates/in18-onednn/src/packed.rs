//! Convolutions of any shape and type as products of packed matrices, forward and backward. They
//! compute the shapes that neither our special kernels nor oneDNN's vectorised implementations
//! cover, and the shapes at which these are [slower](is_faster) than the products.
//!
//! A convolution and the gradient of its input are sums over taps of the kernel and channels. For
//! each result pixel, the numbers that meet it are [gathered](gather) into a row, and the rows are
//! multiplied with [packed weights](weights). The gradient of the weights multiplies the transposed
//! rows with the gradients of the results. On small images, where much of a row would be padding,
//! pixels that meet the same taps are multiplied separately, without the padding. Arithmetic is
//! fp32, for bf16 activations too.
//!
//! Threads share result pixels and output channels; for the weights' gradient they share the
//! channels of both sides. The order of each sum does not depend on the number of threads.

mod convolution;
mod gather;
mod gradient;
pub mod weights;

use in18_kernels::KernelError;
use in18_kernels::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};
use in18_tensor::{DType, Tensor};

use self::gather::{Phase, Plane};
pub use self::weights::Direction;
use crate::context::Context;
use crate::finish::End;
use crate::fold::Fold;
use crate::isa::Level;
use crate::safe::PROVIDER;
use crate::step::Step;

/// The name of these steps.
const NAME: &str = "own:packed";

// The bounds below were measured with the shapes of ResNet-18 and ResNet-50 at 32 to 128 px and
// batches of 2 to 64, on two cores of an Intel Xeon of model 207. For AVX2, the same CPU was
// limited to AVX2.

/// From this number of pixels on, weights are read often enough to be worth packing: for fp32
/// activations, for bf16 (oneDNN's copies of weights are then half as large), and for kernels most
/// of whose taps are padding.
const LEAST_PIXELS: usize = 128;
const LEAST_PIXELS_BF16: usize = 256;
const LEAST_PIXELS_PADDED: usize = 64;
const PADDED: f32 = 0.5;

/// The share of a kernel's taps inside of images from which on oneDNN is as fast, although oneDNN
/// multiplies padding too.
const MOST_INSIDE_AVX512: f32 = 0.85;
/// The same share where bf16 pairs are multiplied twice as fast as fp32 numbers, which this code
/// uses. It was not measured. It is half of the share above, less what the other work takes.
const MOST_INSIDE_FAST_PAIRS: f32 = 0.4;

/// Whether these products are faster than oneDNN's vectorised code for a convolution, or for the
/// gradient of a convolution's input.
pub fn is_faster(window: Window, direction: Direction, [src, dst]: [&Tensor; 2], context: &Context) -> bool {
    let planes = [src, dst].map(|tensor| Plane::new(tensor, context.layout));
    if planes.iter().any(|plane| !plane.is_blocked) {
        return false;
    }
    let [src_plane, dst_plane] = planes;
    let pixels = src_plane.images * src_plane.pixels().min(dst_plane.pixels());
    let most_inside = match (src.dtype, context.isa.level()) {
        (DType::Bf16, _) if context.fast_pairs => MOST_INSIDE_FAST_PAIRS,
        (DType::Bf16, _) => 1.0,
        // oneDNN's 1×1 convolutions of fp32 gather nothing, except for shapes that oneDNN has no
        // special code for.
        _ if window.kernel == 1 => return is_uneven(window, larger(&src_plane, &dst_plane)),
        (_, Level::Avx2) => 1.0,
        _ => MOST_INSIDE_AVX512,
    };
    let inside = convolution::inside(Shapes { window, direction }, src_plane, dst_plane);
    let least_pixels = match src.dtype {
        _ if inside <= PADDED => LEAST_PIXELS_PADDED,
        DType::Bf16 => LEAST_PIXELS_BF16,
        _ => LEAST_PIXELS,
    };
    inside <= most_inside && pixels >= least_pixels
}

/// Whether a stride leaves over rows or columns of the larger side of a convolution. If so, oneDNN
/// uses its general code instead of its code for 1×1 kernels, and takes 2 to 5 times as long.
pub fn is_uneven(window: Window, [height, width]: [usize; 2]) -> bool {
    !height.is_multiple_of(window.stride) || !width.is_multiple_of(window.stride)
}

/// Whether these products are faster than oneDNN's vectorised code for the gradient of a
/// convolution's weights. With AVX2 they took 0.6 to 0.9 of oneDNN's time for kernels of several
/// taps (an Intel Xeon limited to AVX2, one thread, ResNet-50 at 128 px). If bf16 pairs are no
/// faster than fp32 numbers, a step took 1,248 ms instead of 1,461 ms (the same CPU, ResNet-50 at
/// 128 px, batch 32).
pub fn is_faster_backward_weight(op: &ConvBackwardWeight, context: &Context) -> bool {
    let has_slow_pairs = op.src.dtype == DType::Bf16 && !context.fast_pairs;
    let is_slow = op.window.kernel > 1 || is_uneven(op.window, [op.src.shape[2], op.src.shape[3]]);
    context.layout.is_blocked(op.src.shape[1]) && (has_slow_pairs || context.isa.level() == Level::Avx2 && is_slow)
}

/// The height and width of the larger side of a convolution.
fn larger(a: &Plane, b: &Plane) -> [usize; 2] {
    [a.height.max(b.height), a.width.max(b.width)]
}

/// The step that computes a convolution.
pub fn forward(op: &Conv, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let shapes = Shapes { window: op.window, direction: Direction::Forward };
    convolution::compile(shapes, [&op.src, &op.weight, &op.dst], None, End::default(), context)
}

/// The step that computes the gradient of a convolution's input.
pub fn backward_data(op: &ConvBackwardData, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let shapes = Shapes { window: op.window, direction: Direction::BackwardData };
    convolution::compile(shapes, [&op.ddst, &op.weight, &op.dsrc], None, End::default(), context)
}

/// The step that computes a convolution in an evaluation, with the operations fused to it.
pub fn evaluation(
    window: Window,
    tensors: [&Tensor; 3],
    fold: Fold,
    end: End,
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    convolution::compile(Shapes { window, direction: Direction::Forward }, tensors, Some(fold), end, context)
}

/// The step that computes the gradient of a convolution's weights.
pub fn backward_weight(op: &ConvBackwardWeight, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    gradient::compile(op, context)
}

/// The window and direction of a convolution.
#[derive(Clone, Copy)]
struct Shapes {
    window: Window,
    direction: Direction,
}

impl Shapes {
    /// The phases of the results.
    fn phases(self, dst: &Plane) -> Vec<Phase> {
        match self.direction {
            Direction::Forward => vec![Phase::forward(self.window, dst)],
            Direction::BackwardData => Phase::backward_data(self.window, dst),
        }
    }
}

/// The plane of an activation, whose region is compared with its shape.
fn plane(tensor: &Tensor, context: &Context) -> Result<Plane, KernelError> {
    context.operand(&tensor.region)?;
    let expected = context.layout.activation_bytes(tensor.shape, tensor.dtype);
    if tensor.region.bytes < expected {
        let what = "an operand of a convolution, in bytes";
        return Err(KernelError::Length { what, expected, got: tensor.region.bytes });
    }
    Ok(Plane::new(tensor, context.layout))
}

fn unsupported(dtype: DType) -> KernelError {
    KernelError::Unsupported {
        provider: PROVIDER,
        what: format!("convolutions of {dtype}"),
        remedy: "this is an error of the caller",
    }
}
