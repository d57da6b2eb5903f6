//! What a tensor *is*, without saying how anything computes on it: element type, shape, memory format and
//! the region of planned memory where it lies.
//!
//! This crate sits below both the programs that plan memory and the kernel providers that own it, so it
//! knows neither: an [`ArenaId`] is a number that only a provider can turn into memory.
#![forbid(unsafe_code)]

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
