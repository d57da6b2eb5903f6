//! Quantised coefficients in memory: of one row of MCUs, or of a whole image whose scans each bring
//! some of them.

use super::frame::{BLOCK, Frame};

/// The coefficients of every component for some rows of MCUs. Keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Coefficients {
    /// The blocks, by component, then by row. A block's coefficients are in row-major order.
    pub blocks: Vec<[i16; BLOCK]>,
    /// For each block, 0 if all of its coefficients but the first are known to be zero.
    pub last: Vec<u8>,
    /// Index of the first block of each component.
    offsets: [usize; 4],
    /// Blocks per row of each component.
    strides: [usize; 4],
    /// Number of rows of MCUs.
    pub mcu_rows: usize,
}

impl Coefficients {
    /// Makes room for `mcu_rows` rows of MCUs. All coefficients are zero, but `last` does not say
    /// so.
    pub fn reset(&mut self, frame: &Frame, mcu_rows: usize) {
        let mut count = 0;
        for (n, component) in frame.components.iter().enumerate() {
            self.offsets[n] = count;
            self.strides[n] = component.stride;
            count += component.stride * component.v * mcu_rows;
        }
        self.mcu_rows = mcu_rows;
        self.blocks.clear();
        self.blocks.resize(count, [0; BLOCK]);
        self.last.clear();
        self.last.resize(count, BLOCK as u8 - 1);
    }

    /// Index of the first block of a component's block row.
    pub fn row(&self, component: usize, row: usize) -> usize {
        self.offsets[component] + row * self.strides[component]
    }
}
