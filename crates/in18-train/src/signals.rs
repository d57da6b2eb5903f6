//! What the operating system asks of a run while it trains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Flags that a signal handler sets. The trainer looks at them after every step. Copies share the
/// flags.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
}

impl Signals {
    /// Set it to a signal's number, and the run saves a checkpoint and ends. With 0 the run goes
    /// on.
    pub fn stop(&self) -> &Arc<AtomicUsize> {
        &self.stop
    }

    /// Set it, and the run saves a checkpoint and goes on.
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

    /// The checkpoint that was asked for is being saved.
    pub(crate) fn saving(&self) {
        self.save.store(false, Ordering::Relaxed);
    }
}
