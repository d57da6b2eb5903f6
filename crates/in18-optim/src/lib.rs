//! The optimizer: which parameters are updated how. It turns its rule into operations over a model's state and names the
//! state that it wants; the arithmetic is the kernel provider's ([`Sgd`](in18_kernels::op::Sgd)), and what changes from step to
//! step, such as the learning rate, is the schedule's.
#![forbid(unsafe_code)]

mod sgd;

pub use sgd::{Sgd, VELOCITY};
