//! Convolution and its gradients.
//!
//! A convolution is a sum of products `source · weight · destination's gradient` over one set of index triples.
//! [`each_product`] is the only place that knows the set; the three halves differ in which of the three they sum
//! into, so that the gradients are right if the forward half is.

use in18_tensor::Shape;

use super::check::Checker;
use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};

impl Operation for Conv {
    fn check(&self) -> Result<(), KernelError> {
        check("Conv", self.window, ("src", &self.src), ("weight", &self.weight), ("dst", &self.dst))
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let src = memory.load(&self.src)?;
        let weight = memory.load_weight(&self.weight, self.src.dtype)?;
        let mut dst = vec![0.0; self.dst.shape.elements()];
        each_product(self.src.shape, self.dst.shape, self.window, |s, w, d| {
            dst[d] += f64::from(src[s]) * f64::from(weight[w]);
        });
        memory.store(&self.dst, &to_f32(dst))
    }
}

impl Operation for ConvBackwardData {
    fn check(&self) -> Result<(), KernelError> {
        check("ConvBackwardData", self.window, ("dsrc", &self.dsrc), ("weight", &self.weight), ("ddst", &self.ddst))
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let weight = memory.load_weight(&self.weight, self.ddst.dtype)?;
        let ddst = memory.load(&self.ddst)?;
        let mut dsrc = vec![0.0; self.dsrc.shape.elements()];
        each_product(self.dsrc.shape, self.ddst.shape, self.window, |s, w, d| {
            dsrc[s] += f64::from(ddst[d]) * f64::from(weight[w]);
        });
        memory.store(&self.dsrc, &to_f32(dsrc))
    }
}

impl Operation for ConvBackwardWeight {
    fn check(&self) -> Result<(), KernelError> {
        check("ConvBackwardWeight", self.window, ("src", &self.src), ("dweight", &self.dweight), ("ddst", &self.ddst))
    }

    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let src = memory.load(&self.src)?;
        let ddst = memory.load(&self.ddst)?;
        let mut dweight = vec![0.0; self.dweight.shape.elements()];
        each_product(self.src.shape, self.ddst.shape, self.window, |s, w, d| {
            dweight[w] += f64::from(src[s]) * f64::from(ddst[d]);
        });
        memory.store(&self.dweight, &to_f32(dweight))
    }
}

/// Calls `product` with the flat indices (source, weight, destination) of every product of a convolution from
/// (N, I, H, W) to (N, O, H', W') with weights (O, I, K, K). Zeros around the image contribute none.
pub(super) fn each_product(src: Shape, dst: Shape, window: Window, mut product: impl FnMut(usize, usize, usize)) {
    let [n, inputs, h, w] = [src[0], src[1], src[2], src[3]];
    let [_, outputs, out_h, out_w] = [dst[0], dst[1], dst[2], dst[3]];
    let k = window.kernel;
    for image in 0..n {
        for o in 0..outputs {
            for i in 0..inputs {
                for ky in 0..k {
                    for kx in 0..k {
                        for y in 0..out_h {
                            let Some(sy) = source(y, ky, h, window) else { continue };
                            for x in 0..out_w {
                                let Some(sx) = source(x, kx, w, window) else { continue };
                                product(
                                    ((image * inputs + i) * h + sy) * w + sx,
                                    ((o * inputs + i) * k + ky) * k + kx,
                                    ((image * outputs + o) * out_h + y) * out_w + x,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The pixel under place `tap` of the window at output `place`, along one axis, or none in the padding.
fn source(place: usize, tap: usize, extent: usize, window: Window) -> Option<usize> {
    (place * window.stride + tap).checked_sub(window.padding).filter(|&pixel| pixel < extent)
}

type Named<'a> = (&'static str, &'a in18_tensor::Tensor);

pub(super) fn check(
    operation: &'static str,
    window: Window,
    (src_name, src): Named,
    (weight_name, weight): Named,
    (dst_name, dst): Named,
) -> Result<(), KernelError> {
    let checker = Checker::new(operation, src);
    checker.window(window)?;
    let [n, inputs, h, w] = checker.source(src_name, src)?;
    let [_, outputs, _, _] = checker.source(dst_name, dst)?;
    checker.parameter(weight_name, weight, &[outputs, inputs, window.kernel, window.kernel])?;
    checker.activation(dst_name, dst, &[n, outputs, window.output(h), window.output(w)])
}
