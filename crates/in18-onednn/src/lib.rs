//! The CPU kernel provider. oneDNN runs most convolutions, pooling and matrix products. Loops of
//! this crate run 3×3 convolutions of stride 1, weight gradients, batch normalisation and the rest,
//! on oneDNN's threads.
//!
//! Three layers: [`sys`] declares the C API, [`safe`] owns its objects and turns statuses into
//! errors, and `ops` compiles each [`Op`](in18_kernels::Op) into steps. [`OneDnn`] owns the memory
//! and runs the steps.
//!
//! Activations lie in blocks of channels (`nChw16c` with AVX-512, `nChw8c` below), the layout in
//! which oneDNN's convolutions are fastest. Activations with fewer channels than a block (the
//! input) are row-major. Parameters stay fp32 and row-major. Convolutions read copies of them in
//! other layouts, which are made again when the parameters have changed.

mod arena;
mod context;
mod finish;
mod fold;
mod integers;
mod isa;
mod layout;
mod ops;
mod packed;
mod product;
mod provider;
pub mod safe;
mod simd;
mod step;
pub mod sys;
mod threads;
mod vector;
mod weight_gradient;
mod winograd;

pub use provider::{OneDnn, is_vectorised};
