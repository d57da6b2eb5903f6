#![forbid(unsafe_code)]
//! What images there are, their labels, their sizes, and where their bytes lie.
//!
//! ```text
//! sources/folders   class folders   ─┐
//! sources/shards    prepared shards  ├─► ImageSet ─► ImageReader (an image's bytes) ─► loader
//! sources/archives  tar archives     │      └──────► Preparation (smaller copies)
//! sources/tables    Parquet tables  ─┘
//! ```
//! Owns the layout of a data set on disk: `DATA + suffix` holds `train` and `validation` or `val`,
//! each of them a folder that one of the sources recognises. A source is one file that implements
//! `source::Source` and has a line in `sources::KINDS`; nothing else knows which sources there are.
//! This crate knows no order of training, no batches and no pixels, so that one source can take
//! another's place without the loader noticing.

mod each;
mod error;
mod fingerprint;
mod image_file;
mod listing;
mod location;
mod packed;
mod prepare;
mod printable;
mod read;
mod root;
mod set;
mod source;
mod sources;
mod verify;

pub use error::{Error, IndexError};
pub use location::{Half, Location};
pub use packed::{Checksums, Index, PackedImage, Shard};
pub use prepare::{Preparation, PrepareError, PrepareOptions, Prepared, PreparedFormat, PreparedSize};
pub use read::ImageReader;
pub use root::{DataRoot, check_same_classes};
pub use set::ImageSet;
pub use source::OpenOptions;
pub use sources::{Member, members};
