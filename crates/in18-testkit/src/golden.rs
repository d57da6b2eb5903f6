//! Golden values of whole networks: the results of an independent implementation, and how to
//! compare with them.
//!
//! The files come from `scripts/golden/networks.py`, which also says how the cases were chosen.
//! Inputs and parameters are formulas ([`crate::generator`]). Results are stored as summaries,
//! because a ResNet-50 has 25 million gradients. Reference values are PyTorch's in float64. Each
//! has two yardsticks: the distance of PyTorch's own float32 result, which is well under
//! [`FP32_TOLERANCE`], and the distance of its bfloat16 autocast, from which
//! [`Summary::bf16_tolerance`] follows.

mod summary;

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::generator::{self, Start};
pub use summary::{Deviation, Logits, Scalar, Summary};

/// The tolerance for float32 providers, relative.
pub const FP32_TOLERANCE: f64 = 1e-4;

/// How many steps [`Training`] has.
pub const TRAINING_STEPS: usize = 10;

/// The number of batches of [`GoldenCase::evaluation_images`], and their enlargement per side.
const EVALUATION_BATCHES: usize = 4;
const EVALUATION_SCALE: usize = 2;

const FILES: [(&str, &str); 11] = [
    ("resnet18-10-64x64", include_str!("../golden/resnet18-10-64x64.json")),
    ("resnet18-10-64x96", include_str!("../golden/resnet18-10-64x96.json")),
    ("resnet18-1000-64x64", include_str!("../golden/resnet18-1000-64x64.json")),
    ("resnet18-1000-96x64", include_str!("../golden/resnet18-1000-96x64.json")),
    ("resnet50-10-64x64", include_str!("../golden/resnet50-10-64x64.json")),
    ("resnet50-10-96x64", include_str!("../golden/resnet50-10-96x64.json")),
    ("resnet50-1000-64x64", include_str!("../golden/resnet50-1000-64x64.json")),
    ("resnet50-1000-64x96", include_str!("../golden/resnet50-1000-64x96.json")),
    ("resnet18-blurpool-convolutions-10-64x64", include_str!("../golden/resnet18-blurpool-convolutions-10-64x64.json")),
    ("resnet18-blurpool-all-10-64x64", include_str!("../golden/resnet18-blurpool-all-10-64x64.json")),
    ("resnet18d-10-48x48", include_str!("../golden/resnet18d-10-48x48.json")),
];

/// One network, its input and its expected results.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenCase {
    /// The case's name: ARCH-CLASSES-HEIGHTxWIDTH.
    pub name: String,
    /// Versions of the libraries that computed the case.
    pub made_with: String,
    /// "resnet18" or "resnet50", also with BlurPool or as ResNet-D, such as "resnet18d-blurpool-all".
    pub arch: String,
    /// Outputs of the classifier.
    pub classes: usize,
    /// Images in a batch.
    pub batch: usize,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Selects which images and labels are drawn.
    pub salt: u64,
    /// Learning rate, constant over the ten steps.
    pub learning_rate: f64,
    /// SGD's momentum.
    pub momentum: f64,
    /// Weight decay, for all but BatchNorm's gamma and beta; the classifier's bias has it, too.
    pub weight_decay: f64,
    /// The least distance of a ReLU's or max pool's argument from its kink in [`Plain`], relative
    /// to the RMS of its tensor.
    pub kink_margin: f64,
    /// One forward and backward pass from [`Start::Open`].
    pub plain: Plain,
    /// Ten steps of SGD from [`Start::Bn0`].
    pub training: Training,
    /// Logits in evaluation mode from [`Start::Open`], (N, classes), for
    /// [`evaluation_images`](Self::evaluation_images).
    pub evaluation: Logits,
    #[cfg_attr(not(test), allow(dead_code))]
    generator: GeneratorValues,
}

/// One forward and backward pass in training mode on batch 0.
#[derive(Clone, Debug, Deserialize)]
pub struct Plain {
    /// Mean cross entropy.
    pub loss: Scalar,
    /// (N, classes).
    pub logits: Logits,
    /// Gradients of the mean loss, one for each parameter, without weight decay. Shapes and names
    /// are torchvision's.
    pub gradients: Vec<Summary>,
    /// `….running_mean` and `….running_var` of every BatchNorm after the pass.
    pub statistics: Vec<Summary>,
}

/// Ten steps of SGD, on batches 0, 1, …, 9.
#[derive(Clone, Debug, Deserialize)]
pub struct Training {
    /// The mean cross entropy of each step, before its update.
    pub losses: Vec<Scalar>,
    /// (N, classes), for batch 0 after the ten steps, in evaluation mode.
    pub logits: Logits,
    /// How far these logits move, relative (L2), if the optimizer makes the named mistake. This
    /// proves that the case can fail.
    pub mistakes: BTreeMap<String, f64>,
}

/// What recipes of one case's network, pixels and labels make of it, from
/// `scripts/golden/recipes.py`.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenRecipes {
    /// The case's name.
    pub case: String,
    /// A recipe without options comes first.
    pub recipes: Vec<GoldenRecipe>,
}

/// Ten steps by one recipe, from [`Start::Bn0`], on batches 0, 1, …, 9.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenRecipe {
    /// Its name.
    pub name: String,
    /// TOML.
    pub recipe: String,
    /// How far its logits lie from those of the first recipe, relative (L2). This proves that a
    /// program that ignores the recipe's fields fails.
    pub moved: f64,
    /// How each step mixes its images; empty if the recipe mixes none.
    #[serde(default)]
    pub mixed: Vec<GoldenMix>,
    /// The mean loss of each step, before its update.
    pub losses: Vec<Scalar>,
    /// (N, classes), for batch 0 after the ten steps, in evaluation mode.
    pub logits: Logits,
}

/// How a step mixes its images.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct GoldenMix {
    /// The share that is drawn.
    pub share: f32,
    /// The centre (x, y) of cutmix's rectangle; `None`: mixup.
    pub centre: Option<(u32, u32)>,
}

impl GoldenRecipes {
    /// Loads them, and their case.
    pub fn load() -> Result<(Self, GoldenCase), GoldenError> {
        let malformed = |reason| GoldenError::Malformed { case: "recipes".to_owned(), reason };
        let text = include_str!("../golden/recipes.json");
        let recipes: Self = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let case = GoldenCase::load(&recipes.case)?;
        Ok((recipes, case))
    }
}

/// A golden file that does not exist or cannot be read, or a value that deviates from it.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum GoldenError {
    /// There is no case of this name.
    #[error("no golden case '{0}'; there are {names}", names = GoldenCase::names().join(", "))]
    Unknown(String),
    /// This version of the crate cannot read the file.
    #[error("golden case '{case}': {reason}; run the script of scripts/golden again that has written it")]
    Malformed {
        /// The case's name.
        case: String,
        /// What is wrong with the file.
        reason: String,
    },
    /// The vector is too long or too short.
    #[error("{name}: expected {expected} elements, got {got}")]
    Length {
        /// The tensor's name.
        name: String,
        /// Number of elements of the reference.
        expected: usize,
        /// Number of elements given.
        got: usize,
    },
    /// The vector deviates from the reference.
    #[error("{name}: expected within {tolerance:.1e} of the reference, got {deviation}")]
    Deviates {
        /// The name of the tensor or scalar.
        name: String,
        /// The deviation.
        deviation: Deviation,
        /// The largest deviation allowed.
        tolerance: f64,
    },
}

impl GoldenCase {
    /// The names of all cases.
    pub fn names() -> [&'static str; 11] {
        FILES.map(|(name, _)| name)
    }

    /// Loads a case by its name.
    pub fn load(name: &str) -> Result<Self, GoldenError> {
        let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
            return Err(GoldenError::Unknown(name.to_string()));
        };
        let malformed = |reason| GoldenError::Malformed { case: name.to_string(), reason };
        let case: Self = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        if case.training.losses.len() != TRAINING_STEPS {
            return Err(malformed(format!("expected {TRAINING_STEPS} losses, got {}", case.training.losses.len())));
        }
        Ok(case)
    }

    /// Loads all cases: both networks, also with BlurPool and as ResNet-D, heads of 10 and 1000
    /// classes, square and rectangular input.
    pub fn all() -> Result<Vec<Self>, GoldenError> {
        Self::names().into_iter().map(Self::load).collect()
    }

    /// See [`generator::initial_parameter`].
    pub fn initial_parameter(&self, name: &str, shape: &[usize], start: Start) -> Vec<f32> {
        generator::initial_parameter(&self.arch, name, shape, start)
    }

    /// The pixels of step `step`, (N, H, W, 3) u8.
    pub fn images(&self, step: usize) -> Vec<u8> {
        generator::images(self.salt, step, self.batch, self.height, self.width)
    }

    /// The pixels of several batches together, at twice the size, (N, H, W, 3) u8, and N, H and W.
    /// They are as large as real evaluations.
    pub fn evaluation_images(&self) -> (Vec<u8>, [usize; 3]) {
        let (height, width) = (EVALUATION_SCALE * self.height, EVALUATION_SCALE * self.width);
        let batch = |step| generator::images(self.salt, step, self.batch, height, width);
        ((0..EVALUATION_BATCHES).flat_map(batch).collect(), [EVALUATION_BATCHES * self.batch, height, width])
    }

    /// The labels of step `step`, (N).
    pub fn labels(&self, step: usize) -> Vec<u32> {
        generator::labels(self.salt, step, self.batch, self.classes)
    }
}

/// Samples to check the generator, computed by the script.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(not(test), allow(dead_code))]
struct GeneratorValues {
    /// "open/NAME" or "bn0/NAME" → the first three elements and the last.
    parameters: BTreeMap<String, [f32; 4]>,
    first_pixels: Vec<u8>,
    pixel_sum: u64,
    /// The sum of each pixel times its index modulo 1009.
    pixel_weighted_sum: u64,
    labels: Vec<u32>,
    last_step_labels: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_repeats_what_the_script_generated() {
        for case in GoldenCase::all().unwrap() {
            for (key, expected) in &case.generator.parameters {
                let (start, name) = key.split_once('/').unwrap();
                let start = if start == "open" { Start::Open } else { Start::Bn0 };
                let shape = &case.plain.gradients.iter().find(|s| s.name == name).unwrap().shape;
                let values = case.initial_parameter(name, shape, start);
                let actual = [values[0], values[1], values[2], values[values.len() - 1]];
                assert_eq!(&actual, expected, "{}: {key}", case.name);
            }
            let pixels = case.images(0);
            assert_eq!(pixels.len(), case.batch * case.height * case.width * 3);
            assert_eq!(pixels[..12], case.generator.first_pixels, "{}", case.name);
            assert_eq!(pixels.iter().map(|&p| u64::from(p)).sum::<u64>(), case.generator.pixel_sum);
            let weighted = pixels.iter().enumerate().map(|(i, &p)| u64::from(p) * (i as u64 % 1009)).sum::<u64>();
            assert_eq!(weighted, case.generator.pixel_weighted_sum, "{}", case.name);
            assert_eq!(case.labels(0), case.generator.labels, "{}", case.name);
            assert_eq!(case.labels(TRAINING_STEPS - 1), case.generator.last_step_labels, "{}", case.name);
        }
    }

    #[test]
    fn each_recipe_shows_and_pytorchs_float32_agrees() {
        let (GoldenRecipes { recipes, .. }, _) = GoldenRecipes::load().unwrap();
        for (number, recipe) in recipes.iter().enumerate() {
            assert_eq!(recipe.losses.len(), TRAINING_STEPS, "{}", recipe.name);
            assert!(number == 0 || recipe.moved > 10.0 * FP32_TOLERANCE, "{}: {}", recipe.name, recipe.moved);
            let worst = recipe.losses.iter().map(|loss| loss.fp32).fold(recipe.logits.summary.fp32, f64::max);
            assert!(worst < FP32_TOLERANCE / 2.0, "{}: {worst}", recipe.name);
        }
    }

    /// The tolerance must be fair: PyTorch's float32 passes it, with room for other roundings.
    #[test]
    fn pytorchs_own_fp32_is_well_within_the_gate() {
        for case in GoldenCase::all().unwrap() {
            let (plain, training) = (&case.plain, &case.training);
            for summary in plain.gradients.iter().chain(&plain.statistics).chain([&plain.logits.summary]) {
                assert!(summary.fp32 < FP32_TOLERANCE / 2.0, "{}: {} {:e}", case.name, summary.name, summary.fp32);
            }
            assert!(plain.loss.fp32 < 1e-5 && training.logits.summary.fp32 < FP32_TOLERANCE / 2.0, "{}", case.name);
            assert!(training.losses.iter().all(|loss| loss.fp32 < 1e-5), "{}", case.name);
        }
    }

    #[test]
    fn cases_cover_networks_heads_and_shapes() {
        let cases = GoldenCase::all().unwrap();
        // The last stage of ResNet-D halves an odd number of rows, so that a square is cut off.
        assert!(cases.iter().any(|case| case.arch == "resnet18d" && case.height % 32 != 0));
        for arch in ["resnet18", "resnet50"] {
            for classes in [10, 1000] {
                for square in [true, false] {
                    let covered =
                        |c: &&GoldenCase| c.arch == arch && c.classes == classes && (c.height == c.width) == square;
                    assert_eq!(cases.iter().filter(covered).count(), 1, "{arch} {classes} square {square}");
                }
            }
        }
    }

    /// Weight decay of 1e-4 is too weak to show in ten steps, so half of the cases have a stronger
    /// one.
    #[test]
    fn mistakes_in_the_optimizer_would_show() {
        let cases = GoldenCase::all().unwrap();
        let strong = cases.iter().filter(|case| case.weight_decay > 1e-2);
        assert_eq!(strong.clone().count(), 6);
        for case in strong {
            assert_eq!(case.training.mistakes.len(), 3);
            for (mistake, &deviation) in &case.training.mistakes {
                assert!(deviation > 5.0 * FP32_TOLERANCE, "{}: {mistake} moves logits by {deviation:e}", case.name);
            }
        }
    }

    #[test]
    fn losses_move() {
        for case in GoldenCase::all().unwrap() {
            let values = case.training.losses.iter().map(|loss| loss.value);
            let (least, most) = (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max));
            assert!(most - least > 0.05, "{}: {least} to {most}", case.name);
        }
    }

    #[test]
    fn unknown_case_names_the_known_ones() {
        let message = GoldenCase::load("vgg16").unwrap_err().to_string();
        assert!(message.contains("'vgg16'") && message.contains("resnet18-10-64x64"), "{message}");
    }
}
