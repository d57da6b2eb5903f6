//! What a network says of images: validation's loss and hits, and the probabilities of classes.

use in18_comm::Comm;
use in18_jpeg::flip_horizontal;
use in18_program::{Input, Metrics, Mode, Model, PendingMetrics, Size};

use crate::error::TrainError;
use crate::step::finish;

/// How often the network looks at an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Views {
    /// Once, as it is.
    #[default]
    Plain,
    /// Also mirrored; the mean of both views' probabilities counts.
    Flip,
}

/// How images are evaluated.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    views: Views,
    /// Programs that are kept, where somebody bounds them: each size is a program.
    most_programs: Option<usize>,
    sizes: Vec<Size>,
}

/// A batch whose results have not been looked at.
#[derive(Debug)]
pub enum StartedEvaluation {
    /// They may not be there yet.
    Pending(PendingMetrics),
    /// They are.
    Done(Metrics),
}

impl Evaluation {
    /// With so many views of an image.
    pub fn new(views: Views) -> Self {
        Evaluation { views, ..Evaluation::default() }
    }

    /// The same, for images of many sizes one after the other: the model forgets its programs whenever there are so many.
    pub fn keeping(self, most_programs: usize) -> Self {
        Evaluation { most_programs: Some(most_programs), ..self }
    }

    /// Starts a batch. Its memory may change as soon as this returns.
    ///
    /// # Errors
    /// [`TrainError::Program`].
    pub fn start(&mut self, model: &mut Model, input: Input<'_>) -> Result<StartedEvaluation, TrainError> {
        Ok(match self.views {
            Views::Plain => StartedEvaluation::Pending(self.start_view(model, input)?),
            Views::Flip => {
                let mut mirrored = input.pixels.to_vec();
                flip_horizontal(&mut mirrored, input.size.width as u32);
                let one = self.probabilities(model, input.size, input.pixels)?;
                let other = self.probabilities(model, input.size, &mirrored)?;
                let mean: Vec<f64> = one.iter().zip(&other).map(|(a, b)| (a + b) / 2.0).collect();
                StartedEvaluation::Done(metrics(&mean, input.targets))
            }
        })
    }

    /// The results of a batch that was started; waits for them, but not for ever for other ranks.
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

    /// The probabilities of every class, (N, K), of a batch of (N, H, W, 3) pixels, one view of each image: the softmax of the
    /// logits in double precision.
    ///
    /// # Errors
    /// [`TrainError::Program`].
    pub fn probabilities(&mut self, model: &mut Model, size: Size, pixels: &[u8]) -> Result<Vec<f64>, TrainError> {
        // The targets only matter to the loss, which nobody asks for here.
        let pending = self.start_view(model, Input { size, pixels, targets: &vec![0; size.batch] })?;
        model.metrics(pending)?;
        let logits = model.logits(Mode::Evaluation, size)?;
        Ok(logits.chunks(logits.len() / size.batch).flat_map(softmax).collect())
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

fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) - f64::from(most)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Loss and hits of probabilities (N, K). An image counts as hit at k if fewer than k classes are more probable than its own.
fn metrics(probabilities: &[f64], targets: &[i32]) -> Metrics {
    let mut metrics = Metrics { images: targets.len(), loss_sum: 0.0, top1: 0, top5: 0 };
    for (row, &target) in probabilities.chunks(probabilities.len() / targets.len()).zip(targets) {
        let own = row[target as usize];
        let better = row.iter().filter(|&&other| other > own).count();
        metrics.loss_sum -= own.ln();
        metrics.top1 += usize::from(better < 1);
        metrics.top5 += usize::from(better < 5);
    }
    metrics
}
