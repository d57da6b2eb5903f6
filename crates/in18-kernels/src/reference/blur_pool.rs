//! BlurPool. Both halves visit the same pairs of pixels.

use in18_tensor::Shape;

use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{BLUR_TAPS, BlurPool, BlurPoolBackward};

impl Operation for BlurPool {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let src = memory.load(&self.src)?;
        let mut dst = vec![0.0; self.dst.shape.elements()];
        each_pair(self.src.shape, self.dst.shape, self.stride, |from, to, weight| {
            dst[to] += weight * f64::from(src[from]);
        });
        memory.store(&self.dst, &to_f32(dst))
    }
}

impl Operation for BlurPoolBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let ddst = memory.load(&self.ddst)?;
        let mut dsrc = vec![0.0; self.dsrc.shape.elements()];
        each_pair(self.dsrc.shape, self.ddst.shape, self.stride, |from, to, weight| {
            dsrc[from] += weight * f64::from(ddst[to]);
        });
        memory.store(&self.dsrc, &to_f32(dsrc))
    }
}

/// Calls `visit(from, to, weight)` for each pixel `to` of the result and each pixel `from` of the
/// source under the filter there. Pixels are numbered over the whole batch.
fn each_pair(src: Shape, dst: Shape, stride: usize, mut visit: impl FnMut(usize, usize, f64)) {
    let [planes, h, w] = [src[0] * src[1], src[2], src[3]];
    for plane in 0..planes {
        for y in 0..dst[2] {
            for x in 0..dst[3] {
                let to = (plane * dst[2] + y) * dst[3] + x;
                for (sy, down) in taps(y * stride, h) {
                    for (sx, across) in taps(x * stride, w) {
                        visit((plane * h + sy) * w + sx, to, down * across);
                    }
                }
            }
        }
    }
}

/// The pixels under the filter around `centre` along one axis, without the padding, and their
/// weights.
fn taps(centre: usize, extent: usize) -> impl Iterator<Item = (usize, f64)> {
    BLUR_TAPS.into_iter().enumerate().filter_map(move |(tap, weight)| {
        let pixel = (centre + tap).checked_sub(1)?;
        (pixel < extent).then_some((pixel, f64::from(weight)))
    })
}
