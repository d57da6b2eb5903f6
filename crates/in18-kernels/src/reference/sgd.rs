//! The update of a range of parameters, in fp32 and in the order of PyTorch's operations.

use super::Operation;
use super::memory::Memory;
use crate::KernelError;
use crate::op::Sgd;

impl Operation for Sgd {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let scalars = memory.load(&self.scalars)?;
        let (rate, momentum, gradient_scale) = (scalars[0], scalars[1], scalars[2]);
        let (mut parameter, mut velocity) = (memory.load(&self.parameter)?, memory.load(&self.velocity)?);
        let gradient = memory.load(&self.gradient)?;
        for ((w, v), g) in parameter.iter_mut().zip(&mut velocity).zip(&gradient) {
            *v = momentum * *v + (gradient_scale * g + self.weight_decay * *w);
            *w -= rate * *v;
        }
        memory.store(&self.parameter, &parameter)?;
        memory.store(&self.velocity, &velocity)
    }
}
