//! Loops over memory that are compiled for each instruction set. An [`Isa`](crate::isa::Isa) chooses which version
//! runs.
//!
//! The loops take raw pointers into the caller's arenas, and process whole blocks through local
//! arrays. The compiler can keep such arrays in vector registers without proving that memory does
//! not overlap. The results of these loops do not depend on the instruction set. Loops that need
//! explicit vectors are kernels of [`simd`](crate::simd).

/// An element type of activations in memory. Arithmetic is fp32.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// The value as fp32.
    fn to_f32(self) -> f32;
    /// The element nearest to `value`.
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

/// A bfloat16, as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Element for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    /// The nearest bfloat16 (ties to even); NaN stays NaN. The rounding uses integers, so that the
    /// compiler can vectorise it: add half a unit of the last kept place, plus one if that place is
    /// odd (Intel, *BFLOAT16 Hardware Numerics Definition*, 2018, section 2).
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
        Bf16((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
    }
}

/// Declares `$name(isa, …)`, which runs the version of `$body` compiled for that instruction set.
macro_rules! multiversion {
    (
        $(#[$meta:meta])*
        pub unsafe fn $name:ident [$($generics:tt)*] ($($arg:ident : $ty:ty),* $(,)?) where [$($bounds:tt)*] $body:block
    ) => {
        $(#[$meta])*
        pub unsafe fn $name<$($generics)*>(isa: $crate::isa::Isa, $($arg: $ty),*) where $($bounds)* {
            #[inline(always)]
            unsafe fn body<$($generics)*>($($arg: $ty),*) where $($bounds)* $body

            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn avx512<$($generics)*>($($arg: $ty),*) where $($bounds)* {
                // SAFETY: the caller's promise is passed on.
                unsafe { body($($arg),*) }
            }

            #[target_feature(enable = "avx2")]
            unsafe fn avx2<$($generics)*>($($arg: $ty),*) where $($bounds)* {
                // SAFETY: the caller's promise is passed on.
                unsafe { body($($arg),*) }
            }

            // SAFETY: an `Isa` proves that the CPU has these instructions; the caller's promise is
            // passed on.
            unsafe {
                match isa.level() {
                    $crate::isa::Level::Avx512Bf16 | $crate::isa::Level::Avx512 => avx512($($arg),*),
                    $crate::isa::Level::Avx2 => avx2($($arg),*),
                    #[cfg(test)]
                    $crate::isa::Level::Baseline => body($($arg),*),
                }
            }
        }
    };
}

pub(crate) use multiversion;

multiversion! {
    /// Converts an image of interleaved pixels to three planes: `dst[c·plane + i] = (src[3·i + c] −
    /// mean[c]) / deviation[c]` for `i < plane`.
    ///
    /// # Safety
    /// Both pointers must be valid for `3 · plane` elements, `dst` for writes, without overlap.
    pub unsafe fn normalize[E](src: *const u8, dst: *mut E, plane: usize, mean: [f32; 3], deviation: [f32; 3])
    where [E: Element] {
        const BLOCK: usize = 32;
        let mut i = 0;
        while i + BLOCK <= plane {
            // SAFETY: the block ends at or before the last pixel.
            let block = unsafe { src.add(3 * i).cast::<[[u8; 3]; BLOCK]>().read_unaligned() };
            for c in 0..3 {
                let mut result = [E::default(); BLOCK];
                for lane in 0..BLOCK {
                    result[lane] = E::from_f32((f32::from(block[lane][c]) - mean[c]) / deviation[c]);
                }
                // SAFETY: as above.
                unsafe { dst.add(c * plane + i).cast::<[E; BLOCK]>().write_unaligned(result) };
            }
            i += BLOCK;
        }
        while i < plane {
            for c in 0..3 {
                // SAFETY: `i < plane`.
                unsafe {
                    let value = (f32::from(src.add(3 * i + c).read()) - mean[c]) / deviation[c];
                    dst.add(c * plane + i).write_unaligned(E::from_f32(value));
                }
            }
            i += 1;
        }
    }
}

multiversion! {
    /// Adds `pixels` rows of `B` elements to `sums`.
    ///
    /// # Safety
    /// `src` must be valid for `pixels · B` elements.
    pub unsafe fn sum_rows[E, const B: usize](src: *const E, pixels: usize, sums: &mut [f32; B])
    where [E: Element] {
        let mut totals = *sums;
        for pixel in 0..pixels {
            // SAFETY: `pixel < pixels`.
            let row = unsafe { src.add(pixel * B).cast::<[E; B]>().read_unaligned() };
            for lane in 0..B {
                totals[lane] += row[lane].to_f32();
            }
        }
        *sums = totals;
    }
}
