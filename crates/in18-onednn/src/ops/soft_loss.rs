//! Losses of soft targets, with their gradients.

use in18_kernels::KernelError;
use in18_kernels::op::{MIXED, SoftLoss, SoftLossBackward, TOP_K};
use in18_tensor::{DType, Tensor};

use super::cross_entropy::{check_labels, rank, softmax_terms};
use super::{Compile, Steps, check};
use crate::context::Context;
use crate::step::LoopStep;

impl Compile for SoftLoss {
    fn compile(&self, context: &mut Context) -> Steps {
        let inputs = Inputs::new(context, self.smoothing, [&self.logits, &self.labels, &self.shares, &self.weights])?;
        check(context, &[(&self.metrics, DType::F32)])?;
        let (binary, metrics) = (self.binary, self.metrics.region);
        Ok(vec![Box::new(LoopStep("own:soft loss", move |context: &mut Context| {
            let (mut loss, mut top1, mut top_k) = (0f64, 0f32, 0f32);
            inputs.each(context, |_, image, weights| {
                let (max, sum) = softmax_terms(image.logits);
                let log_sum = f64::from(max) + sum.ln();
                for (class, (&z, &weight)) in image.logits.iter().zip(weights).enumerate() {
                    let (z, target) = (f64::from(z), image.target(class));
                    let term = if binary { image.total * softplus(z) - target * z } else { target * (log_sum - z) };
                    loss += f64::from(weight) * term;
                }
                let rank = rank(image.logits, image.labels[0]);
                top1 += f32::from(u8::from(rank < 1));
                top_k += f32::from(u8::from(rank < TOP_K));
            })?;
            let metrics = context.address(&metrics)?.cast::<[f32; 3]>();
            // SAFETY: the region was checked to hold three fp32 numbers.
            unsafe { metrics.write_unaligned([loss as f32, top1, top_k]) };
            Ok(())
        }))])
    }
}

impl Compile for SoftLossBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        let inputs = Inputs::new(context, self.smoothing, [&self.logits, &self.labels, &self.shares, &self.weights])?;
        check(context, &[(&self.scale, DType::F32), (&self.dlogits, DType::F32)])?;
        let (binary, scale, dlogits) = (self.binary, self.scale.region, self.dlogits.region);
        Ok(vec![Box::new(LoopStep("own:soft loss", move |context: &mut Context| {
            // SAFETY: the region was checked to hold an fp32 number, and regions are aligned.
            let scale = f64::from(unsafe { context.address(&scale)?.cast::<f32>().read() }) / inputs.images as f64;
            let dlogits = context.address(&dlogits)?.cast::<f32>();
            inputs.each(context, |number, image, weights| {
                let (max, sum) = softmax_terms(image.logits);
                let weighted = |class: usize| f64::from(weights[class]) * image.target(class);
                let whole: f64 = (0..weights.len()).map(weighted).sum();
                for (class, &z) in image.logits.iter().enumerate() {
                    let gradient = match binary {
                        true => {
                            let sigmoid = 1.0 / (1.0 + (-f64::from(z)).exp());
                            f64::from(weights[class]) * (image.total * sigmoid - image.target(class))
                        }
                        false => f64::from(z - max).exp() / sum * whole - weighted(class),
                    };
                    // SAFETY: the region was checked to hold (N, K) fp32 numbers.
                    unsafe { dlogits.add(number * weights.len() + class).write((scale * gradient) as f32) };
                }
            })
        }))])
    }
}

/// What both halves read.
struct Inputs {
    images: usize,
    classes: usize,
    smoothing: f64,
    /// (N, K), (N, [`MIXED`]), (N, [`MIXED`]), (K).
    tensors: [Tensor; 4],
}

/// One image of the batch.
struct Image<'a> {
    logits: &'a [f32],
    labels: [usize; MIXED],
    /// `(1 − smoothing) · shares`.
    shares: [f64; MIXED],
    /// How much the image counts: the sum of its shares.
    total: f64,
    /// The share of each class.
    smoothed: f64,
}

impl Image<'_> {
    fn target(&self, class: usize) -> f64 {
        let labels = self.labels.iter().zip(self.shares);
        labels.fold(self.smoothed, |sum, (&label, share)| if label == class { sum + share } else { sum })
    }
}

impl Inputs {
    fn new(context: &Context, smoothing: f32, tensors: [&Tensor; 4]) -> Result<Self, KernelError> {
        let [logits, labels, shares, weights] = tensors;
        check(context, &[(logits, DType::F32), (labels, DType::I32), (shares, DType::F32), (weights, DType::F32)])?;
        let (images, classes) = (logits.shape[0], logits.shape[1]);
        Ok(Inputs { images, classes, smoothing: f64::from(smoothing), tensors: tensors.map(|tensor| *tensor) })
    }

    /// Calls `each` with the number of each image, the image, and the weights of the classes.
    fn each(&self, context: &Context, mut each: impl FnMut(usize, &Image<'_>, &[f32])) -> Result<(), KernelError> {
        let &Inputs { images, classes, smoothing, ref tensors } = self;
        let [logits, labels, shares, weights] = tensors.each_ref().map(|tensor| context.address(&tensor.region));
        // SAFETY: `check` compared the regions with their shapes, and regions are aligned. Nothing
        // writes to them while the borrowed context is alive: the operations' other operands do not
        // overlap them.
        let (logits, labels, shares, weights) = unsafe {
            (
                std::slice::from_raw_parts(logits?.cast::<f32>(), images * classes),
                std::slice::from_raw_parts(labels?.cast::<i32>(), images * MIXED),
                std::slice::from_raw_parts(shares?.cast::<f32>(), images * MIXED),
                std::slice::from_raw_parts(weights?.cast::<f32>(), classes),
            )
        };
        check_labels(labels, classes)?;
        let rows = logits.chunks_exact(classes).zip(labels.chunks_exact(MIXED).zip(shares.chunks_exact(MIXED)));
        for (number, (logits, (labels, shares))) in rows.enumerate() {
            let shares: [f64; MIXED] = std::array::from_fn(|i| f64::from(shares[i]));
            let total: f64 = shares.iter().sum();
            let image = Image {
                logits,
                labels: std::array::from_fn(|i| labels[i] as usize),
                shares: shares.map(|share| (1.0 - smoothing) * share),
                total,
                smoothed: smoothing * total / classes as f64,
            };
            each(number, &image, weights);
        }
        Ok(())
    }
}

/// `log(1 + exp(z))`, without an overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}
