//! The frame header, and the geometry that follows from it (T.81 A.1 and A.2; libjpeg-turbo's
//! jdinput.c, `initial_setup`).

use crate::error::Error;
use crate::geometry::Size;

use super::damaged;

/// Samples per side of a block.
pub(super) const SIDE: usize = 8;
/// Coefficients per block.
pub(super) const BLOCK: usize = 64;
/// The most blocks of an interleaved MCU (T.81 B.2.3).
pub(super) const MAX_MCU_BLOCKS: usize = 10;

/// The longest side that libjpeg accepts.
const LARGEST: u32 = 65_500;

/// One component of a frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Component {
    /// The id by which scans refer to the component.
    pub id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub h: usize,
    /// Vertical sampling factor, 1 to 4.
    pub v: usize,
    /// The number of the component's quantisation table.
    pub quantization: u8,
    /// Columns of samples.
    pub width: usize,
    /// Rows of samples.
    pub height: usize,
    /// Blocks per row that hold samples. Interleaved scans may hold more blocks, up to `stride`.
    pub blocks_wide: usize,
    /// Rows of blocks that hold samples.
    pub blocks_high: usize,
    /// Blocks per row in memory: `blocks_wide` rounded up to whole MCUs.
    pub stride: usize,
}

/// The coding of a frame, as far as this decoder reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// SOF0 and SOF1: every scan holds whole blocks.
    Sequential,
    /// SOF2: scans hold bands and bit planes of coefficients.
    Progressive,
}

/// A frame header, checked.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub process: Process,
    pub size: Size,
    /// One, three or four.
    pub components: Vec<Component>,
    /// The largest `h`.
    pub max_h: usize,
    /// The largest `v`.
    pub max_v: usize,
    /// MCUs per interleaved row.
    pub mcus_wide: usize,
    /// Rows of interleaved MCUs.
    pub mcus_high: usize,
}

impl Frame {
    /// Derives all sizes from `components`, whose `id`, `h`, `v` and `quantization` are set.
    pub fn new(process: Process, size: Size, mut components: Vec<Component>) -> Result<Self, Error> {
        if size.width > LARGEST || size.height > LARGEST {
            return Err(damaged(&format!("a size of {size}, more than {LARGEST} on a side")));
        }
        if components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v)) {
            return Err(damaged("sampling factors outside of 1 to 4"));
        }
        let max_h = components.iter().map(|c| c.h).max().unwrap_or(1);
        let max_v = components.iter().map(|c| c.v).max().unwrap_or(1);
        let (width, height) = (size.width as usize, size.height as usize);
        let mcus_wide = width.div_ceil(max_h * SIDE);
        let mcus_high = height.div_ceil(max_v * SIDE);
        for c in &mut components {
            c.width = (width * c.h).div_ceil(max_h);
            c.height = (height * c.v).div_ceil(max_v);
            c.blocks_wide = (width * c.h).div_ceil(max_h * SIDE);
            c.blocks_high = (height * c.v).div_ceil(max_v * SIDE);
            c.stride = mcus_wide * c.h;
        }
        Ok(Self { process, size, components, max_h, max_v, mcus_wide, mcus_high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_per_component() {
        let component = |h, v| Component { h, v, ..Component::default() };
        let components = vec![component(2, 2), component(1, 1), component(1, 2)];
        let frame = Frame::new(Process::Sequential, Size::new(35, 17), components).unwrap();
        assert_eq!((frame.max_h, frame.max_v, frame.mcus_wide, frame.mcus_high), (2, 2, 3, 2));
        let sizes = |c: &Component| (c.width, c.height, c.blocks_wide, c.blocks_high, c.stride);
        assert_eq!(sizes(&frame.components[0]), (35, 17, 5, 3, 6));
        assert_eq!(sizes(&frame.components[1]), (18, 9, 3, 2, 3));
        assert_eq!(sizes(&frame.components[2]), (18, 17, 3, 3, 3));
    }

    #[test]
    fn sampling_factors_outside_of_the_standard_are_refused() {
        for (h, v) in [(0, 1), (1, 0), (5, 1), (1, 5)] {
            let components = vec![Component { h, v, ..Component::default() }];
            assert!(Frame::new(Process::Sequential, Size::new(8, 8), components).is_err());
        }
    }
}
