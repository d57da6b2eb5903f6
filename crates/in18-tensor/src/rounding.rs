//! Rounding to the types that activations are stored in.

use half::{bf16, f16};

use crate::DType;

/// A value as an element of this type holds it: rounded to the nearest (ties to even) where the type is a half-precision
/// one, and otherwise as it is. NaN stays NaN.
pub fn rounded(dtype: DType, value: f32) -> f32 {
    match dtype {
        DType::Bf16 => bf16::from_f32(value).to_f32(),
        DType::F16 => f16::from_f32(value).to_f32(),
        DType::F32 | DType::U8 | DType::I32 => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
