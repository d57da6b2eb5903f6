//! One file a command.

mod bench;
mod demo;
mod dry_run;
mod eval;
mod export;
mod predict;
mod recipes;
mod train;

pub use bench::bench;
pub use demo::demo;
pub use dry_run::dry_run;
pub use eval::eval;
pub use export::export;
pub use predict::predict;
pub use recipes::recipes;
pub use train::train;
