//! Attributes as numbers, for providers that call operations by name.

use super::Window;

/// A type that attributes may have.
pub(super) trait Attribute {
    /// Its numbers.
    fn numbers(self) -> Vec<f64>;
}

impl Attribute for f32 {
    fn numbers(self) -> Vec<f64> {
        vec![f64::from(self)]
    }
}

impl Attribute for bool {
    fn numbers(self) -> Vec<f64> {
        vec![f64::from(u8::from(self))]
    }
}

impl Attribute for usize {
    fn numbers(self) -> Vec<f64> {
        vec![self as f64]
    }
}

impl Attribute for Window {
    fn numbers(self) -> Vec<f64> {
        [self.kernel, self.stride, self.padding].map(|number| number as f64).to_vec()
    }
}
