//! A field of a recipe that is wrong.

use std::fmt;

/// What is wrong with a field: what may stand there, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field as `-o` names it, such as `optimizer.momentum`; empty for the recipe as a whole.
    pub field: String,
    /// What may stand there.
    pub expected: String,
    /// What stands there, with a hint where one helps.
    pub got: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { field, expected, got } = self;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        write!(f, "expected {expected}, got {got}")
    }
}

impl std::error::Error for Fault {}

/// A fault of `field` unless `holds`.
pub(crate) fn ensure(holds: bool, field: &str, expected: &str, got: impl fmt::Display) -> Result<(), Fault> {
    let fault = || Fault { field: field.to_owned(), expected: expected.to_owned(), got: got.to_string() };
    if holds { Ok(()) } else { Err(fault()) }
}
