//! What a tensor *is*: its element type, its shape, its memory format, and the region of planned
//! memory where it lies. Nothing here says how anything computes on it.
//!
//! This crate sits below the programs that plan memory and below the kernel providers that own
//! memory. It knows neither. An [`ArenaId`] is a number that only a provider can turn into memory.
#![deny(unsafe_code)]

mod dtype;
mod range;
mod region;
mod rounding;
mod shape;
mod tensor;

pub use dtype::DType;
pub use range::MemoryRange;
pub use region::{ALIGNMENT, ArenaId, Region, align_up};
pub use rounding::{from_bytes, rounded, to_bytes};
pub use shape::{MAX_RANK, Shape};
pub use tensor::{Format, Tensor};
