//! Python literals: the notation of `--phases`, read without evaluating anything.
//!
//! Owns the grammar: lists, tuples, parentheses, dicts, numbers, strings in either quote, `True`,
//! `False`, `None`, trailing commas, comments, line breaks. The original trainer passed the text to
//! `eval`; here a name, a call or an operator is an error that says at which column it stands. It
//! knows nothing of phases.
//!
//! The grammar is that of Python's `ast.literal_eval` less what no recipe needs: string prefixes,
//! triple quotes, joined strings, `\N{...}` escapes, complex numbers and sets.

use crate::value::{Node, Position, Value, quote};

/// Deepest nesting that is read. A recipe needs 3; the bound keeps hostile text from exhausting the
/// stack.
const MAX_DEPTH: usize = 32;

/// The text is no Python literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: expected {expected}, got {got}")]
pub struct LiteralError {
    /// Where the mistake stands.
    pub at: Position,
    /// What may stand there.
    pub expected: String,
    /// What stands there, with a hint where one helps.
    pub got: String,
}

/// Reads `text`, which must hold one literal and nothing else.
///
/// # Errors
/// The first place where the text stops being a literal. Never panics, whatever the text.
pub(crate) fn parse(text: &str) -> Result<Node, LiteralError> {
    let mut parser = Parser { text, offset: 0 };
    parser.skip_blank();
    let node = parser.value(0, "a list of phases '[...]'")?;
    parser.skip_blank();
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("the end of the text")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of the next character.
    offset: usize,
}

impl<'a> Parser<'a> {
    /// The value that comes next, inside `depth` brackets.
    fn value(&mut self, depth: usize, expected: &str) -> Result<Node, LiteralError> {
        let start = self.offset;
        if depth == MAX_DEPTH && matches!(self.peek(), Some('[' | '(' | '{')) {
            return Err(self.error_at(start, format!("at most {MAX_DEPTH} levels of brackets"), "one more"));
        }
        let value = match self.peek() {
            Some('[') => Value::Sequence(self.items(depth, ']')?.0),
            Some('(') => return self.parenthesised(depth),
            Some('{') => self.dict(depth)?,
            Some('\'' | '"') => Value::Str(self.string()?),
            Some(c) if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => self.number()?,
            Some(c) if is_name_start(c) => match self.word() {
                "True" => Value::Bool(true),
                "False" => Value::Bool(false),
                "None" => Value::None,
                _ => {
                    self.offset = start;
                    return Err(self.unexpected(expected));
                }
            },
            _ => return Err(self.unexpected(expected)),
        };
        Ok(Node { offset: start, value })
    }

    /// `()`, `(value)` — which is just the value — or a tuple.
    fn parenthesised(&mut self, depth: usize) -> Result<Node, LiteralError> {
        let offset = self.offset;
        let (mut items, trailing_comma) = self.items(depth, ')')?;
        if items.len() == 1 && !trailing_comma {
            // The place of `(5)` is its bracket: that is where the value was written.
            return Ok(Node { offset, value: items.remove(0).value });
        }
        Ok(Node { offset, value: Value::Sequence(items) })
    }

    /// Values up to the closing bracket, and whether a comma stood before it. The opening bracket
    /// comes next.
    fn items(&mut self, depth: usize, close: char) -> Result<(Vec<Node>, bool), LiteralError> {
        self.bump();
        let mut items = Vec::new();
        let mut after_comma = false;
        loop {
            self.skip_blank();
            if self.eat(close) {
                return Ok((items, after_comma));
            }
            items.push(self.value(depth + 1, &format!("a value or '{close}'"))?);
            self.skip_blank();
            after_comma = self.eat(',');
            if !after_comma && self.peek() != Some(close) {
                return Err(self.unexpected(&format!("',' or '{close}'")));
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, LiteralError> {
        self.bump();
        let mut entries = Vec::new();
        loop {
            self.skip_blank();
            if self.eat('}') {
                return Ok(Value::Dict(entries));
            }
            let key = self.value(depth + 1, "a key in quotes or '}'")?;
            self.skip_blank();
            if !self.eat(':') {
                return Err(self.unexpected("':' after the key"));
            }
            self.skip_blank();
            let value = self.value(depth + 1, "a value")?;
            entries.push((key, value));
            self.skip_blank();
            if !self.eat(',') && self.peek() != Some('}') {
                return Err(self.unexpected("',' or '}'"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, LiteralError> {
        let start = self.offset;
        let negative = match self.peek() {
            Some(sign @ ('+' | '-')) => {
                self.bump();
                // Python allows blanks between a sign and its number.
                self.skip_blank();
                sign == '-'
            }
            _ => false,
        };
        let digits_start = self.offset;
        let radix = match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        let value = if radix == 10 { self.decimal(start, negative)? } else { self.prefixed(start, negative, radix)? };
        match self.peek() {
            Some(c) if is_name_start(c) || c.is_ascii_digit() || c == '.' => {
                let written = &self.text[digits_start..self.offset];
                Err(self.unexpected(&format!("',' or a closing bracket after {written}")))
            }
            _ => Ok(value),
        }
    }

    fn decimal(&mut self, start: usize, negative: bool) -> Result<Value, LiteralError> {
        let mut digits = String::from(if negative { "-" } else { "" });
        let whole = self.digits(10, &mut digits)?;
        let mut is_float = false;
        let mut fraction = 0;
        if self.peek() == Some('.') {
            is_float = true;
            self.bump();
            digits.push('.');
            fraction = self.digits(10, &mut digits)?;
        }
        if whole + fraction == 0 {
            self.offset = start;
            return Err(self.unexpected("a number"));
        }
        // "1e" with no digit after it is caught by the caller: `e` cannot follow a number.
        if matches!(self.peek(), Some('e' | 'E')) && self.exponent_follows() {
            is_float = true;
            self.bump();
            digits.push('e');
            if let Some(sign @ ('+' | '-')) = self.peek() {
                self.bump();
                digits.push(sign);
            }
            self.digits(10, &mut digits)?;
        }
        if is_float {
            let parsed = digits.parse::<f64>();
            return parsed.map(Value::Float).map_err(|_| self.error_at(start, "a number", &quote(&digits)));
        }
        let unsigned = digits.trim_start_matches('-');
        if unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().any(|digit| digit != b'0') {
            return Err(self.error_at(start, "a number without leading zeros", &quote(&digits)));
        }
        self.int(start, &digits, 10)
    }

    fn prefixed(&mut self, start: usize, negative: bool, radix: u32) -> Result<Value, LiteralError> {
        self.bump();
        self.bump();
        let mut digits = String::from(if negative { "-" } else { "" });
        if self.digits(radix, &mut digits)? == 0 {
            return Err(self.unexpected(&format!("a digit in base {radix}")));
        }
        self.int(start, &digits, radix)
    }

    fn int(&self, start: usize, digits: &str, radix: u32) -> Result<Value, LiteralError> {
        i64::from_str_radix(digits, radix)
            .map(|int| Value::Int(int.into()))
            .map_err(|_| self.error_at(start, "a whole number that fits 64 bits", &quote(digits)))
    }

    /// Appends a run of digits (single underscores between them are dropped) and returns how many
    /// there were.
    fn digits(&mut self, radix: u32, into: &mut String) -> Result<usize, LiteralError> {
        let mut count = 0;
        loop {
            match self.peek() {
                Some(c) if c.is_digit(radix) => into.push(c),
                Some('_') if count > 0 => {
                    let underscore = self.offset;
                    self.bump();
                    match self.peek() {
                        Some(c) if c.is_digit(radix) => into.push(c),
                        _ => return Err(self.error_at(underscore, "a digit after '_'", "none")),
                    }
                }
                _ => return Ok(count),
            }
            self.bump();
            count += 1;
        }
    }

    fn exponent_follows(&self) -> bool {
        match self.rest().as_bytes() {
            [_, b'+' | b'-', digit, ..] | [_, digit, ..] => digit.is_ascii_digit(),
            _ => false,
        }
    }

    fn string(&mut self) -> Result<String, LiteralError> {
        let open = self.offset;
        let Some(mark) = self.bump() else { return Err(self.unexpected("a string")) };
        if self.rest().starts_with(mark) && self.rest()[1..].starts_with(mark) {
            return Err(self.error_at(open, "a string in single quotes marks", "a triple-quoted one"));
        }
        let mut content = String::new();
        loop {
            let here = self.offset;
            match self.bump() {
                Some(c) if c == mark => return Ok(content),
                Some('\\') => content.extend(self.escape(here)?),
                None | Some('\n') => {
                    let got = "the end of the line; the string opened here is never closed";
                    return Err(self.error_at(open, format!("a closing {mark}"), got));
                }
                Some(c) => content.push(c),
            }
        }
    }

    /// What stands after a backslash at byte `start`; `None` for an escaped line break, which
    /// stands for nothing.
    fn escape(&mut self, start: usize) -> Result<Option<char>, LiteralError> {
        let escaped = self.bump();
        let code = match escaped {
            Some('\n') => return Ok(None),
            Some(same @ ('\\' | '\'' | '"')) => return Ok(Some(same)),
            Some('n') => return Ok(Some('\n')),
            Some('t') => return Ok(Some('\t')),
            Some('r') => return Ok(Some('\r')),
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('v') => 0x0b,
            Some('f') => 0x0c,
            Some('x') => self.code(start, 16, 2, 2)?,
            Some('u') => self.code(start, 16, 4, 4)?,
            Some('U') => self.code(start, 16, 8, 8)?,
            Some('0'..='7') => {
                self.offset -= 1;
                self.code(start, 8, 1, 3)?
            }
            Some(other) => {
                return Err(self.error_at(
                    start,
                    "a known escape (write '\\\\' for a backslash)",
                    &quote(&format!("\\{other}")),
                ));
            }
            None => return Err(self.error_at(start, "a character after the backslash", "the end of the text")),
        };
        let character = char::from_u32(code);
        character.map(Some).ok_or_else(|| self.error_at(start, "the code of a character", &format!("{code:#x}")))
    }

    fn code(&mut self, start: usize, radix: u32, least: usize, most: usize) -> Result<u32, LiteralError> {
        let mut code = 0;
        for count in 0..most {
            match self.peek().and_then(|c| c.to_digit(radix)) {
                // Eight hexadecimal digits fit 32 bits exactly.
                Some(digit) => code = code * radix + digit,
                None if count >= least => break,
                None => {
                    return Err(self.error_at(start, format!("{least} digits in base {radix}"), &count.to_string()));
                }
            }
            self.bump();
        }
        Ok(code)
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c: char| !is_name_start(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\x0c' => {
                    self.bump();
                }
                '#' => self.offset += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => break,
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.offset += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let matches = self.peek() == Some(wanted);
        if matches {
            self.bump();
        }
        matches
    }

    /// The error that what comes next is not `expected`.
    fn unexpected(&self, expected: &str) -> LiteralError {
        const NO_EVAL: &str = "nothing is evaluated: write the resulting number";
        let rest = self.rest();
        let got = match rest.chars().next() {
            None => "the end of the text".to_owned(),
            Some(c) if is_name_start(c) => {
                let mut ahead = Parser { text: self.text, offset: self.offset };
                let word = ahead.word();
                let after_word = ahead.rest().trim_start();
                let name = quote(word);
                match word {
                    "true" | "false" | "none" => {
                        let (first, tail) = word.split_at(1);
                        format!("{name} (in Python: {}{tail})", first.to_uppercase())
                    }
                    _ if after_word.starts_with('(') => format!("a call of {name} ({NO_EVAL})"),
                    _ if after_word.starts_with(['\'', '"']) => format!("a string with the prefix {name}"),
                    _ => format!("the name {name} ({NO_EVAL})"),
                }
            }
            Some(c @ ('+' | '-' | '*' | '/' | '%' | '@' | '&' | '|' | '^' | '<' | '>' | '~')) => {
                format!("the operator '{c}' ({NO_EVAL})")
            }
            Some('\'' | '"') => "a string".to_owned(),
            Some(c) => quote(c.encode_utf8(&mut [0; 4])),
        };
        self.error_at(self.offset, expected, &got)
    }

    fn error_at(&self, offset: usize, expected: impl Into<String>, got: &str) -> LiteralError {
        LiteralError { at: Position::of(self.text, offset), expected: expected.into(), got: got.to_owned() }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value without its offsets, as Python would print it.
    fn show(value: &Value) -> String {
        let join = |items: Vec<String>| items.join(", ");
        match value {
            Value::Sequence(items) => format!("[{}]", join(items.iter().map(|item| show(&item.value)).collect())),
            Value::Dict(entries) => {
                let entry = |(key, value): &(Node, Node)| format!("{}: {}", show(&key.value), show(&value.value));
                format!("{{{}}}", join(entries.iter().map(entry).collect()))
            }
            scalar => scalar.to_string(),
        }
    }

    #[test]
    fn literals_read_as_in_python() {
        struct Case {
            name: &'static str,
            text: &'static str,
            value: &'static str,
        }
        let cases = [
            Case { name: "ints", text: "[0, 7, -7, +7, - 7, 1_000, 00]", value: "[0, 7, -7, 7, -7, 1000, 0]" },
            Case { name: "other bases", text: "[0x1F, 0o17, 0b101, -0x10]", value: "[31, 15, 5, -16]" },
            Case { name: "floats", text: "[1.0, 1., .5, -0.25, 1_0.2_5]", value: "[1.0, 1.0, 0.5, -0.25, 10.25]" },
            Case { name: "exponents", text: "[1e-3, 1E3, 2.5e+2, 1.e1]", value: "[0.001, 1000.0, 250.0, 10.0]" },
            Case { name: "every digit", text: "0.043750000000000004", value: "0.043750000000000004" },
            Case { name: "beyond the range", text: "[1e999, -1e999]", value: "[inf, -inf]" },
            Case { name: "words", text: "[True, False, None]", value: "[True, False, None]" },
            Case {
                name: "quotes",
                text: r#"['a', "b", 'a"b', "a'b", '']"#,
                value: r#"['a', 'b', 'a\"b', 'a\'b', '']"#,
            },
            Case {
                name: "escapes",
                text: r"'\\\'\x41\u00e4\U0001F600\101\
z'",
                value: r"'\\\'Aä😀Az'",
            },
            Case { name: "tuples", text: "[(), (1,), (1, 2), (1, 2,)]", value: "[[], [1], [1, 2], [1, 2]]" },
            Case { name: "parentheses", text: "[(1), ((1.5)), ('a')]", value: "[1, 1.5, 'a']" },
            Case { name: "dicts", text: "{'a': 1, \"b\": {}, 3: [],}", value: "{'a': 1, 'b': {}, 3: []}" },
            Case { name: "blanks", text: " \t[ 1 ,\r\n 2 , ] \n", value: "[1, 2]" },
            Case { name: "comments", text: "# a\n[1, # b ] '\n 2] # c", value: "[1, 2]" },
            Case { name: "hash in a string", text: "['#1']", value: "['#1']" },
        ];
        for Case { name, text, value } in cases {
            assert_eq!(parse(text).map(|node| show(&node.value)).as_deref(), Ok(value), "{name}");
        }
    }

    #[test]
    fn mistakes_are_named_at_their_column() {
        const NO_EVAL: &str = "(nothing is evaluated: write the resulting number)";
        struct Case {
            text: &'static str,
            message: String,
        }
        let case = |text, message: &str| Case { text, message: message.replace("NO_EVAL", NO_EVAL) };
        let cases = [
            case("", "column 1: expected a list of phases '[...]', got the end of the text"),
            case("   # only a comment", "column 20: expected a list of phases '[...]', got the end of the text"),
            case("[1, 2", "column 6: expected ',' or ']', got the end of the text"),
            case("[1, 2\n", "column 6: expected ',' or ']', got the end of the text"),
            case("[1 2]", "column 4: expected ',' or ']', got '2'"),
            case("[,]", "column 2: expected a value or ']', got ','"),
            case("[1]]", "column 4: expected the end of the text, got ']'"),
            case("[1)", "column 3: expected ',' or ']', got ')'"),
            case("{'a' 1}", "column 6: expected ':' after the key, got '1'"),
            case("{'a', 'b'}", "column 5: expected ':' after the key, got ','"),
            case("{'a': }", "column 7: expected a value, got '}'"),
            case("{'a': 1 'b': 2}", "column 9: expected ',' or '}', got a string"),
            case("{a: 1}", "column 2: expected a key in quotes or '}', got the name 'a' NO_EVAL"),
            case("[lr]", "column 2: expected a value or ']', got the name 'lr' NO_EVAL"),
            case("[2*lr]", "column 3: expected ',' or ']', got the operator '*' NO_EVAL"),
            case("[1/512]", "column 3: expected ',' or ']', got the operator '/' NO_EVAL"),
            case("[1 - 2]", "column 4: expected ',' or ']', got the operator '-' NO_EVAL"),
            case("[-lr]", "column 2: expected a number, got the operator '-' NO_EVAL"),
            case("[float('inf')]", "column 2: expected a value or ']', got a call of 'float' NO_EVAL"),
            case("__import__('os')", "column 1: expected a list of phases '[...]', got a call of '__import__' NO_EVAL"),
            case("[true]", "column 2: expected a value or ']', got 'true' (in Python: True)"),
            case("[r'a']", "column 2: expected a value or ']', got a string with the prefix 'r'"),
            case("[1.2.3]", "column 5: expected ',' or a closing bracket after 1.2, got '.'"),
            case("[12px]", "column 4: expected ',' or a closing bracket after 12, got the name 'px' NO_EVAL"),
            case("[1e]", "column 3: expected ',' or a closing bracket after 1, got the name 'e' NO_EVAL"),
            case("[1__0]", "column 3: expected a digit after '_', got none"),
            case("[0x]", "column 4: expected a digit in base 16, got ']'"),
            case("[007]", "column 2: expected a number without leading zeros, got '007'"),
            case("[.]", "column 2: expected a number, got '.'"),
            case(
                "[99999999999999999999]",
                "column 2: expected a whole number that fits 64 bits, got '99999999999999999999'",
            ),
            case(
                "['abc]",
                "column 2: expected a closing ', got the end of the line; the string opened here is never closed",
            ),
            case("['''a''']", "column 2: expected a string in single quotes marks, got a triple-quoted one"),
            case(r"['a\d']", r"column 4: expected a known escape (write '\\' for a backslash), got '\\d'"),
            case(r"['\x4']", "column 3: expected 2 digits in base 16, got 1"),
            case(r"['\ud800']", "column 3: expected the code of a character, got 0xd800"),
            case("['é', x]", "column 7: expected a value or ']', got the name 'x' NO_EVAL"),
            case("[1,\n 2,\n  x]", "line 3, column 3: expected a value or ']', got the name 'x' NO_EVAL"),
            case("[1; 2]", "column 3: expected ',' or ']', got ';'"),
            case("[\u{7}]", "column 2: expected a value or ']', got '\\u{7}'"),
        ];
        for Case { text, message } in cases {
            assert_eq!(parse(text).map_err(|error| error.to_string()), Err(message), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize, open: &str, close: &str| open.repeat(depth) + "1" + &close.repeat(depth);
        assert!(parse(&nested(MAX_DEPTH, "[", "]")).is_ok());
        for (open, close) in [("[", "]"), ("(", ")"), ("{1:", "}"), ("{", "}")] {
            let error = parse(&nested(100_000, open, close)).unwrap_err();
            let column = MAX_DEPTH * open.len() + 1;
            assert_eq!(
                error.to_string(),
                format!("column {column}: expected at most 32 levels of brackets, got one more")
            );
        }
    }
}
