//! Phases back to text: as a Python literal, and by serde. What is rendered reads back as the same
//! phases.
//!
//! Numbers are written in the fewest digits that read back exactly, as Python's `repr` does.

use std::fmt::Write;

use serde::{Serialize, Serializer};

use crate::phases::{Epochs, Key, Phase, Phases, Rate, optional_data};

impl Phases {
    /// The phases as a Python literal on one line, fit for `--phases` inside double quotes (a
    /// suffix that itself holds shell characters aside).
    pub fn to_python(&self) -> String {
        let phases: Vec<String> = self
            .phases
            .iter()
            .map(|phase| {
                let entries: Vec<String> =
                    entries(phase).iter().map(|(key, value)| format!("{key}: {}", value.python())).collect();
                format!("{{{}}}", entries.join(", "))
            })
            .collect();
        format!("[{}]", phases.join(", "))
    }
}

/// The notation's keys: what TOML and JSON have of a phase.
impl Serialize for Phase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(entries(self).iter().map(|(key, value)| (key.name(), value)))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Count(usize),
    Counts(usize, usize),
    Number(f64),
    Numbers(f64, f64),
    Text(&'a str),
    Flag(bool),
}

impl From<&usize> for Written<'_> {
    fn from(&count: &usize) -> Self {
        Written::Count(count)
    }
}

impl From<&f64> for Written<'_> {
    fn from(&number: &f64) -> Self {
        Written::Number(number)
    }
}

impl<'a> From<&'a String> for Written<'a> {
    fn from(text: &'a String) -> Self {
        Written::Text(text)
    }
}

impl From<&bool> for Written<'_> {
    fn from(&flag: &bool) -> Self {
        Written::Flag(flag)
    }
}

impl Written<'_> {
    fn python(&self) -> String {
        match self {
            Written::Counts(a, b) => format!("({a}, {b})"),
            Written::Numbers(a, b) => format!("({a:?}, {b:?})"),
            Written::Text(text) => quoted(text, '\''),
            Written::Flag(flag) => if *flag { "True" } else { "False" }.to_owned(),
            Written::Count(count) => count.to_string(),
            Written::Number(number) => format!("{number:?}"),
        }
    }
}

/// What the phase has written, in the order of [`Key::ALL`].
fn entries(phase: &Phase) -> Vec<(Key, Written<'_>)> {
    let mut entries = vec![(
        Key::Ep,
        match phase.ep {
            Epochs::From(epoch) => Written::Count(epoch),
            Epochs::Span(start, end) => Written::Counts(start, end),
        },
    )];
    if let Some(data) = &phase.data {
        macro_rules! written {
            ($($field:ident: $key:ident),+) => {
                $(entries.extend(data.$field.as_ref().map(|value| (Key::$key, Written::from(value))));)+
            };
        }
        optional_data!(written);
        entries.push((Key::Bs, Written::Count(data.batch)));
        entries.extend(data.keep_dl.then_some((Key::KeepDl, Written::Flag(true))));
    }
    if let Some(lr) = &phase.lr {
        entries.push((
            Key::Lr,
            match lr.rate {
                Rate::Constant(rate) => Written::Number(rate),
                Rate::Linear(from, to) => Written::Numbers(from, to),
            },
        ));
        entries.extend(lr.epoch_step.then_some((Key::EpochStep, Written::Flag(true))));
    }
    entries.sort_by_key(|(key, _)| *key);
    entries
}

/// `text` as a string, between `mark`s.
fn quoted(text: &str, mark: char) -> String {
    let mut quoted = String::from(mark);
    for c in text.chars() {
        if c == mark || c == '\\' {
            quoted.extend(['\\', c]);
        } else if c.is_control() {
            // All control characters lie in the first plane; writing to a String cannot fail.
            let _ = write!(quoted, "\\u{:04x}", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    quoted.push(mark);
    quoted
}
