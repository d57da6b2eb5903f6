//! The tiles of a convolution, and where their pixels lie.

use std::ops::Range;

use in18_tensor::Tensor;

use crate::simd::{MOST_LANES, Stored, Vector, prefetch};

/// Output pixels of a tile, in each direction.
pub const TILE: usize = 4;

/// Input pixels of a tile, and points, in each direction.
pub const SIDE: usize = TILE + 2;

/// Points of a transformed tile or kernel.
pub const POINTS: usize = SIDE * SIDE;

/// A tile's first output pixel.
#[derive(Clone, Copy)]
pub struct Corner {
    pub y: usize,
    pub x: usize,
}

/// The shapes of a convolution.
#[derive(Clone, Copy)]
pub struct Problem {
    pub images: usize,
    pub input_blocks: usize,
    pub output_blocks: usize,
    pub height: usize,
    pub width: usize,
    /// Channels per block.
    pub lanes: usize,
}

impl Problem {
    /// The shapes of activations (N, I, H, W) and (N, O, H, W) in blocks of `lanes` channels.
    pub fn new(src: &Tensor, dst: &Tensor, lanes: usize) -> Self {
        let [images, height, width] = [src.shape[0], src.shape[2], src.shape[3]];
        let (input_blocks, output_blocks) = (src.shape[1] / lanes, dst.shape[1] / lanes);
        Problem { images, input_blocks, output_blocks, height, width, lanes }
    }

    pub fn inputs(&self) -> usize {
        self.input_blocks * self.lanes
    }

    pub fn outputs(&self) -> usize {
        self.output_blocks * self.lanes
    }

    pub fn tiles(&self) -> usize {
        self.images * self.height.div_ceil(TILE) * self.width.div_ceil(TILE)
    }

    /// The ratio of the pixels that the tiles cover to the pixels that there are.
    pub fn cover(&self) -> f32 {
        (self.tiles() * TILE * TILE) as f32 / (self.images * self.height * self.width) as f32
    }

    /// Bytes of a transformed tile in `blocks` blocks of words.
    pub fn tile_bytes(&self, blocks: usize) -> usize {
        POINTS * blocks * self.lanes * size_of::<f32>()
    }

    /// A tile's image and corner.
    pub fn place(&self, tile: usize) -> (usize, Corner) {
        let (rows, columns) = (self.height.div_ceil(TILE), self.width.div_ceil(TILE));
        let (row, column) = (tile / columns, tile % columns);
        (row / rows, Corner { y: row % rows * TILE, x: column * TILE })
    }

    /// The element at which a block of channels of an image begins; an image has `blocks` blocks.
    pub fn start(&self, image: usize, block: usize, blocks: usize) -> usize {
        (image * blocks + block) * self.height * self.width * self.lanes
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// A square of pixels in the first block of channels of an image. Pixels beyond the image count as
/// zeros.
pub struct Square<E, const S: usize> {
    /// The address of the first pixel, or where it would lie.
    first: *const E,
    /// Elements per row of the image, and per block of channels.
    row: usize,
    block: usize,
    /// Which rows and columns of the square lie in the image.
    rows: Range<usize>,
    columns: Range<usize>,
}

static ZEROS: [f32; MOST_LANES] = [0.0; MOST_LANES];

impl<E: Stored, const S: usize> Square<E, S> {
    /// The square that begins `before` pixels above and left of a corner. The image is (blocks, H,
    /// W, lanes).
    #[inline(always)]
    pub fn new<V: Vector>(image: *const E, problem: &Problem, corner: Corner, before: usize) -> Self {
        let &Problem { height, width, .. } = problem;
        let row = width * V::LANES;
        let first = image.wrapping_add(corner.y * row + corner.x * V::LANES).wrapping_sub(before * (row + V::LANES));
        let rows = before.saturating_sub(corner.y)..S.min(height + before - corner.y);
        let columns = before.saturating_sub(corner.x)..S.min(width + before - corner.x);
        Square { first, row, block: height * row, rows, columns }
    }

    /// Prefetches a block of channels, which need not exist.
    #[inline(always)]
    pub fn prefetch<V: Vector>(&self, block: usize) {
        let first = self.first.wrapping_add(block * self.block);
        for i in 0..S {
            for at in (0..S * V::LANES).step_by(LINE / size_of::<E>()) {
                prefetch(first.wrapping_add(i * self.row + at));
            }
        }
    }

    /// Column `j` of a block of channels.
    ///
    /// # Safety
    /// The image must have the block; as [`Vector`].
    #[inline(always)]
    pub unsafe fn column<V: Vector>(&self, block: usize, j: usize) -> [V; S] {
        let first = self.first.wrapping_add(block * self.block + j * V::LANES);
        // SAFETY: by the caller's promise; all pixels that are read lie in the image, or in
        // `ZEROS`.
        unsafe {
            let mut values = [V::splat(0.0); S];
            if !self.columns.contains(&j) {
                return values;
            }
            if self.rows == (0..S) {
                for (i, value) in values.iter_mut().enumerate() {
                    *value = E::load(first.add(i * self.row));
                }
                return values;
            }
            for (i, value) in values.iter_mut().enumerate() {
                // A value with all bits zero is 0 in both types.
                let pixel =
                    if self.rows.contains(&i) { first.wrapping_add(i * self.row) } else { ZEROS.as_ptr().cast() };
                *value = E::load(pixel);
            }
            values
        }
    }
}
