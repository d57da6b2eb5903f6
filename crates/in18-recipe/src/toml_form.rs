//! The TOML form of a recipe: `--recipe FILE.toml`.
//!
//! ```toml
//! name = "small"                # optional
//! about = "three sizes"         # optional
//! arch = "resnet50"             # and what else it was written for, all optional
//! init_bn0 = true
//! no_bn_wd = true
//! devices = 8
//!
//! [[phase]]
//! ep = 0
//! sz = 96
//! bs = 64
//!
//! [[phase]]
//! ep = [0, 3]
//! lr = [0.1, 0.4]
//! ```
//!
//! The keys of a phase and their rules are those of `--phases`; this module only maps TOML's values onto plain ones.
//! It opens no file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::from_value::{PhasesError, from_nodes};
use crate::phases::Phases;
use crate::settings::Settings;
use crate::value::{Node, Position, Value, quote};

/// Phases with a name, and what they were written for.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Recipe {
    /// A short name.
    pub name: Option<String>,
    /// What it is for or what it reached, in a line.
    pub about: Option<String>,
    /// What it was written for.
    pub settings: Settings,
    /// The phases.
    pub phases: Phases,
}

/// A text that holds no recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// The text is no TOML.
    #[error("{at}: expected TOML: {message}")]
    Toml {
        /// Where it stops being TOML.
        at: Position,
        /// What the TOML parser says.
        message: String,
    },
    /// A key outside the phases is wrong.
    #[error("{at}: expected {expected}, got {got}")]
    Key {
        /// Where the key or value starts.
        at: Position,
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        got: String,
    },
    /// A phase is wrong.
    #[error(transparent)]
    Phases(#[from] PhasesError),
}

impl Recipe {
    /// Reads the text of a TOML recipe.
    ///
    /// # Errors
    /// The first mistake, with line and column. Never panics, whatever the text.
    pub fn from_toml(text: &str) -> Result<Recipe, RecipeError> {
        let document = DeTable::parse(text).map_err(|error| RecipeError::Toml {
            at: Position::of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        let mut recipe = Recipe::default();
        let mut phases = None;
        for (key, value) in entries(document.get_ref()) {
            let Value::Str(name) = &key.value else { continue };
            let wrong = |expected, node: &Node, got| {
                Err(RecipeError::Key { at: Position::of(text, node.offset), expected, got })
            };
            match (name.as_str(), &value.value) {
                ("name", Value::Str(name)) => recipe.name = Some(name.clone()),
                ("about", Value::Str(about)) => recipe.about = Some(about.clone()),
                ("phase", Value::Sequence(nodes)) => phases = Some(from_nodes(text, nodes)?),
                ("arch", Value::Str(arch)) => recipe.settings.arch = Some(arch.clone()),
                ("init_bn0", Value::Bool(flag)) => recipe.settings.init_bn0 = Some(*flag),
                ("no_bn_wd", Value::Bool(flag)) => recipe.settings.no_bn_wd = Some(*flag),
                ("devices", Value::Int(count @ 1..)) if usize::try_from(*count).is_ok() => {
                    recipe.settings.devices = usize::try_from(*count).ok();
                }
                ("init_bn0" | "no_bn_wd", other) => return wrong("true or false", &value, other.to_string()),
                ("devices", other) => return wrong("a number from 1 on", &value, other.to_string()),
                ("name" | "about" | "arch", other) => return wrong("a string", &value, other.to_string()),
                ("phase", other) => return wrong("tables that start with [[phase]]", &value, other.to_string()),
                _ => return wrong("name, about, arch, init_bn0, no_bn_wd, devices or [[phase]]", &key, quote(name)),
            }
        }
        recipe.phases = phases.ok_or_else(|| RecipeError::Key {
            at: Position::of(text, text.len()),
            expected: "at least one [[phase]]",
            got: "none".to_owned(),
        })?;
        Ok(recipe)
    }
}

/// The table's entries in the order of the text (the table itself is sorted by name).
fn entries(table: &DeTable<'_>) -> Vec<(Node, Node)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let name = Value::Str(key.get_ref().to_string());
            (Node { offset: key.span().start, value: name }, node(value))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.offset);
    entries
}

/// Recursion is bounded by the TOML parser, which refuses deeply nested text.
fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let plain = match value.get_ref() {
        DeValue::String(text) => Value::Str(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        // A number out of range is kept as infinity: no key takes it, so its place is reported there.
        DeValue::Integer(int) => {
            i64::from_str_radix(int.as_str(), int.radix()).map_or(Value::Float(f64::INFINITY), Value::Int)
        }
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::INFINITY)),
        DeValue::Datetime(datetime) => Value::Str(datetime.to_string()),
        DeValue::Array(items) => Value::Sequence(items.iter().map(node).collect()),
        DeValue::Table(table) => Value::Dict(entries(table)),
    };
    Node { offset: value.span().start, value: plain }
}
