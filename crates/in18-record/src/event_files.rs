//! TensorBoard event files: scalars by tag and step, written and read.
//!
//! * [`record`]: TFRecord framing, a length and checksums round each message.
//! * [`message`]: the few fields of TensorFlow's `Event` message that scalars need.
//! * [`EventWriter`], [`read_scalars`]: files.
//!
//! Reads what this module, tensorboardX and TensorFlow write. Knows no trainer, no tag's meaning and
//! no clock.
//!
//! It is written by hand because a continued run goes on in the file of the killed run, behind its
//! last whole record, and `watch` reads files that are still written. The crates `tensorboard-rs`
//! 0.5 and `tboard` 0.1 always begin a new file, and do not say where a record ends.

pub mod message;
mod read;
pub mod record;
mod write;

pub use read::{EventError, Read, Scalar, Scalars, list, parse, read_file, read_scalars};
pub use write::EventWriter;
