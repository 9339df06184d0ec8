//! `struct`: numbers and strings as bytes laid out by a format, as C's structures are.

use crate::scripting::lua::{Native, Outcome, Raise, Stack};

use super::{Pace, arguments, check_len, set_functions};

/// The largest integer, in bytes.
const INTEGER_MAX_BYTES: i32 = 32;
/// What `!` alone aligns to, in bytes.
const DEFAULT_ALIGNMENT: i32 = 8;

/// Pushes the table.
pub fn push_table(stack: &mut Stack) {
    const FUNCTIONS: &[(&[u8], Native)] = &[(b"pack", pack), (b"unpack", unpack), (b"size", size)];
    stack.push_table(0, 4);
    set_functions(stack, FUNCTIONS);
}

/// A format that is read from its beginning to its end.
struct Format {
    text: Vec<u8>,
    at: usize,
    is_big_endian: bool,
    alignment: usize,
}

/// One letter of a format with the size that it asks for.
struct Item {
    letter: u8,
    size: usize,
}

impl Format {
    fn new(stack: &Stack) -> Result<Format, Raise> {
        let mut text = arguments::text(stack, 1)?.into_owned();
        // As in C a zero byte ends it.
        let end = text.iter().position(|byte| *byte == 0);
        text.truncate(end.unwrap_or(text.len()));
        Ok(Format { text, at: 0, is_big_endian: false, alignment: 1 })
    }

    fn next(&mut self) -> Result<Option<Item>, Raise> {
        let Some(letter) = self.text.get(self.at).copied() else {
            return Ok(None);
        };
        self.at += 1;
        let size = match letter {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)? as usize,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_MAX_BYTES {
                    let text = format!("integral size {size} is larger than limit of {INTEGER_MAX_BYTES}");
                    return Err(Raise::Text(text));
                }
                size as usize
            }
            _ => 0,
        };
        Ok(Some(Item { letter, size }))
    }

    /// The number that stands there, or the default.
    fn number(&mut self, default: i32) -> Result<i32, Raise> {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit());
        let digits = digits.count();
        if digits == 0 {
            return Ok(default);
        }
        let text = &self.text[self.at..self.at + digits];
        self.at += digits;
        let number =
            text.iter().try_fold(0i32, |number, byte| number.checked_mul(10)?.checked_add(i32::from(byte - b'0')));
        number.ok_or_else(|| Raise::Text("integral size overflow".to_string()))
    }

    /// Bytes that are missing until an item may begin.
    fn padding(&self, position: usize, item: &Item) -> usize {
        if item.size == 0 || item.letter == b'c' {
            return 0;
        }
        // Sizes that are no power of two are aligned as in C, however odd that is.
        let mask = item.size.min(self.alignment) - 1;
        (mask + 1).wrapping_sub(position & mask) & mask
    }

    /// A letter that says something of what follows.
    fn control(&mut self, letter: u8) -> Result<(), Raise> {
        match letter {
            b' ' => {}
            b'>' => self.is_big_endian = true,
            b'<' => self.is_big_endian = false,
            b'!' => {
                let alignment = self.number(DEFAULT_ALIGNMENT)?;
                if alignment.count_ones() != 1 || alignment < 0 {
                    let text = format!("alignment {alignment} is not a power of 2");
                    return Err(Raise::Text(text));
                }
                self.alignment = alignment as usize;
            }
            _ => {
                let reason = format!("invalid format option '{}'", char::from(letter));
                return Err(Raise::Argument(1, reason));
            }
        }
        Ok(())
    }

    /// Writes bytes that are in little-endian order.
    fn put(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        if self.is_big_endian {
            out.extend(bytes.iter().rev());
        } else {
            out.extend_from_slice(bytes);
        }
    }

    /// The first eight bytes in little-endian order.
    fn get(&self, bytes: &[u8]) -> [u8; 8] {
        let mut first = [0; 8];
        for (index, place) in first.iter_mut().enumerate().take(bytes.len()) {
            *place = if self.is_big_endian { bytes[bytes.len() - 1 - index] } else { bytes[index] };
        }
        first
    }
}

fn too_short() -> Raise {
    Raise::Argument(2, "data string too short".to_string())
}

fn pack(stack: &mut Stack) -> Outcome {
    let mut format = Format::new(stack)?;
    let mut out = Vec::new();
    let mut pace = Pace::default();
    let mut index = 1;
    // What is missing is nil to Redis.
    stack.push_nil();
    while let Some(item) = format.next()? {
        pace.step(stack)?;
        check_len(stack, &out)?;
        let padding = format.padding(out.len(), &item);
        out.resize(out.len() + padding, 0);
        if matches!(item.letter, b'x' | b' ' | b'<' | b'>' | b'!') {
            match item.letter {
                b'x' => out.push(0),
                letter => format.control(letter)?,
            }
            continue;
        }
        if !is_value(item.letter) {
            format.control(item.letter)?;
        }
        index += 1;
        match item.letter {
            b'f' => {
                let value = arguments::number(stack, index)? as f32;
                format.put(&mut out, &value.to_le_bytes());
            }
            b'd' => {
                let value = arguments::number(stack, index)?;
                format.put(&mut out, &value.to_le_bytes());
            }
            b'c' | b's' => {
                let text = arguments::text(stack, index)?;
                let size = if item.size == 0 { text.len() } else { item.size };
                let Some(text) = text.get(..size) else {
                    // Redis has moved on to the next argument by then.
                    return Err(Raise::Argument(index + 1, "string too short".to_string()));
                };
                out.extend_from_slice(text);
                if item.letter == b's' {
                    out.push(0);
                }
            }
            _ => {
                let mut bytes = [0; INTEGER_MAX_BYTES as usize];
                let value = arguments::number(stack, index)?;
                bytes[..8].copy_from_slice(&integer_of(value).to_le_bytes());
                format.put(&mut out, &bytes[..item.size]);
            }
        }
    }
    stack.push_bytes(&out);
    Ok(1)
}

/// Whether a letter stands for an argument.
fn is_value(letter: u8) -> bool {
    matches!(letter, b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' | b'f' | b'd' | b'c' | b's')
}

/// A number as C on x86-64 makes an integer of it.
fn integer_of(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    let cut = |value: f64| {
        if (-HALF..HALF).contains(&value) { value as i64 } else { i64::MIN }
    };
    if value >= HALF { cut(value - HALF) as u64 ^ 1 << 63 } else { cut(value) as u64 }
}

fn unpack(stack: &mut Stack) -> Outcome {
    let mut format = Format::new(stack)?;
    let data = arguments::text(stack, 2)?.into_owned();
    let offset = arguments::optional_integer(stack, 3)?.unwrap_or(1);
    if offset == 0 {
        return Err(Raise::Argument(3, "offset must be 1 or greater".to_string()));
    }
    // What is negative is beyond the end, wherever that is.
    let mut position = offset as usize - 1;
    let mut pace = Pace::default();
    stack.truncate(2);
    while let Some(item) = format.next()? {
        pace.step(stack)?;
        position = position.saturating_add(format.padding(position, &item));
        let mut size = item.size;
        let rest = data.get(position..).filter(|rest| rest.len() >= size).ok_or_else(too_short)?;
        if !stack.reserve(2) {
            return Err(Raise::Text("stack overflow (too many results)".to_string()));
        }
        let bytes = &rest[..size];
        match item.letter {
            b'x' => {}
            b'f' => {
                let [a, b, c, d, ..] = format.get(bytes);
                stack.push_number(f64::from(f32::from_le_bytes([a, b, c, d])));
            }
            b'd' => stack.push_number(f64::from_le_bytes(format.get(bytes))),
            b'c' => {
                if size == 0 {
                    let Some(before) = stack.to_number(-1) else {
                        let text = "format 'c0' needs a previous size";
                        return Err(Raise::Text(text.to_string()));
                    };
                    stack.pop(1);
                    size = integer_of(before) as usize;
                }
                stack.push_bytes(rest.get(..size).ok_or_else(too_short)?);
            }
            b's' => {
                let unfinished = || Raise::Text("unfinished string in data".to_string());
                let len = memchr::memchr(0, rest).ok_or_else(unfinished)?;
                stack.push_bytes(&rest[..len]);
                size = len + 1;
            }
            letter if is_value(letter) => {
                stack.push_number(number_of(format.get(bytes), size, letter.is_ascii_lowercase()));
            }
            letter => format.control(letter)?,
        }
        position += size;
    }
    stack.push_number(position.wrapping_add(1) as i64 as f64);
    Ok(stack.len() - 2)
}

/// The number that the first eight of so many bytes are.
fn number_of(bytes: [u8; 8], size: usize, is_signed: bool) -> f64 {
    let value = u64::from_le_bytes(bytes);
    if !is_signed {
        return value as f64;
    }
    // Beyond eight bytes the sign is the eighth one's, as C on x86-64 shifts.
    let mask = u64::MAX.wrapping_shl((size as u32 * 8).wrapping_sub(1));
    let extended = if value & mask != 0 { value | mask } else { value };
    extended as i64 as f64
}

fn size(stack: &mut Stack) -> Outcome {
    let mut format = Format::new(stack)?;
    let mut position = 0usize;
    while let Some(item) = format.next()? {
        position += format.padding(position, &item);
        match item.letter {
            b's' => {
                let reason = "option 's' has no fixed size";
                return Err(Raise::Argument(1, reason.to_string()));
            }
            b'c' if item.size == 0 => {
                let reason = "option 'c0' has no fixed size";
                return Err(Raise::Argument(1, reason.to_string()));
            }
            letter if !letter.is_ascii_alphanumeric() => format.control(letter)?,
            _ => {}
        }
        position = position.saturating_add(item.size);
    }
    stack.push_number(position as f64);
    Ok(1)
}
