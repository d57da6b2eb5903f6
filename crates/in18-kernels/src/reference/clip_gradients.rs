//! The bound on the size of all gradients together: a norm in fp64, and products in fp32.

use super::Operation;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{ClipGradients, clip_factor};

impl Operation for ClipGradients {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let gradient_scale = f64::from(memory.load(&self.scalars)?[2]);
        let mut gradient = memory.load(&self.gradient)?;
        let factor = clip_factor(gradient_scale.abs() * norm(&gradient), self.max_norm) as f32;
        gradient.iter_mut().for_each(|g| *g *= factor);
        memory.store(&self.gradient, &gradient)
    }
}

/// The L2 norm.
pub(super) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}
