//! Forward convolutions, and the gradients of their inputs.

use std::marker::PhantomData;
use std::ops::Range;
use std::slice;

use in18_kernels::KernelError;
use in18_tensor::{Region, Tensor};

use super::numbers::{Fixed, Inputs, Numbers, Single, scale, staging_point};
use super::tiles::{POINTS, SIDE, TILE};
use super::tiles::{Problem, Square};
use super::transform;
use super::weights::{Form, TransformWeights, pair, pair_scales, square};
use crate::context::Context;
use crate::context::CopyId;
use crate::finish::{End, Finish};
use crate::product::multiply;
use crate::simd::{Kernel, MOST_LANES, Stored, Vector, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, check_threads, even_parts, max_threads, parallel, part};
use crate::vector::Bf16;

/// Bytes of transformed input that a thread processes at a time. More bytes would make better use
/// of each transformed kernel that the thread reads from the third-level cache.
const CHUNK_BYTES: usize = 512 << 10;

/// The fewest tiles that a thread processes at a time: two products of the most rows.
const LEAST_CHUNK: usize = 28;

/// Like [`CHUNK_BYTES`], if kernels do not fit in [`GROUP_BYTES`]. The inputs of a single chunk are
/// transformed once, but those of several chunks anew for each group of kernels.
const LARGE_CHUNK_BYTES: usize = 5 << 20;

/// Bytes of kernels that a thread transforms at a time: a part of the third-level cache.
const GROUP_BYTES: usize = 2560 << 10;

/// Where a convolution's kernels come from.
#[derive(Clone, Copy)]
pub enum Kernels {
    /// Transforms the weights anew each time, because in training they change each time, and all
    /// transformed kernels would take four times the memory of the weights. `turned`: rotated by
    /// 180°, for the gradient of an input.
    Fresh { weights: Region, turned: bool },
    /// Reads a copy that is kept, with a bias.
    Kept(CopyId),
}

/// The step that computes a convolution of `src` to `dst`. Regions must be as long as their shapes
/// say.
pub fn compile(
    problem: Problem,
    [src, dst]: [&Tensor; 2],
    kernels: Kernels,
    end: End,
    form: Form,
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    match form {
        Form::F32 => compile_for::<f32, Single>(problem, [src, dst], kernels, end, context),
        Form::Bf16 => compile_for::<Bf16, Single>(problem, [src, dst], kernels, end, context),
        Form::Bf16Fixed => compile_for::<Bf16, Fixed>(problem, [src, dst], kernels, end, context),
    }
}

fn compile_for<E: Stored, N: Numbers>(
    problem: Problem,
    [src, dst]: [&Tensor; 2],
    kernels: Kernels,
    end: End,
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    let threads = max_threads();
    let is_kept = matches!(kernels, Kernels::Kept(_));
    let room = Room::new::<N>(&problem, Grid::new(&problem, is_kept, threads), is_kept);
    context.reserve_scratch(threads.min(room.grid.shares()) * room.elements * size_of::<f32>())?;
    let (src, dst) = (src.region, dst.region);
    Ok(Box::new(LoopStep("own:winograd", move |context: &mut Context| {
        check_threads(threads)?;
        Work { problem: &problem, room: &room, end }.run::<E, N>(&src, kernels, &dst, context)
    })))
}

/// How threads share a convolution: parts of the tiles, times parts of the pairs of output blocks.
/// Each thread transforms what it needs for itself. Reading what another core has written would
/// cost more, above all across a processor's groups of cores.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    tiles: usize,
    pairs: usize,
}

impl Grid {
    /// The grid of least work, for at most `threads` threads.
    fn new(problem: &Problem, is_kept: bool, threads: usize) -> Self {
        let (tiles, pairs) = (problem.tiles(), problem.output_blocks / 2);
        // Vector operations per input channel: for products, for the transforms of kernels, and for
        // the transforms of tiles (which transform a block of channels at once).
        let a_pair = if is_kept { 0 } else { 400 };
        let work = |grid: &Grid| {
            let (tiles, pairs) = (tiles.div_ceil(grid.tiles), pairs.div_ceil(grid.pairs));
            2 * POINTS * tiles * pairs + a_pair * pairs + 300 * tiles / problem.lanes
        };
        let grids = (1..=threads.min(pairs)).map(|pairs| Grid { tiles: (threads / pairs).min(tiles), pairs });
        grids.min_by_key(work).unwrap_or(Grid { tiles: 1, pairs: 1 })
    }

    fn shares(&self) -> usize {
        self.tiles * self.pairs
    }
}

/// How much a thread processes at a time, and the layout of its scratch memory, in words of 32
/// bits: transformed kernels, inputs, sums. If numbers have scales, then the scales of the inputs,
/// and memory to transform a tile.
struct Room {
    grid: Grid,
    /// The most pairs of output blocks.
    group: usize,
    /// The most tiles.
    chunk: usize,
    inputs_at: usize,
    sums_at: usize,
    scales_at: usize,
    staging_at: usize,
    elements: usize,
    /// The distances between blocks of a point, and between points. The vectors of successive tiles
    /// lie side by side.
    block: usize,
    input_point: usize,
    sum_point: usize,
}

impl Room {
    fn new<N: Numbers>(problem: &Problem, grid: Grid, is_kept: bool) -> Self {
        let (tiles, pairs) = (problem.tiles().div_ceil(grid.tiles), (problem.output_blocks / 2).div_ceil(grid.pairs));
        let (word_blocks, pair) = (problem.input_blocks / N::CHANNELS, pair::<N>(problem.input_blocks, problem.lanes));
        let group = if is_kept { pairs } else { (GROUP_BYTES / (pair * size_of::<f32>())).clamp(1, pairs) };
        let bytes = if group == pairs { CHUNK_BYTES } else { LARGE_CHUNK_BYTES };
        let most = (bytes / problem.tile_bytes(word_blocks)).max(LEAST_CHUNK);
        let chunk = most.min(tiles).next_multiple_of(2);
        let block = chunk * problem.lanes;
        // One vector more than needed, so that the points of a tile do not share a cache set.
        let (input_point, sum_point) = (word_blocks * block + MOST_LANES, 2 * block + MOST_LANES);
        let inputs_at = if is_kept { 0 } else { group * pair };
        let sums_at = inputs_at + POINTS * input_point;
        let scales_at = sums_at + POINTS * sum_point;
        let scales = if N::HAS_SCALES { scale(N::parts(problem.input_blocks), 0) * chunk } else { 0 };
        // At a multiple of a vector, because each thread's memory begins at such a multiple.
        let staging_at = scales_at + scales.next_multiple_of(MOST_LANES);
        let staging = POINTS * staging_point(problem.input_blocks, problem.lanes);
        let elements = staging_at + if N::HAS_SCALES { staging } else { 0 };
        Room { grid, group, chunk, inputs_at, sums_at, scales_at, staging_at, elements, block, input_point, sum_point }
    }
}

struct Work<'a> {
    problem: &'a Problem,
    room: &'a Room,
    end: End,
}

impl Work<'_> {
    fn run<E: Stored, N: Numbers>(
        self,
        src: &Region,
        kernels: Kernels,
        dst: &Region,
        context: &mut Context,
    ) -> Result<(), KernelError> {
        let Work { problem, room, end } = self;
        let source = match kernels {
            Kernels::Fresh { weights, turned } => {
                Source::Fresh { weights: Shared::new(context.address(&weights)?), turned }
            }
            Kernels::Kept(copy) => Source::Kept {
                kernels: Shared::new(context.refreshed_weights(copy)?),
                bias: Shared::new(context.refreshed_bias(copy)?),
            },
        };
        let (src, dst) = (Shared::<E>::new(context.address(src)?), Shared::<E>::new(context.address(dst)?));
        let scratch = Shared::<f32>::new(context.scratch.start());
        let (isa, Grid { tiles, pairs }) = (context.isa, room.grid);
        parallel(|thread, threads| {
            for share in (thread..room.grid.shares()).step_by(threads) {
                // SAFETY: `problem` compared the shapes with the regions. Scratch memory was
                // reserved for every thread with a share, and these are the first threads. No two
                // shares have the same tiles and pairs.
                unsafe {
                    let convolution = Convolution {
                        numbers: PhantomData::<N>,
                        problem,
                        room,
                        src: src.at(0).cast_const(),
                        source,
                        end,
                        dst: dst.at(0),
                        scratch: scratch.at(thread * room.elements),
                        tiles: part(problem.tiles(), 1, share % tiles, tiles),
                        pairs: part(problem.output_blocks / 2, 1, share / tiles, pairs),
                    };
                    run(isa, problem.lanes, convolution);
                }
            }
        });
        Ok(())
    }
}

/// The addresses of [`Kernels`].
#[derive(Clone, Copy)]
enum Source {
    Fresh { weights: Shared<f32>, turned: bool },
    Kept { kernels: Shared<f32>, bias: Shared<f32> },
}

/// A share of a convolution.
struct Convolution<'a, E, N> {
    numbers: PhantomData<N>,
    problem: &'a Problem,
    room: &'a Room,
    src: *const E,
    source: Source,
    end: End,
    dst: *mut E,
    /// Scratch memory for `room.elements` words.
    scratch: *mut f32,
    tiles: Range<usize>,
    pairs: Range<usize>,
}

impl<E: Stored, N: Numbers> Convolution<'_, E, N> {
    /// Transforms the inputs of some tiles.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn transform<V: Vector>(&self, tiles: Range<usize>) {
        let Room { inputs_at, scales_at, staging_at, chunk, block, input_point, .. } = *self.room;
        let blocks = self.problem.input_blocks;
        for (slot, tile) in tiles.enumerate() {
            let (image, corner) = self.problem.place(tile);
            // SAFETY: by the caller's promise.
            unsafe {
                let image = self.src.add(self.problem.start(image, 0, blocks));
                let square = Square::<E, SIDE>::new::<V>(image, self.problem, corner, 1);
                let to = Inputs {
                    words: self.scratch.add(inputs_at + slot * V::LANES),
                    block,
                    point: input_point,
                    scales: self.scratch.wrapping_add(scales_at + slot),
                    scale: chunk,
                    staging: self.scratch.wrapping_add(staging_at),
                };
                N::transform::<E, V>(&square, blocks, to);
            }
        }
    }

    /// The transformed kernels of a group of pairs.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn kernels<V: Vector>(&self, pairs: Range<usize>) -> *const f32 {
        // SAFETY: by the caller's promise.
        unsafe {
            match self.source {
                Source::Fresh { weights, turned } => {
                    let transform = TransformWeights {
                        forms: PhantomData::<(E, N)>,
                        weights: weights.at(0),
                        outputs: self.problem.outputs(),
                        inputs: self.problem.inputs(),
                        turned,
                        end: None,
                        to: self.scratch,
                        pairs,
                    };
                    transform.run::<V>();
                    self.scratch
                }
                Source::Kept { kernels, .. } => {
                    kernels.at(pairs.start * pair::<N>(self.problem.input_blocks, V::LANES))
                }
            }
        }
    }

    /// Sums the products of some tiles with the kernels of a pair.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, kernels: *const f32, tiles: usize) {
        let Room { inputs_at, sums_at, scales_at, chunk, block, input_point, sum_point, .. } = *self.room;
        let input_blocks = self.problem.input_blocks;
        let scales = pair_scales::<N>(input_blocks, V::LANES);
        for point in 0..POINTS {
            for number in 0..N::parts(input_blocks) {
                let blocks = N::part(input_blocks, number);
                // SAFETY: by the caller's promise.
                unsafe {
                    let weights = kernels.add((blocks.start * POINTS + point) * square(V::LANES));
                    let next = POINTS * square(V::LANES);
                    let weights = (weights, next, next);
                    let inputs = self.scratch.add(inputs_at + point * input_point + blocks.start * block).cast_const();
                    let inputs = (inputs, block);
                    let sums = (self.scratch.add(sums_at + point * sum_point), block);
                    // Without scales, these places do not exist.
                    let of_tiles = self.scratch.wrapping_add(scales_at + scale(number, point) * chunk).cast_const();
                    let of_kernels = kernels.wrapping_add(scales + scale(number, point) * 2 * V::LANES);
                    let product = N::product::<V>([of_tiles, of_kernels], number == 0);
                    multiply::<V, _>(tiles, inputs, weights, slice::from_ref(&(0..blocks.len())), sums, product);
                }
            }
        }
    }

    /// Transforms back the sums of some tiles and a pair, and stores the results.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, pair: usize, tiles: Range<usize>) {
        let &Problem { output_blocks, height, width, .. } = self.problem;
        for half in 0..2 {
            let block = 2 * pair + half;
            // SAFETY: by the caller's promise.
            let bias = unsafe {
                match self.source {
                    Source::Fresh { .. } => V::splat(0.0),
                    Source::Kept { bias, .. } => V::load(bias.at(block * V::LANES)),
                }
            };
            let finish = Finish { bias, end: self.end };
            for (slot, tile) in tiles.clone().enumerate() {
                let (image, corner) = self.problem.place(tile);
                let inside = (TILE.min(height - corner.y), TILE.min(width - corner.x));
                // SAFETY: by the caller's promise.
                unsafe {
                    let plane = self.dst.add(self.problem.start(image, block, output_blocks));
                    let to = plane.add((corner.y * width + corner.x) * V::LANES);
                    let from = self.scratch.add(self.room.sums_at + half * self.room.block + slot * V::LANES);
                    transform::output::<E, V>((from, self.room.sum_point), (to, width), inside, finish);
                }
            }
        }
    }
}

impl<E: Stored, N: Numbers> Kernel for Convolution<'_, E, N> {
    const MULTIPLIES_PAIRS: bool = N::CHANNELS == 2;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Room { group, chunk, .. } = *self.room;
        let is_single = self.tiles.len() <= chunk;
        let pair_elements = pair::<N>(self.problem.input_blocks, V::LANES);
        let mut has_inputs = false;
        for pairs in even_parts(self.pairs.clone(), group) {
            // SAFETY: by the caller's promise.
            let kernels = unsafe { self.kernels::<V>(pairs.clone()) };
            for tiles in even_parts(self.tiles.clone(), chunk) {
                // SAFETY: by the caller's promise.
                unsafe {
                    if !has_inputs {
                        self.transform::<V>(tiles.clone());
                        has_inputs = is_single;
                    }
                    for (number, pair) in pairs.clone().enumerate() {
                        self.multiply::<V>(kernels.add(number * pair_elements), tiles.len());
                        self.finish::<V>(pair, tiles.clone());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(channels: usize, side: usize) -> Problem {
        let blocks = channels / 16;
        Problem { images: 64, input_blocks: blocks, output_blocks: blocks, height: side, width: side, lanes: 16 }
    }

    #[test]
    fn threads_share_what_there_is_more_of() {
        assert_eq!(Grid::new(&problem(64, 32), false, 2), Grid { tiles: 2, pairs: 1 });
        assert_eq!(Grid::new(&problem(512, 4), false, 2), Grid { tiles: 1, pairs: 2 });
        assert_eq!(Grid::new(&problem(512, 4), false, 64), Grid { tiles: 4, pairs: 16 });
        assert_eq!(Grid::new(&problem(64, 32), false, 64), Grid { tiles: 64, pairs: 1 });
    }
}
