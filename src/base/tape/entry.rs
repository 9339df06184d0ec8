//! Answers as bytes. Numbers are in LEB128, seven bits a byte, so that small ones are short.

use std::io;
use std::net::SocketAddr;

/// Something that can be written to a tape.
pub trait Entry: Sized {
    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what `write` has written; nothing if the bytes are not such.
    fn read(input: &mut Input<'_>) -> Option<Self>;
}

/// The bytes of a chunk that were not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Takes so many bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes one byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
}

impl Entry for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn read(input: &mut Input<'_>) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = input.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }
}

/// Numbers that are written as one of 64 bits.
macro_rules! as_u64 {
    ($($kind:ty),*) => {
        $(impl Entry for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                (*self as u64).write(out);
            }

            fn read(input: &mut Input<'_>) -> Option<$kind> {
                u64::read(input).map(|value| value as $kind)
            }
        })*
    };
}

as_u64!(u8, u16, u32, usize, i32, i64, isize);

impl Entry for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(input: &mut Input<'_>) -> Option<bool> {
        input.byte().map(|byte| byte != 0)
    }
}

impl Entry for () {
    fn write(&self, _: &mut Vec<u8>) {}

    fn read(_: &mut Input<'_>) -> Option<()> {
        Some(())
    }
}

impl Entry for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bits().to_le_bytes());
    }

    fn read(input: &mut Input<'_>) -> Option<f64> {
        Some(f64::from_bits(u64::from_le_bytes(input.take(8)?.try_into().ok()?)))
    }
}

impl Entry for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self);
    }

    fn read(input: &mut Input<'_>) -> Option<Vec<u8>> {
        let count = usize::read(input)?;
        input.take(count).map(<[u8]>::to_vec)
    }
}

impl Entry for [u8; 32] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(input: &mut Input<'_>) -> Option<[u8; 32]> {
        input.take(32)?.try_into().ok()
    }
}

impl Entry for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(input: &mut Input<'_>) -> Option<String> {
        String::from_utf8(Vec::read(input)?).ok()
    }
}

impl Entry for Vec<String> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        self.iter().for_each(|text| text.write(out));
    }

    fn read(input: &mut Input<'_>) -> Option<Vec<String>> {
        (0..usize::read(input)?).map(|_| String::read(input)).collect()
    }
}

impl Entry for Vec<(u64, u8)> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        self.iter().for_each(|pair| pair.write(out));
    }

    fn read(input: &mut Input<'_>) -> Option<Vec<(u64, u8)>> {
        (0..usize::read(input)?).map(|_| Entry::read(input)).collect()
    }
}

impl Entry for SocketAddr {
    fn write(&self, out: &mut Vec<u8>) {
        self.to_string().write(out);
    }

    fn read(input: &mut Input<'_>) -> Option<SocketAddr> {
        String::read(input)?.parse().ok()
    }
}

impl Entry for Vec<SocketAddr> {
    fn write(&self, out: &mut Vec<u8>) {
        let texts: Vec<String> = self.iter().map(SocketAddr::to_string).collect();
        texts.write(out);
    }

    fn read(input: &mut Input<'_>) -> Option<Vec<SocketAddr>> {
        Vec::<String>::read(input)?.iter().map(|text| text.parse().ok()).collect()
    }
}

impl<T: Entry> Entry for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut Input<'_>) -> Option<Option<T>> {
        match bool::read(input)? {
            true => T::read(input).map(Some),
            false => Some(None),
        }
    }
}

impl<T: Entry, E: Entry> Entry for Result<T, E> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_ok().write(out);
        match self {
            Ok(value) => value.write(out),
            Err(error) => error.write(out),
        }
    }

    fn read(input: &mut Input<'_>) -> Option<Result<T, E>> {
        match bool::read(input)? {
            true => T::read(input).map(Ok),
            false => E::read(input).map(Err),
        }
    }
}

impl<A: Entry, B: Entry> Entry for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut Input<'_>) -> Option<(A, B)> {
        Some((A::read(input)?, B::read(input)?))
    }
}

/// The kinds of errors that do not come from the system, in the order of the format.
const ERROR_KINDS: [io::ErrorKind; 10] = [
    io::ErrorKind::Other,
    io::ErrorKind::WouldBlock,
    io::ErrorKind::Interrupted,
    io::ErrorKind::WriteZero,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::InvalidData,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::NotFound,
    io::ErrorKind::AlreadyExists,
    io::ErrorKind::Unsupported,
];

/// By the system's number where it has one, else by kind and text.
impl Entry for io::Error {
    fn write(&self, out: &mut Vec<u8>) {
        self.raw_os_error().write(out);
        if self.raw_os_error().is_none() {
            let kind = ERROR_KINDS.iter().position(|kind| *kind == self.kind());
            kind.unwrap_or(0).write(out);
            self.to_string().write(out);
        }
    }

    fn read(input: &mut Input<'_>) -> Option<io::Error> {
        if let Some(number) = Option::read(input)? {
            return Some(io::Error::from_raw_os_error(number));
        }
        let kind = *ERROR_KINDS.get(usize::read(input)?)?;
        Some(io::Error::new(kind, String::read(input)?))
    }
}
