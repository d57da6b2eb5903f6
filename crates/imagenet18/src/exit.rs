//! The only table of exit codes, and the errors of the program itself.

use in18_comm::CommError;
use in18_dataset::PrepareError;
use in18_kernels::KernelError;
use in18_loader::LoadError;
use in18_program::ProgramError;
use in18_record::{ReadError, RecordError};
use in18_train::{CheckpointError, TrainError};
use in18_weights::WeightsError;

/// The table of exit codes, as `--help` shows it.
pub const HELP: &str = "Exit codes:
  0  done
  1  an error of the program or the machine
  2  an argument, a schedule or a recipe is wrong
  3  the images or their folders are wrong, or the files that a command reads
  4  training failed: the loss is not a number any more
  5  a file could not be written
  6  not enough memory, or something this CPU or GPU cannot do
  7  a network's file or checkpoint is damaged, or of another run
  8  the ranks did not come together, or one of them was lost or hung
  9  the run is done, and no evaluation reached the accuracy of --stop-at
  130, 143  stopped by SIGINT or SIGTERM, after a checkpoint was saved; at once if training had not begun, or at a second SIGINT";

const MACHINE: u8 = 1;
pub const USAGE: u8 = 2;
const DATA: u8 = 3;
const DIVERGED: u8 = 4;
const WRITE: u8 = 5;
const HARDWARE: u8 = 6;
const CHECKPOINT: u8 = 7;
pub const RANKS: u8 = 8;
pub const MISSED: u8 = 9;

/// The exit code that shells and schedulers read as "ended by this signal".
pub fn after_signal(signal: i32) -> i32 {
    128 + signal
}

/// A mistake in the arguments that the parser cannot detect.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Ends a process without a message, because this or another process has printed it.
#[derive(Debug)]
pub struct Ended(pub u8);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with code {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Images that were reported one by one while the others were processed.
#[derive(Debug)]
pub struct BadImages {
    /// The number of bad images.
    pub bad: usize,
    /// The number of all images.
    pub seen: usize,
}

impl std::fmt::Display for BadImages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seen {
            0 => f.write_str("expected JPEG or PNG files, got folders without any file: name others"),
            seen => write!(f, "expected {seen} JPEG or PNG images, got {} that are none, named above", self.bad),
        }
    }
}

impl std::error::Error for BadImages {}

/// Whether every rank of a run ends with this error, at the same step.
pub fn is_everyones(error: &anyhow::Error) -> bool {
    use TrainError::{Interrupted, NotFinite, Overflow, TooManyBad, ValidationNotFinite};
    let error = error.downcast_ref::<TrainError>();
    error.is_some_and(|error| {
        matches!(
            error,
            Interrupted { .. } | NotFinite { .. } | Overflow { .. } | TooManyBad { .. } | ValidationNotFinite { .. }
        )
    })
}

/// Whether an error is about other ranks.
pub fn is_of_ranks(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrainError::Comm(_))) || error.is::<CommError>()
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(cause_code).unwrap_or(MACHINE)
}

fn cause_code(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref::<TrainError>() {
        return Some(match error {
            TrainError::Load(LoadError::Spawn { .. } | LoadError::Panic { .. } | LoadError::Plan { .. }) => MACHINE,
            TrainError::Data(_) | TrainError::Load(_) | TrainError::TooManyBad { .. } => DATA,
            TrainError::Plan(_) | TrainError::Batches(_) => USAGE,
            TrainError::NotFinite { .. }
            | TrainError::ValidationNotFinite { .. }
            | TrainError::StateNotFinite { .. }
            | TrainError::Overflow { .. } => DIVERGED,
            TrainError::Interrupted { signal, .. } => u8::try_from(after_signal(*signal)).unwrap_or(MACHINE),
            TrainError::Checkpoint(_) => CHECKPOINT,
            TrainError::Comm(error) => comm_code(error),
            TrainError::Memory { cause, .. } => program_code(cause),
            TrainError::Write { .. } => WRITE,
            TrainError::Program(error) => program_code(error),
            TrainError::Weights(error) => weights_code(error),
        });
    }
    if cause.is::<Usage>() || cause.is::<in18_recipe::PlanError>() {
        return Some(USAGE);
    }
    if let Some(error) = cause.downcast_ref::<CommError>() {
        return Some(comm_code(error));
    }
    if cause.is::<CheckpointError>() {
        return Some(CHECKPOINT);
    }
    if let Some(error) = cause.downcast_ref::<WeightsError>() {
        return Some(weights_code(error));
    }
    if cause.is::<in18_record::event_files::EventError>() || cause.is::<in18_record::dawn::DawnError>() {
        return Some(DATA);
    }
    if cause.is::<in18_dataset::Error>() || cause.is::<ReadError>() || cause.is::<BadImages>() {
        return Some(DATA);
    }
    if let Some(error) = cause.downcast_ref::<PrepareError>() {
        return Some(match error {
            PrepareError::Write { .. } => WRITE,
            PrepareError::Other { .. } | PrepareError::Inside { .. } => USAGE,
            PrepareError::Damaged { .. } => DATA,
        });
    }
    if cause.is::<RecordError>() || cause.is::<in18_demo::DemoError>() {
        return Some(WRITE);
    }
    if let Some(error) = cause.downcast_ref::<ProgramError>() {
        return Some(program_code(error));
    }
    cause.downcast_ref::<KernelError>().map(kernel_code)
}

fn comm_code(error: &CommError) -> u8 {
    match error {
        CommError::Library(_) => USAGE,
        CommError::Stopped { signal } => u8::try_from(after_signal(*signal)).unwrap_or(MACHINE),
        _ => RANKS,
    }
}

fn weights_code(error: &WeightsError) -> u8 {
    match error {
        WeightsError::Write { .. } => WRITE,
        WeightsError::Program(error) => program_code(error),
        _ => CHECKPOINT,
    }
}

fn program_code(error: &ProgramError) -> u8 {
    match error {
        ProgramError::Kernel(error) => kernel_code(error),
        ProgramError::ImageTooSmall { .. } => USAGE,
        ProgramError::TooLarge { .. } => HARDWARE,
        ProgramError::NoSuchParameter(_) | ProgramError::NoSuchAverage(_) => MACHINE,
        ProgramError::Length { .. } | ProgramError::Mixed | ProgramError::NotPrepared => MACHINE,
    }
}

fn kernel_code(error: &KernelError) -> u8 {
    match error {
        KernelError::OutOfMemory { .. }
        | KernelError::Full { .. }
        | KernelError::Machine { .. }
        | KernelError::Unsupported { .. } => HARDWARE,
        _ => MACHINE,
    }
}
