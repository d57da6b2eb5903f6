//! Weights in the order in which products read them.

use std::ops::Range;

use in18_kernels::op::Window;
use in18_tensor::{DType, Tensor};

use super::gather::{Phase, Plane};
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Lanes, MOST_LANES, Stored, Vector, run};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;
use crate::weights::Statistics;

/// What is computed by products with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A convolution.
    Forward,
    /// The gradient of its input.
    BackwardData,
}

/// A copy of (O, I, K, K) weights: for each phase of the convolution and each pair of blocks of result channels,
/// (block of the row, lane of the row, 2 · lanes results); what lies beyond the channels is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedWeights {
    direction: Direction,
    outputs: usize,
    inputs: usize,
    taps: usize,
    /// The type that weights are rounded to, as for every convolution.
    dtype: DType,
    /// The channels that are summed, of an image of no matter what extents.
    plane: Plane,
    /// The taps of each phase.
    phases: Vec<Vec<usize>>,
    /// The word at which each phase's weights begin, and where the last one's end.
    starts: Vec<usize>,
}

impl PackedWeights {
    /// Of `weight`, for a convolution of activations of a type.
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
        let phases: Vec<Vec<usize>> =
            phases.iter().map(|phase| phase.taps.iter().map(|tap| tap.index).collect()).collect();
        let plane = plane(summed);
        let mut starts = vec![0];
        for taps in &phases {
            let pairs = results.div_ceil(2 * layout.block);
            starts.push(starts[starts.len() - 1] + pairs * pair_words(&plane, taps.len()));
        }
        let taps = window.kernel * window.kernel;
        PackedWeights { direction, outputs, inputs, taps, dtype, plane, phases, starts }
    }

    /// Words of 32 bits of the copy.
    pub fn words(&self) -> usize {
        self.starts[self.phases.len()]
    }

    /// Words of the bias: two whole blocks for each pair.
    pub fn bias_words(&self) -> usize {
        self.results().next_multiple_of(2 * self.plane.lanes)
    }

    /// The word at which the weights of a phase and a pair begin.
    pub fn start(&self, phase: usize, pair: usize) -> usize {
        self.starts[phase] + pair * pair_words(&self.plane, self.phases[phase].len())
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
    /// `weights` must have the shape, `to` take [`words`](Self::words) and `bias` [`bias_words`](Self::bias_words); the statistics,
    /// if there are any, must hold a value an output.
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

/// Words of a pair's weights of a phase of so many taps.
fn pair_words(plane: &Plane, taps: usize) -> usize {
    plane.row_blocks(taps) * 2 * plane.lanes * plane.lanes
}

/// What a copy is made of, and where it goes.
#[derive(Clone, Copy)]
pub struct Parts {
    /// fp32.
    pub weights: Shared<f32>,
    /// Of the normalisation that is folded in.
    pub statistics: Option<Statistics>,
    /// The copy.
    pub to: Shared<f32>,
    /// The bias.
    pub bias: Shared<f32>,
}

/// The packing of some pairs' weights.
struct Pack<'a, E> {
    packed: &'a PackedWeights,
    parts: Parts,
    pairs: Range<usize>,
    rounded: std::marker::PhantomData<E>,
}

impl<E: Stored> Pack<'_, E> {
    /// The factors of a block of results, 0 beyond the last; writes their bias.
    ///
    /// # Safety
    /// As the kernel's.
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

    /// The weights of a block of results, a summed channel and a tap.
    ///
    /// # Safety
    /// As the kernel's.
    #[inline(always)]
    unsafe fn word<V: Vector>(&self, block: usize, channel: usize, tap: usize) -> V {
        let &PackedWeights { direction, outputs, inputs, taps, .. } = self.packed;
        let first = block * V::LANES;
        let (from, stride, results) = match direction {
            Direction::Forward => ((first * inputs + channel) * taps + tap, inputs * taps, outputs),
            Direction::BackwardData => ((channel * inputs + first) * taps + tap, taps, inputs),
        };
        let mut lanes = [0f32; MOST_LANES];
        // SAFETY: by the caller's promise; lanes beyond the last result are not read.
        unsafe {
            for (lane, value) in lanes.iter_mut().enumerate().take(V::LANES.min(results.saturating_sub(first))) {
                *value = *self.parts.weights.at(from + lane * stride);
            }
            V::load(lanes.as_ptr())
        }
    }

    /// The tap and channel of a word of a row, if it is one.
    fn place(&self, taps: &[usize], block: usize, lane: usize) -> Option<(usize, usize)> {
        let plane = &self.packed.plane;
        let (tap, channel) = match plane.is_blocked {
            true => (block / plane.blocks(), block % plane.blocks() * plane.lanes + lane),
            false => {
                let word = block * plane.lanes + lane;
                (word / plane.channels, word % plane.channels)
            }
        };
        let tap = taps.get(tap)?;
        (channel < plane.channels).then_some((*tap, channel))
    }
}

impl<E: Stored> Kernel for Pack<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for pair in self.pairs.clone() {
            for half in 0..2 {
                let block = 2 * pair + half;
                // SAFETY: by the caller's promise.
                let scales = unsafe { self.fold(block) };
                for (phase, taps) in self.packed.phases.iter().enumerate() {
                    let start = self.packed.start(phase, pair) + half * V::LANES;
                    for row_block in 0..self.packed.plane.row_blocks(taps.len()) {
                        for lane in 0..V::LANES {
                            // SAFETY: by the caller's promise.
                            unsafe {
                                let mut word = V::splat(0.0);
                                if let Some((tap, channel)) = self.place(taps, row_block, lane) {
                                    word = self.word::<V>(block, channel, tap);
                                }
                                let mut rounded = [E::default(); MOST_LANES];
                                E::store(word.mul(V::load(scales.as_ptr())), rounded.as_mut_ptr());
                                let to = self.parts.to.at(start + (row_block * V::LANES + lane) * 2 * V::LANES);
                                E::load::<V>(rounded.as_ptr()).store(to);
                            }
                        }
                    }
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

    /// Every weight stands in the copy once, at the place that a product reads for its tap, channel and result.
    #[test]
    fn every_weight_is_packed_once() {
        let layout = Layout { block: 8 };
        for (outputs, inputs, window) in [
            (16, 24, Window { kernel: 3, stride: 2, padding: 1 }),
            (20, 11, Window { kernel: 2, stride: 1, padding: 0 }),
            (8, 3, Window { kernel: 7, stride: 2, padding: 3 }),
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
                // SAFETY: the vectors have the lengths that `pack` asks for.
                unsafe { packed.pack(Isa::Baseline, parts) };
                assert!(bias.iter().all(|&value| value == 0.0));
                let mut sorted: Vec<f32> = to.iter().copied().filter(|&value| value != 0.0).collect();
                sorted.sort_by(f32::total_cmp);
                assert_eq!(sorted, values, "{window:?} {direction:?}");
            }
        }
    }
}
