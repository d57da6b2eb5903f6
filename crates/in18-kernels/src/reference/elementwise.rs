//! Sums and ReLU. An output may lie over an input: everything is loaded before anything is stored.

use super::Operation;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{Add, AddRelu, ReluBackward, SumReluBackward};

/// `max(value, 0)`, except that NaN stays NaN. A run that has gone wrong then shows it in its loss.
pub(super) fn relu(value: f32) -> f32 {
    if value <= 0.0 { 0.0 } else { value }
}

impl Operation for Add {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (a, b) = (memory.load(&self.a)?, memory.load(&self.b)?);
        let dst: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        memory.store(&self.dst, &dst)
    }
}

impl Operation for AddRelu {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (a, b) = (memory.load(&self.a)?, memory.load(&self.b)?);
        let dst: Vec<f32> = a.iter().zip(&b).map(|(a, b)| relu(a + b)).collect();
        memory.store(&self.dst, &dst)
    }
}

impl Operation for ReluBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (dst, ddst) = (memory.load(&self.dst)?, memory.load(&self.ddst)?);
        let dsrc: Vec<f32> = dst.iter().zip(&ddst).map(|(&dst, &ddst)| if dst > 0.0 { ddst } else { 0.0 }).collect();
        memory.store(&self.dsrc, &dsrc)
    }
}

impl Operation for SumReluBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let dst = memory.load(&self.dst)?;
        let (a, b) = (memory.load(&self.ddst_a)?, memory.load(&self.ddst_b)?);
        let sums = a.iter().zip(&b).map(|(a, b)| a + b);
        let dsrc: Vec<f32> = dst.iter().zip(sums).map(|(&dst, sum)| if dst > 0.0 { sum } else { 0.0 }).collect();
        memory.store(&self.dsrc, &dsrc)
    }
}
