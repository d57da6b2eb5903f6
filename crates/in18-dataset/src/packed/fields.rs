//! Fields of an index's lines. Errors are what was expected and what came.

use std::str::FromStr;

/// A checksum as an index has it: eight hexadecimal digits, none of them a capital.
pub(super) struct Hex(pub u32);

impl FromStr for Hex {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // `from_str_radix` would take a sign, too.
        let is_plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_plain { u32::from_str_radix(text, 16).map(Hex).map_err(|_| ()) } else { Err(()) }
    }
}

pub(super) fn hex(checksum: u32) -> String {
    format!("{checksum:08x}")
}

/// What is not known is written as a dash.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

pub(super) fn field<'a, T: FromStr>(
    fields: &mut impl Iterator<Item = &'a str>,
    expected: &'static str,
) -> Result<T, (&'static str, String)> {
    let got = fields.next().unwrap_or("the end of the line");
    got.parse().map_err(|_| (expected, got.to_owned()))
}

/// A field that may be a dash.
pub(super) fn optional<'a, T: FromStr>(
    fields: &mut impl Iterator<Item = &'a str>,
    expected: &'static str,
) -> Result<Option<T>, (&'static str, String)> {
    match fields.next() {
        Some("-") => Ok(None),
        other => field(&mut other.into_iter(), expected).map(Some),
    }
}

/// A name: not empty, and without control characters.
pub(super) fn text<'a>(
    fields: &mut impl Iterator<Item = &'a str>,
    expected: &'static str,
) -> Result<String, (&'static str, String)> {
    match fields.next() {
        Some(text) if !text.is_empty() && !text.contains(char::is_control) => Ok(text.to_owned()),
        other => Err((expected, other.unwrap_or("the end of the line").to_owned())),
    }
}
