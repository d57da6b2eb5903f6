//! Average pooling. Both halves visit the same squares.

use in18_tensor::Shape;

use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{AVG_POOL_SIDE, AvgPool, AvgPoolBackward};

impl Operation for AvgPool {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let src = memory.load(&self.src)?;
        let mut dst = vec![0.0; self.dst.shape.elements()];
        each_square(self.src.shape, self.dst.shape, |to, pixels| {
            let sum: f64 = pixels.iter().map(|&pixel| f64::from(src[pixel])).sum();
            dst[to] = sum / pixels.len() as f64;
        });
        memory.store(&self.dst, &to_f32(dst))
    }
}

impl Operation for AvgPoolBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let ddst = memory.load(&self.ddst)?;
        let mut dsrc = vec![0.0; self.dsrc.shape.elements()];
        each_square(self.dsrc.shape, self.ddst.shape, |to, pixels| {
            pixels.iter().for_each(|&pixel| dsrc[pixel] = f64::from(ddst[to]) / pixels.len() as f64);
        });
        memory.store(&self.dsrc, &to_f32(dsrc))
    }
}

/// Calls `visit(to, pixels)` for each pixel `to` of the result, with the pixels of the source that
/// lie in its square. Pixels are numbered over the whole batch.
fn each_square(src: Shape, dst: Shape, mut visit: impl FnMut(usize, &[usize])) {
    let [planes, h, w] = [src[0] * src[1], src[2], src[3]];
    let side = |at: usize, extent: usize| at * AVG_POOL_SIDE..((at + 1) * AVG_POOL_SIDE).min(extent);
    for plane in 0..planes {
        for y in 0..dst[2] {
            for x in 0..dst[3] {
                let rows = side(y, h);
                let pixels: Vec<usize> =
                    rows.flat_map(|sy| side(x, w).map(move |sx| (plane * h + sy) * w + sx)).collect();
                visit((plane * dst[2] + y) * dst[3] + x, &pixels);
            }
        }
    }
}
