//! The commands, one file each.

mod bench;
mod compare;
mod data;
mod dawn;
mod demo;
mod dry_run;
mod engines;
mod eval;
mod export;
mod predict;
mod recipes;
mod report;
mod train;
mod watch;

pub use bench::bench;
pub use compare::compare;
pub use data::data;
pub use dawn::dawn;
pub use demo::demo;
pub use dry_run::dry_run;
pub use engines::engines;
pub use eval::eval;
pub use export::export;
pub use predict::predict;
pub use recipes::recipes;
pub use report::report;
pub use train::train;
pub use watch::watch;
