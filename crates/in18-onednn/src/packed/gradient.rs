//! Gradients of weights.

use std::ops::Range;

use in18_kernels::KernelError;
use in18_kernels::op::{ConvBackwardWeight, Window};
use in18_tensor::{DType, Region};

use super::gather::{Gather, Part, Phase, Plane, collect};
use super::{NAME, plane, unsupported};
use crate::context::Context;
use crate::product::{add_outer, outer_blocks, outer_outputs};
use crate::simd::{Kernel, MOST_LANES, Stored, Vector, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, check_threads, even_parts, max_threads, parallel, part};
use crate::vector::Bf16;

/// Bytes of gathered rows and gradients that a thread processes at a time: a part of a second-level
/// cache.
const CHUNK_BYTES: usize = 256 << 10;

/// The fewest rows that a thread processes at a time: as many as make it worthwhile to load the
/// sums.
const LEAST_CHUNK: usize = 32;

/// Bytes of the sums that a thread keeps at a time: half a second-level cache.
const SUM_BYTES: usize = 512 << 10;

/// The step that computes `op`.
pub fn compile(op: &ConvBackwardWeight, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let (src, ddst) = (plane(&op.src, context)?, plane(&op.ddst, context)?);
    context.operand(&op.dweight.region)?;
    let (expected, got) = (op.dweight.shape.elements() * size_of::<f32>(), op.dweight.region.bytes);
    if got < expected {
        return Err(KernelError::Length { what: "the gradient of weights, in bytes", expected, got });
    }
    let problem = Problem::new(op.window, src, ddst);
    let regions = [op.src.region, op.ddst.region, op.dweight.region];
    match op.src.dtype {
        DType::F32 => step::<f32>(problem, regions, context),
        DType::Bf16 => step::<Bf16>(problem, regions, context),
        DType::F16 | DType::U8 | DType::I32 => Err(unsupported(op.src.dtype)),
    }
}

fn step<E: Stored>(
    problem: Problem,
    [src, ddst, dweight]: [Region; 3],
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    let threads = max_threads();
    let grid = Grid::new(&problem, threads);
    let room = Room::new(&problem, grid);
    context.reserve_scratch(threads.min(grid.shares()) * room.elements * size_of::<f32>())?;
    Ok(Box::new(LoopStep(NAME, move |context: &mut Context| {
        check_threads(threads)?;
        let (src, ddst) = (Shared::<E>::new(context.address(&src)?), Shared::<E>::new(context.address(&ddst)?));
        let dweight = Shared::<f32>::new(context.address(&dweight)?);
        let scratch = Shared::<f32>::new(context.scratch.start());
        let isa = context.isa;
        parallel(|thread, threads| {
            for share in (thread..grid.shares()).step_by(threads) {
                // SAFETY: `compile` compared the regions with the shapes. Scratch memory was
                // reserved for every thread with a share, and these are the first threads. No two
                // shares have the same blocks of both sides.
                unsafe {
                    let gradient = Gradient {
                        problem: &problem,
                        room: &room,
                        src: src.at(0).cast_const(),
                        ddst: ddst.at(0).cast_const(),
                        dweight: dweight.at(0),
                        scratch: scratch.at(thread * room.elements),
                        outputs: part(problem.ddst.blocks(), 1, share % grid.outputs, grid.outputs),
                        inputs: part(problem.input_parts(), 1, share / grid.outputs, grid.inputs),
                    };
                    run(isa, problem.src.lanes, gradient);
                }
            }
        });
        Ok(())
    })))
}

/// The shapes of a gradient.
struct Problem {
    src: Plane,
    ddst: Plane,
    /// The number of taps of the kernel.
    taps: usize,
    parts: Vec<Part>,
}

impl Problem {
    fn new(window: Window, src: Plane, ddst: Plane) -> Self {
        let phase = Phase::forward(window, &ddst);
        // Sums are loaded and stored in about the time that their products with a few pixels take.
        let parts = Part::of_phases(std::slice::from_ref(&phase), &src, src.lanes);
        Problem { src, ddst, taps: phase.taps.len(), parts }
    }

    /// Blocks of input channels, which are processed separately. Row-major channels are only
    /// processed together.
    fn input_parts(&self) -> usize {
        if self.src.is_blocked { self.src.blocks() } else { 1 }
    }

    /// The number of blocks of rows with `inputs` blocks of input channels and all taps.
    fn row_blocks(&self, inputs: usize) -> usize {
        if self.src.is_blocked { inputs * self.taps } else { self.src.row_blocks(self.taps) }
    }

    /// Result pixels of the largest part, of all images.
    fn most_pixels(&self) -> usize {
        self.parts.iter().map(|part| self.ddst.images * part.pixels.pixels()).max().unwrap_or(0)
    }

    /// Whether one part meets all taps at all pixels.
    fn is_whole(&self) -> bool {
        self.parts.len() == 1 && self.parts[0].pixels.taps.len() == self.taps
    }
}

/// How threads share a gradient: parts of the blocks of output channels, times parts of the blocks
/// of input channels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    outputs: usize,
    inputs: usize,
}

impl Grid {
    /// Divides the outputs first, because less is copied of them.
    fn new(problem: &Problem, threads: usize) -> Self {
        let outputs = threads.min(problem.ddst.blocks());
        Grid { outputs, inputs: (threads / outputs).clamp(1, problem.input_parts()) }
    }

    fn shares(&self) -> usize {
        self.outputs * self.inputs
    }
}

/// How much a thread processes at a time, and the layout of its scratch memory, in fp32: gathered
/// rows, (blocks of the rows, pixels, lanes); gradients, (blocks of outputs, pixels, lanes); then
/// sums, (outputs, channels of the rows).
struct Room {
    /// The most blocks of input channels.
    group: usize,
    /// The most pixels.
    chunk: usize,
    /// The distance between blocks of rows, and between blocks of gradients.
    block: usize,
    gradients_at: usize,
    sums_at: usize,
    elements: usize,
}

impl Room {
    fn new(problem: &Problem, grid: Grid) -> Self {
        let lanes = problem.src.lanes;
        let (outputs, inputs) =
            (problem.ddst.blocks().div_ceil(grid.outputs), problem.input_parts().div_ceil(grid.inputs));
        let sums = |group: usize| outputs * lanes * problem.row_blocks(group) * lanes;
        let fits = |group: &usize| sums(*group) * size_of::<f32>() <= SUM_BYTES;
        let group = (1..=inputs).rev().find(fits).unwrap_or(1);
        let row_blocks = problem.row_blocks(group);
        let most = CHUNK_BYTES / ((row_blocks + outputs) * lanes * size_of::<f32>());
        let chunk = most.max(LEAST_CHUNK).min(problem.most_pixels().max(1));
        // One vector more than needed, so that the blocks of a row do not share a cache set.
        let block = chunk * lanes + MOST_LANES;
        let gradients_at = row_blocks * block;
        let sums_at = gradients_at + outputs * block;
        Room { group, chunk, block, gradients_at, sums_at, elements: sums_at + sums(group) }
    }
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
    /// Blocks of output channels, and parts of the input channels.
    outputs: Range<usize>,
    inputs: Range<usize>,
}

impl<E: Stored> Gradient<'_, E> {
    /// Copies the gradients of some pixels of a phase.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn copy_gradients<V: Vector>(&self, phase: &Phase, pixels: Range<usize>) {
        let ddst = &self.problem.ddst;
        for (number, block) in self.outputs.clone().enumerate() {
            let to = self.scratch.wrapping_add(self.room.gradients_at + number * self.room.block);
            let mut slot = 0;
            while slot < pixels.len() {
                let place = phase.place(pixels.start + slot);
                let length = place.left.min(pixels.len() - slot);
                let at = phase.number(&place, ddst.width);
                let plane = self.ddst.wrapping_add(ddst.start(place.image, block));
                for pixel in 0..length {
                    // SAFETY: by the caller's promise.
                    unsafe {
                        let value = match ddst.is_blocked {
                            true => E::load::<V>(plane.add((at + pixel) * V::LANES)),
                            false => collect::<E, V>(plane.add(at + pixel), ddst.pixels(), ddst.channels),
                        };
                        value.store(to.add((slot + pixel) * V::LANES));
                    }
                }
                slot += length;
            }
        }
    }

    /// Gathers the source pixels of some pixels of a phase, for a group of input channels.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn gather<V: Vector>(&self, phase: &Phase, group: Range<usize>, pixels: Range<usize>) {
        let Gradient { problem, room, .. } = self;
        let rows =
            Gather { src: self.src, plane: &problem.src, phase, blocks: group, to: self.scratch, stride: room.block };
        // SAFETY: by the caller's promise.
        unsafe { rows.rows::<V>(pixels) };
    }

    /// Adds the products of some pixels and a run of gathered blocks to their sums. If `first`, the
    /// products replace the sums. `from` is the place of the first gathered block. A row of sums
    /// has `row_blocks` blocks.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(
        &self,
        row_blocks: usize,
        (from, run): (usize, Range<usize>),
        pixels: usize,
        first: bool,
    ) {
        let &Gradient { room, scratch, .. } = self;
        let channels = row_blocks * V::LANES;
        let mut block = run.start;
        while block < run.end {
            let blocks = outer_blocks(run.end - block);
            for row in (0..self.outputs.len() * V::LANES).step_by(outer_outputs::<V>()) {
                // SAFETY: by the caller's promise.
                unsafe {
                    let inputs = scratch.add((from + block - run.start) * room.block).cast_const();
                    let inputs = (inputs, room.block, blocks);
                    let gradients = room.gradients_at + row / V::LANES * room.block + row % V::LANES;
                    let gradients = scratch.add(gradients).cast_const();
                    let sums = (scratch.add(room.sums_at + row * channels + block * V::LANES), channels);
                    add_outer::<V>(gradients, inputs, pixels, sums, first);
                }
            }
            block += blocks;
        }
    }

    /// Writes the sums of a group of input channels to the gradient, in its order (O, I, K, K).
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, group: Range<usize>, row_blocks: usize) {
        let Gradient { problem, room, .. } = self;
        let (inputs, taps) = (problem.src.channels, problem.taps);
        let first = self.outputs.start * V::LANES;
        let outputs = (self.outputs.end * V::LANES).min(problem.ddst.channels) - first;
        let channels = match problem.src.is_blocked {
            true => group.start * V::LANES..(group.end * V::LANES).min(inputs),
            false => 0..inputs,
        };
        for o in 0..outputs {
            let sums = self.scratch.wrapping_add(room.sums_at + o * row_blocks * V::LANES);
            for channel in channels.clone() {
                let to = self.dweight.wrapping_add(((first + o) * inputs + channel) * taps);
                let offset = channel - channels.start;
                for tap in 0..taps {
                    let word = match problem.src.is_blocked {
                        true => (tap * group.len() + offset / V::LANES) * V::LANES + offset % V::LANES,
                        false => tap * inputs + channel,
                    };
                    // SAFETY: by the caller's promise.
                    unsafe { to.add(tap).write(sums.add(word).read()) };
                }
            }
        }
    }
}

impl<E: Stored> Kernel for Gradient<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Gradient { problem, room, .. } = &self;
        for group in even_parts(self.inputs.clone(), room.group) {
            let row_blocks = problem.row_blocks(group.len());
            if !problem.is_whole() {
                let sums = self.scratch.wrapping_add(room.sums_at);
                for vector in 0..self.outputs.len() * V::LANES * row_blocks {
                    // SAFETY: by the caller's promise.
                    unsafe { V::splat(0.0).store(sums.add(vector * V::LANES)) };
                }
            }
            for Part { pixels: phase, taps, .. } in &problem.parts {
                for pixels in even_parts(0..problem.ddst.images * phase.pixels(), room.chunk) {
                    let first = problem.is_whole() && pixels.start == 0;
                    // SAFETY: by the caller's promise.
                    unsafe {
                        self.copy_gradients::<V>(phase, pixels.clone());
                        self.gather::<V>(phase, group.clone(), pixels.clone());
                        let mut from = 0;
                        for run in problem.src.runs(taps, group.len()) {
                            self.multiply::<V>(row_blocks, (from, run.clone()), pixels.len(), first);
                            from += run.len();
                        }
                    }
                }
            }
            // SAFETY: by the caller's promise.
            unsafe { self.finish::<V>(group, row_blocks) };
        }
    }
}
