//! What training makes small: which operations end the forward half and begin the backward half,
//! and what they read beside the logits.

use in18_kernels::Kernels;
use in18_kernels::op::{self, METRICS, MIXED};
use in18_tensor::{DType, Format, Shape, Tensor};

use crate::error::ProgramError;
use crate::lower::{Lowering, ValueId};
use crate::model::{MixedIn, Mode, Targets};

/// A loss over a batch: the mean over its images. An evaluation always reports the cross entropy of
/// hard labels, so that it can be compared.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Loss {
    /// Whether each class is a question of its own (binary cross entropy, summed over the classes)
    /// instead of one of a choice (cross entropy).
    pub binary: bool,
    /// The share of a target that all classes have equally: from 0 to 1 (1 excluded).
    pub smoothing: f32,
    /// How much each class counts, by label. Empty: all count alike.
    pub class_weights: Vec<f32>,
    /// Whether images are mixed in training, so that each may have two classes.
    pub mixed: bool,
}

/// The values, or in a placed program the tensors, that a loss reads and writes beside the logits.
/// The caller writes and reads them.
#[derive(Clone, Copy, Debug)]
pub struct LossTensors<T = Tensor> {
    /// (N) i32; (N, [`MIXED`]) i32 where there are `soft` ones.
    labels: T,
    /// (1) fp32: what the loss's gradient is multiplied with.
    scale: T,
    /// Shares, (N, [`MIXED`]) fp32, and weights, (K) fp32.
    soft: Option<[T; 2]>,
    /// ([`METRICS`]) fp32.
    pub metrics: T,
}

impl Loss {
    /// The loss of a network that guesses: ln K of K classes, or K ln 2 of K questions.
    pub fn of_guessing(&self, classes: usize) -> f64 {
        let classes = classes.max(2) as f64;
        if self.binary { classes * 2f64.ln() } else { classes.ln() }
    }

    /// Whether each image has one class, and all classes count alike.
    fn is_hard(&self) -> bool {
        !self.binary && self.smoothing == 0.0 && self.class_weights.is_empty() && !self.mixed
    }

    /// What the loss reads and writes beside these logits.
    ///
    /// # Errors
    /// [`ProgramError::Length`] if the loss has weights of another number of classes.
    pub(crate) fn values(
        &self,
        lowering: &mut Lowering<'_>,
        logits: ValueId,
    ) -> Result<LossTensors<ValueId>, ProgramError> {
        let (mode, shape) = (lowering.mode(), lowering.shape(logits));
        let (images, classes) = (shape[0], shape[1]);
        let got = self.class_weights.len();
        if got != 0 && got != classes {
            return Err(ProgramError::Length { name: "weights of the classes".to_owned(), expected: classes, got });
        }
        let mut value = |extents: &[usize], dtype| lowering.pinned(Shape::new(extents), dtype, Format::Plain);
        let soft = mode == Mode::Training && !self.is_hard();
        let labels = if soft { value(&[images, MIXED], DType::I32) } else { value(&[images], DType::I32) };
        let scale = value(&[1], DType::F32);
        let soft = soft.then(|| [value(&[images, MIXED], DType::F32), value(&[classes], DType::F32)]);
        Ok(LossTensors { labels, scale, soft, metrics: value(&[METRICS], DType::F32) })
    }

    /// Emits the loss and the counts of correct guesses.
    pub(crate) fn forward(&self, lowering: &mut Lowering<'_>, logits: ValueId, values: &LossTensors<ValueId>) {
        let &LossTensors { labels, metrics, .. } = values;
        let &Loss { binary, smoothing, .. } = self;
        match values.soft {
            None => lowering.emit(op::CrossEntropy { logits, labels, metrics }),
            Some([shares, weights]) => {
                lowering.emit(op::SoftLoss { binary, smoothing, logits, labels, shares, weights, metrics });
            }
        }
    }

    /// Emits the gradient of the mean loss, times its scale, with respect to the logits.
    pub(crate) fn backward(
        &self,
        lowering: &mut Lowering<'_>,
        logits: ValueId,
        values: &LossTensors<ValueId>,
    ) -> ValueId {
        let dlogits = lowering.plain(lowering.shape(logits));
        let &LossTensors { labels, scale, .. } = values;
        let &Loss { binary, smoothing, .. } = self;
        match values.soft {
            None => lowering.emit(op::CrossEntropyBackward { logits, labels, scale, dlogits }),
            Some([shares, weights]) => lowering.emit(op::SoftLossBackward {
                binary,
                smoothing,
                logits,
                labels,
                shares,
                weights,
                scale,
                dlogits,
            }),
        }
        dlogits
    }

    /// Writes what the operations read: each image's classes with their shares, and the loss's
    /// scale. `bytes` is memory to be used again.
    ///
    /// # Errors
    /// [`ProgramError::Mixed`] if images have two classes, but may have only one.
    pub(crate) fn write(
        &self,
        kernels: &mut dyn Kernels,
        tensors: &LossTensors,
        targets: &Targets<'_>,
        scale: f32,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ProgramError> {
        kernels.write(tensors.scale.region, &scale.to_ne_bytes())?;
        let &Targets { labels, mixed_in } = targets;
        let Some([shares, weights]) = tensors.soft else {
            if mixed_in.is_some() {
                return Err(ProgramError::Mixed);
            }
            collect(bytes, labels.iter().map(|label| label.to_ne_bytes()));
            return Ok(kernels.write(tensors.labels.region, bytes)?);
        };
        // Where nothing is mixed in, the whole image has its own label.
        let MixedIn { labels: others, share } = mixed_in.unwrap_or(MixedIn { labels, share: 1.0 });
        let pairs = labels.iter().zip(others).flat_map(|(&label, &other)| -> [i32; MIXED] { [label, other] });
        collect(bytes, pairs.map(i32::to_ne_bytes));
        kernels.write(tensors.labels.region, bytes)?;
        let pair: [f32; MIXED] = [share, 1.0 - share];
        collect(bytes, labels.iter().flat_map(|_| pair).map(f32::to_ne_bytes));
        kernels.write(shares.region, bytes)?;
        match self.class_weights.is_empty() {
            true => collect(bytes, std::iter::repeat_n(1f32, weights.shape.elements()).map(f32::to_ne_bytes)),
            false => collect(bytes, self.class_weights.iter().map(|weight| weight.to_ne_bytes())),
        }
        Ok(kernels.write(weights.region, bytes)?)
    }
}

/// Replaces what `bytes` holds by these numbers.
fn collect(bytes: &mut Vec<u8>, numbers: impl Iterator<Item = [u8; 4]>) {
    bytes.clear();
    bytes.extend(numbers.flatten());
}

impl<T: Copy> LossTensors<T> {
    /// The same with other operands.
    pub(crate) fn map<U>(&self, place: impl Fn(T) -> U) -> LossTensors<U> {
        LossTensors {
            labels: place(self.labels),
            scale: place(self.scale),
            soft: self.soft.map(|both| both.map(&place)),
            metrics: place(self.metrics),
        }
    }
}
