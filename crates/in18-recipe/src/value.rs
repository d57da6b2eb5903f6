//! The tree of plain values that both notations (Python literal, TOML) are read into, each value
//! with its place.
//!
//! It knows neither notation nor what the values mean. Because both notations meet here, the rules
//! about keys and types are written once (`from_value`), and each error still points at the place
//! in the user's own text.

use std::fmt;

/// A place in a text, counted as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line from 1, or `None` when the whole text is one line and saying "line 1" would only
    /// distract.
    pub line: Option<usize>,
    /// Column from 1, in characters (not bytes).
    pub column: usize,
}

impl Position {
    /// The place of byte `offset` in `text`. An offset in the blanks at the end means the end of
    /// what is written, and one inside a character that character.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let text = text.trim_end();
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let one_line = !text.contains('\n');
        Position {
            line: (!one_line).then(|| before.matches('\n').count() + 1),
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}, column {}", self.column),
            None => write!(f, "column {}", self.column),
        }
    }
}

/// A value and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Byte offset in the text. Lines and columns are counted only for errors ([`Position::of`]).
    pub(crate) offset: usize,
    pub(crate) value: Value,
}

/// A plain value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(String),
    /// A Python list or tuple, or a TOML array: the recipe treats them alike.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text; keys may repeat, which is the reader's business.
    Dict(Vec<(Node, Node)>),
}

/// How a message quotes the value: short, and on one line whatever it holds.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
            Value::Int(int) => write!(f, "{int}"),
            Value::Float(float) => write!(f, "{float:?}"),
            Value::Str(text) => f.write_str(&quote(text)),
            Value::Sequence(items) => match &items[..] {
                [] => f.write_str("an empty list"),
                [a, b] if a.value.is_scalar() && b.value.is_scalar() => write!(f, "({}, {})", a.value, b.value),
                [_] => f.write_str("a list of 1 value"),
                more => write!(f, "a list of {} values", more.len()),
            },
            Value::Dict(_) => f.write_str("a dict"),
        }
    }
}

impl Value {
    /// How a command line writes it.
    pub(crate) fn written(&self) -> String {
        match self {
            Value::Bool(flag) => flag.to_string(),
            Value::Str(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn is_scalar(&self) -> bool {
        !matches!(self, Value::Sequence(_) | Value::Dict(_))
    }
}

/// `text` in single quotes, with control characters escaped and its tail cut off, fit for one line
/// of a message.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 32;
    let mut quoted = String::from("'");
    quoted.extend(text.chars().take(SHOWN).flat_map(char::escape_debug));
    quoted.push_str(if text.chars().nth(SHOWN).is_some() { "...'" } else { "'" });
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_lines() {
        let at = |text, offset| Position::of(text, offset).to_string();
        assert_eq!(at("abc", 2), "column 3");
        assert_eq!(at("äbc", 2), "column 2", "characters, not bytes");
        assert_eq!(at("äbc", 1), "column 1", "inside a character");
        assert_eq!(at("abc \n", 99), "column 4", "a final newline makes no second line");
        assert_eq!(at("a\nbc", 0), "line 1, column 1");
        assert_eq!(at("a\nbc", 3), "line 2, column 2");
    }

    #[test]
    fn quoted_text_stays_short_and_on_one_line() {
        assert_eq!(quote("a\nb"), "'a\\nb'");
        assert_eq!(quote(&"x".repeat(99)), format!("'{}...'", "x".repeat(32)));
    }
}
