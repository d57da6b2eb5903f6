//! How transformed inputs and kernels are stored, and how their products are converted back.
//!
//! [`Single`] is fp32. [`Fixed`] is 16-bit fixed point, for bf16 activations on CPUs that multiply
//! pairs of such numbers at twice the rate of fp32 (`vpdpwssd`, which is as fast as the products of
//! bf16 pairs).
//!
//! Each point of a tile has a scale, and so has each point of an output channel's kernels. The
//! scale is chosen by the point's norm over the input channels, 256 at most. By the Cauchy-Schwarz
//! inequality, no 32-bit sum then overflows, and sums are exact. Squares of norms are fp32. Norms
//! above 1.8e19, where bf16 activations have long diverged, give NaN.
//!
//! Relative errors over kernels and tiles like those of a network are 3e-4 (64 channels) to 6e-4.
//! Rounding the results to bf16 gives 1.7e-3, and transformed values in bf16 would give 9e-3.
//! Errors are proportional to the norms, so kernels that are large just where channels are small
//! would lose more.

use std::ops::Range;

use super::tiles::Square;
use super::tiles::{POINTS, SIDE};
use super::transform;
use crate::product::{Plain, Product};
use crate::simd::{Lanes, MOST_LANES, Stored, Vector};
use crate::threads::part;

/// A way to store transformed numbers. They lie in words of 32 bits. A vector of words is a row of
/// a product's operand.
pub trait Numbers: Copy + Send + Sync + 'static {
    /// Input channels per word.
    const CHANNELS: usize;
    /// Whether tiles and kernels have scales: one per point and part of the input channels.
    const HAS_SCALES: bool;

    /// The number of parts in which `blocks` blocks of input channels are summed. Parts are as
    /// equal as possible.
    fn parts(blocks: usize) -> usize;

    /// The blocks of words of a part.
    fn part(blocks: usize, number: usize) -> Range<usize> {
        part(blocks / Self::CHANNELS, 1, number, Self::parts(blocks))
    }

    /// Transforms all channels of a tile.
    ///
    /// # Safety
    /// The image of `square` must have the blocks; `to` must be valid as [`Inputs`] says; as
    /// [`Vector`].
    unsafe fn transform<E: Stored, V: Vector>(square: &Square<E, SIDE>, blocks: usize, to: Inputs);

    /// A word of the kernels of an input channel, and of the next channel if a word holds two
    /// channels.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn word<V: Vector>(points: [V; 2], factor: V) -> V;

    /// The product of tiles and a pair's kernels at a point, over a part of the input channels.
    /// `scales` are the scales of the tiles and of the kernels. The sums of all parts but the first
    /// are added to the existing sums.
    ///
    /// # Safety
    /// If there are scales, the kernels' scales must be two vectors; as [`Vector`].
    unsafe fn product<V: Vector>(scales: [*const f32; 2], is_first: bool) -> impl Product<V>;
}

/// The index of the scale of a part and a point.
pub const fn scale(part: usize, point: usize) -> usize {
    part * POINTS + point
}

/// Where the transformed input of a tile is stored.
#[derive(Clone, Copy)]
pub struct Inputs {
    /// The address of the first vector of words, and the distances in words from one block of words
    /// to the next and from one point to the next.
    pub words: *mut f32,
    pub block: usize,
    pub point: usize,
    /// The tile's first [`scale`], and the distance to the next scale.
    pub scales: *mut f32,
    pub scale: usize,
    /// Memory to work in, if the tile has scales: [`staging_point`] times [`POINTS`] words.
    pub staging: *mut f32,
}

/// Words from one point to the next while a tile with scales is transformed. This is one vector
/// more than needed, so that points do not share a cache set.
pub const fn staging_point(blocks: usize, lanes: usize) -> usize {
    blocks * lanes + MOST_LANES
}

/// fp32.
#[derive(Clone, Copy)]
pub struct Single;

impl Numbers for Single {
    const CHANNELS: usize = 1;
    const HAS_SCALES: bool = false;

    fn parts(_: usize) -> usize {
        1
    }

    #[inline(always)]
    unsafe fn transform<E: Stored, V: Vector>(square: &Square<E, SIDE>, blocks: usize, to: Inputs) {
        for block in 0..blocks {
            square.prefetch::<V>(block + 1);
            // SAFETY: by the caller's promise.
            unsafe { transform::input::<E, V>(square, block, to.words.add(block * to.block), to.point) }
        }
    }

    #[inline(always)]
    unsafe fn word<V: Vector>([point, _]: [V; 2], _: V) -> V {
        point
    }

    #[inline(always)]
    unsafe fn product<V: Vector>(_: [*const f32; 2], is_first: bool) -> impl Product<V> {
        Plain { is_first }
    }
}

/// 16-bit fixed point.
#[derive(Clone, Copy)]
pub struct Fixed;

/// The most input channels that are summed in 32 bits. Errors grow with the root of their number.
const MOST_SUMMED: usize = 256;

/// `INPUT_NORM` is the norm over the summed channels that each point of a tile is scaled to; it
/// also bounds each number. `KERNEL_NORM` is the largest norm of an output channel's kernels, whose
/// numbers may reach [`LARGEST`]. Rounding makes a norm longer by at most ½√channels. The product
/// of both norms therefore stays under 2³¹, and so does each sum.
const INPUT_NORM: f32 = 32_700.0;
const KERNEL_NORM: f32 = 65_500.0;
const LARGEST: f32 = 32_767.0;

/// Added to norms, so that nothing is divided by zero. Activations and kernels with far smaller
/// norms count as nothing.
const LEAST_NORM: f32 = 1e-15;

/// The factors of a tile's points, and the factors that undo them. `squares` are the sums of the
/// points' squares over the input channels.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn input_factors<V: Vector>(squares: V) -> [V; 2] {
    // SAFETY: by the caller's promise.
    unsafe {
        let norms = squares.sqrt().add(V::splat(LEAST_NORM));
        [V::splat(INPUT_NORM).div(norms), norms.mul(V::splat(1.0 / INPUT_NORM))]
    }
}

/// Like [`input_factors`], for the points of kernels, which also need the `largest` square of each
/// point. NaN among the sums shows in both results.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn kernel_factors<V: Vector>(squares: V, largest: V) -> [V; 2] {
    // SAFETY: by the caller's promise.
    unsafe {
        let by_norm = squares.sqrt().add(V::splat(LEAST_NORM)).mul(V::splat(1.0 / KERNEL_NORM));
        let by_largest = largest.sqrt().mul(V::splat(1.0 / LARGEST));
        let back = by_norm.add(by_largest.sub(by_norm).relu());
        [V::splat(1.0).div(back), back]
    }
}

impl Numbers for Fixed {
    const CHANNELS: usize = 2;
    const HAS_SCALES: bool = true;

    fn parts(blocks: usize) -> usize {
        (blocks * MOST_LANES).div_ceil(MOST_SUMMED)
    }

    #[inline(always)]
    unsafe fn transform<E: Stored, V: Vector>(square: &Square<E, SIDE>, blocks: usize, to: Inputs) {
        let staging_point = staging_point(blocks, V::LANES);
        // SAFETY: by the caller's promise.
        unsafe {
            for block in 0..blocks {
                square.prefetch::<V>(block + 1);
                transform::input::<E, V>(square, block, to.staging.add(block * V::LANES), staging_point);
            }
            for number in 0..Self::parts(blocks) {
                let words = Self::part(blocks, number);
                let to = Inputs { scales: to.scales.add(scale(number, 0) * to.scale), ..to };
                scale_part::<V>(2 * words.start..2 * words.end, staging_point, to);
            }
        }
    }

    #[inline(always)]
    unsafe fn word<V: Vector>([even, odd]: [V; 2], factor: V) -> V {
        // SAFETY: by the caller's promise.
        unsafe { V::rounded_pairs(even.mul(factor), odd.mul(factor)) }
    }

    #[inline(always)]
    unsafe fn product<V: Vector>([of_tiles, of_kernels]: [*const f32; 2], is_first: bool) -> impl Product<V> {
        // SAFETY: by the caller's promise.
        let of_kernels = unsafe { [V::load(of_kernels), V::load(of_kernels.add(V::LANES))] };
        Scaled { of_tiles, of_kernels, is_first }
    }
}

/// Chooses the scales of a tile's points for a part of its blocks of channels, and rounds the
/// scaled numbers.
///
/// # Safety
/// As [`Numbers::transform`]. The blocks must lie in the tile's staging memory. The number of
/// blocks and the first block must be even.
#[inline(always)]
unsafe fn scale_part<V: Vector>(blocks: Range<usize>, staging_point: usize, to: Inputs) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut squares = [[0f32; MOST_LANES]; POINTS.next_multiple_of(MOST_LANES)];
        let squares = squares.as_mut_ptr().cast::<f32>();
        for point in 0..POINTS {
            let from = to.staging.add(point * staging_point);
            let mut totals = [V::splat(0.0); 2];
            for block in blocks.clone().step_by(2) {
                let values = [V::load(from.add(block * V::LANES)), V::load(from.add((block + 1) * V::LANES))];
                totals = [values[0].mul_add(values[0], totals[0]), values[1].mul_add(values[1], totals[1])];
            }
            totals[0].add(totals[1]).store(squares.add(point * V::LANES));
        }
        for first in (0..POINTS).step_by(V::LANES) {
            let [mut factors, mut inverses]: [Lanes; 2] = [[0.0; MOST_LANES]; 2];
            let [of_numbers, back] = input_factors(sums::<V>(squares.add(first * V::LANES)));
            of_numbers.store(factors.as_mut_ptr());
            back.store(inverses.as_mut_ptr());
            for (point, (factor, inverse)) in (first..POINTS).zip(factors.into_iter().zip(inverses)).take(V::LANES) {
                to.scales.add(point * to.scale).write(inverse);
                let factor = V::splat(factor);
                let from = to.staging.add(point * staging_point);
                let words = to.words.add(point * to.point);
                for block in blocks.clone() {
                    // Two blocks of channels form one block of words.
                    let half = words.add(block / 2 * to.block).cast::<i16>().add(block % 2 * V::LANES);
                    V::load(from.add(block * V::LANES)).mul(factor).store_rounded(half);
                }
            }
        }
    }
}

/// The sums over the lanes of `LANES` vectors.
///
/// # Safety
/// `from` must hold the vectors; as [`Vector`].
#[inline(always)]
unsafe fn sums<V: Vector>(from: *const f32) -> V {
    let mut turned = [[0f32; MOST_LANES]; MOST_LANES];
    let turned = turned.as_mut_ptr().cast::<f32>();
    // SAFETY: by the caller's promise.
    unsafe {
        V::transpose(from, V::LANES, V::LANES, turned);
        let mut total = V::load(turned);
        for lane in 1..V::LANES {
            total = total.add(V::load(turned.add(lane * V::LANES)));
        }
        total
    }
}

/// Products of pairs of 16-bit numbers, scaled back.
#[derive(Clone, Copy)]
struct Scaled<V> {
    of_tiles: *const f32,
    of_kernels: [V; 2],
    is_first: bool,
}

impl<V: Vector> Product<V> for Scaled<V> {
    #[inline(always)]
    unsafe fn add(total: V, input: V, weights: V) -> V {
        // SAFETY: by the caller's promise.
        unsafe { total.add_pairs(input, weights) }
    }

    #[inline(always)]
    unsafe fn finish(&self, totals: [V; 2], row: usize, places: [*const f32; 2]) -> [V; 2] {
        // SAFETY: by the caller's promise.
        unsafe {
            let of_tile = V::splat(self.of_tiles.add(row).read());
            let [lower, upper] =
                [totals[0].integers_as_numbers().mul(of_tile), totals[1].integers_as_numbers().mul(of_tile)];
            if self.is_first {
                return [lower.mul(self.of_kernels[0]), upper.mul(self.of_kernels[1])];
            }
            let before = [V::load(places[0]), V::load(places[1])];
            [lower.mul_add(self.of_kernels[0], before[0]), upper.mul_add(self.of_kernels[1], before[1])]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_block_once_and_few_enough() {
        for blocks in (2..=130).step_by(2) {
            let mut next = 0;
            for number in 0..Fixed::parts(blocks) {
                let words = Fixed::part(blocks, number);
                assert!(words.start == next && !words.is_empty(), "{blocks} blocks, part {number}: {words:?}");
                assert!(words.len() * Fixed::CHANNELS * MOST_LANES <= MOST_SUMMED, "{blocks} blocks: {words:?}");
                next = words.end;
            }
            assert_eq!(next, blocks / Fixed::CHANNELS, "{blocks} blocks");
        }
    }

    /// The argument in the comment of [`INPUT_NORM`].
    #[test]
    fn no_sum_overflows() {
        let longer = (MOST_SUMMED as f64).sqrt() / 2.0 + 1.0;
        assert!((f64::from(INPUT_NORM) + longer) * (f64::from(KERNEL_NORM) + longer) < f64::from(i32::MAX));
        assert!(f64::from(INPUT_NORM) + 1.0 < f64::from(i16::MAX));
    }
}
