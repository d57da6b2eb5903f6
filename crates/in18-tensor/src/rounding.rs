//! Rounding to the types that activations are stored in.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::DType;

/// A value as an element of this type holds it. Half-precision types round to the nearest value,
/// ties to even. Other types leave the value as it is. NaN stays NaN.
pub fn rounded(dtype: DType, value: f32) -> f32 {
    match dtype {
        DType::Bf16 => bf16::from_f32(value).to_f32(),
        DType::F16 => f16::from_f32(value).to_f32(),
        DType::F32 | DType::U8 | DType::I32 => value,
    }
}

/// Values as elements of this float type, rounded as by [`rounded`], in the machine's byte order.
///
/// # Panics
/// If the type is not a float type.
pub fn to_bytes(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F32 => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
        DType::Bf16 => {
            let mut halves = vec![bf16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            halves.into_iter().flat_map(bf16::to_ne_bytes).collect()
        }
        DType::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            halves.into_iter().flat_map(f16::to_ne_bytes).collect()
        }
        DType::U8 | DType::I32 => panic!("{dtype} is no type of floats"),
    }
}

/// The inverse of [`to_bytes`]. Bytes at the end that make no whole element are left out.
///
/// # Panics
/// If the type is not a float type.
pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        DType::F32 => bytes.as_chunks().0.iter().map(|element| f32::from_ne_bytes(*element)).collect(),
        DType::Bf16 => bytes.as_chunks().0.iter().map(|element| bf16::from_ne_bytes(*element).to_f32()).collect(),
        DType::F16 => bytes.as_chunks().0.iter().map(|element| f16::from_ne_bytes(*element).to_f32()).collect(),
        DType::U8 | DType::I32 => panic!("{dtype} is no type of floats"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_values() {
        let values: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) * 1.37e-3).collect();
        for dtype in [DType::F32, DType::Bf16, DType::F16] {
            let bytes = to_bytes(dtype, &values);
            assert_eq!(bytes.len(), values.len() * dtype.bytes());
            let expected: Vec<f32> = values.iter().map(|&value| rounded(dtype, value)).collect();
            assert_eq!(from_bytes(dtype, &bytes), expected);
        }
    }

    #[test]
    fn rounds_to_nearest_even() {
        // bfloat16 keeps 7 bits after the leading one, IEEE's half 10.
        for (dtype, bits) in [(DType::Bf16, 7), (DType::F16, 10)] {
            let ulp = 2f32.powi(-bits);
            let round = |value| rounded(dtype, value);
            assert_eq!(round(1.0), 1.0);
            assert_eq!(round(1.0 + ulp / 2.0), 1.0); // tie, goes to even
            assert_eq!(round(1.0 + 1.5 * ulp), 1.0 + 2.0 * ulp); // tie, goes to even
            assert_eq!(round(1.0 + 0.51 * ulp), 1.0 + ulp);
            assert_eq!(round(-0.0).to_bits(), (-0.0f32).to_bits());
            assert_eq!(round(f32::INFINITY), f32::INFINITY);
            assert!(round(f32::NAN).is_nan());
        }
        assert_eq!(rounded(DType::F16, 65520.0), f32::INFINITY);
        assert_eq!(rounded(DType::F16, 1e-8), 0.0);
        assert_eq!(rounded(DType::F32, 1.0 + f32::EPSILON), 1.0 + f32::EPSILON);
    }
}
