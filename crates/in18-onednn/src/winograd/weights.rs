//! Transforms kernels into the order in which products read them.

use std::marker::PhantomData;
use std::ops::Range;

use in18_tensor::Tensor;

use super::numbers::{Fixed, Numbers, Single, kernel_factors, scale};
use super::tiles::POINTS;
use super::transform;
use crate::fold::Statistics;
use crate::isa::Isa;
use crate::simd::{Kernel, Lanes, MOST_LANES, Stored, Vector, run};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;

/// Words from one point to the next, in the transformed kernels of a block of inputs and a pair of
/// blocks of outputs. This is one vector more than needed, so that points do not share a cache set.
pub fn square(lanes: usize) -> usize {
    2 * lanes * lanes + lanes
}

/// Words of a pair of blocks of outputs, including its scales: two vectors per part and point.
pub fn pair<N: Numbers>(input_blocks: usize, lanes: usize) -> usize {
    let scales = if N::HAS_SCALES { scale(N::parts(input_blocks), 0) * 2 * lanes } else { 0 };
    pair_scales::<N>(input_blocks, lanes) + scales
}

/// Words of a pair of blocks of outputs before the scales.
pub fn pair_scales<N: Numbers>(input_blocks: usize, lanes: usize) -> usize {
    input_blocks / N::CHANNELS * POINTS * square(lanes)
}

/// A copy of all kernels of a convolution, with a normalisation folded in. It is for evaluations,
/// where weights do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransformedWeights {
    outputs: usize,
    inputs: usize,
    form: Form,
    lanes: usize,
}

/// The type of activations, and the numbers of their transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// fp32, and [`Single`].
    F32,
    /// bf16, and [`Single`].
    Bf16,
    /// bf16, and [`Fixed`].
    Bf16Fixed,
}

impl TransformedWeights {
    /// The copy of (O, I, 3, 3) weights for blocks of `lanes` channels.
    pub fn new(weight: &Tensor, form: Form, lanes: usize) -> Self {
        TransformedWeights { outputs: weight.shape[0], inputs: weight.shape[1], form, lanes }
    }

    /// The size of the copy in words of 32 bits.
    pub fn elements(&self) -> usize {
        let blocks = self.inputs / self.lanes;
        let pair = match self.form {
            Form::F32 | Form::Bf16 => pair::<Single>(blocks, self.lanes),
            Form::Bf16Fixed => pair::<Fixed>(blocks, self.lanes),
        };
        self.outputs / (2 * self.lanes) * pair
    }

    /// Transforms (O, I, 3, 3) `weights` to `to`, and writes the bias, one value per output
    /// channel.
    ///
    /// # Safety
    /// `weights` must have the shape. `to` must have room for [`elements`](Self::elements). The
    /// statistics and `bias` must hold one value per output.
    pub unsafe fn transform(&self, isa: Isa, parts: Parts) {
        // SAFETY: by the caller's promise.
        unsafe {
            match self.form {
                Form::F32 => self.transform_from::<f32, Single>(isa, parts),
                Form::Bf16 => self.transform_from::<Bf16, Single>(isa, parts),
                Form::Bf16Fixed => self.transform_from::<Bf16, Fixed>(isa, parts),
            }
        }
    }

    /// # Safety
    /// As [`transform`](Self::transform).
    unsafe fn transform_from<E: Stored, N: Numbers>(&self, isa: Isa, Parts { weights, statistics, to, bias }: Parts) {
        parallel(|thread, threads| {
            let pairs = part(self.outputs / (2 * self.lanes), 1, thread, threads);
            // SAFETY: by the caller's promise; no two threads have the same outputs.
            unsafe {
                let transform = TransformWeights {
                    forms: PhantomData::<(E, N)>,
                    weights: weights.at(0),
                    outputs: self.outputs,
                    inputs: self.inputs,
                    turned: false,
                    end: Some((statistics, bias.at(0))),
                    to: to.at(pairs.start * pair::<N>(self.inputs / self.lanes, self.lanes)),
                    pairs,
                };
                run(isa, self.lanes, transform);
            }
        });
    }
}

/// The sources and the destinations of a copy.
pub struct Parts {
    pub weights: Shared<f32>,
    pub statistics: Statistics,
    pub to: Shared<f32>,
    pub bias: Shared<f32>,
}

/// Transforms (O, I, 3, 3) weights to numbers N. Weights are first rounded to the type E of the
/// activations, as in all convolutions.
pub struct TransformWeights<E, N> {
    pub forms: PhantomData<(E, N)>,
    pub weights: *const f32,
    /// Channels of the results: O, or I if `turned`.
    pub outputs: usize,
    /// Channels that are summed over.
    pub inputs: usize,
    /// Whether kernels are rotated by 180°, as for the gradient of the input.
    pub turned: bool,
    /// A normalisation to fold in, and where to write its bias, one value per output channel.
    pub end: Option<(Statistics, *mut f32)>,
    /// (pairs, blocks of words, points, words of inputs, 2 · lanes). Points lie [`square`] apart,
    /// pairs [`pair`] apart.
    pub to: *mut f32,
    /// The pairs of output blocks that are transformed.
    pub pairs: Range<usize>,
}

impl<E: Stored, N: Numbers> TransformWeights<E, N> {
    /// The factors for the weights of some outputs. Writes the bias of these outputs.
    ///
    /// # Safety
    /// As for the kernel.
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

    /// The kernels of a block of outputs that begins at `output` and a block of inputs that begins
    /// at `input`: (input, tap, output).
    ///
    /// # Safety
    /// As for the kernel.
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

    /// The points of the kernels of a block of outputs and one input. `kernels` comes from
    /// [`kernels`](Self::kernels).
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn points<V: Vector>(
        &self,
        kernels: &[Lanes; 9 * MOST_LANES],
        input: usize,
        normalisation: V,
    ) -> [V; POINTS] {
        // SAFETY: by the caller's promise.
        unsafe {
            let mut kernel = [V::splat(0.0); 9];
            for (tap, value) in kernel.iter_mut().enumerate() {
                let tap = input * 9 + if self.turned { 8 - tap } else { tap };
                let exact = V::load(kernels.as_ptr().cast::<f32>().add(tap * V::LANES)).mul(normalisation);
                let mut rounded = [E::default(); MOST_LANES];
                E::store(exact, rounded.as_mut_ptr());
                *value = E::load(rounded.as_ptr());
            }
            transform::weights::<V>(kernel)
        }
    }

    /// Writes the words of a block of outputs and some inputs. `to` is the address at which this
    /// half of the pair begins.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn words<V: Vector>(
        &self,
        output: usize,
        inputs: Range<usize>,
        (normalisation, factors): (V, [V; POINTS]),
        kernels: &mut [Lanes; 9 * MOST_LANES],
        to: *mut f32,
    ) {
        for first_input in inputs.step_by(V::LANES) {
            // SAFETY: by the caller's promise.
            unsafe {
                self.kernels::<V>(output, first_input, kernels);
                for i in (0..V::LANES).step_by(N::CHANNELS) {
                    let points = self.points::<V>(kernels, i, normalisation);
                    let next = if N::CHANNELS == 2 { self.points(kernels, i + 1, normalisation) } else { points };
                    let word = (first_input + i) / N::CHANNELS;
                    let (block, lane) = (word / V::LANES, word % V::LANES);
                    for point in 0..POINTS {
                        let at = (block * POINTS + point) * square(V::LANES) + 2 * lane * V::LANES;
                        N::word([points[point], next[point]], factors[point]).store(to.add(at));
                    }
                }
            }
        }
    }

    /// The sums of the points' squares over some inputs, and the largest squares.
    ///
    /// # Safety
    /// As for the kernel.
    #[inline(always)]
    unsafe fn squares<V: Vector>(
        &self,
        output: usize,
        inputs: Range<usize>,
        normalisation: V,
        kernels: &mut [Lanes; 9 * MOST_LANES],
    ) -> [[V; POINTS]; 2] {
        // SAFETY: by the caller's promise.
        unsafe {
            let mut sums = [V::splat(0.0); POINTS];
            let mut largest = sums;
            for first_input in inputs.step_by(V::LANES) {
                self.kernels::<V>(output, first_input, kernels);
                for i in 0..V::LANES {
                    let points = self.points::<V>(kernels, i, normalisation);
                    for (point, (sum, largest)) in points.into_iter().zip(sums.iter_mut().zip(&mut largest)) {
                        let square = point.mul(point);
                        *sum = sum.add(square);
                        *largest = largest.add(square.sub(*largest).relu());
                    }
                }
            }
            [sums, largest]
        }
    }
}

impl<E: Stored, N: Numbers> Kernel for TransformWeights<E, N> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let mut kernels = [[0f32; MOST_LANES]; 9 * MOST_LANES];
        let input_blocks = self.inputs / V::LANES;
        for (number, pair_of_outputs) in self.pairs.clone().enumerate() {
            for half in 0..2 {
                let first = (2 * pair_of_outputs + half) * V::LANES;
                // SAFETY: by the caller's promise.
                unsafe {
                    let to = self.to.add(number * pair::<N>(input_blocks, V::LANES) + half * V::LANES);
                    let normalisation = self.fold(first..first + V::LANES);
                    let normalisation = V::load(normalisation.as_ptr());
                    for of in 0..N::parts(input_blocks) {
                        let blocks = N::part(input_blocks, of);
                        let inputs = blocks.start * N::CHANNELS * V::LANES..blocks.end * N::CHANNELS * V::LANES;
                        let mut factors = [V::splat(1.0); POINTS];
                        if N::HAS_SCALES {
                            let [squares, largest] = self.squares(first, inputs.clone(), normalisation, &mut kernels);
                            let to = to.add(pair_scales::<N>(input_blocks, V::LANES) + scale(of, 0) * 2 * V::LANES);
                            for (point, factor) in factors.iter_mut().enumerate() {
                                let [of_numbers, back] = kernel_factors(squares[point], largest[point]);
                                *factor = of_numbers;
                                back.store(to.add(point * 2 * V::LANES));
                            }
                        }
                        self.words(first, inputs, (normalisation, factors), &mut kernels, to);
                    }
                }
            }
        }
    }
}
