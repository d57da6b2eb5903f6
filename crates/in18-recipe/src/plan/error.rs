//! Why a recipe makes no plan, and what to change.

use crate::fault::Fault;
use crate::phases::PhaseFault;
use crate::value::quote;

/// Recipes that make no plan. Phases are counted from 1, epochs from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the messages name")]
pub enum PlanError {
    /// A field beside the phases breaks a rule.
    #[error(transparent)]
    Field(#[from] Fault),
    /// A phase breaks a rule of its own.
    #[error("phase {phase}: {fault}")]
    Phase { phase: usize, fault: PhaseFault },
    /// No device.
    #[error("the number of devices: expected at least 1, got 0")]
    NoDevices,
    /// No phase says what to train on.
    #[error("no phase has 'bs': add a data phase such as {{'ep': 0, 'sz': 128, 'bs': 64}}")]
    NoDataPhase,
    /// No phase says a rate.
    #[error("no phase has 'lr': add a rate phase such as {{'ep': (0, 5), 'lr': (0.1, 0.4)}}")]
    NoLrPhase,
    /// The run has no epoch.
    #[error(
        "the run would have no epochs: it ends at the largest 'ep' of the rate phases, which is 0; \
         give the last one a pair, as in 'ep': (0, 5)"
    )]
    NoEpochs,
    /// The first epochs have no data.
    #[error("epoch 0 has no size and batch: the first data phase starts at epoch {first}; start one at 'ep': 0")]
    NoSize { first: f64 },
    /// The first epochs have no rate.
    #[error("epoch 0 has no learning rate: the first rate phase starts at epoch {first}; start one at 'ep': 0")]
    NoRate { first: f64 },
    /// Two data phases start together.
    #[error("phases {first} and {second} both set the data from epoch {epoch} on: keep one, or start one later")]
    SameEpoch { first: usize, second: usize, epoch: f64 },
    /// `keep_dl` with nothing loaded.
    #[error("phase {phase} keeps the data of the epochs before (keep_dl), but there are none: give it 'sz' instead")]
    NothingToKeep { phase: usize },
    /// `keep_dl` beside a value that is not the kept one.
    #[error(
        "phase {phase} keeps the data (keep_dl) with '{key}' {kept}, but asks for {asked}: \
         remove 'keep_dl' to load anew, or '{key}' to keep it"
    )]
    KeptOtherwise { phase: usize, key: &'static str, kept: String, asked: String },
    /// The number of images of a folder was not told.
    #[error("the number of training images with the suffix {} is not known (phase {phase})", quote(train_dir))]
    UnknownSet { phase: usize, train_dir: String },
    /// A folder holds no image.
    #[error(
        "the training set with the suffix {} is empty (phase {phase}): expected at least 1 image",
        quote(train_dir)
    )]
    EmptySet { phase: usize, train_dir: String },
    /// A batch that a device can never fill.
    #[error(
        "phase {phase} (epoch {epoch}): 'bs' {batch} is more than a device's share of the training set: \
         {images} images over {world} device(s) are {share} each; lower 'bs' to {share} or less"
    )]
    BatchTooLarge { phase: usize, epoch: usize, batch: usize, images: usize, world: usize, share: usize },
    /// Batches of one image that are to be mixed.
    #[error(
        "phase {phase}: 'bs': expected at least 2 images a batch, because {field} mixes the images of a batch, got 1"
    )]
    NothingToMix { phase: usize, field: &'static str },
    /// A line that leaves the range of numbers.
    #[error("epoch {epoch}: the learning rate of phase {phase} is not finite there: shorten the line or end it sooner")]
    InfiniteRate { phase: usize, epoch: usize },
    /// Rates are written twice.
    #[error(
        "optimizer.rate: expected no rate in the phases beside it, got 'lr' in phase {phase}: \
         remove one of the two"
    )]
    TwoRates { phase: usize },
    /// Nothing says where the run ends.
    #[error("epochs: expected the length of the run in epochs, which optimizer.rate without 'end' needs, got none")]
    NoLength,
    /// A phase starts before the sizes of the one before have reached their last.
    #[error(
        "phase {phase}: 'sz': expected epochs enough to reach {size} pixels at epoch {reached}, \
         got phase {next} from epoch {epoch} on"
    )]
    CutByPhase { phase: usize, size: usize, reached: f64, next: usize, epoch: f64 },
    /// The run ends before sizes have reached their last.
    #[error(
        "phase {phase}: 'sz': expected epochs enough to reach {size} pixels at epoch {reached}, \
         got a run that ends at epoch {end}"
    )]
    CutByEnd { phase: usize, size: usize, reached: f64, end: f64 },
    /// Other images within an epoch.
    #[error("phase {phase}: 'ep': expected a whole epoch, because '{key}' changes there, got {epoch}")]
    WithinEpoch { phase: usize, key: &'static str, epoch: f64 },
}
