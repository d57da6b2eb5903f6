//! Names as indices and messages can hold them.

/// A name in which control characters, and bytes that are no text, became replacement characters.
/// Never empty.
pub(crate) fn printable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let clean: String = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if clean.is_empty() { char::REPLACEMENT_CHARACTER.to_string() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_printable() {
        assert_eq!(printable(b"a\tb\n\xff"), "a\u{fffd}b\u{fffd}\u{fffd}");
        assert_eq!(printable(b""), "\u{fffd}");
    }
}
