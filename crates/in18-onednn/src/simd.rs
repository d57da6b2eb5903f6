//! Vectors of fp32 lanes under one interface, so that a loop is written once and compiled for each
//! instruction set.
//!
//! A loop is a [`Kernel`]; [`run`] picks the vector. Plain Rust vectorises well if all lanes of a
//! loop do the same ([`vector`](crate::vector)). It does not if lanes are channels with sums and
//! coefficients of their own.

mod avx2;
mod avx512;
mod plain;

use std::arch::x86_64::{__m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm_sfence};

pub use self::avx512::rounded;
use crate::isa::{Isa, Level};
use crate::vector::{Bf16, Element};

/// The number of lanes of the widest vector.
pub const MOST_LANES: usize = 16;

/// One value for each lane of the widest vector. Narrower vectors use the first ones.
pub type Lanes = [f32; MOST_LANES];

/// As many fp32 numbers as a vector register holds.
///
/// # Safety
/// All functions need the CPU to have the instructions of their type. Pointers must be valid for as
/// many elements as there are lanes.
pub trait Vector: Copy {
    /// The number of fp32 numbers.
    const LANES: usize;
    /// The number of vectors that the CPU keeps in registers.
    const REGISTERS: usize;
    /// One number in all lanes.
    unsafe fn splat(value: f32) -> Self;
    /// Loads from memory.
    unsafe fn load(from: *const f32) -> Self;
    /// Stores to memory.
    unsafe fn store(self, to: *mut f32);
    /// Stores to memory past the caches. `to` must be aligned to the vector. This is for results
    /// larger than the caches: other stores would read the memory before they overwrite it.
    /// [`fence`] must follow before another thread reads the result.
    unsafe fn stream(self, to: *mut f32);
    /// Loads from bfloat16.
    unsafe fn load_bf16(from: *const Bf16) -> Self;
    /// Stores as bfloat16, rounded to the nearest, ties to even.
    unsafe fn store_bf16(self, to: *mut Bf16);
    /// Like [`store_bf16`](Self::store_bf16), but past the caches, as [`stream`](Self::stream).
    unsafe fn stream_bf16(self, to: *mut Bf16);
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self · factor + addend`, rounded once if the instructions do so.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// Square root.
    unsafe fn sqrt(self) -> Self;
    /// Stores as 16-bit integers, rounded to the nearest, ties to even. Values up to 2³¹ that do
    /// not fit become the nearest integer that does. Larger values and NaN become any integer.
    unsafe fn store_rounded(self, to: *mut i16);
    /// Rounds to 16-bit integers, as [`store_rounded`](Self::store_rounded) does. The lower halves
    /// of the lanes' bits hold the integers of `even`, the upper halves those of `odd`.
    unsafe fn rounded_pairs(even: Self, odd: Self) -> Self;
    /// `self + a₀·b₀ + a₁·b₁` modulo 2³². A lane's bits are a 32-bit integer in `self`, and two
    /// 16-bit integers in `a` and `b`.
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self;
    /// Takes the lanes' bits as 32-bit integers, and converts these to fp32.
    unsafe fn integers_as_numbers(self) -> Self;
    /// `max(self, 0)`, except that NaN stays NaN, so that a diverged run shows.
    unsafe fn relu(self) -> Self;
    /// `self` where `sign > 0`, else 0.
    unsafe fn where_positive(self, sign: Self) -> Self;
    /// The transpose of as many rows as there are lanes. Rows lie `stride` apart and have `columns`
    /// elements, at most as many as there are lanes. `to` gets one vector per column.
    unsafe fn transpose(from: *const f32, stride: usize, columns: usize, to: *mut f32);
}

/// An element type of activations, loaded and stored as fp32 lanes.
///
/// # Safety
/// As [`Vector`].
pub trait Stored: Element {
    /// Loads from memory.
    unsafe fn load<V: Vector>(from: *const Self) -> V;
    /// Stores to memory, rounded to the nearest.
    unsafe fn store<V: Vector>(value: V, to: *mut Self);
    /// Like [`store`](Self::store), but past the caches, as [`Vector::stream`].
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
    /// Whether the loop multiplies pairs of integers ([`Vector::add_pairs`]), and so needs the
    /// instruction for it.
    const MULTIPLIES_PAIRS: bool = false;

    /// Runs the loop with vectors of type `V`. Implementations are `#[inline(always)]`, so that
    /// they are compiled for the instructions of `V`.
    ///
    /// # Safety
    /// The loop's own conditions hold, and the CPU must have the instructions.
    unsafe fn run<V: Vector>(self);
}

/// Runs a loop with vectors of `lanes` lanes (the channels of a block, or 1). `lanes` must be 16, 8
/// or 1.
///
/// # Safety
/// The loop's own conditions hold.
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
    // SAFETY: an `Isa` proves that the CPU has these instructions; the caller's promise is passed
    // on.
    unsafe {
        match (isa.level(), lanes) {
            (Level::Avx512Bf16, 16) if K::MULTIPLIES_PAIRS => avx512_pairs(kernel),
            (Level::Avx512Bf16 | Level::Avx512, 16) => avx512(kernel),
            (Level::Avx512Bf16 | Level::Avx512 | Level::Avx2, 8) => avx2(kernel),
            (_, 1) => kernel.run::<[f32; 1]>(),
            #[cfg(test)]
            (_, 16) => kernel.run::<[f32; 16]>(),
            #[cfg(test)]
            (_, 8) => kernel.run::<[f32; 8]>(),
            (_, lanes) => unreachable!("no vector has {lanes} lanes"),
        }
    }
}

/// Whether a result of this many bytes should be stored past the caches. That saves reading the
/// memory first. It also keeps stores out of the way of loads: the planner's tensors often begin at
/// equal offsets in a page, where a load waits for a store or the other way round.
pub fn is_large(bytes: usize) -> bool {
    bytes >= 1 << 20
}

/// A permutation of 32 16-bit values that interleaves two rows of 16 in pairs: element `2i + k`
/// comes from place i of row k.
pub const PAIRS: [u16; 32] = {
    let mut places = [0; 32];
    let mut lane = 0;
    while lane < 32 {
        places[lane] = (lane / 2 + lane % 2 * 16) as u16;
        lane += 1;
    }
    places
};

/// Prefetches the cache line at an address for a read soon. The address need not be valid.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    // SAFETY: every x86-64 CPU has this instruction, and it accesses no memory that a program sees.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

/// Makes what [`Vector::stream`] stored visible to other threads, like other stores.
pub fn fence() {
    // SAFETY: every x86-64 CPU has this instruction.
    unsafe { _mm_sfence() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls every function on the same numbers, and keeps the results.
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
                // Finite numbers, some of them too large for 16 bits.
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
                // Transposes rows of a table that lie an odd distance apart, and compares eight
                // lanes.
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
        // Products and sums of these numbers are exact, so that fused rounding makes no difference.
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
            let (expected, got) =
                (results(Isa::BASELINE, lanes), results(Isa::detect().expect("a CPU with AVX2"), lanes));
            for (expected, got) in expected.iter().flatten().zip(got.iter().flatten()) {
                assert!(expected == got || (expected.is_nan() && got.is_nan()), "{lanes} lanes: {expected} {got}");
            }
        }
    }
}
