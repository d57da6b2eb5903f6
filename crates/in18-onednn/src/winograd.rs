//! 3×3 convolutions of stride 1 in fp32 with 2.25 times fewer multiplications than pixels and taps would need: F(2×2, 3×3)
//! of Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016.
//!
//! Tiles of 4×4 input pixels that overlap by two, and kernels, are transformed to 16 points each. For each point the sum over
//! input channels is a matrix product of tiles and kernels; its results are transformed back to 2×2 output pixels. The
//! gradient of the input is the same convolution with the kernel turned around; that of the weights sums over the tiles.
//!
//! The transforms only add, subtract and halve, so results are about as exact as those of the direct sum. Larger tiles would
//! save more and lose digits. bf16 would lose them, too: there, convolutions stay direct.
//!
//! Threads share the tiles, or for the weights' gradient the channels. Each sum has one order, whatever their number.

mod product;
mod transform;

use std::ops::Range;

use in18_kernels::KernelError;
use in18_kernels::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};
use in18_tensor::{DType, Tensor};

use self::product::rows;
use self::transform::Square;
use crate::isa::Isa;
use crate::simd::{Kernel, MOST_LANES, Vector, run};
use crate::step::{Context, LoopStep, Step};
use crate::threads::{Shared, check_threads, grid_part, max_threads, parallel, part};
use crate::weights::CopyId;

/// Points of a transformed tile or kernel.
const POINTS: usize = 16;

/// Output pixels of a tile, in each direction.
const TILE: usize = 2;

const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };

/// Fewer tiles would not be worth the transforms of the kernels.
const LEAST_TILES: usize = 96;

/// Bytes of transformed input that a thread works on at a time: half a second-level cache.
const CHUNK_BYTES: usize = 448 << 10;

/// Channels of either side whose sums a thread keeps in its second-level cache, and tiles that it transforms at a time, for
/// the gradient of weights.
const GROUP_CHANNELS: usize = 64;
const GRADIENT_TILES: usize = 48;

/// A tile's first output pixel.
#[derive(Clone, Copy)]
struct Corner {
    y: usize,
    x: usize,
}

/// The shapes of a convolution.
#[derive(Clone, Copy)]
struct Problem {
    images: usize,
    input_blocks: usize,
    output_blocks: usize,
    height: usize,
    width: usize,
    /// Channels of a block.
    lanes: usize,
}

impl Problem {
    /// From activations of (N, I, H, W) and (N, O, H, W), if this code is for them and checks their regions.
    fn new(window: Window, src: &Tensor, dst: &Tensor, context: &Context) -> Result<Option<Self>, KernelError> {
        let (lanes, is_fast) = (context.layout.block, context.isa != Isa::Baseline);
        let (inputs, outputs) = (src.shape[1], dst.shape[1]);
        let [images, height, width] = [src.shape[0], src.shape[2], src.shape[3]];
        let problem =
            Problem { images, input_blocks: inputs / lanes, output_blocks: outputs / lanes, height, width, lanes };
        let is_fit = is_fast
            && window == SQUARE
            && src.dtype == DType::F32
            // Products make two blocks of results at a time, and either side is the result's in one direction.
            && inputs.is_multiple_of(2 * lanes)
            && outputs.is_multiple_of(2 * lanes)
            && problem.tiles() >= LEAST_TILES;
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

    fn tiles(&self) -> usize {
        self.images * self.height.div_ceil(TILE) * self.width.div_ceil(TILE)
    }

    /// A tile's image and corner.
    fn place(&self, tile: usize) -> (usize, Corner) {
        let (rows, columns) = (self.height.div_ceil(TILE), self.width.div_ceil(TILE));
        let (row, column) = (tile / columns, tile % columns);
        (row / rows, Corner { y: row % rows * TILE, x: column * TILE })
    }

    /// The element at which an image's block of channels begins, of `blocks`.
    fn start(&self, image: usize, block: usize, blocks: usize) -> usize {
        (image * blocks + block) * self.height * self.width * self.lanes
    }
}

/// The step that computes a convolution, if this code is for it.
pub fn forward(op: &Conv, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    convolution(op.window, &op.src, &op.weight, &op.dst, false, context)
}

/// The same for the gradient of a convolution's input.
pub fn backward_data(op: &ConvBackwardData, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    convolution(op.window, &op.ddst, &op.weight, &op.dsrc, true, context)
}

fn convolution(
    window: Window,
    src: &Tensor,
    weight: &Tensor,
    dst: &Tensor,
    turned: bool,
    context: &mut Context,
) -> Result<Option<Box<dyn Step>>, KernelError> {
    let Some(problem) = Problem::new(window, src, dst, context)? else { return Ok(None) };
    let copy: CopyId = context.winograd_copy(weight, turned)?;
    let threads = max_threads();
    let room = Convolution::room(&problem);
    context.reserve_scratch(threads * room * size_of::<f32>())?;
    let (src, dst) = (src.region, dst.region);
    Ok(Some(Box::new(LoopStep(move |context: &mut Context| {
        check_threads(threads)?;
        let weights = Shared::<f32>::new(context.refreshed_weights(copy)?);
        let (src, dst) = (Shared::<f32>::new(context.address(&src)?), Shared::<f32>::new(context.address(&dst)?));
        let scratch = Shared::<f32>::new(context.scratch.start());
        let isa = context.isa;
        parallel(|thread, threads| {
            let tiles = part(problem.tiles(), 1, thread, threads);
            // SAFETY: `Problem::new` compared the shapes with the regions, the copy has the weights' shape, scratch memory
            // was reserved for at least so many threads; no two threads have the same tiles.
            unsafe {
                let (src, weights, dst) = (src.at(0).cast_const(), weights.at(0).cast_const(), dst.at(0));
                let scratch = scratch.at(thread * room);
                run(isa, problem.lanes, Convolution { problem: &problem, src, weights, dst, scratch, tiles });
            }
        });
        Ok(())
    }))))
}

/// A thread's tiles of a convolution.
struct Convolution<'a> {
    problem: &'a Problem,
    src: *const f32,
    /// (pairs of output blocks, points, input channels, 2 · lanes).
    weights: *const f32,
    dst: *mut f32,
    /// [`room`](Self::room) elements.
    scratch: *mut f32,
    tiles: Range<usize>,
}

impl Convolution<'_> {
    /// Tiles that are worked on together: whole products, of however many rows.
    fn chunk(problem: &Problem) -> usize {
        // Of 14 rows with AVX-512 and 6 with AVX2.
        const ROWS: usize = 42;
        let tile_bytes = POINTS * problem.input_blocks * problem.lanes * size_of::<f32>();
        let most = CHUNK_BYTES / tile_bytes;
        if most >= ROWS { most / ROWS * ROWS } else { (most / 14).max(1) * 14 }
    }

    /// Elements of transformed inputs, and of two blocks of sums, of a chunk, and of rows that its last product has too
    /// many.
    fn room(problem: &Problem) -> usize {
        POINTS * (problem.input_blocks + 2) * (Self::chunk(problem) + MOST_LANES) * problem.lanes
    }
}

impl Kernel for Convolution<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Convolution { problem, src, weights, dst, scratch, tiles } = self;
        let &Problem { input_blocks, output_blocks, height, width, .. } = problem;
        let chunk = Self::chunk(problem);
        // Vectors of a block in `inputs`, and of a half in `sums`.
        let slots = chunk.next_multiple_of(rows::<V>());
        let block_stride = slots * V::LANES;
        let point_stride = input_blocks * block_stride;
        let pair_elements = POINTS * input_blocks * V::LANES * 2 * V::LANES;
        // SAFETY: by the caller's promise; `room` counted both parts of the scratch memory.
        unsafe {
            let (inputs, sums) = (scratch, scratch.add(POINTS * point_stride));
            for first in tiles.clone().step_by(chunk) {
                let some = first..tiles.end.min(first + chunk);
                for (slot, tile) in some.clone().enumerate() {
                    let (image, corner) = problem.place(tile);
                    let image = src.add(problem.start(image, 0, input_blocks));
                    let square = Square::new::<V>(image, (height, width), corner, 1);
                    for block in 0..input_blocks {
                        let to = inputs.add(block * block_stride + slot * V::LANES);
                        transform::input::<V>(&square, block, to, point_stride);
                    }
                }
                for pair in 0..output_blocks / 2 {
                    for point in 0..POINTS {
                        let weights = weights.add(pair * pair_elements + point * (pair_elements / POINTS));
                        for row in (0..some.len()).step_by(rows::<V>()) {
                            let inputs = inputs.add(point * point_stride + row * V::LANES);
                            let sums = sums.add(point * 2 * block_stride + row * V::LANES);
                            product::multiply::<V>((inputs, block_stride, input_blocks), weights, (sums, block_stride));
                        }
                    }
                    for (slot, tile) in some.clone().enumerate() {
                        let (image, corner) = problem.place(tile);
                        let inside = (TILE.min(height - corner.y), TILE.min(width - corner.x));
                        for half in 0..2 {
                            let plane = dst.add(problem.start(image, 2 * pair + half, output_blocks));
                            let to = plane.add((corner.y * width + corner.x) * V::LANES);
                            let from = sums.add(half * block_stride + slot * V::LANES);
                            transform::output::<V>((from, 2 * block_stride), (to, width), inside);
                        }
                    }
                }
            }
        }
    }
}

/// The step that computes the gradient of a convolution's weights, if this code is for it.
pub fn backward_weight(op: &ConvBackwardWeight, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    let Some(problem) = Problem::new(op.window, &op.src, &op.ddst, context)? else { return Ok(None) };
    let threads = max_threads();
    if problem.input_blocks * problem.output_blocks < threads {
        return Ok(None);
    }
    let expected = op.dweight.shape.elements() * size_of::<f32>();
    if op.dweight.region.bytes < expected {
        let what = "a gradient of weights, in bytes";
        return Err(KernelError::Length { what, expected, got: op.dweight.region.bytes });
    }
    let room = WeightGradient::room(&problem);
    context.reserve_scratch(threads * room * size_of::<f32>())?;
    let (src, ddst, dweight) = (op.src.region, op.ddst.region, op.dweight.region);
    Ok(Some(Box::new(LoopStep(move |context: &mut Context| {
        check_threads(threads)?;
        let (src, ddst) = (Shared::<f32>::new(context.address(&src)?), Shared::<f32>::new(context.address(&ddst)?));
        let dweight = Shared::<f32>::new(context.address(&dweight)?);
        let scratch = Shared::<f32>::new(context.scratch.start());
        let isa = context.isa;
        parallel(|thread, threads| {
            let (outputs, inputs) = grid_part(problem.output_blocks, problem.input_blocks, thread, threads);
            // SAFETY: the regions were compared with the shapes, scratch memory was reserved for at least so many threads;
            // no two threads have the same pair of blocks.
            unsafe {
                let (src, ddst) = (src.at(0).cast_const(), ddst.at(0).cast_const());
                let (dweight, scratch) = (dweight.at(0), scratch.at(thread * room));
                let problem = &problem;
                run(isa, problem.lanes, WeightGradient { problem, src, ddst, dweight, scratch, outputs, inputs });
            }
        });
        Ok(())
    }))))
}

/// A thread's share of the gradient of weights.
struct WeightGradient<'a> {
    problem: &'a Problem,
    src: *const f32,
    ddst: *const f32,
    dweight: *mut f32,
    /// [`room`](Self::room) elements.
    scratch: *mut f32,
    outputs: Range<usize>,
    inputs: Range<usize>,
}

impl WeightGradient<'_> {
    /// Blocks of a group.
    fn group(problem: &Problem) -> usize {
        GROUP_CHANNELS / problem.lanes
    }

    /// Elements of a group's transformed inputs and gradients, and of its sums.
    fn room(problem: &Problem) -> usize {
        POINTS * (2 * GROUP_CHANNELS * GRADIENT_TILES + Self::group(problem).pow(2) * problem.lanes.pow(2))
    }

    /// Puts a block pair's sums, transformed back, in the gradient's order, (O, I, 3, 3).
    ///
    /// # Safety
    /// `sums` must hold a square of channels for each point; as [`Vector`].
    #[inline(always)]
    unsafe fn store<V: Vector>(&self, output: usize, input: usize, sums: *const f32) {
        let channels = self.problem.input_blocks * V::LANES;
        for o in 0..V::LANES {
            // SAFETY: by the caller's promise; the channels are the problem's.
            unsafe {
                let points = std::array::from_fn(|point| V::load(sums.add((point * V::LANES + o) * V::LANES)));
                let row = self.dweight.add(((output * V::LANES + o) * channels + input * V::LANES) * 9);
                for (tap, values) in transform::weight_gradient::<V>(points).into_iter().enumerate() {
                    let mut lanes = [0f32; MOST_LANES];
                    values.store(lanes.as_mut_ptr());
                    for (i, value) in lanes.into_iter().enumerate().take(V::LANES) {
                        row.add(i * 9 + tap).write(value);
                    }
                }
            }
        }
    }
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let &Problem { input_blocks, output_blocks, height, width, .. } = self.problem;
        let group = Self::group(self.problem);
        // Vectors of a block of transformed tiles.
        let block_stride = GRADIENT_TILES * V::LANES;
        let point_stride = group * block_stride;
        let square = V::LANES * V::LANES;
        // SAFETY: by the caller's promise; `room` counted the three parts of the scratch memory.
        unsafe {
            let (inputs, gradients) = (self.scratch, self.scratch.add(POINTS * point_stride));
            let sums = gradients.add(POINTS * point_stride);
            let groups = |range: &Range<usize>| {
                let end = range.end;
                range.clone().step_by(group).map(move |first| first..end.min(first + group))
            };
            for some_outputs in groups(&self.outputs) {
                for some_inputs in groups(&self.inputs) {
                    for first in (0..self.problem.tiles()).step_by(GRADIENT_TILES) {
                        let some = first..self.problem.tiles().min(first + GRADIENT_TILES);
                        for (slot, tile) in some.clone().enumerate() {
                            let (image, corner) = self.problem.place(tile);
                            let source = self.src.add(self.problem.start(image, 0, input_blocks));
                            let square = Square::new::<V>(source, (height, width), corner, 1);
                            for (at, block) in some_inputs.clone().enumerate() {
                                let to = inputs.add(at * block_stride + slot * V::LANES);
                                transform::input::<V>(&square, block, to, point_stride);
                            }
                            let result = self.ddst.add(self.problem.start(image, 0, output_blocks));
                            let square = Square::new::<V>(result, (height, width), corner, 0);
                            for (at, block) in some_outputs.clone().enumerate() {
                                let to = gradients.add(at * block_stride + slot * V::LANES);
                                transform::output_gradient::<V>(&square, block, to, point_stride);
                            }
                        }
                        for o in 0..some_outputs.len() {
                            for i in 0..some_inputs.len() {
                                for point in 0..POINTS {
                                    let gradients = gradients.add(point * point_stride + o * block_stride);
                                    let inputs = inputs.add(point * point_stride + i * block_stride);
                                    let sums = sums.add(((o * group + i) * POINTS + point) * square);
                                    product::add_outer::<V>(gradients, inputs, some.len(), sums, first == 0);
                                }
                            }
                        }
                    }
                    for (o, output) in some_outputs.clone().enumerate() {
                        for (i, input) in some_inputs.clone().enumerate() {
                            self.store::<V>(output, input, sums.add((o * group + i) * POINTS * square));
                        }
                    }
                }
            }
        }
    }
}

/// What weights become: transformed, in the order in which products read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransformedWeights {
    /// Channels of the results: O, or I if `turned`.
    outputs: usize,
    /// Channels that are summed over.
    inputs: usize,
    /// Whether the kernel is turned around, as for the gradient of the input.
    turned: bool,
    lanes: usize,
}

impl TransformedWeights {
    /// Of (O, I, 3, 3) weights in blocks of `lanes` channels.
    pub fn new(weight: &Tensor, turned: bool, lanes: usize) -> Self {
        let (o, i) = (weight.shape[0], weight.shape[1]);
        let (outputs, inputs) = if turned { (i, o) } else { (o, i) };
        TransformedWeights { outputs, inputs, turned, lanes }
    }

    /// How many fp32 they take.
    pub fn elements(&self) -> usize {
        POINTS * self.outputs * self.inputs
    }

    /// Transforms weights.
    ///
    /// # Safety
    /// `weights` must hold (O, I, 3, 3), `to` [`elements`](Self::elements).
    pub unsafe fn transform(&self, isa: Isa, weights: *mut u8, to: *mut u8) {
        let (weights, to) = (Shared::<f32>::new(weights), Shared::<f32>::new(to));
        parallel(|thread, threads| {
            let pairs = part(self.outputs / (2 * self.lanes), 1, thread, threads);
            // SAFETY: by the caller's promise; no two threads have the same outputs.
            unsafe {
                let (weights, to) = (weights.at(0).cast_const(), to.at(0));
                run(isa, self.lanes, TransformWeights { shape: self, weights, to, pairs });
            }
        });
    }
}

/// A thread's pairs of output blocks.
struct TransformWeights<'a> {
    shape: &'a TransformedWeights,
    weights: *const f32,
    to: *mut f32,
    pairs: Range<usize>,
}

impl Kernel for TransformWeights<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let &TransformedWeights { outputs, inputs, turned, .. } = self.shape;
        for pair in self.pairs {
            for input in 0..inputs {
                for half in 0..2 {
                    let first = (2 * pair + half) * V::LANES;
                    let mut kernel = [[0f32; MOST_LANES]; 9];
                    for lane in 0..V::LANES {
                        let output = first + lane;
                        let at = if turned { input * outputs + output } else { output * inputs + input } * 9;
                        for (tap, values) in kernel.iter_mut().enumerate() {
                            // SAFETY: by the caller's promise.
                            values[lane] = unsafe { self.weights.add(at + if turned { 8 - tap } else { tap }).read() };
                        }
                    }
                    // SAFETY: by the caller's promise.
                    unsafe {
                        let points = transform::weights::<V>(kernel.each_ref().map(|values| V::load(values.as_ptr())));
                        for (point, value) in points.into_iter().enumerate() {
                            let at = ((pair * POINTS + point) * inputs + input) * 2 + half;
                            value.store(self.to.add(at * V::LANES));
                        }
                    }
                }
            }
        }
    }
}
