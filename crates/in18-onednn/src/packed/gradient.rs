//! Gradients of weights.

use std::ops::Range;

use in18_kernels::KernelError;
use in18_kernels::op::ConvBackwardWeight;
use in18_tensor::{DType, Region};

use super::gather::{Gather, Phase, Plane, collect};
use super::{NAME, plane, unsupported};
use crate::product::{add_outer, outer_blocks, outer_outputs};
use crate::simd::{Kernel, MOST_LANES, Stored, Vector, run};
use crate::step::{Context, LoopStep, Step};
use crate::threads::{Shared, check_threads, even_parts, max_threads, parallel, part};
use crate::vector::Bf16;

/// Bytes of gathered rows and gradients that a thread works on at a time: a part of a second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// Rows that a thread works on at a time, at least: as many as sums need to be worth loading.
const LEAST_CHUNK: usize = 32;

/// Bytes of a thread's sums at a time: half a second-level cache.
const SUM_BYTES: usize = 512 << 10;

/// The step that computes `op`.
pub fn compile(op: &ConvBackwardWeight, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let (src, ddst) = (plane(&op.src, context)?, plane(&op.ddst, context)?);
    context.operand(&op.dweight.region)?;
    let (expected, got) = (op.dweight.shape.elements() * size_of::<f32>(), op.dweight.region.bytes);
    if got < expected {
        return Err(KernelError::Length { what: "the gradient of weights, in bytes", expected, got });
    }
    let problem = Problem { src, ddst, phase: Phase::forward(op.window, &ddst) };
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
                // SAFETY: `compile` compared the regions with the shapes, and scratch memory was reserved for as many threads as
                // have a share, the first ones; no two shares have the same blocks of both sides.
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
    phase: Phase,
}

impl Problem {
    /// Blocks of input channels, which are worked on by themselves; row-major channels only together.
    fn input_parts(&self) -> usize {
        if self.src.is_blocked { self.src.blocks() } else { 1 }
    }

    fn taps(&self) -> usize {
        self.phase.taps.len()
    }

    /// Blocks of the rows of so many blocks of input channels; a single one is joined by one of zeros.
    fn row_blocks(&self, inputs: usize) -> usize {
        let blocks = if self.src.is_blocked { inputs * self.taps() } else { self.src.row_blocks(self.taps()) };
        blocks.max(2)
    }

    fn pixels(&self) -> usize {
        self.ddst.images * self.ddst.pixels()
    }
}

/// How threads share a gradient: parts of the blocks of output channels, times parts of those of input channels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    outputs: usize,
    inputs: usize,
}

impl Grid {
    /// Outputs first: what is copied of them is less.
    fn new(problem: &Problem, threads: usize) -> Self {
        let outputs = threads.min(problem.ddst.blocks());
        Grid { outputs, inputs: (threads / outputs).clamp(1, problem.input_parts()) }
    }

    fn shares(&self) -> usize {
        self.outputs * self.inputs
    }
}

/// What a thread works on at a time, and where its scratch memory lies, in fp32: gathered rows, (blocks of the rows, pixels,
/// lanes), gradients, (blocks of outputs, pixels, lanes), then sums, (outputs, channels of the rows).
struct Room {
    /// Blocks of input channels at most.
    group: usize,
    /// Pixels at most.
    chunk: usize,
    /// Between blocks of rows and of gradients.
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
        let chunk = most.max(LEAST_CHUNK).min(problem.pixels().max(1));
        // A vector further apart than needed, lest the blocks of a row share a cache set.
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
    /// As many fp32 as the room says.
    scratch: *mut f32,
    /// Blocks of output channels, and parts of the input channels.
    outputs: Range<usize>,
    inputs: Range<usize>,
}

impl<E: Stored> Gradient<'_, E> {
    /// Copies the gradients of some pixels.
    ///
    /// # Safety
    /// As the kernel's.
    #[inline(always)]
    unsafe fn copy_gradients<V: Vector>(&self, pixels: Range<usize>) {
        let ddst = &self.problem.ddst;
        for (number, block) in self.outputs.clone().enumerate() {
            let to = self.scratch.wrapping_add(self.room.gradients_at + number * self.room.block);
            let mut slot = 0;
            while slot < pixels.len() {
                let (image, at) = ((pixels.start + slot) / ddst.pixels(), (pixels.start + slot) % ddst.pixels());
                let length = (ddst.pixels() - at).min(pixels.len() - slot);
                let plane = self.ddst.wrapping_add(ddst.start(image, block));
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

    /// Gathers the source pixels of some pixels, of a group of input channels.
    ///
    /// # Safety
    /// As the kernel's.
    #[inline(always)]
    unsafe fn gather<V: Vector>(&self, group: Range<usize>, pixels: Range<usize>) {
        let Gradient { problem, room, .. } = self;
        let rows = Gather {
            src: self.src,
            plane: &problem.src,
            phase: &problem.phase,
            blocks: group.clone(),
            to: self.scratch,
            stride: room.block,
        };
        // SAFETY: by the caller's promise.
        unsafe { rows.rows::<V>(pixels) };
    }

    /// Adds the products of some pixels to their sums, which the `first` ones set.
    ///
    /// # Safety
    /// As the kernel's.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, row_blocks: usize, pixels: usize, first: bool) {
        let &Gradient { room, scratch, .. } = self;
        let channels = row_blocks * V::LANES;
        let mut block = 0;
        while block < row_blocks {
            let blocks = outer_blocks(row_blocks - block);
            for row in (0..self.outputs.len() * V::LANES).step_by(outer_outputs::<V>()) {
                // SAFETY: by the caller's promise.
                unsafe {
                    let inputs = (scratch.add(block * room.block).cast_const(), room.block, blocks);
                    let gradients = room.gradients_at + row / V::LANES * room.block + row % V::LANES;
                    let gradients = scratch.add(gradients).cast_const();
                    let sums = (scratch.add(room.sums_at + row * channels + block * V::LANES), channels);
                    add_outer::<V>(gradients, inputs, pixels, sums, first);
                }
            }
            block += blocks;
        }
    }

    /// Puts the sums of a group of input channels in the gradient's own order, (O, I, K, K).
    ///
    /// # Safety
    /// As the kernel's.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, group: Range<usize>, row_blocks: usize) {
        let Gradient { problem, room, .. } = self;
        let (inputs, taps) = (problem.src.channels, problem.taps());
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
            // A block that only joins a single one: zeros, or what denormal numbers lie there would slow its products down.
            let rest = self.scratch.wrapping_add((row_blocks - 1) * room.block);
            for slot in 0..room.chunk {
                // SAFETY: by the caller's promise.
                unsafe { V::splat(0.0).store(rest.add(slot * V::LANES)) };
            }
            let all = 0..problem.pixels();
            for pixels in even_parts(all, room.chunk) {
                let first = pixels.start == 0;
                // SAFETY: by the caller's promise.
                unsafe {
                    self.copy_gradients::<V>(pixels.clone());
                    self.gather::<V>(group.clone(), pixels.clone());
                    self.multiply::<V>(row_blocks, pixels.len(), first);
                }
            }
            // SAFETY: by the caller's promise.
            unsafe { self.finish::<V>(group, row_blocks) };
        }
    }
}
