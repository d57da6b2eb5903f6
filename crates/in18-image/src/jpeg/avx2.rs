//! The inner loops with AVX2. [`idct`], [`upsample`] and [`color`] are the reference: results are
//! equal.

// Only this file and `resize/avx2.rs` may use unsafe code. A function compiled for instructions
// that a processor may lack must be called from an `unsafe` block.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::color;
use super::frame::{BLOCK, SIDE};
use super::idct::{self, DESCALE, Pairs};
use super::upsample;

/// Proof that this processor has AVX2. Only [`detect`](Self::detect) makes a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The proof, if this processor has AVX2.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub fn transform(
        self,
        blocks: &[[i16; BLOCK]],
        last: Option<&[u8]>,
        steps: &[i16; BLOCK],
        out: &mut [u8],
        stride: usize,
    ) {
        // SAFETY: `self` proves that the processor has the instructions that the function is
        // compiled for.
        unsafe { transform(blocks, last, steps, out, stride) }
    }

    pub fn upsample_columns(self, row: &[u8], sums: &mut [u16], out: &mut [u8]) {
        #[target_feature(enable = "avx2")]
        fn columns(row: &[u8], sums: &mut [u16], out: &mut [u8]) {
            upsample::columns(row, sums, out);
        }
        // SAFETY: as above.
        unsafe { columns(row, sums, out) }
    }

    pub fn upsample_rows(self, near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
        #[target_feature(enable = "avx2")]
        fn rows(near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
            upsample::rows(near, far, is_upper, out);
        }
        // SAFETY: as above.
        unsafe { rows(near, far, is_upper, out) }
    }

    pub fn upsample_both(self, near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
        #[target_feature(enable = "avx2")]
        fn both(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
            upsample::both(near, far, sums, out);
        }
        // SAFETY: as above.
        unsafe { both(near, far, sums, out) }
    }

    pub fn ycc(self, y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
        // SAFETY: as above.
        unsafe { ycc(y, cb, cr, out) }
    }
}

#[target_feature(enable = "avx2")]
fn transform(blocks: &[[i16; BLOCK]], last: Option<&[u8]>, steps: &[i16; BLOCK], out: &mut [u8], stride: usize) {
    let (rows, _) = steps.as_chunks::<8>();
    let steps: [__m128i; 8] = std::array::from_fn(|y| load(&rows[y]));
    for (n, block) in blocks.iter().enumerate() {
        let out = &mut out[n * SIDE..];
        let samples = if last.is_some_and(|last| last[n] == 0) {
            [[idct::transform_flat(block[0], _mm_extract_epi16::<0>(steps[0]) as i16); SIDE]; SIDE]
        } else {
            transform_block(block, &steps)
        };
        for (row, samples) in out.chunks_mut(stride).zip(samples) {
            row[..SIDE].copy_from_slice(&samples);
        }
    }
}

/// Like [`idct::transform`]: eight columns at once, then eight rows at once.
#[target_feature(enable = "avx2")]
fn transform_block(block: &[i16; BLOCK], steps: &[__m128i; 8]) -> [[u8; SIDE]; SIDE] {
    let (rows, _) = block.as_chunks::<8>();
    let raw: [__m128i; 8] = std::array::from_fn(|y| load(&rows[y]));
    let input: [__m128i; 8] = std::array::from_fn(|y| _mm_mullo_epi16(raw[y], steps[y]));
    let any = raw[2..].iter().fold(raw[1], |any, &row| _mm_or_si128(any, row));
    let columns = if _mm_testz_si128(any, any) == 1 {
        [_mm_slli_epi16::<2>(input[0]); 8]
    } else {
        pass::<{ DESCALE[0] as i32 }>(input)
    };
    let rows = transpose(pass::<{ DESCALE[1] as i32 }>(transpose(columns)));
    let center = _mm_set1_epi8(-128);
    let mut samples = [[0; SIDE]; SIDE];
    for y in [0, 2, 4, 6] {
        let two = _mm_add_epi8(_mm_packs_epi16(rows[y], rows[y + 1]), center);
        samples[y] = _mm_extract_epi64::<0>(two).to_le_bytes();
        samples[y + 1] = _mm_extract_epi64::<1>(two).to_le_bytes();
    }
    samples
}

/// Eight transforms of eight values in one dimension: `input[n]` holds the n-th value of each.
#[target_feature(enable = "avx2")]
fn pass<const SHIFT: i32>(input: [__m128i; 8]) -> [__m128i; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let even_0 = shifted(_mm_add_epi16(i0, i4));
    let even_1 = shifted(_mm_sub_epi16(i0, i4));
    let pair = pairs(i2, i6);
    let (even_2, even_3) = (products(pair, Pairs::EVEN_2), products(pair, Pairs::EVEN_3));
    let even = [
        _mm256_add_epi32(even_0, even_3),
        _mm256_add_epi32(even_1, even_2),
        _mm256_sub_epi32(even_1, even_2),
        _mm256_sub_epi32(even_0, even_3),
    ];
    let pair = pairs(_mm_add_epi16(i7, i3), _mm_add_epi16(i5, i1));
    let (shared_3, shared_4) = (products(pair, Pairs::SHARED_3), products(pair, Pairs::SHARED_4));
    let (i71, i53) = (pairs(i7, i1), pairs(i5, i3));
    let odd = [
        _mm256_add_epi32(products(i71, Pairs::ODD_3), shared_4),
        _mm256_add_epi32(products(i53, Pairs::ODD_2), shared_3),
        _mm256_add_epi32(products(i53, Pairs::ODD_1), shared_4),
        _mm256_add_epi32(products(i71, Pairs::ODD_0), shared_3),
    ];
    let half = _mm256_set1_epi32(1 << (SHIFT - 1));
    let mut output = [i0; 8];
    for n in 0..4 {
        let even = _mm256_add_epi32(even[n], half);
        output[n] = narrow(_mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even, odd[n])));
        output[7 - n] = narrow(_mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even, odd[n])));
    }
    output
}

/// Eight numbers, multiplied by 2^13.
#[target_feature(enable = "avx2")]
fn shifted(numbers: __m128i) -> __m256i {
    _mm256_slli_epi32::<13>(_mm256_cvtepi16_epi32(numbers))
}

/// Interleaves two vectors to pairs of numbers.
#[target_feature(enable = "avx2")]
fn pairs(a: __m128i, b: __m128i) -> __m256i {
    _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b))
}

/// For each pair, the sum of its products with the two factors.
#[target_feature(enable = "avx2")]
fn products(pairs: __m256i, [a, b]: [i16; 2]) -> __m256i {
    let factors = _mm256_set1_epi32(i32::from(b) << 16 | i32::from(a) & 0xffff);
    _mm256_madd_epi16(pairs, factors)
}

/// Narrows eight numbers to 16 bits, saturated.
#[target_feature(enable = "avx2")]
fn narrow(numbers: __m256i) -> __m128i {
    _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256::<1>(numbers))
}

/// Turns rows into columns.
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m128i; 8]) -> [__m128i; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let (ae0, ae1) = (_mm_unpacklo_epi16(a, e), _mm_unpackhi_epi16(a, e));
    let (bf0, bf1) = (_mm_unpacklo_epi16(b, f), _mm_unpackhi_epi16(b, f));
    let (cg0, cg1) = (_mm_unpacklo_epi16(c, g), _mm_unpackhi_epi16(c, g));
    let (dh0, dh1) = (_mm_unpacklo_epi16(d, h), _mm_unpackhi_epi16(d, h));
    let interleave = |ae, bf, cg, dh| {
        let (aceg0, aceg1) = (_mm_unpacklo_epi16(ae, cg), _mm_unpackhi_epi16(ae, cg));
        let (bdfh0, bdfh1) = (_mm_unpacklo_epi16(bf, dh), _mm_unpackhi_epi16(bf, dh));
        [
            _mm_unpacklo_epi16(aceg0, bdfh0),
            _mm_unpackhi_epi16(aceg0, bdfh0),
            _mm_unpacklo_epi16(aceg1, bdfh1),
            _mm_unpackhi_epi16(aceg1, bdfh1),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (interleave(ae0, bf0, cg0, dh0), interleave(ae1, bf1, cg1, dh1));
    [a, b, c, d, e, f, g, h]
}

#[target_feature(enable = "avx2")]
fn load(numbers: &[i16; 8]) -> __m128i {
    let [a, b, c, d, e, f, g, h] = *numbers;
    _mm_setr_epi16(a, b, c, d, e, f, g, h)
}

/// Like [`color::ycc`], 16 pixels at a time.
#[target_feature(enable = "avx2")]
fn ycc(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let (groups, rest) = out.as_chunks_mut::<48>();
    let whole = groups.len() * 16;
    let (ys, _) = y.as_chunks::<16>();
    let (cbs, _) = cb.as_chunks::<16>();
    let (crs, _) = cr.as_chunks::<16>();
    for (((group, y), cb), cr) in groups.iter_mut().zip(ys).zip(cbs).zip(crs) {
        let (y, cb, cr) = (wide(y), wide(cb), wide(cr));
        let center = _mm256_set1_epi16(128);
        let (cb, cr) = (_mm256_sub_epi16(cb, center), _mm256_sub_epi16(cr, center));
        let (cb2, cr2) = (_mm256_add_epi16(cb, cb), _mm256_add_epi16(cr, cr));
        let one = _mm256_set1_epi16(1);
        // 1.402 is 1 plus 0.402, and 0.402 x is half of 0.402 * 2x, rounded. Likewise, 1.772 is 2
        // less 0.228.
        let part = |doubled, factor: i16| {
            let product = _mm256_mulhi_epi16(doubled, _mm256_set1_epi16(factor));
            _mm256_srai_epi16::<1>(_mm256_add_epi16(product, one))
        };
        let red = _mm256_add_epi16(y, _mm256_add_epi16(cr, part(cr2, 26_345)));
        let blue = _mm256_add_epi16(y, _mm256_add_epi16(cb2, part(cb2, -14_942)));
        // 0.71414 is 1 less 0.28586.
        let factors = _mm256_set1_epi32(18_734 << 16 | (-22_554 & 0xffff));
        let half = _mm256_set1_epi32(1 << 15);
        let sum = |pairs| _mm256_srai_epi32::<16>(_mm256_add_epi32(_mm256_madd_epi16(pairs, factors), half));
        let (low, high) = (sum(_mm256_unpacklo_epi16(cb, cr)), sum(_mm256_unpackhi_epi16(cb, cr)));
        let green = _mm256_add_epi16(y, _mm256_sub_epi16(_mm256_packs_epi32(low, high), cr));
        *group = interleave(bytes(red), bytes(green), bytes(blue));
    }
    let (rest, _) = rest.as_chunks_mut::<3>();
    color::ycc(&y[whole..], &cb[whole..], &cr[whole..], rest);
}

#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8; 16]) -> __m128i {
    let both = u128::from_le_bytes(*bytes);
    _mm_set_epi64x((both >> 64) as i64, both as i64)
}

/// Widens 16 bytes to 16 bits each.
#[target_feature(enable = "avx2")]
fn wide(bytes: &[u8; 16]) -> __m256i {
    _mm256_cvtepu8_epi16(load_bytes(bytes))
}

/// Narrows 16 numbers to 8 bits each, saturated.
#[target_feature(enable = "avx2")]
fn bytes(numbers: __m256i) -> __m128i {
    _mm_packus_epi16(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256::<1>(numbers))
}

/// Interleaves three channels to 16 pixels.
#[target_feature(enable = "avx2")]
fn interleave(red: __m128i, green: __m128i, blue: __m128i) -> [u8; 48] {
    /// For each third of the pixels and each channel: the index of the byte that goes to each
    /// place; 0x80 where another channel's byte goes.
    const PLACES: [[[u8; 16]; 3]; 3] = {
        let mut places = [[[0x80; 16]; 3]; 3];
        let mut n = 0;
        while n < 48 {
            places[n / 16][n % 3][n % 16] = (n / 3) as u8;
            n += 1;
        }
        places
    };
    let mut pixels = [0; 48];
    let (thirds, _) = pixels.as_chunks_mut::<16>();
    for (third, places) in thirds.iter_mut().zip(&PLACES) {
        let red = _mm_shuffle_epi8(red, load_bytes(&places[0]));
        let green = _mm_shuffle_epi8(green, load_bytes(&places[1]));
        let blue = _mm_shuffle_epi8(blue, load_bytes(&places[2]));
        let all = _mm_or_si128(_mm_or_si128(red, green), blue);
        let (low, high) = (_mm_extract_epi64::<0>(all) as u64, _mm_extract_epi64::<1>(all) as u64);
        *third = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(length: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), length)
    }

    fn rows() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<u8>)> {
        (3..200_usize).prop_flat_map(|length| (row(length), row(length), row(length)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn transforms_are_the_plain_ones(
            coefficients in proptest::array::uniform32(any::<[i16; 2]>()), steps: [i16; 32], shift in 0..16_u32,
            rows in 0..=64_usize,
        ) {
            let Some(avx2) = Avx2::detect() else { return Ok(()) };
            let mut block = [0; BLOCK];
            for (to, from) in block.iter_mut().zip(coefficients.as_flattened()).take(rows) {
                *to = from >> shift;
            }
            let steps: [i16; BLOCK] = std::array::from_fn(|n| steps[n / 2] >> shift);
            let (mut plain, mut fast) = ([0; BLOCK], [0; BLOCK]);
            idct::transform(&block, &steps, &mut plain, SIDE);
            avx2.transform(&[block], None, &steps, &mut fast, SIDE);
            prop_assert_eq!(plain, fast);
            block[1..].fill(0);
            idct::transform(&block, &steps, &mut plain, SIDE);
            avx2.transform(&[block], Some(&[0]), &steps, &mut fast, SIDE);
            prop_assert_eq!(plain, fast);
        }

        #[test]
        fn rows_are_the_plain_ones((a, b, c) in rows(), is_upper: bool) {
            let Some(avx2) = Avx2::detect() else { return Ok(()) };
            let n = a.len();
            let (mut plain, mut fast, mut sums) = (vec![0; 2 * n], vec![0; 2 * n], vec![0; n + 2]);
            upsample::columns(&a, &mut sums, &mut plain);
            avx2.upsample_columns(&a, &mut sums, &mut fast);
            prop_assert_eq!(&plain, &fast);
            upsample::both(&a, &b, &mut sums, &mut plain);
            avx2.upsample_both(&a, &b, &mut sums, &mut fast);
            prop_assert_eq!(&plain, &fast);
            upsample::rows(&a, &b, is_upper, &mut plain);
            avx2.upsample_rows(&a, &b, is_upper, &mut fast);
            prop_assert_eq!(&plain, &fast);
            let (mut plain, mut fast) = (vec![0; 3 * n], vec![0; 3 * n]);
            color::ycc(&a, &b, &c, plain.as_chunks_mut::<3>().0);
            avx2.ycc(&a, &b, &c, &mut fast);
            prop_assert_eq!(&plain, &fast);
        }
    }
}
