//! The classifier, in fp32 whatever the activations are.

use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{Linear, LinearBackwardData, LinearBackwardWeight};

impl Operation for Linear {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let [n, c, k] = [self.src.shape[0], self.src.shape[1], self.dst.shape[1]];
        let (src, weight, bias) = (memory.load(&self.src)?, memory.load(&self.weight)?, memory.load(&self.bias)?);
        let mut dst = vec![0.0; n * k];
        for image in 0..n {
            for class in 0..k {
                let products = (0..c).map(|i| f64::from(src[image * c + i]) * f64::from(weight[class * c + i]));
                dst[image * k + class] = products.sum::<f64>() + f64::from(bias[class]);
            }
        }
        memory.store(&self.dst, &to_f32(dst))
    }
}

impl Operation for LinearBackwardData {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let [n, c, k] = [self.dsrc.shape[0], self.dsrc.shape[1], self.ddst.shape[1]];
        let (weight, ddst) = (memory.load(&self.weight)?, memory.load(&self.ddst)?);
        let mut dsrc = vec![0.0; n * c];
        for image in 0..n {
            for i in 0..c {
                let products =
                    (0..k).map(|class| f64::from(ddst[image * k + class]) * f64::from(weight[class * c + i]));
                dsrc[image * c + i] = products.sum();
            }
        }
        memory.store(&self.dsrc, &to_f32(dsrc))
    }
}

impl Operation for LinearBackwardWeight {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let [n, c, k] = [self.src.shape[0], self.src.shape[1], self.ddst.shape[1]];
        let (src, ddst) = (memory.load(&self.src)?, memory.load(&self.ddst)?);
        let mut dweight = vec![0.0; k * c];
        let mut dbias = vec![0.0; k];
        for class in 0..k {
            let gradient = |image: usize| f64::from(ddst[image * k + class]);
            for i in 0..c {
                dweight[class * c + i] = (0..n).map(|image| gradient(image) * f64::from(src[image * c + i])).sum();
            }
            dbias[class] = (0..n).map(gradient).sum();
        }
        memory.store(&self.dweight, &to_f32(dweight))?;
        memory.store(&self.dbias, &to_f32(dbias))
    }
}
