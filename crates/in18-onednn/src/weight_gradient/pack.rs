//! Copies pixels into the order in which tiles read them.

use std::arch::x86_64::{_mm512_loadu_si512, _mm512_maskz_loadu_epi16, _mm512_permutexvar_epi16, _mm512_storeu_si512};
use std::ops::Range;
use std::ptr;

use in18_tensor::DType;

use super::layout::Problem;
use super::tile::LANES;
use super::tile::STEP_BYTES;
use crate::simd::PAIRS;

/// Copies a block of input channels of some images, as rows of `packed_row_bytes`. Columns are
/// sorted by their remainder by the stride, and padding is zero. Rows that no tap meets are not
/// written.
///
/// # Safety
/// `src` must hold the problem's input activation. `packed` must have room for the rows of the
/// images.
pub unsafe fn inputs(problem: &Problem, src: *const u8, images: Range<usize>, block: usize, packed: *mut u8) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match problem.dtype {
            DType::Bf16 => inputs_of::<{ 2 * LANES }>(problem, src.cast(), images, block, packed.cast()),
            _ => inputs_of::<{ 4 * LANES }>(problem, src.cast(), images, block, packed.cast()),
        }
    }
}

/// # Safety
/// As [`inputs`], with pixels of `P` bytes.
unsafe fn inputs_of<const P: usize>(
    problem: &Problem,
    src: *const [u8; P],
    images: Range<usize>,
    block: usize,
    packed: *mut [u8; P],
) {
    let &Problem { input_blocks, height, width, stride, padding, .. } = problem;
    let columns = width + 2 * padding;
    let starts = problem.phase_starts();
    for (slot, image) in images.enumerate() {
        for row in (0..height).filter(|&row| problem.is_met(row)) {
            // SAFETY: the row lies in the activation, and its copy in the room.
            unsafe {
                let from = src.add(((image * input_blocks + block) * height + row) * width);
                let to = packed.add((slot * height + row) * columns);
                for (phase, &start) in starts[..stride].iter().enumerate() {
                    let mut to = to.add(start);
                    for column in (phase..columns).step_by(stride) {
                        match column.checked_sub(padding).filter(|&source| source < width) {
                            Some(source) => to.write(from.add(source).read()),
                            None => to.write([0; P]),
                        }
                        to = to.add(1);
                    }
                }
            }
        }
    }
}

/// Copies a block of output channels' gradients of some rows. A row takes whole steps, and within a
/// step the pixels of a channel lie side by side. The rest of a row's last step is zero.
///
/// # Safety
/// `ddst` must hold the problem's output gradient. `packed` must have room for the rows' steps.
pub unsafe fn gradients(
    problem: &Problem,
    ddst: *const u8,
    first_image: usize,
    block: usize,
    rows: &[(usize, usize)],
    packed: *mut u8,
) {
    let row_bytes = problem.row_pixels * problem.pixel_bytes();
    let step_bytes = problem.row_steps() * STEP_BYTES;
    for (slot, &(image, row)) in rows.iter().enumerate() {
        let block = (first_image + image) * problem.output_blocks + block;
        // SAFETY: the row lies in the gradient, and its copy in the room.
        unsafe {
            let from = ddst.add((block * problem.rows + row) * row_bytes);
            let to = packed.add(slot * step_bytes);
            match problem.dtype {
                DType::Bf16 => pair_row(from, problem.row_pixels, to),
                _ => ptr::copy_nonoverlapping(from, to, row_bytes),
            }
        }
    }
}

/// `to[step][channel] = (from[2·step][channel], from[2·step + 1][channel])`.
///
/// # Safety
/// `from` must be valid for `pixels` rows of 16 values, `to` for `⌈pixels / 2⌉` rows of 16 pairs.
/// The CPU must have AVX-512 F and BW.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pair_row(from: *const u8, pixels: usize, to: *mut u8) {
    // SAFETY: by the caller's promise; the mask reads only one pixel in a row's last half step.
    unsafe {
        let pairs = _mm512_loadu_si512(PAIRS.as_ptr().cast());
        for step in 0..pixels / 2 {
            let two = _mm512_loadu_si512(from.add(step * STEP_BYTES).cast());
            _mm512_storeu_si512(to.add(step * STEP_BYTES).cast(), _mm512_permutexvar_epi16(pairs, two));
        }
        if pixels % 2 == 1 {
            let at = pixels / 2 * STEP_BYTES;
            let one = _mm512_maskz_loadu_epi16(0xffff, from.add(at).cast());
            _mm512_storeu_si512(to.add(at).cast(), _mm512_permutexvar_epi16(pairs, one));
        }
    }
}
