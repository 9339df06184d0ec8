//! `cjson.decode`: JSON as Lua values.

use std::ops::Range;

use crate::scripting::lua::{Outcome, Raise, Stack};

use super::json_settings::Settings;
use super::{Pace, arguments};

/// The function itself.
pub fn decode(stack: &mut Stack) -> Outcome {
    if stack.len() != 1 {
        return Err(Raise::Argument(1, "expected 1 argument".to_string()));
    }
    let settings = Settings::read(stack);
    let text = arguments::text(stack, 1)?.into_owned();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        let text = "JSON parser does not support UTF-16 or UTF-32";
        return Err(Raise::Text(text.to_string()));
    }
    let mut decoder = Decoder { text: &text, settings, at: 0, depth: 0, unescaped: Vec::new(), pace: Pace::default() };
    let token = decoder.next();
    decoder.value(stack, token)?;
    let token = decoder.next();
    if token.kind != Kind::End {
        return Err(unexpected("the end", &token));
    }
    Ok(1)
}

/// A piece of JSON.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// A string as it stands in the text.
    Plain(Range<usize>),
    /// A string with escapes; what it says is in `unescaped`.
    Escaped,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Kind {
    /// The name that messages use.
    fn name(&self) -> &'static str {
        match self {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Plain(_) | Kind::Escaped => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Error(reason) => reason,
        }
    }
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    start: usize,
}

fn unexpected(expected: &str, token: &Token) -> Raise {
    let (found, place) = (token.kind.name(), token.start + 1);
    Raise::Text(format!("Expected {expected} but found {found} at character {place}"))
}

struct Decoder<'a> {
    text: &'a [u8],
    settings: Settings,
    at: usize,
    depth: i32,
    unescaped: Vec<u8>,
    pace: Pace,
}

/// Values.
impl Decoder<'_> {
    /// Pushes the value that begins with a token.
    fn value(&mut self, stack: &mut Stack, token: Token) -> Result<(), Raise> {
        self.pace.step(stack)?;
        match token.kind {
            Kind::Plain(range) => stack.push_bytes(&self.text[range]),
            Kind::Escaped => stack.push_bytes(&self.unescaped),
            Kind::Number(number) => stack.push_number(number),
            Kind::Boolean(value) => stack.push_bool(value),
            Kind::Null => stack.push_null(),
            Kind::ObjectBegin => return self.object(stack),
            Kind::ArrayBegin => return self.array(stack),
            _ => return Err(unexpected("value", &token)),
        }
        Ok(())
    }

    fn descend(&mut self, stack: &Stack) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth <= self.settings.decode_depth && stack.reserve(4) {
            return Ok(());
        }
        let (depth, at) = (self.depth, self.at);
        let text = format!("Found too many nested data structures ({depth}) at character {at}");
        Err(Raise::Text(text))
    }

    fn object(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.descend(stack)?;
        stack.push_table(0, 0);
        let table = stack.len();
        let mut token = self.next();
        while token.kind != Kind::ObjectEnd {
            match &token.kind {
                Kind::Plain(range) => stack.push_bytes(&self.text[range.clone()]),
                Kind::Escaped => stack.push_bytes(&self.unescaped),
                _ => return Err(unexpected("object key string", &token)),
            }
            token = self.next();
            if token.kind != Kind::Colon {
                return Err(unexpected("colon", &token));
            }
            token = self.next();
            self.value(stack, token)?;
            stack.set_pair(table);
            token = self.next();
            match token.kind {
                Kind::ObjectEnd => break,
                Kind::Comma => token = self.next(),
                _ => return Err(unexpected("comma or object end", &token)),
            }
            if token.kind == Kind::ObjectEnd {
                return Err(unexpected("object key string", &token));
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.descend(stack)?;
        stack.push_table(0, 0);
        let table = stack.len();
        let mut token = self.next();
        let mut number = 1;
        while number > 1 || token.kind != Kind::ArrayEnd {
            self.value(stack, token)?;
            stack.set_element(table, number);
            number += 1;
            token = self.next();
            match token.kind {
                Kind::ArrayEnd => break,
                Kind::Comma => token = self.next(),
                _ => return Err(unexpected("comma or array end", &token)),
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

/// Tokens. As in C a zero byte ends the text.
impl Decoder<'_> {
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Token {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let start = self.at;
        let kind = match self.byte(start) {
            b'{' => self.symbol(Kind::ObjectBegin),
            b'}' => self.symbol(Kind::ObjectEnd),
            b'[' => self.symbol(Kind::ArrayBegin),
            b']' => self.symbol(Kind::ArrayEnd),
            b',' => self.symbol(Kind::Comma),
            b':' => self.symbol(Kind::Colon),
            0 => Kind::End,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' if self.takes(b"true") => Kind::Boolean(true),
            b'f' if self.takes(b"false") => Kind::Boolean(false),
            b'n' if self.takes(b"null") => Kind::Null,
            b'i' | b'I' | b'n' | b'N' | b'+' if self.is_named_number() => self.number(),
            _ => Kind::Error("invalid token"),
        };
        Token { kind, start }
    }

    fn symbol(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn takes(&mut self, word: &[u8]) -> bool {
        let takes = self.text[self.at..].starts_with(word);
        if takes {
            self.at += word.len();
        }
        takes
    }

    /// Infinity, NaN, or a number with a plus: none of them JSON's.
    fn is_named_number(&self) -> bool {
        let rest = &self.text[self.at..];
        let is = |name: &[u8]| rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(name));
        self.settings.decodes_invalid && (rest[0] == b'+' || is(b"inf") || is(b"nan"))
    }

    fn number(&mut self) -> Kind {
        let rest = &self.text[self.at..];
        if !self.settings.decodes_invalid && is_invalid(rest) {
            return Kind::Error("invalid number");
        }
        match leading_number(rest) {
            Some((number, len)) => {
                self.at += len;
                Kind::Number(number)
            }
            None => Kind::Error("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        let start = self.at;
        let body = &self.text[start + 1..];
        let stop = memchr::memchr3(b'"', b'\\', 0, body).unwrap_or(body.len());
        if body.get(stop) == Some(&b'"') {
            self.at = start + stop + 2;
            let kind = Kind::Plain(start + 1..start + 1 + stop);
            return Token { kind, start };
        }
        self.unescaped.clear();
        self.at = start + 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let stop = memchr::memchr3(b'"', b'\\', 0, rest).unwrap_or(rest.len());
            self.unescaped.extend_from_slice(&rest[..stop]);
            self.at += stop;
            match rest.get(stop) {
                Some(b'"') => {
                    self.at += 1;
                    return Token { kind: Kind::Escaped, start };
                }
                Some(b'\\') => {
                    if let Err(reason) = self.escape() {
                        let kind = Kind::Error(reason);
                        return Token { kind, start: self.at };
                    }
                }
                _ => {
                    let kind = Kind::Error("unexpected end of string");
                    return Token { kind, start: self.at };
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let letter = self.byte(self.at + 1);
        let byte = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 12,
            b'r' => b'\r',
            b'u' => {
                let (point, len) = self.code_point().ok_or("invalid unicode escape code")?;
                let mut buffer = [0; 4];
                self.unescaped.extend_from_slice(point.encode_utf8(&mut buffer).as_bytes());
                self.at += len;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        self.unescaped.push(byte);
        self.at += 2;
        Ok(())
    }

    /// The code point that an escape, or two of them, stand for, and their length.
    fn code_point(&self) -> Option<(char, usize)> {
        let high = self.four_digits(self.at + 2)?;
        if !(0xd800..0xe000).contains(&high) {
            return Some((char::from_u32(high)?, 6));
        }
        let is_pair = high < 0xdc00 && self.byte(self.at + 6) == b'\\' && self.byte(self.at + 7) == b'u';
        let low = self.four_digits(self.at + 8).filter(|_| is_pair)?;
        if !(0xdc00..0xe000).contains(&low) {
            return None;
        }
        let point = 0x10000 + ((high & 0x3ff) << 10 | low & 0x3ff);
        Some((char::from_u32(point)?, 12))
    }

    fn four_digits(&self, at: usize) -> Option<u32> {
        (at..at + 4).try_fold(0, |number, at| {
            let digit = char::from(self.byte(at)).to_digit(16)?;
            Some(number << 4 | digit)
        })
    }
}

/// Whether a number is none of JSON's, though C would take it.
fn is_invalid(rest: &[u8]) -> bool {
    let byte = |at: usize| rest.get(at).copied().unwrap_or(0);
    let at = usize::from(byte(0) == b'-');
    match byte(at) {
        b'0' => matches!(byte(at + 1), b'x' | b'X' | b'0'..=b'9'),
        first if first <= b'9' => false,
        _ => {
            let word = rest.get(at..at + 3).unwrap_or_default();
            word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
        }
    }
}

/// The longest beginning that C's `strtod` takes for a number, and its length.
fn leading_number(rest: &[u8]) -> Option<(f64, usize)> {
    let sign_len = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
    let is_negative = rest.first() == Some(&b'-');
    let body = &rest[sign_len..];
    let (value, len) = if body.len() > 2 && body[0] == b'0' && body[1] | 0x20 == b'x' {
        hexadecimal(body)
    } else {
        named(body).or_else(|| decimal(body))?
    };
    Some((if is_negative { -value } else { value }, sign_len + len))
}

fn named(body: &[u8]) -> Option<(f64, usize)> {
    let names = [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)];
    let starts = |name: &str| {
        let word = body.get(..name.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let (name, value) = names.into_iter().find(|(name, _)| starts(name))?;
    Some((value, name.len()))
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn decimal(body: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(body);
    let mut len = whole;
    if body.get(len) == Some(&b'.') {
        let fraction = digits(&body[len + 1..]);
        if whole + fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    } else if whole <= 15 && whole > 0 && !matches!(body.get(len), Some(b'e' | b'E')) {
        let value = body[..len].iter().fold(0u64, |value, byte| 10 * value + u64::from(byte - b'0'));
        return Some((value as f64, len));
    }
    if len == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = body.get(len) {
        let sign = usize::from(matches!(body.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(body.get(len + 1 + sign..).unwrap_or_default());
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    let text = str::from_utf8(&body[..len]).ok()?;
    Some((text.parse().ok()?, len))
}

/// A number such as `0x1.8p3`.
fn hexadecimal(body: &[u8]) -> (f64, usize) {
    let digit = |at: usize| body.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut value, mut at, mut scale) = (0.0f64, 2, 0i32);
    while let Some(digit) = digit(at) {
        value = value * 16.0 + f64::from(digit);
        at += 1;
    }
    let whole = at - 2;
    if body.get(at) == Some(&b'.') && (whole > 0 || digit(at + 1).is_some()) {
        at += 1;
        while let Some(digit) = digit(at) {
            value = value * 16.0 + f64::from(digit);
            scale = scale.saturating_sub(4);
            at += 1;
        }
    }
    if at == 2 {
        // Only the zero before the letter is a number.
        return (0.0, 1);
    }
    if let Some(b'p' | b'P') = body.get(at) {
        let sign = usize::from(matches!(body.get(at + 1), Some(b'+' | b'-')));
        let start = at + 1 + sign;
        let len = digits(body.get(start..).unwrap_or_default());
        if len > 0 {
            let text = body[start..start + len].iter();
            let exponent =
                text.fold(0i32, |value, byte| value.saturating_mul(10).saturating_add(i32::from(byte - b'0')));
            let is_negative = body.get(at + 1) == Some(&b'-');
            scale = scale.saturating_add(if is_negative { -exponent } else { exponent });
            at = start + len;
        }
    }
    (value * 2.0f64.powi(scale), at)
}
