//! Copies convolution weights to the bf16 layouts that oneDNN's convolutions read with AVX-512.
//! oneDNN's own reorders take twice as long, and every step has to copy all weights.
//!
//! Such a layout consists of squares of 16 output and 16 input channels, one square per tap. In a
//! square, values that are multiplied together lie in pairs: of input channels for the forward
//! convolution, of output channels for the gradient of its input.

use std::arch::x86_64::{
    __m256i, __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_setzero_si256, _mm512_castsi256_si512,
    _mm512_inserti64x4, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_permutexvar_ps, _mm512_permutex2var_epi32,
    _mm512_permutexvar_epi16, _mm512_setzero_ps, _mm512_storeu_si512,
};

use in18_kernels::KernelError;
use in18_tensor::{DType, Tensor};

use crate::isa::{Isa, Level};
use crate::safe::MemoryDesc;
use crate::simd::{PAIRS, rounded};
use crate::sys;
use crate::threads::{Shared, parallel, part};

/// Channels on a side of a square.
const SIDE: usize = 16;

/// How many squares ahead the weights are prefetched.
const AHEAD: usize = 2;

/// A copy of weights in pairs.
#[derive(Clone, Copy, Debug)]
pub struct Pairs {
    outputs: usize,
    inputs: usize,
    taps: usize,
    /// Whether pairs are of input channels. Otherwise they are of output channels.
    of_inputs: bool,
    /// Whether all squares of a block of output channels lie together. Otherwise all squares of a
    /// block of input channels do.
    outputs_first: bool,
}

impl Pairs {
    /// The copy of (O, I, K, K) weights in the layout `desc`, if it is one of these layouts and the
    /// CPU has the instructions.
    pub fn of(weight: &Tensor, desc: &MemoryDesc, isa: Isa) -> Result<Option<Self>, KernelError> {
        let &[outputs, inputs, height, width] = weight.shape.extents() else { return Ok(None) };
        let has_avx512 = matches!(isa.level(), Level::Avx512 | Level::Avx512Bf16);
        let is_whole = outputs.is_multiple_of(SIDE) && inputs.is_multiple_of(SIDE);
        if !has_avx512 || !is_whole || !matches!(height * width, 1 | 9) || weight.dtype != DType::F32 {
            return Ok(None);
        }
        let layouts = [
            (sys::AB_BLOCKED_8B16A2B, true, true),
            (sys::AB_BLOCKED_8A16B2A, false, true),
            (sys::BA_BLOCKED_8A16B2A, false, false),
        ];
        for (tag, of_inputs, outputs_first) in layouts {
            if *desc == MemoryDesc::new(weight.shape.extents(), sys::BF16, tag)? {
                return Ok(Some(Pairs { outputs, inputs, taps: height * width, of_inputs, outputs_first }));
            }
        }
        Ok(None)
    }

    /// Makes the copy.
    ///
    /// # Safety
    /// `weights` must hold (O, I, K, K) fp32, `to` as many bf16.
    pub unsafe fn copy(&self, weights: *const u8, to: *mut u8) {
        let Pairs { outputs, inputs, taps, of_inputs, outputs_first } = *self;
        let (weights, to) = (Shared::<f32>::new(weights.cast_mut()), Shared::<u16>::new(to));
        let (output_blocks, input_blocks) = (outputs / SIDE, inputs / SIDE);
        parallel(|thread, threads| {
            for block in part(output_blocks * input_blocks, 1, thread, threads) {
                let (output, input) = (block / input_blocks, block % input_blocks);
                let at = if outputs_first { block } else { input * output_blocks + output };
                // SAFETY: by the caller's promise; `of` has checked the instructions; no two
                // threads write the same squares.
                unsafe {
                    let from = weights.at((output * SIDE * inputs + input * SIDE) * taps);
                    let to = to.at(at * taps * SIDE * SIDE);
                    match taps {
                        1 => squares::<1>(from, inputs, of_inputs, to),
                        _ => squares::<9>(from, inputs * taps, of_inputs, to),
                    }
                }
            }
        });
    }
}

/// Makes the squares of all taps of 16 output and 16 input channels, one after the other. In
/// `from`, output channels lie `stride` apart and input channels `TAPS` apart.
///
/// # Safety
/// The CPU must have AVX-512 F, BW, DQ and VL; the pointers must be valid for the squares.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn squares<const TAPS: usize>(from: *const f32, stride: usize, of_inputs: bool, to: *mut u16) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut rows = [[_mm256_setzero_si256(); SIDE]; TAPS];
        for o in 0..SIDE {
            let row = from.add(o * stride);
            // Prefetch, because sixteen rows are more streams than the CPU follows by itself.
            for line in 0..TAPS {
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add((AHEAD * TAPS + line) * SIDE).cast());
            }
            let taps = taps_apart::<TAPS>(row);
            for (rows, values) in rows.iter_mut().zip(taps) {
                rows[o] = rounded(values);
            }
        }
        for (tap, rows) in rows.iter().enumerate() {
            let pairs = if of_inputs { pairs_of_inputs(rows) } else { pairs_of_outputs(rows) };
            for (number, pairs) in pairs.into_iter().enumerate() {
                _mm512_storeu_si512(to.add((tap * SIDE / 2 + number) * 2 * SIDE).cast(), pairs);
            }
        }
    }
}

/// 16 input channels of each tap, from (16, taps) values.
///
/// # Safety
/// As [`squares`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn taps_apart<const TAPS: usize>(from: *const f32) -> [__m512; TAPS] {
    let (lanes, masks) = const { places::<TAPS>() };
    // SAFETY: by the caller's promise.
    let vectors: [__m512; TAPS] = std::array::from_fn(|n| unsafe { _mm512_loadu_ps(from.add(n * SIDE)) });
    let mut taps = [_mm512_setzero_ps(); TAPS];
    for (tap, values) in taps.iter_mut().enumerate() {
        // SAFETY: the array is 64 bytes long.
        let lanes = unsafe { _mm512_loadu_si512(lanes[tap].as_ptr().cast()) };
        for (number, &vector) in vectors.iter().enumerate() {
            *values = _mm512_mask_permutexvar_ps(*values, masks[tap][number], lanes, vector);
        }
    }
    taps
}

/// For each tap: the lane of each channel, and for each vector a mask of the channels that it
/// holds. The value of channel i for a tap has the index `i · TAPS + tap`.
const fn places<const TAPS: usize>() -> ([[u32; SIDE]; TAPS], [[u16; TAPS]; TAPS]) {
    let (mut lanes, mut masks) = ([[0; SIDE]; TAPS], [[0; TAPS]; TAPS]);
    let mut number = 0;
    while number < SIDE * TAPS {
        let (channel, tap) = (number / TAPS, number % TAPS);
        lanes[tap][channel] = (number % SIDE) as u32;
        masks[tap][number / SIDE] |= 1 << channel;
        number += 1;
    }
    (lanes, masks)
}

/// `result[n][i] = (rows[2n][i], rows[2n + 1][i])`.
///
/// # Safety
/// As [`squares`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn pairs_of_outputs(rows: &[__m256i; SIDE]) -> [__m512i; SIDE / 2] {
    // SAFETY: by the caller's promise.
    let interleave: __m512i = unsafe { _mm512_loadu_si512(PAIRS.as_ptr().cast()) };
    std::array::from_fn(|n| _mm512_permutexvar_epi16(interleave, joined(rows[2 * n], rows[2 * n + 1])))
}

/// `result[n][o] = (rows[o][2n], rows[o][2n + 1])`: the transpose of 16 rows of 8 pairs.
///
/// # Safety
/// As [`squares`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn pairs_of_inputs(rows: &[__m256i; SIDE]) -> [__m512i; SIDE / 2] {
    // Rows 0 to 7 lie in the lower halves, rows 8 to 15 in the upper halves. Both halves are
    // transposed at once: each bit of the row's number changes places with a bit of the column's
    // number, one bit after the other.
    let mut rows: [__m512i; SIDE / 2] = std::array::from_fn(|n| joined(rows[n], rows[n + SIDE / 2]));
    for (bit, [lower, upper]) in EXCHANGES.iter().enumerate() {
        // SAFETY: the arrays are 64 bytes long.
        let [lower, upper]: [__m512i; 2] =
            unsafe { [_mm512_loadu_si512(lower.as_ptr().cast()), _mm512_loadu_si512(upper.as_ptr().cast())] };
        for n in (0..SIDE / 2).filter(|n| n >> bit & 1 == 0) {
            let (a, b) = (rows[n], rows[n | 1 << bit]);
            rows[n] = _mm512_permutex2var_epi32(a, lower, b);
            rows[n | 1 << bit] = _mm512_permutex2var_epi32(a, upper, b);
        }
    }
    rows
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn joined(lower: __m256i, upper: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(lower), upper)
}

/// For each bit of a column's number, the permutations of two rows a and b whose numbers differ in
/// that bit: the index of the element that comes to each lane. Indices of elements of b have 16
/// added.
const EXCHANGES: [[[u32; SIDE]; 2]; 3] = {
    let mut exchanges = [[[0; SIDE]; 2]; 3];
    let mut bit = 0;
    while bit < 3 {
        let mut lane = 0;
        while lane < SIDE {
            let (is_set, mask) = (lane >> bit & 1 == 1, 1 << bit);
            exchanges[bit][0][lane] = if is_set { SIDE + (lane & !mask) } else { lane } as u32;
            exchanges[bit][1][lane] = if is_set { SIDE + lane } else { lane | mask } as u32;
            lane += 1;
        }
        bit += 1;
    }
    exchanges
};
