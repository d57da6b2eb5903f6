//! Recipes as TOML, and their fields as `-o` writes them.
//!
//! ```toml
//! name = "small"
//! about = "two sizes"
//!
//! [network]
//! arch = "resnet50"
//!
//! [optimizer]
//! no_bn_wd = true       # or, by its short name, `no_bn_wd = true` before the first section
//!
//! [[phase]]             # or `phases = "[{'ep': 0, ...}]"`, in the notation of --phases
//! ep = 0
//! sz = 96
//! bs = 64
//!
//! [[phase]]
//! ep = [0, 3]
//! lr = [0.1, 0.4]
//! ```
//!
//! What is not written has its default. It opens no file.

use std::fmt::Display;

use crate::fault::Fault;
use crate::from_value::{PhasesError, from_nodes};
use crate::phases::Phases;
use crate::read::{Misread, read};
use crate::recipe::Recipe;
use crate::tree::{self, SHORT_NAMES, whole_name};
use crate::value::{Node, Position, Value};

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
    /// A field beside the phases is wrong.
    #[error("{at}: {fault}")]
    Field {
        /// Where the key or value starts.
        at: Position,
        /// What is wrong.
        fault: Fault,
    },
    /// A phase is wrong.
    #[error(transparent)]
    Phases(#[from] PhasesError),
    /// Phases in the notation of `--phases` are wrong.
    #[error("{at}: phases: {cause}")]
    Python {
        /// Where their text starts.
        at: Position,
        /// The mistake, and its place in them.
        cause: PhasesError,
    },
}

/// A field that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The field, or its value, is wrong.
    #[error("{0}")]
    Field(Fault),
    /// So are the phases.
    #[error(transparent)]
    Phases(PhasesError),
}

/// The keys of a recipe's phases, the one as tables and the other as anything.
const PHASES: [&str; 2] = ["phase", "phases"];

impl Recipe {
    /// Reads the text of a TOML recipe.
    ///
    /// # Errors
    /// The first mistake, with line and column. Never panics, whatever the text.
    pub fn from_toml(text: &str) -> Result<Recipe, RecipeError> {
        let at = |offset| Position::of(text, offset);
        let field = |offset, fault| RecipeError::Field { at: at(offset), fault };
        let mut root = document(text)?;
        let phases = take_phases(&mut root).map_err(|(offset, fault)| field(offset, fault))?;
        let misread = |Misread { fault, offset, .. }| field(offset.unwrap_or_default(), fault);
        let mut recipe: Recipe = fields(&root).map_err(misread)?;
        recipe.phases = match &phases {
            Some(Node { value: Value::Sequence(nodes), .. }) => from_nodes(text, nodes)?,
            Some(Node { offset, value: Value::Str(python) }) => {
                Phases::from_python(python).map_err(|cause| RecipeError::Python { at: at(*offset), cause })?
            }
            Some(other) => return Err(field(other.offset, whole("tables that start with [[phase]]", &other.value))),
            None => return Err(field(text.len(), whole("at least one [[phase]]", &"none"))),
        };
        let place = |fault: &Fault| root.find(&fault.field).map_or(text.len(), |(_, value)| value.offset);
        recipe.check().map_err(|fault| field(place(&fault), fault))?;
        Ok(recipe)
    }

    /// The names of the fields that the text of a TOML recipe states, such as `network.arch`.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), for a text that is no TOML.
    pub fn stated_in_toml(text: &str) -> Result<Vec<String>, RecipeError> {
        let mut stated = Vec::new();
        document(text)?.fields("", &mut stated);
        Ok(stated)
    }

    /// The recipe as the text of a TOML file, with every field that has a value.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field has a form in TOML")
    }

    /// Sets one field, as `-o FIELD=VALUE` does: `optimizer.momentum` to `0.95`. The value is
    /// TOML's; a string needs no quotes. A field with a flag of its own may be called as that, such
    /// as `no_bn_wd`.
    ///
    /// # Errors
    /// An unknown field, with the nearest known one, and a value that the field cannot have, alone
    /// or beside the others. The recipe is unchanged then.
    pub fn set(&mut self, field: &str, value: &str) -> Result<(), SetError> {
        let string = || Node { offset: 0, value: Value::Str(value.to_owned()) };
        *self = match tree::value(value) {
            Some(node) => {
                self.with(field, value, node).or_else(|error| self.with(field, value, string()).or(Err(error)))
            }
            None => self.with(field, value, string()),
        }?;
        Ok(())
    }

    /// The recipe with one field set to `value`, which was written as `text`.
    fn with(&self, field: &str, text: &str, value: Node) -> Result<Recipe, SetError> {
        let whole_name = whole_name(field);
        // Its name stands before the message already.
        let wrong = |fault: Fault| match fault.field == whole_name {
            true => SetError::Field(Fault { field: String::new(), ..fault }),
            false => SetError::Field(fault),
        };
        let mut root = tree::parse(&self.to_toml()).expect("what is written reads back");
        drop(root.take(PHASES[0]));
        root.put(whole_name, value);
        let phases = take_phases(&mut root).map_err(|(_, fault)| wrong(fault))?;
        let mut recipe: Recipe = fields(&root).map_err(|misread| wrong(misread.fault))?;
        recipe.phases = match phases {
            None => self.phases.clone(),
            Some(Node { value: Value::Sequence(nodes), .. }) => from_nodes(text, &nodes).map_err(SetError::Phases)?,
            Some(Node { value: Value::Str(python), .. }) => Phases::from_python(&python).map_err(SetError::Phases)?,
            Some(other) => return Err(wrong(whole("a list of phases", &other.value))),
        };
        recipe.check().map_err(wrong)?;
        Ok(recipe)
    }

    /// A field's value, as [`set`](Self::set) takes it. None for an unknown field, and for one
    /// without a value.
    pub fn get(&self, field: &str) -> Option<String> {
        let root = tree::parse(&self.to_toml()).ok()?;
        root.find(whole_name(field)).map(|(_, value)| value.value.written())
    }
}

/// The text's tree, with all fields in their sections.
fn document(text: &str) -> Result<Node, RecipeError> {
    let mut root =
        tree::parse(text).map_err(|(offset, message)| RecipeError::Toml { at: Position::of(text, offset), message })?;
    for &(short, whole) in SHORT_NAMES {
        let Some((key, value)) = root.take(short) else { continue };
        if root.find(whole).is_some() {
            let expected = format!("{whole} once");
            let got = format!("it twice: '{short}' is its short name");
            let fault = Fault { field: String::new(), expected, got };
            return Err(RecipeError::Field { at: Position::of(text, key.offset), fault });
        }
        root.put(whole, value);
    }
    Ok(root)
}

/// The phases, which have their own reader.
fn take_phases(root: &mut Node) -> Result<Option<Node>, (usize, Fault)> {
    let [tables, any] = PHASES.map(|name| root.take(name));
    match (tables, any) {
        (Some(_), Some((key, _))) => Err((key.offset, whole("either [[phase]] or 'phases'", &"both"))),
        (one, other) => Ok(one.or(other).map(|(_, phases)| phases)),
    }
}

/// A fault of the recipe as a whole.
fn whole(expected: &str, got: &dyn Display) -> Fault {
    Fault { field: String::new(), expected: expected.to_owned(), got: got.to_string() }
}

/// All but the phases.
fn fields(root: &Node) -> Result<Recipe, Misread> {
    read(root).map_err(|error: Misread| error.or(&PHASES[..1], SHORT_NAMES))
}
