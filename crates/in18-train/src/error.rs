//! Why a run ended before its end.

use std::io;
use std::path::PathBuf;

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
    /// The images do not make an epoch.
    #[error(transparent)]
    Batches(#[from] in18_loader::PlanError),
    /// The schedule does not hold together, or does not fit the images.
    #[error(transparent)]
    Plan(#[from] in18_recipe::PlanError),
    /// The network could not be compiled or run.
    #[error(transparent)]
    Program(#[from] in18_program::ProgramError),
    /// The loss is not a number any more.
    #[error(
        "the training loss became {loss} at epoch {epoch}, step {step} of {steps}, at learning rate {rate}: lower \
         'lr' in the phases around this epoch, or warm up over more epochs"
    )]
    NotFinite {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1.
        step: usize,
        /// Of the epoch.
        steps: usize,
        /// The batch's mean loss.
        loss: f64,
        /// In force at the step.
        rate: f64,
    },
    /// The network gives nonsense on validation images: the epoch's last update broke it.
    #[error(
        "the validation loss became {loss} after epoch {epoch}, which ended at learning rate {rate}: lower 'lr' in the \
         phases around this epoch, or warm up over more epochs"
    )]
    ValidationNotFinite {
        /// Counted from 0.
        epoch: usize,
        /// The mean loss.
        loss: f64,
        /// At the epoch's last step.
        rate: f64,
    },
    /// A file could not be written.
    #[error("{path}: cannot write it: {cause}; choose another folder with --logdir, or make room")]
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
