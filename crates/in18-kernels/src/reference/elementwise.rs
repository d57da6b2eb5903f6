//! Sums and ReLU. An output may lie over an input: everything is loaded before anything is stored.

use in18_tensor::Tensor;

use super::Operation;
use super::check::Checker;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{Add, AddRelu, ReluBackward, SumReluBackward};

/// `max(value, 0)`, except that NaN stays NaN, so that a run that has gone wrong shows it in its loss.
pub(super) fn relu(value: f32) -> f32 {
    if value <= 0.0 { 0.0 } else { value }
}

impl Operation for Add {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("Add", &[("a", &self.a), ("b", &self.b), ("dst", &self.dst)])
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (a, b) = (memory.load(&self.a)?, memory.load(&self.b)?);
        let dst: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        memory.store(&self.dst, &dst)
    }
}

impl Operation for AddRelu {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("AddRelu", &[("a", &self.a), ("b", &self.b), ("dst", &self.dst)])
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (a, b) = (memory.load(&self.a)?, memory.load(&self.b)?);
        let dst: Vec<f32> = a.iter().zip(&b).map(|(a, b)| relu(a + b)).collect();
        memory.store(&self.dst, &dst)
    }
}

impl Operation for ReluBackward {
    fn check(&self) -> Result<(), KernelError> {
        one_shape("ReluBackward", &[("dst", &self.dst), ("ddst", &self.ddst), ("dsrc", &self.dsrc)])
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (dst, ddst) = (memory.load(&self.dst)?, memory.load(&self.ddst)?);
        let dsrc: Vec<f32> = dst.iter().zip(&ddst).map(|(&dst, &ddst)| if dst > 0.0 { ddst } else { 0.0 }).collect();
        memory.store(&self.dsrc, &dsrc)
    }
}

impl Operation for SumReluBackward {
    fn check(&self) -> Result<(), KernelError> {
        let operands = [("dst", &self.dst), ("ddst_a", &self.ddst_a), ("ddst_b", &self.ddst_b), ("dsrc", &self.dsrc)];
        one_shape("SumReluBackward", &operands)
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let dst = memory.load(&self.dst)?;
        let (a, b) = (memory.load(&self.ddst_a)?, memory.load(&self.ddst_b)?);
        let sums = a.iter().zip(&b).map(|(a, b)| a + b);
        let dsrc: Vec<f32> = dst.iter().zip(sums).map(|(&dst, sum)| if dst > 0.0 { sum } else { 0.0 }).collect();
        memory.store(&self.dsrc, &dsrc)
    }
}

fn one_shape(operation: &'static str, operands: &[(&'static str, &Tensor)]) -> Result<(), KernelError> {
    let checker = Checker::new(operation, operands[0].1);
    let shape = checker.source(operands[0].0, operands[0].1)?;
    operands.iter().try_for_each(|(name, tensor)| checker.activation(name, tensor, &shape))
}
