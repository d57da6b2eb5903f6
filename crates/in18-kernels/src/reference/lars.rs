//! The update of a parameter by layer-wise adaptive rates: norms in fp64, the rest in fp32.

use super::Operation;
use super::clip_gradients::norm;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{Lars, lars_ratio};

impl Operation for Lars {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let scalars = memory.load(&self.scalars)?;
        let (rate, momentum, gradient_scale) = (scalars[0], scalars[1], scalars[2]);
        let (mut parameter, mut velocity) = (memory.load(&self.parameter)?, memory.load(&self.velocity)?);
        let gradient = memory.load(&self.gradient)?;
        let slope = f64::from(gradient_scale).abs() * norm(&gradient);
        let ratio = lars_ratio(norm(&parameter), slope, self.weight_decay, self.trust);
        let rate = (f64::from(rate) * ratio) as f32;
        for ((w, v), g) in parameter.iter_mut().zip(&mut velocity).zip(&gradient) {
            let step = rate * (gradient_scale * g + self.weight_decay * *w);
            *v = momentum * *v + step;
            *w -= if self.nesterov { step + momentum * *v } else { *v };
        }
        memory.store(&self.parameter, &parameter)?;
        memory.store(&self.velocity, &velocity)
    }
}
