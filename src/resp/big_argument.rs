//! A large argument on its way in, received into a buffer of its own.

use bytes::Bytes;

/// The first reservation for a big argument, in bytes. See [`BigArgument`].
const BIG_FIRST_BYTES: usize = 1024 * 1024;
/// How much of a big argument's buffer is readied per read, in bytes.
const BIG_STEP_BYTES: usize = 256 * 1024;

/// A large argument while it is being received, into a buffer of exactly its size.
///
/// What is merely announced must cost little, and a loop that serves others must not stop to copy
/// hundreds of megabytes. So at first at most 1 MiB is reserved; once that has really arrived, the
/// whole length is, which copies that 1 MiB and no more. A reservation is address space: the pages
/// cost nothing until bytes arrive, as the buffer is readied (zeroed, which is what safe code must
/// do before reading into it) only as far as the next read reaches.
#[derive(Debug)]
pub struct BigArgument {
    data: Vec<u8>,
    filled: usize,
    len: usize,
}

impl BigArgument {
    pub(super) fn new(len: usize) -> BigArgument {
        BigArgument { data: Vec::with_capacity(len.min(BIG_FIRST_BYTES)), filled: 0, len }
    }

    /// Length of the whole argument in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes received so far.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes reserved for what is still to come.
    pub(super) fn reserved(&self) -> usize {
        self.data.capacity() - self.filled
    }

    /// Bytes that are still to come.
    pub fn remaining(&self) -> usize {
        self.len - self.filled
    }

    /// Room for the next bytes, never empty while some remain.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.filled == self.data.len() {
            self.reserve();
            let ready = self.data.capacity().min(self.len).min(self.filled + BIG_STEP_BYTES);
            self.data.resize(ready, 0);
        }
        &mut self.data[self.filled..]
    }

    /// Records that `count` bytes were written to the start of the spare room.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.data.len() - self.filled, "advanced past the spare room");
        self.filled += count;
    }

    /// Copies as much of `input` as still belongs to the argument; returns how many bytes that was.
    pub(super) fn extend(&mut self, input: &[u8]) -> usize {
        let mut rest = &input[..self.remaining().min(input.len())];
        let taken = rest.len();
        while !rest.is_empty() {
            let spare = self.spare();
            let (now, later) = rest.split_at(rest.len().min(spare.len()));
            spare[..now.len()].copy_from_slice(now);
            self.advance(now.len());
            rest = later;
        }
        taken
    }

    /// Makes room behind a full reservation: all that is missing, if the system grants it.
    fn reserve(&mut self) {
        if self.filled == self.data.capacity() && self.data.try_reserve_exact(self.remaining()).is_err() {
            self.data.reserve(self.remaining().min(BIG_FIRST_BYTES));
        }
    }

    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither the announcement nor a first read may take the memory that was announced.
    #[test]
    fn memory_follows_what_arrives() {
        let mut argument = BigArgument::new(512 << 20);
        assert!(argument.data.capacity() <= BIG_FIRST_BYTES);
        while argument.filled < BIG_FIRST_BYTES {
            let ready = argument.spare().len();
            assert!((1..=BIG_STEP_BYTES).contains(&ready));
            argument.advance(ready);
        }
        assert_eq!(argument.data.capacity(), BIG_FIRST_BYTES);
        assert!(argument.spare().len() <= BIG_STEP_BYTES);
        assert_eq!(argument.data.capacity(), 512 << 20);
    }

    #[test]
    fn the_buffer_is_as_long_as_the_value() {
        for len in [40_000, BIG_FIRST_BYTES, BIG_FIRST_BYTES + 1, 3 * BIG_FIRST_BYTES] {
            let value: Vec<u8> = (0..len).map(|index| index as u8).collect();
            let mut argument = BigArgument::new(len);
            assert_eq!(argument.extend(&value[..10]), 10);
            let ready = argument.spare().len();
            argument.spare().copy_from_slice(&value[10..10 + ready]);
            argument.advance(ready);
            let longer = [&value[10 + ready..], b"\r\n"].concat();
            assert_eq!(argument.extend(&longer), longer.len() - 2);
            assert_eq!((argument.remaining(), argument.spare().len()), (0, 0));
            assert_eq!(argument.data.capacity(), len);
            assert_eq!(argument.finish(), value);
        }
    }
}
