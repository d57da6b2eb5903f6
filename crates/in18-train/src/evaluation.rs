//! What a network says of images: loss and hits for validation, and the probabilities of classes.

use in18_comm::Comm;
use in18_image::flip_horizontal;
use in18_program::{Input, Metrics, Mode, Model, PendingMetrics, Size, Targets};

use crate::error::TrainError;
use crate::step::finish;

/// The views of an image that the network sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Views {
    /// One view: the image as it is.
    #[default]
    Plain,
    /// Two views: the image and its mirror image. The mean of both views' probabilities counts.
    Flip,
}

/// How images are evaluated.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    views: Views,
    /// The most programs that the model keeps, if there is a limit. Each size is a program.
    most_programs: Option<usize>,
    sizes: Vec<Size>,
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
    pub fn new(views: Views) -> Self {
        Evaluation { views, ..Evaluation::default() }
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
        Ok(match self.views {
            Views::Plain => StartedEvaluation::Pending(self.start_view(model, input)?),
            Views::Flip => {
                let mut mirrored = input.pixels.to_vec();
                flip_horizontal(&mut mirrored, input.size.width as u32);
                let one = self.probabilities(model, input.size, input.pixels)?;
                let other = self.probabilities(model, input.size, &mirrored)?;
                let mean: Vec<f64> = one.iter().zip(&other).map(|(a, b)| (a + b) / 2.0).collect();
                StartedEvaluation::Done(metrics(&mean, input.targets.labels))
            }
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

/// Loss and hits from probabilities (N, K). An image is a hit at k if fewer than k classes are more
/// probable than its own.
fn metrics(probabilities: &[f64], labels: &[i32]) -> Metrics {
    let mut metrics = Metrics { images: labels.len(), loss_sum: 0.0, top1: 0, top5: 0 };
    for (row, &label) in probabilities.chunks(probabilities.len() / labels.len()).zip(labels) {
        let own = row[label as usize];
        let better = row.iter().filter(|&&other| other > own).count();
        metrics.loss_sum -= own.ln();
        metrics.top1 += usize::from(better < 1);
        metrics.top5 += usize::from(better < 5);
    }
    metrics
}
