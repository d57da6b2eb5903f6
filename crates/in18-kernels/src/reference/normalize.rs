//! Pixels to the network's input.

use super::Operation;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{Normalize, PIXEL_DEVIATION, PIXEL_MEAN};

impl Operation for Normalize {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let plane = self.dst.shape[2] * self.dst.shape[3];
        let pixels = memory.load(&self.pixels)?;
        let normalised = pixels.iter().enumerate().map(|(i, &pixel)| {
            let channel = i / plane % PIXEL_MEAN.len();
            ((f64::from(pixel) - f64::from(PIXEL_MEAN[channel])) / f64::from(PIXEL_DEVIATION[channel])) as f32
        });
        let dst: Vec<f32> = normalised.collect();
        memory.store(&self.dst, &dst)
    }
}
