//! What the system asks of a run while it trains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Flags that a signal handler sets and the trainer looks at after every step. Copies share the flags.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
}

impl Signals {
    /// To be set to a signal's number: the run saves a checkpoint and ends. 0: it goes on.
    pub fn stop(&self) -> &Arc<AtomicUsize> {
        &self.stop
    }

    /// To be set: the run saves a checkpoint and goes on.
    pub fn save(&self) -> &Arc<AtomicBool> {
        &self.save
    }

    /// The signal that ends the run, if one came.
    pub fn stopped_by(&self) -> Option<i32> {
        let number = self.stop.load(Ordering::Relaxed);
        i32::try_from(number).ok().filter(|&number| number != 0)
    }

    /// Whether a checkpoint was asked for.
    pub(crate) fn is_save_asked(&self) -> bool {
        self.save.load(Ordering::Relaxed)
    }

    /// The checkpoint is on its way.
    pub(crate) fn saving(&self) {
        self.save.store(false, Ordering::Relaxed);
    }
}
