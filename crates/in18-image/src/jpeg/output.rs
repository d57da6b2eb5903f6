//! Turns coefficients into pixels. One row of MCUs at a time is transformed into strips of samples.
//! Samples are upsampled and converted as far as the rows below them are known.

use std::ops::Range;

use crate::error::Error;
use crate::geometry::Crop;

use super::coefficients::Coefficients;
use super::color::Space;
use super::frame::{BLOCK, Component, Frame, SIDE};
use super::kernels::Kernels;
use super::smooth::Smoothing;
use super::upsample::{Upsampling, copies};

/// Memory for the last stages, kept from image to image.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By component: the samples of this row of MCUs, and above them two row groups of the previous
    /// row of MCUs.
    strips: [Vec<u8>; 4],
    /// By component: an upsampled row.
    lines: [Vec<u8>; 4],
    /// Sums of the triangle filter.
    sums: Vec<u16>,
    /// A smoothed block row.
    smoothed: Vec<[i16; BLOCK]>,
}

/// Writes an image from top to bottom.
#[derive(Debug)]
pub(super) struct Output<'a> {
    pub frame: &'a Frame,
    pub space: Space,
    pub kernels: Kernels,
    /// By component.
    pub upsampling: Vec<Upsampling>,
    /// The rows of MCUs that pixels of the region depend on.
    pub mcu_rows: Range<usize>,
    /// Rows and columns of the region, in pixels.
    rows: Range<usize>,
    columns: Range<usize>,
    memory: &'a mut Memory,
}

impl<'a> Output<'a> {
    /// Prepares for an image. Its sampling must be one that libjpeg can undo.
    pub fn new(frame: &'a Frame, space: Space, region: Crop, memory: &'a mut Memory) -> Result<Self, Error> {
        let upsampling = frame.components.iter().map(|c| Upsampling::of(c, frame)).collect::<Result<_, _>>()?;
        for (component, strip) in frame.components.iter().zip(&mut memory.strips) {
            let rows = (SIDE + 2) * component.v;
            strip.resize(rows * component.stride * SIDE, 0);
        }
        let width = frame.components.iter().map(|c| c.stride).max().unwrap_or(0) * SIDE;
        for line in &mut memory.lines {
            line.resize(frame.mcus_wide * frame.max_h * SIDE, 0);
        }
        memory.sums.resize(width + 2, 0);
        let range = |start: u32, length: u32| start as usize..start as usize + length as usize;
        let (rows, columns) = (range(region.top, region.height), range(region.left, region.width));
        // Upsampling reads the next row of samples, above or below.
        let (mcu, reach) = (SIDE * frame.max_v, 2 * frame.max_v);
        let mcu_rows = rows.start.saturating_sub(reach) / mcu..(rows.end + reach).div_ceil(mcu).min(frame.mcus_high);
        Ok(Self { frame, space, kernels: Kernels::detect(), upsampling, mcu_rows, rows, columns, memory })
    }

    /// The columns of MCUs that pixels of the region depend on. `wide` gives, for each component,
    /// the blocks per row of an MCU.
    pub fn mcu_columns(&self, wide: impl Fn(&Component) -> usize) -> Range<usize> {
        let ranges = self.frame.components.iter().zip(&self.upsampling).map(|(component, &upsampling)| {
            let wanted = samples(upsampling, component, self.frame, &self.columns);
            let samples_wide = wide(component) * SIDE;
            wanted.start / samples_wide..wanted.end.div_ceil(samples_wide)
        });
        ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
    }

    /// Transforms a row of MCUs, whose coefficients are in row `at` of `coefficients`. Writes the
    /// pixels that are then known to `rgb`, (H, W, 3). `tables` are the quantisation tables by
    /// component; a component without a table has no coefficients.
    pub fn write(
        &mut self,
        mcu_row: usize,
        coefficients: &Coefficients,
        at: usize,
        tables: &[Option<[u16; BLOCK]>],
        smoothing: Option<&Smoothing<'_>>,
        rgb: &mut [u8],
    ) {
        if !self.mcu_rows.contains(&mcu_row) {
            return;
        }
        for (n, component) in self.frame.components.iter().enumerate() {
            let table = tables[n].unwrap_or([0; BLOCK]);
            let steps = table.map(|step| step as i16);
            let width = component.stride * SIDE;
            let strip = &mut self.memory.strips[n];
            strip.copy_within(SIDE * component.v * width.., 0);
            let rows = component.v.min(component.blocks_high - mcu_row * component.v);
            let wanted = samples(self.upsampling[n], component, self.frame, &self.columns);
            let wanted = wanted.start / SIDE..wanted.end.div_ceil(SIDE);
            for row in 0..rows {
                let out = &mut strip[(2 * component.v + row * SIDE) * width..][wanted.start * SIDE..SIDE * width];
                if let Some(smoothing) = smoothing {
                    let smoothed = &mut self.memory.smoothed;
                    smoothing.apply(n, mcu_row, row, coefficients, smoothed);
                    self.kernels.transform(&smoothed[wanted.clone()], None, &steps, out, width);
                    continue;
                }
                let start = coefficients.row(n, at * component.v + row);
                let blocks = start + wanted.start..start + wanted.end;
                let (blocks, last) = (&coefficients.blocks[blocks.clone()], &coefficients.last[blocks]);
                self.kernels.transform(blocks, Some(last), &steps, out, width);
            }
        }
        let pixel_rows = self.frame.size.height as usize;
        let group = self.frame.max_v;
        // The last row group waits for the row below it.
        let ready = |mcu_rows: usize| (mcu_rows * SIDE * group).saturating_sub(group);
        let end = if mcu_row + 1 == self.frame.mcus_high { pixel_rows } else { ready(mcu_row + 1) };
        let row_bytes = self.frame.size.width as usize * 3;
        for y in ready(mcu_row).max(self.rows.start)..end.min(self.rows.end) {
            let row = &mut rgb[y * row_bytes..][..row_bytes];
            self.write_row(mcu_row, y, &mut row[self.columns.start * 3..self.columns.end * 3]);
        }
    }

    /// Writes the region's columns of pixel row `y` to `out`, (columns, 3).
    fn write_row(&mut self, mcu_row: usize, y: usize, out: &mut [u8]) {
        let Memory { strips, lines, sums, .. } = &mut *self.memory;
        let mut rows: [&[u8]; 4] = [&[]; 4];
        let count = self.frame.components.len();
        for (n, (row, line)) in rows.iter_mut().zip(lines).take(count).enumerate() {
            let component = &self.frame.components[n];
            let wanted = samples(self.upsampling[n], component, self.frame, &self.columns);
            let first = wanted.start;
            let samples = |row: usize| &sample_row(component, &strips[n], mcu_row, row)[wanted.clone()];
            let down = self.frame.max_v / component.v;
            let near = y / down;
            let is_upper = y.is_multiple_of(2);
            let far = if is_upper { near.saturating_sub(1) } else { (near + 1).min(component.height - 1) };
            match self.upsampling[n] {
                Upsampling::Full => {
                    *row = samples(near);
                    continue;
                }
                Upsampling::Columns => self.kernels.upsample_columns(samples(near), sums, line),
                Upsampling::Rows => self.kernels.upsample_rows(samples(near), samples(far), is_upper, line),
                Upsampling::Both => self.kernels.upsample_both(samples(near), samples(far), sums, line),
                Upsampling::Copies { across, .. } => copies(samples(near), across, line),
            }
            let across = self.frame.max_h / component.h;
            *row = &line[self.columns.start - first * across..][..self.columns.len()];
        }
        self.kernels.convert(self.space, &rows[..count], out);
    }
}

/// The samples of a row that the pixels of some columns depend on. Filters read one more sample on
/// either side. Their results at the ends of the range are wrong, but lie outside of the columns,
/// unless the row ends there too.
fn samples(upsampling: Upsampling, component: &Component, frame: &Frame, columns: &Range<usize>) -> Range<usize> {
    let across = frame.max_h / component.h;
    let (start, end) = (columns.start / across, columns.end.div_ceil(across));
    match upsampling {
        Upsampling::Columns | Upsampling::Both => start.saturating_sub(1)..(end + 1).min(component.width),
        Upsampling::Full | Upsampling::Rows | Upsampling::Copies { .. } => start..end.min(component.width),
    }
}

/// A component's row of samples, from the strip that ends with row `mcu_row` of MCUs.
fn sample_row<'a>(component: &Component, strip: &'a [u8], mcu_row: usize, row: usize) -> &'a [u8] {
    let in_strip = row + 2 * component.v - mcu_row * SIDE * component.v;
    &strip[in_strip * component.stride * SIDE..][..component.width]
}
