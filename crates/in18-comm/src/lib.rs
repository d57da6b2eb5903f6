//! Ranks: processes that train one network together, each on a device of its own.
//!
//! [`Comm`] is all that a run needs of them. [`Solo`] is a single rank. [`C10d`] joins processes by
//! PyTorch's distributed engine, which `in18-libtorch` loads.
//!
//! This crate knows memory ranges and bytes, but no network.

mod c10d;
mod comm;
mod end;
mod error;
mod group;
mod notes;
mod solo;

pub use c10d::{C10d, Joining};
pub use comm::Comm;
pub use end::end_at_once;
pub use error::CommError;
pub use solo::Solo;
