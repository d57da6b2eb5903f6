//! A tensor: where it lies and how its bytes are to be read.

use crate::{DType, Region, Shape};

/// The order of a tensor's elements in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Row-major in the order of the shape's extents. Parameters, statistics, logits, labels.
    Plain,
    /// Row-major (N, H, W, C), though the shape says (N, C, H, W). The pixels of a batch.
    ChannelsLast,
    /// The order in which the kernel provider computes fastest, for (N, C, H, W) activations and
    /// their gradients. The provider says how many bytes it takes. Nobody else can read those
    /// bytes.
    Activation,
}

/// A tensor in planned memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    /// Where it lies.
    pub region: Region,
    /// Its logical extents.
    pub shape: Shape,
    /// The type of its elements.
    pub dtype: DType,
    /// The order of its elements.
    pub format: Format,
}
