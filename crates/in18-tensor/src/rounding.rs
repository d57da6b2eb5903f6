//! Rounding to bfloat16, which is the upper half of an IEEE single.

/// Rounds to the nearest bfloat16 (ties to even) and returns it as a single. NaN stays NaN.
///
/// The integer form is Intel's: add half a unit of the last kept place, plus one if that place is odd
/// (*BFLOAT16 Hardware Numerics Definition*, 2018, section 2).
pub fn round_to_bf16(value: f32) -> f32 {
    if value.is_nan() {
        return f32::NAN;
    }
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    f32::from_bits(rounded & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_nearest_even() {
        let ulp = 2f32.powi(-7); // bfloat16 keeps 7 bits after the leading one
        assert_eq!(round_to_bf16(1.0), 1.0);
        assert_eq!(round_to_bf16(1.0 + ulp / 2.0), 1.0); // tie, goes to even
        assert_eq!(round_to_bf16(1.0 + 1.5 * ulp), 1.0 + 2.0 * ulp); // tie, goes to even
        assert_eq!(round_to_bf16(1.0 + 0.51 * ulp), 1.0 + ulp);
        assert_eq!(round_to_bf16(-0.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!(round_to_bf16(f32::INFINITY), f32::INFINITY);
        assert!(round_to_bf16(f32::NAN).is_nan());
    }
}
