//! Where the bytes of a save go, and how they are handed over.

/// Handed over at a time, in bytes, unless the sink wants another size.
const CHUNK_BYTES: usize = 256 * 1024;

/// Takes the bytes of a save, as far as it has room for them, and never waits.
///
/// The job keeps no sink between two steps: a sink may be an object of its own (a file with its thread), or be made
/// anew for each step from a borrowed connection and its output buffer. The sink's owner frames the bytes: it sends a
/// header before the first step and a trailer in [`SaveSink::finish`].
pub trait SaveSink {
    /// Why it has failed.
    type Error;

    /// Whether the sink takes more, is complete, or has failed. The job asks before each piece. A sink that was full
    /// wakes the loop once it has room.
    fn state(&mut self) -> SinkState<Self::Error>;

    /// Takes as much of the chunk as it has room for. What it leaves is offered again at the next step.
    fn write(&mut self, chunk: &mut Chunk);

    /// All bytes were taken, and the sink is open: what is left to do is to complete them. Called once.
    fn finish(&mut self);

    /// Bytes that are collected before they are handed over; only the last chunk has fewer.
    fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES
    }
}

/// What has become of a sink.
#[derive(Debug)]
pub enum SinkState<E> {
    /// It takes bytes.
    Open,
    /// It has no room at present.
    Full,
    /// All bytes have arrived. Only after [`SaveSink::finish`].
    Complete,
    Failed(E),
}

/// Bytes on their way from a source to a sink, which may take them in parts.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    /// So many bytes of it were taken.
    taken: usize,
}

impl Chunk {
    /// What was not taken yet.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Whether all was taken.
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// Notes that so many bytes more were taken.
    pub fn advance(&mut self, bytes: usize) {
        self.taken = self.bytes.len().min(self.taken + bytes);
    }

    /// Takes all that is left, in a buffer of its own. `spare` becomes the buffer of a later chunk. O(1), but for a
    /// chunk of which a part was taken before.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        let mut bytes = std::mem::replace(&mut self.bytes, spare);
        self.bytes.clear();
        bytes.drain(..std::mem::take(&mut self.taken));
        bytes
    }

    /// Fills a chunk that was taken: `fill` is given its buffer and gives another one.
    pub(super) fn refill(&mut self, fill: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        self.bytes = fill(std::mem::take(&mut self.bytes));
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_taken_in_parts_or_as_a_whole() {
        let mut chunk = Chunk::default();
        assert!(chunk.is_empty());
        chunk.refill(|_| b"abcdef".to_vec());
        chunk.advance(2);
        assert_eq!(chunk.rest(), b"cdef");
        assert_eq!(chunk.take(b"old".to_vec()), b"cdef");
        assert!(chunk.is_empty());
        chunk.refill(|spare| {
            assert!(spare.is_empty() && spare.capacity() >= 3, "a spare buffer is used again");
            b"gh".to_vec()
        });
        chunk.advance(5);
        assert!(chunk.is_empty());
    }
}
