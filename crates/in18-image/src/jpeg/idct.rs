//! Dequantisation and the inverse transform of blocks (T.81 A.3.3): the "slow integer" method of
//! Loeffler, Ligtenberg and Moschytz.
//!
//! Results are those of libjpeg-turbo's SIMD version (simd/x86_64/jidctint-avx2.asm), which Pillow
//! runs on x86. For coefficients that an encoder can produce, it agrees with jidctint.c. For others
//! it wraps and saturates in 16 bits, where jidctint.c uses 32 bits and a table.

use super::frame::BLOCK;

/// Bits by which constants are scaled.
const CONST_BITS: u32 = 13;
/// Fractional bits after the first pass.
const PASS1_BITS: u32 = 2;
/// The number of bits by which each pass shifts its results.
pub(super) const DESCALE: [u32; 2] = [CONST_BITS - PASS1_BITS, CONST_BITS + PASS1_BITS + 3];

// Cosines and sums of cosines, times 2^13, with the names of jidctint.c.
const F_0_298: i32 = 2446;
const F_0_390: i32 = 3196;
const F_0_541: i32 = 4433;
const F_0_765: i32 = 6270;
const F_0_899: i32 = 7373;
const F_1_175: i32 = 9633;
const F_1_501: i32 = 12299;
const F_1_847: i32 = 15137;
const F_1_961: i32 = 16069;
const F_2_053: i32 = 16819;
const F_2_562: i32 = 20995;
const F_3_072: i32 = 25172;

/// A pass starts with eight sums of two products. These are the factors of the pairs of inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairs;

impl Pairs {
    /// For inputs 2 and 6: the third term of the even part.
    pub const EVEN_3: [i16; 2] = [(F_0_541 + F_0_765) as i16, F_0_541 as i16];
    /// For inputs 2 and 6: the second term of the even part.
    pub const EVEN_2: [i16; 2] = [F_0_541 as i16, (F_0_541 - F_1_847) as i16];
    /// For inputs 7 + 3 and 5 + 1: the part that odd terms 0 and 2 share.
    pub const SHARED_3: [i16; 2] = [(F_1_175 - F_1_961) as i16, F_1_175 as i16];
    /// For inputs 7 + 3 and 5 + 1: the part that odd terms 1 and 3 share.
    pub const SHARED_4: [i16; 2] = [F_1_175 as i16, (F_1_175 - F_0_390) as i16];
    /// For inputs 7 and 1: odd term 0.
    pub const ODD_0: [i16; 2] = [(F_0_298 - F_0_899) as i16, -F_0_899 as i16];
    /// For inputs 5 and 3: odd term 1.
    pub const ODD_1: [i16; 2] = [(F_2_053 - F_2_562) as i16, -F_2_562 as i16];
    /// For inputs 5 and 3: odd term 2.
    pub const ODD_2: [i16; 2] = [-F_2_562 as i16, (F_3_072 - F_2_562) as i16];
    /// For inputs 7 and 1: odd term 3.
    pub const ODD_3: [i16; 2] = [-F_0_899 as i16, (F_1_501 - F_0_899) as i16];
}

/// Transforms the `coefficients` of a block into 8 rows of 8 samples. Rows lie `stride` bytes
/// apart.
pub(super) fn transform(coefficients: &[i16; BLOCK], steps: &[i16; BLOCK], out: &mut [u8], stride: usize) {
    // After the first pass, transposed: the eight values of a column follow each other.
    let mut columns = [0; BLOCK];
    let flat = coefficients[8..].iter().all(|&c| c == 0);
    for x in 0..8 {
        let input: [i16; 8] = std::array::from_fn(|y| coefficients[8 * y + x].wrapping_mul(steps[8 * y + x]));
        let output = if flat { [input[0] << PASS1_BITS; 8] } else { pass(input, DESCALE[0]) };
        columns[8 * x..8 * x + 8].copy_from_slice(&output);
    }
    for (y, row) in out.chunks_mut(stride).take(8).enumerate() {
        let output = pass(std::array::from_fn(|x| columns[8 * x + y]), DESCALE[1]);
        for (sample, value) in row.iter_mut().zip(output) {
            *sample = sample_of(value);
        }
    }
}

/// [`transform`] for a block with only its first coefficient. Returns the value of all 64 samples.
pub(super) fn transform_flat(coefficient: i16, step: i16) -> u8 {
    let value = coefficient.wrapping_mul(step) << PASS1_BITS;
    sample_of(((i32::from(value) + 16) >> 5) as i16)
}

fn sample_of(value: i16) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

/// A transform of eight values in one dimension.
fn pass(input: [i16; 8], descale: u32) -> [i16; 8] {
    let sum = |[a, b]: [i16; 2], x: i16, y: i16| i32::from(a) * i32::from(x) + i32::from(b) * i32::from(y);
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let (even_0, even_1) = (i32::from(i0.wrapping_add(i4)) << CONST_BITS, i32::from(i0.wrapping_sub(i4)) << CONST_BITS);
    let (even_2, even_3) = (sum(Pairs::EVEN_2, i2, i6), sum(Pairs::EVEN_3, i2, i6));
    let even = [
        even_0.wrapping_add(even_3),
        even_1.wrapping_add(even_2),
        even_1.wrapping_sub(even_2),
        even_0.wrapping_sub(even_3),
    ];
    let (z3, z4) = (i7.wrapping_add(i3), i5.wrapping_add(i1));
    let (shared_3, shared_4) = (sum(Pairs::SHARED_3, z3, z4), sum(Pairs::SHARED_4, z3, z4));
    let odd = [
        sum(Pairs::ODD_3, i7, i1).wrapping_add(shared_4),
        sum(Pairs::ODD_2, i5, i3).wrapping_add(shared_3),
        sum(Pairs::ODD_1, i5, i3).wrapping_add(shared_4),
        sum(Pairs::ODD_0, i7, i1).wrapping_add(shared_3),
    ];
    let scaled = |value: i32| {
        let rounded = value.wrapping_add(1 << (descale - 1)) >> descale;
        rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    };
    std::array::from_fn(|n| match n {
        0..4 => scaled(even[n].wrapping_add(odd[n])),
        _ => scaled(even[7 - n].wrapping_sub(odd[7 - n])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The definition of T.81 A.3.3, including the level shift.
    fn definition(coefficients: &[f64; BLOCK]) -> [f64; BLOCK] {
        let factor = |n: usize| if n == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let cosine = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos();
        std::array::from_fn(|at| {
            let (y, x) = (at / 8, at % 8);
            let terms = (0..BLOCK).map(|n| {
                let (v, u) = (n / 8, n % 8);
                factor(u) * factor(v) * coefficients[n] * cosine(x, u) * cosine(y, v)
            });
            terms.sum::<f64>() / 4.0 + 128.0
        })
    }

    #[test]
    fn samples_are_those_of_the_definition_within_one() {
        let mut state = 1_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        for round in 0..500 {
            let density = 1 + round % 64;
            let steps: [i16; BLOCK] = std::array::from_fn(|_| 1 + (random() % 20) as i16);
            let mut coefficients = [0_i16; BLOCK];
            for _ in 0..density {
                let at = random() as usize % BLOCK;
                coefficients[at] = (random() % 31) as i16 - 15;
            }
            coefficients[0] = (random() % 101) as i16 - 50;
            let exact = definition(&std::array::from_fn(|n| f64::from(coefficients[n]) * f64::from(steps[n])));
            let mut samples = [0; BLOCK];
            transform(&coefficients, &steps, &mut samples, 8);
            for (sample, exact) in samples.iter().zip(exact) {
                assert!((f64::from(*sample) - exact.clamp(0.0, 255.0)).abs() <= 1.0, "{samples:?} {exact}");
            }
        }
    }

    #[test]
    fn a_flat_block_is_transformed_as_any_other() {
        for coefficient in (i16::MIN..=i16::MAX).step_by(7) {
            for step in [1, 16, 255, -1] {
                let mut coefficients = [0; BLOCK];
                coefficients[0] = coefficient;
                let mut samples = [0; BLOCK];
                transform(&coefficients, &[step; BLOCK], &mut samples, 8);
                assert_eq!(samples, [transform_flat(coefficient, step); BLOCK]);
            }
        }
    }
}
