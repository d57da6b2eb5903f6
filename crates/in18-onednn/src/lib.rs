//! The CPU kernel provider: most convolutions, pooling and matrix products by oneDNN; 3×3 convolutions of
//! stride 1, weight gradients, batch normalisation and the rest by loops of its own on the same threads.
//!
//! Three layers: [`sys`] declares the C API, [`safe`] owns its objects and turns statuses into errors, and `ops`
//! compiles each [`Op`](in18_kernels::Op) of the vocabulary into steps. [`OneDnn`] owns the memory and runs them.
//!
//! Activations lie in blocks of channels (`nChw16c` with AVX-512, `nChw8c` below), which oneDNN's convolutions run
//! fastest on; those with fewer channels than a block (the input) are row-major. Parameters stay fp32 and
//! row-major; the copies that convolutions want are made when the parameters have changed.

mod arena;
mod finish;
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
mod weights;
mod winograd;

pub use provider::{OneDnn, is_vectorised};
