//! Requests kept for later, one after the other in a few shared buffers: what MULTI queues.

use bytes::Bytes;

use super::batch::{Args, Span};

/// From this length on an argument that is not received in a buffer of its own gets one, in bytes: places in the shared
/// buffer count in 32 bits.
const SHARED_MAX_BYTES: usize = 1 << 30;

/// Owned requests in the order in which they came. Adding one allocates nothing once the buffers have their size.
#[derive(Debug, Default)]
pub struct RequestQueue {
    base: Vec<u8>,
    spans: Vec<Span>,
    big: Vec<Bytes>,
    /// Of those in buffers of their own.
    big_bytes: usize,
    /// Where the spans of each request end.
    ends: Vec<u32>,
}

impl RequestQueue {
    /// Adds a request; its small arguments are copied, those with buffers of their own are shared. O(bytes).
    pub fn push(&mut self, args: Args<'_>) {
        self.spans.reserve(args.len());
        for (index, argument) in args.iter().enumerate() {
            let is_far = self.base.len() + argument.len() > SHARED_MAX_BYTES;
            if is_far || args.is_buffer(index) {
                self.spans.push(Span::buffer(self.big.len()));
                self.big_bytes += argument.len();
                self.big.push(args.bytes(index));
            } else {
                self.spans.push(Span::range(self.base.len(), argument.len()));
                self.base.extend_from_slice(argument);
            }
        }
        self.ends.push(self.spans.len() as u32);
    }

    /// Number of requests.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The arguments of a request. O(1). Panics when there is none of that number.
    #[inline]
    pub fn args(&self, index: usize) -> Args<'_> {
        let first = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        let spans = &self.spans[first..self.ends[index] as usize];
        Args::from_parts(&self.base, spans, &self.big)
    }

    /// Forgets all requests; keeps buffers of usual size.
    pub fn clear(&mut self, retained_bytes: usize) {
        self.base.clear();
        self.base.shrink_to(retained_bytes);
        self.spans.clear();
        self.spans.shrink_to(retained_bytes / size_of::<Span>());
        self.big.clear();
        self.big_bytes = 0;
        self.ends.clear();
        self.ends.shrink_to(retained_bytes / size_of::<Span>());
    }

    /// Total length of all arguments, in bytes. O(1).
    pub fn total_bytes(&self) -> usize {
        self.base.len() + self.big_bytes
    }

    /// Memory held, in bytes; buffers shared with others count in full. O(1).
    pub fn memory(&self) -> usize {
        self.base.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.ends.capacity() * size_of::<u32>()
            + self.big.capacity() * size_of::<Bytes>()
            + self.big_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_as_they_went_in() {
        let mut queue = RequestQueue::default();
        let requests: [&[&[u8]]; 3] = [&[b"set", b"key", b""], &[b"ping"], &[b"get", b"key"]];
        for request in requests {
            queue.push(Args::from_slices(request));
        }
        assert_eq!(queue.len(), 3);
        for (index, request) in requests.iter().enumerate() {
            let args: Vec<&[u8]> = queue.args(index).iter().collect();
            assert_eq!(&args, request);
        }
        assert_eq!(queue.total_bytes(), 16);
        queue.clear(0);
        assert!(queue.is_empty());
        assert_eq!(queue.memory(), 0);
    }
}
