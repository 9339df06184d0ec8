//! `cjson.encode`: Lua values as JSON.

use crate::scripting::lua::{Kind, Outcome, Raise, Stack};
use crate::scripting::numbers::format_significant;

use super::json_settings::{InvalidNumbers, Settings};
use super::{Pace, check_len};

/// The function itself.
pub fn encode(stack: &mut Stack) -> Outcome {
    if stack.len() != 1 {
        return Err(Raise::Argument(1, "expected 1 argument".to_string()));
    }
    let mut encoder = Encoder { settings: Settings::read(stack), out: Vec::with_capacity(64), pace: Pace::default() };
    encoder.value(stack, 0)?;
    stack.push_bytes(&encoder.out);
    Ok(1)
}

struct Encoder {
    settings: Settings,
    out: Vec<u8>,
    pace: Pace,
}

/// What a table is.
enum Shape {
    Array(i32),
    Object,
}

impl Encoder {
    /// Writes the value on top of the stack, and leaves it there.
    fn value(&mut self, stack: &mut Stack, depth: i32) -> Result<(), Raise> {
        self.pace.step(stack)?;
        check_len(stack, &self.out)?;
        match stack.kind(-1) {
            Kind::String => self.string(stack.bytes(-1).unwrap_or_default()),
            Kind::Number => return self.number(stack, -1),
            Kind::Boolean if stack.truth(-1) => self.out.extend_from_slice(b"true"),
            Kind::Boolean => self.out.extend_from_slice(b"false"),
            Kind::Table => return self.table(stack, depth + 1),
            Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::LightUserdata if stack.is_null(-1) => self.out.extend_from_slice(b"null"),
            _ => return Err(refusal(stack, -1, "type not supported")),
        }
        Ok(())
    }

    fn table(&mut self, stack: &mut Stack, depth: i32) -> Result<(), Raise> {
        if depth > self.settings.encode_depth || !stack.reserve(4) {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(Raise::Text(text));
        }
        match self.shape(stack)? {
            Shape::Array(len) => self.array(stack, depth, len),
            Shape::Object => self.object(stack, depth),
        }
    }

    /// An array has only integers from 1 up as keys, at least one, and not too many gaps.
    fn shape(&mut self, stack: &mut Stack) -> Result<Shape, Raise> {
        let (mut max, mut items) = (0.0f64, 0i64);
        stack.push_nil();
        while stack.next(-2) {
            let key = stack.number(-2).filter(|key| key.floor() == *key && *key >= 1.0);
            let Some(key) = key else {
                stack.pop(2);
                return Ok(Shape::Object);
            };
            max = max.max(key);
            items += 1;
            stack.pop(1);
            self.pace.step(stack)?;
        }
        let Settings { sparse_ratio, sparse_safe, .. } = self.settings;
        let is_sparse =
            sparse_ratio > 0 && max > (items * i64::from(sparse_ratio)) as f64 && max > f64::from(sparse_safe);
        if is_sparse && !self.settings.sparse_convert {
            return Err(refusal(stack, -1, "excessively sparse array"));
        }
        if is_sparse || items == 0 || max > f64::from(i32::MAX) {
            return Ok(Shape::Object);
        }
        Ok(Shape::Array(max as i32))
    }

    fn array(&mut self, stack: &mut Stack, depth: i32, len: i32) -> Result<(), Raise> {
        self.out.push(b'[');
        for number in 1..=len {
            if number > 1 {
                self.out.push(b',');
            }
            stack.push_element(-1, number);
            self.value(stack, depth)?;
            stack.pop(1);
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, stack: &mut Stack, depth: i32) -> Result<(), Raise> {
        self.out.push(b'{');
        let mut is_first = true;
        stack.push_nil();
        while stack.next(-2) {
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            match stack.kind(-2) {
                Kind::Number => {
                    self.out.push(b'"');
                    self.number(stack, -2)?;
                    self.out.push(b'"');
                }
                Kind::String => self.string(stack.bytes(-2).unwrap_or_default()),
                _ => return Err(refusal(stack, -2, "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(stack, depth)?;
            stack.pop(1);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn number(&mut self, stack: &Stack, index: i32) -> Result<(), Raise> {
        let value = stack.number(index).unwrap_or_default();
        let is_plain = value.fract() == 0.0 && value.abs() < 1e14 && self.settings.precision == 14;
        if is_plain && (value != 0.0 || value.is_sign_positive()) {
            let mut buffer = itoa::Buffer::new();
            self.out.extend_from_slice(buffer.format(value as i64).as_bytes());
            return Ok(());
        }
        match self.settings.encode_invalid {
            _ if value.is_finite() => {}
            InvalidNumbers::Refused => {
                return Err(refusal(stack, index, "must not be NaN or Inf"));
            }
            InvalidNumbers::Written if value.is_nan() => {
                self.out.extend_from_slice(b"nan");
                return Ok(());
            }
            InvalidNumbers::Written => {}
            InvalidNumbers::Null => {
                self.out.extend_from_slice(b"null");
                return Ok(());
            }
        }
        let text = format_significant(value, self.settings.precision as usize);
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let mut done = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if !ESCAPED[usize::from(*byte)] {
                continue;
            }
            self.out.extend_from_slice(&bytes[done..at]);
            self.escape(*byte);
            done = at + 1;
        }
        self.out.extend_from_slice(&bytes[done..]);
        self.out.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        let letter = match byte {
            b'"' | b'\\' | b'/' => byte,
            8 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            12 => b'f',
            b'\r' => b'r',
            _ => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', letter]);
    }
}

/// Which bytes of strings are written as escapes.
static ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 32 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped[b'/' as usize] = true;
    escaped[127] = true;
    escaped
};

fn refusal(stack: &Stack, index: i32, reason: &str) -> Raise {
    let kind = stack.kind(index).name();
    Raise::Text(format!("Cannot serialise {kind}: {reason}"))
}
