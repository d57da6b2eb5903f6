//! Forward convolutions, and the gradients of their inputs.

use std::ops::Range;

use in18_kernels::KernelError;
use in18_tensor::{DType, Tensor};

use super::gather::{Gather, Part, Phase, Plane, collect, scatter};
use super::weights::PackedWeights;
use super::{NAME, Shapes, plane, unsupported};
use crate::context::Context;
use crate::context::CopyId;
use crate::finish::{End, Finish};
use crate::fold::Fold;
use crate::product::{Plain, multiply};
use crate::simd::{Kernel, MOST_LANES, Stored, Vector, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, check_threads, even_parts, max_threads, parallel, part};
use crate::vector::Bf16;

/// Bytes of gathered rows that a thread processes at a time: half a second-level cache.
const CHUNK_BYTES: usize = 512 << 10;

/// The fewest rows that a thread processes at a time: two products of the most rows.
const LEAST_CHUNK: usize = 28;

/// Bytes of a pair's weights that products read at a time. They stay in a first-level cache for all
/// rows.
const PANEL_BYTES: usize = 16 << 10;

/// The step that computes `dst` from `src`: a convolution's result, or the gradient of its input
/// from that of its result.
pub fn compile(
    shapes: Shapes,
    [src, weight, dst]: [&Tensor; 3],
    fold: Option<Fold>,
    end: End,
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    let problem = Problem::new(shapes, plane(src, context)?, plane(dst, context)?);
    let packed = PackedWeights::new(weight, shapes.window, shapes.direction, context.layout, src.dtype);
    let copy = context.packed_copy(weight, packed.clone(), fold)?;
    match src.dtype {
        DType::F32 => step::<f32>(problem, [src, dst], (packed, copy), end, context),
        DType::Bf16 => step::<Bf16>(problem, [src, dst], (packed, copy), end, context),
        DType::F16 | DType::U8 | DType::I32 => Err(unsupported(src.dtype)),
    }
}

fn step<E: Stored>(
    problem: Problem,
    [src, dst]: [&Tensor; 2],
    (packed, copy): (PackedWeights, CopyId),
    end: End,
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    let threads = max_threads();
    let grid = Grid::new(&problem, threads);
    let room = Room::new(&problem, grid);
    context.reserve_scratch(threads.min(grid.shares()) * room.elements * size_of::<f32>())?;
    let (src, dst) = (src.region, dst.region);
    Ok(Box::new(LoopStep(NAME, move |context: &mut Context| {
        check_threads(threads)?;
        let weights = Shared::<f32>::new(context.refreshed_weights(copy)?);
        let bias = Shared::<f32>::new(context.refreshed_bias(copy)?);
        let (src, dst) = (Shared::<E>::new(context.address(&src)?), Shared::<E>::new(context.address(&dst)?));
        let scratch = Shared::<f32>::new(context.scratch.start());
        let isa = context.isa;
        parallel(|thread, threads| {
            for share in (thread..grid.shares()).step_by(threads) {
                // SAFETY: `plane` compared the regions with the shapes, and the copies were made
                // for these shapes. Scratch memory was reserved for every thread with a share, and
                // these are the first threads. No two shares have the same results.
                unsafe {
                    let convolution = Convolution {
                        problem: &problem,
                        packed: &packed,
                        room: &room,
                        src: src.at(0).cast_const(),
                        weights: weights.at(0).cast_const(),
                        bias: bias.at(0).cast_const(),
                        end,
                        dst: dst.at(0),
                        scratch: scratch.at(thread * room.elements),
                        share: (share % grid.pixels, grid.pixels),
                        pairs: part(problem.pairs(), 1, share / grid.pixels, grid.pairs),
                    };
                    run(isa, problem.src.lanes, convolution);
                }
            }
        });
        Ok(())
    })))
}

/// The share of the kernel's taps that products compute, over all result pixels. The other taps are
/// padding.
pub fn inside(shapes: Shapes, src: Plane, dst: Plane) -> f32 {
    let taps = |phases: &mut dyn Iterator<Item = &Phase>| -> usize {
        phases.map(|phase| phase.taps.len() * phase.pixels()).sum()
    };
    let problem = Problem::new(shapes, src, dst);
    let met = taps(&mut problem.parts.iter().map(|part| &part.pixels));
    met as f32 / taps(&mut shapes.phases(&dst).iter()).max(1) as f32
}

/// The shapes of a convolution.
struct Problem {
    src: Plane,
    dst: Plane,
    parts: Vec<Part>,
    /// The panels of each part.
    panels: Vec<Vec<Panel>>,
}

/// Blocks of a row that products read at a time.
#[derive(Clone, Debug, PartialEq)]
struct Panel {
    /// The first block.
    start: usize,
    /// The blocks of weights that these blocks are multiplied with.
    weights: Vec<Range<usize>>,
}

impl Panel {
    /// Divides the blocks of rows that meet these blocks of weights into panels of at most `most`
    /// blocks. Without blocks there is one panel.
    fn cut(weights: impl Iterator<Item = Range<usize>>, most: usize) -> Vec<Panel> {
        let weights: Vec<Range<usize>> = weights.collect();
        let blocks = weights.iter().map(Range::len).sum();
        let mut panels = Vec::new();
        for panel in even_parts(0..blocks, most) {
            let mut start = 0;
            let within = |run: &Range<usize>| {
                let offset = |at: usize| run.start + at.clamp(start, start + run.len()) - start;
                let part = offset(panel.start)..offset(panel.end);
                start += run.len();
                part
            };
            let weights = weights.iter().map(within).filter(|part| !part.is_empty()).collect();
            panels.push(Panel { start: panel.start, weights });
        }
        if panels.is_empty() {
            panels.push(Panel { start: 0, weights: Vec::new() });
        }
        panels
    }
}

impl Problem {
    fn new(shapes: Shapes, src: Plane, dst: Plane) -> Self {
        let phases = shapes.phases(&dst);
        // Reading the weights takes about as long as the products of a row per lane.
        let parts = Part::of_phases(&phases, &src, src.lanes);
        let most = PANEL_BYTES / (2 * src.lanes * src.lanes * size_of::<f32>());
        let panels = |part: &Part| Panel::cut(src.runs(&part.taps, src.blocks()), most);
        let panels = parts.iter().map(panels).collect();
        Problem { src, dst, parts, panels }
    }

    /// Pairs of blocks of result channels; the last pair may be half.
    fn pairs(&self) -> usize {
        self.dst.blocks().div_ceil(2)
    }

    /// The number of blocks of the longest rows.
    fn row_blocks(&self) -> usize {
        self.parts.iter().map(|part| self.src.row_blocks(part.pixels.taps.len())).max().unwrap_or(0)
    }

    /// Result pixels of the largest part, of all images.
    fn most_pixels(&self) -> usize {
        self.parts.iter().map(|part| self.dst.images * part.pixels.pixels()).max().unwrap_or(0)
    }
}

/// How threads share a convolution: parts of the result pixels, times parts of the pairs of output
/// blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    pixels: usize,
    pairs: usize,
}

impl Grid {
    /// The grid, for at most `threads` threads, that gives the busiest thread the least work. The
    /// unit of work is a vector of an input channel. Counted are products, gathered rows, and
    /// weights that are read.
    fn new(problem: &Problem, threads: usize) -> Self {
        let (most, pairs, lanes) = (problem.most_pixels().max(1), problem.pairs().max(1), problem.src.lanes);
        let work = |grid: &Grid| -> usize {
            let pairs = pairs.div_ceil(grid.pairs);
            let of_part = |part: &Part| {
                let pixels = (problem.dst.images * part.pixels.pixels()).div_ceil(grid.pixels);
                part.pixels.taps.len() * (2 * pixels * pairs + pixels + 2 * pairs * lanes)
            };
            problem.parts.iter().map(of_part).sum()
        };
        let grids = (1..=threads.min(pairs)).map(|pairs| Grid { pixels: (threads / pairs).min(most), pairs });
        grids.min_by_key(work).unwrap_or(Grid { pixels: 1, pairs: 1 })
    }

    fn shares(&self) -> usize {
        self.pixels * self.pairs
    }
}

/// How much a thread processes at a time, and the layout of its scratch memory, in fp32: gathered
/// rows, then the sums of two blocks.
struct Room {
    /// The most rows, an even number.
    chunk: usize,
    /// The distance between blocks. Within a block, the vectors of the rows lie side by side.
    block: usize,
    sums_at: usize,
    elements: usize,
}

impl Room {
    fn new(problem: &Problem, grid: Grid) -> Self {
        let (lanes, row_blocks) = (problem.src.lanes, problem.row_blocks());
        let row_bytes = row_blocks.max(1) * lanes * size_of::<f32>();
        let most = problem.most_pixels().div_ceil(grid.pixels).max(1);
        let chunk = (CHUNK_BYTES / row_bytes).max(LEAST_CHUNK).min(most).next_multiple_of(2);
        // One vector more than needed, so that the blocks of a row do not share a cache set.
        let block = chunk * lanes + MOST_LANES;
        let sums_at = row_blocks * block;
        Room { chunk, block, sums_at, elements: sums_at + 2 * block }
    }
}

/// A share of a convolution.
struct Convolution<'a, E> {
    problem: &'a Problem,
    packed: &'a PackedWeights,
    room: &'a Room,
    src: *const E,
    weights: *const f32,
    bias: *const f32,
    end: End,
    dst: *mut E,
    /// Scratch memory for `room.elements` fp32 numbers.
    scratch: *mut f32,
    /// The number of this share of each part's pixels, and the number of shares.
    share: (usize, usize),
    pairs: Range<usize>,
}

impl<E: Stored> Convolution<'_, E> {
    /// Stores the sums of a pair of blocks as result pixels.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn store<V: Vector>(&self, phase: &Phase, pair: usize, pixels: Range<usize>) {
        let Convolution { problem, room, end, .. } = self;
        let dst = &problem.dst;
        for half in 0..2 {
            let block = 2 * pair + half;
            if block >= dst.blocks() {
                return;
            }
            // SAFETY: by the caller's promise, here and below. The bias is as long as two whole
            // blocks for each pair.
            let finish = unsafe { Finish { bias: V::load(self.bias.add(block * V::LANES)), end: *end } };
            let sums = self.scratch.wrapping_add(room.sums_at + half * room.block);
            let mut slot = 0;
            while slot < pixels.len() {
                let place = phase.place(pixels.start + slot);
                let length = place.left.min(pixels.len() - slot);
                let plane = self.dst.wrapping_add(dst.start(place.image, block));
                for pixel in 0..length {
                    let at = phase.number(&place, dst.width) + pixel * phase.step;
                    // SAFETY: as above.
                    unsafe {
                        let sum = V::load(sums.add((slot + pixel) * V::LANES));
                        if dst.is_blocked {
                            let to = plane.add(at * V::LANES);
                            E::store(finish.apply(sum, to), to);
                        } else {
                            self.store_scattered(sum, finish, plane.add(at));
                        }
                    }
                }
                slot += length;
            }
        }
    }

    /// Stores a result pixel of row-major channels.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn store_scattered<V: Vector>(&self, sum: V, finish: Finish<V>, to: *mut E) {
        let (plane, channels) = (self.problem.dst.pixels(), self.problem.dst.channels);
        let mut before = [E::default(); MOST_LANES];
        // SAFETY: by the caller's promise.
        unsafe {
            E::store(collect::<E, V>(to, plane, channels), before.as_mut_ptr());
            scatter(finish.apply(sum, before.as_ptr()), to, plane, channels);
        }
    }
}

impl<E: Stored> Kernel for Convolution<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Convolution { problem, room, .. } = &self;
        for (&Part { of, pixels: ref phase, .. }, panels) in problem.parts.iter().zip(&problem.panels) {
            let row_blocks = problem.src.row_blocks(phase.taps.len());
            let all = part(problem.dst.images * phase.pixels(), 1, self.share.0, self.share.1);
            for pixels in even_parts(all, room.chunk) {
                let rows = Gather {
                    src: self.src,
                    plane: &problem.src,
                    phase,
                    blocks: 0..problem.src.blocks(),
                    to: self.scratch,
                    stride: room.block,
                };
                // SAFETY: by the caller's promise.
                unsafe {
                    rows.rows::<V>(pixels.clone());
                    if pixels.len() % 2 == 1 {
                        // A product reads rows by twos. Denormal numbers in the place of a missing
                        // row would slow it down.
                        for block in 0..row_blocks {
                            V::splat(0.0).store(self.scratch.add(block * room.block + pixels.len() * V::LANES));
                        }
                    }
                    for pair in self.pairs.clone() {
                        let weights = self.weights.add(self.packed.start(of, pair));
                        let weights = (weights, 2 * V::LANES * V::LANES, PANEL_BYTES / size_of::<f32>());
                        let sums = (self.scratch.add(room.sums_at), room.block);
                        for Panel { start, weights: runs } in panels {
                            let inputs = (self.scratch.add(start * room.block).cast_const(), room.block);
                            let product = Plain { is_first: *start == 0 };
                            multiply::<V, _>(pixels.len(), inputs, weights, runs, sums, product);
                        }
                        self.store::<V>(phase, pair, pixels.clone());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use in18_kernels::op::Window;

    use crate::packed::Direction;

    use super::*;

    #[test]
    fn panels_hold_every_block_once_in_order() {
        for (runs, most) in [(vec![0..3, 5..6, 7..15], 4), (vec![2..3, 9..9], 8), (vec![0..8, 9..20], 20), (vec![], 4)]
        {
            let panels = Panel::cut(runs.iter().cloned(), most);
            let mut seen = Vec::new();
            for Panel { start, weights } in panels {
                assert_eq!(start, seen.len());
                seen.extend(weights.into_iter().flatten());
                assert!(seen.len() - start <= most);
            }
            assert!(seen.into_iter().eq(runs.into_iter().flatten()));
        }
    }

    #[test]
    fn threads_share_what_there_is_more_of() {
        let problem = |channels: usize, side: usize| {
            let plane = Plane { images: 32, channels, height: side, width: side, lanes: 8, is_blocked: true };
            let window = Window { kernel: 3, stride: 1, padding: 1 };
            Problem::new(Shapes { window, direction: Direction::Forward }, plane, plane)
        };
        assert_eq!(Grid::new(&problem(64, 16), 2), Grid { pixels: 2, pairs: 1 });
        assert_eq!(Grid::new(&problem(512, 2), 2), Grid { pixels: 1, pairs: 2 });
        assert_eq!(Grid::new(&problem(512, 2), 64).shares(), 64);
    }
}
