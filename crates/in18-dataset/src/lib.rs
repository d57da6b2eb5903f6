#![forbid(unsafe_code)]
//! What images there are, their labels, their sizes, and where their bytes lie.
//!
//! ```text
//! class folders ─┐
//! prepared shards├─► ImageSet ─► ImageReader (one image's bytes) ─► loader
//! tar archives  ─┤       └─────► Preparation (smaller copies, as folders or shards)
//! Parquet tables ┘
//! ```
//! Owns the layout of a data set on disk: `DATA + suffix` holds `train` and `validation` or `val`, each of them class
//! folders or tar shards. In class folders every file that is not hidden counts as an image, whatever its name: whether it
//! is one shows when it is decoded. Knows no order of training, no batches and no pixels, so that one source can take another's
//! place without the loader noticing.

mod each;
mod error;
mod fingerprint;
mod folders;
mod index;
mod open;
mod packed;
mod place;
mod prepare;
mod read;
mod root;
mod set;
mod sizes;
mod tables;
mod tars;
mod verify;

pub use error::Error;
pub use index::{Checksums, Index, IndexError, PackedImage, Shard};
pub use place::{Half, Place};
pub use prepare::{Preparation, PrepareError, PrepareOptions, Prepared, PreparedFormat, PreparedSize};
pub use read::ImageReader;
pub use root::{DataRoot, check_same_classes};
pub use set::{ImageSet, OpenOptions};
pub use tars::{Member, members};
