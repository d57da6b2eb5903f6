//! Kernels, transformed into the order in which products read them.

use std::marker::PhantomData;
use std::ops::Range;

use in18_tensor::{DType, Tensor};

use super::{POINTS, transform};
use crate::isa::Isa;
use crate::simd::{Kernel, Lanes, MOST_LANES, Stored, Vector, run};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;
use crate::weights::Statistics;

/// Elements from one point's transformed kernels of a block of inputs and a pair of blocks of outputs to the next one's: a
/// vector more than there are, lest points share a cache set.
pub fn square(lanes: usize) -> usize {
    2 * lanes * lanes + lanes
}

/// Elements of a pair of blocks of outputs.
pub fn pair(input_blocks: usize, lanes: usize) -> usize {
    input_blocks * POINTS * square(lanes)
}

/// A copy of all kernels of a convolution, with a normalisation folded in: for evaluations, where weights stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransformedWeights {
    outputs: usize,
    inputs: usize,
    /// Of the activations.
    dtype: DType,
    lanes: usize,
}

impl TransformedWeights {
    /// Of (O, I, 3, 3) weights for activations of a type in blocks of `lanes` channels.
    pub fn new(weight: &Tensor, dtype: DType, lanes: usize) -> Self {
        TransformedWeights { outputs: weight.shape[0], inputs: weight.shape[1], dtype, lanes }
    }

    /// How many fp32 they take.
    pub fn elements(&self) -> usize {
        self.outputs / (2 * self.lanes) * pair(self.inputs / self.lanes, self.lanes)
    }

    /// Transforms (O, I, 3, 3) `weights` to `to`, and writes the bias, a value an output channel.
    ///
    /// # Safety
    /// `weights` must have the shape, `to` take [`elements`](Self::elements); the statistics and `bias` as many values as
    /// there are outputs.
    pub unsafe fn transform(&self, isa: Isa, parts: Parts) {
        // SAFETY: by the caller's promise.
        unsafe {
            match self.dtype {
                DType::Bf16 => self.transform_from::<Bf16>(isa, parts),
                _ => self.transform_from::<f32>(isa, parts),
            }
        }
    }

    /// # Safety
    /// As [`transform`](Self::transform).
    unsafe fn transform_from<E: Stored>(&self, isa: Isa, Parts { weights, statistics, to, bias }: Parts) {
        parallel(|thread, threads| {
            let pairs = part(self.outputs / (2 * self.lanes), 1, thread, threads);
            // SAFETY: by the caller's promise; no two threads have the same outputs.
            unsafe {
                let transform = TransformWeights {
                    rounded_to: PhantomData::<E>,
                    weights: weights.at(0),
                    outputs: self.outputs,
                    inputs: self.inputs,
                    turned: false,
                    end: Some((statistics, bias.at(0))),
                    to: to.at(pairs.start * pair(self.inputs / self.lanes, self.lanes)),
                    pairs,
                };
                run(isa, self.lanes, transform);
            }
        });
    }
}

/// What a copy is made of, and where it goes.
pub struct Parts {
    pub weights: Shared<f32>,
    pub statistics: Statistics,
    pub to: Shared<f32>,
    pub bias: Shared<f32>,
}

/// The transformation of (O, I, 3, 3) weights, rounded first to the type E of the activations, as those of all convolutions
/// are.
pub struct TransformWeights<E> {
    pub rounded_to: PhantomData<E>,
    pub weights: *const f32,
    /// Channels of the results: O, or I if `turned`.
    pub outputs: usize,
    /// Channels that are summed over.
    pub inputs: usize,
    /// Whether kernels are turned around, as for the gradient of the input.
    pub turned: bool,
    /// A normalisation to fold in, and where its bias goes, a value an output channel.
    pub end: Option<(Statistics, *mut f32)>,
    /// (pairs, input blocks, points, lanes of inputs, 2 · lanes), points [`square`] apart.
    pub to: *mut f32,
    /// The pairs of output blocks that are transformed.
    pub pairs: Range<usize>,
}

impl<E: Stored> TransformWeights<E> {
    /// The factors of the weights of some outputs; writes their bias.
    ///
    /// # Safety
    /// As the kernel's.
    unsafe fn fold(&self, outputs: Range<usize>) -> Lanes {
        let mut scales = [1f32; MOST_LANES];
        if let Some((statistics, bias)) = &self.end {
            for (scale, o) in scales.iter_mut().zip(outputs) {
                // SAFETY: by the caller's promise.
                unsafe {
                    let (of_o, bias_of_o) = statistics.affine(o);
                    *scale = of_o;
                    bias.add(o).write(bias_of_o);
                }
            }
        }
        scales
    }

    /// The kernels of a block of outputs, from `output` on, and of a block of inputs, from `input` on: (input, tap, output).
    ///
    /// # Safety
    /// As the kernel's.
    #[inline(always)]
    unsafe fn kernels<V: Vector>(&self, output: usize, input: usize, kernels: &mut [Lanes; 9 * MOST_LANES]) {
        let to = kernels.as_mut_ptr().cast::<f32>();
        // SAFETY: by the caller's promise.
        unsafe {
            if self.turned {
                for i in 0..V::LANES {
                    let from = self.weights.add(((input + i) * self.outputs + output) * 9);
                    for first in (0..9).step_by(V::LANES) {
                        let columns = V::LANES.min(9 - first);
                        V::transpose(from.add(first), 9, columns, to.add((i * 9 + first) * V::LANES));
                    }
                }
            } else {
                let from = self.weights.add((output * self.inputs + input) * 9);
                for first in (0..9 * V::LANES).step_by(V::LANES) {
                    V::transpose(from.add(first), self.inputs * 9, V::LANES, to.add(first * V::LANES));
                }
            }
        }
    }
}

impl<E: Stored> Kernel for TransformWeights<E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let mut kernels = [[0f32; MOST_LANES]; 9 * MOST_LANES];
        for (number, pair) in self.pairs.clone().enumerate() {
            for half in 0..2 {
                let first = (2 * pair + half) * V::LANES;
                // SAFETY: by the caller's promise.
                unsafe {
                    let scales = self.fold(first..first + V::LANES);
                    let scales = V::load(scales.as_ptr());
                    for first_input in (0..self.inputs).step_by(V::LANES) {
                        self.kernels::<V>(first, first_input, &mut kernels);
                        for i in 0..V::LANES {
                            let mut kernel = [V::splat(0.0); 9];
                            for (tap, value) in kernel.iter_mut().enumerate() {
                                let tap = i * 9 + if self.turned { 8 - tap } else { tap };
                                let exact = V::load(kernels.as_ptr().cast::<f32>().add(tap * V::LANES)).mul(scales);
                                let mut rounded = [E::default(); MOST_LANES];
                                E::store(exact, rounded.as_mut_ptr());
                                *value = E::load(rounded.as_ptr());
                            }
                            for (point, value) in transform::weights::<V>(kernel).into_iter().enumerate() {
                                let block = number * self.inputs / V::LANES + first_input / V::LANES;
                                let at = (block * POINTS + point) * square(V::LANES) + (2 * i + half) * V::LANES;
                                value.store(self.to.add(at));
                            }
                        }
                    }
                }
            }
        }
    }
}
