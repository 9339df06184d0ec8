//! Splitting of lines into arguments with quotes, and the quoting of bytes for logs and files.

/// Splits a line into arguments at blanks, honouring `"…"` with escapes (`\n \r \t \b \a \xHH`, any other byte as it
/// is) and `'…'` (only `\'`). `None` if a quote is not closed or a closing quote is not followed by a blank. The same
/// rules hold for configuration lines and inline requests. O(length).
pub fn split_arguments(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut arguments = Vec::new();
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|byte| is_blank(**byte)).count();
        // A NUL ends the line, as it does for a C string.
        if at == line.len() || line[at] == 0 {
            return Some(arguments);
        }
        let (argument, end) = argument(line, at)?;
        arguments.push(argument);
        at = end;
    }
}

/// Reads one argument from `at`; answers it and the index after it.
fn argument(line: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut argument = Vec::new();
    loop {
        match line[at..] {
            [] | [b' ' | b'\n' | b'\r' | b'\t' | 0, ..] => return Some((argument, at)),
            [quote @ (b'"' | b'\''), ..] => {
                at = quoted(line, at + 1, quote, &mut argument)?;
                if line.get(at).is_some_and(|byte| !is_blank(*byte) && *byte != 0) {
                    return None;
                }
                return Some((argument, at));
            }
            [byte, ..] => {
                argument.push(byte);
                at += 1;
            }
        }
    }
}

/// Reads up to the closing quote; answers the index after it.
fn quoted(line: &[u8], mut at: usize, quote: u8, argument: &mut Vec<u8>) -> Option<usize> {
    loop {
        match line[at..] {
            [] | [0, ..] => return None,
            [byte, ..] if byte == quote => return Some(at + 1),
            [b'\\', b'\'', ..] if quote == b'\'' => {
                argument.push(b'\'');
                at += 2;
            }
            [b'\\', b'x', high, low, ..] if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                argument.push(hexadecimal(high) << 4 | hexadecimal(low));
                at += 4;
            }
            [b'\\', escaped, ..] if quote == b'"' && escaped != 0 => {
                argument.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                at += 2;
            }
            [byte, ..] => {
                argument.push(byte);
                at += 1;
            }
        }
    }
}

/// The value of a hexadecimal digit.
fn hexadecimal(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c)
}

/// Writes bytes as a quoted word that [`split_arguments`] reads back: printable ASCII as it is, the rest escaped.
/// O(length).
pub fn quote(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for byte in bytes {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(*byte as char);
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(*byte as char),
            _ => {
                text.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    text.push(b"0123456789abcdef"[digit as usize] as char);
                }
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &str) -> Option<Vec<String>> {
        let arguments = split_arguments(line.as_bytes())?;
        Some(arguments.iter().map(|argument| argument.escape_ascii().to_string()).collect())
    }

    #[test]
    fn splits_at_blanks_and_honours_quotes() {
        for (line, expected) in [
            ("", vec![]),
            ("  \t ", vec![]),
            ("a b\tc\r\n", vec!["a", "b", "c"]),
            ("\"\" ''", vec!["", ""]),
            ("\"a b\" 'c d'", vec!["a b", "c d"]),
            ("a\"b c\"", vec!["ab c"]),
            (r#""\x41\xfF\xg\n\r\t\b\a\\\"\q""#, vec![r#"A\xffxg\n\r\t\x08\x07\\\"q"#]),
            (r"'\x41\'\n'", vec![r"\\x41\'\\n"]),
            ("a\u{b}b", vec!["a\\x0bb"]),
        ] {
            assert_eq!(split(line), Some(expected.iter().map(ToString::to_string).collect()), "{line:?}");
        }
    }

    #[test]
    fn refuses_unbalanced_quotes() {
        for line in ["\"", "'", "\"a", "'a", "\"a\"b", "'a'b", "\"a\\", "\"a\\\"", "'a\\'", "x \"y"] {
            assert_eq!(split(line), None, "{line:?}");
        }
    }

    #[test]
    fn quotes_as_the_log_does() {
        assert_eq!(quote(b"a b\"\\\n\r\t\x07\x08\x01\xe9'"), r#""a b\"\\\n\r\t\a\b\x01\xe9'""#);
    }

    proptest! {
        #[test]
        fn reads_back_what_it_quoted(words: Vec<Vec<u8>>) {
            let line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split_arguments(line.as_bytes()), Some(words));
        }

        #[test]
        fn takes_any_bytes(line: Vec<u8>) {
            split_arguments(&line);
        }
    }
}
