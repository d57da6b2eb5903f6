//! A tensor in fifteen numbers, and how far another tensor is from the one that they describe.
//!
//! * The norm.
//! * A *sketch*: eight projections on vectors of random signs. Projections are linear, and the mean
//!   square of a vector's projections on random signs is an unbiased estimate of its squared norm
//!   (Johnson and Lindenstrauss; Achlioptas 2003). So the difference of two tensors' sketches
//!   estimates the distance between the tensors, and neither has to be stored. A permuted,
//!   transposed, scaled or sign-flipped tensor is far; a rounded one is near. With eight
//!   projections, the estimate is within a factor of 2 of the distance for all but one tensor in
//!   ten thousand.
//! * Six elements at random places, which show what is wrong; a sketch only shows that something
//!   is.

use std::fmt;

use serde::Deserialize;

use super::GoldenError;
use crate::generator::{bits, stream};

/// How much further single elements may deviate than the tensor: errors have heavy tails.
const ELEMENT_ALLOWANCE: f64 = 10.0;

/// How many times PyTorch's own bfloat16 error another bfloat16 implementation may have on a
/// tensor: 2 for the sketch's uncertainty, times 1.5 for rounding in other places.
const BF16_ALLOWANCE: f64 = 3.0;

/// Added to that tolerance: one rounding to bfloat16. Otherwise a tensor on which PyTorch was lucky
/// would have hardly any tolerance.
const BF16_FLOOR: f64 = 1.0 / 256.0;

const SKETCHES: usize = 8;

/// The summary of a reference tensor.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    /// The tensor's name in torchvision.
    pub name: String,
    /// The tensor's shape in torchvision; convolutions are (O, I, KH, KW).
    pub shape: Vec<usize>,
    /// Euclidean norm.
    pub norm: f64,
    sketch: [f64; SKETCHES],
    samples: Vec<f64>,
    /// Relative distance (L2) of PyTorch's float32 result, the worst of several runs.
    pub fp32: f64,
    /// Relative distance (L2) of PyTorch's result under bfloat16 autocast.
    pub bf16: f64,
}

/// Reference logits: a summary of all, and enough values to see what is wrong.
#[derive(Clone, Debug, Deserialize)]
pub struct Logits {
    /// Summary of all logits, (N, classes).
    pub summary: Summary,
    /// The norm of each image's logits, (N).
    pub row_norms: Vec<f64>,
    /// How many classes `values` holds, from the first.
    pub columns: usize,
    /// Logits of these classes, (N, columns).
    pub values: Vec<f64>,
}

/// A reference number.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Scalar {
    /// The value in float64.
    pub value: f64,
    /// Relative error of PyTorch's float32 result, the worst of several runs.
    pub fp32: f64,
    /// Relative error of PyTorch's result under bfloat16 autocast.
    pub bf16: f64,
}

/// How far a tensor is from its reference. All numbers are relative, and NaN if the tensor has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Estimate of `‖actual − expected‖ / ‖expected‖` from the sketches.
    pub l2: f64,
    /// `|‖actual‖ / ‖expected‖ − 1|`.
    pub norm: f64,
    /// The largest error of a stored element, relative to its value or, if larger, the tensor's
    /// RMS.
    pub element: f64,
}

impl Summary {
    /// How far `actual`, row-major in torchvision's shape, is from the reference.
    ///
    /// # Errors
    /// [`GoldenError::Length`] if it has another number of elements.
    pub fn deviation(&self, actual: &[f32]) -> Result<Deviation, GoldenError> {
        let expected = self.shape.iter().product();
        if actual.len() != expected {
            return Err(GoldenError::Length { name: self.name.clone(), expected, got: actual.len() });
        }
        let signs = stream(&format!("sketch/{}", self.name));
        let mut sketch = [0.0; SKETCHES];
        let mut squares = 0.0;
        for (index, &value) in actual.iter().enumerate() {
            let (value, planes) = (f64::from(value), bits(signs, index) >> 56);
            squares += value * value;
            for (k, sum) in sketch.iter_mut().enumerate() {
                *sum += if (planes >> k) & 1 == 1 { -value } else { value };
            }
        }
        let distances = sketch.iter().zip(&self.sketch).map(|(a, e)| (a - e) * (a - e));
        let l2 = (distances.sum::<f64>() / SKETCHES as f64).sqrt();
        let places = stream(&format!("samples/{}", self.name));
        let rms = self.norm / (expected as f64).sqrt();
        let errors = self.samples.iter().enumerate().map(|(j, &e)| {
            let place = (bits(places, j) % expected as u64) as usize;
            ratio((f64::from(actual[place]) - e).abs(), e.abs().max(rms))
        });
        Ok(Deviation {
            l2: ratio(l2, self.norm),
            norm: ratio((squares.sqrt() - self.norm).abs(), self.norm),
            element: errors.fold(0.0, worse),
        })
    }

    /// Checks that `actual`, row-major in torchvision's shape, is within `tolerance` of the
    /// reference.
    ///
    /// # Errors
    /// [`GoldenError::Length`], or [`GoldenError::Deviates`] with the deviation.
    pub fn check(&self, actual: &[f32], tolerance: f64) -> Result<Deviation, GoldenError> {
        let deviation = self.deviation(actual)?;
        if deviation.is_within(tolerance) {
            return Ok(deviation);
        }
        Err(GoldenError::Deviates { name: self.name.clone(), deviation, tolerance })
    }

    /// The tolerance for bfloat16: three times the distance of PyTorch's result, plus one rounding.
    pub fn bf16_tolerance(&self) -> f64 {
        BF16_ALLOWANCE * self.bf16 + BF16_FLOOR
    }
}

impl Logits {
    /// Checks that `actual`, (N, classes), is within `tolerance` of the reference, as a whole and
    /// in every stored element.
    ///
    /// # Errors
    /// [`GoldenError::Length`], or [`GoldenError::Deviates`] with the deviation.
    pub fn check(&self, actual: &[f32], tolerance: f64) -> Result<Deviation, GoldenError> {
        let mut deviation = self.summary.deviation(actual)?;
        let classes = self.summary.shape[1];
        let rms = self.summary.norm / (actual.len() as f64).sqrt();
        let rows = actual.chunks_exact(classes);
        for ((row, expected), &norm) in rows.zip(self.values.chunks_exact(self.columns)).zip(&self.row_norms) {
            for (&a, &e) in row.iter().zip(expected) {
                deviation.element = worse(deviation.element, ratio((f64::from(a) - e).abs(), e.abs().max(rms)));
            }
            let squares = row.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>();
            deviation.norm = worse(deviation.norm, ratio((squares.sqrt() - norm).abs(), norm));
        }
        if deviation.is_within(tolerance) {
            return Ok(deviation);
        }
        Err(GoldenError::Deviates { name: self.summary.name.clone(), deviation, tolerance })
    }
}

impl Scalar {
    /// Checks that `actual` is within the relative `tolerance` of the reference, and returns its
    /// relative error.
    ///
    /// # Errors
    /// [`GoldenError::Deviates`] with the given name.
    pub fn check(&self, name: &str, actual: f64, tolerance: f64) -> Result<f64, GoldenError> {
        let error = ratio((actual - self.value).abs(), self.value.abs());
        if error <= tolerance {
            return Ok(error);
        }
        let deviation = Deviation { l2: error, norm: error, element: error };
        Err(GoldenError::Deviates { name: name.to_string(), deviation, tolerance })
    }
}

impl Deviation {
    /// Whether norm and distance are within `tolerance`, and elements within ten times that. Always
    /// false if anything is NaN.
    pub fn is_within(&self, tolerance: f64) -> bool {
        self.l2 <= tolerance && self.norm <= tolerance && self.element <= ELEMENT_ALLOWANCE * tolerance
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L2 {:.2e}, norm {:.2e}, worst stored element {:.2e}", self.l2, self.norm, self.element)
    }
}

/// `numerator / denominator`, but 0 for 0 / 0, because then there is no error.
fn ratio(numerator: f64, denominator: f64) -> f64 {
    if numerator == 0.0 { 0.0 } else { numerator / denominator }
}

/// The larger value, or NaN if either is NaN (`f64::max` would drop it).
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::uniform;
    use crate::golden::{FP32_TOLERANCE, GoldenCase};

    const SHAPE: [usize; 4] = [32, 32, 3, 3];

    /// A summary of a given tensor, computed as the script computes it.
    fn summarised(values: &[f32]) -> Summary {
        let zero = Summary {
            name: "w".into(),
            shape: SHAPE.to_vec(),
            norm: 1.0,
            sketch: [0.0; SKETCHES],
            samples: vec![],
            fp32: 0.0,
            bf16: 0.0,
        };
        let signs = stream("sketch/w");
        let sketch = std::array::from_fn(|k| {
            let signed =
                |(i, &v): (usize, &f32)| f64::from(v) * (1.0 - 2.0 * ((bits(signs, i) >> (56 + k)) & 1) as f64);
            values.iter().enumerate().map(signed).sum()
        });
        let places = stream("samples/w");
        let samples = (0..6).map(|j| f64::from(values[(bits(places, j) % values.len() as u64) as usize])).collect();
        let norm = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        Summary { norm, sketch, samples, ..zero }
    }

    fn tensor() -> Vec<f32> {
        (0..SHAPE.iter().product()).map(|i| uniform(stream("tensor"), i)).collect()
    }

    #[test]
    fn mistakes_are_caught() {
        let reference = tensor();
        let summary = summarised(&reference);
        let [o, i, kh, kw] = SHAPE;
        let at = |o: usize, i: usize, y: usize, x: usize| reference[((o * SHAPE[1] + i) * SHAPE[2] + y) * SHAPE[3] + x];
        let rearranged = |source: &dyn Fn(usize, usize, usize, usize) -> f32| -> Vec<f32> {
            let indices = (0..o * i * kh * kw).map(|n| (n / (i * kh * kw), n / (kh * kw) % i, n / kw % kh, n % kw));
            indices.map(|(o, i, y, x)| source(o, i, y, x)).collect()
        };
        let mapped = |f: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
            reference.iter().enumerate().map(|(i, &v)| f(i, v)).collect()
        };
        struct Case {
            name: &'static str,
            actual: Vec<f32>,
        }
        let cases = [
            Case { name: "inputs and outputs exchanged", actual: rearranged(&|o, i, y, x| at(i, o, y, x)) },
            Case { name: "kernel transposed", actual: rearranged(&|o, i, y, x| at(o, i, x, y)) },
            Case { name: "kernel rotated", actual: rearranged(&|o, i, y, x| at(o, i, 2 - y, 2 - x)) },
            Case {
                name: "channels-last",
                actual: rearranged(&|o, i, y, x| {
                    let n = ((o * SHAPE[1] + i) * 3 + y) * 3 + x;
                    let (o, rest) = (n / (9 * SHAPE[1]), n % (9 * SHAPE[1]));
                    at(o, rest % SHAPE[1], rest / (3 * SHAPE[1]), rest / SHAPE[1] % 3)
                }),
            },
            Case { name: "divided by the batch", actual: mapped(&|_, v| v / 8.0) },
            Case { name: "scaled by 1.001", actual: mapped(&|_, v| v * 1.001) },
            Case { name: "sign flipped", actual: mapped(&|_, v| -v) },
            Case {
                name: "two neighbours exchanged",
                actual: mapped(&|i, v| match i {
                    100 => reference[101],
                    101 => reference[100],
                    _ => v,
                }),
            },
            Case {
                name: "last output channel zero",
                actual: mapped(&|n, v| if n / (i * kh * kw) == o - 1 { 0.0 } else { v }),
            },
            Case { name: "shifted by one", actual: mapped(&|i, _| reference[(i + 1) % reference.len()]) },
            Case { name: "one NaN", actual: mapped(&|i, v| if i == 77 { f32::NAN } else { v }) },
            Case { name: "zeros", actual: mapped(&|_, _| 0.0) },
        ];
        for case in cases {
            assert!(summary.check(&case.actual, FP32_TOLERANCE).is_err(), "{} passed", case.name);
        }
    }

    #[test]
    fn rounding_passes() {
        let reference = tensor();
        let summary = summarised(&reference);
        assert!(summary.check(&reference, 1e-7).is_ok());
        let noisy = |size: f32| -> Vec<f32> {
            reference.iter().enumerate().map(|(i, v)| v + size * uniform(stream("noise"), i)).collect()
        };
        let deviation = summary.check(&noisy(2e-5), FP32_TOLERANCE).unwrap();
        assert!((1e-5..4e-5).contains(&deviation.l2), "the sketch estimates the distance: {deviation}");
        assert!(summary.check(&noisy(1e-3), FP32_TOLERANCE).is_err());
    }

    #[test]
    fn wrong_lengths_and_deviations_are_explained() {
        let summary = summarised(&tensor());
        let message = summary.check(&[1.0], 1e-4).unwrap_err().to_string();
        assert_eq!(message, "w: expected 9216 elements, got 1");
        let message = summary.check(&[0.0; 9216], 1e-4).unwrap_err().to_string();
        assert!(message.starts_with("w: expected within 1.0e-4 of the reference, got L2 "), "{message}");
    }

    #[test]
    fn logits_of_a_wrong_image_order_are_caught() {
        let case = GoldenCase::load("resnet18-10-64x64").unwrap();
        let logits = &case.plain.logits;
        let right: Vec<f32> = logits.values.iter().map(|&v| v as f32).collect();
        logits.check(&right, 1e-6).unwrap();
        let mut wrong = right.clone();
        wrong.rotate_left(case.classes);
        assert!(logits.check(&wrong, FP32_TOLERANCE).is_err());
        let mut wrong = right;
        wrong[37] += 0.01;
        assert!(logits.check(&wrong, FP32_TOLERANCE).is_err());
    }

    #[test]
    fn scalars_compare_relatively_and_refuse_nan() {
        let scalar = Scalar { value: 2.0, fp32: 0.0, bf16: 0.0 };
        assert!(scalar.check("loss", 2.0001, 1e-4).is_ok());
        assert!(scalar.check("loss", 2.001, 1e-4).is_err());
        assert!(scalar.check("loss", f64::NAN, 1e9).is_err());
    }
}
