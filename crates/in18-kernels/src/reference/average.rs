//! The running average of a range of numbers, in fp32.

use super::Operation;
use super::memory::Memory;
use crate::KernelError;
use crate::op::Average;

impl Operation for Average {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let kept = memory.load(&self.kept)?[0];
        let (value, mut average) = (memory.load(&self.value)?, memory.load(&self.average)?);
        for (average, value) in average.iter_mut().zip(&value) {
            *average = kept * *average + (1.0 - kept) * value;
        }
        memory.store(&self.average, &average)
    }
}
