//! The gradient of a convolution's weights, by AVX-512 code of our own. oneDNN's code for it runs
//! at three quarters of the rate of oneDNN's other convolutions (310-370 against 450-490 Gflop/s on
//! two Zen 4 cores).
//!
//! For one tap (ky, kx) of the kernel, `dweight[o,i] = Σ ddst[n,o,y,x] ·
//! src[n,i,y·stride+ky−padding,x·stride+kx−padding]` is a matrix product over the pixels (n, y, x).
//! It is built of tiles of 16 output and 16 input channels, which lie in 16 vectors of fp32 sums
//! ([`tile`]). Each step adds the products of as many pixels of 16 channels as fit in 64 bytes: two
//! in bf16 (`VDPBF16PS`), one in fp32. Activations have their channels in blocks of 16, so the
//! pixels of a block are contiguous, and so is a row of pixels shifted by a tap. Only a stride, or
//! padding on the left and right, needs a copy ([`pack`]).
//!
//! Threads share the output channels, then the input channels, but never pixels. So the order of
//! each sum does not depend on the number of threads, and no sums have to be reduced between
//! threads.

mod layout;
mod pack;
mod tile;

use std::ops::Range;

use in18_kernels::KernelError;
use in18_kernels::op::ConvBackwardWeight;
use in18_tensor::{DType, align_up};

use self::layout::{Chunk, Group, Problem, Walk};
use self::tile::{LANES, Rows};
use crate::context::Context;
use crate::isa::Level;
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, check_threads, grid_part, max_threads, parallel};

/// Pixels of a chunk. Its gradients (8 KiB in bf16) and its pixels of a block of input channels
/// stay in the first-level cache together, while all taps and input channels use them.
const CHUNK_PIXELS: usize = 256;

/// Bytes of copied input pixels that a thread processes at a time: most of a second-level cache.
const GROUP_BYTES: usize = 640 << 10;

/// The step that computes `op`, or `None` if oneDNN has to compute it.
pub fn compile(op: &ConvBackwardWeight, context: &mut Context) -> Result<Option<Box<dyn Step>>, KernelError> {
    let has_dot_product = context.isa.level() == Level::Avx512Bf16;
    let is_fast = match op.src.dtype {
        DType::Bf16 => has_dot_product && context.fast_pairs,
        DType::F32 => has_dot_product || context.isa.level() == Level::Avx512,
        DType::F16 | DType::U8 | DType::I32 => false,
    };
    let problem = Problem::new(op);
    let threads = max_threads();
    let Some(problem) = problem.filter(|problem| is_fast && problem.tiles() >= threads) else { return Ok(None) };
    for (tensor, bytes) in [
        (&op.src, context.layout.activation_bytes(op.src.shape, op.src.dtype)),
        (&op.ddst, context.layout.activation_bytes(op.ddst.shape, op.ddst.dtype)),
        (&op.dweight, op.dweight.shape.elements() * size_of::<f32>()),
    ] {
        context.operand(&tensor.region)?;
        if tensor.region.bytes < bytes {
            let what = "an operand of a weight gradient, in bytes";
            return Err(KernelError::Length { what, expected: bytes, got: tensor.region.bytes });
        }
    }
    let walk = Walk::new(&problem, CHUNK_PIXELS, GROUP_BYTES);
    let room = Room::new(&problem, &walk, threads);
    context.reserve_scratch(room.bytes)?;
    let op = *op;
    Ok(Some(Box::new(LoopStep("own:tiles", move |context: &mut Context| {
        check_threads(threads)?;
        let work = Work {
            problem: &problem,
            walk: &walk,
            room: &room,
            src: Shared::new(context.address(&op.src.region)?),
            ddst: Shared::new(context.address(&op.ddst.region)?),
            dweight: Shared::new(context.address(&op.dweight.region)?),
            scratch: Shared::new(context.scratch.start()),
        };
        parallel(|thread, threads| {
            // SAFETY: `compile` compared the regions with the shapes, reserved the scratch memory
            // for at least this many threads, and checked the instructions. Each thread is called
            // once.
            unsafe { work.share(thread, threads) }
        });
        Ok(())
    }))))
}

/// The layout of scratch memory, in bytes: sums of all tiles, then each thread's copies.
struct Room {
    thread_at: usize,
    gradients_bytes: usize,
    thread_bytes: usize,
    bytes: usize,
}

impl Room {
    fn new(problem: &Problem, walk: &Walk, threads: usize) -> Self {
        let taps = problem.taps();
        let sums = if taps > 1 { problem.tiles() * taps * TILE * size_of::<f32>() } else { 0 };
        let thread_at = align_up(sums);
        let gradients_bytes = align_up(walk.chunk_steps * tile::STEP_BYTES);
        let thread_bytes = gradients_bytes + align_up(walk.packed_bytes(problem));
        Room { thread_at, gradients_bytes, thread_bytes, bytes: thread_at + threads * thread_bytes }
    }
}

/// The number of sums of a tile.
const TILE: usize = LANES * LANES;

struct Work<'a> {
    problem: &'a Problem,
    walk: &'a Walk,
    room: &'a Room,
    src: Shared<u8>,
    ddst: Shared<u8>,
    dweight: Shared<f32>,
    scratch: Shared<u8>,
}

impl Work<'_> {
    /// Computes a thread's share.
    ///
    /// # Safety
    /// The addresses must be valid for the problem's shapes and the room's bytes. No two threads
    /// may have the same share. The CPU must have the instructions of the problem's type.
    unsafe fn share(&self, thread: usize, threads: usize) {
        let (problem, walk) = (self.problem, self.walk);
        let (outputs, inputs) = shares(problem, thread, threads);
        if outputs.is_empty() || inputs.is_empty() {
            return;
        }
        let own = self.room.thread_at + thread * self.room.thread_bytes;
        let mut first = true;
        for group in &walk.groups {
            // SAFETY: by the caller's promise, here and below. `walk` names only pixels of the
            // problem, and places in the thread's own copies, for which `Room` made space.
            let pixels = unsafe { self.pixels(group, &inputs, own + self.room.gradients_bytes) };
            for (number, chunk) in group.chunks.iter().enumerate() {
                let next = group.chunks.get(number + 1);
                for output in outputs.clone() {
                    // SAFETY: as above.
                    unsafe {
                        let gradients = self.scratch.at(own);
                        pack::gradients(problem, self.ddst.at(0), group.images.start, output, &chunk.rows, gradients);
                        for (slot, input) in inputs.clone().enumerate() {
                            let block = pixels.add(slot * walk.block_bytes);
                            for (tap, (ky, kx)) in problem.each_tap().enumerate() {
                                let (sums, stride) = self.sums(output, input, tap);
                                let pixels = block.add(walk.column_offset(problem, kx));
                                // Prefetch the next gradients first, then the next chunk's pixels,
                                // one block per call.
                                let ahead = match slot * problem.taps() + tap {
                                    0 if output + 1 < outputs.end => self.gradients(group, chunk, output + 1),
                                    0 => next.map_or(gradients, |next| self.gradients(group, next, outputs.start)),
                                    call => {
                                        let calls = inputs.len() * problem.taps() - 1;
                                        let block = (output - outputs.start) * calls + call - 1;
                                        match next.and_then(|next| next.runs[0].first()) {
                                            Some(run) if !walk.is_packed && block < inputs.len() => {
                                                pixels.add(block * walk.block_bytes + run.pixels)
                                            }
                                            _ => gradients,
                                        }
                                    }
                                };
                                let rows = Rows { runs: &chunk.runs[ky], pixels: problem.row_pixels, ahead };
                                tile::add(problem.dtype, sums, stride, first, gradients, pixels, rows);
                            }
                        }
                    }
                }
                first = false;
            }
        }
        if problem.taps() > 1 {
            for output in outputs {
                for input in inputs.clone() {
                    // SAFETY: as above; the tile's sums are complete.
                    unsafe { self.store(output, input) };
                }
            }
        }
    }

    /// Where the pixels of a group and of the first of these input blocks begin. If products read
    /// copies of pixels, the copies are made at `copies` of the scratch memory.
    ///
    /// # Safety
    /// As for [`share`](Self::share), whose thread alone uses the copies.
    unsafe fn pixels(&self, group: &Group, inputs: &Range<usize>, copies: usize) -> *mut u8 {
        let (problem, walk, images) = (self.problem, self.walk, &group.images);
        // SAFETY: by the caller's promise.
        unsafe {
            if !walk.is_packed {
                return self.src.at(images.start * problem.src_image_bytes() + inputs.start * walk.block_bytes);
            }
            let packed = self.scratch.at(copies);
            for (slot, input) in inputs.clone().enumerate() {
                let to = packed.add(slot * walk.block_bytes);
                pack::inputs(problem, self.src.at(0), images.clone(), input, to);
            }
            packed
        }
    }

    /// Where the gradients of a chunk and a block begin.
    fn gradients(&self, group: &Group, chunk: &Chunk, output: usize) -> *mut u8 {
        let problem = self.problem;
        let (image, row) = chunk.rows[0];
        let block = (group.images.start + image) * problem.output_blocks + output;
        // SAFETY: the row lies in the gradient.
        unsafe { self.ddst.at((block * problem.rows + row) * problem.row_pixels * problem.pixel_bytes()) }
    }

    /// The address of a tile's sums, and the distance between the rows of two output channels. For
    /// a kernel of one tap, the sums lie in the gradient itself.
    ///
    /// # Safety
    /// As [`share`](Self::share).
    unsafe fn sums(&self, output: usize, input: usize, tap: usize) -> (*mut f32, usize) {
        let problem = self.problem;
        if problem.taps() == 1 {
            let stride = problem.input_blocks * LANES;
            // SAFETY: the tile lies in the gradient, (O, I).
            return (unsafe { self.dweight.at(output * LANES * stride + input * LANES) }, stride);
        }
        let tile = (output * problem.input_blocks + input) * problem.taps() + tap;
        // SAFETY: sums lie at the start of the scratch memory, one tile per tap.
        (unsafe { self.scratch.at(0) }.cast::<f32>().wrapping_add(tile * TILE), LANES)
    }

    /// Writes the sums of a tile's taps to the gradient, in its order (O, I, K, K).
    ///
    /// # Safety
    /// As [`share`](Self::share).
    unsafe fn store(&self, output: usize, input: usize) {
        let (taps, inputs) = (self.problem.taps(), self.problem.input_blocks * LANES);
        for o in 0..LANES {
            // SAFETY: the row lies in the gradient; each tap's sums are a separate tile.
            unsafe {
                let row = self.dweight.at(((output * LANES + o) * inputs + input * LANES) * taps);
                for tap in 0..taps {
                    let (sums, stride) = self.sums(output, input, tap);
                    let sums = sums.add(o * stride).cast::<[f32; LANES]>().read();
                    for (i, sum) in sums.into_iter().enumerate() {
                        row.add(i * taps + tap).write(sum);
                    }
                }
            }
        }
    }
}

/// A thread's blocks of output and input channels. Parts do not overlap and cover everything.
///
/// The side with more channels is shared first: each thread reads its own part of that side and all
/// of the other.
fn shares(problem: &Problem, thread: usize, threads: usize) -> (Range<usize>, Range<usize>) {
    let (outputs, inputs) = (problem.output_blocks, problem.input_blocks);
    let outputs_first = outputs > inputs || (outputs == inputs && !problem.needs_copy());
    if outputs_first {
        return grid_part(outputs, inputs, thread, threads);
    }
    let (inputs, outputs) = grid_part(inputs, outputs, thread, threads);
    (outputs, inputs)
}

#[cfg(test)]
mod tests {
    use in18_kernels::op::Window;

    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for (outputs, inputs, threads) in
            [(4, 4, 2), (4, 16, 3), (4, 4, 6), (4, 4, 16), (5, 3, 7), (1, 1, 1), (32, 128, 96)]
        {
            let point = Window { kernel: 1, stride: 1, padding: 0 };
            let problem = layout::tests::problem((5, 5), point, (outputs, inputs));
            let mut seen = vec![0; outputs * inputs];
            for thread in 0..threads {
                let (o, i) = shares(&problem, thread, threads);
                o.for_each(|o| i.clone().for_each(|i| seen[o * inputs + i] += 1));
            }
            assert!(seen.iter().all(|&times| times == 1), "{outputs} {inputs} {threads}: {seen:?}");
        }
    }
}
