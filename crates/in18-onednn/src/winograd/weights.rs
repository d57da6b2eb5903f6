//! Kernels, transformed into the order in which products read them: anew for each use, since in training they
//! change as often, and all of them would take four times the memory of the weights.

use std::marker::PhantomData;
use std::ops::Range;

use super::{POINTS, transform};
use crate::simd::{Kernel, Lanes, MOST_LANES, Stored, Vector};

/// A normalisation with fixed statistics to fold into weights; a value an output channel.
#[derive(Clone, Copy)]
pub struct Statistics {
    pub epsilon: f32,
    pub gamma: *const f32,
    pub beta: *const f32,
    pub mean: *const f32,
    pub variance: *const f32,
}

/// Elements from one point's transformed kernels of a block of inputs and a pair of blocks of outputs to the next one's: a
/// vector more than there are, lest points share a cache set.
pub fn square(lanes: usize) -> usize {
    2 * lanes * lanes + lanes
}

/// The transformation of (O, I, 3, 3) weights, rounded first to the type E of the activations, as those of
/// all convolutions are.
pub struct TransformWeights<E> {
    pub rounded_to: PhantomData<E>,
    pub weights: *const f32,
    /// Channels of the results: O, or I if `turned`.
    pub outputs: usize,
    /// Channels that are summed over.
    pub inputs: usize,
    /// Whether kernels are turned around, as for the gradient of the input.
    pub turned: bool,
    pub statistics: Option<Statistics>,
    /// (pairs, input blocks, points, lanes of inputs, 2 · lanes), points [`square`] apart.
    pub to: *mut f32,
    /// A value an output channel of the pairs.
    pub bias: *mut f32,
    /// The pairs of output blocks that are transformed.
    pub pairs: Range<usize>,
}

impl<E: Stored> TransformWeights<E> {
    /// The weights' factors and the bias of some outputs.
    ///
    /// # Safety
    /// As the kernel's.
    unsafe fn affine(&self, outputs: Range<usize>) -> (Lanes, Lanes) {
        let (mut scales, mut biases) = ([1f32; MOST_LANES], [0f32; MOST_LANES]);
        if let Some(Statistics { epsilon, gamma, beta, mean, variance }) = self.statistics {
            for (lane, o) in outputs.enumerate() {
                // SAFETY: by the caller's promise.
                unsafe {
                    scales[lane] = *gamma.add(o) / (*variance.add(o) + epsilon).sqrt();
                    biases[lane] = *beta.add(o) - *mean.add(o) * scales[lane];
                }
            }
        }
        (scales, biases)
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
                    let (scales, biases) = self.affine(first..first + V::LANES);
                    let scales = V::load(scales.as_ptr());
                    V::load(biases.as_ptr()).store(self.bias.add((2 * number + half) * V::LANES));
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
