//! The transforms of F(2×2, 3×3), of a block of channels at once: `y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` for an output tile y of
//! 2×2, a kernel g of 3×3 and an input tile d of 4×4. In the gradient of g, A and G change their places:
//! `dg = Gᵀ [(A dy Aᵀ) ⊙ (Bᵀ d B)] G`.

use super::{Corner, POINTS};
use crate::simd::{MOST_LANES, Vector};

/// Where the pixels of a square lie, in the first block of channels of an image, and how far away in the next one. Pixels
/// beyond the image lie at zeros.
pub struct Square<const S: usize> {
    pixels: [[(*const f32, usize); S]; S],
}

static ZEROS: [f32; MOST_LANES] = [0.0; MOST_LANES];

impl<const S: usize> Square<S> {
    /// The pixels of an image, (blocks, H, W, lanes), from `before` pixels above and left of a corner on.
    #[inline(always)]
    pub fn new<V: Vector>(image: *const f32, (height, width): (usize, usize), corner: Corner, before: usize) -> Self {
        let step = height * width * V::LANES;
        let pixels = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let (y, x) = ((corner.y + i).wrapping_sub(before), (corner.x + j).wrapping_sub(before));
                match y < height && x < width {
                    true => (image.wrapping_add((y * width + x) * V::LANES), step),
                    false => (ZEROS.as_ptr(), 0),
                }
            })
        });
        Square { pixels }
    }

    /// The pixels of a block of channels.
    ///
    /// # Safety
    /// The image must have the block; as [`Vector`].
    #[inline(always)]
    unsafe fn load<V: Vector>(&self, block: usize) -> [[V; S]; S] {
        // SAFETY: by the caller's promise.
        let load = |(first, step): (*const f32, usize)| unsafe { V::load(first.wrapping_add(block * step)) };
        std::array::from_fn(|i| std::array::from_fn(|j| load(self.pixels[i][j])))
    }
}

/// Bᵀ d B of a block of channels: point p goes to `to + p · stride`.
///
/// # Safety
/// Pointers must be valid; as [`Vector`].
#[inline(always)]
pub unsafe fn input<V: Vector>(tile: &Square<4>, block: usize, to: *mut f32, stride: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        let [a, b, c, d] = tile.load::<V>(block);
        let rows = [
            each(a, c, |a, c| a.sub(c)),
            each(b, c, |b, c| b.add(c)),
            each(c, b, |c, b| c.sub(b)),
            each(b, d, |b, d| b.sub(d)),
        ];
        for (i, [a, b, c, d]) in rows.into_iter().enumerate() {
            for (j, value) in [a.sub(c), b.add(c), c.sub(b), b.sub(d)].into_iter().enumerate() {
                value.store(to.add((i * 4 + j) * stride));
            }
        }
    }
}

/// Aᵀ m A, a tile of results: point p is read from `from + p · stride`, the tile's first pixel lies at `to` and its rows
/// `width` pixels apart; `rows` and `columns` of it lie in the image.
///
/// # Safety
/// Pointers must be valid; as [`Vector`].
#[inline(always)]
pub unsafe fn output<V: Vector>(
    (from, stride): (*const f32, usize),
    (to, width): (*mut f32, usize),
    (rows, columns): (usize, usize),
) {
    // SAFETY: by the caller's promise.
    unsafe {
        let [a, b, c, d]: [[V; 4]; 4] =
            std::array::from_fn(|i| std::array::from_fn(|j| V::load(from.add((i * 4 + j) * stride))));
        let sums = [
            each(each(a, b, |a, b| a.add(b)), c, |ab, c| ab.add(c)),
            each(each(b, c, |b, c| b.sub(c)), d, |bc, d| bc.sub(d)),
        ];
        for (i, [a, b, c, d]) in sums.into_iter().enumerate().take(rows) {
            let row = to.add(i * width * V::LANES);
            a.add(b).add(c).store(row);
            if columns > 1 {
                b.sub(c).sub(d).store(row.add(V::LANES));
            }
        }
    }
}

/// A dy Aᵀ of a block of channels of a tile of gradients, stored as [`input`] does.
///
/// # Safety
/// Pointers must be valid; as [`Vector`].
#[inline(always)]
pub unsafe fn output_gradient<V: Vector>(tile: &Square<2>, block: usize, to: *mut f32, stride: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        let [a, b] = tile.load::<V>(block);
        let zero = V::splat(0.0);
        let rows = [a, each(a, b, |a, b| a.add(b)), each(a, b, |a, b| a.sub(b)), each(b, b, |b, _| zero.sub(b))];
        for (i, [a, b]) in rows.into_iter().enumerate() {
            for (j, value) in [a, a.add(b), a.sub(b), zero.sub(b)].into_iter().enumerate() {
                value.store(to.add((i * 4 + j) * stride));
            }
        }
    }
}

/// G g Gᵀ.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn weights<V: Vector>(kernel: [V; 9]) -> [V; POINTS] {
    // SAFETY: by the caller's promise.
    let expand = |a: V, b: V, c: V| unsafe {
        let (sum, half) = (a.add(c), V::splat(0.5));
        [a, sum.add(b).mul(half), sum.sub(b).mul(half), c]
    };
    let columns: [[V; 4]; 3] = std::array::from_fn(|j| expand(kernel[j], kernel[3 + j], kernel[6 + j]));
    let rows: [[V; 4]; 4] = std::array::from_fn(|i| expand(columns[0][i], columns[1][i], columns[2][i]));
    std::array::from_fn(|point| rows[point / 4][point % 4])
}

/// Gᵀ m G.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn weight_gradient<V: Vector>(points: [V; POINTS]) -> [V; 9] {
    // SAFETY: by the caller's promise.
    let contract = |a: V, b: V, c: V, d: V| unsafe {
        let half = V::splat(0.5);
        let (sum, difference) = (b.add(c).mul(half), b.sub(c).mul(half));
        [a.add(sum), difference, sum.add(d)]
    };
    let columns: [[V; 3]; 4] =
        std::array::from_fn(|j| contract(points[j], points[4 + j], points[8 + j], points[12 + j]));
    let rows: [[V; 3]; 3] =
        std::array::from_fn(|i| contract(columns[0][i], columns[1][i], columns[2][i], columns[3][i]));
    std::array::from_fn(|tap| rows[tap / 3][tap % 3])
}

#[inline(always)]
fn each<V: Copy, const S: usize>(a: [V; S], b: [V; S], f: impl Fn(V, V) -> V) -> [V; S] {
    std::array::from_fn(|j| f(a[j], b[j]))
}
