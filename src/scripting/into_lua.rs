//! Replies into Lua values: what `redis.call` gives a script.
//!
//! Tables are made without room and filled in order, as Redis makes them: how much room a table has decides in which
//! order a script walks through it, and what its length is once it has holes.

use crate::resp::number::{parse_f64, parse_i64};

use super::failure;
use super::lua::Stack;

/// Nesting of replies that a script gets; what is deeper becomes nil. No command's reply comes near it.
const DEPTH_MAX: usize = 1000;

/// What kind of reply was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Value,
    Error,
}

/// Pushes the value of one whole reply.
///
/// | reply | value |
/// |---|---|
/// | integer, bulk | number, string |
/// | null of RESP2, of RESP3 | false, nil |
/// | status, error | `{ok=…}`, `{err=…}` |
/// | array | table |
/// | map, set | `{map={…}}`, `{set={member=true}}` |
/// | double, big number | `{double=…}`, `{big_number=…}` |
/// | boolean | boolean |
/// | verbatim | `{verbatim_string={string=…, format=…}}` |
pub fn push(stack: &mut Stack, encoded: &[u8]) -> Pushed {
    let mut reader = Reader { rest: encoded };
    let pushed = match encoded.first() {
        Some(b'-') => Pushed::Error,
        _ => Pushed::Value,
    };
    reader.push(stack, 0);
    pushed
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next line without its marker and its end.
    #[inline]
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\r', self.rest).unwrap_or(self.rest.len());
        let line = self.rest.get(1..end).unwrap_or_default();
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        line
    }

    #[inline]
    fn count(&mut self) -> i64 {
        parse_i64(self.line()).unwrap_or(-1)
    }

    #[inline]
    fn bytes(&mut self, len: i64) -> &'a [u8] {
        let len = (len.max(0) as usize).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest.get(2..).unwrap_or_default();
        bytes
    }

    #[inline]
    fn push(&mut self, stack: &mut Stack, depth: usize) {
        match self.rest.first() {
            Some(b'$') => match self.count() {
                -1 => stack.push_bool(false),
                len => stack.push_bytes(self.bytes(len)),
            },
            Some(b':') => stack.push_number(self.count_as_number()),
            Some(b'*') => match self.count() {
                -1 => stack.push_bool(false),
                count => self.push_array(stack, count, depth),
            },
            Some(b'+') => self.push_status(stack),
            _ => self.push_rare(stack, depth),
        }
    }

    fn count_as_number(&mut self) -> f64 {
        parse_i64(self.line()).unwrap_or(0) as f64
    }

    fn push_status(&mut self, stack: &mut Stack) {
        stack.push_table(0, 0);
        stack.push_bytes(self.line());
        stack.set_field(-2, b"ok");
    }

    fn push_array(&mut self, stack: &mut Stack, count: i64, depth: usize) {
        if !self.may_nest(stack, depth) {
            return;
        }
        stack.push_table(0, 0);
        let table = stack.len();
        for number in 1..=count as i32 {
            self.push(stack, depth + 1);
            stack.set_element(table, number);
        }
    }

    /// Whether another level fits; pushes nil if not.
    fn may_nest(&mut self, stack: &Stack, depth: usize) -> bool {
        let may = depth < DEPTH_MAX && stack.reserve(8);
        if !may {
            self.rest = &[];
            stack.push_nil();
        }
        may
    }

    fn push_rare(&mut self, stack: &mut Stack, depth: usize) {
        match self.rest.first() {
            Some(b'-') => {
                let text = self.line();
                // Without a code it is a generic error.
                let code: &[u8] = if text.contains(&b' ') { b"" } else { b"ERR " };
                failure::push(stack, [code, text].concat(), true);
            }
            Some(b'_') => {
                self.line();
                stack.push_nil();
            }
            Some(b'#') => {
                let is_true = self.line() == b"t";
                stack.push_bool(is_true);
            }
            Some(b',') => {
                let value = parse_f64(self.line()).unwrap_or(f64::NAN);
                stack.push_table(0, 0);
                stack.push_number(value);
                stack.set_field(-2, b"double");
            }
            Some(b'(') => {
                let digits = self.line();
                stack.push_table(0, 0);
                stack.push_bytes(digits);
                stack.set_field(-2, b"big_number");
            }
            Some(b'=') => self.push_verbatim(stack),
            Some(b'%') => self.push_map(stack, depth),
            Some(b'~') => self.push_set(stack, depth),
            Some(b'|') => self.skip_attribute(stack, depth),
            Some(b'>') => {
                let count = self.count();
                self.push_array(stack, count, depth);
            }
            _ => {
                self.rest = &[];
                stack.push_nil();
            }
        }
    }

    fn push_verbatim(&mut self, stack: &mut Stack) {
        let len = self.count();
        let bytes = self.bytes(len);
        let (format, text) = (bytes.get(..3), bytes.get(4..));
        stack.push_table(0, 0);
        stack.push_table(0, 0);
        stack.push_bytes(text.unwrap_or_default());
        stack.set_field(-2, b"string");
        stack.push_bytes(format.unwrap_or_default());
        stack.set_field(-2, b"format");
        stack.set_field(-2, b"verbatim_string");
    }

    fn push_map(&mut self, stack: &mut Stack, depth: usize) {
        let count = self.count();
        if !self.may_nest(stack, depth) {
            return;
        }
        stack.push_table(0, 0);
        stack.push_table(0, 0);
        let table = stack.len();
        for _ in 0..count {
            self.push(stack, depth + 1);
            self.push(stack, depth + 1);
            set(stack, table);
        }
        stack.set_field(-2, b"map");
    }

    fn push_set(&mut self, stack: &mut Stack, depth: usize) {
        let count = self.count();
        if !self.may_nest(stack, depth) {
            return;
        }
        stack.push_table(0, 0);
        stack.push_table(0, 0);
        let table = stack.len();
        for _ in 0..count {
            self.push(stack, depth + 1);
            stack.push_bool(true);
            set(stack, table);
        }
        stack.set_field(-2, b"set");
    }

    /// Attributes are not for scripts: what they belong to follows.
    fn skip_attribute(&mut self, stack: &mut Stack, depth: usize) {
        let count = self.count();
        if !self.may_nest(stack, depth) {
            return;
        }
        for _ in 0..2 * count.max(0) {
            self.push(stack, depth + 1);
            stack.pop(1);
        }
        self.push(stack, depth + 1);
    }
}

/// Puts a pair into a table, unless its key cannot be one.
fn set(stack: &mut Stack, table: i32) {
    let is_key = match stack.number(-2) {
        Some(number) => !number.is_nan(),
        None => stack.kind(-2) != super::lua::Kind::Nil,
    };
    if is_key {
        stack.set_pair(table);
    } else {
        stack.pop(2);
    }
}
