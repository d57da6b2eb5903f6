//! The optimizer: which parameters are updated how. It turns its rule into operations over a
//! model's state, and names the slots that it wants. The kernel provider does the arithmetic
//! ([`Sgd`](in18_kernels::op::Sgd)). The schedule brings what changes from step to step, such as
//! the learning rate.
#![forbid(unsafe_code)]

mod sgd;

pub use sgd::{Sgd, VELOCITY};
