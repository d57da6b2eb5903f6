//! From plain values to a recipe's fields, by serde, so that a mistake is said with its field and
//! its place.

use std::fmt;

use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::fault::Fault;
use crate::nearest::{did_you_mean, nearest};
use crate::value::{Node, Value, quote};

/// Reads what `node` holds.
pub(crate) fn read<'a, T: Deserialize<'a>>(node: &'a Node) -> Result<T, Misread> {
    T::deserialize(node).map_err(|error| error.inside(None, node))
}

/// A value that is no `T`.
#[derive(Debug)]
pub(crate) struct Misread {
    /// What is wrong. Its field is filled in on the way out of the tree.
    pub(crate) fault: Fault,
    /// Byte offset of the wrong key or value, once it is known.
    pub(crate) offset: Option<usize>,
    /// The name of an unknown field, and those that could stand in its place.
    unknown: Option<(Box<str>, &'static [&'static str])>,
}

impl Misread {
    fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        let fault = Fault { field: String::new(), expected: expected.into(), got: got.into() };
        Misread { fault, offset: None, unknown: None }
    }

    /// The mistake as seen from outside of `node`, which stands under `key`.
    fn inside(mut self, key: Option<&str>, node: &Node) -> Self {
        if self.offset.is_none() {
            self.offset = Some(node.offset);
            if self.fault.got.is_empty() {
                self.fault.got = node.value.to_string();
            }
        }
        if let Some(key) = key {
            let field = &self.fault.field;
            self.fault.field = if field.is_empty() { key.to_owned() } else { format!("{key}.{field}") };
        }
        self
    }

    /// With `more` names that could stand in the place of an unknown field of the recipe itself. If
    /// none that could stand there is near, a near one of another section is proposed: `elsewhere`
    /// has short names and whole ones.
    pub(crate) fn or(mut self, more: &[&str], elsewhere: &[(&str, &str)]) -> Self {
        let Some((name, known)) = &self.unknown else { return self };
        let more = if self.fault.field.is_empty() { more } else { &[] };
        let known: Vec<&str> = known.iter().chain(more).copied().collect();
        let mut hint = did_you_mean(name, known.iter().copied());
        if hint.is_empty()
            && let Some(short) = nearest(name, elsewhere.iter().map(|(short, _)| *short))
        {
            let whole = elsewhere.iter().find(|(other, _)| *other == short).map_or(short, |(_, whole)| whole);
            hint = format!(": did you mean '{whole}'?");
        }
        (self.fault.expected, self.fault.got) = (one_of(&known), quote(name) + &hint);
        self
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [only] => (*only).to_owned(),
        names => format!("one of {}", names.join(", ")),
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for Misread {}

impl Error for Misread {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Misread::new(message.to_string(), "")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "f64" => "a number".to_owned(),
            "u64" | "usize" => "a whole number that is not negative".to_owned(),
            "a boolean" => "true or false".to_owned(),
            other if other.starts_with("struct ") => "a table".to_owned(),
            other => other.to_owned(),
        };
        Misread::new(expected, "")
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Misread::new(one_of(known), quote(name) + &did_you_mean(name, known.iter().copied()))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Misread { unknown: Some((name.into(), known)), ..Self::unknown_variant(name, known) }
    }

    fn missing_field(name: &'static str) -> Self {
        Misread::new(format!("'{name}'"), "none")
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Misread;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        match &self.value {
            Value::None => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(int) => match (i64::try_from(*int), u64::try_from(*int)) {
                (Ok(int), _) => visitor.visit_i64(int),
                (_, Ok(int)) => visitor.visit_u64(int),
                _ => visitor.visit_i128(*int),
            },
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Sequence(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Value::Dict(entries) => visitor.visit_map(Entries { left: entries, value: None }),
        }
    }

    /// A field that is there has a value.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        visitor.visit_some(self)
    }

    /// The enumerations of a recipe are names.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misread> {
        match &self.value {
            Value::Str(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            _ => Err(Misread::new(one_of(names), "")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Misread> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A dict's entries on their way to a struct's fields.
struct Entries<'de> {
    left: &'de [(Node, Node)],
    value: Option<&'de (Node, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Misread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misread> {
        let Some((entry, left)) = self.left.split_first() else { return Ok(None) };
        (self.left, self.value) = (left, Some(entry));
        seed.deserialize(&entry.0).map(Some).map_err(|error| error.inside(None, &entry.0))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misread> {
        let (key, value) = self.value.take().ok_or_else(|| Misread::new("a key before its value", "none"))?;
        let Value::Str(name) = &key.value else { return Err(Misread::new("a name", "").inside(None, key)) };
        seed.deserialize(value).map_err(|error| error.inside(Some(name), value))
    }
}
