//! Convolution with batch normalisation folded in.

use in18_tensor::{Tensor, rounded};

use super::Operation;
use super::conv;
use super::elementwise::relu;
use super::memory::Memory;
use crate::KernelError;
use crate::op::{ConvNorm, ConvNormAddRelu, Window};

impl Operation for ConvNorm {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let sums = self.folded().sums(memory)?;
        let dst: Vec<f32> = sums.into_iter().map(|sum| if self.relu { relu(sum as f32) } else { sum as f32 }).collect();
        memory.store(&self.dst, &dst)
    }
}

impl Operation for ConvNormAddRelu {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (sums, addend) = (self.folded().sums(memory)?, memory.load(&self.dst)?);
        let dst: Vec<f32> =
            sums.into_iter().zip(addend).map(|(sum, addend)| relu((sum + f64::from(addend)) as f32)).collect();
        memory.store(&self.dst, &dst)
    }
}

impl ConvNorm {
    fn folded(&self) -> Folded<'_> {
        let ConvNorm { window, epsilon, ref src, ref weight, ref gamma, ref beta, ref running_mean, .. } = *self;
        let (running_variance, dst) = (&self.running_variance, &self.dst);
        Folded { window, epsilon, src, weight, gamma, beta, running_mean, running_variance, dst }
    }
}

impl ConvNormAddRelu {
    fn folded(&self) -> Folded<'_> {
        let ConvNormAddRelu { window, epsilon, ref src, ref weight, ref gamma, ref beta, ref running_mean, .. } = *self;
        let (running_variance, dst) = (&self.running_variance, &self.dst);
        Folded { window, epsilon, src, weight, gamma, beta, running_mean, running_variance, dst }
    }
}

/// The common part of both operations.
struct Folded<'a> {
    window: Window,
    epsilon: f32,
    src: &'a Tensor,
    weight: &'a Tensor,
    gamma: &'a Tensor,
    beta: &'a Tensor,
    running_mean: &'a Tensor,
    running_variance: &'a Tensor,
    dst: &'a Tensor,
}

impl Folded<'_> {
    /// Convolution and shift. The scale and the scaled weights are fp32, as every provider computes
    /// them.
    fn sums(&self, memory: &Memory) -> Result<Vec<f64>, KernelError> {
        let load = |tensor: &Tensor| memory.load(tensor);
        let (src, mut weight) = (load(self.src)?, load(self.weight)?);
        let (gamma, beta) = (load(self.gamma)?, load(self.beta)?);
        let (mean, variance) = (load(self.running_mean)?, load(self.running_variance)?);
        let scale = |o: usize| gamma[o] / (variance[o] + self.epsilon).sqrt();
        let taps = weight.len() / gamma.len();
        for (at, weight) in weight.iter_mut().enumerate() {
            *weight = rounded(self.src.dtype, *weight * scale(at / taps));
        }
        let shape = self.dst.shape;
        let shift = |at: usize| {
            let o = at / (shape[2] * shape[3]) % shape[1];
            f64::from(beta[o] - mean[o] * scale(o))
        };
        let mut sums: Vec<f64> = (0..shape.elements()).map(shift).collect();
        conv::each_row(self.src.shape, shape, self.window, |row| {
            let (sources, weight) = (row.sources(&src), f64::from(weight[row.weight]));
            sums[row.destination].iter_mut().zip(sources).for_each(|(sum, &src)| *sum += f64::from(src) * weight);
        });
        Ok(sums)
    }
}
