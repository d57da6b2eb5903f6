//! Where the time of worker threads goes. It is only measured and told: nothing that happens
//! depends on it.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// The time of all worker threads together, by what they did, and how much they read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Reading files or shards.
    pub read: Duration,
    /// Decoding: entropy, transform, colours.
    pub decode: Duration,
    /// Crop, resize and flip into the batch, and changing and mixing images there.
    pub resize: Duration,
    /// Waiting for a free place in a batch, because the consumer is slower than the loader.
    pub slot: Duration,
    /// Images decoded.
    pub images: u64,
    /// The pixels of these images, whether decoded or not.
    pub pixels: u64,
}

impl StageTimes {
    /// The time in which threads did not wait.
    pub fn busy(&self) -> Duration {
        self.read + self.decode + self.resize
    }
}

impl AddAssign for StageTimes {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.decode += other.decode;
        self.resize += other.resize;
        self.slot += other.slot;
        self.images += other.images;
        self.pixels += other.pixels;
    }
}

/// Measures one stage after the other.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start or the last lap.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
