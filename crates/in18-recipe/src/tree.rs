//! A recipe's text as a tree: TOML, with the short names of fields in their sections.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::value::{Node, Value};

/// Fields that may stand outside of their section, or be named without it: by the names of the
/// flags and of the phases' keys.
pub(crate) const SHORT_NAMES: &[(&str, &str)] = &[
    ("arch", "network.arch"),
    ("precision", "network.precision"),
    ("init_bn0", "initial.bn0"),
    ("init", "initial.from"),
    ("new_head", "initial.new_head"),
    ("loss_scale", "loss.scale"),
    ("momentum", "optimizer.momentum"),
    ("weight_decay", "optimizer.weight_decay"),
    ("no_bn_wd", "optimizer.no_bn_wd"),
    ("gradients", "optimizer.gradients"),
    ("shuffle", "data.shuffle"),
    ("drop_last", "data.drop_last"),
    ("exif", "data.exif"),
    ("min_scale", "augment.min_scale"),
    ("rect_val", "evaluate.rectangular"),
    ("devices", "made_for.devices"),
];

/// The field's whole name.
pub(crate) fn whole_name(field: &str) -> &str {
    SHORT_NAMES.iter().find(|(short, _)| *short == field).map_or(field, |(_, whole)| whole)
}

/// Reads the text of a TOML document.
///
/// # Errors
/// The parser's message, with the byte at which it stands.
pub(crate) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let document = DeTable::parse(text).map_err(|error| {
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        (error.span().map_or(0, |span| span.start), message)
    })?;
    Ok(Node { offset: 0, value: Value::Dict(entries(document.get_ref())) })
}

/// Reads the text of a TOML value.
pub(crate) fn value(text: &str) -> Option<Node> {
    DeValue::parse(text).ok().map(|value| node(&value))
}

impl Node {
    /// The entries of a dict; none of any other value.
    fn entries(&self) -> &[(Node, Node)] {
        if let Value::Dict(entries) = &self.value { entries } else { &[] }
    }

    fn is_named(&self, name: &str) -> bool {
        matches!(&self.value, Value::Str(own) if own == name)
    }

    /// The key and value at the end of a path such as `optimizer.momentum`.
    pub(crate) fn find(&self, path: &str) -> Option<&(Node, Node)> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let entry = self.entries().iter().find(|(key, _)| key.is_named(first))?;
        rest.map_or(Some(entry), |rest| entry.1.find(rest))
    }

    /// Takes an entry out of a dict.
    pub(crate) fn take(&mut self, name: &str) -> Option<(Node, Node)> {
        let Value::Dict(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|(key, _)| key.is_named(name))?;
        Some(entries.remove(at))
    }

    /// Puts a value at the end of a path, in the place of what is there.
    pub(crate) fn put(&mut self, path: &str, value: Node) {
        let offset = value.offset;
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let new_key = || Node { offset, value: Value::Str(first.to_owned()) };
        let (key, mut inner) =
            self.take(first).unwrap_or_else(|| (new_key(), Node { offset, value: Value::Dict(Vec::new()) }));
        match rest {
            None => inner = value,
            Some(rest) => inner.put(rest, value),
        }
        match &mut self.value {
            Value::Dict(entries) => entries.push((key, inner)),
            other => *other = Value::Dict(vec![(key, inner)]),
        }
    }

    /// Every field below, by its path.
    pub(crate) fn fields(&self, path: &str, into: &mut Vec<String>) {
        for (key, value) in self.entries() {
            let Value::Str(name) = &key.value else { continue };
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match &value.value {
                Value::Dict(_) => value.fields(&path, into),
                _ => into.push(path),
            }
        }
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
        // A number out of range is kept as infinity: no key takes it, so its place is reported
        // there.
        DeValue::Integer(int) => i128::from_str_radix(int.as_str(), int.radix())
            .ok()
            .filter(|int| (i64::MIN.into()..=u64::MAX.into()).contains(int))
            .map_or(Value::Float(f64::INFINITY), Value::Int),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::INFINITY)),
        DeValue::Datetime(datetime) => Value::Str(datetime.to_string()),
        DeValue::Array(items) => Value::Sequence(items.iter().map(node).collect()),
        DeValue::Table(table) => Value::Dict(entries(table)),
    };
    Node { offset: value.span().start, value: plain }
}
