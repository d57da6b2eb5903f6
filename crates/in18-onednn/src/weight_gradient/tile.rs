//! The inner loop: the products of 16 output and 16 input channels, summed over rows of pixels.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_maskz_loadu_epi16, _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use in18_tensor::DType;

use crate::simd::PAIRS;

/// Channels per block, and fp32 sums per vector.
pub const LANES: usize = 16;

/// Bytes of input pixels, and of gradients, that a step reads: a vector.
pub const STEP_BYTES: usize = 64;

/// The offsets of a row of pixels, in bytes from the starts of the chunk's gradients and of the
/// block's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub gradients: usize,
    pub pixels: usize,
}

/// Rows of one length.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub runs: &'a [Run],
    /// Pixels of each row.
    pub pixels: usize,
    /// Where memory that is needed next begins. It is prefetched into the second-level cache, one
    /// line per step.
    pub ahead: *const u8,
}

/// Adds to a tile's sums, or sets them if these are the `first` rows: `sums[o·stride + i] += Σ
/// gradients[…][o] · pixels[…][i]` over all pixels of the rows.
///
/// # Safety
/// `sums` must be valid for 16 rows of 16 values, `gradients` for the rows' whole steps in the
/// order of [`pack::gradients`], and `pixels` for the rows' pixels of 16 channels. The CPU must
/// have AVX-512 F, BW, DQ and VL, and for bf16 AVX512-BF16.
///
/// [`pack::gradients`]: super::pack::gradients
pub unsafe fn add(
    dtype: DType,
    sums: *mut f32,
    stride: usize,
    first: bool,
    gradients: *const u8,
    pixels: *const u8,
    rows: Rows<'_>,
) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match dtype {
            DType::Bf16 => add_bf16(sums, stride, first, gradients, pixels, rows),
            _ => add_f32(sums, stride, first, gradients, pixels, rows),
        }
    }
}

/// # Safety
/// As [`add`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn add_bf16(
    sums: *mut f32,
    stride: usize,
    first: bool,
    gradients: *const u8,
    pixels: *const u8,
    rows: Rows<'_>,
) {
    // SAFETY: by the caller's promise; the last step of an odd row reads only one pixel, by a mask.
    unsafe {
        let mut tile = load(sums, stride, first);
        let pairs: __m512i = _mm512_loadu_si512(PAIRS.as_ptr().cast());
        let (steps, is_odd) = (rows.pixels / 2, rows.pixels % 2 == 1);
        let mut ahead = rows.ahead;
        for run in rows.runs {
            let (mut gradients, mut pixels) = (gradients.add(run.gradients), pixels.add(run.pixels));
            for _ in 0..steps {
                fetch(&mut ahead);
                step_bf16(&mut tile, gradients, _mm512_permutexvar_epi16(pairs, _mm512_loadu_si512(pixels.cast())));
                (gradients, pixels) = (gradients.add(STEP_BYTES), pixels.add(STEP_BYTES));
            }
            if is_odd {
                let pixel = _mm512_maskz_loadu_epi16(0xffff, pixels.cast());
                step_bf16(&mut tile, gradients, _mm512_permutexvar_epi16(pairs, pixel));
            }
        }
        store(&tile, sums, stride);
    }
}

/// Prefetches a line into the second-level cache and moves on to the next line.
#[inline(always)]
fn fetch(ahead: &mut *const u8) {
    // SAFETY: a prefetch is a hint, which may name any address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(ahead.cast()) };
    *ahead = ahead.wrapping_add(STEP_BYTES);
}

/// # Safety
/// `gradients` must be valid for a step.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn step_bf16(tile: &mut [__m512; LANES], gradients: *const u8, pixels: __m512i) {
    for (o, sums) in tile.iter_mut().enumerate() {
        // SAFETY: by the caller's promise; both types are 64 bytes of bits.
        unsafe {
            let pair = _mm512_set1_epi32(gradients.cast::<i32>().add(o).read_unaligned());
            let pairs = [pixels, pair].map(|bits| std::mem::transmute::<__m512i, __m512bh>(bits));
            *sums = _mm512_dpbf16_ps(*sums, pairs[0], pairs[1]);
        }
    }
}

/// # Safety
/// As [`add`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn add_f32(sums: *mut f32, stride: usize, first: bool, gradients: *const u8, pixels: *const u8, rows: Rows<'_>) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut tile = load(sums, stride, first);
        let mut ahead = rows.ahead;
        for run in rows.runs {
            let (mut gradients, mut pixels) =
                (gradients.add(run.gradients).cast::<f32>(), pixels.add(run.pixels).cast::<f32>());
            for _ in 0..rows.pixels {
                fetch(&mut ahead);
                let pixel = _mm512_loadu_ps(pixels);
                for (o, sums) in tile.iter_mut().enumerate() {
                    *sums = _mm512_fmadd_ps(pixel, _mm512_set1_ps(gradients.add(o).read_unaligned()), *sums);
                }
                (gradients, pixels) = (gradients.add(LANES), pixels.add(LANES));
            }
        }
        store(&tile, sums, stride);
    }
}

/// # Safety
/// As [`add`].
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(sums: *const f32, stride: usize, first: bool) -> [__m512; LANES] {
    let mut tile = [_mm512_setzero_ps(); LANES];
    if !first {
        for (o, row) in tile.iter_mut().enumerate() {
            // SAFETY: by the caller's promise.
            *row = unsafe { _mm512_loadu_ps(sums.add(o * stride)) };
        }
    }
    tile
}

/// # Safety
/// As [`add`].
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(tile: &[__m512; LANES], sums: *mut f32, stride: usize) {
    for (o, row) in tile.iter().enumerate() {
        // SAFETY: by the caller's promise.
        unsafe { _mm512_storeu_ps(sums.add(o * stride), *row) };
    }
}
