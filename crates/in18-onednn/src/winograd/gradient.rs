//! The gradient of weights.

use std::ops::Range;

use in18_kernels::KernelError;
use in18_kernels::op::ConvBackwardWeight;
use in18_tensor::{DType, Region};

use super::tiles::{POINTS, SIDE, TILE};
use super::tiles::{Problem, Square};
use super::transform;
use crate::context::Context;
use crate::product::{add_outer, outer_blocks, outer_outputs};
use crate::simd::{Kernel, MOST_LANES, Stored, Vector, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, check_threads, even_parts, max_threads, parallel, part};
use crate::vector::Bf16;

/// Bytes of transformed inputs and gradients that a thread processes at a time: half a second-level
/// cache.
const CHUNK_BYTES: usize = 512 << 10;

/// Like [`CHUNK_BYTES`], if sums do not fit in [`SUM_BYTES`]. The inputs of a single chunk are
/// transformed once, but those of several chunks anew for each group of sums.
const LARGE_CHUNK_BYTES: usize = 6 << 20;

/// Bytes of the sums that a thread keeps at a time: a part of the third-level cache.
const SUM_BYTES: usize = 5 << 20;

/// The step that computes `op`. Regions must be as long as their shapes say.
pub fn compile(problem: Problem, op: &ConvBackwardWeight, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let threads = max_threads();
    let room = Room::new(&problem, Grid::new(&problem, threads));
    context.reserve_scratch(threads.min(room.grid.shares()) * room.elements * size_of::<f32>())?;
    let (src, ddst, dweight, dtype) = (op.src.region, op.ddst.region, op.dweight.region, op.src.dtype);
    Ok(Box::new(LoopStep("own:winograd", move |context: &mut Context| {
        check_threads(threads)?;
        match dtype {
            DType::Bf16 => work::<Bf16>(&problem, &room, [&src, &ddst, &dweight], context),
            _ => work::<f32>(&problem, &room, [&src, &ddst, &dweight], context),
        }
    })))
}

/// How threads share a gradient: parts of the blocks of output channels, times parts of the pairs
/// of blocks of input channels. Each thread transforms what it needs for itself, as in a
/// [convolution](super::convolution).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    outputs: usize,
    inputs: usize,
}

impl Grid {
    fn new(problem: &Problem, threads: usize) -> Self {
        let outputs = threads.min(problem.output_blocks);
        Grid { outputs, inputs: (threads / outputs).clamp(1, problem.input_blocks / 2) }
    }

    fn shares(&self) -> usize {
        self.outputs * self.inputs
    }
}

/// How much a thread processes at a time, and the layout of its scratch memory, in fp32: inputs,
/// (points, input blocks, tiles, lanes); gradients likewise; then sums, (points, output channels,
/// input channels).
struct Room {
    grid: Grid,
    /// The most blocks of output channels.
    group: usize,
    /// The most tiles.
    chunk: usize,
    gradients_at: usize,
    sums_at: usize,
    elements: usize,
    /// The distances between blocks, and between points of each kind. The vectors of successive
    /// tiles lie side by side.
    block: usize,
    input_point: usize,
    gradient_point: usize,
    sum_point: usize,
}

impl Room {
    fn new(problem: &Problem, grid: Grid) -> Self {
        let outputs = problem.output_blocks.div_ceil(grid.outputs);
        let inputs = 2 * (problem.input_blocks / 2).div_ceil(grid.inputs);
        let block_sums = inputs * problem.lanes * problem.lanes;
        let group = (SUM_BYTES / (POINTS * block_sums * size_of::<f32>())).clamp(1, outputs);
        let bytes = if group == outputs { CHUNK_BYTES } else { LARGE_CHUNK_BYTES };
        let chunk = (bytes / problem.tile_bytes(inputs + group)).clamp(1, problem.tiles());
        let block = chunk * problem.lanes;
        // One vector more than needed, so that the points of a tile do not share a cache set.
        let (input_point, gradient_point) = (inputs * block + MOST_LANES, group * block + MOST_LANES);
        let sum_point = group * block_sums;
        let gradients_at = POINTS * input_point;
        let sums_at = gradients_at + POINTS * gradient_point;
        let elements = sums_at + POINTS * sum_point;
        Room { grid, group, chunk, gradients_at, sums_at, elements, block, input_point, gradient_point, sum_point }
    }
}

fn work<E: Stored>(
    problem: &Problem,
    room: &Room,
    [src, ddst, dweight]: [&Region; 3],
    context: &Context,
) -> Result<(), KernelError> {
    let (src, ddst) = (Shared::<E>::new(context.address(src)?), Shared::<E>::new(context.address(ddst)?));
    let dweight = Shared::<f32>::new(context.address(dweight)?);
    let scratch = Shared::<f32>::new(context.scratch.start());
    let (isa, Grid { outputs, inputs }) = (context.isa, room.grid);
    parallel(|thread, threads| {
        for share in (thread..room.grid.shares()).step_by(threads) {
            let inputs = part(problem.input_blocks / 2, 1, share / outputs, inputs);
            // SAFETY: `problem` compared the shapes with the regions. Scratch memory was reserved
            // for every thread with a share, and these are the first threads. No two shares have
            // the same pair of blocks.
            unsafe {
                let gradient = Gradient {
                    problem,
                    room,
                    src: src.at(0).cast_const(),
                    ddst: ddst.at(0).cast_const(),
                    dweight: dweight.at(0),
                    scratch: scratch.at(thread * room.elements),
                    outputs: part(problem.output_blocks, 1, share % outputs, outputs),
                    inputs: 2 * inputs.start..2 * inputs.end,
                };
                run(isa, problem.lanes, gradient);
            }
        }
    });
    Ok(())
}

/// A share of a gradient.
struct Gradient<'a, E> {
    problem: &'a Problem,
    room: &'a Room,
    src: *const E,
    ddst: *const E,
    dweight: *mut f32,
    /// Scratch memory for `room.elements` fp32 numbers.
    scratch: *mut f32,
    /// Blocks of output channels.
    outputs: Range<usize>,
    /// Blocks of input channels, an even number.
    inputs: Range<usize>,
}

impl<E: Stored> Gradient<'_, E> {
    /// Transforms the inputs of some tiles.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn transform_inputs<V: Vector>(&self, tiles: Range<usize>) {
        let Gradient { problem, room, .. } = self;
        for (slot, tile) in tiles.enumerate() {
            let (image, corner) = problem.place(tile);
            // SAFETY: by the caller's promise.
            unsafe {
                let image = self.src.add(problem.start(image, 0, problem.input_blocks));
                let square = Square::<E, SIDE>::new::<V>(image, problem, corner, 1);
                for (at, block) in self.inputs.clone().enumerate() {
                    let to = self.scratch.add(at * room.block + slot * V::LANES);
                    square.prefetch::<V>(block + 1);
                    transform::input::<E, V>(&square, block, to, room.input_point);
                }
            }
        }
    }

    /// Transforms the gradients of some tiles and blocks of outputs.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn transform_gradients<V: Vector>(&self, outputs: Range<usize>, tiles: Range<usize>) {
        let Gradient { problem, room, .. } = self;
        for (slot, tile) in tiles.enumerate() {
            let (image, corner) = problem.place(tile);
            // SAFETY: by the caller's promise.
            unsafe {
                let image = self.ddst.add(problem.start(image, 0, problem.output_blocks));
                let square = Square::<E, TILE>::new::<V>(image, problem, corner, 0);
                for (at, block) in outputs.clone().enumerate() {
                    let to = self.scratch.add(room.gradients_at + at * room.block + slot * V::LANES);
                    square.prefetch::<V>(block + 1);
                    transform::output_gradient::<E, V>(&square, block, to, room.gradient_point);
                }
            }
        }
    }

    /// Adds the products of some tiles and blocks of outputs to their sums. If `first`, the
    /// products replace the sums.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, outputs: usize, tiles: usize, first: bool) {
        let &Gradient { room, scratch, .. } = self;
        let channels = self.inputs.len() * V::LANES;
        for point in 0..POINTS {
            let mut block = 0;
            while block < self.inputs.len() {
                let blocks = outer_blocks(self.inputs.len() - block);
                for row in (0..outputs * V::LANES).step_by(outer_outputs::<V>()) {
                    // SAFETY: by the caller's promise.
                    unsafe {
                        let inputs = scratch.add(point * room.input_point + block * room.block).cast_const();
                        let gradients = room.gradients_at + point * room.gradient_point;
                        let gradients = scratch.add(gradients + row / V::LANES * room.block + row % V::LANES);
                        let sums = room.sums_at + point * room.sum_point + row * channels + block * V::LANES;
                        let (inputs, sums) = ((inputs, room.block, blocks), (scratch.add(sums), channels));
                        add_outer::<V>(gradients, inputs, tiles, sums, first);
                    }
                }
                block += blocks;
            }
        }
    }

    /// Transforms the sums of blocks of outputs back into the gradient, (O, I, 3, 3).
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, outputs: Range<usize>) {
        let (channels, all_channels) = (self.inputs.len() * V::LANES, self.problem.inputs());
        for o in 0..outputs.len() * V::LANES {
            for i in (0..channels).step_by(V::LANES) {
                // SAFETY: by the caller's promise.
                unsafe {
                    let sums = self.scratch.add(self.room.sums_at + o * channels + i);
                    let mut points = [V::splat(0.0); POINTS];
                    for (point, value) in points.iter_mut().enumerate() {
                        *value = V::load(sums.add(point * self.room.sum_point));
                    }
                    let (output, input) = (outputs.start * V::LANES + o, self.inputs.start * V::LANES + i);
                    let row = self.dweight.add((output * all_channels + input) * 9);
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
}

impl<E: Stored> Kernel for Gradient<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let &Room { group, chunk, .. } = self.room;
        let all = 0..self.problem.tiles();
        let is_single = all.len() <= chunk;
        let mut has_inputs = false;
        for outputs in even_parts(self.outputs.clone(), group) {
            for tiles in even_parts(all.clone(), chunk) {
                // SAFETY: by the caller's promise.
                unsafe {
                    if !has_inputs {
                        self.transform_inputs::<V>(tiles.clone());
                        has_inputs = is_single;
                    }
                    self.transform_gradients::<V>(outputs.clone(), tiles.clone());
                    self.multiply::<V>(outputs.len(), tiles.len(), tiles.start == 0);
                }
            }
            // SAFETY: by the caller's promise.
            unsafe { self.finish::<V>(outputs) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_outputs_before_inputs() {
        let problem = Problem { images: 8, input_blocks: 4, output_blocks: 4, height: 32, width: 32, lanes: 16 };
        assert_eq!(Grid::new(&problem, 2), Grid { outputs: 2, inputs: 1 });
        assert_eq!(Grid::new(&problem, 9), Grid { outputs: 4, inputs: 2 });
    }
}
