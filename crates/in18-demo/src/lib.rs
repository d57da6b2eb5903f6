//! The generated photo set of the demo.
//!
//! Owns ten classes of drawn "photos" ([`Class`]) and how they come to lie in folders
//! ([`generate`]). It exists so that the demo, and any test that needs real files, trains on real
//! JPEGs of many sizes without a download. It must not know the trainer: what it leaves behind is
//! an ordinary `train/CLASS/*.jpg`, `validation/CLASS/*.jpg` tree.
//!
//! A photo is a pure function of (seed, split, index): the number of threads, the order of writing
//! and the size of the set change no byte of it.

#![forbid(unsafe_code)]

mod canvas;
mod class;
mod error;
mod generate;
mod photo;
mod random;
mod spec;

pub use class::Class;
pub use error::DemoError;
pub use generate::{Summary, generate};
pub use photo::{Photo, draw};
pub use spec::{DemoSpec, Split};
