//! The settings of `cjson`, which its functions share.

use crate::scripting::lua::Stack;

/// What is done with numbers that JSON does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

/// One instance's settings, kept in its functions' state as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether arrays with too many gaps become objects; else they are refused.
    pub sparse_convert: bool,
    /// Too many gaps: the highest index is more than so many times the number of elements; 0: never.
    pub sparse_ratio: i32,
    /// Up to this index gaps do not matter.
    pub sparse_safe: i32,
    pub encode_depth: i32,
    pub decode_depth: i32,
    pub encode_invalid: InvalidNumbers,
    pub decodes_invalid: bool,
    pub keeps_buffer: bool,
    /// Significant digits.
    pub precision: i32,
}

pub(super) const DEFAULTS: Settings = Settings {
    sparse_convert: false,
    sparse_ratio: 2,
    sparse_safe: 10,
    encode_depth: 1000,
    decode_depth: 1000,
    encode_invalid: InvalidNumbers::Refused,
    decodes_invalid: true,
    keeps_buffer: true,
    precision: 14,
};

pub(super) const BYTES: usize = 24;

impl Settings {
    pub(super) fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let numbers = [self.sparse_ratio, self.sparse_safe, self.encode_depth, self.decode_depth, self.precision];
        for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[20] = u8::from(self.sparse_convert);
        bytes[21] = self.encode_invalid as u8;
        bytes[22] = u8::from(self.decodes_invalid);
        bytes[23] = u8::from(self.keeps_buffer);
        bytes
    }

    pub(super) fn of_bytes(bytes: [u8; BYTES]) -> Settings {
        let number = |index: usize| {
            let at = 4 * index;
            i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Settings {
            sparse_ratio: number(0),
            sparse_safe: number(1),
            encode_depth: number(2),
            decode_depth: number(3),
            precision: number(4),
            sparse_convert: bytes[20] != 0,
            encode_invalid: match bytes[21] {
                0 => InvalidNumbers::Refused,
                1 => InvalidNumbers::Written,
                _ => InvalidNumbers::Null,
            },
            decodes_invalid: bytes[22] != 0,
            keeps_buffer: bytes[23] != 0,
        }
    }

    /// Those of the function that runs.
    pub fn read(stack: &mut Stack) -> Settings {
        stack.push_state();
        stack.push_element(-1, 1);
        let bytes = stack.bytes(-1).and_then(|bytes| bytes.try_into().ok());
        let settings = bytes.map_or(DEFAULTS, Settings::of_bytes);
        stack.pop(2);
        settings
    }

    pub(super) fn write(self, stack: &mut Stack) {
        stack.push_state();
        stack.push_bytes(&self.to_bytes());
        stack.set_element(-2, 1);
        stack.pop(1);
    }
}
