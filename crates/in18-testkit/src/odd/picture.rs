//! Made-up JPEG coefficients to write files from: without pixels, and so without rounding.

use crate::generator::{bits, stream};

/// Number of coefficients in a block.
pub const BLOCK: usize = 64;

/// A block, quantised, in zigzag order.
pub type Block = [i16; BLOCK];

/// One colour component of a picture.
#[derive(Clone, Debug)]
pub struct Component {
    /// The component's number in scan headers.
    pub id: u8,
    /// Horizontal sampling factor.
    pub h: usize,
    /// Vertical sampling factor.
    pub v: usize,
    /// Number of the component's quantisation table.
    pub quantization: u8,
    /// How many blocks hold the component's columns of samples.
    pub blocks_wide: usize,
    /// How many block rows hold the component's rows of samples.
    pub blocks_high: usize,
    /// Blocks in a row of `blocks`: `blocks_wide` rounded up to whole MCUs.
    pub stride: usize,
    /// Blocks in row-major order.
    pub blocks: Vec<Block>,
}

/// A picture as JPEG codes it.
#[derive(Clone, Debug)]
pub struct Picture {
    pub width: u16,
    pub height: u16,
    pub components: Vec<Component>,
    /// Interleaved MCUs in a row.
    pub mcus_wide: usize,
    /// Rows of interleaved MCUs.
    pub mcus_high: usize,
}

impl Picture {
    /// A picture whose components have the sampling `factors` (horizontal, vertical) and are
    /// numbered from 1. Its coefficients follow from `seed`: slopes of brightness, and details that
    /// are rarer the finer they are.
    pub fn new(seed: &str, width: u16, height: u16, factors: &[(usize, usize)]) -> Self {
        let max_h = factors.iter().map(|f| f.0).max().unwrap_or(1);
        let max_v = factors.iter().map(|f| f.1).max().unwrap_or(1);
        let (columns, rows) = (usize::from(width), usize::from(height));
        let (mcus_wide, mcus_high) = (columns.div_ceil(8 * max_h), rows.div_ceil(8 * max_v));
        let component = |(number, &(h, v)): (usize, &(usize, usize))| {
            let stride = mcus_wide * h;
            let stream = stream(&format!("picture/{seed}/{number}"));
            let blocks = 0..stride * mcus_high * v;
            Component {
                id: number as u8 + 1,
                h,
                v,
                quantization: u8::from(number == 1 || number == 2),
                blocks_wide: (columns * h).div_ceil(8 * max_h),
                blocks_high: (rows * v).div_ceil(8 * max_v),
                stride,
                blocks: blocks.map(|at| block(stream, number, at % stride, at / stride, at)).collect(),
            }
        };
        let components = factors.iter().enumerate().map(component).collect();
        Self { width, height, components, mcus_wide, mcus_high }
    }

    /// Changes the components' numbers.
    pub fn ids(mut self, ids: &[u8]) -> Self {
        self.components.iter_mut().zip(ids).for_each(|(component, &id)| component.id = id);
        self
    }

    /// Every MCU of a scan of the components `of`, as (component index, block index). A scan of one
    /// component leaves out the blocks that only fill MCUs.
    pub fn mcus(&self, of: &[usize]) -> Vec<Vec<(usize, usize)>> {
        if let &[index] = of {
            let c = &self.components[index];
            let row = |y: usize| (0..c.blocks_wide).map(move |x| vec![(index, y * c.stride + x)]);
            return (0..c.blocks_high).flat_map(row).collect();
        }
        let mcu = |y: usize, x: usize| {
            let blocks = |&index: &usize| {
                let c = &self.components[index];
                (0..c.h * c.v).map(move |n| (index, (y * c.v + n / c.h) * c.stride + x * c.h + n % c.h))
            };
            of.iter().flat_map(blocks).collect()
        };
        (0..self.mcus_high).flat_map(|y| (0..self.mcus_wide).map(move |x| (y, x))).map(|(y, x)| mcu(y, x)).collect()
    }
}

/// The block in column `x` and row `y` of a component.
fn block(stream: u64, component: usize, x: usize, y: usize, at: usize) -> Block {
    let draw = |n: usize| (bits(stream, at * 3 * BLOCK + n) >> 33) as usize;
    let mut block = [0; BLOCK];
    // Up and down between -100 and 100. The DC step is 8, so this is also the block's mean.
    let along = (x * 29 + y * 17 + component * 61 + draw(0) % 30) % 400;
    block[0] = (along as i16 - 200).abs() - 100;
    for (n, coefficient) in block.iter_mut().enumerate().skip(1) {
        if draw(3 * n) % 64 < 50 / n + 1 {
            let magnitude = 1 + (draw(3 * n + 1) % (1 + 24 / n)) as i16;
            *coefficient = if draw(3 * n + 2).is_multiple_of(2) { magnitude } else { -magnitude };
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_has_every_block_once() {
        let picture = Picture::new("test", 35, 27, &[(2, 2), (1, 1), (1, 2)]);
        for (scan, mcus, blocks) in [(&[0, 1, 2][..], 6, 42), (&[0, 2], 6, 36), (&[0], 20, 20), (&[1], 6, 6)] {
            let found = picture.mcus(scan);
            let mut all = found.concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!((found.len(), all.len()), (mcus, blocks), "{scan:?}");
        }
    }
}
