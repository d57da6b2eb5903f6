//! Vectors of AVX2.

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_LE_OQ, _mm_loadu_si128, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtepu16_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps,
    _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::Vector;
use crate::vector::Bf16;

#[expect(clippy::undocumented_unsafe_blocks, reason = "by the promise that the trait asks of the caller")]
impl Vector for __m256 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        unsafe { _mm256_stream_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const Bf16) -> Self {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())), 16)) }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut Bf16) {
        // Activations are bf16 only on CPUs with AVX-512, so this need not be fast.
        unsafe { lanes(self).store_bf16(to) }
    }
    #[inline(always)]
    unsafe fn stream_bf16(self, to: *mut Bf16) {
        unsafe { self.store_bf16(to) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm256_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm256_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { _mm256_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, factor, addend) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { _mm256_div_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        unsafe { _mm256_sqrt_ps(self) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, to: *mut i16) {
        // As for bf16 above, this need not be fast.
        unsafe { lanes(self).store_rounded(to) }
    }
    #[inline(always)]
    unsafe fn rounded_pairs(even: Self, odd: Self) -> Self {
        unsafe { Self::load(<[f32; 8]>::rounded_pairs(lanes(even), lanes(odd)).as_ptr()) }
    }
    #[inline(always)]
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
        unsafe { Self::load(lanes(self).add_pairs(lanes(a), lanes(b)).as_ptr()) }
    }
    #[inline(always)]
    unsafe fn integers_as_numbers(self) -> Self {
        unsafe { Self::load(lanes(self).integers_as_numbers().as_ptr()) }
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        unsafe { _mm256_andnot_ps(_mm256_cmp_ps(self, _mm256_setzero_ps(), _CMP_LE_OQ), self) }
    }
    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        unsafe { _mm256_and_ps(_mm256_cmp_ps(sign, _mm256_setzero_ps(), _CMP_GT_OQ), self) }
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, columns: usize, to: *mut f32) {
        unsafe {
            // An incomplete row is read with a mask, because the memory may end after the row.
            let mask = _mm256_loadu_si256(MASKS.as_ptr().add(8 - columns).cast());
            let mut rows = [_mm256_setzero_ps(); 8];
            for (row, value) in rows.iter_mut().enumerate() {
                *value = match columns {
                    8 => _mm256_loadu_ps(from.add(row * stride)),
                    _ => _mm256_maskload_ps(from.add(row * stride), mask),
                };
            }
            // Pairs of rows, then fours, then all eight: each round puts twice as many values of a
            // column together.
            let mut pairs = [_mm256_setzero_ps(); 8];
            for i in (0..8).step_by(2) {
                pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
            }
            let mut fours = [_mm256_setzero_ps(); 8];
            for i in (0..8).step_by(4) {
                fours[i] = _mm256_shuffle_ps::<0x44>(pairs[i], pairs[i + 2]);
                fours[i + 1] = _mm256_shuffle_ps::<0xee>(pairs[i], pairs[i + 2]);
                fours[i + 2] = _mm256_shuffle_ps::<0x44>(pairs[i + 1], pairs[i + 3]);
                fours[i + 3] = _mm256_shuffle_ps::<0xee>(pairs[i + 1], pairs[i + 3]);
            }
            for i in 0..4 {
                if i < columns {
                    _mm256_storeu_ps(to.add(8 * i), _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]));
                }
                if i + 4 < columns {
                    _mm256_storeu_ps(to.add(8 * (i + 4)), _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]));
                }
            }
        }
    }
}

/// Eight words with all bits set, then eight zeros. From `8 - n` on, they are a mask of the first
/// `n` lanes.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The lanes of a vector.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn lanes(vector: __m256) -> [f32; 8] {
    let mut lanes = [0f32; 8];
    // SAFETY: by the caller's promise.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes
}
