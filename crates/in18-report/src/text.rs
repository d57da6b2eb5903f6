//! Words and numbers for the page. This is the only place that escapes text.

use std::fmt::Write;

/// Text for HTML content and quoted attributes. Characters that are invisible, or that would
/// reorder their neighbours, become the replacement character.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' | '\r' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A number with this many decimals; a dash if it is not finite.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".to_owned() }
}

/// A count with thin spaces between thousands.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A rate as people write it: three significant digits, no trailing zeros.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..7.0).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let decimals = (2.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Share of a whole in percent; NaN if there is no whole.
pub(crate) fn percent(part: f64, whole: f64) -> f64 {
    100.0 * part / whole
}

/// A table row of cells that are HTML already.
pub(crate) fn row(cells: &[String]) -> String {
    cells.iter().enumerate().fold("<tr>".to_owned(), |mut out, (at, cell)| {
        let (open, close) = if at == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
        let _ = write!(out, "{open}{cell}{close}");
        out
    }) + "</tr>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_the_unseen_is_shown() {
        assert_eq!(escape("<b a=\"1\" b='2'>&"), "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;");
        assert_eq!(escape("a\nb\u{0}c\u{202e}d"), "a b\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn numbers_are_short() {
        for (value, want) in [
            (0.0, "0"),
            (0.4375, "0.438"),
            (2.0, "2"),
            (0.0025, "0.0025"),
            (1234.6, "1235"),
            (100.0, "100"),
            (1e9, "1.00e9"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), want, "{value}");
        }
        assert_eq!(count(1_281_167), "1\u{202f}281\u{202f}167");
    }
}
