//! What can happen in a run.
//!
//! The fields are what the formats need and nothing else. Among them is all that the original
//! trainer's TensorBoard tags show; where a field feeds a tag, its comment names it. Their step is
//! the number of training images seen *before* the batch, [`StepRecord::images_before`].
//!
//! What is written can be read again ([`Follower`](crate::Follower)): `null` becomes NaN, and fields
//! that this version does not know are passed over.

use serde::{Deserialize, Deserializer, Serialize};

/// When an event happened, by the caller's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// Seconds since the run began, from a clock that never goes back.
    pub seconds: f64,
    /// Seconds since 1970-01-01 00:00 UTC. Tag `first` is the run start's.
    pub unix: f64,
}

/// One thing that happened. Serialized with its name, in snake case, under `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Everything is loaded and the first epoch begins.
    RunStart(RunStart),
    /// Other images, another size, or another way of validating.
    DataChange(DataChange),
    /// Only the batch size changed; the loaders stay (`keep_dl`).
    BatchChange {
        /// Counted from 0.
        epoch: usize,
        /// Images a device and step. Tag `sizes/batch`.
        batch: usize,
    },
    /// The learning rate differs from the step before. To be sent where the original logs it: at
    /// an epoch's first and last step.
    RateChange {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1 within the epoch.
        step: usize,
        /// The rate of the step before; none before the first.
        from: Option<f64>,
        /// The rate of this step.
        #[serde(deserialize_with = "number")]
        to: f64,
    },
    /// A training step is done.
    Step(StepRecord),
    /// The dynamic scale of the loss is another.
    LossScale {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1 within the epoch.
        step: usize,
        /// From the next step on.
        scale: f64,
        /// Whether this step's gradients overflowed, so that it changed nothing.
        overflow: bool,
        /// Steps of the run that were skipped so.
        overflows: u64,
    },
    /// A validation batch is done.
    EvalStep(EvalRecord),
    /// Where the loader's time went in an epoch's training; comes before the epoch's end.
    Loader(LoaderRecord),
    /// An epoch is done, its validation included.
    EpochEnd(EpochRecord),
    /// A run goes on from a checkpoint of this or another folder.
    Resumed {
        /// The epoch that goes on, counted from 0.
        epoch: usize,
        /// Its steps that are done.
        step: usize,
        /// Training images so far: TensorBoard's step.
        images_seen: u64,
        /// The checkpoint's file.
        from: String,
        /// How many devices go on, if not as many as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        world: Option<usize>,
    },
    /// A checkpoint is on disk, whole.
    Checkpoint {
        /// The epoch in which it was taken, counted from 0; the next one if that was at an epoch's end.
        epoch: usize,
        /// The epoch's steps that it holds.
        step: usize,
        /// Its file.
        path: String,
    },
    /// A file was written.
    Saved {
        /// What it holds, e.g. `parameters`.
        what: String,
        /// Where it is.
        path: String,
    },
    /// Something worth knowing.
    Note {
        /// One line.
        text: String,
    },
    /// Something that the user should look at.
    Warning {
        /// One line.
        text: String,
    },
    /// The run ends before its plan does.
    Stopped {
        /// Why, in one line.
        reason: String,
    },
    /// The run is over, as planned.
    RunEnd(RunEnd),
    /// What a later version wrote, when it is read; nothing that happens.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// What is trained, on what, by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// The network's name, e.g. `resnet50`.
    pub arch: String,
    /// Number of classes.
    pub classes: usize,
    /// Number of trained values.
    pub parameters: u64,
    /// Of weights and activations in a step, e.g. `bf16`.
    pub precision: String,
    /// Whose kernels compute, e.g. `oneDNN 3.2.0`.
    pub engine: String,
    /// Devices that train together. Tag `sizes/world`.
    pub world: usize,
    /// Loader threads a device.
    pub workers: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// The first epoch that this run trains, 0 unless it continues another.
    pub first_epoch: usize,
    /// One past the last epoch.
    pub epochs: usize,
    /// Training images in the first data set.
    pub images_train: u64,
    /// Validation images in the first data set.
    pub images_val: u64,
    /// What each epoch costs relative to the others, one number an epoch (training images times
    /// pixels will do). The time left is reckoned from it; empty: from the epochs' count.
    #[serde(skip)]
    pub epoch_cost: Vec<f64>,
    /// What is to be read from when on, in order: the plan's part that no later event tells before its time has come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<DataChange>,
}

/// What an epoch and those after it read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataChange {
    /// The first epoch that it holds for, counted from 0.
    pub epoch: usize,
    /// Side of the square training image, pixels. Tag `sizes/image`.
    pub size: usize,
    /// Training images a device and step. Tag `sizes/batch`.
    pub batch: usize,
    /// Validation images a device and step.
    pub val_batch: usize,
    /// Folder of the training images.
    pub train_dir: String,
    /// Folder of the validation images.
    pub val_dir: String,
    /// Lower bound of the crop's share of the image's area.
    #[serde(deserialize_with = "number")]
    pub min_scale: f64,
    /// Whether validation batches are rectangular.
    pub rect_val: bool,
}

/// A training step. Loss and accuracies are means over the batches of all devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 0.
    pub epoch: usize,
    /// Counted from 1 within the epoch.
    pub step: usize,
    /// Steps of the epoch.
    pub steps: usize,
    /// Images of this device's batch. Tag `times/1gpu_images_per_sec` is this over
    /// [`StepRecord::step_seconds`], `times/8gpu_images_per_sec` eight times that.
    pub images: u64,
    /// Images of all devices' batches. Tag `sizes/batch_total`.
    pub images_total: u64,
    /// Training images of all devices and epochs before this step: TensorBoard's step.
    pub images_before: u64,
    /// Side of the training image, pixels.
    pub size: usize,
    /// Learning rate. Tag `sizes/lr`.
    #[serde(deserialize_with = "number")]
    pub lr: f64,
    /// Tag `sizes/momentum`.
    #[serde(deserialize_with = "number")]
    pub momentum: f64,
    /// Mean cross entropy, nats. Tag `losses/xent`.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// Percent. Tag `losses/train_1`.
    #[serde(deserialize_with = "number")]
    pub top1: f64,
    /// Percent. Tag `losses/train_5`.
    #[serde(deserialize_with = "number")]
    pub top5: f64,
    /// From the end of the step before to the end of this one, waiting for data included. Tag
    /// `times/step`, there in ms.
    #[serde(deserialize_with = "number")]
    pub step_seconds: f64,
    /// The part of it that was spent waiting for data. Tag `times/data`, there in ms.
    #[serde(deserialize_with = "number")]
    pub data_seconds: f64,
    /// Over the epoch's steps so far. The trainer keeps them, so that they hold for an epoch that was taken up in
    /// its middle, too.
    #[serde(skip)]
    pub means: Means,
    /// Traffic since the last record that had it, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRate>,
    /// The device's memory, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryUse>,
}

/// Network traffic of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkRate {
    /// 10⁹ bits a second. Tag `net/recv_gbit`.
    #[serde(deserialize_with = "number")]
    pub received_gbit: f64,
    /// 10⁹ bits a second. Tag `net/transmit_gbit`.
    #[serde(deserialize_with = "number")]
    pub sent_gbit: f64,
}

/// Device memory in bytes; the tags `memory/…_gb` show 10⁹ bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Held by tensors now.
    pub allocated: u64,
    /// The most that was ever held by tensors.
    pub max_allocated: u64,
    /// Taken from the device now.
    pub cached: u64,
    /// The most that was ever taken from the device.
    pub max_cached: u64,
}

/// A validation batch. Loss and accuracies are means over the batches of all devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// Counted from 0.
    pub epoch: usize,
    /// Counted from 1 within the validation.
    pub step: usize,
    /// Batches of the validation.
    pub steps: usize,
    /// Images of all devices' batches.
    pub images_total: u64,
    /// Mean cross entropy, nats.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// Percent.
    #[serde(deserialize_with = "number")]
    pub top1: f64,
    /// Percent.
    #[serde(deserialize_with = "number")]
    pub top5: f64,
    /// From the end of the batch before to the end of this one.
    #[serde(deserialize_with = "number")]
    pub step_seconds: f64,
    /// Over the validation's batches so far.
    #[serde(skip)]
    pub means: Means,
}

/// Means from an epoch's or a validation's first step to the latest. Images weigh equally in loss and accuracies, steps
/// in times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// Cross entropy, nats.
    pub loss: f64,
    /// Percent.
    pub top1: f64,
    /// Percent.
    pub top5: f64,
    /// Of a step, waiting for data included.
    pub step_seconds: f64,
    /// Of the wait for data in a step; 0 in a validation.
    pub data_seconds: f64,
}

/// Where the time of the loader's threads went in an epoch's training, in seconds of all threads together. In an epoch that was
/// taken up in its middle, since then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoaderRecord {
    /// Counted from 0.
    pub epoch: usize,
    /// Reading files or shards.
    #[serde(deserialize_with = "number")]
    pub read_seconds: f64,
    /// Decoding.
    #[serde(deserialize_with = "number")]
    pub decode_seconds: f64,
    /// Crop, resize and flip.
    #[serde(deserialize_with = "number")]
    pub resize_seconds: f64,
    /// Waiting for a free place in a batch.
    #[serde(deserialize_with = "number")]
    pub slot_seconds: f64,
    /// Where training waited for images: why, and what would help, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// An epoch: what was trained and how well it validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 0. Tag `epoch`.
    pub epoch: usize,
    /// Hours since the run began, validation included.
    #[serde(deserialize_with = "number")]
    pub hours: f64,
    /// Training images of all devices and epochs so far: TensorBoard's step.
    pub images_seen: u64,
    /// Side of the training image, pixels.
    pub size: usize,
    /// Mean cross entropy over the epoch's training images, nats.
    #[serde(deserialize_with = "number")]
    pub train_loss: f64,
    /// Percent of the epoch's training images.
    #[serde(deserialize_with = "number")]
    pub train_top1: f64,
    /// Percent of the epoch's training images.
    #[serde(deserialize_with = "number")]
    pub train_top5: f64,
    /// Mean cross entropy over the validation images, nats.
    #[serde(deserialize_with = "number")]
    pub val_loss: f64,
    /// Percent of the validation images. Tag `losses/test_1`.
    #[serde(deserialize_with = "number")]
    pub top1: f64,
    /// Percent of the validation images. Tag `losses/test_5`.
    #[serde(deserialize_with = "number")]
    pub top5: f64,
    /// Time of the training steps, waiting for data included.
    #[serde(deserialize_with = "number")]
    pub train_seconds: f64,
    /// The part of it that was spent waiting for data.
    #[serde(deserialize_with = "number")]
    pub data_seconds: f64,
    /// Time of the validation. Tag `times/eval_sec`.
    #[serde(deserialize_with = "number")]
    pub eval_seconds: f64,
    /// Training images of all devices over [`EpochRecord::train_seconds`].
    #[serde(deserialize_with = "number")]
    pub images_per_s: f64,
    /// Images of the run so far that could not be loaded, each counted once.
    #[serde(default)]
    pub skipped: u64,
}

/// A run's totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Epochs that this run trained.
    pub epochs: usize,
    /// Training images of all devices and epochs.
    pub images_seen: u64,
    /// From the run's start to its end.
    #[serde(deserialize_with = "number")]
    pub seconds: f64,
    /// Time of the training steps, waiting for data included.
    #[serde(deserialize_with = "number")]
    pub train_seconds: f64,
    /// The part of it that was spent waiting for data.
    #[serde(deserialize_with = "number")]
    pub data_seconds: f64,
    /// Time of the validations.
    #[serde(deserialize_with = "number")]
    pub eval_seconds: f64,
    /// Of the last validation, percent.
    #[serde(deserialize_with = "number")]
    pub top1: f64,
    /// Of the last validation, percent.
    #[serde(deserialize_with = "number")]
    pub top5: f64,
    /// Most memory that the process ever had resident, where the system tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
}

/// JSON has no NaN: where a run diverged, `null` was written.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
