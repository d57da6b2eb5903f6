//! The inner loops: products of small matrices in registers. The rows of a matrix are tiles, or
//! pixels.

use std::ops::Range;

use crate::simd::{Vector, prefetch};

/// The arithmetic of a product of matrices.
pub trait Product<V>: Copy {
    /// `total` plus the product of `input`, a word of the inputs in all lanes, and a vector of
    /// weights.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn add(total: V, input: V, weights: V) -> V;
    /// The sums of a row, computed from its totals and from the values that stand at the sums'
    /// places.
    ///
    /// # Safety
    /// The row must exist, counting the row that was added to make the number of rows even.
    /// `places` must hold sums, unless the product is known not to read them. As [`Vector`].
    unsafe fn finish(&self, totals: [V; 2], row: usize, places: [*const f32; 2]) -> [V; 2];
}

/// Products of fp32. All but the first are added to the existing sums.
#[derive(Clone, Copy)]
pub struct Plain {
    pub is_first: bool,
}

impl<V: Vector> Product<V> for Plain {
    #[inline(always)]
    unsafe fn add(total: V, input: V, weights: V) -> V {
        // SAFETY: by the caller's promise.
        unsafe { input.mul_add(weights, total) }
    }

    #[inline(always)]
    unsafe fn finish(&self, [first, second]: [V; 2], _: usize, places: [*const f32; 2]) -> [V; 2] {
        if self.is_first {
            return [first, second];
        }
        // SAFETY: by the caller's promise.
        unsafe { [V::load(places[0]).add(first), V::load(places[1]).add(second)] }
    }
}

/// Words in a cache line.
const CACHE_LINE: usize = 16;

/// The largest even number of rows whose sums, two vectors each, fit in the registers beside two
/// vectors of weights and one vector of inputs.
pub const fn most_rows<V: Vector>() -> usize {
    (V::REGISTERS - 3) / 4 * 2
}

/// `sums[half][row] = Σ inputs[n][row][lane] · weights[block n of runs · lanes + lane][half]`, for
/// two vectors (halves) of output channels and `rows` rows. The sum goes over all lanes and all
/// blocks of weights in `runs`, one after the other. `product` defines · and +. An odd number of
/// rows is made even by a row that means nothing.
///
/// # Safety
/// The number of rows here is even and at least `rows`. `inputs` must hold a vector per row from
/// each multiple of `block_stride` on. `weights` must hold two vectors per input channel of a block
/// from each multiple of `square_stride` on; the weights `ahead` elements further on are
/// prefetched, and need not exist. `sums` must take a vector per row from 0 and from `half_stride`
/// on. As [`Vector`].
#[inline(always)]
pub unsafe fn multiply<V: Vector, P: Product<V>>(
    rows: usize,
    (inputs, block_stride): (*const f32, usize),
    weights: (*const f32, usize, usize),
    runs: &[Range<usize>],
    (sums, half_stride): (*mut f32, usize),
    product: P,
) {
    // Parts with even numbers of rows, as equal as possible.
    let (pairs, parts) = (rows.div_ceil(2), rows.div_ceil(most_rows::<V>()));
    let mut first = 0;
    for part in 1..=parts {
        let end = pairs * part / parts * 2;
        // SAFETY: by the caller's promise.
        unsafe {
            let inputs = (inputs.add(first * V::LANES), block_stride);
            let sums = (sums.add(first * V::LANES), half_stride);
            let product = (product, first);
            match end - first {
                2 => multiply_rows::<V, P, 2>(inputs, weights, runs, sums, product),
                4 => multiply_rows::<V, P, 4>(inputs, weights, runs, sums, product),
                6 => multiply_rows::<V, P, 6>(inputs, weights, runs, sums, product),
                8 => multiply_rows::<V, P, 8>(inputs, weights, runs, sums, product),
                10 => multiply_rows::<V, P, 10>(inputs, weights, runs, sums, product),
                12 => multiply_rows::<V, P, 12>(inputs, weights, runs, sums, product),
                14 => multiply_rows::<V, P, 14>(inputs, weights, runs, sums, product),
                rows => unreachable!("no product has {rows} rows"),
            }
        }
        first = end;
    }
}

/// [`multiply`] for a fixed number of rows.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn multiply_rows<V: Vector, P: Product<V>, const ROWS: usize>(
    (mut inputs, block_stride): (*const f32, usize),
    (weights, square_stride, ahead): (*const f32, usize, usize),
    runs: &[Range<usize>],
    (sums, half_stride): (*mut f32, usize),
    (product, first_row): (P, usize),
) {
    if ROWS > most_rows::<V>() {
        return;
    }
    // SAFETY: by the caller's promise.
    unsafe {
        let mut totals = [[V::splat(0.0); 2]; ROWS];
        for run in runs {
            for block in run.clone() {
                let weights = weights.add(block * square_stride);
                for lane in 0..V::LANES {
                    let weights = weights.add(lane * 2 * V::LANES);
                    // Prefetch what is needed next. The CPU does not do so by itself: the weights
                    // lie too far away, and the inputs are too many streams. Each cache line is
                    // fetched once, since loads are as scarce as products.
                    if (lane * V::LANES).is_multiple_of(CACHE_LINE) {
                        prefetch(inputs.wrapping_add(block_stride + lane * V::LANES));
                    }
                    prefetch(weights.wrapping_add(ahead));
                    if 2 * V::LANES > CACHE_LINE {
                        prefetch(weights.wrapping_add(ahead + V::LANES));
                    }
                    let (first, second) = (V::load(weights), V::load(weights.add(V::LANES)));
                    for (row, total) in totals.iter_mut().enumerate() {
                        let input = V::splat(inputs.add(row * V::LANES + lane).read());
                        *total = [P::add(total[0], input, first), P::add(total[1], input, second)];
                    }
                }
                inputs = inputs.wrapping_add(block_stride);
            }
        }
        for (row, total) in totals.into_iter().enumerate() {
            let places = [sums.add(row * V::LANES), sums.add(half_stride + row * V::LANES)];
            let total = product.finish(total, first_row + row, [places[0].cast_const(), places[1].cast_const()]);
            total[0].store(places[0]);
            total[1].store(places[1]);
        }
    }
}

/// The most output channels that [`add_outer`] computes at a time.
const MOST_OUTPUTS: usize = 8;

/// The number of output channels whose sums with three blocks of input channels leave registers for
/// loads. It divides a block.
pub const fn outer_outputs<V: Vector>() -> usize {
    if V::REGISTERS / 4 < MOST_OUTPUTS { V::REGISTERS / 4 } else { MOST_OUTPUTS }
}

/// How many of the `left` blocks of input channels [`add_outer`] takes next. Three blocks need
/// fewer loads for each product than two. Four are taken as two and two, so that no block is left
/// alone.
#[inline(always)]
pub const fn outer_blocks(left: usize) -> usize {
    match left {
        1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}

/// `sums[o][block] += Σ gradients[tile][o] · inputs[block][tile]` over `tiles` tiles, for
/// [`outer_outputs`] output channels and one to three `blocks` of input channels. If `first`, the
/// products replace the old sums.
///
/// # Safety
/// `gradients` must hold a vector per tile. `inputs` must hold as many vectors from each multiple
/// of `block_stride` on. `sums` must hold a vector per block from each multiple of `row_stride` on.
/// As [`Vector`].
#[inline(always)]
pub unsafe fn add_outer<V: Vector>(
    gradients: *const f32,
    (inputs, block_stride, blocks): (*const f32, usize, usize),
    tiles: usize,
    sums: (*mut f32, usize),
    first: bool,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        match blocks {
            1 => add_outer_blocks::<V, 1>(gradients, (inputs, block_stride), tiles, sums, first),
            2 => add_outer_blocks::<V, 2>(gradients, (inputs, block_stride), tiles, sums, first),
            3 => add_outer_blocks::<V, 3>(gradients, (inputs, block_stride), tiles, sums, first),
            blocks => unreachable!("no product has {blocks} blocks"),
        }
    }
}

/// [`add_outer`] for a fixed number of blocks.
///
/// # Safety
/// As [`add_outer`].
#[inline(always)]
unsafe fn add_outer_blocks<V: Vector, const BLOCKS: usize>(
    gradients: *const f32,
    (inputs, block_stride): (*const f32, usize),
    tiles: usize,
    (sums, row_stride): (*mut f32, usize),
    first: bool,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut totals = [[V::splat(0.0); BLOCKS]; MOST_OUTPUTS];
        if !first {
            for (o, total) in totals.iter_mut().enumerate().take(outer_outputs::<V>()) {
                for (block, total) in total.iter_mut().enumerate() {
                    *total = V::load(sums.add(o * row_stride + block * V::LANES));
                }
            }
        }
        for tile in 0..tiles {
            if tile < outer_outputs::<V>() {
                // Prefetch the sums of the next output channels.
                for block in 0..BLOCKS {
                    prefetch(sums.wrapping_add((outer_outputs::<V>() + tile) * row_stride + block * V::LANES));
                }
            }
            let mut vectors = [V::splat(0.0); BLOCKS];
            for (block, vector) in vectors.iter_mut().enumerate() {
                *vector = V::load(inputs.add(block * block_stride + tile * V::LANES));
            }
            for (o, total) in totals.iter_mut().enumerate().take(outer_outputs::<V>()) {
                let gradient = V::splat(gradients.add(tile * V::LANES + o).read());
                for (total, vector) in total.iter_mut().zip(vectors) {
                    *total = gradient.mul_add(vector, *total);
                }
            }
        }
        for (o, total) in totals.into_iter().enumerate().take(outer_outputs::<V>()) {
            for (block, total) in total.into_iter().enumerate() {
                total.store(sums.add(o * row_stride + block * V::LANES));
            }
        }
    }
}
