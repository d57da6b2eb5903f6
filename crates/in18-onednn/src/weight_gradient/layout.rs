//! The order in which pixels are processed, and where they lie.

use std::ops::Range;

use in18_kernels::op::ConvBackwardWeight;
use in18_tensor::DType;

use super::tile::{LANES, Run, STEP_BYTES};

/// The shapes of a weight gradient, in blocks of channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The type of both activations.
    pub dtype: DType,
    pub images: usize,
    pub output_blocks: usize,
    pub input_blocks: usize,
    /// Rows of an image's gradients, and pixels per row. For a kernel of one tap without stride,
    /// several rows of the image count as one, because pixels then lie alike in both activations.
    pub rows: usize,
    pub row_pixels: usize,
    /// Rows and columns of the input.
    pub height: usize,
    pub width: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Problem {
    /// `None` if channels do not fill their blocks.
    pub fn new(op: &ConvBackwardWeight) -> Option<Self> {
        let ([n, i, height, width], [_, o, rows, columns]) = (extents(op.src.shape), extents(op.ddst.shape));
        if i % LANES != 0 || o % LANES != 0 {
            return None;
        }
        let mut problem = Problem {
            dtype: op.src.dtype,
            images: n,
            output_blocks: o / LANES,
            input_blocks: i / LANES,
            rows,
            row_pixels: columns,
            height,
            width,
            kernel: op.window.kernel,
            stride: op.window.stride,
            padding: op.window.padding,
        };
        if !problem.needs_copy() {
            problem.join_rows();
        }
        Some(problem)
    }

    /// Makes rows as long as a chunk allows, so that fewer rows end in half a step.
    fn join_rows(&mut self) {
        let fits =
            |joined: &usize| self.rows.is_multiple_of(*joined) && joined * self.row_pixels <= super::CHUNK_PIXELS;
        let joined = (1..=self.rows).rev().find(fits).unwrap_or(1);
        (self.rows, self.row_pixels) = (self.rows / joined, self.row_pixels * joined);
        (self.height, self.width) = (self.rows, self.row_pixels);
    }

    /// Whether the input pixels of a row are needed differently from how they lie in memory: with
    /// gaps between them, or with padding at the ends.
    pub fn needs_copy(&self) -> bool {
        self.stride > 1 || self.padding > 0
    }

    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Row and column of each tap.
    pub fn each_tap(&self) -> impl Iterator<Item = (usize, usize)> {
        let kernel = self.kernel;
        (0..self.taps()).map(move |tap| (tap / kernel, tap % kernel))
    }

    /// The number of pairs of a block of output channels and a block of input channels.
    pub fn tiles(&self) -> usize {
        self.output_blocks * self.input_blocks
    }

    /// Bytes of one pixel of a block of channels.
    pub fn pixel_bytes(&self) -> usize {
        LANES * self.dtype.bytes()
    }

    /// Steps of a row. The last step may be half.
    pub fn row_steps(&self) -> usize {
        (self.row_pixels * self.pixel_bytes()).div_ceil(STEP_BYTES)
    }

    pub fn src_image_bytes(&self) -> usize {
        self.input_blocks * self.height * self.width * self.pixel_bytes()
    }

    /// The row of input pixels that a row of gradients meets at row `ky` of the taps. `None` if it
    /// is padding.
    fn source_row(&self, row: usize, ky: usize) -> Option<usize> {
        (row * self.stride + ky).checked_sub(self.padding).filter(|&source| source < self.height)
    }

    /// Whether some row of gradients meets this row of input pixels.
    pub fn is_met(&self, source: usize) -> bool {
        (0..self.kernel).any(|ky| {
            let from_start = (source + self.padding).checked_sub(ky);
            from_start.is_some_and(|start| start.is_multiple_of(self.stride) && start / self.stride < self.rows)
        })
    }

    /// The pixels of a copied row before each phase, and after the last phase. A phase has the
    /// columns (including padding) with the same remainder by the stride. Columns are sorted by
    /// phase, so that the columns that a tap meets are contiguous.
    pub fn phase_starts(&self) -> Vec<usize> {
        let columns = self.width + 2 * self.padding;
        let widths = (0..self.stride).map(|phase| (columns - phase.min(columns)).div_ceil(self.stride));
        std::iter::once(0)
            .chain(widths.scan(0, |sum, width| {
                *sum += width;
                Some(*sum)
            }))
            .collect()
    }

    /// Bytes of a copied row.
    pub fn packed_row_bytes(&self) -> usize {
        (self.width + 2 * self.padding) * self.pixel_bytes()
    }
}

fn extents(shape: in18_tensor::Shape) -> [usize; 4] {
    std::array::from_fn(|axis| shape[axis])
}

/// The order of the work.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    pub groups: Vec<Group>,
    /// Whether input pixels are copied, a group at a time.
    pub is_packed: bool,
    /// Bytes from one block of input channels to the next, in a group's pixels.
    pub block_bytes: usize,
    /// The most steps of a chunk.
    pub chunk_steps: usize,
    phase_starts: Vec<usize>,
}

/// Images whose input pixels are copied together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub images: Range<usize>,
    pub chunks: Vec<Chunk>,
}

/// Rows of gradients that are processed together.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// (image in the group, row), in the order in which they are copied.
    pub rows: Vec<(usize, usize)>,
    /// For each row of taps, the rows that meet pixels. Offsets are in bytes from the start of the
    /// chunk's gradients, and from the start of a block of the group's pixels.
    pub runs: Vec<Vec<Run>>,
}

impl Walk {
    /// A walk in groups of at most `group_bytes` of copied pixels (but at least an image) and
    /// chunks of about `chunk_pixels` (but at least a row).
    pub fn new(problem: &Problem, chunk_pixels: usize, group_bytes: usize) -> Self {
        let is_packed = problem.needs_copy();
        let image_rows_bytes = problem.height * problem.packed_row_bytes();
        let group_images = match is_packed {
            true => (group_bytes / (image_rows_bytes * problem.input_blocks)).clamp(1, problem.images.max(1)),
            false => problem.images.max(1),
        };
        let chunk_rows = (chunk_pixels / problem.row_pixels).max(1);
        // Bytes from one image to the next, and from one row to the next.
        let (image_bytes, row_bytes) = match is_packed {
            true => (image_rows_bytes, problem.packed_row_bytes()),
            false => (problem.src_image_bytes(), problem.width * problem.pixel_bytes()),
        };
        let row_steps_bytes = problem.row_steps() * STEP_BYTES;
        let chunk = |rows: &[(usize, usize)]| Chunk {
            rows: rows.to_vec(),
            runs: (0..problem.kernel)
                .map(|ky| {
                    let met = rows.iter().enumerate().filter_map(|(slot, &(image, row))| {
                        let source = problem.source_row(row, ky)?;
                        Some(Run {
                            gradients: slot * row_steps_bytes,
                            pixels: image * image_bytes + source * row_bytes,
                        })
                    });
                    met.collect()
                })
                .collect(),
        };
        let group = |first: usize| {
            let images = first..(first + group_images).min(problem.images);
            let rows: Vec<_> =
                (0..images.len()).flat_map(|image| (0..problem.rows).map(move |row| (image, row))).collect();
            Group { images, chunks: rows.chunks(chunk_rows).map(chunk).collect() }
        };
        Walk {
            groups: (0..problem.images).step_by(group_images).map(group).collect(),
            is_packed,
            block_bytes: if is_packed { group_images * image_rows_bytes } else { problem.height * row_bytes },
            chunk_steps: chunk_rows * problem.row_steps(),
            phase_starts: problem.phase_starts(),
        }
    }

    /// Bytes of a group's copied pixels, for all blocks of input channels; 0 without copies.
    pub fn packed_bytes(&self, problem: &Problem) -> usize {
        if self.is_packed { problem.input_blocks * self.block_bytes } else { 0 }
    }

    /// Bytes from a row's start to the pixel that its first gradient meets at column `kx` of the
    /// taps.
    pub fn column_offset(&self, problem: &Problem, kx: usize) -> usize {
        if !self.is_packed {
            return 0;
        }
        (self.phase_starts[kx % problem.stride] + kx / problem.stride) * problem.pixel_bytes()
    }
}

#[cfg(test)]
pub mod tests {
    use in18_kernels::op::Window;

    use super::*;

    /// Five images of (height, width) in (output, input) blocks of channels.
    pub fn problem((height, width): (usize, usize), window: Window, blocks: (usize, usize)) -> Problem {
        let Window { kernel, stride, padding } = window;
        Problem {
            dtype: DType::Bf16,
            images: 5,
            output_blocks: blocks.0,
            input_blocks: blocks.1,
            rows: window.output(height),
            row_pixels: window.output(width),
            height,
            width,
            kernel,
            stride,
            padding,
        }
    }

    fn of(height: usize, width: usize, kernel: usize, stride: usize, padding: usize) -> Problem {
        problem((height, width), Window { kernel, stride, padding }, (2, 3))
    }

    #[test]
    fn every_row_is_walked_once_in_order() {
        for (problem, group_bytes) in [(of(9, 7, 3, 1, 1), 1), (of(9, 7, 3, 2, 1), 20_000), (of(6, 4, 1, 1, 0), 0)] {
            let walk = Walk::new(&problem, 12, group_bytes);
            let rows: Vec<(usize, usize)> = walk
                .groups
                .iter()
                .flat_map(|group| {
                    let first = group.images.start;
                    group
                        .chunks
                        .iter()
                        .flat_map(move |chunk| chunk.rows.iter().map(move |&(image, row)| (first + image, row)))
                })
                .collect();
            let all: Vec<_> = (0..5).flat_map(|image| (0..problem.rows).map(move |row| (image, row))).collect();
            assert_eq!(rows, all);
            let most = walk.groups.iter().flat_map(|group| &group.chunks).map(|chunk| chunk.rows.len()).max().unwrap();
            assert_eq!(most * problem.row_steps(), walk.chunk_steps);
        }
    }

    #[test]
    fn padding_rows_are_passed_over() {
        let walk = Walk::new(&of(3, 3, 3, 1, 1), 1000, usize::MAX);
        let runs: Vec<usize> = walk.groups[0].chunks[0].runs.iter().map(Vec::len).collect();
        assert_eq!(runs, [5 * 2, 5 * 3, 5 * 2]);
    }

    #[test]
    fn columns_of_a_stride_lie_side_by_side() {
        let strided = of(8, 8, 3, 2, 1);
        // Ten columns with padding: five even and five odd ones. Taps 0 and 2 start at even columns
        // 0 and 2, tap 1 at column 1.
        assert_eq!(strided.phase_starts(), [0, 5, 10]);
        let walk = Walk::new(&strided, 100, usize::MAX);
        let offsets: Vec<usize> = (0..3).map(|kx| walk.column_offset(&strided, kx) / 32).collect();
        assert_eq!(offsets, [0, 5, 1]);
        let point = of(8, 8, 1, 2, 0);
        assert_eq!((0..8).filter(|&row| point.is_met(row)).collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert!((0..8).all(|row| strided.is_met(row)));
    }

    #[test]
    fn rows_of_a_pointwise_kernel_are_joined() {
        let mut point = of(14, 14, 1, 1, 0);
        point.join_rows();
        assert_eq!((point.rows, point.row_pixels, point.height, point.width), (1, 196, 1, 196));
        let mut long = of(32, 32, 1, 1, 0);
        long.join_rows();
        assert_eq!((long.rows, long.row_pixels), (4, 256));
    }
}
