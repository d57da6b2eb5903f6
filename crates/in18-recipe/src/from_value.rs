//! From plain values to phases: which keys there are, which types they take, and where in the text
//! a mistake stands.
//!
//! Shared by both notations; it knows neither. What a single phase must meet beyond its types is
//! [`Phase::check`]'s, to which this module adds the place.

use std::collections::BTreeMap;

use crate::literal::{self, LiteralError};
use crate::nearest::did_you_mean;
use crate::phases::{Batch, Course, DataPhase, Epochs, Key, LrPhase, Phase, PhaseFault, Phases, optional_data};
use crate::value::{Node, Position, Value, quote};

/// A text that holds no phases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhasesError {
    /// The text is no literal.
    #[error(transparent)]
    Literal(#[from] LiteralError),
    /// The value is not a list of dicts.
    #[error("{at}: expected {expected}, got {got}")]
    Shape {
        /// Where the value starts.
        at: Position,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        got: String,
    },
    /// A phase breaks a rule.
    #[error("{at}: phase {phase}: {fault}")]
    Phase {
        /// Where the wrong key or value starts.
        at: Position,
        /// Which phase, counted from 1.
        phase: usize,
        /// What is wrong.
        fault: PhaseFault,
    },
}

impl PhasesError {
    /// Where the mistake stands.
    pub fn at(&self) -> Position {
        match self {
            PhasesError::Literal(error) => error.at,
            PhasesError::Shape { at, .. } | PhasesError::Phase { at, .. } => *at,
        }
    }
}

impl Phases {
    /// Reads a Python literal: a list (or tuple) of dicts, as `--phases` takes it. Nothing is
    /// evaluated.
    ///
    /// # Errors
    /// The first mistake, with its column. Never panics, whatever the text.
    pub fn from_python(text: &str) -> Result<Phases, PhasesError> {
        let node = literal::parse(text)?;
        match &node.value {
            Value::Sequence(nodes) => from_nodes(text, nodes),
            other => Err(PhasesError::Shape {
                at: Position::of(text, node.offset),
                expected: "a list of phases '[...]'",
                got: other.to_string(),
            }),
        }
    }
}

/// Reads the phases from `nodes`, whose offsets point into `text`.
pub(crate) fn from_nodes(text: &str, nodes: &[Node]) -> Result<Phases, PhasesError> {
    let phase = |(index, node): (usize, &Node)| {
        let Value::Dict(entries) = &node.value else {
            return Err(PhasesError::Shape {
                at: Position::of(text, node.offset),
                expected: "a phase '{...}'",
                got: node.value.to_string(),
            });
        };
        read_phase(entries).map_err(|Misplaced { offset, fault }| PhasesError::Phase {
            at: Position::of(text, offset.unwrap_or(node.offset)),
            phase: index + 1,
            fault,
        })
    };
    Ok(Phases { phases: nodes.iter().enumerate().map(phase).collect::<Result<_, _>>()? })
}

/// A fault and the byte offset of what causes it; `None` for the phase as a whole.
struct Misplaced {
    offset: Option<usize>,
    fault: PhaseFault,
}

/// A phase's values by the place of their keys in [`Key::ALL`].
struct Values<'a>([Option<&'a Node>; Key::ALL.len()]);

impl<'a> Values<'a> {
    /// Refuses unknown keys, and those that stand there twice.
    fn of(entries: &'a [(Node, Node)]) -> Result<Self, Misplaced> {
        let mut values = [None; Key::ALL.len()];
        for (key, value) in entries {
            let known = |name: &str| Key::ALL.iter().position(|key| key.name() == name);
            let index = match &key.value {
                Value::Str(name) => known(name).ok_or_else(|| {
                    let names = Key::ALL.map(Key::name);
                    let expected = format!("one of the keys {}", names.join(", "));
                    misplaced(key, PhaseFault::new(None, expected, quote(name) + &did_you_mean(name, names)))
                })?,
                other => return Err(misplaced(key, PhaseFault::new(None, "a key in quotes", other))),
            };
            if values[index].replace(value).is_some() {
                return Err(misplaced(key, PhaseFault::new(None, format!("{} once", Key::ALL[index]), "it twice")));
            }
        }
        Ok(Values(values))
    }

    fn get(&self, key: Key) -> Option<&'a Node> {
        Key::ALL.iter().position(|&known| known == key).and_then(|index| self.0[index])
    }

    /// A key's value, if it is written.
    fn read<T: FromNode>(&self, key: Key) -> Result<Option<T>, Misplaced> {
        self.get(key).map(|node| T::from_node(key, node)).transpose()
    }

    /// A key that could have no effect is a mistake, not a wish to ignore.
    fn check(&self) -> Result<(), Misplaced> {
        let has = |key| self.get(key).is_some();
        for (key, node) in Key::ALL.iter().filter_map(|&key| self.get(key).map(|node| (key, node))) {
            let needs = match key {
                Key::EpochStep if !has(Key::Lr) => Key::Lr,
                Key::Ep | Key::Bs | Key::Lr | Key::EpochStep => continue,
                _ if !has(Key::Bs) => Key::Bs,
                _ => continue,
            };
            return Err(misplaced(node, PhaseFault::new(key, format!("{needs} in the same phase"), "none")));
        }
        Ok(())
    }
}

fn read_phase(entries: &[(Node, Node)]) -> Result<Phase, Misplaced> {
    let values = Values::of(entries)?;
    let value = |key| values.get(key);
    let Some(ep) = value(Key::Ep) else {
        let fault = PhaseFault::new(None, "'ep', the epoch at which the phase starts", "none");
        return Err(Misplaced { offset: None, fault });
    };
    values.check()?;
    macro_rules! data {
        ($($field:ident: $key:ident),+) => {
            DataPhase {
                $($field: values.read(Key::$key)?,)+
                batch: values.read(Key::Bs)?.unwrap_or_default(),
                keep_dl: values.read(Key::KeepDl)?.unwrap_or_default(),
            }
        };
    }
    let phase = Phase {
        ep: epochs(ep)?,
        data: match value(Key::Bs) {
            None => None,
            Some(_) => Some(optional_data!(data)),
        },
        lr: match value(Key::Lr) {
            None => None,
            Some(lr) => Some(LrPhase {
                rate: Course::from_node(Key::Lr, lr)?,
                epoch_step: values.read(Key::EpochStep)?.unwrap_or_default(),
            }),
        },
    };
    phase.check().map_err(|fault| Misplaced { offset: fault.key.and_then(value).map(|node| node.offset), fault })?;
    Ok(phase)
}

fn epochs(node: &Node) -> Result<Epochs, Misplaced> {
    match &node.value {
        Value::Int(_) => Ok(Epochs::From(epoch(node)?)),
        Value::Float(number) if number.is_finite() => Ok(Epochs::From(epoch(node)?)),
        Value::Sequence(items) if items.len() == 2 => Ok(Epochs::Span(epoch(&items[0])?, epoch(&items[1])?)),
        other => Err(misplaced(node, PhaseFault::new(Key::Ep, "an epoch or a pair (start, end)", other))),
    }
}

/// An epoch, or a place within one.
fn epoch(node: &Node) -> Result<f64, Misplaced> {
    match node.value {
        Value::Float(number) if number.is_finite() && number >= 0.0 => Ok(number),
        Value::Float(_) => Err(misplaced(node, PhaseFault::new(Key::Ep, "an epoch that is not negative", &node.value))),
        _ => Ok(usize::from_node(Key::Ep, node)? as f64),
    }
}

/// A type that a key's value may have.
trait FromNode: Sized {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced>;
}

impl FromNode for usize {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced> {
        let counted = match node.value {
            Value::Int(int) => usize::try_from(int).ok(),
            _ => None,
        };
        counted.ok_or_else(|| misplaced(node, PhaseFault::new(key, "a whole number that is not negative", &node.value)))
    }
}

impl FromNode for f64 {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced> {
        match node.value {
            Value::Int(int) => Ok(int as f64),
            Value::Float(float) => Ok(float),
            ref other => Err(misplaced(node, PhaseFault::new(key, "a number", other))),
        }
    }
}

/// One value, or a pair (from, to).
impl<T: FromNode> FromNode for Course<T> {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced> {
        match &node.value {
            Value::Sequence(items) if items.len() == 2 => {
                Ok(Course::Linear(T::from_node(key, &items[0])?, T::from_node(key, &items[1])?))
            }
            Value::Int(_) | Value::Float(_) => Ok(Course::Constant(T::from_node(key, node)?)),
            other => {
                let one = match key {
                    Key::Lr => "a rate",
                    Key::Sz => "a size",
                    _ => "a number",
                };
                Err(misplaced(node, PhaseFault::new(key, format!("{one} or a pair (from, to)"), other)))
            }
        }
    }
}

/// One number, or a dict by size.
impl FromNode for Batch {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced> {
        let Value::Dict(entries) = &node.value else { return Ok(Batch::One(usize::from_node(key, node)?)) };
        let mut by_size = BTreeMap::new();
        for (size, images) in entries {
            let pixels = match &size.value {
                // TOML's keys are strings.
                Value::Str(text) => text.parse().ok(),
                Value::Int(int) => usize::try_from(*int).ok(),
                _ => None,
            };
            let Some(pixels) = pixels else {
                return Err(misplaced(size, PhaseFault::new(key, "a size in pixels", &size.value)));
            };
            if by_size.insert(pixels, usize::from_node(key, images)?).is_some() {
                return Err(misplaced(size, PhaseFault::new(key, format!("{pixels} pixels once"), "it twice")));
            }
        }
        Ok(Batch::BySize(by_size))
    }
}

impl FromNode for String {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced> {
        match &node.value {
            Value::Str(text) => Ok(text.clone()),
            other => Err(misplaced(node, PhaseFault::new(key, "a string such as '-sz/160'", other))),
        }
    }
}

impl FromNode for bool {
    fn from_node(key: Key, node: &Node) -> Result<Self, Misplaced> {
        match node.value {
            Value::Bool(flag) => Ok(flag),
            // Python's bools are the numbers 0 and 1, and recipes use either.
            Value::Int(int @ (0 | 1)) => Ok(int == 1),
            ref other => Err(misplaced(node, PhaseFault::new(key, "True or False", other))),
        }
    }
}

fn misplaced(node: &Node, fault: PhaseFault) -> Misplaced {
    Misplaced { offset: Some(node.offset), fault }
}
