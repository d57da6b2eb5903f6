#![forbid(unsafe_code)]
//! What images there are: class folders, their labels and their sizes.
//!
//! Owns the layout of a data set on disk: `DATA + suffix` holds `train/CLASS/*` and `validation/CLASS/*` or
//! `val/CLASS/*`. Every file that is not hidden counts as an image, whatever its name: whether it is one shows when
//! it is decoded. [`Preparation`] makes smaller copies of a set. Knows no order of training, no batches and no pixels, so that another source (packed shards) can
//! take the folders' place without the loader noticing.

mod each;
mod error;
mod fingerprint;
mod folders;
mod open;
mod prepare;
mod root;
mod sizes;

pub use error::Error;
pub use folders::ImageSet;
pub use open::open_image;
pub use prepare::{Preparation, PrepareError, PrepareWorker, Prepared, PreparedSize};
pub use root::{DataRoot, check_same_classes};
