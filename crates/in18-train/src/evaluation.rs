//! What a network says of images: loss and hits for validation, and the probabilities of classes.

use in18_comm::Comm;
use in18_image::flip_horizontal;
use in18_program::{Input, Metrics, Mode, Model, PendingMetrics, Size, Targets};
use in18_recipe::Tta;

use crate::error::TrainError;
use crate::step::finish;

mod two_views;

use two_views::TwoViews;

/// How images are evaluated.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    tta: Tta,
    /// The most programs that the model keeps, if there is a limit. Each size is a program.
    most_programs: Option<usize>,
    sizes: Vec<Size>,
    /// Memory for a batch of mirror images, (N, H, W, 3).
    mirrored: Vec<u8>,
}

/// A batch that was started and whose results have not been read.
#[derive(Debug)]
pub enum StartedEvaluation {
    /// The results may not have arrived.
    Pending(PendingMetrics),
    /// The results are here.
    Done(Metrics),
}

impl Evaluation {
    /// An evaluation with these views of each image.
    pub fn new(tta: Tta) -> Self {
        Evaluation { tta, ..Evaluation::default() }
    }

    /// The same for images of many sizes, one after another. Whenever the model has `most_programs`
    /// programs, it forgets all of them.
    pub fn keeping(self, most_programs: usize) -> Self {
        Evaluation { most_programs: Some(most_programs), ..self }
    }

    /// Starts a batch. Its memory may change as soon as this returns.
    ///
    /// # Errors
    /// [`TrainError::Program`].
    pub fn start(&mut self, model: &mut Model, input: Input<'_>) -> Result<StartedEvaluation, TrainError> {
        let pending = self.start_view(model, input)?;
        Ok(match self.tta {
            Tta::None => StartedEvaluation::Pending(pending),
            Tta::Flip | Tta::FlipLogits => StartedEvaluation::Done(self.both_views(model, input, pending)?),
        })
    }

    /// Waits for the results of a started batch, and returns them. While it waits, it looks for
    /// lost ranks.
    ///
    /// # Errors
    /// [`TrainError::Program`], [`TrainError::Comm`].
    pub fn finish(
        &self,
        model: &mut Model,
        comm: &mut dyn Comm,
        started: StartedEvaluation,
    ) -> Result<Metrics, TrainError> {
        match started {
            StartedEvaluation::Pending(pending) => finish(model, comm, pending),
            StartedEvaluation::Done(metrics) => Ok(metrics),
        }
    }

    /// The probabilities of every class, (N, K), for a batch of (N, H, W, 3) pixels, from one view
    /// of each image. They are the softmax of the logits, in double precision.
    ///
    /// # Errors
    /// [`TrainError::Program`].
    pub fn probabilities(&mut self, model: &mut Model, size: Size, pixels: &[u8]) -> Result<Vec<f64>, TrainError> {
        // Targets matter only to the loss, which is not read here.
        let labels = vec![0; size.batch];
        let pending = self.start_view(model, Input { size, pixels, targets: Targets::of(&labels) })?;
        let logits = logits(model, size, pending)?;
        Ok(logits.chunks(logits.len() / size.batch).flat_map(softmax).collect())
    }

    /// The results of a batch whose first view was started. Logits lie in the memory that all
    /// programs share, so those of one view are read before the next view starts. A device computes
    /// while this thread mirrors pixels, and while it sums up the first view.
    fn both_views(
        &mut self,
        model: &mut Model,
        input: Input<'_>,
        first: PendingMetrics,
    ) -> Result<Metrics, TrainError> {
        let mut mirrored = std::mem::take(&mut self.mirrored);
        mirrored.clear();
        mirrored.extend_from_slice(input.pixels);
        flip_horizontal(&mut mirrored, input.size.width as u32);
        let one = logits(model, input.size, first)?;
        let second = self.start_view(model, Input { pixels: &mirrored, ..input })?;
        self.mirrored = mirrored;
        let views = TwoViews::new(&one, input.targets.labels, self.tta);
        Ok(views.with(&logits(model, input.size, second)?))
    }

    fn start_view(&mut self, model: &mut Model, input: Input<'_>) -> Result<PendingMetrics, TrainError> {
        if let Some(most) = self.most_programs
            && !self.sizes.contains(&input.size)
        {
            if self.sizes.len() == most {
                model.forget_programs();
                self.sizes.clear();
            }
            self.sizes.push(input.size);
        }
        Ok(model.start_evaluation(input)?)
    }
}

/// The logits, (N, K), of a started batch. Waits for them.
fn logits(model: &mut Model, size: Size, pending: PendingMetrics) -> Result<Vec<f32>, TrainError> {
    model.metrics(pending)?;
    Ok(model.logits(Mode::Evaluation, size)?)
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) - f64::from(most)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
