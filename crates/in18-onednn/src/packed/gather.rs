//! Which source pixels the taps of a kernel meet, and how these pixels are gathered into the rows
//! of a matrix.

use std::iter;
use std::ops::Range;

use in18_kernels::op::Window;
use in18_tensor::Tensor;

use crate::layout::Layout;
use crate::simd::{MOST_LANES, Stored, Vector};

/// The layout of an (N, C, H, W) activation in memory: blocks of `lanes` channels, or row-major if
/// the channels fill no block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    pub images: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub lanes: usize,
    pub is_blocked: bool,
}

impl Plane {
    pub fn new(tensor: &Tensor, layout: Layout) -> Self {
        let [images, channels, height, width] = std::array::from_fn(|axis| tensor.shape[axis]);
        Plane { images, channels, height, width, lanes: layout.block, is_blocked: layout.is_blocked(channels) }
    }

    /// The number of blocks of channels. Row-major channels count as one block.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }

    /// Pixels of one channel of an image.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The element at which a block of channels of an image begins; if channels are row-major, the
    /// element at which the first channel begins.
    pub fn start(&self, image: usize, block: usize) -> usize {
        match self.is_blocked {
            true => (image * self.blocks() + block) * self.pixels() * self.lanes,
            false => image * self.channels * self.pixels(),
        }
    }

    /// Blocks of a gathered row: one per tap and block of channels. With row-major channels, as
    /// many as the channels of all taps fill.
    pub fn row_blocks(&self, taps: usize) -> usize {
        match self.is_blocked {
            true => taps * self.blocks(),
            false => (taps * self.channels).div_ceil(self.lanes),
        }
    }

    /// Channels of a tap in a gathered row, including the channels of the last block that are 0.
    pub fn row_channels(&self) -> usize {
        if self.is_blocked { self.blocks() * self.lanes } else { self.channels }
    }

    /// The blocks that runs of taps fill, in rows with `blocks` blocks of channels.
    pub fn runs(&self, taps: &[Range<usize>], blocks: usize) -> impl Iterator<Item = Range<usize>> {
        taps.iter().map(move |run| match self.is_blocked {
            true => run.start * blocks..run.end * blocks,
            // These are all taps, which form one run.
            false => 0..self.row_blocks(run.end),
        })
    }
}

/// A tap of the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    /// The tap's number, row by row.
    pub index: usize,
    /// Row and column of the source pixel that the tap meets at a phase's first result pixel. It
    /// lies outside of the image for padding.
    pub offset: [isize; 2],
}

/// Result pixels that meet the same taps.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Row and column of the first pixel.
    pub first: [usize; 2],
    pub rows: usize,
    pub columns: usize,
    /// The distance from one row or column to the next.
    pub step: usize,
    /// The same distance for the source pixels that these pixels meet.
    pub stride: usize,
    pub taps: Vec<Tap>,
}

impl Phase {
    /// The phase of a convolution. There is one, because all results meet the same taps.
    pub fn forward(window: Window, dst: &Plane) -> Phase {
        let &Plane { height, width, .. } = dst;
        let padding = window.padding as isize;
        let tap = |index: usize| {
            let offset = [index / window.kernel, index % window.kernel].map(|place| place as isize - padding);
            Tap { index, offset }
        };
        let taps = (0..window.kernel * window.kernel).map(tap).collect();
        Phase { first: [0; 2], rows: height, columns: width, step: 1, stride: window.stride, taps }
    }

    /// The phases of the gradient of a convolution's input. A pixel meets the taps whose distance
    /// from it is a multiple of the stride. A phase therefore consists of the pixels whose rows and
    /// columns leave the same remainders. A phase may have no taps, or no pixels.
    pub fn backward_data(window: Window, dsrc: &Plane) -> Vec<Phase> {
        let Window { kernel, stride, padding } = window;
        let remainders = (0..stride * stride).map(|phase| [phase / stride, phase % stride]);
        let phase = |first: [usize; 2]| {
            let taps = (0..kernel * kernel).filter_map(|index| {
                let place = [index / kernel, index % kernel];
                let reach = [0, 1].map(|axis| (first[axis] + padding) as isize - place[axis] as isize);
                let meets = reach.iter().all(|distance| distance.rem_euclid(stride as isize) == 0);
                meets.then(|| Tap { index, offset: reach.map(|distance| distance.div_euclid(stride as isize)) })
            });
            let count = |extent: usize, first: usize| extent.saturating_sub(first).div_ceil(stride);
            Phase {
                first,
                rows: count(dsrc.height, first[0]),
                columns: count(dsrc.width, first[1]),
                step: stride,
                stride: 1,
                taps: taps.collect(),
            }
        };
        remainders.map(phase).collect()
    }

    /// The number of result pixels of an image.
    pub fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether a tap meets the image at row (axis 0) or column (axis 1) `at` of the phase. `extent`
    /// is the number of rows or columns of the image.
    fn meets(&self, tap: &Tap, axis: usize, at: usize, extent: usize) -> bool {
        let source = (at * self.stride) as isize + tap.offset[axis];
        (0..extent as isize).contains(&source)
    }

    /// Divides the `count` rows (axis 0) or columns (axis 1) of the phase into ranges in which the
    /// same taps meet the image.
    fn alike(&self, axis: usize, count: usize, extent: usize) -> Vec<Range<usize>> {
        let met = |at: usize| self.taps.iter().map(move |tap| self.meets(tap, axis, at, extent));
        let mut ranges = Vec::<Range<usize>>::new();
        for at in 0..count {
            match ranges.last_mut() {
                Some(range) if met(range.start).eq(met(at)) => range.end += 1,
                _ => ranges.push(at..at + 1),
            }
        }
        ranges
    }

    /// The place of the result pixel with this number. Numbers run over all images, row by row.
    #[inline(always)]
    pub fn place(&self, pixel: usize) -> Place {
        let (image, row, column) = (pixel / self.pixels(), pixel % self.pixels() / self.columns, pixel % self.columns);
        Place { image, row, column, left: self.columns - column }
    }

    /// The pixel's index in a channel of results that is `width` pixels wide.
    #[inline(always)]
    pub fn number(&self, place: &Place, width: usize) -> usize {
        (self.first[0] + place.row * self.step) * width + self.first[1] + place.column * self.step
    }
}

/// Some result pixels of a phase, and the taps of the phase that they meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The number of the phase.
    pub of: usize,
    pub pixels: Phase,
    /// Which taps of the whole phase these are, as runs of consecutive numbers.
    pub taps: Vec<Range<usize>>,
}

impl Part {
    /// A part that is the whole of a phase.
    fn whole(of: usize, phase: &Phase) -> Part {
        Part { of, pixels: phase.clone(), taps: iter::once(0..phase.taps.len()).collect() }
    }

    /// Divides phases into parts, in the way that needs the fewest products: a phase stays whole,
    /// or each part has the pixels that meet the same taps inside of the image. On an image of 2×2
    /// pixels a 3×3 kernel meets 36 taps, of which 20 are padding. But every part reads its weights
    /// anew, which takes as long as the products of `overhead` pixels.
    pub fn of_phases(phases: &[Phase], source: &Plane, overhead: usize) -> Vec<Part> {
        let products = |parts: &[Part]| -> usize {
            let products = |part: &Part| part.pixels.taps.len() * (source.images * part.pixels.pixels() + overhead);
            parts.iter().map(products).sum()
        };
        let parts = |(of, phase): (usize, &Phase)| {
            let whole = vec![Part::whole(of, phase)];
            // Row-major channels of several taps fill a block together.
            if !source.is_blocked {
                return whole;
            }
            let inside = Part::inside(of, phase, source);
            // Parts must save a tenth at least, because shorter rows are slower to gather.
            if 10 * products(&inside) < 9 * products(&whole) { inside } else { whole }
        };
        phases.iter().enumerate().flat_map(parts).collect()
    }

    /// Divides a phase into parts whose pixels meet the same taps inside of the image. A part keeps
    /// only these taps.
    fn inside(of: usize, phase: &Phase, source: &Plane) -> Vec<Part> {
        let mut parts = Vec::new();
        for rows in phase.alike(0, phase.rows, source.height) {
            for columns in phase.alike(1, phase.columns, source.width) {
                let starts = [rows.start, columns.start];
                let is_met = |tap: &Tap| {
                    phase.meets(tap, 0, rows.start, source.height) && phase.meets(tap, 1, columns.start, source.width)
                };
                let (mut taps, mut runs) = (Vec::new(), Vec::<Range<usize>>::new());
                for (number, tap) in phase.taps.iter().enumerate().filter(|(_, tap)| is_met(tap)) {
                    let offset = [0, 1].map(|axis| tap.offset[axis] + (starts[axis] * phase.stride) as isize);
                    taps.push(Tap { offset, ..*tap });
                    match runs.last_mut() {
                        Some(run) if run.end == number => run.end += 1,
                        _ => runs.push(number..number + 1),
                    }
                }
                let first = [0, 1].map(|axis| phase.first[axis] + starts[axis] * phase.step);
                let pixels = Phase { first, rows: rows.len(), columns: columns.len(), taps, ..*phase };
                parts.push(Part { of, pixels, taps: runs });
            }
        }
        parts
    }
}

/// The place of a result pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub image: usize,
    /// Row and column, counted within the phase.
    pub row: usize,
    pub column: usize,
    /// Pixels of the phase from here to the end of the row.
    pub left: usize,
}

/// Gathers the source pixels of some result pixels.
pub struct Gather<'a, E> {
    pub src: *const E,
    pub plane: &'a Plane,
    pub phase: &'a Phase,
    /// The blocks of channels to gather. If channels are row-major, all.
    pub blocks: Range<usize>,
    /// fp32: `to[block of the row][pixel][lane]`. Blocks lie `stride` apart; the blocks of a tap
    /// follow each other.
    pub to: *mut f32,
    pub stride: usize,
}

impl<E: Stored> Gather<'_, E> {
    /// Gathers the rows of some of the phase's pixels, counted over all images.
    ///
    /// # Safety
    /// `src` must hold the plane, and `to` must have room for the rows. As [`Vector`], whose lanes
    /// must be the plane's.
    #[inline(always)]
    pub unsafe fn rows<V: Vector>(&self, pixels: Range<usize>) {
        let mut slot = 0;
        while slot < pixels.len() {
            let place = self.phase.place(pixels.start + slot);
            let length = place.left.min(pixels.len() - slot);
            for (number, tap) in self.phase.taps.iter().enumerate() {
                // SAFETY: by the caller's promise; the pixels of a stretch lie in one row of an
                // image.
                unsafe {
                    match self.plane.is_blocked {
                        true => self.stretch::<V>(number, tap, &place, slot, length),
                        false => self.scattered::<V>(number, tap, &place, slot, length),
                    }
                }
            }
            slot += length;
        }
        if !self.plane.is_blocked {
            // SAFETY: as above.
            unsafe { self.clear_rest::<V>(pixels.len()) };
        }
    }

    /// Which pixels of a stretch a tap meets inside of the image. Also the source pixel that
    /// belongs to the first pixel of the stretch; that may lie outside of the image.
    #[inline(always)]
    fn met(&self, tap: &Tap, place: &Place, length: usize) -> (Range<usize>, isize) {
        let (stride, width) = (self.phase.stride as isize, self.plane.width as isize);
        let row = place.row as isize * stride + tap.offset[0];
        let column = place.column as isize * stride + tap.offset[1];
        let before = (-column).max(0).unsigned_abs().div_ceil(stride as usize).min(length);
        let until = (width - column).max(0).unsigned_abs().div_ceil(stride as usize).min(length);
        let is_inside = 0 <= row && row < self.plane.height as isize && before < until;
        (if is_inside { before..until } else { 0..0 }, row * width + column)
    }

    /// # Safety
    /// As [`rows`](Self::rows).
    #[inline(always)]
    unsafe fn stretch<V: Vector>(&self, number: usize, tap: &Tap, place: &Place, slot: usize, length: usize) {
        let (met, from) = self.met(tap, place, length);
        let step = self.phase.stride * V::LANES;
        for (at, block) in self.blocks.clone().enumerate() {
            let to = self.to.wrapping_add((number * self.blocks.len() + at) * self.stride + slot * V::LANES);
            let source = self.src.wrapping_add(self.plane.start(place.image, block));
            let source = source.wrapping_offset(from * V::LANES as isize);
            // SAFETY: by the caller's promise; met pixels lie in the image.
            unsafe {
                for pixel in 0..met.start {
                    V::splat(0.0).store(to.add(pixel * V::LANES));
                }
                for pixel in met.clone() {
                    E::load::<V>(source.wrapping_add(pixel * step)).store(to.add(pixel * V::LANES));
                }
                for pixel in met.end..length {
                    V::splat(0.0).store(to.add(pixel * V::LANES));
                }
            }
        }
    }

    /// Like [`stretch`](Self::stretch), for row-major channels.
    ///
    /// # Safety
    /// As [`rows`](Self::rows).
    #[inline(always)]
    unsafe fn scattered<V: Vector>(&self, number: usize, tap: &Tap, place: &Place, slot: usize, length: usize) {
        let (met, from) = self.met(tap, place, length);
        let channels = self.plane.channels;
        for channel in 0..channels {
            let word = number * channels + channel;
            let to = self.to.wrapping_add(word / V::LANES * self.stride + slot * V::LANES + word % V::LANES);
            let source = self.src.wrapping_add(self.plane.start(place.image, 0) + channel * self.plane.pixels());
            let source = source.wrapping_offset(from);
            for pixel in 0..length {
                // SAFETY: by the caller's promise; met pixels lie in the image.
                unsafe {
                    let value = match met.contains(&pixel) {
                        true => source.wrapping_add(pixel * self.phase.stride).read().to_f32(),
                        false => 0.0,
                    };
                    to.add(pixel * V::LANES).write(value);
                }
            }
        }
    }

    /// Writes 0 to the lanes that no channel of a tap fills.
    ///
    /// # Safety
    /// As [`rows`](Self::rows).
    #[inline(always)]
    unsafe fn clear_rest<V: Vector>(&self, rows: usize) {
        let words = self.phase.taps.len() * self.plane.channels;
        for word in words..words.next_multiple_of(V::LANES) {
            for row in 0..rows {
                let at = word / V::LANES * self.stride + row * V::LANES + word % V::LANES;
                // SAFETY: by the caller's promise.
                unsafe { self.to.add(at).write(0.0) };
            }
        }
    }
}

/// Stores the first lanes of a vector as a pixel of `channels` row-major channels.
///
/// # Safety
/// `to` must be valid for `channels` elements, `plane` apart; as [`Vector`].
#[inline(always)]
pub unsafe fn scatter<E: Stored, V: Vector>(value: V, to: *mut E, plane: usize, channels: usize) {
    let mut lanes = [0f32; MOST_LANES];
    // SAFETY: by the caller's promise.
    unsafe {
        value.store(lanes.as_mut_ptr());
        for (channel, lane) in lanes.into_iter().enumerate().take(channels) {
            to.add(channel * plane).write(E::from_f32(lane));
        }
    }
}

/// Loads what [`scatter`] stores; the other lanes are 0.
///
/// # Safety
/// As [`scatter`].
#[inline(always)]
pub unsafe fn collect<E: Stored, V: Vector>(from: *const E, plane: usize, channels: usize) -> V {
    let mut lanes = [0f32; MOST_LANES];
    // SAFETY: by the caller's promise.
    unsafe {
        for (channel, lane) in lanes.iter_mut().enumerate().take(channels) {
            *lane = from.add(channel * plane).read().to_f32();
        }
        V::load(lanes.as_ptr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(height: usize, width: usize) -> Plane {
        Plane { images: 2, channels: 16, height, width, lanes: 8, is_blocked: true }
    }

    /// Every meeting of a tap and a result pixel, as (result row, column, tap, source row, column),
    /// without padding.
    fn meetings(phases: &[Phase], source: &Plane) -> Vec<[usize; 5]> {
        let mut all = Vec::new();
        for phase in phases {
            for (row, column) in (0..phase.rows).flat_map(|row| (0..phase.columns).map(move |column| (row, column))) {
                for tap in &phase.taps {
                    let y = (row * phase.stride) as isize + tap.offset[0];
                    let x = (column * phase.stride) as isize + tap.offset[1];
                    if (0..source.height as isize).contains(&y) && (0..source.width as isize).contains(&x) {
                        let (result_y, result_x) =
                            (phase.first[0] + row * phase.step, phase.first[1] + column * phase.step);
                        all.push([result_y, result_x, tap.index, y as usize, x as usize]);
                    }
                }
            }
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn backward_meets_what_forward_met() {
        for window in [
            Window { kernel: 3, stride: 1, padding: 1 },
            Window { kernel: 3, stride: 2, padding: 1 },
            Window { kernel: 1, stride: 2, padding: 0 },
            Window { kernel: 7, stride: 2, padding: 3 },
            Window { kernel: 2, stride: 3, padding: 0 },
        ] {
            for (height, width) in [(7, 9), (8, 3), (2, 2)] {
                let src = plane(height, width);
                let dst = plane(window.output(height), window.output(width));
                if dst.pixels() == 0 {
                    continue;
                }
                let forward = meetings(&[Phase::forward(window, &dst)], &src);
                let backward = meetings(&Phase::backward_data(window, &src), &dst);
                let mut turned: Vec<_> = backward.into_iter().map(|[y, x, tap, v, u]| [v, u, tap, y, x]).collect();
                turned.sort_unstable();
                assert_eq!(turned, forward, "{window:?} {height} x {width}");
            }
        }
    }

    /// Parts leave out nothing but padding, and name the taps that they keep.
    #[test]
    fn parts_meet_what_phases_meet() {
        for window in [
            Window { kernel: 3, stride: 1, padding: 1 },
            Window { kernel: 3, stride: 2, padding: 1 },
            Window { kernel: 1, stride: 2, padding: 0 },
            Window { kernel: 7, stride: 2, padding: 3 },
        ] {
            for (height, width) in [(1, 1), (2, 2), (4, 1), (5, 9)] {
                let src = plane(height, width);
                let dst = plane(window.output(height), window.output(width));
                let (forward, backward) = (vec![Phase::forward(window, &dst)], Phase::backward_data(window, &src));
                for (phases, source) in [(forward, &src), (backward, &dst)] {
                    let parts: Vec<Part> =
                        (0..phases.len()).flat_map(|of| Part::inside(of, &phases[of], source)).collect();
                    let pixels: Vec<Phase> = parts.iter().map(|part| part.pixels.clone()).collect();
                    assert_eq!(meetings(&pixels, source), meetings(&phases, source), "{window:?} {height} x {width}");
                    for Part { of, pixels, taps } in parts {
                        let kept: Vec<usize> = pixels.taps.iter().map(|tap| tap.index).collect();
                        let named: Vec<usize> = taps.into_iter().flatten().map(|n| phases[of].taps[n].index).collect();
                        assert_eq!(kept, named, "{window:?} {height} x {width}");
                        let met = meetings(std::slice::from_ref(&pixels), source).len();
                        assert_eq!(met, pixels.pixels() * kept.len(), "{window:?} {height} x {width}: padding");
                    }
                }
            }
        }
    }

    /// On images of 2×2 pixels, each pixel meets four taps of a 3×3 kernel. Where there is little
    /// padding, pixels stay together.
    #[test]
    fn phases_are_parted_where_that_saves_products() {
        let window = Window { kernel: 3, stride: 1, padding: 1 };
        let parts = |images: usize, side: usize| {
            let plane = Plane { images, ..plane(side, side) };
            Part::of_phases(&[Phase::forward(window, &plane)], &plane, 8)
        };
        let small = parts(64, 2);
        assert_eq!(small.len(), 4);
        assert!(small.iter().all(|part| part.pixels.taps.len() == 4));
        assert_eq!(parts(1, 2).len(), 1);
        assert_eq!(parts(1, 1)[0].pixels.taps.len(), 1);
        assert_eq!(parts(4, 32).len(), 1);
    }

    #[test]
    fn phases_cover_every_pixel_once() {
        let dsrc = plane(7, 5);
        let phases = Phase::backward_data(Window { kernel: 3, stride: 2, padding: 1 }, &dsrc);
        let mut seen = vec![0; dsrc.pixels()];
        for phase in &phases {
            (0..phase.pixels()).for_each(|pixel| seen[phase.number(&phase.place(pixel), dsrc.width)] += 1);
        }
        assert!(seen.iter().all(|&times| times == 1), "{seen:?}");
    }
}
