//! The signals of terminals, schedulers and spot machines, as flags for the trainer.

use anyhow::{Context, Result};
use in18_train::Signals;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// From now on, SIGTERM and SIGINT ask a run to save a checkpoint and end, and SIGUSR1 asks it to
/// save one. A second SIGINT ends the program at once.
pub fn watch() -> Result<Signals> {
    let signals = Signals::default();
    let interrupted = Arc::new(AtomicBool::new(false));
    let register = || -> std::io::Result<()> {
        // The order matters: the first SIGINT finds the flag unset, and then sets it.
        flag::register_conditional_shutdown(SIGINT, crate::exit::after_signal(SIGINT), Arc::clone(&interrupted))?;
        flag::register(SIGINT, interrupted)?;
        for signal in [SIGINT, SIGTERM] {
            flag::register_usize(signal, Arc::clone(signals.stop()), signal as usize)?;
        }
        flag::register(SIGUSR1, Arc::clone(signals.save()))?;
        Ok(())
    };
    register().context("cannot listen to signals")?;
    Ok(signals)
}
