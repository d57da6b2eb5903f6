//! Vectors of fp32 lanes under one interface, so that a loop is written once and compiled for each instruction set.
//!
//! A loop is a [`Kernel`]; [`run`] picks the vector. For loops whose lanes all do the same, plain Rust vectorises well
//! ([`vector`](crate::vector)); where lanes are channels with sums and coefficients of their own, it does not.

use std::arch::x86_64::{
    __m256, __m256i, __m512, _CMP_GT_OQ, _CMP_LE_OQ, _CMP_UNORD_Q, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch,
    _mm_sfence, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps, _mm256_castsi256_ps, _mm256_cmp_ps,
    _mm256_cvtepu16_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_stream_ps, _mm256_stream_si256, _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps,
    _mm512_cvtepu16_epi32, _mm512_cvtps_epi32, _mm512_cvtsepi32_epi16, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_madd_epi16, _mm512_mask_mov_epi32, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_mul_ps,
    _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps,
    _mm512_slli_epi32, _mm512_sqrt_ps, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps,
    _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};

use crate::isa::Isa;
use crate::vector::{Bf16, Element};

/// Most lanes that a vector has.
pub const MOST_LANES: usize = 16;

/// A value for each lane of the widest vector; narrower ones use the first.
pub type Lanes = [f32; MOST_LANES];

/// As many fp32 numbers as a vector register holds.
///
/// # Safety
/// All functions need the instructions of their type, and the pointers as many elements as there are lanes.
pub trait Vector: Copy {
    /// How many.
    const LANES: usize;
    /// Vectors that the CPU keeps in registers.
    const REGISTERS: usize;
    /// One number in all lanes.
    unsafe fn splat(value: f32) -> Self;
    /// From memory.
    unsafe fn load(from: *const f32) -> Self;
    /// To memory.
    unsafe fn store(self, to: *mut f32);
    /// To memory past the caches, where `to` is aligned to the vector: for results larger than the caches, which would
    /// else be read before they are overwritten. [`fence`] must follow before another thread reads.
    unsafe fn stream(self, to: *mut f32);
    /// From bfloat16.
    unsafe fn load_bf16(from: *const Bf16) -> Self;
    /// To bfloat16, to the nearest, ties to even.
    unsafe fn store_bf16(self, to: *mut Bf16);
    /// [`store_bf16`](Self::store_bf16) as [`stream`](Self::stream).
    unsafe fn stream_bf16(self, to: *mut Bf16);
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self · factor + addend`, rounded once where the instructions do so.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// Square root.
    unsafe fn sqrt(self) -> Self;
    /// To 16-bit integers, to the nearest, ties to even, and values up to 2³¹ to the nearest that there is; others, and NaN, to any.
    unsafe fn store_rounded(self, to: *mut i16);
    /// 16-bit integers as [`store_rounded`](Self::store_rounded) makes them, those of `even` in the lower halves of the lanes'
    /// bits, those of `odd` in the upper ones.
    unsafe fn rounded_pairs(even: Self, odd: Self) -> Self;
    /// `self + a₀·b₀ + a₁·b₁`, where the lanes' bits are a 32-bit integer and two pairs of 16-bit ones; modulo 2³².
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self;
    /// The numbers that the lanes' bits are as 32-bit integers.
    unsafe fn integers_as_numbers(self) -> Self;
    /// `max(self, 0)`, except that NaN stays NaN: a run that diverged must show.
    unsafe fn relu(self) -> Self;
    /// `self` where `sign > 0`, else 0.
    unsafe fn where_positive(self, sign: Self) -> Self;
    /// The transpose of as many rows as there are lanes, `stride` apart, of `columns` (at most as many) each: `to` takes a
    /// vector a column.
    unsafe fn transpose(from: *const f32, stride: usize, columns: usize, to: *mut f32);
}

/// An element type of activations, loaded and stored as fp32 lanes.
///
/// # Safety
/// As [`Vector`].
pub trait Stored: Element {
    /// From memory.
    unsafe fn load<V: Vector>(from: *const Self) -> V;
    /// To memory, rounded to the nearest.
    unsafe fn store<V: Vector>(value: V, to: *mut Self);
    /// The same past the caches, as [`Vector::stream`].
    unsafe fn stream<V: Vector>(value: V, to: *mut Self);
}

impl Stored for f32 {
    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: by the caller's promise.
        unsafe { V::load(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Vector>(value: V, to: *mut Self) {
        // SAFETY: by the caller's promise.
        unsafe { value.store(to) }
    }
    #[inline(always)]
    unsafe fn stream<V: Vector>(value: V, to: *mut Self) {
        // SAFETY: by the caller's promise.
        unsafe { value.stream(to) }
    }
}

impl Stored for Bf16 {
    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: by the caller's promise.
        unsafe { V::load_bf16(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Vector>(value: V, to: *mut Self) {
        // SAFETY: by the caller's promise.
        unsafe { value.store_bf16(to) }
    }
    #[inline(always)]
    unsafe fn stream<V: Vector>(value: V, to: *mut Self) {
        // SAFETY: by the caller's promise.
        unsafe { value.stream_bf16(to) }
    }
}

/// A loop.
pub trait Kernel {
    /// Whether it multiplies pairs of integers ([`Vector::add_pairs`]), and wants the instruction for it.
    const MULTIPLIES_PAIRS: bool = false;

    /// Runs it with vectors of a type. Implementations are `#[inline(always)]`, so that they are compiled for its
    /// instructions.
    ///
    /// # Safety
    /// As the loop says; and the CPU must have the instructions.
    unsafe fn run<V: Vector>(self);
}

/// Runs a loop with vectors of `lanes` lanes (a block's channels, or 1), which must be among 16, 8 and 1.
///
/// # Safety
/// As the loop says.
pub unsafe fn run<K: Kernel>(isa: Isa, lanes: usize, kernel: K) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn avx512_pairs(kernel: impl Kernel) {
        // SAFETY: the caller's promise is passed on.
        unsafe { kernel.run::<__m512>() }
    }
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn avx512(kernel: impl Kernel) {
        // SAFETY: the caller's promise is passed on.
        unsafe { kernel.run::<__m512>() }
    }
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(kernel: impl Kernel) {
        // SAFETY: the caller's promise is passed on.
        unsafe { kernel.run::<__m256>() }
    }
    // SAFETY: an `Isa` proves that the CPU has these instructions; the caller's promise is passed on.
    unsafe {
        match (isa, lanes) {
            (Isa::Avx512Bf16, 16) if K::MULTIPLIES_PAIRS => avx512_pairs(kernel),
            (Isa::Avx512Bf16 | Isa::Avx512, 16) => avx512(kernel),
            (Isa::Avx512Bf16 | Isa::Avx512 | Isa::Avx2, 8) => avx2(kernel),
            (_, 16) => kernel.run::<[f32; 16]>(),
            (_, 8) => kernel.run::<[f32; 8]>(),
            (_, 1) => kernel.run::<[f32; 1]>(),
            (_, lanes) => unreachable!("no vector has {lanes} lanes"),
        }
    }
}

/// 16 numbers as bfloat16, to the nearest, ties to even.
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

/// Whether a result of so many bytes is better stored past the caches. Beside saving the read, that keeps stores out of the
/// way of loads: the planner's tensors often begin at equal places of a page, where one waits for the other.
pub fn is_large(bytes: usize) -> bool {
    bytes >= 1 << 20
}

/// A permutation of 32 16-bit values that puts two rows of 16 together in pairs: element `2i + k` comes from place i of row k.
pub const PAIRS: [u16; 32] = {
    let mut places = [0; 32];
    let mut lane = 0;
    while lane < 32 {
        places[lane] = (lane / 2 + lane % 2 * 16) as u16;
        lane += 1;
    }
    places
};

/// Fetches the cache line at an address, which need not be valid, for a read soon.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    // SAFETY: every x86-64 CPU has this instruction, and it touches nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

/// Makes what [`Vector::stream`] stored visible to other threads as other stores are.
pub fn fence() {
    // SAFETY: every x86-64 CPU has this instruction.
    unsafe { _mm_sfence() }
}

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
        // "Not less or equal" would be one comparison, too, but has no name of its own that says so.
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
            // In each quarter, squares of four rows and columns; then their quarters change places.
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
        // Activations are bf16 only where there is AVX-512: this need not be fast.
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
        // As of bf16 below.
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
        unsafe { <[f32; 8]>::transpose(from, stride, columns, to) }
    }
}

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

/// Any number of lanes without instructions of their own.
#[expect(clippy::undocumented_unsafe_blocks, reason = "by the promise that the trait asks of the caller")]
impl<const B: usize> Vector for [f32; B] {
    const LANES: usize = B;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; B]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        unsafe { self.store(to) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const Bf16) -> Self {
        unsafe { from.cast::<[Bf16; B]>().read_unaligned() }.map(Bf16::to_f32)
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut Bf16) {
        unsafe { to.cast::<[Bf16; B]>().write_unaligned(self.map(Bf16::from_f32)) }
    }
    #[inline(always)]
    unsafe fn stream_bf16(self, to: *mut Bf16) {
        unsafe { self.store_bf16(to) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] - other[lane])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * other[lane])
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * factor[lane] + addend[lane])
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] / other[lane])
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn store_rounded(self, to: *mut i16) {
        unsafe { to.cast::<[i16; B]>().write_unaligned(self.map(|value| value.round_ties_even() as i16)) }
    }
    #[inline(always)]
    unsafe fn rounded_pairs(even: Self, odd: Self) -> Self {
        let rounded = |value: f32| value.round_ties_even() as i16 as u16;
        std::array::from_fn(|lane| f32::from_bits(u32::from(rounded(odd[lane])) << 16 | u32::from(rounded(even[lane]))))
    }
    #[inline(always)]
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
        let halves = |value: f32| [value.to_bits() as i16, (value.to_bits() >> 16) as i16].map(i32::from);
        std::array::from_fn(|lane| {
            let ([a0, a1], [b0, b1]) = (halves(a[lane]), halves(b[lane]));
            let products = (a0 * b0).wrapping_add(a1 * b1);
            f32::from_bits(self[lane].to_bits().wrapping_add(products as u32))
        })
    }
    #[inline(always)]
    unsafe fn integers_as_numbers(self) -> Self {
        self.map(|value| value.to_bits() as i32 as f32)
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.map(|value| if value <= 0.0 { 0.0 } else { value })
    }
    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        std::array::from_fn(|lane| if sign[lane] > 0.0 { self[lane] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, columns: usize, to: *mut f32) {
        for column in 0..columns {
            for row in 0..B {
                unsafe { to.add(column * B + row).write(from.add(row * stride + column).read()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function on the same numbers, eight lanes' worth of results a function.
    struct All<'a> {
        a: Lanes,
        b: Lanes,
        integers: Lanes,
        results: &'a mut Vec<Vec<f32>>,
    }

    impl Kernel for All<'_> {
        const MULTIPLIES_PAIRS: bool = true;

        #[inline(always)]
        unsafe fn run<V: Vector>(self) {
            // SAFETY: the arrays hold as many elements as the widest vector.
            unsafe {
                let mut push = |value: V| {
                    let mut lanes = [0f32; MOST_LANES];
                    value.store(lanes.as_mut_ptr());
                    self.results.push(lanes[..V::LANES].to_vec());
                };
                let (a, b) = (V::load(self.a.as_ptr()), V::load(self.b.as_ptr()));
                [a.add(b), a.sub(b), a.mul(b), a.mul_add(b, V::splat(2.0)), a.relu(), a.where_positive(b)]
                    .into_iter()
                    .for_each(&mut push);
                [a.div(b.add(V::splat(0.5))), a.mul(a).sqrt()].into_iter().for_each(&mut push);
                // Those that are numbers, some of them too large for 16 bits.
                let (large, small) = (V::load(self.integers.as_ptr()), b.mul(V::splat(4.0)));
                let (pairs, others) = (V::rounded_pairs(large, small), V::rounded_pairs(small, large));
                let total = V::splat(0.0).add_pairs(pairs, others).add_pairs(pairs, pairs);
                push(total.integers_as_numbers());
                let mut rounded = [0i16; MOST_LANES];
                large.store_rounded(rounded.as_mut_ptr());
                let rounded: Lanes = rounded.map(f32::from);
                push(V::load(rounded.as_ptr()));
                let mut stored = [Bf16::default(); MOST_LANES];
                a.store_bf16(stored.as_mut_ptr());
                push(V::load_bf16(stored.as_ptr()));
                // Every second row of the numbers' sums with multiples of a row's length, as far as eight lanes go.
                let table: Vec<f32> = (0..3 * MOST_LANES * MOST_LANES).map(|n| n as f32 + self.a[n % 5]).collect();
                for columns in [8, 5] {
                    let mut turned = [[0f32; MOST_LANES]; MOST_LANES];
                    V::transpose(table.as_ptr(), 2 * MOST_LANES + 1, columns, turned.as_mut_ptr().cast());
                    let turned = turned.as_flattened();
                    for column in 0..columns {
                        self.results.push(turned[column * V::LANES..][..8].to_vec());
                    }
                }
            }
        }
    }

    #[test]
    fn all_vectors_agree() {
        // Products and sums of these are exact, so that fused rounding does not show.
        let a: Lanes = std::array::from_fn(|i| match i {
            0 => f32::NAN,
            1 => -0.0,
            2 => f32::NEG_INFINITY,
            3 => f32::from_bits(0x3f80_8000), // a tie, to even
            4 => f32::from_bits(0x3f81_8000), // a tie, to even, upwards
            _ => (i as f32 - 10.0) / 4.0,
        });
        let b: Lanes = std::array::from_fn(|i| (7.0 - i as f32) / 8.0);
        let integers: Lanes = std::array::from_fn(|i| [1e9, -1e9, 32767.4, 0.5, 1.5, -2.5, -7.0, 181.3][i % 8]);
        let results = |isa: Isa, lanes: usize| {
            let mut results = Vec::new();
            // SAFETY: the caller passes what `detect` found, or the baseline.
            unsafe { run(isa, lanes, All { a, b, integers, results: &mut results }) };
            results
        };
        for lanes in [16, 8, 1] {
            let (expected, got) = (results(Isa::Baseline, lanes), results(Isa::detect(), lanes));
            for (expected, got) in expected.iter().flatten().zip(got.iter().flatten()) {
                assert!(expected == got || (expected.is_nan() && got.is_nan()), "{lanes} lanes: {expected} {got}");
            }
        }
    }
}
