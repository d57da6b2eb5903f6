//! The record of a run: one event type, and one sink for each file format.
//!
//! Owns [`Event`], the [`Sink`] trait, the [`Recorder`] that hands every event to every sink, and
//! the formats. The trainer tells it what happened and never asks anything back: a sink cannot
//! change a run, and a sink that fails ([`Recorder::record`]) does not stop one.
//!
//! Which sinks there are is decided once, by constructing them. A rank that is to stay silent gets
//! a recorder without sinks, and a run without a log folder gets one without files. Deliberately
//! absent: verbosity flags, global loggers and the clock. An event comes with its [`Stamp`], so a
//! format can be tested to the byte.

#![forbid(unsafe_code)]

mod console_bar;
mod console_lines;
pub mod dawn;
mod debug_log;
mod error;
mod event;
pub mod event_files;
mod event_log;
mod follower;
mod jsonl;
mod line_file;
mod mark;
mod meters;
mod progress;
mod recorder;
mod table;
mod tensorboard;
mod text;
mod verbose_log;

#[cfg(test)]
mod samples;

pub use console_bar::ConsoleBar;
pub use console_lines::{ConsoleLines, lasting_line};
pub use debug_log::DebugLog;
pub use error::RecordError;
pub use event::{
    DataChange, EpochRecord, EvalRecord, Event, GoalReached, LoaderRecord, Means, MemoryUse, NetworkRate, RunEnd,
    RunStart, Stamp, StepRecord,
};
pub use event_log::EventLog;
pub use follower::{Follower, News, ReadError};
pub use jsonl::Jsonl;
pub use mark::{Marks, Opening};
pub use meters::Meter;
pub use recorder::{Recorder, Sink};
pub use table::epoch_table;
pub use tensorboard::TensorBoard;
pub use text::duration;
pub use verbose_log::VerboseLog;
