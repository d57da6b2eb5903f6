//! Phases as written, and the plan they resolve to for every step.
//!
//! A training recipe is a list of *phases*: data phases say which images, at which size and batch, from which epoch
//! on; rate phases say which learning rate. This crate owns both forms of that intent:
//!
//! * **as written**: [`Phases`], read from a Python literal ([`Phases::from_python`]), from a TOML file
//!   ([`Recipe::from_toml`]) or from a [`Preset`], and rendered back ([`Phases::to_python`], [`Recipe::to_toml`]);
//! * **as resolved**: [`Plan`], in which every epoch has its size, batch, steps and folders and every step its rate.
//!   Only this one runs.
//!
//! The crate is pure: it opens no file, knows no device and no clock. How many images a folder holds is told to it
//! ([`PlanInput`]), so a plan for a set and a number of devices that are not here is made in the same way.
//!
//! ```
//! use in18_recipe::{Phases, Plan, PlanInput};
//!
//! let phases = Phases::from_python("[{'ep': 0, 'sz': 128, 'bs': 64}, {'ep': (0, 3), 'lr': (0.1, 0.4)}]").unwrap();
//! let plan = Plan::resolve(&phases, &PlanInput::uniform(1, 640)).unwrap();
//! assert_eq!((plan.epochs.len(), plan.epochs[0].steps), (3, 10));
//! assert!((plan.epochs[0].lr(1) - 0.11).abs() < 1e-12);
//! ```

#![forbid(unsafe_code)]

mod from_value;
mod literal;
mod phases;
mod plan;
mod presets;
mod render;
mod settings;
mod toml_form;
mod value;

pub use from_value::PhasesError;
pub use literal::LiteralError;
pub use phases::{DataPhase, Epochs, Key, LrPhase, MAX_EPOCHS, MAX_SIZE, Phase, PhaseFault, Phases, Rate};
pub use plan::{DEFAULT_MIN_SCALE, EpochPlan, LrRule, Plan, PlanError, PlanInput};
pub use presets::{PRESETS, Preset, preset};
pub use settings::Settings;
pub use toml_form::{Recipe, RecipeError};
pub use value::Position;
