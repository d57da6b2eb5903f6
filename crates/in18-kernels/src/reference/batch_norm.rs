//! Batch normalisation: two passes over a channel, and the textbook gradient.

use in18_tensor::{Shape, Tensor};

use super::elementwise::relu;
use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{BatchNorm, BatchNormAddRelu, BatchNormBackward, BatchNormInference, BatchNormReluBackward};

impl Operation for BatchNorm {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        self.training().run(memory, |_, normalised| {
            let result = normalised as f32;
            if self.relu { relu(result) } else { result }
        })
    }
}

impl BatchNorm {
    fn training(&self) -> Training<'_> {
        let BatchNorm { epsilon, momentum, ref src, ref gamma, ref beta, ref running_mean, .. } = *self;
        let BatchNorm { ref running_variance, ref dst, ref mean, ref inverse_deviation, .. } = *self;
        Training { epsilon, momentum, src, gamma, beta, running_mean, running_variance, dst, mean, inverse_deviation }
    }
}

impl Operation for BatchNormAddRelu {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let addend = memory.load(&self.addend)?;
        self.training().run(memory, |i, normalised| relu((normalised + f64::from(addend[i])) as f32))
    }
}

impl BatchNormAddRelu {
    fn training(&self) -> Training<'_> {
        let BatchNormAddRelu { epsilon, momentum, ref src, ref gamma, ref beta, ref running_mean, .. } = *self;
        let BatchNormAddRelu { ref running_variance, ref dst, ref mean, ref inverse_deviation, .. } = *self;
        Training { epsilon, momentum, src, gamma, beta, running_mean, running_variance, dst, mean, inverse_deviation }
    }
}

/// The common part of both operations that use the batch's statistics.
struct Training<'a> {
    epsilon: f32,
    momentum: f32,
    src: &'a Tensor,
    gamma: &'a Tensor,
    beta: &'a Tensor,
    running_mean: &'a Tensor,
    running_variance: &'a Tensor,
    dst: &'a Tensor,
    mean: &'a Tensor,
    inverse_deviation: &'a Tensor,
}

impl Training<'_> {
    /// `result` gets an element's flat index and the element normalised, scaled and shifted. It
    /// returns the result.
    fn run(&self, memory: &mut Memory, result: impl Fn(usize, f64) -> f32) -> Result<(), KernelError> {
        let shape = self.src.shape;
        let src = memory.load(self.src)?;
        let gamma = memory.load(self.gamma)?;
        let beta = memory.load(self.beta)?;
        let mut running_mean = memory.load(self.running_mean)?;
        let mut running_variance = memory.load(self.running_variance)?;
        let mut dst = vec![0.0; src.len()];
        let mut means = vec![0.0; shape[1]];
        let mut inverse_deviations = vec![0.0; shape[1]];

        let n = (shape[0] * shape[2] * shape[3]) as f64;
        let unbiased = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
        let momentum = f64::from(self.momentum);
        for c in 0..shape[1] {
            let mean = channel(shape, c).map(|i| f64::from(src[i])).sum::<f64>() / n;
            let variance = channel(shape, c).map(|i| (f64::from(src[i]) - mean).powi(2)).sum::<f64>() / n;
            running_mean[c] = ((1.0 - momentum) * f64::from(running_mean[c]) + momentum * mean) as f32;
            running_variance[c] =
                ((1.0 - momentum) * f64::from(running_variance[c]) + momentum * variance * unbiased) as f32;
            // Compute from the statistics as they are saved, so that both halves use the very same
            // numbers.
            means[c] = mean as f32;
            inverse_deviations[c] = (variance + f64::from(self.epsilon)).sqrt().recip() as f32;
            let normalise = Normalise::new(means[c], inverse_deviations[c].into(), gamma[c], beta[c]);
            for i in channel(shape, c) {
                dst[i] = result(i, normalise.affine(src[i]));
            }
        }
        memory.store(self.running_mean, &running_mean)?;
        memory.store(self.running_variance, &running_variance)?;
        memory.store(self.dst, &dst)?;
        memory.store(self.mean, &means)?;
        memory.store(self.inverse_deviation, &inverse_deviations)
    }
}

impl Operation for BatchNormBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let ddst = memory.load(&self.ddst)?;
        self.gradient().run(memory, ddst)
    }
}

impl BatchNormBackward {
    fn gradient(&self) -> Gradient<'_> {
        let BatchNormBackward { ref src, ref gamma, ref mean, .. } = *self;
        let BatchNormBackward { ref inverse_deviation, ref dsrc, ref dgamma, ref dbeta, .. } = *self;
        Gradient { src, gamma, mean, inverse_deviation, dsrc, dgamma, dbeta }
    }
}

impl Operation for BatchNormReluBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (dst, ddst) = (memory.load(&self.dst)?, memory.load(&self.ddst)?);
        let passed = dst.iter().zip(ddst).map(|(&dst, ddst)| if dst > 0.0 { ddst } else { 0.0 });
        self.gradient().run(memory, passed.collect())
    }
}

impl BatchNormReluBackward {
    fn gradient(&self) -> Gradient<'_> {
        let BatchNormReluBackward { ref src, ref gamma, ref mean, .. } = *self;
        let BatchNormReluBackward { ref inverse_deviation, ref dsrc, ref dgamma, ref dbeta, .. } = *self;
        Gradient { src, gamma, mean, inverse_deviation, dsrc, dgamma, dbeta }
    }
}

/// The common part of both backward halves.
struct Gradient<'a> {
    src: &'a Tensor,
    gamma: &'a Tensor,
    mean: &'a Tensor,
    inverse_deviation: &'a Tensor,
    dsrc: &'a Tensor,
    dgamma: &'a Tensor,
    dbeta: &'a Tensor,
}

impl Gradient<'_> {
    /// Ioffe and Szegedy, section 3, after merging their sums: with x̂ the normalised source and g
    /// the gradient of the normalisation's result,
    /// `dsrc = gamma / σ · (g − mean(g) − x̂ · mean(g·x̂))`.
    fn run(&self, memory: &mut Memory, g: Vec<f32>) -> Result<(), KernelError> {
        let shape = self.src.shape;
        let src = memory.load(self.src)?;
        let gamma = memory.load(self.gamma)?;
        let mean = memory.load(self.mean)?;
        let inverse_deviation = memory.load(self.inverse_deviation)?;
        let mut dsrc = vec![0.0; src.len()];
        let mut dgamma = vec![0.0; shape[1]];
        let mut dbeta = vec![0.0; shape[1]];

        let n = (shape[0] * shape[2] * shape[3]) as f64;
        for c in 0..shape[1] {
            let normalise = Normalise::new(mean[c], inverse_deviation[c].into(), gamma[c], 0.0);
            dbeta[c] = channel(shape, c).map(|i| f64::from(g[i])).sum();
            dgamma[c] = channel(shape, c).map(|i| f64::from(g[i]) * normalise.normalised(src[i])).sum();
            for i in channel(shape, c) {
                let centred = f64::from(g[i]) - dbeta[c] / n - normalise.normalised(src[i]) * dgamma[c] / n;
                dsrc[i] = f64::from(gamma[c]) * normalise.inverse_deviation * centred;
            }
        }
        memory.store(self.dsrc, &to_f32(dsrc))?;
        memory.store(self.dgamma, &to_f32(dgamma))?;
        memory.store(self.dbeta, &to_f32(dbeta))
    }
}

impl Operation for BatchNormInference {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let shape = self.src.shape;
        let load = |tensor: &Tensor| memory.load(tensor);
        let (src, gamma, beta) = (load(&self.src)?, load(&self.gamma)?, load(&self.beta)?);
        let (mean, variance) = (load(&self.running_mean)?, load(&self.running_variance)?);
        let mut dst = vec![0.0; src.len()];
        for c in 0..shape[1] {
            let inverse_deviation = (f64::from(variance[c]) + f64::from(self.epsilon)).sqrt().recip();
            let normalise = Normalise::new(mean[c], inverse_deviation, gamma[c], beta[c]);
            for i in channel(shape, c) {
                let result = normalise.affine(src[i]) as f32;
                dst[i] = if self.relu { relu(result) } else { result };
            }
        }
        memory.store(&self.dst, &dst)
    }
}

/// The arithmetic of one channel, shared by all halves.
struct Normalise {
    mean: f64,
    /// 1 / √(variance + epsilon)
    inverse_deviation: f64,
    gamma: f64,
    beta: f64,
}

impl Normalise {
    fn new(mean: f32, inverse_deviation: f64, gamma: f32, beta: f32) -> Self {
        Normalise { mean: f64::from(mean), inverse_deviation, gamma: f64::from(gamma), beta: f64::from(beta) }
    }

    /// x̂
    fn normalised(&self, value: f32) -> f64 {
        (f64::from(value) - self.mean) * self.inverse_deviation
    }

    /// gamma · x̂ + beta
    fn affine(&self, value: f32) -> f64 {
        self.gamma * self.normalised(value) + self.beta
    }
}

/// The flat indices of a channel of (N, C, H, W).
fn channel(shape: Shape, c: usize) -> impl Iterator<Item = usize> {
    let pixels = shape[2] * shape[3];
    (0..shape[0]).flat_map(move |image| {
        let first = (image * shape[1] + c) * pixels;
        first..first + pixels
    })
}
