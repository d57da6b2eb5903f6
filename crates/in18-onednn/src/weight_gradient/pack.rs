//! Copies of pixels in the order in which tiles read them.

use std::ops::Range;
use std::ptr;

use in18_tensor::DType;

use super::layout::{LANES, Problem};
use super::tile::STEP_BYTES;

/// Copies a block of input channels of some images: rows of `packed_row_bytes`, columns sorted by their remainder by the
/// stride, padding zero. Rows that no tap meets are left as they are.
///
/// # Safety
/// `src` must hold the problem's input activation, `packed` room for the rows of the images.
pub unsafe fn inputs(problem: &Problem, src: *const u8, images: Range<usize>, block: usize, packed: *mut u8) {
    let (pixel, row_bytes) = (problem.pixel_bytes(), problem.packed_row_bytes());
    let starts = problem.phase_starts();
    for (slot, image) in images.enumerate() {
        for row in (0..problem.height).filter(|&row| problem.is_met(row)) {
            // SAFETY: the row lies in the activation, and its copy in the room.
            unsafe {
                let from =
                    src.add(((image * problem.input_blocks + block) * problem.height + row) * problem.width * pixel);
                let to = packed.add((slot * problem.height + row) * row_bytes);
                if problem.stride == 1 {
                    let (edge, inside) = (problem.padding * pixel, problem.width * pixel);
                    ptr::write_bytes(to, 0, edge);
                    ptr::copy_nonoverlapping(from, to.add(edge), inside);
                    ptr::write_bytes(to.add(edge + inside), 0, edge);
                } else {
                    for column in 0..problem.width + 2 * problem.padding {
                        let place = starts[column % problem.stride] + column / problem.stride;
                        let to = to.add(place * pixel);
                        match column.checked_sub(problem.padding).filter(|&source| source < problem.width) {
                            Some(source) => ptr::copy_nonoverlapping(from.add(source * pixel), to, pixel),
                            None => ptr::write_bytes(to, 0, pixel),
                        }
                    }
                }
            }
        }
    }
}

/// Copies a block of output channels' gradients of some rows: a row takes whole steps, and within a step a channel's
/// pixels lie side by side. What a row's last step has too much is zero.
///
/// # Safety
/// `ddst` must hold the problem's output gradient, `packed` room for the rows' steps.
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
                DType::Bf16 => pair_row(from.cast(), problem.row_pixels, to.cast()),
                _ => ptr::copy_nonoverlapping(from, to, row_bytes),
            }
        }
    }
}

/// `to[step][channel] = (from[2·step][channel], from[2·step + 1][channel])`.
///
/// # Safety
/// `from` must be valid for `pixels` rows of 16 values, `to` for `⌈pixels / 2⌉` rows of 16 pairs.
unsafe fn pair_row(from: *const [u16; LANES], pixels: usize, to: *mut [[u16; 2]; LANES]) {
    for step in 0..pixels.div_ceil(2) {
        // SAFETY: by the caller's promise.
        unsafe {
            let first = from.add(2 * step).read_unaligned();
            let second = if 2 * step + 1 < pixels { from.add(2 * step + 1).read_unaligned() } else { [0; LANES] };
            to.add(step).write_unaligned(std::array::from_fn(|channel| [first[channel], second[channel]]));
        }
    }
}
