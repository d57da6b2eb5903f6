//! The loss and its gradient. These are only a few thousand numbers, so plain loops are enough.

use in18_kernels::KernelError;
use in18_kernels::op::{CrossEntropy, CrossEntropyBackward, TOP_K};
use in18_tensor::{DType, Tensor};

use super::{Compile, Steps, check};
use crate::context::Context;
use crate::safe::PROVIDER;
use crate::step::LoopStep;

impl Compile for CrossEntropy {
    fn compile(&self, context: &mut Context) -> Steps {
        check(context, &[(&self.logits, DType::F32), (&self.labels, DType::I32), (&self.metrics, DType::F32)])?;
        let op = *self;
        Ok(vec![Box::new(LoopStep("own:cross entropy", move |context: &mut Context| {
            let (mut loss, mut top1, mut top_k) = (0f64, 0f32, 0f32);
            for (logits, label) in rows(context, &op.logits, &op.labels)? {
                let (max, sum) = softmax_terms(logits);
                loss += f64::from(max) + sum.ln() - f64::from(logits[label]);
                let rank = rank(logits, label);
                top1 += f32::from(u8::from(rank < 1));
                top_k += f32::from(u8::from(rank < TOP_K));
            }
            let metrics = context.address(&op.metrics.region)?.cast::<[f32; 3]>();
            // SAFETY: the region was checked to hold three fp32 numbers.
            unsafe { metrics.write_unaligned([loss as f32, top1, top_k]) };
            Ok(())
        }))])
    }
}

impl Compile for CrossEntropyBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        check(context, &[(&self.logits, DType::F32), (&self.labels, DType::I32)])?;
        check(context, &[(&self.scale, DType::F32), (&self.dlogits, DType::F32)])?;
        let op = *self;
        let (images, classes) = (op.logits.shape[0], op.logits.shape[1]);
        Ok(vec![Box::new(LoopStep("own:cross entropy", move |context: &mut Context| {
            let dlogits = context.address(&op.dlogits.region)?.cast::<f32>();
            // SAFETY: the region was checked to hold an fp32 number, and regions are aligned.
            let scale = f64::from(unsafe { context.address(&op.scale.region)?.cast::<f32>().read() });
            for (image, (logits, label)) in rows(context, &op.logits, &op.labels)?.enumerate() {
                let (max, sum) = softmax_terms(logits);
                for (class, &logit) in logits.iter().enumerate() {
                    let probability = f64::from(logit - max).exp() / sum;
                    let target = f64::from(u8::from(class == label));
                    let gradient = (scale * (probability - target) / images as f64) as f32;
                    // SAFETY: the region was checked to hold (N, K) fp32 numbers.
                    unsafe { dlogits.add(image * classes + class).write(gradient) };
                }
            }
            Ok(())
        }))])
    }
}

/// The logits of each image, with its label.
fn rows<'a>(
    context: &'a Context,
    logits: &Tensor,
    labels: &Tensor,
) -> Result<impl Iterator<Item = (&'a [f32], usize)>, KernelError> {
    let (images, classes) = (logits.shape[0], logits.shape[1]);
    let values = context.address(&logits.region)?.cast::<f32>();
    let labels = context.address(&labels.region)?.cast::<i32>();
    // SAFETY: `check` compared both regions with their shapes, and regions are aligned. Nothing
    // writes to them while the borrowed context is alive: the operations' other operands do not
    // overlap them.
    let (values, labels) =
        unsafe { (std::slice::from_raw_parts(values, images * classes), std::slice::from_raw_parts(labels, images)) };
    check_labels(labels, classes)?;
    Ok(values.chunks_exact(classes).zip(labels.iter().map(|&label| label as usize)))
}

/// Whether all labels are numbers of classes.
pub(super) fn check_labels(labels: &[i32], classes: usize) -> Result<(), KernelError> {
    match labels.iter().find(|&&label| label < 0 || label as usize >= classes) {
        None => Ok(()),
        Some(label) => Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("label {label} with {classes} classes"),
            remedy: "labels are numbers of classes, from 0",
        }),
    }
}

/// The greatest logit, and the sum of `exp(logit − greatest)`.
pub(super) fn softmax_terms(logits: &[f32]) -> (f32, f64) {
    // NaN must not be lost, so that a diverged run shows. `f32::max` would drop it.
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max || x.is_nan() { x } else { max });
    (max, logits.iter().map(|&x| f64::from(x - max).exp()).sum())
}

/// The number of classes that rank before the label: classes with a higher logit, or with the same
/// logit and a lower number. A label whose logit is NaN ranks last.
pub(super) fn rank(logits: &[f32], label: usize) -> usize {
    let own = logits[label];
    if own.is_nan() {
        return logits.len();
    }
    logits.iter().enumerate().filter(|&(class, &logit)| logit > own || (logit == own && class < label)).count()
}
