//! Pixels to the network's input.

use in18_tensor::{DType, Format};

use super::Operation;
use super::check::Checker;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{Normalize, PIXEL_DEVIATION, PIXEL_MEAN};

impl Operation for Normalize {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("Normalize", &self.dst);
        let [n, _, h, w] = checker.source("dst", &self.dst)?;
        let shape = [n, PIXEL_MEAN.len(), h, w];
        checker.activation("dst", &self.dst, &shape)?;
        checker.tensor("pixels", &self.pixels, &shape, DType::U8, Format::ChannelsLast)
    }

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
