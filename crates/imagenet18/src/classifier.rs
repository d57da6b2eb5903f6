//! A trained network out of a file, ready to look at images.

use anyhow::Result;
use in18_comm::Solo;
use in18_program::{Arch, Input, Metrics, Model, Size};
use in18_train::{Evaluation, Views};
use in18_weights::{Head, WeightFile};

use crate::cli::{EngineArgs, NetworkArgs};
use crate::engine;
use crate::exit::Usage;

/// Programs that are kept: images of many shapes come one after the other, and each shape is a program.
const KEPT_PROGRAMS: usize = 16;

/// A network's file whose network and classes are known.
pub struct Opened {
    /// The file.
    pub file: WeightFile,
    /// Its network.
    pub arch: Arch,
    /// By label; numbers from 0 if the file names none.
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

    /// Refuses images whose classes are not the file's: equal labels would mean different things.
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

    /// Puts the network to work, with so many views of an image.
    pub fn classifier(&self, arguments: &EngineArgs, views: Views) -> Result<Classifier> {
        let engine = engine::choose(arguments)?;
        let mut model = Model::new(engine.kernels, self.arch.network(self.classes.len()), engine.dtype)?;
        self.file.load(&mut model, self.arch, Head::Keep)?;
        Ok(Classifier { model, evaluation: Evaluation::new(views).keeping(KEPT_PROGRAMS) })
    }
}

/// A network that looks at images.
pub struct Classifier {
    model: Model,
    evaluation: Evaluation,
}

impl Classifier {
    /// Loss and hits of a batch.
    pub fn evaluate(&mut self, input: Input<'_>) -> Result<Metrics> {
        let started = self.evaluation.start(&mut self.model, input)?;
        Ok(self.evaluation.finish(&mut self.model, &mut Solo, started)?)
    }

    /// The probabilities of every class, (N, K), of a batch of (N, H, W, 3) pixels.
    pub fn probabilities(&mut self, size: Size, pixels: &[u8]) -> Result<Vec<f64>> {
        Ok(self.evaluation.probabilities(&mut self.model, size, pixels)?)
    }
}
