//! Batch normalisation, by loops of our own.
//!
//! All values of a channel are needed for its statistics before any value can be normalised, so the
//! cost is access to memory. A thread runs both passes for one group of channels after another. The
//! second pass goes backwards, and finds in the caches what the first pass left there.
//!
//! Sums are kept for each image and joined in the order of the images, so results do not depend on
//! the number of threads.

mod loops;

use in18_kernels::KernelError;
use in18_kernels::op::{BatchNorm, BatchNormAddRelu, BatchNormBackward, BatchNormInference, BatchNormReluBackward};
use in18_tensor::{DType, Tensor, align_up};

use self::loops::{
    Affine, Centring, Finish, GatherGradients, GatherMoments, Gradient, Moments, Normalise, SourceGradient,
};
use super::{Compile, Steps, check};
use crate::context::Context;
use crate::safe::PROVIDER;
use crate::simd::{Lanes, MOST_LANES, Stored, fence, is_large, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, max_threads, parallel, part};
use crate::vector::Bf16;

impl Compile for BatchNorm {
    fn compile(&self, context: &mut Context) -> Steps {
        let &BatchNorm { epsilon, momentum, src, gamma, beta, dst, .. } = self;
        let &BatchNorm { running_mean, running_variance, mean, inverse_deviation, .. } = self;
        let statistics =
            Statistics { epsilon, momentum, gamma, beta, running_mean, running_variance, mean, inverse_deviation };
        let end = if self.relu { End::Relu } else { End::Nothing };
        let blocks = Blocks::new(context, &src, &[dst])?;
        by_type!(src.dtype, E => training::<E>(src, end, dst, statistics, blocks, context))
    }
}

impl Compile for BatchNormAddRelu {
    fn compile(&self, context: &mut Context) -> Steps {
        let &BatchNormAddRelu { epsilon, momentum, src, addend, gamma, beta, dst, .. } = self;
        let &BatchNormAddRelu { running_mean, running_variance, mean, inverse_deviation, .. } = self;
        let statistics =
            Statistics { epsilon, momentum, gamma, beta, running_mean, running_variance, mean, inverse_deviation };
        let blocks = Blocks::new(context, &src, &[addend, dst])?;
        by_type!(src.dtype, E => training::<E>(src, End::AddRelu(addend), dst, statistics, blocks, context))
    }
}

impl Compile for BatchNormBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        let &BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta } = self;
        let operands = Backward { src, gamma, beta: None, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta };
        let blocks = Blocks::new(context, &src, &[ddst, dsrc])?;
        by_type!(src.dtype, E => gradients::<E>(operands, blocks, context))
    }
}

/// Computes again from the source, as the forward half did, which results ReLU let through. Reading
/// the results would cost more.
impl Compile for BatchNormReluBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        let &BatchNormReluBackward { src, gamma, beta, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta, .. } = self;
        let operands = Backward { src, gamma, beta: Some(beta), ddst, mean, inverse_deviation, dsrc, dgamma, dbeta };
        let blocks = Blocks::new(context, &src, &[ddst, dsrc])?;
        by_type!(src.dtype, E => gradients::<E>(operands, blocks, context))
    }
}

impl Compile for BatchNormInference {
    fn compile(&self, context: &mut Context) -> Steps {
        let blocks = Blocks::new(context, &self.src, &[self.dst])?;
        by_type!(self.src.dtype, E => inference_step::<E>(*self, blocks, context))
    }
}

/// Evaluates an expression with the Rust type of an activation's elements.
macro_rules! by_type {
    ($dtype:expr, $E:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $E = f32;
                $body
            }
            DType::Bf16 => {
                type $E = Bf16;
                $body
            }
            DType::F16 | DType::U8 | DType::I32 => Err(KernelError::Unsupported {
                provider: PROVIDER,
                what: format!("normalisation of {}", $dtype),
                remedy: "this is an error of the caller",
            }),
        }
    };
}
use by_type;

/// How an activation is divided: blocks of as many channels as lie side by side.
#[derive(Clone, Copy)]
struct Blocks {
    images: usize,
    channels: usize,
    blocks: usize,
    /// Pixels of an image.
    pixels: usize,
    /// Channels per block. Some channels of the last block may be padding.
    lanes: usize,
    /// Blocks that are processed together. The blocks of an image lie side by side, so that memory
    /// is read in long runs.
    group: usize,
    /// Whether a result is too large to stay in the caches until it is read again.
    is_large: bool,
}

/// Bytes of one activation that a thread processes together. The same part of a second activation
/// fits beside them in a second-level cache.
const GROUP_BYTES: usize = 384 << 10;

impl Blocks {
    /// The blocks of `src` and of `others`, which are shaped alike. Checks the regions of all of
    /// them.
    fn new(context: &Context, src: &Tensor, others: &[Tensor]) -> Result<Self, KernelError> {
        let bytes = context.layout.activation_bytes(src.shape, src.dtype);
        for tensor in others.iter().chain([src]) {
            check(context, &[(tensor, src.dtype)])?;
            if tensor.region.bytes < bytes {
                let what = "an operand of a normalisation, in bytes";
                return Err(KernelError::Length { what, expected: bytes, got: tensor.region.bytes });
            }
        }
        let (shape, channels) = (src.shape, src.shape[1]);
        let lanes = if context.layout.is_blocked(channels) { context.layout.block } else { 1 };
        let blocks = channels.div_ceil(lanes);
        let (images, pixels) = (shape[0], shape[2] * shape[3]);
        let most = blocks.div_ceil(max_threads());
        let group = (GROUP_BYTES / (images * pixels * lanes * src.dtype.bytes())).clamp(1, most);
        Ok(Blocks { images, channels, blocks, pixels, lanes, group, is_large: is_large(bytes) })
    }

    /// The element at which the pixels of a block of an image begin.
    fn start(&self, block: usize, image: usize) -> usize {
        (image * self.blocks + block) * self.pixels * self.lanes
    }

    /// The number of values of a channel.
    fn count(&self) -> f64 {
        (self.images * self.pixels) as f64
    }

    /// The number of blocks times images.
    fn parts(&self) -> usize {
        self.blocks * self.images
    }

    /// The lanes of a block with their channels, as (lane, channel).
    fn channels(&self, block: usize) -> impl Iterator<Item = (usize, usize)> {
        let first = block * self.lanes;
        (first..self.channels.min(first + self.lanes)).enumerate()
    }

    /// The values of a block's channels; padding gets 0.
    ///
    /// # Safety
    /// `values` must hold one value per channel.
    unsafe fn load(&self, values: Shared<f32>, block: usize) -> Lanes {
        let mut lanes = [0.0; MOST_LANES];
        for (lane, channel) in self.channels(block) {
            // SAFETY: by the caller's promise.
            lanes[lane] = unsafe { values.at(channel).read() };
        }
        lanes
    }

    /// Stores the values of a block's channels.
    ///
    /// # Safety
    /// `values` must hold one value per channel, and no other thread may use those of this block.
    unsafe fn store(&self, values: Shared<f32>, block: usize, lanes: Lanes) {
        for (lane, channel) in self.channels(block) {
            // SAFETY: by the caller's promise.
            unsafe { values.at(channel).write(lanes[lane]) };
        }
    }

    /// Does four things for every block: `prepare`, `gather` for each image, `join` after all
    /// images are gathered, and `apply` for each image.
    fn each(
        &self,
        prepare: impl Fn(usize) + Sync,
        gather: impl Fn(usize, usize) + Sync,
        join: impl Fn(usize) + Sync,
        apply: impl Fn(usize, usize) + Sync,
    ) {
        let &Blocks { blocks, images, group, .. } = self;
        let threads = max_threads();
        let groups = blocks.div_ceil(group);
        if groups.is_multiple_of(threads) || groups >= 4 * threads {
            parallel(|thread, threads| {
                for first in part(groups, 1, thread, threads).map(|number| number * group) {
                    let group = first..blocks.min(first + group);
                    group.clone().for_each(&prepare);
                    (0..images).for_each(|image| group.clone().for_each(|block| gather(block, image)));
                    group.clone().for_each(&join);
                    // Backwards, because the last images are in the caches.
                    (0..images).rev().for_each(|image| group.clone().for_each(|block| apply(block, image)));
                }
                fence();
            });
        } else {
            // There are too few blocks to keep all threads busy. The threads share images, too, and
            // wait for each other.
            let each_block = |act: &(dyn Fn(usize) + Sync)| {
                parallel(|thread, threads| part(blocks, 1, thread, threads).for_each(act));
            };
            let each_part = |act: &(dyn Fn(usize, usize) + Sync)| {
                parallel(|thread, threads| {
                    part(self.parts(), 1, thread, threads).for_each(|part| act(part % blocks, part / blocks));
                    fence();
                });
            };
            each_block(&prepare);
            each_part(&gather);
            each_block(&join);
            each_part(&apply);
        }
    }
}

/// The coefficients of a normalisation, each with one value per channel.
#[derive(Clone, Copy)]
struct Coefficients {
    gamma: Shared<f32>,
    /// `None` means 0.
    beta: Option<Shared<f32>>,
    mean: Shared<f32>,
    spread: Spread,
}

/// How far a channel's values spread.
#[derive(Clone, Copy)]
enum Spread {
    /// 1 / √(variance + epsilon).
    Inverse(Shared<f32>),
    /// The variance, and epsilon.
    Variance(Shared<f32>, f32),
}

impl Spread {
    /// 1 / √(variance + epsilon) of a block's channels.
    ///
    /// # Safety
    /// The spread must hold one value per channel.
    unsafe fn inverse(&self, blocks: &Blocks, block: usize) -> Lanes {
        match *self {
            // SAFETY: by the caller's promise.
            Spread::Inverse(inverse) => unsafe { blocks.load(inverse, block) },
            Spread::Variance(variance, epsilon) => {
                // SAFETY: by the caller's promise.
                unsafe { blocks.load(variance, block) }.map(|variance| (variance + epsilon).sqrt().recip())
            }
        }
    }
}

impl Coefficients {
    /// The coefficients of a block.
    ///
    /// # Safety
    /// Each coefficient must hold one value per channel.
    unsafe fn affine(&self, blocks: &Blocks, block: usize) -> Affine {
        let load = |values| {
            // SAFETY: by the caller's promise.
            unsafe { blocks.load(values, block) }
        };
        // SAFETY: by the caller's promise.
        let (gamma, inverse) = (load(self.gamma), unsafe { self.spread.inverse(blocks, block) });
        let scale = std::array::from_fn(|lane| gamma[lane] * inverse[lane]);
        Affine { mean: load(self.mean), scale, beta: self.beta.map_or([0.0; MOST_LANES], load) }
    }
}

/// The operation after a normalisation with the batch's own statistics.
#[derive(Clone, Copy)]
enum End {
    Nothing,
    Relu,
    AddRelu(Tensor),
}

/// What a normalisation with the batch's own statistics reads, updates and writes beside
/// activations.
#[derive(Clone, Copy)]
struct Statistics {
    epsilon: f32,
    momentum: f32,
    gamma: Tensor,
    beta: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    mean: Tensor,
    inverse_deviation: Tensor,
}

fn training<E: Stored>(
    src: Tensor,
    end: End,
    dst: Tensor,
    statistics: Statistics,
    blocks: Blocks,
    context: &mut Context,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let Statistics { gamma, beta, running_mean, running_variance, mean, inverse_deviation, .. } = statistics;
    let Statistics { epsilon, momentum, .. } = statistics;
    check(context, &[&gamma, &beta, &running_mean, &running_variance, &mean, &inverse_deviation].map(fp32))?;
    let affines_at = align_up(blocks.parts() * size_of::<Moments>());
    context.reserve_scratch(affines_at + blocks.blocks * size_of::<Affine>())?;
    Ok(vec![Box::new(LoopStep("own:batch norm", move |context: &mut Context| {
        let Blocks { images, pixels, lanes, is_large, .. } = blocks;
        let isa = context.isa;
        let source = Shared::<E>::new(context.address(&src.region)?);
        let target = Shared::<E>::new(context.address(&dst.region)?);
        let addend = match end {
            End::AddRelu(addend) => Some(Shared::<E>::new(context.address(&addend.region)?)),
            End::Relu | End::Nothing => None,
        };
        let [gamma, beta, mean, inverse] = values(context, [&gamma, &beta, &mean, &inverse_deviation])?;
        let coefficients = Coefficients { gamma, beta: Some(beta), mean, spread: Spread::Inverse(inverse) };
        let [old_mean, old_variance] = values(context, [&running_mean, &running_variance])?;
        let moments = Shared::<Moments>::new(context.scratch.start());
        // SAFETY: reserved when the step was made, like everything that `moments` and `affines`
        // hold.
        let affines = Shared::<Affine>::new(unsafe { context.scratch.start().add(affines_at) });
        blocks.each(
            |_| (),
            |block, image| {
                // SAFETY: here and below, `Blocks::new` and `check` compared the shapes with the
                // regions. `each` passes each block and image to each closure once, after
                // everything that the closure reads has been written.
                unsafe {
                    let src = source.at(blocks.start(block, image)).cast_const();
                    let result = &mut *moments.at(block * images + image);
                    run(isa, lanes, GatherMoments { src, pixels, result });
                }
            },
            |block| {
                // SAFETY: as above.
                unsafe {
                    let parts = std::slice::from_raw_parts(moments.at(block * images), images);
                    let (means, variances) = joined(parts, pixels);
                    blocks.store(mean, block, means);
                    let deviation = |variance: f32| (f64::from(variance) + f64::from(epsilon)).sqrt();
                    blocks.store(inverse, block, variances.map(|variance| deviation(variance).recip() as f32));
                    affines.at(block).write(coefficients.affine(&blocks, block));
                    let count = blocks.count() as f32;
                    let unbias = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
                    for (running, new, correction) in [(old_mean, means, 1.0), (old_variance, variances, unbias)] {
                        let old = blocks.load(running, block);
                        blocks.store(running, block, moved(old, new.map(|new| correction * new), momentum));
                    }
                }
            },
            |block, image| {
                let start = blocks.start(block, image);
                // SAFETY: as above.
                unsafe {
                    let (src, dst) = (source.at(start).cast_const(), target.at(start));
                    let finish = match (end, addend) {
                        (End::Nothing, _) => Finish::Nothing,
                        (_, None) => Finish::Relu,
                        (_, Some(addend)) => Finish::AddRelu(addend.at(start).cast_const()),
                    };
                    run(isa, lanes, Normalise { src, dst, pixels, affine: &*affines.at(block), finish, is_large });
                }
            },
        );
        // Copies of weights with a normalisation by these statistics folded in are now out of date.
        context.block_mut(running_mean.region.arena)?.generation += 1;
        Ok(())
    }))])
}

/// The operands of both backward halves.
#[derive(Clone, Copy)]
struct Backward {
    src: Tensor,
    gamma: Tensor,
    /// If present, ReLU's gradient comes before the normalisation's.
    beta: Option<Tensor>,
    ddst: Tensor,
    mean: Tensor,
    inverse_deviation: Tensor,
    dsrc: Tensor,
    dgamma: Tensor,
    dbeta: Tensor,
}

fn gradients<E: Stored>(
    op: Backward,
    blocks: Blocks,
    context: &mut Context,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    check(context, &[&op.gamma, &op.mean, &op.inverse_deviation, &op.dgamma, &op.dbeta].map(fp32))?;
    check(context, &op.beta.as_ref().map(fp32).into_iter().collect::<Vec<_>>())?;
    let affines_at = align_up(blocks.parts() * size_of::<[Lanes; 2]>());
    let centrings_at = affines_at + align_up(blocks.blocks * size_of::<Affine>());
    context.reserve_scratch(centrings_at + blocks.blocks * size_of::<Centring>())?;
    Ok(vec![Box::new(LoopStep("own:batch norm", move |context: &mut Context| {
        let Blocks { images, pixels, lanes, is_large, .. } = blocks;
        let (isa, relu) = (context.isa, op.beta.is_some());
        let [gamma, mean, inverse] = values(context, [&op.gamma, &op.mean, &op.inverse_deviation])?;
        let beta = op.beta.map(|beta| values(context, [&beta])).transpose()?.map(|[beta]| beta);
        let coefficients = Coefficients { gamma, beta, mean, spread: Spread::Inverse(inverse) };
        let [dgamma, dbeta] = values(context, [&op.dgamma, &op.dbeta])?;
        let src = Shared::<E>::new(context.address(&op.src.region)?);
        let ddst = Shared::<E>::new(context.address(&op.ddst.region)?);
        let dsrc = Shared::<E>::new(context.address(&op.dsrc.region)?);
        let sums = Shared::<[Lanes; 2]>::new(context.scratch.start());
        // SAFETY: reserved when the step was made, like everything that these three hold.
        let affines = Shared::<Affine>::new(unsafe { context.scratch.start().add(affines_at) });
        // SAFETY: as above.
        let centrings = Shared::<Centring>::new(unsafe { context.scratch.start().add(centrings_at) });
        blocks.each(
            |block| {
                // SAFETY: here and below as in `training`.
                unsafe { affines.at(block).write(coefficients.affine(&blocks, block)) }
            },
            |block, image| {
                let start = blocks.start(block, image);
                // SAFETY: as above.
                unsafe {
                    let (src, ddst, affine) =
                        (src.at(start).cast_const(), ddst.at(start).cast_const(), &*affines.at(block));
                    let result = &mut *sums.at(block * images + image);
                    run(isa, lanes, GatherGradients { of: Gradient { src, ddst, pixels, affine, relu }, result });
                }
            },
            |block| {
                // SAFETY: as above.
                unsafe {
                    let parts = std::slice::from_raw_parts(sums.at(block * images), images);
                    let inverse = coefficients.spread.inverse(&blocks, block);
                    let (gradients, centring) = joined_gradients(parts, inverse, lanes, blocks.count());
                    blocks.store(dbeta, block, gradients[0]);
                    blocks.store(dgamma, block, gradients[1]);
                    centrings.at(block).write(centring);
                }
            },
            |block, image| {
                let start = blocks.start(block, image);
                // SAFETY: as above.
                unsafe {
                    let (src, ddst, dsrc) = (src.at(start).cast_const(), ddst.at(start).cast_const(), dsrc.at(start));
                    let (affine, centring) = (&*affines.at(block), &*centrings.at(block));
                    run(
                        isa,
                        lanes,
                        SourceGradient { of: Gradient { src, ddst, pixels, affine, relu }, centring, dsrc, is_large },
                    );
                }
            },
        );
        Ok(())
    }))])
}

/// Running statistics after a step: the old ones, moved towards the new ones.
fn moved(old: Lanes, new: Lanes, momentum: f32) -> Lanes {
    std::array::from_fn(|lane| (1.0 - momentum) * old[lane] + momentum * new[lane])
}

/// The gradients of beta and gamma of a block's channels, and what centres its source's gradient:
/// from each image's sums of gradients and of their products with the centred source, from the
/// inverse deviations, and from the number of values per channel.
fn joined_gradients(parts: &[[Lanes; 2]], inverse: Lanes, lanes: usize, count: f64) -> ([Lanes; 2], Centring) {
    let total = |sum: usize, lane: usize| parts.iter().map(|part| f64::from(part[sum][lane])).sum::<f64>();
    let inverse = inverse.map(f64::from);
    let (mut dgammas, mut dbetas) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
    let mut centring = Centring { mean_gradient: dbetas, slope: dgammas };
    for lane in 0..lanes {
        let (gradients, products) = (total(0, lane), total(1, lane));
        dbetas[lane] = gradients as f32;
        dgammas[lane] = (products * inverse[lane]) as f32;
        centring.mean_gradient[lane] = (gradients / count) as f32;
        centring.slope[lane] = (products * inverse[lane].powi(2) / count) as f32;
    }
    ([dbetas, dgammas], centring)
}

fn inference_step<E: Stored>(
    op: BatchNormInference,
    blocks: Blocks,
    context: &mut Context,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let parameters = [op.gamma, op.beta, op.running_mean, op.running_variance];
    check(context, &parameters.each_ref().map(fp32))?;
    context.reserve_scratch(blocks.blocks * size_of::<Affine>())?;
    Ok(vec![Box::new(LoopStep("own:batch norm", move |context: &mut Context| {
        let Blocks { pixels, lanes, is_large, .. } = blocks;
        let isa = context.isa;
        let [gamma, beta, mean, variance] = values(context, parameters.each_ref())?;
        let spread = Spread::Variance(variance, op.epsilon);
        let coefficients = Coefficients { gamma, beta: Some(beta), mean, spread };
        let src = Shared::<E>::new(context.address(&op.src.region)?);
        let dst = Shared::<E>::new(context.address(&op.dst.region)?);
        let affines = Shared::<Affine>::new(context.scratch.start());
        blocks.each(
            |block| {
                // SAFETY: here and below as in `training`.
                unsafe { affines.at(block).write(coefficients.affine(&blocks, block)) }
            },
            |_, _| (),
            |_| (),
            |block, image| {
                let start = blocks.start(block, image);
                // SAFETY: as above.
                unsafe {
                    let (src, dst, affine) = (src.at(start).cast_const(), dst.at(start), &*affines.at(block));
                    let finish = if op.relu { Finish::Relu } else { Finish::Nothing };
                    run(isa, lanes, Normalise { src, dst, pixels, affine, finish, is_large });
                }
            },
        );
        Ok(())
    }))])
}

/// Mean and biased variance over images of `pixels` pixels each (Chan, Golub and LeVeque, *Updating
/// Formulae and a Pairwise Algorithm for Computing Sample Variances*, 1979).
fn joined(images: &[Moments], pixels: usize) -> (Lanes, Lanes) {
    let (count, pixels) = ((images.len() * pixels) as f64, pixels as f64);
    let (mut means, mut variances) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
    for lane in 0..MOST_LANES {
        let mean_of = |image: &Moments| f64::from(image.pivot[lane]) + f64::from(image.sum[lane]) / pixels;
        let mean = images.iter().map(mean_of).sum::<f64>() / images.len() as f64;
        let deviations = images.iter().map(|image| {
            let within = f64::from(image.squares[lane]) - f64::from(image.sum[lane]).powi(2) / pixels;
            within.max(0.0) + pixels * (mean_of(image) - mean).powi(2)
        });
        (means[lane], variances[lane]) = (mean as f32, (deviations.sum::<f64>() / count) as f32);
    }
    (means, variances)
}

/// The addresses of the values of fp32 tensors.
fn values<const K: usize>(context: &Context, tensors: [&Tensor; K]) -> Result<[Shared<f32>; K], KernelError> {
    let mut places = [Shared::new(std::ptr::null_mut()); K];
    for (place, tensor) in places.iter_mut().zip(tensors) {
        *place = Shared::new(context.address(&tensor.region)?);
    }
    Ok(places)
}

fn fp32(tensor: &Tensor) -> (&Tensor, DType) {
    (tensor, DType::F32)
}
