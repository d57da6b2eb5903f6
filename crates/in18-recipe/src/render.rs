//! Phases back to text: as a Python literal, and by serde. What is rendered reads back as the same
//! phases.
//!
//! Numbers are written in the fewest digits that read back exactly, as Python's `repr` does.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};

use crate::phases::{Batch, Course, Epochs, Key, Phase, Phases, optional_data, whole_or_not};

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
    Epoch(#[serde(serialize_with = "whole_or_not")] f64),
    Epochs(Epoch, Epoch),
    Count(usize),
    Counts(usize, usize),
    BySize(#[serde(serialize_with = "by_name")] &'a BTreeMap<usize, usize>),
    Number(f64),
    Numbers(f64, f64),
    Text(&'a str),
    Flag(bool),
}

#[derive(Serialize)]
struct Epoch(#[serde(serialize_with = "whole_or_not")] f64);

impl From<&Course<usize>> for Written<'_> {
    fn from(&course: &Course<usize>) -> Self {
        match course {
            Course::Constant(count) => Written::Count(count),
            Course::Linear(from, to) => Written::Counts(from, to),
        }
    }
}

impl From<&Course<f64>> for Written<'_> {
    fn from(&course: &Course<f64>) -> Self {
        match course {
            Course::Constant(number) => Written::Number(number),
            Course::Linear(from, to) => Written::Numbers(from, to),
        }
    }
}

/// Keys are strings in TOML. They keep the order of the numbers.
fn by_name<S: Serializer>(by_size: &&BTreeMap<usize, usize>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(by_size.iter().map(|(size, images)| (size.to_string(), images)))
}

impl<'a> From<&'a Batch> for Written<'a> {
    fn from(batch: &'a Batch) -> Self {
        match batch {
            Batch::One(images) => Written::Count(*images),
            Batch::BySize(by_size) => Written::BySize(by_size),
        }
    }
}

impl From<&usize> for Written<'_> {
    fn from(&count: &usize) -> Self {
        Written::Count(count)
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
            Written::Epoch(epoch) => format!("{epoch}"),
            Written::Epochs(Epoch(start), Epoch(end)) => format!("({start}, {end})"),
            Written::Counts(a, b) => format!("({a}, {b})"),
            Written::BySize(by_size) => {
                let entries: Vec<String> = by_size.iter().map(|(size, images)| format!("{size}: {images}")).collect();
                format!("{{{}}}", entries.join(", "))
            }
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
            Epochs::From(epoch) => Written::Epoch(epoch),
            Epochs::Span(start, end) => Written::Epochs(Epoch(start), Epoch(end)),
        },
    )];
    if let Some(data) = &phase.data {
        macro_rules! written {
            ($($field:ident: $key:ident),+) => {
                $(entries.extend(data.$field.as_ref().map(|value| (Key::$key, Written::from(value))));)+
            };
        }
        optional_data!(written);
        entries.push((Key::Bs, Written::from(&data.batch)));
        entries.extend(data.keep_dl.then_some((Key::KeepDl, Written::Flag(true))));
    }
    if let Some(lr) = &phase.lr {
        entries.push((Key::Lr, Written::from(&lr.rate)));
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
