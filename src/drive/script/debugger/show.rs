//! Values and replies as the debugger shows them.

use crate::resp::number::parse_i64;
use crate::scripting::lua::{Kind, Stack};
use crate::scripting::numbers;
use crate::text::quoting;

/// Nesting of tables that are shown.
const NESTING_MAX: usize = 10;
/// Elements that are looked at: tables that hold themselves many times have no end.
const LOOKS_MAX: usize = 1_000_000;
/// Longest text that is made where its length is not limited, in bytes.
const TEXT_MAX_BYTES: usize = 16 << 20;

/// Adds the value on top of the stack to a text, which is of use up to that length (0: as long as it is).
pub fn value(stack: &mut Stack, text: &mut Vec<u8>, limit_bytes: usize) {
    let mut shown = Shown { text, limit_bytes: limit_of(limit_bytes), looks: LOOKS_MAX };
    // A key, a copy of it and a value for each level.
    if stack.reserve(4 * NESTING_MAX as i32) {
        shown.value(stack, 0);
    }
}

fn limit_of(limit_bytes: usize) -> usize {
    match limit_bytes {
        0 => TEXT_MAX_BYTES,
        limit_bytes => limit_bytes,
    }
}

struct Shown<'a> {
    text: &'a mut Vec<u8>,
    limit_bytes: usize,
    looks: usize,
}

impl Shown<'_> {
    fn is_full(&self) -> bool {
        self.text.len() > self.limit_bytes || self.looks == 0
    }

    fn add(&mut self, text: impl AsRef<[u8]>) {
        self.text.extend_from_slice(text.as_ref());
    }

    fn value(&mut self, stack: &mut Stack, nesting: usize) {
        if nesting == NESTING_MAX {
            return self.add("<max recursion level reached! Nested table?>");
        }
        match stack.kind(-1) {
            Kind::String => {
                let bytes = stack.bytes(-1).unwrap_or_default();
                quote(self.text, bytes, self.limit_bytes);
            }
            Kind::Boolean => self.add(stack.truth(-1).to_string()),
            Kind::Number => {
                let number = stack.number(-1).unwrap_or_default();
                self.add(numbers::format_significant(number, 6));
            }
            Kind::Nil => self.add("nil"),
            Kind::Table => {
                self.add("{");
                self.table(stack, nesting + 1);
                self.add("}");
            }
            Kind::LightUserdata => self.address(stack, "light-userdata"),
            kind => self.address(stack, kind.name()),
        }
    }

    fn address(&mut self, stack: &Stack, name: &str) {
        self.add(format!("\"{name}@{:#x}\"", stack.identity(-1)));
    }

    /// What lies in the table on top: its values alone if it is a list.
    fn table(&mut self, stack: &mut Stack, nesting: usize) {
        let is_list = self.is_list(stack);
        let mut is_first = true;
        stack.push_nil();
        while !self.is_full() && stack.next(-2) {
            self.looks = self.looks.saturating_sub(1);
            if !std::mem::take(&mut is_first) {
                self.add("; ");
            }
            if !is_list {
                self.add("[");
                stack.push_copy(-2);
                self.value(stack, nesting);
                stack.pop(1);
                self.add("]=");
            }
            self.value(stack, nesting);
            stack.pop(1);
            if self.is_full() {
                // The key, which the end of the walk would have taken off.
                stack.pop(1);
                return;
            }
        }
    }

    /// Whether the keys of the table on top are 1, 2, 3, …, in this order.
    fn is_list(&mut self, stack: &mut Stack) -> bool {
        let mut expected = 1.0;
        stack.push_nil();
        while stack.next(-2) {
            self.looks = self.looks.saturating_sub(1);
            if stack.number(-2) != Some(expected) || self.is_full() {
                stack.pop(2);
                return false;
            }
            expected += 1.0;
            stack.pop(1);
        }
        true
    }
}

/// Adds bytes in quotes, or as much of them as is of use.
fn quote(text: &mut Vec<u8>, bytes: &[u8], limit_bytes: usize) {
    let useful = bytes.len().min(limit_bytes + 1);
    text.extend_from_slice(quoting::quote(&bytes[..useful]).as_bytes());
}

/// Adds a reply to a text, which is of use up to that length (0: as long as it is).
pub fn reply(encoded: &[u8], text: &mut Vec<u8>, limit_bytes: usize) {
    let mut replies = Replies { rest: encoded, text, limit_bytes: limit_of(limit_bytes) };
    replies.next();
}

struct Replies<'a, 'b> {
    rest: &'a [u8],
    text: &'b mut Vec<u8>,
    limit_bytes: usize,
}

impl<'a> Replies<'a, '_> {
    fn add(&mut self, text: impl AsRef<[u8]>) {
        self.text.extend_from_slice(text.as_ref());
    }

    /// The next line, its marker included.
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\r', self.rest).unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        line
    }

    fn count(&mut self) -> i64 {
        parse_i64(self.line().get(1..).unwrap_or_default()).unwrap_or(-1)
    }

    fn next(&mut self) {
        match self.rest.first() {
            Some(b':') => {
                let line = self.line();
                self.add(&line[1..]);
            }
            Some(b'$') => self.bulk(),
            Some(b'+' | b'-') => {
                let line = self.line();
                quote(self.text, line, self.limit_bytes);
            }
            Some(b'*') => self.elements("[", ",", "]"),
            Some(b'~') => self.elements("~(", ",", ")"),
            Some(b'%') => self.map(),
            Some(b'_') => {
                self.line();
                self.add("(null)");
            }
            Some(b'#') => {
                let is_true = self.line() == b"#t";
                self.add(if is_true { "#true" } else { "#false" });
            }
            Some(b',') => {
                let line = self.line();
                self.add("(double) ");
                self.add(&line[1..]);
            }
            // As in Redis nothing is shown of the others.
            _ => self.rest = &[],
        }
    }

    fn bulk(&mut self) {
        let Ok(len) = usize::try_from(self.count()) else {
            return self.add("NULL");
        };
        let bytes = &self.rest[..len.min(self.rest.len())];
        quote(self.text, bytes, self.limit_bytes);
        self.rest = self.rest.get(len + 2..).unwrap_or_default();
    }

    fn elements(&mut self, open: &str, comma: &str, close: &str) {
        let count = self.count();
        if count < 0 {
            return self.add("NULL");
        }
        self.add(open);
        for number in 0..count {
            if number > 0 {
                self.add(comma);
            }
            if self.text.len() > self.limit_bytes {
                return;
            }
            self.next();
        }
        self.add(close);
    }

    fn map(&mut self) {
        let count = self.count();
        self.add("{");
        for number in 0..count {
            if number > 0 {
                self.add(",");
            }
            if self.text.len() > self.limit_bytes {
                return;
            }
            self.next();
            self.add(" => ");
            self.next();
        }
        self.add("}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_shown() {
        for (encoded, expected) in [
            (":5\r\n", "5"),
            ("$-1\r\n", "NULL"),
            ("*-1\r\n", "NULL"),
            ("$3\r\na\nb\r\n", r#""a\nb""#),
            ("*2\r\n:1\r\n*1\r\n+OK\r\n", r#"[1,["+OK"]]"#),
            ("-ERR no\r\n", r#""-ERR no""#),
            ("~1\r\n:1\r\n", "~(1)"),
            ("%2\r\n:1\r\n#t\r\n:2\r\n#f\r\n", "{1 => #true,2 => #false}"),
            ("_\r\n", "(null)"),
            (",1.5\r\n", "(double) 1.5"),
            ("=5\r\ntxt:x\r\n", ""),
        ] {
            let mut text = Vec::new();
            reply(encoded.as_bytes(), &mut text, 0);
            assert_eq!(String::from_utf8_lossy(&text), expected);
        }
    }
}
