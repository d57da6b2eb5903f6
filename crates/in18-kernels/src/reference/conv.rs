//! Convolution and its gradients.
//!
//! A convolution is a sum of products `source · weight · destination's gradient` over one set of
//! index triples. [`each_row`] is the only place that knows this set. The three halves differ only
//! in which of the three factors they sum into. If the forward half is right, the gradients are
//! right, too.

use std::ops::Range;

use in18_tensor::Shape;

use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};

impl Operation for Conv {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let src = memory.load(&self.src)?;
        let weight = memory.load_weight(&self.weight, self.src.dtype)?;
        let mut dst = vec![0.0; self.dst.shape.elements()];
        each_row(self.src.shape, self.dst.shape, self.window, |row| {
            let (sources, weight) = (row.sources(&src), f64::from(weight[row.weight]));
            dst[row.destination].iter_mut().zip(sources).for_each(|(dst, &src)| *dst += f64::from(src) * weight);
        });
        memory.store(&self.dst, &to_f32(dst))
    }
}

impl Operation for ConvBackwardData {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let weight = memory.load_weight(&self.weight, self.ddst.dtype)?;
        let ddst = memory.load(&self.ddst)?;
        let mut dsrc = vec![0.0; self.dsrc.shape.elements()];
        each_row(self.dsrc.shape, self.ddst.shape, self.window, |row| {
            let (step, weight) = (row.step, f64::from(weight[row.weight]));
            let sources = dsrc[row.source..].iter_mut().step_by(step);
            sources.zip(&ddst[row.destination]).for_each(|(dsrc, &ddst)| *dsrc += f64::from(ddst) * weight);
        });
        memory.store(&self.dsrc, &to_f32(dsrc))
    }
}

impl Operation for ConvBackwardWeight {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let src = memory.load(&self.src)?;
        let ddst = memory.load(&self.ddst)?;
        let mut dweight = vec![0.0; self.dweight.shape.elements()];
        each_row(self.src.shape, self.ddst.shape, self.window, |row| {
            let products = row.sources(&src).zip(&ddst[row.destination.clone()]);
            let dweight = &mut dweight[row.weight];
            products.for_each(|(&src, &ddst)| *dweight += f64::from(src) * f64::from(ddst));
        });
        memory.store(&self.dweight, &to_f32(dweight))
    }
}

/// Products of one weight with neighbours in a row of the destination, as flat indices.
pub(super) struct Row {
    /// The source of the first product.
    source: usize,
    /// The distance from one source to the next.
    step: usize,
    pub(super) weight: usize,
    pub(super) destination: Range<usize>,
}

impl Row {
    /// The sources in order, one for each place in the destination.
    pub(super) fn sources<'a>(&self, src: &'a [f32]) -> impl Iterator<Item = &'a f32> + use<'a> {
        src[self.source..].iter().step_by(self.step).take(self.destination.len())
    }
}

/// Calls `row` with every row of products of a convolution from (N, I, H, W) to (N, O, H', W') with
/// weights (O, I, K, K). Zeros around the image contribute none.
pub(super) fn each_row(src: Shape, dst: Shape, window: Window, mut row: impl FnMut(Row)) {
    let [n, inputs, h, w] = [src[0], src[1], src[2], src[3]];
    let [_, outputs, out_h, out_w] = [dst[0], dst[1], dst[2], dst[3]];
    let k = window.kernel;
    for image in 0..n {
        for o in 0..outputs {
            for i in 0..inputs {
                for ky in 0..k {
                    for kx in 0..k {
                        let mut columns = (0..out_w).filter(|&x| source(x, kx, w, window).is_some());
                        let Some(first) = columns.next() else { continue };
                        let last = columns.next_back().unwrap_or(first);
                        for y in 0..out_h {
                            let Some(sy) = source(y, ky, h, window) else { continue };
                            let place = ((image * outputs + o) * out_h + y) * out_w;
                            row(Row {
                                source: ((image * inputs + i) * h + sy) * w + first * window.stride + kx
                                    - window.padding,
                                step: window.stride,
                                weight: ((o * inputs + i) * k + ky) * k + kx,
                                destination: place + first..place + last + 1,
                            });
                        }
                    }
                }
            }
        }
    }
}

/// The pixel under place `tap` of the window at output `place`, along one axis, or none in the
/// padding.
fn source(place: usize, tap: usize, extent: usize, window: Window) -> Option<usize> {
    (place * window.stride + tap).checked_sub(window.padding).filter(|&pixel| pixel < extent)
}
