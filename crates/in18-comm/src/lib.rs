//! Ranks: processes that train one network together, each on a device of its own.
//!
//! [`Comm`] is all that a run asks of them. [`Solo`] is a world of one; `C10d` (feature `c10d`) joins processes by PyTorch's
//! own engine.
//!
//! This crate knows ranges of memory and bytes, and no network.

#[cfg(feature = "c10d")]
mod c10d;
mod comm;
mod end;
mod error;
#[cfg(feature = "c10d")]
mod group;
#[cfg(feature = "c10d")]
mod notes;
mod solo;
#[cfg(feature = "c10d")]
mod sys;

#[cfg(feature = "c10d")]
pub use c10d::{C10d, Joining};
pub use comm::Comm;
pub use end::end_at_once;
pub use error::CommError;
pub use solo::Solo;
