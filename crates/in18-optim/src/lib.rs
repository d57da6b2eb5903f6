//! The optimizer: which parameters are updated how. The arithmetic is the kernel provider's
//! ([`SgdUpdate`](in18_kernels::SgdUpdate)); the learning rate is the schedule's and comes in at every step.
#![forbid(unsafe_code)]

mod sgd;

pub use sgd::{Parameter, Sgd};
