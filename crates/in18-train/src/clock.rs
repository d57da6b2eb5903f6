//! The only clock of the program.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use in18_record::Stamp;

/// Time since the run began. Time before an interruption counts; the interruption itself does not.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Seconds that the run had taken when it was interrupted.
    before: f64,
}

impl Clock {
    /// Starts at `before` seconds, which is 0 for a new run.
    pub fn start(before: f64) -> Self {
        Clock { start: Instant::now(), before }
    }

    /// Seconds since the start, from a clock that never goes back.
    pub fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// The present time, for an event.
    pub fn stamp(&self) -> Stamp {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
        Stamp { seconds: self.seconds(), unix }
    }
}

/// Measures laps: the time from one call to the next.
#[derive(Clone, Copy, Debug)]
pub struct Laps {
    clock: Clock,
    last: f64,
}

impl Laps {
    /// Starts now.
    pub fn start(clock: Clock) -> Self {
        Laps { clock, last: clock.seconds() }
    }

    /// Seconds since the last call, or the start.
    pub fn lap(&mut self) -> f64 {
        let now = self.clock.seconds();
        now - std::mem::replace(&mut self.last, now)
    }
}
