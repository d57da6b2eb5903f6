//! What an operation costs: arithmetic and memory traffic, from its shapes alone.

use in18_tensor::Tensor;

use super::Op;

impl Op<Tensor> {
    /// Floating-point operations of convolutions and linear maps: a multiplication and an addition
    /// count as two. Padding counts as if it were pixels, as in the published figures (ResNet-50 at
    /// 224 px: 4.09 · 10⁹ pairs, He et al. 2015). All other operations are bound by memory and
    /// count 0.
    pub fn flops(&self) -> u64 {
        let product = |outputs: &Tensor, weight: &Tensor| {
            // Every output sums over the weight's elements of its channel.
            let taps = weight.shape.elements() / weight.shape[0];
            2 * outputs.shape.elements() as u64 * taps as u64
        };
        match self {
            Op::Conv(op) => product(&op.dst, &op.weight),
            Op::ConvNorm(op) => product(&op.dst, &op.weight),
            Op::ConvNormAddRelu(op) => product(&op.dst, &op.weight),
            Op::ConvBackwardData(op) => product(&op.ddst, &op.weight),
            Op::ConvBackwardWeight(op) => product(&op.ddst, &op.dweight),
            Op::Linear(op) => product(&op.dst, &op.weight),
            Op::LinearBackwardData(op) => product(&op.ddst, &op.weight),
            Op::LinearBackwardWeight(op) => product(&op.ddst, &op.dweight),
            _ => 0,
        }
    }

    /// Bytes of its operands, each read or written once: the least that must move if caches keep
    /// nothing.
    pub fn traffic(&self) -> u64 {
        self.reads().iter().chain(&self.writes()).map(|tensor| tensor.region.bytes as u64).sum()
    }

    /// Its kind and its shapes, in a few words. Operations with equal labels cost the same.
    pub fn label(&self) -> String {
        let windowed = |src: &Tensor, weight: &Tensor, dst: &Tensor, stride: usize| {
            let [kernel, channels] = [weight.shape[2], dst.shape[1]];
            let stride = if stride == 1 { String::new() } else { format!("/{stride}") };
            format!("{} {}, {kernel}x{kernel}{stride} to {channels}", self.name(), src.shape)
        };
        match self {
            Op::Conv(op) => windowed(&op.src, &op.weight, &op.dst, op.window.stride),
            Op::ConvNorm(op) => windowed(&op.src, &op.weight, &op.dst, op.window.stride),
            Op::ConvNormAddRelu(op) => windowed(&op.src, &op.weight, &op.dst, op.window.stride),
            Op::ConvBackwardData(op) => windowed(&op.dsrc, &op.weight, &op.ddst, op.window.stride),
            Op::ConvBackwardWeight(op) => windowed(&op.src, &op.dweight, &op.ddst, op.window.stride),
            Op::BatchNorm(op) if op.relu => format!("{} {}, ReLU", self.name(), op.src.shape),
            _ => match self.reads().iter().chain(&self.writes()).find(|tensor| tensor.shape.rank() > 1) {
                Some(tensor) => format!("{} {}", self.name(), tensor.shape),
                None => self.name().to_owned(),
            },
        }
    }
}
