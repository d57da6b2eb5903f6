//! What is trained and how, as written, and the plan it resolves to for every step.
//!
//! A training recipe is everything that decides what a run learns. Its heart is a list of *phases*:
//! data phases say which images, at which size and batch, from which epoch on; rate phases say
//! which learning rate. This crate owns both forms of that intent:
//!
//! * **as written**: [`Recipe`], read from TOML ([`Recipe::from_toml`]), from a [`Preset`], or made
//!   of [`Phases`] alone, which have a notation of their own ([`Phases::from_python`]), and changed
//!   field by field ([`Recipe::set`]);
//! * **as resolved**: [`Plan`], in which every epoch has its size, batch, steps and folders and
//!   every step its rate and momentum. Only this one runs, and it is what a run is known by.
//!
//! The crate is pure: it opens no file, knows no device and no clock. How many images a folder
//! holds is told to it ([`PlanInput`]), so a plan for a set and a number of devices that are not
//! here is made in the same way.
//!
//! ```
//! use in18_recipe::{Phases, Plan, PlanInput, Recipe};
//!
//! let phases = Phases::from_python("[{'ep': 0, 'sz': 128, 'bs': 64}, {'ep': (0, 3), 'lr': (0.1, 0.4)}]").unwrap();
//! let plan = Plan::resolve(&Recipe::from(phases), &PlanInput::uniform(1, 640)).unwrap();
//! assert_eq!((plan.epochs.len(), plan.epochs[0].steps), (3, 10));
//! assert!((plan.step(0, 1).rate - 0.11).abs() < 1e-12);
//! ```

#![forbid(unsafe_code)]

mod curve;
mod fault;
mod from_value;
mod literal;
mod nearest;
mod phases;
mod place;
mod plan;
mod presets;
mod read;
mod recipe;
mod render;
mod schedule;
mod toml_form;
mod tree;
mod value;

pub use curve::Curve;
pub use fault::Fault;
pub use from_value::PhasesError;
pub use literal::LiteralError;
pub use phases::{
    Batch, Course, DataPhase, Epochs, Key, LrPhase, MAX_EPOCHS, MAX_SIZE, Phase, PhaseFault, Phases, Rate,
};
pub use place::Place;
pub use plan::{EpochPlan, Plan, PlanError, PlanInput, StepPlan, Stretch};
pub use presets::{PRESETS, Preset, Summary, preset};
pub use recipe::{
    Augment, Average, Bias, BlurPool, CentreCrop, ClassWeights, DEFAULT_MIN_SCALE, Data, Evaluate, EvaluationSize,
    Flip, GradientType, Head, Initial, Jitter, Loss, LossKind, LossScale, MadeFor, Network, Optimizer, OptimizerKind,
    Precision, Reached, Recipe, Rectangular, Shortcut, Shuffle, Stem, Tta, WeightRule,
};
pub use schedule::{Anneal, Kind, Schedule};
pub use toml_form::{RecipeError, SetError};
pub use value::Position;
