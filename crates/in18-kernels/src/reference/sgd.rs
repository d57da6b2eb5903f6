//! The update of one range of parameters, in fp32 and in the order of PyTorch's operations.

use super::memory::Memory;
use super::same_length;
use crate::{KernelError, SgdUpdate};

pub(super) fn update(memory: &mut Memory, update: &SgdUpdate) -> Result<(), KernelError> {
    let mut parameter = memory.load_region(update.parameter)?;
    let mut velocity = memory.load_region(update.velocity)?;
    let gradient = memory.load_region(update.gradient)?;
    same_length("velocities of an update", parameter.len(), velocity.len())?;
    same_length("gradients of an update", parameter.len(), gradient.len())?;
    for ((w, v), g) in parameter.iter_mut().zip(&mut velocity).zip(&gradient) {
        *v = update.momentum * *v + (update.gradient_scale * g + update.weight_decay * *w);
        *w -= update.rate * *v;
    }
    memory.store_region(update.parameter, &parameter)?;
    memory.store_region(update.velocity, &velocity)
}
