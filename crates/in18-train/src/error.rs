//! Why a run ended before its end.

use std::io;
use std::path::PathBuf;

use in18_program::ProgramError;
use in18_weights::plain;
use thiserror::Error;

/// An error of the training loop. One line each.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Something is wrong with the images' folders.
    #[error(transparent)]
    Data(#[from] in18_dataset::Error),
    /// An image could not be loaded.
    #[error(transparent)]
    Load(#[from] in18_loader::LoadError),
    /// More images cannot be loaded than a few bad files explain.
    #[error(
        "{set}: expected at most 1 % of {images} images that cannot be loaded, got {count} so far: {names}; mend or \
         remove them (event.log says what is wrong with each)"
    )]
    TooManyBad {
        /// The set's folder.
        set: PathBuf,
        /// Images of the set.
        images: usize,
        /// How many could not be loaded.
        count: usize,
        /// The first of them, and the number of the others.
        names: String,
    },
    /// The images do not make an epoch.
    #[error(transparent)]
    Batches(#[from] in18_loader::PlanError),
    /// The schedule does not hold together, or does not fit the images.
    #[error(transparent)]
    Plan(#[from] in18_recipe::PlanError),
    /// The network could not be compiled or run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The loss is NaN, infinite, or far above that of guessing.
    #[error(
        "the training loss became {loss} at epoch {epoch}, step {step} of {steps}, at learning rate {rate}: lower \
         'lr' in the phases around this epoch, or warm up over more epochs; {kept}"
    )]
    NotFinite {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1.
        step: usize,
        /// The number of the epoch's steps.
        steps: usize,
        /// The batch's mean loss.
        loss: f64,
        /// The learning rate at that step.
        rate: f64,
        /// The last whole checkpoint, in words.
        kept: String,
    },
    /// The loss on validation images is not finite: the epoch's last update broke the network.
    #[error(
        "the validation loss became {loss} after epoch {epoch}, which ended at learning rate {rate}: lower 'lr' in the \
         phases around this epoch, or warm up over more epochs; {kept}"
    )]
    ValidationNotFinite {
        /// Counted from 0.
        epoch: usize,
        /// The mean loss.
        loss: f64,
        /// The learning rate at the epoch's last step.
        rate: f64,
        /// The last whole checkpoint, in words.
        kept: String,
    },
    /// An update left parameters that are not finite. No checkpoint is made of them.
    #[error(
        "the parameters are not finite any more at epoch {epoch} after step {step}: lower 'lr' in the phases around \
         this epoch, or warm up over more epochs; {kept}"
    )]
    StateNotFinite {
        /// Counted from 0.
        epoch: usize,
        /// The number of the epoch's steps that were done.
        step: usize,
        /// The last whole checkpoint, in words.
        kept: String,
    },
    /// Gradients overflow even with the smallest loss scale.
    #[error(
        "the gradients are not finite at epoch {epoch}, step {step}, however small the loss's scale: lower 'lr' in the phases \
         around this epoch, or use --precision bf16; {kept}"
    )]
    Overflow {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1.
        step: usize,
        /// The last whole checkpoint, in words.
        kept: String,
    },
    /// A phase needs more memory than there is.
    #[error("epoch {epoch}, {half} in batches of {batch}: {cause}: lower {}", half.remedy())]
    Memory {
        /// Counted from 0.
        epoch: usize,
        /// Which half of the epoch.
        half: Half,
        /// Images of a batch.
        batch: usize,
        /// How much memory is missing and, where that is known, what would fit.
        cause: ProgramError,
    },
    /// The exchange with other ranks failed.
    #[error(transparent)]
    Comm(#[from] in18_comm::CommError),
    /// A signal ended the run. The run saved a checkpoint first.
    #[error("stopped by {} at epoch {epoch} after step {step}: {} is whole; --resume auto goes on from there",
        signal_name(*signal), checkpoint.display())]
    Interrupted {
        /// The signal's number.
        signal: i32,
        /// Counted from 0.
        epoch: usize,
        /// The number of the epoch's steps that were done.
        step: usize,
        /// The checkpoint that was saved.
        checkpoint: PathBuf,
    },
    /// A checkpoint could not be read, or is one of another run.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file could not be written.
    #[error("{path}: expected to write it, got: {cause}; choose another folder with --logdir, or make room")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The network could not be saved.
    #[error(transparent)]
    Weights(#[from] in18_weights::WeightsError),
}

/// Why a run cannot be continued from a file. One line each.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system refuses to read the file.
    #[error("{path}: expected to read a checkpoint, got: {cause}; check --resume")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Some byte of the file is not as it was written.
    #[error("{path}: expected a whole checkpoint, got a damaged one ({}); give --resume an earlier one, or auto",
        plain(.reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is whole, but it is no checkpoint.
    #[error("{path}: expected a checkpoint, got {}; --resume takes files of a run's folder `checkpoints`", plain(.got))]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
        /// What it is.
        got: String,
    },
    /// The file has another version of the format.
    #[error(
        "{path}: expected a checkpoint of version {}, got version {got}: use the program that wrote it",
        crate::checkpoint::VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        got: u64,
    },
    /// The checkpoint is of another network.
    #[error("{path}: expected {expected}, got {}; use the --arch and the data that the checkpoint was made with", plain(.got))]
    Network {
        /// The file.
        path: PathBuf,
        /// The first tensor that differs.
        expected: String,
        /// What the file has.
        got: String,
    },
    /// The checkpoint is of another run.
    #[error("{path}: expected the run that it was made by, but {}; --resume-anyway goes on all the same", plain(.differences))]
    Differs {
        /// The file.
        path: PathBuf,
        /// What differs, in words.
        differences: String,
    },
    /// The checkpoint stands at a place that the plan does not have.
    #[error("{path}: expected an epoch within the plan's {epochs}, got epoch {got}; add epochs to the phases")]
    Beyond {
        /// The file.
        path: PathBuf,
        /// The number of the plan's epochs.
        epochs: usize,
        /// The checkpoint's epoch.
        got: usize,
    },
    /// There are checkpoints, but none of them is whole.
    #[error("{folder}: expected a whole checkpoint, got {count} damaged ones, the newest: {newest}")]
    NoneWhole {
        /// Their folder.
        folder: PathBuf,
        /// How many there are.
        count: usize,
        /// What is wrong with the newest.
        newest: String,
    },
}

fn signal_name(signal: i32) -> String {
    match signal {
        2 => "SIGINT".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

/// Half of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Training.
    Training,
    /// Validation.
    Validation,
}

impl Half {
    /// What to lower if there is not enough memory.
    fn remedy(self) -> &'static str {
        match self {
            Half::Training => "'bs' of its phase, or its size",
            Half::Validation => {
                "'sz' of its phase or evaluate.size, or 'bs' where that is more than the 128, 256 or 512 images that a validation takes at once"
            }
        }
    }
}

impl std::fmt::Display for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Half::Training => "training",
            Half::Validation => "validation",
        })
    }
}

impl TrainError {
    /// Adds to an error about memory in which half of which epoch it came.
    pub(crate) fn in_half(self, epoch: usize, half: Half, batch: usize) -> Self {
        match self {
            TrainError::Program(cause) if cause.is_about_memory() => TrainError::Memory { epoch, half, batch, cause },
            other => other,
        }
    }
}
