//! When a run is saved: by the clock, by a signal, at an epoch's end.

use in18_record::{Event, Marks};

use crate::checkpoint::{About, CheckpointOptions, Store, Written};
use crate::error::TrainError;
use crate::identity::NetworkIdentity;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::trainer::Trainer;

/// When and how a run is saved.
#[derive(Clone, Debug)]
pub struct Saving {
    /// Where checkpoints go, how often, and how many are kept.
    pub checkpoints: CheckpointOptions,
    /// Flags that signals set.
    pub signals: Signals,
    /// The network. Checkpoints and the saved parameters carry its names.
    pub network: NetworkIdentity,
    /// The run's [`identity`](crate::identity::identity). Checkpoints carry it.
    pub identity: serde_json::Value,
}

/// A place that a run can be continued from.
pub(super) struct Point {
    progress: Progress,
    marks: Marks,
}

impl Trainer<'_> {
    /// Meets the requests of signals and the clock after a training step.
    pub(super) fn attend_here(&mut self) -> Result<(), TrainError> {
        if self.is_save_due() {
            let point = self.point();
            return self.attend(&point);
        }
        self.take_in_written()
    }

    /// Meets the requests of signals and the clock. A continued run would go on from `point`.
    pub(super) fn attend(&mut self, point: &Point) -> Result<(), TrainError> {
        self.take_in_written()?;
        if self.is_save_due() {
            self.saving.signals.saving();
            self.save(point, false)?;
            return self.stop_if_asked(point);
        }
        Ok(())
    }

    /// Ends the run if a signal asks for that. `point` is the point that was saved last.
    pub(super) fn stop_if_asked(&mut self, point: &Point) -> Result<(), TrainError> {
        let Some(signal) = self.requests.stop else { return Ok(()) };
        self.finish_saving()?;
        // Rank 0 ends last. Otherwise the other ranks would take it for lost.
        self.barrier()?;
        let Progress { epoch, step, .. } = point.progress;
        let checkpoint = self.store.as_ref().and_then(Store::latest).unwrap_or_default();
        Err(TrainError::Interrupted { signal, epoch, step, checkpoint })
    }

    /// Whether a checkpoint is due, by the clock or by a signal.
    pub(super) fn is_save_due(&self) -> bool {
        self.requests.save || self.requests.stop.is_some()
    }

    /// The place where the run stands, with the marks of its logs.
    pub(super) fn point(&mut self) -> Point {
        self.progress.seconds = self.clock.seconds();
        let marks = self.recorder.marks(self.clock.stamp());
        Point { progress: self.progress.clone(), marks }
    }

    /// On rank 0, copies the state and has it written as a checkpoint for `point`.
    pub(super) fn save(&mut self, point: &Point, is_best: bool) -> Result<(), TrainError> {
        self.saved_at = self.clock.seconds();
        let Some(store) = &mut self.store else { return Ok(()) };
        let mut state = store.buffer();
        self.model.save_state(&mut state)?;
        let Saving { network, identity, .. } = &self.saving;
        let about =
            About::new(identity.clone(), &network.arch, &network.classes, point.progress.clone(), point.marks.clone());
        store.submit(state, about, is_best)
    }

    /// Waits for the checkpoints that are still being written.
    pub(super) fn finish_saving(&mut self) -> Result<(), TrainError> {
        let written = self.store.as_mut().map_or_else(Vec::new, Store::finish);
        written.into_iter().try_for_each(|written| self.checkpoint_written(written))
    }

    pub(super) fn take_in_written(&mut self) -> Result<(), TrainError> {
        let written = self.store.as_mut().map_or_else(Vec::new, Store::written);
        written.into_iter().try_for_each(|written| self.checkpoint_written(written))
    }

    pub(super) fn checkpoint_written(&mut self, written: Result<Written, TrainError>) -> Result<(), TrainError> {
        let written = written?;
        let (epoch, step, path) = (written.epoch, written.step, written.path.display().to_string());
        self.record(Event::Checkpoint { epoch, step, path });
        Ok(())
    }

    /// Like [`kept`](Self::kept), where all ranks end: no rank ends before rank 0 has found its
    /// answer.
    pub(super) fn kept_by_all(&mut self) -> Result<String, TrainError> {
        let kept = self.kept();
        self.barrier()?;
        Ok(kept)
    }

    /// The last whole checkpoint, in words for a message.
    pub(super) fn kept(&mut self) -> String {
        let Some(store) = &mut self.store else { return "rank 0 has the checkpoints".to_owned() };
        // A checkpoint may still be written. If that fails, it is not the reason why the run ends.
        drop(store.finish());
        store.kept()
    }
}
