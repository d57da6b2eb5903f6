//! What can go wrong among ranks.

use in18_native::LibraryError;
use thiserror::Error;

/// An error of a group of ranks.
#[derive(Debug, Error)]
pub enum CommError {
    /// The engine that joins the ranks cannot be used.
    #[error("several ranks are joined by libtorch's engine: {0}")]
    Library(LibraryError),
    /// The ranks could not join.
    #[error("rank {rank} of {world} cannot join the others at {master}: {why}; {hint}")]
    Join {
        /// This rank.
        rank: usize,
        /// How many ranks there should be.
        world: usize,
        /// Where rank 0 listens.
        master: String,
        /// The engine's message.
        why: String,
        /// What to change.
        hint: &'static str,
    },
    /// A signal came while this rank waited for the others.
    #[error("stopped by signal {signal} while waiting for the other ranks")]
    Stopped {
        /// The signal's number.
        signal: i32,
    },
    /// Another rank is gone.
    #[error("rank {rank} lost another rank while {doing} ({status}); {others}")]
    Lost {
        /// This rank.
        rank: usize,
        /// What this rank was doing.
        doing: String,
        /// The engine's message.
        status: String,
        /// Where the other ranks stand.
        others: String,
    },
    /// Another rank does not answer.
    #[error(
        "rank {rank} waited {seconds} s for another rank while {doing}; {others}; --step-timeout sets how long is too long"
    )]
    Timeout {
        /// This rank.
        rank: usize,
        /// What this rank was doing.
        doing: String,
        /// How long this rank waited, in seconds.
        seconds: u64,
        /// Where the other ranks stand.
        others: String,
    },
    /// The engine refused a call.
    #[error("the exchange among ranks failed on rank {rank} while {doing}: {status}")]
    Engine {
        /// This rank.
        rank: usize,
        /// What this rank was doing.
        doing: String,
        /// The engine's message.
        status: String,
    },
}
