//! Max pooling and the global mean.

use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{GlobalAvgPool, GlobalAvgPoolBackward, MaxPool, MaxPoolBackward, Window};

impl Operation for MaxPool {
    /// NaN counts as the largest value, so that it shows in the loss.
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let (from, to) = (self.src.shape, self.dst.shape);
        let [planes, h, w] = [from[0] * from[1], from[2], from[3]];
        let src = memory.load(&self.src)?;
        let mut dst = Vec::with_capacity(to.elements());
        let mut indices = Vec::with_capacity(to.elements());
        for plane in 0..planes {
            for y in 0..to[2] {
                for x in 0..to[3] {
                    let mut best: Option<usize> = None;
                    for sy in pixels(y, h, self.window) {
                        for sx in pixels(x, w, self.window) {
                            let here = (plane * h + sy) * w + sx;
                            if best.is_none_or(|best| beats(src[here], src[best])) {
                                best = Some(here);
                            }
                        }
                    }
                    // Operands were checked: the padding is smaller than the window, so every place
                    // holds a pixel.
                    let best = best.unwrap_or_default();
                    dst.push(src[best]);
                    indices.push(best);
                }
            }
        }
        memory.store(&self.dst, &dst)?;
        memory.store_indices(&self.workspace, &indices)
    }
}

impl Operation for MaxPoolBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let ddst = memory.load(&self.ddst)?;
        let indices = memory.load_indices(&self.workspace, ddst.len())?;
        let mut dsrc = vec![0.0; self.dsrc.shape.elements()];
        for (&gradient, &index) in ddst.iter().zip(&indices) {
            let place = dsrc.get_mut(index).ok_or_else(|| KernelError::Operand {
                operation: "MaxPoolBackward",
                operand: "workspace",
                expected: "what MaxPool left there".to_owned(),
                got: format!("index {index} into {}", self.dsrc.shape),
            })?;
            *place += f64::from(gradient);
        }
        memory.store(&self.dsrc, &to_f32(dsrc))
    }
}

impl Operation for GlobalAvgPool {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let pixels = self.src.shape[2] * self.src.shape[3];
        let src = memory.load(&self.src)?;
        let means = src.chunks_exact(pixels).map(|plane| plane.iter().map(|&v| f64::from(v)).sum::<f64>());
        memory.store(&self.dst, &to_f32(means.map(|sum| sum / pixels as f64).collect()))
    }
}

impl Operation for GlobalAvgPoolBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let pixels = self.dsrc.shape[2] * self.dsrc.shape[3];
        let ddst = memory.load(&self.ddst)?;
        let shares = ddst.iter().map(|&gradient| f64::from(gradient) / pixels as f64);
        memory.store(&self.dsrc, &to_f32(shares.flat_map(|share| std::iter::repeat_n(share, pixels)).collect()))
    }
}

/// The pixels under the window at output `place`, along one axis, without the padding.
fn pixels(place: usize, extent: usize, window: Window) -> impl Iterator<Item = usize> {
    let first = place * window.stride;
    (first..first + window.kernel).filter_map(move |padded| {
        let pixel = padded.checked_sub(window.padding)?;
        (pixel < extent).then_some(pixel)
    })
}

/// Whether a later value replaces the best so far. An equal value does not: the first one stays.
fn beats(value: f32, best: f32) -> bool {
    value > best || (value.is_nan() && !best.is_nan())
}
