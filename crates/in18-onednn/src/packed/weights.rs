//! Weights in the order in which products read them.

use std::ops::Range;

use in18_kernels::op::Window;
use in18_tensor::{DType, Tensor};

use super::gather::{Phase, Plane};
use crate::fold::Statistics;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Lanes, MOST_LANES, Stored, Vector, run};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;

/// What products with weights compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A convolution.
    Forward,
    /// The gradient of a convolution's input.
    BackwardData,
}

/// A copy of (O, I, K, K) weights: for each phase of the convolution and each pair of blocks of
/// result channels, (block of the row, lane of the row, 2 · lanes results). Values beyond the last
/// channel are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedWeights {
    direction: Direction,
    outputs: usize,
    inputs: usize,
    taps: usize,
    /// The type that weights are rounded to, as in every convolution.
    dtype: DType,
    /// The channels that are summed. The extents of this plane mean nothing.
    plane: Plane,
    /// For each phase, the word at which its weights begin, and the number of words of a pair.
    phases: Vec<(usize, usize)>,
    /// For each tap, its phase, and the word of a row at which the tap's channels begin.
    places: Vec<(usize, usize)>,
    /// The number of words of all phases.
    words: usize,
}

impl PackedWeights {
    /// The copy of `weight` for a convolution of activations of type `dtype`.
    pub fn new(weight: &Tensor, window: Window, direction: Direction, layout: Layout, dtype: DType) -> Self {
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let plane = |channels| {
            let (lanes, is_blocked) = (layout.block, layout.is_blocked(channels));
            Plane { images: 1, channels, height: 1, width: 1, lanes, is_blocked }
        };
        let (summed, results, phases) = match direction {
            Direction::Forward => (inputs, outputs, vec![Phase::forward(window, &plane(outputs))]),
            Direction::BackwardData => (outputs, inputs, Phase::backward_data(window, &plane(inputs))),
        };
        let plane = plane(summed);
        let taps = window.kernel * window.kernel;
        let (mut words, mut starts, mut places) = (0, Vec::new(), vec![(0, 0); taps]);
        for (number, phase) in phases.iter().enumerate() {
            let of_pair = plane.row_blocks(phase.taps.len()) * 2 * plane.lanes * plane.lanes;
            starts.push((words, of_pair));
            words += results.div_ceil(2 * layout.block) * of_pair;
            for (place, tap) in phase.taps.iter().enumerate() {
                places[tap.index] = (number, place * plane.row_channels());
            }
        }
        PackedWeights { direction, outputs, inputs, taps, dtype, plane, phases: starts, places, words }
    }

    /// Length of the copy in words of 32 bits.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Length of the bias in words: two whole blocks for each pair.
    pub fn bias_words(&self) -> usize {
        self.results().next_multiple_of(2 * self.plane.lanes)
    }

    /// The word at which the weights of a phase and a pair begin.
    pub fn start(&self, phase: usize, pair: usize) -> usize {
        let (start, of_pair) = self.phases[phase];
        start + pair * of_pair
    }

    /// The word at which the weights of a phase and a pair end.
    fn end(&self, phase: usize, pair: usize) -> usize {
        self.start(phase, pair + 1)
    }

    fn results(&self) -> usize {
        match self.direction {
            Direction::Forward => self.outputs,
            Direction::BackwardData => self.inputs,
        }
    }

    /// Packs (O, I, K, K) `weights`, and writes the bias.
    ///
    /// # Safety
    /// `weights` must have the shape. `to` must have room for [`words`](Self::words) and `bias` for
    /// [`bias_words`](Self::bias_words). The statistics, if there are any, must hold one value per
    /// output.
    pub unsafe fn pack(&self, isa: Isa, parts: Parts) {
        parallel(|thread, threads| {
            let pairs = part(self.results().div_ceil(2 * self.plane.lanes), 1, thread, threads);
            // SAFETY: by the caller's promise; no two threads have the same pairs.
            unsafe {
                match self.dtype {
                    DType::Bf16 => {
                        let rounded = std::marker::PhantomData::<Bf16>;
                        run(isa, self.plane.lanes, Pack { packed: self, parts, pairs, rounded });
                    }
                    _ => {
                        let rounded = std::marker::PhantomData::<f32>;
                        run(isa, self.plane.lanes, Pack { packed: self, parts, pairs, rounded });
                    }
                }
            }
        });
    }
}

/// The sources and the destinations of a copy.
#[derive(Clone, Copy)]
pub struct Parts {
    /// The fp32 weights.
    pub weights: Shared<f32>,
    /// The statistics of the normalisation that is folded in.
    pub statistics: Option<Statistics>,
    /// The copy.
    pub to: Shared<f32>,
    /// The bias.
    pub bias: Shared<f32>,
}

/// Packs the weights of some pairs.
struct Pack<'a, E> {
    packed: &'a PackedWeights,
    parts: Parts,
    pairs: Range<usize>,
    rounded: std::marker::PhantomData<E>,
}

impl<E: Stored> Pack<'_, E> {
    /// The factors of a block of results, 0 beyond the last result. Writes the bias of the block.
    ///
    /// # Safety
    /// As for the kernel.
    unsafe fn fold(&self, block: usize) -> Lanes {
        let lanes = self.packed.plane.lanes;
        let mut scales = [0f32; MOST_LANES];
        for (lane, scale) in scales.iter_mut().enumerate().take(lanes) {
            let result = block * lanes + lane;
            let is_there = result < self.packed.results();
            // SAFETY: by the caller's promise.
            unsafe {
                let (of_result, bias) = match &self.parts.statistics {
                    Some(statistics) if is_there => statistics.affine(result),
                    _ => (f32::from(is_there), 0.0),
                };
                *scale = of_result;
                self.parts.bias.at(result).write(bias);
            }
        }
        scales
    }

    /// Packs a pair of complete blocks of results. Weights are moved as vectors.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn whole_pair<V: Vector>(&self, pair: usize, scales: [V; 2]) {
        let &PackedWeights { direction, inputs, taps, outputs, .. } = self.packed;
        let mut turned = [[0f32; MOST_LANES * MOST_LANES]; 2];
        // The weights of a result lie side by side: of all channels in a convolution, of one
        // channel in the gradient.
        let (channels, from_channel, from_result, columns) = match direction {
            Direction::Forward => (1, 0, inputs * taps, inputs * taps),
            Direction::BackwardData => (outputs, inputs * taps, taps, taps),
        };
        let (mut channel, mut tap) = (0, 0);
        for first in 0..channels {
            for column in (0..columns).step_by(V::LANES) {
                let some = V::LANES.min(columns - column);
                // SAFETY: by the caller's promise.
                unsafe {
                    for (half, turned) in turned.iter_mut().enumerate() {
                        let result = (2 * pair + half) * V::LANES;
                        let at = first * from_channel + result * from_result + column;
                        let from = self.parts.weights.at(at).cast_const();
                        match from_result {
                            // The results lie side by side.
                            1 => V::load(from).store(turned.as_mut_ptr()),
                            _ => V::transpose(from, from_result, some, turned.as_mut_ptr()),
                        }
                    }
                    for number in 0..some {
                        for half in 0..2 {
                            let word = V::load(turned[half].as_ptr().add(number * V::LANES));
                            self.put(2 * pair + half, (channel, tap), word.mul(scales[half]));
                        }
                        tap += 1;
                        if tap == taps {
                            (channel, tap) = (channel + 1, 0);
                        }
                    }
                }
            }
        }
    }

    /// Packs a block of results that may be incomplete. Missing results are 0.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn block<V: Vector>(&self, block: usize, scales: V) {
        let &PackedWeights { direction, inputs, outputs, taps, .. } = self.packed;
        let first = block * V::LANES;
        let (channels, results) = match direction {
            Direction::Forward => (inputs, outputs),
            Direction::BackwardData => (outputs, inputs),
        };
        for (channel, tap) in (0..channels).flat_map(|channel| (0..taps).map(move |tap| (channel, tap))) {
            let (from, stride) = match direction {
                Direction::Forward => ((first * inputs + channel) * taps + tap, inputs * taps),
                Direction::BackwardData => ((channel * inputs + first) * taps + tap, taps),
            };
            let mut lanes = [0f32; MOST_LANES];
            // SAFETY: by the caller's promise; lanes beyond the last result are not read.
            unsafe {
                for (lane, value) in lanes.iter_mut().enumerate().take(V::LANES.min(results.saturating_sub(first))) {
                    *value = *self.parts.weights.at(from + lane * stride);
                }
                self.put(block, (channel, tap), V::load(lanes.as_ptr()).mul(scales));
            }
        }
    }

    /// Stores the weights of a block of results, a summed channel and a tap, rounded.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn put<V: Vector>(&self, block: usize, (channel, tap): (usize, usize), word: V) {
        let (phase, word_of_row) = self.packed.places[tap];
        let at = self.packed.start(phase, block / 2) + (2 * (word_of_row + channel) + block % 2) * V::LANES;
        let mut rounded = [E::default(); MOST_LANES];
        // SAFETY: by the caller's promise.
        unsafe {
            E::store(word, rounded.as_mut_ptr());
            E::load::<V>(rounded.as_ptr()).store(self.parts.to.at(at));
        }
    }
}

impl<E: Stored> Kernel for Pack<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let packed = self.packed;
        for pair in self.pairs.clone() {
            // SAFETY: by the caller's promise.
            unsafe {
                if !packed.plane.is_blocked || !packed.plane.channels.is_multiple_of(V::LANES) {
                    // This also clears the words of a row that no channel of a tap has.
                    for phase in 0..packed.phases.len() {
                        for word in (packed.start(phase, pair)..packed.end(phase, pair)).step_by(V::LANES) {
                            V::splat(0.0).store(self.parts.to.at(word));
                        }
                    }
                }
                let blocks = [2 * pair, 2 * pair + 1];
                let scales = [V::load(self.fold(blocks[0]).as_ptr()), V::load(self.fold(blocks[1]).as_ptr())];
                if blocks[1] * V::LANES + V::LANES <= packed.results() {
                    self.whole_pair::<V>(pair, scales);
                } else {
                    self.block::<V>(blocks[0], scales[0]);
                    self.block::<V>(blocks[1], scales[1]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use in18_tensor::{ArenaId, Format, Region, Shape};

    use super::*;

    fn weight(outputs: usize, inputs: usize, kernel: usize) -> Tensor {
        let shape = Shape::new(&[outputs, inputs, kernel, kernel]);
        let region = Region { arena: ArenaId(0), offset: 0, bytes: shape.elements() * 4 };
        Tensor { shape, dtype: DType::F32, format: Format::Plain, region }
    }

    /// Every weight occurs in the copy once, at the place that a product reads for its tap, channel
    /// and result.
    #[test]
    fn every_weight_is_packed_once() {
        let layout = Layout { block: 8 };
        for (outputs, inputs, window) in [
            (16, 24, Window { kernel: 3, stride: 2, padding: 1 }),
            (20, 11, Window { kernel: 2, stride: 1, padding: 0 }),
            (8, 3, Window { kernel: 7, stride: 2, padding: 3 }),
            (16, 32, Window { kernel: 1, stride: 2, padding: 0 }),
        ] {
            for direction in [Direction::Forward, Direction::BackwardData] {
                let weight = weight(outputs, inputs, window.kernel);
                let packed = PackedWeights::new(&weight, window, direction, layout, DType::F32);
                let values: Vec<f32> = (0..weight.shape.elements()).map(|i| 1.0 + i as f32).collect();
                let (mut to, mut bias) = (vec![f32::NAN; packed.words()], vec![f32::NAN; packed.bias_words()]);
                let parts = Parts {
                    weights: Shared::new(values.as_ptr().cast_mut().cast()),
                    statistics: None,
                    to: Shared::new(to.as_mut_ptr().cast()),
                    bias: Shared::new(bias.as_mut_ptr().cast()),
                };
                // SAFETY: the vectors have the lengths that `pack` requires.
                unsafe { packed.pack(Isa::BASELINE, parts) };
                assert!(bias.iter().all(|&value| value == 0.0));
                let mut sorted: Vec<f32> = to.iter().copied().filter(|&value| value != 0.0).collect();
                sorted.sort_by(f32::total_cmp);
                assert!(sorted == values, "{window:?} {direction:?}");
            }
        }
    }
}
