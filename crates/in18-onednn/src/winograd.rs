//! 3×3 convolutions of stride 1 with a quarter of the multiplications of a direct convolution:
//! F(4×4, 3×3) of Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016.
//!
//! Tiles of 6×6 input pixels, which overlap by two, and kernels are transformed to 36 points each.
//! For each point the sum over input channels is a matrix product of tiles and kernels. The
//! products are transformed back to 4×4 output pixels. The gradient of the input is the same
//! convolution with the kernel rotated by 180°. The gradient of the weights sums over the tiles.
//!
//! Arithmetic is fp32, for bf16 activations too, because transformed values would lose too much in
//! bf16. (Kernels are rounded to bf16 first, as in every convolution.) If products of bf16 pairs
//! are twice as fast as products of fp32 numbers, this method therefore takes at best half the time
//! of a direct convolution. Evaluations of bf16 activations compute with 16-bit fixed-point
//! [`numbers`], which are as fast as bf16 and lose less than a rounding to bf16. A CPU's matrix
//! unit for bf16 (AMX) would be faster still, but oneDNN's code for it does not read activations in
//! blocks of channels.
//!
//! Threads share tiles and output channels; for the weights' gradient they share the channels of
//! both sides. No thread waits for what another transforms. The order of each sum does not depend
//! on the number of threads.

mod convolution;
mod gradient;
mod numbers;
mod tiles;
mod transform;
pub mod weights;

use in18_kernels::KernelError;
use in18_kernels::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};
use in18_tensor::{DType, Tensor};

use self::convolution::Kernels;
use self::tiles::Problem;
pub use self::weights::Form;
use crate::context::Context;
use crate::finish::End;
use crate::fold::Fold;
use crate::isa::Level;
use crate::step::Step;

const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };

/// With fewer tiles, the transforms of the kernels are not worthwhile, or in evaluations the memory
/// for them in fp32.
const LEAST_TILES: usize = 32;
const LEAST_TILES_EVALUATION: usize = 64;

/// The largest ratio of the pixels that tiles cover to the pixels that there are. Beyond it, a
/// direct convolution with fast products of bf16 pairs is faster. A direct convolution in fp32
/// hardly is.
const MOST_COVER: f32 = 1.5;
const MOST_COVER_FIXED: f32 = 2.5;
const MOST_COVER_F32: f32 = 3.0;

/// The step that computes a convolution, if this code is made for its shapes.
pub fn forward(op: &Conv, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    training(op.window, [&op.src, &op.weight, &op.dst], false, context)
}

/// Like [`forward`], for the gradient of a convolution's input.
pub fn backward_data(op: &ConvBackwardData, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    training(op.window, [&op.ddst, &op.weight, &op.dsrc], true, context)
}

fn training(
    window: Window,
    [src, weight, dst]: [&Tensor; 3],
    turned: bool,
    context: &mut Context,
) -> Result<Option<Box<dyn Step>>, KernelError> {
    let Some(form) = form(src.dtype, false) else { return Ok(None) };
    let Some(problem) = problem(window, [src, dst], form, context)? else { return Ok(None) };
    check_weights(weight)?;
    let kernels = Kernels::Fresh { weights: weight.region, turned };
    Ok(Some(convolution::compile(problem, [src, dst], kernels, End::default(), form, context)?))
}

/// Like [`forward`], for a convolution in an evaluation, with the operations fused to it.
pub fn evaluation(
    window: Window,
    [src, weight, dst]: [&Tensor; 3],
    fold: Fold,
    end: End,
    context: &mut Context,
) -> Result<Option<Box<dyn Step>>, KernelError> {
    let Some(form) = form(src.dtype, context.fixed_point && context.isa.level() == Level::Avx512Bf16) else {
        return Ok(None);
    };
    let least_tiles = if form == Form::Bf16Fixed { LEAST_TILES } else { LEAST_TILES_EVALUATION };
    let problem = problem(window, [src, dst], form, context)?.filter(|problem| problem.tiles() >= least_tiles);
    let Some(problem) = problem else { return Ok(None) };
    let kernels = Kernels::Kept(context.winograd_copy(weight, form, fold)?);
    Ok(Some(convolution::compile(problem, [src, dst], kernels, end, form, context)?))
}

/// The step that computes the gradient of a convolution's weights, if this code is made for its
/// shapes.
pub fn backward_weight(op: &ConvBackwardWeight, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    let Some(form) = form(op.src.dtype, false) else { return Ok(None) };
    let Some(problem) = problem(op.window, [&op.src, &op.ddst], form, context)? else { return Ok(None) };
    check_weights(&op.dweight)?;
    Ok(Some(gradient::compile(problem, op, context)?))
}

/// The form of numbers for activations of a type, if this code computes with that type.
fn form(dtype: DType, in_fixed_point: bool) -> Option<Form> {
    match dtype {
        DType::F32 => Some(Form::F32),
        DType::Bf16 if in_fixed_point => Some(Form::Bf16Fixed),
        DType::Bf16 => Some(Form::Bf16),
        DType::F16 | DType::U8 | DType::I32 => None,
    }
}

/// The shapes of a convolution of activations (N, I, H, W) and (N, O, H, W), if this code is made
/// for them. Compares the regions with the shapes.
fn problem(
    window: Window,
    [src, dst]: [&Tensor; 2],
    form: Form,
    context: &Context,
) -> Result<Option<Problem>, KernelError> {
    let lanes = context.layout.block;
    let most_cover = match form {
        Form::Bf16 if context.fast_pairs => MOST_COVER,
        Form::F32 | Form::Bf16 => MOST_COVER_F32,
        Form::Bf16Fixed => MOST_COVER_FIXED,
    };
    let problem = Problem::new(src, dst, lanes);
    let is_fit = window == SQUARE
        // Products compute two blocks of results at a time, and each side is the result's in one
        // direction.
        && src.shape[1].is_multiple_of(2 * lanes)
        && dst.shape[1].is_multiple_of(2 * lanes)
        && problem.tiles() >= LEAST_TILES
        && problem.cover() <= most_cover;
    if !is_fit {
        return Ok(None);
    }
    for tensor in [src, dst] {
        context.operand(&tensor.region)?;
        let expected = context.layout.activation_bytes(tensor.shape, tensor.dtype);
        if tensor.region.bytes < expected {
            let what = "an operand of a convolution, in bytes";
            return Err(KernelError::Length { what, expected, got: tensor.region.bytes });
        }
    }
    Ok(Some(problem))
}

/// Compares the region of weights, or of their gradient, with their shape.
fn check_weights(weight: &Tensor) -> Result<(), KernelError> {
    let (expected, got) = (weight.shape.elements() * size_of::<f32>(), weight.region.bytes);
    let what = "weights of a convolution, in bytes";
    if got < expected { Err(KernelError::Length { what, expected, got }) } else { Ok(()) }
}
