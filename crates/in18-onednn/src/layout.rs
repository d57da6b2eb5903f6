//! The memory layouts of tensors, in oneDNN's terms.

use in18_kernels::KernelError;
use in18_tensor::{DType, Format, Shape, Tensor};

use crate::isa::{includes, library_isa};
use crate::safe::{MemoryDesc, PROVIDER};
use crate::sys;

/// The layout of activations on this CPU.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Channels per block: as many as a vector has fp32 lanes.
    pub block: usize,
}

impl Layout {
    /// The layout that oneDNN's convolutions prefer on this CPU.
    pub fn detect() -> Self {
        Layout { block: if includes(library_isa(), sys::ISA_AVX512_CORE) { 16 } else { 8 } }
    }

    /// Whether an activation of `channels` lies in blocks. Otherwise it is row-major, which the
    /// fast code of the first convolution needs.
    pub fn is_blocked(&self, channels: usize) -> bool {
        channels >= self.block
    }

    /// The description of an (N, C, H, W) activation.
    pub fn activation(&self, shape: Shape, dtype: DType) -> Result<MemoryDesc, KernelError> {
        let tag = match (self.is_blocked(shape[1]), self.block) {
            (false, _) => sys::ABCD,
            (true, 16) => sys::ABCD_BLOCKED_16B,
            (true, _) => sys::ABCD_BLOCKED_8B,
        };
        MemoryDesc::new(shape.extents(), data_type(dtype)?, tag)
    }

    /// Bytes of an (N, C, H, W) activation, with channels padded to whole blocks. Computed without
    /// the library.
    pub fn activation_bytes(&self, shape: Shape, dtype: DType) -> usize {
        let channels = if self.is_blocked(shape[1]) { shape[1].div_ceil(self.block) * self.block } else { shape[1] };
        shape[0] * channels * shape[2] * shape[3] * dtype.bytes()
    }

    /// The description of any tensor whose type oneDNN computes on.
    pub fn describe(&self, tensor: &Tensor) -> Result<MemoryDesc, KernelError> {
        match tensor.format {
            Format::Activation => self.activation(tensor.shape, tensor.dtype),
            Format::Plain => plain(tensor.shape.extents(), tensor.dtype),
            Format::ChannelsLast => MemoryDesc::new(tensor.shape.extents(), data_type(tensor.dtype)?, sys::ACDB),
        }
    }
}

/// A row-major description.
pub fn plain(extents: &[usize], dtype: DType) -> Result<MemoryDesc, KernelError> {
    let tag = match extents.len() {
        1 => sys::A,
        2 => sys::AB,
        4 => sys::ABCD,
        rank => return Err(unsupported(format!("row-major tensors of rank {rank}"))),
    };
    MemoryDesc::new(extents, data_type(dtype)?, tag)
}

/// oneDNN's constant for an element type.
pub fn data_type(dtype: DType) -> Result<sys::data_type, KernelError> {
    match dtype {
        DType::F32 => Ok(sys::F32),
        DType::Bf16 => Ok(sys::BF16),
        DType::F16 | DType::U8 | DType::I32 => Err(unsupported(format!("arithmetic on {dtype}"))),
    }
}

fn unsupported(what: String) -> KernelError {
    KernelError::Unsupported { provider: PROVIDER, what, remedy: "this is an error of the caller" }
}
