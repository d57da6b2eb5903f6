//! Vectors of AVX-512.

use std::arch::x86_64::{
    __m256i, __m512, _CMP_GT_OQ, _CMP_LE_OQ, _CMP_UNORD_Q, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm256_stream_si256, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtps_epi32,
    _mm512_cvtsepi32_epi16, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_madd_epi16, _mm512_mask_mov_epi32,
    _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_slli_epi32, _mm512_sqrt_ps, _mm512_srli_epi32,
    _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};

use super::Vector;
use crate::vector::Bf16;

#[expect(clippy::undocumented_unsafe_blocks, reason = "by the promise that the trait asks of the caller")]
impl Vector for __m512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        unsafe { _mm512_stream_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const Bf16) -> Self {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())), 16)) }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut Bf16) {
        unsafe { _mm256_storeu_si256(to.cast(), rounded(self)) }
    }
    #[inline(always)]
    unsafe fn stream_bf16(self, to: *mut Bf16) {
        unsafe { _mm256_stream_si256(to.cast(), rounded(self)) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, addend) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { _mm512_div_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        unsafe { _mm512_sqrt_ps(self) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, to: *mut i16) {
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(self))) }
    }
    #[inline(always)]
    unsafe fn rounded_pairs(even: Self, odd: Self) -> Self {
        unsafe {
            let even = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(even));
            let odd = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(odd));
            let odd = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
            _mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(even), odd))
        }
    }
    #[inline(always)]
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
        // Compiled for VNNI, this is one instruction.
        unsafe {
            let products = _mm512_madd_epi16(_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self), products))
        }
    }
    #[inline(always)]
    unsafe fn integers_as_numbers(self) -> Self {
        unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(self)) }
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // The comparison "not less or equal" would be one instruction too, but has no name that
        // says so.
        unsafe { _mm512_maskz_mov_ps(!_mm512_cmp_ps_mask(self, _mm512_setzero_ps(), _CMP_LE_OQ), self) }
    }
    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(sign, _mm512_setzero_ps(), _CMP_GT_OQ), self) }
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, columns: usize, to: *mut f32) {
        unsafe {
            let mask = ((1u32 << columns) - 1) as u16;
            let mut rows = [_mm512_setzero_ps(); 16];
            for (number, row) in rows.iter_mut().enumerate() {
                *row = _mm512_maskz_loadu_ps(mask, from.add(number * stride));
            }
            // First, transpose squares of four rows and columns in each quarter; then exchange the
            // quarters.
            for four in 0..4 {
                let [a, b, c, d] = [rows[4 * four], rows[4 * four + 1], rows[4 * four + 2], rows[4 * four + 3]];
                let (lower, upper) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (lower_next, upper_next) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                rows[4 * four] = _mm512_shuffle_ps::<0x44>(lower, lower_next);
                rows[4 * four + 1] = _mm512_shuffle_ps::<0xee>(lower, lower_next);
                rows[4 * four + 2] = _mm512_shuffle_ps::<0x44>(upper, upper_next);
                rows[4 * four + 3] = _mm512_shuffle_ps::<0xee>(upper, upper_next);
            }
            for column in 0..4 {
                let [a, b, c, d] = [rows[column], rows[column + 4], rows[column + 8], rows[column + 12]];
                let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (even_next, odd_next) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
                rows[column] = _mm512_shuffle_f32x4::<0x88>(even, even_next);
                rows[column + 4] = _mm512_shuffle_f32x4::<0x88>(odd, odd_next);
                rows[column + 8] = _mm512_shuffle_f32x4::<0xdd>(even, even_next);
                rows[column + 12] = _mm512_shuffle_f32x4::<0xdd>(odd, odd_next);
            }
            for (column, values) in rows.into_iter().enumerate().take(columns) {
                values.store(to.add(column * 16));
            }
        }
    }
}

/// Rounds 16 numbers to bfloat16, to the nearest, ties to even.
///
/// # Safety
/// The CPU must have AVX-512 F, BW, DQ and VL.
#[inline(always)]
pub unsafe fn rounded(value: __m512) -> __m256i {
    // SAFETY: by the caller's promise.
    unsafe {
        let bits = _mm512_castps_si512(value);
        let odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        // Rounding would carry a NaN's bits into its sign.
        let is_nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
        let rounded = _mm512_mask_mov_epi32(rounded, is_nan, _mm512_set1_epi32(0x7fc0_0000));
        _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16))
    }
}
