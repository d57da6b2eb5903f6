//! Networks, and their compilation into flat lists of operations over planned memory.
//!
//! * [`Network`]: a network as data, a list of layers with torchvision's parameter names. Knows no
//!   hardware and no image size. [`Arch`] names the networks that there are.
//! * [`layers`]: all that is known about a layer, in one file for each.
//! * [`ParameterTable`]: what survives a step, by name, laid out in flat arenas.
//! * [`lower`]: a network at one batch size, height and width becomes a forward and a backward list
//!   of operations.
//! * [`plan`]: places what lives only during a step in one arena, by lifetime.
//! * [`Slot`]s: a model's state by name; [`Update`]: what a step does to it; [`Average`]: what is
//!   kept of it over the steps.
//! * [`Model`]: a network's state on a kernel provider, and its programs by size.
//!
//! This crate knows no provider but through the [`Kernels`](in18_kernels::Kernels) trait, and no
//! ranks.
#![forbid(unsafe_code)]

mod average;
mod error;
pub mod initial;
pub mod layers;
mod loss;
pub mod lower;
mod model;
mod network;
mod networks;
pub mod onnx;
pub mod plan;
mod state;
mod table;
mod update;

pub use average::{Average, EMA_PREFIX};
pub use error::ProgramError;
pub use in18_kernels::{DeviceMemory, Op};
pub use loss::Loss;
pub use model::{Input, Metrics, MixedIn, Mode, Model, PendingMetrics, Size, Targets};
pub use network::{Network, Node, NodeId};
pub use networks::{Arch, BlurPooling, Shortcut, Stem};
pub use state::{Layout, ModelState, PARAMETERS, STATISTICS, Slot, StateTables};
pub use table::{Entry, ParameterTable, Role};
pub use update::{Update, UpdateOperand, UpdateScalars};
