//! Converts pixels and labels to and from fp32 values in logical order, for `import` and `export`.
//! oneDNN's reorders would round and saturate, but these copies must be exact.

use in18_tensor::{DType, Format, Tensor};

/// The bytes of the tensor that holds these row-major values.
pub fn to_bytes(tensor: &Tensor, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * tensor.dtype.bytes()];
    for (logical, &value) in values.iter().enumerate() {
        let at = stored_index(tensor, logical);
        match tensor.dtype {
            DType::U8 => bytes[at] = value as u8,
            _ => bytes[4 * at..4 * at + 4].copy_from_slice(&(value as i32).to_ne_bytes()),
        }
    }
    bytes
}

/// The row-major values of the tensor with these bytes.
pub fn from_bytes(tensor: &Tensor, bytes: &[u8]) -> Vec<f32> {
    let value = |at: usize| match tensor.dtype {
        DType::U8 => f32::from(bytes[at]),
        _ => i32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * at + byte])) as f32,
    };
    (0..tensor.shape.elements()).map(|logical| value(stored_index(tensor, logical))).collect()
}

/// The position in memory of the element with this row-major index.
fn stored_index(tensor: &Tensor, logical: usize) -> usize {
    if tensor.format != Format::ChannelsLast {
        return logical;
    }
    let (channels, pixels) = (tensor.shape[1], tensor.shape[2] * tensor.shape[3]);
    let (image, rest) = (logical / (channels * pixels), logical % (channels * pixels));
    (image * pixels + rest % pixels) * channels + rest / pixels
}
