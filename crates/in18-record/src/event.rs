//! What can happen in a run.
//!
//! The fields are what the formats need, and nothing else. They include everything that the
//! original trainer's TensorBoard tags show. If a field feeds a tag, its comment names the tag. The
//! tags' step is the number of training images seen *before* the batch,
//! [`StepRecord::images_before`].
//!
//! Events that were written can be read again ([`Follower`](crate::Follower)). `null` becomes NaN,
//! and fields that this version does not know are passed over.

use serde::{Deserialize, Deserializer, Serialize};

/// When an event happened, by the caller's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// Seconds since the run began, from a clock that never goes back.
    pub seconds: f64,
    /// Seconds since 1970-01-01 00:00 UTC. The tag `first` has that of the run's start.
    pub unix: f64,
}

/// One thing that happened. Serialized with its name, in snake case, under `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Everything is loaded and the first epoch begins.
    RunStart(RunStart),
    /// From now on, the run reads other images, at another size, or validates in another way.
    DataChange(DataChange),
    /// Only the batch size changed; the loaders stay (`keep_dl`).
    BatchChange {
        /// Counted from 0.
        epoch: usize,
        /// Images a device and step. Tag `sizes/batch`.
        batch: usize,
    },
    /// The learning rate differs from that of the step before. Sent where the original logs it: at
    /// an epoch's first and last step.
    RateChange {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1 within the epoch.
        step: usize,
        /// The rate of the step before; `None` at the first step.
        from: Option<f64>,
        /// The rate of this step.
        #[serde(deserialize_with = "number")]
        to: f64,
    },
    /// A training step is done.
    Step(StepRecord),
    /// The dynamic scale of the loss has changed.
    LossScale {
        /// Counted from 0.
        epoch: usize,
        /// Counted from 1 within the epoch.
        step: usize,
        /// The scale from the next step on.
        scale: f64,
        /// Whether this step's gradients overflowed. The step then changed nothing.
        overflow: bool,
        /// The number of the run's steps that were skipped for that reason.
        overflows: u64,
    },
    /// A validation batch is done.
    EvalStep(EvalRecord),
    /// Where the loader's time went in an epoch's training. Comes before the epoch's end.
    Loader(LoaderRecord),
    /// An epoch is done, with its validation.
    EpochEnd(EpochRecord),
    /// A run continues from a checkpoint of this or another folder.
    Resumed {
        /// The epoch that continues, counted from 0.
        epoch: usize,
        /// The number of its steps that are done.
        step: usize,
        /// The number of training images so far: TensorBoard's step.
        images_seen: u64,
        /// The checkpoint's file.
        from: String,
        /// The number of devices from now on, if it has changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        world: Option<usize>,
    },
    /// A whole checkpoint is on disk.
    Checkpoint {
        /// The epoch in which it was taken, counted from 0. At an epoch's end, it is the next
        /// epoch.
        epoch: usize,
        /// The number of that epoch's steps that it holds.
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
    /// An evaluation has reached the accuracy at which the run ends.
    GoalReached(GoalReached),
    /// The run ends before the end of its plan.
    Stopped {
        /// Why, in one line.
        reason: String,
    },
    /// The run has ended as planned.
    RunEnd(RunEnd),
    /// When a log is read: an event that only a later version knows. Never sent.
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
    /// The type of weights and activations in a step, e.g. `bf16`.
    pub precision: String,
    /// What computes, e.g. `oneDNN 3.2.0`.
    pub engine: String,
    /// Devices that train together. Tag `sizes/world`.
    pub world: usize,
    /// Loader threads of each device.
    pub workers: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// The first epoch that this run trains: 0, unless it continues another run.
    pub first_epoch: usize,
    /// One past the last epoch.
    pub epochs: usize,
    /// Training images in the first data set.
    pub images_train: u64,
    /// Validation images in the first data set.
    pub images_val: u64,
    /// The cost of each epoch relative to the others, such as training images times pixels. The
    /// time left is computed from it. If it is empty, all epochs cost the same.
    #[serde(skip)]
    pub epoch_cost: Vec<f64>,
    /// What the run will read, and from which epoch on, in order. A log holds this part of the plan
    /// from its beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<DataChange>,
}

/// What an epoch and later ones read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataChange {
    /// The first of these epochs, counted from 0.
    pub epoch: usize,
    /// Side of the square training image, pixels. Tag `sizes/image`.
    pub size: usize,
    /// Training images of each device and step. Tag `sizes/batch`.
    pub batch: usize,
    /// Validation images of each device and step.
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
    /// Side of the square validation image in pixels, if the recipe names one for all epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_size: Option<usize>,
    /// The centre crop's share of the short side, if it is not the original's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_crop: Option<f64>,
    /// The recipe's test-time augmentation, if there is one: `flip` or `flip-logits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tta: Option<String>,
}

impl DataChange {
    /// Which views validation sees beyond the plain square of the training size, in words.
    #[must_use]
    pub fn views(&self) -> Vec<String> {
        let size = self.val_size.map(|size| format!("{size} px"));
        let crop = self.val_crop.map(|share| format!("crop {share}"));
        let rectangular = self.rect_val.then(|| "rectangular".to_owned());
        let tta = self.tta.as_ref().map(|tta| format!("tta {tta}"));
        [size, crop, rectangular, tta].into_iter().flatten().collect()
    }
}

/// A training step. Loss and accuracies are means over the batches of all devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 0.
    pub epoch: usize,
    /// Counted from 1 within the epoch.
    pub step: usize,
    /// The number of the epoch's steps.
    pub steps: usize,
    /// Images of this device's batch. The tag `times/1gpu_images_per_sec` is this number over
    /// [`StepRecord::step_seconds`]; `times/8gpu_images_per_sec` is eight times that.
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
    /// Seconds from the end of the step before to the end of this one, including the wait for data.
    /// Tag `times/step`, there in ms.
    #[serde(deserialize_with = "number")]
    pub step_seconds: f64,
    /// The part of these seconds that was spent waiting for data. Tag `times/data`, there in ms.
    #[serde(deserialize_with = "number")]
    pub data_seconds: f64,
    /// Means over the epoch's steps so far. The trainer keeps them, so that they are right for an
    /// epoch that was continued in its middle, too.
    #[serde(skip)]
    pub means: Means,
    /// Traffic since the last record that had it; `None` if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRate>,
    /// The device's memory; `None` if it was not measured.
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
    /// The most that tensors have ever held.
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
    /// The number of batches of the validation.
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
    /// Seconds from the end of the batch before to the end of this one.
    #[serde(deserialize_with = "number")]
    pub step_seconds: f64,
    /// Means over the validation's batches so far.
    #[serde(skip)]
    pub means: Means,
}

/// Means from an epoch's or a validation's first step to the latest. In loss and accuracies, each
/// image has the same weight; in times, each step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// Cross entropy, nats.
    pub loss: f64,
    /// Percent.
    pub top1: f64,
    /// Percent.
    pub top5: f64,
    /// Seconds of a step, including the wait for data.
    pub step_seconds: f64,
    /// Seconds of the wait for data in a step; 0 in a validation.
    pub data_seconds: f64,
}

/// Where the time of the loader's threads went in an epoch's training, in seconds of all threads
/// together. If the epoch was continued in its middle, only the time since then counts.
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
    /// Why training waited for images, and what would help, in a sentence; `None` if it hardly
    /// waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// An epoch: what was trained, and how good the validation was.
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
    /// Seconds of the training steps, including the wait for data.
    #[serde(deserialize_with = "number")]
    pub train_seconds: f64,
    /// The part of these seconds that was spent waiting for data.
    #[serde(deserialize_with = "number")]
    pub data_seconds: f64,
    /// Seconds of the validation. Tag `times/eval_sec`.
    #[serde(deserialize_with = "number")]
    pub eval_seconds: f64,
    /// Training images of all devices over [`EpochRecord::train_seconds`].
    #[serde(deserialize_with = "number")]
    pub images_per_s: f64,
    /// Images of the run so far that could not be loaded, each counted once.
    #[serde(default)]
    pub skipped: u64,
}

/// The first evaluation that reached the accuracy at which a run ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoalReached {
    /// The accuracy, such as `top5=93`.
    pub goal: String,
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// Hours since the run began, validation included.
    #[serde(deserialize_with = "number")]
    pub hours: f64,
    /// Training images of all devices and epochs until then.
    pub images_seen: u64,
    /// Percent of the validation images.
    #[serde(deserialize_with = "number")]
    pub top1: f64,
    /// Percent of the validation images.
    #[serde(deserialize_with = "number")]
    pub top5: f64,
}

/// A run's totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The number of epochs that this run trained.
    pub epochs: usize,
    /// Training images of all devices and epochs.
    pub images_seen: u64,
    /// Seconds from the run's start to its end.
    #[serde(deserialize_with = "number")]
    pub seconds: f64,
    /// Seconds of the training steps, including the wait for data.
    #[serde(deserialize_with = "number")]
    pub train_seconds: f64,
    /// The part of these seconds that was spent waiting for data.
    #[serde(deserialize_with = "number")]
    pub data_seconds: f64,
    /// Seconds of the validations.
    #[serde(deserialize_with = "number")]
    pub eval_seconds: f64,
    /// Top-1 of the last validation, percent.
    #[serde(deserialize_with = "number")]
    pub top1: f64,
    /// Top-5 of the last validation, percent.
    #[serde(deserialize_with = "number")]
    pub top5: f64,
    /// The most memory that the process has ever had resident; `None` if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
}

/// Reads a number. JSON has no NaN: a run that diverged has written `null`.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
