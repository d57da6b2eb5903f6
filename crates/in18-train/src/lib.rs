//! The training loop. It walks a plan epoch by epoch, feeds batches to the model, updates it,
//! records what happens, and saves the result.
//!
//! This is the only crate that reads the clock, and the place where all other crates meet. It knows
//! kernel providers only through their trait.
//!
//! * [`Trainer`]: the loop. [`TrainingStep`] and [`Evaluation`]: what it does with a batch.
//!   [`Views`]: which batches are evaluated. [`StopAt`]: when a run ends early.
//! * [`Data`]: the image sets that a plan names. [`learner`]: the model that it trains.
//! * [`checkpoint`]: a run's whole state as a file. [`Progress`]: how far the run has come.
//!   [`identity`]: what the run is.
//! * [`FirstStep`]: says what a first step is doing if it takes long.
//! * [`Signals`]: what the operating system asks of a run.
#![forbid(unsafe_code)]

mod attribution;
pub mod checkpoint;
mod clock;
mod data;
mod error;
mod evaluation;
mod first_step;
pub mod identity;
mod learner;
mod loss_scale;
mod progress;
mod signals;
mod skipped;
mod step;
mod stop_at;
mod tally;
mod traffic;
mod trainer;
mod views;

pub use data::{Data, augmentation, order_of};
pub use error::{CheckpointError, Half, TrainError};
pub use evaluation::{Evaluation, StartedEvaluation};
pub use first_step::{Doing, FirstStep, PATIENCE, StepName};
pub use learner::{exchanged, initialization, learner};
pub use loss_scale::DynamicScale;
pub use progress::{Best, Progress};
pub use signals::Signals;
pub use skipped::Skipped;
pub use step::{BUCKET_BYTES, Scaled, Stage, StartedStep, StepScalars, TrainingStep, finish};
pub use stop_at::{Accuracy, StopAt};
pub use tally::Tally;
pub use trainer::{Continued, Outcome, Parts, Saving, Settings, Trainer};
pub use views::Views;
