//! A trained network, read from a file, that classifies images.

use anyhow::Result;
use in18_comm::Solo;
use in18_program::{Arch, Input, Metrics, Model, Size};
use in18_recipe::Tta;
use in18_train::Evaluation;
use in18_weights::{Head, WeightFile};

use crate::cli::{EngineArgs, NetworkArgs};
use crate::engine;
use crate::exit::Usage;

/// How many compiled programs are kept. Images of many shapes come one after the other, and each
/// shape needs a program of its own.
const KEPT_PROGRAMS: usize = 16;

/// A file with a network, whose architecture and classes are known.
pub struct Opened {
    /// The file.
    pub file: WeightFile,
    /// Its network.
    pub arch: Arch,
    /// Class names by label; the numbers from 0 if the file has no names.
    pub classes: Vec<String>,
}

impl Opened {
    /// Reads and checks the file that the arguments name.
    pub fn new(arguments: &NetworkArgs) -> Result<Self> {
        let file = WeightFile::read(&arguments.checkpoint)?;
        let arch = file.arch(arguments.arch)?;
        let count = file.class_count().unwrap_or(0);
        file.check(arch, count, Head::Keep)?;
        let numbers = || (0..count).map(|label| label.to_string()).collect();
        let classes = file.classes().map_or_else(numbers, <[String]>::to_vec);
        Ok(Opened { file, arch, classes })
    }

    /// Refuses images whose classes differ from the file's: a label would mean two things.
    pub fn check_classes(&self, names: &[String]) -> Result<()> {
        let path = self.file.path().display();
        let usage = |got: String| Err(Usage(format!("{path}: expected the classes of DATA, got {got}")).into());
        if names.len() != self.classes.len() {
            return usage(format!(
                "{} instead of {}: name the data it was trained on",
                self.classes.len(),
                names.len()
            ));
        }
        let Some(named) = self.file.classes() else { return Ok(()) };
        match named.iter().zip(names).find(|(a, b)| a != b) {
            Some((ours, theirs)) => usage(format!("`{ours}` instead of `{theirs}`: name the data it was trained on")),
            None => Ok(()),
        }
    }

    /// Prepares the network to classify images, with the given views of each.
    pub fn classifier(&self, arguments: &EngineArgs, tta: Tta) -> Result<Classifier> {
        let engine = engine::choose(arguments)?;
        let mut model = Model::new(engine.kernels, self.arch.network(self.classes.len()), engine.dtype)?;
        self.file.load(&mut model, self.arch, Head::Keep)?;
        Ok(Classifier { model, evaluation: Evaluation::new(tta).keeping(KEPT_PROGRAMS) })
    }
}

/// A network that classifies images.
pub struct Classifier {
    model: Model,
    evaluation: Evaluation,
}

impl Classifier {
    /// Evaluates a batch: loss and hits.
    pub fn evaluate(&mut self, input: Input<'_>) -> Result<Metrics> {
        let started = self.evaluation.start(&mut self.model, input)?;
        Ok(self.evaluation.finish(&mut self.model, &mut Solo, started)?)
    }

    /// The probabilities of all classes, (N, K), for a batch of pixels, (N, H, W, 3).
    pub fn probabilities(&mut self, size: Size, pixels: &[u8]) -> Result<Vec<f64>> {
        Ok(self.evaluation.probabilities(&mut self.model, size, pixels)?)
    }
}
