//! Runs as one self-contained page: what was trained, how it went, and how runs compare.
//!
//! This crate owns [`Run`] (a log's events, gathered) and [`page`] (HTML with its style and its
//! charts inside: no script, nothing from the network). It reads no file and no clock, and knows no
//! trainer. Whatever comes from a log is escaped in one place, `text`.
//!
//! The page is well-formed XML too, so that it can be checked by parsing.

#![forbid(unsafe_code)]

mod chart;
mod comparison;
mod figures;
mod page;
mod reference;
mod run;
mod scale;
mod tables;
mod text;

pub use comparison::{Series, comparison_page};
pub use page::page;
pub use reference::{Reference, ReferenceEpoch};
pub use run::{Phase, Run, Sample, State};
