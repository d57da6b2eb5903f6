//! The horizontal pass with AVX2: four rows and four source pixels at a time.

// Only this file and `jpeg/avx2.rs` may use unsafe code.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::weights::{GROUP, Weights};

/// Bytes of a pixel.
const PIXEL: usize = 3;
/// Bytes read for a group. The last ones are not used.
const READ: usize = 16;
/// Rows processed at a time.
const ROWS: usize = 4;
/// The most groups of weights. Reductions to an eighth and less are left to the engine.
const MOST_GROUPS: usize = 5;

/// Rows of RGB pixels in memory.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Starts at the beginning of the first row.
    pub pixels: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    pub count: usize,
}

/// Resizes each row into a row of `out`, which has as many rows. False if this code does not fit
/// this processor or these weights. `spare` is overwritten.
pub(super) fn narrow(rows: Rows<'_>, weights: &Weights, out: &mut [u8], spare: &mut Vec<u8>) -> bool {
    if !is_x86_feature_detected!("avx2") || weights.groups > MOST_GROUPS || rows.count == 0 {
        return false;
    }
    let last = weights.starts.iter().max().map_or(0, |&start| start as usize);
    // The end of the last group that is read from a row.
    let read = (last + (weights.groups - 1) * GROUP) * PIXEL + READ;
    let width = weights.starts.len() * PIXEL;
    assert_eq!(out.len(), rows.count * width);
    spare.resize(ROWS * read, 0);
    for first in (0..rows.count).step_by(ROWS) {
        // The last rows may be computed twice.
        let number = |row: usize| (first + row).min(rows.count - 1);
        let mut from = [std::ptr::null(); ROWS];
        let mut to = [std::ptr::null_mut(); ROWS];
        for row in 0..ROWS {
            let start = number(row) * rows.stride;
            from[row] = match rows.pixels.get(start..start + read) {
                Some(pixels) => pixels.as_ptr(),
                // Nothing may be read after the end of the image.
                None => {
                    let rest = &rows.pixels[start.min(rows.pixels.len())..];
                    let copy = &mut spare[row * read..][..read];
                    copy[..rest.len()].copy_from_slice(rest);
                    copy.as_ptr()
                }
            };
            to[row] = out[number(row) * width..][..width].as_mut_ptr();
        }
        // SAFETY: the processor has AVX2. Each source row is `read` bytes long, which reaches to
        // the end of the last group that is read. Each row of `out` is as long as its pixels.
        unsafe {
            match weights.groups {
                1 => four_rows::<1>(from, weights, to),
                2 => four_rows::<2>(from, weights, to),
                3 => four_rows::<3>(from, weights, to),
                4 => four_rows::<4>(from, weights, to),
                _ => four_rows::<MOST_GROUPS>(from, weights, to),
            }
        }
    }
    true
}

/// # Safety
/// The conditions that [`narrow`] ensures.
#[target_feature(enable = "avx2")]
unsafe fn four_rows<const GROUPS: usize>(rows: [*const u8; ROWS], weights: &Weights, out: [*mut u8; ROWS]) {
    let half = _mm256_set1_epi32(1 << (weights.precision - 1));
    let precision = _mm_cvtsi32_si128(weights.precision as i32);
    // Puts the values of two pixels beside each other for each colour, as 16-bit numbers: pixels 0
    // and 1, then 2 and 3.
    #[rustfmt::skip]
    let lower = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    #[rustfmt::skip]
    let upper = _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    let pixels = weights.starts.len();
    for (x, (&start, values)) in weights.starts.iter().zip(weights.values.chunks_exact(GROUPS)).enumerate() {
        let mut sums = [half; 2];
        for (group, values) in values.iter().enumerate() {
            let at = (start as usize + group * GROUP) * PIXEL;
            let first = _mm256_set1_epi32(i32::from(values[0] as u16) | i32::from(values[1]) << 16);
            let second = _mm256_set1_epi32(i32::from(values[2] as u16) | i32::from(values[3]) << 16);
            for (pair, sum) in sums.iter_mut().enumerate() {
                // SAFETY: by the caller's promise.
                let two_rows = unsafe {
                    _mm256_inserti128_si256::<1>(
                        _mm256_castsi128_si256(_mm_loadu_si128(rows[2 * pair].add(at).cast())),
                        _mm_loadu_si128(rows[2 * pair + 1].add(at).cast()),
                    )
                };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_shuffle_epi8(two_rows, lower), first));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_shuffle_epi8(two_rows, upper), second));
            }
        }
        let [first, second] = sums.map(|sum| _mm256_sra_epi32(sum, precision));
        // Rows 0 and 2 are in the lower half, rows 1 and 3 in the upper half.
        let words = _mm256_packs_epi32(first, second);
        let bytes = _mm256_packus_epi16(words, words);
        let even = _mm_cvtsi128_si64(_mm256_castsi256_si128(bytes)) as u64;
        let odd = _mm_cvtsi128_si64(_mm256_extracti128_si256::<1>(bytes)) as u64;
        let values = [even as u32, odd as u32, (even >> 32) as u32, (odd >> 32) as u32];
        for (to, value) in out.iter().zip(values) {
            // SAFETY: by the caller's promise. The fourth byte belongs to the next pixel, which is
            // written later; for the last pixel only three bytes are written.
            unsafe {
                let to = to.add(x * PIXEL);
                if x + 1 < pixels {
                    to.cast::<u32>().write_unaligned(value);
                } else {
                    to.copy_from_nonoverlapping(value.to_le_bytes().as_ptr(), PIXEL);
                }
            }
        }
    }
}
