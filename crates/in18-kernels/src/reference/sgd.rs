//! The update of a range of parameters, in fp32 and in the order of PyTorch's operations.

use super::Operation;
use super::memory::Memory;
use crate::KernelError;
use crate::op::Sgd;

impl Operation for Sgd {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let scalars = memory.load(&self.scalars)?;
        let (rate, momentum, gradient_scale) = (scalars[0], scalars[1], scalars[2]);
        let (penalty, kept) = match self.decoupled {
            false => (self.weight_decay, 1.0),
            true => (0.0, (1.0 - f64::from(scalars[3]) * f64::from(self.weight_decay)) as f32),
        };
        let (mut parameter, mut velocity) = (memory.load(&self.parameter)?, memory.load(&self.velocity)?);
        let gradient = memory.load(&self.gradient)?;
        for ((w, v), g) in parameter.iter_mut().zip(&mut velocity).zip(&gradient) {
            let d = gradient_scale * g + penalty * *w;
            *v = momentum * *v + d;
            let step = if self.nesterov { d + momentum * *v } else { *v };
            *w = kept * *w - rate * step;
        }
        memory.store(&self.parameter, &parameter)?;
        memory.store(&self.velocity, &velocity)
    }
}
