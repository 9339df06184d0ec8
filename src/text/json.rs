//! JSON (RFC 8259) that is written from front to back.

use std::fmt::{Display, Write};

/// A text that grows. Commas are written where they belong.
#[derive(Debug, Default)]
pub struct Json {
    text: String,
}

impl Json {
    /// The text so far, which is JSON once all brackets are closed.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Text as it stands, outside of all values.
    pub fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn separate(&mut self) {
        if !matches!(self.text.as_bytes().last(), None | Some(b'[' | b'{' | b':' | b' ' | b'\n')) {
            self.text.push(',');
        }
    }

    /// An object; `write` writes its fields.
    pub fn object(&mut self, write: impl FnOnce(&mut Json)) {
        self.separate();
        self.text.push('{');
        write(self);
        self.text.push('}');
    }

    /// An array; `write` writes its values.
    pub fn array(&mut self, write: impl FnOnce(&mut Json)) {
        self.separate();
        self.text.push('[');
        write(self);
        self.text.push(']');
    }

    /// The name of a field, whose value follows.
    pub fn name(&mut self, name: &str) {
        self.string(name.as_bytes());
        self.text.push(':');
    }

    /// A number.
    pub fn number(&mut self, number: impl Display) {
        self.separate();
        // Writing to a String never fails.
        let _ = write!(self.text, "{number}");
    }

    /// A string; bytes that are not UTF-8 become U+FFFD.
    pub fn string(&mut self, bytes: &[u8]) {
        self.separate();
        self.text.push('"');
        for letter in String::from_utf8_lossy(bytes).chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                // Line ends of other notations, and what ends a script in a page, are written as numbers too.
                letter if letter.is_control() || matches!(letter, '<' | '\u{2028}' | '\u{2029}') => {
                    let _ = write!(self.text, "\\u{:04x}", letter as u32);
                }
                letter => self.text.push(letter),
            }
        }
        self.text.push('"');
    }

    /// `true` or `false`.
    pub fn flag(&mut self, value: bool) {
        self.number(value);
    }

    /// A field that is a number.
    pub fn number_field(&mut self, name: &str, number: impl Display) {
        self.name(name);
        self.number(number);
    }

    /// A field that is a string.
    pub fn string_field(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        self.string(bytes);
    }

    /// A field that is an array of numbers.
    pub fn numbers_field<N: Display>(&mut self, name: &str, numbers: impl IntoIterator<Item = N>) {
        self.name(name);
        self.array(|json| numbers.into_iter().for_each(|number| json.number(number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_values() {
        let mut json = Json::default();
        json.object(|json| {
            json.number_field("a", 1);
            json.numbers_field("b", [1, 2]);
            json.name("c");
            json.object(|_| {});
            json.name("d");
            json.array(|json| {
                json.string(b"x:");
                json.string(b"{");
                json.flag(true);
                json.array(|json| json.number(1.5));
            });
            json.string_field("e", b"");
        });
        assert_eq!(json.into_text(), r#"{"a":1,"b":[1,2],"c":{},"d":["x:","{",true,[1.5]],"e":""}"#);
    }

    #[test]
    fn strings_are_escaped() {
        let mut json = Json::default();
        json.string(b"a\"b\\c\n\x01\xff</script>\xe2\x80\xa8");
        assert_eq!(json.into_text(), "\"a\\\"b\\\\c\\u000a\\u0001\u{fffd}\\u003c/script>\\u2028\"");
    }
}
