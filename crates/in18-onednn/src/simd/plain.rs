//! Arrays in place of vectors.

use super::Vector;
use crate::vector::{Bf16, Element};

/// Any number of lanes, without special instructions.
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
