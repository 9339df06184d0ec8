//! What the parser hands over: up to 64 requests as spans of the input, and the view of one
//! request's arguments.

use std::ops::Index;

use bytes::Bytes;

/// How many requests are parsed ahead at most, so that their keys can be prefetched together.
pub const BATCH_MAX: usize = 64;

/// What a reused vector of the batch may keep as capacity between batches, in bytes.
const RETAINED_BYTES: usize = 64 * 1024;

/// The `start` that marks a span as the index of a buffer instead of a place in the base slice.
const IS_BUFFER: u32 = u32::MAX;

/// Where one argument lies: a range of its request's base slice, or the index of a buffer of its
/// own.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// A range of the base slice. The parser keeps base slices below 2 GiB.
    #[inline]
    pub(super) fn range(start: usize, len: usize) -> Span {
        Span { start: start as u32, len: len as u32 }
    }

    /// The buffer at `index` in the list of big arguments.
    pub(super) fn buffer(index: usize) -> Span {
        Span { start: IS_BUFFER, len: index as u32 }
    }

    #[inline]
    fn resolve<'a>(self, base: &'a [u8], big: &'a [Bytes]) -> &'a [u8] {
        if self.start == IS_BUFFER {
            return &big[self.len as usize];
        }
        &base[self.start as usize..][..self.len as usize]
    }
}

/// One parsed request of a batch.
#[derive(Clone, Copy, Debug)]
struct Request {
    first_span: u32,
    span_count: u32,
    /// Offset of the first input byte after this request.
    end: usize,
    /// Whether the spans lie in the batch's scratch bytes instead of the input.
    in_scratch: bool,
}

/// Up to [`BATCH_MAX`] parsed requests. One batch serves all connections for ever: in steady state
/// nothing is allocated.
#[derive(Debug)]
pub struct Batch {
    requests: Vec<Request>,
    /// How many requests it takes: [`BATCH_MAX`], or fewer where a lesson says so.
    limit: usize,
    pub(super) spans: Vec<Span>,
    /// Arguments of inline requests (unquoted) and of the request that the parser had to keep
    /// across reads.
    pub(super) scratch: Vec<u8>,
    /// Arguments received in buffers of their own.
    pub(super) big: Vec<Bytes>,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            requests: Vec::with_capacity(BATCH_MAX),
            limit: BATCH_MAX,
            spans: Vec::with_capacity(BATCH_MAX * 4),
            scratch: Vec::new(),
            big: Vec::new(),
        }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// How many requests it takes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Has it take so many requests, at least 1 and at most [`BATCH_MAX`].
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(1, BATCH_MAX);
    }

    /// Number of requests.
    #[inline]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether no request was completed: the parser then needs more bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether no further request fits.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.requests.len() >= self.limit
    }

    /// The arguments of request `index`; `input` is the slice that was given to `parse`. O(1),
    /// allocates nothing.
    ///
    /// Panics when `index` is out of range.
    #[inline]
    pub fn args<'a>(&'a self, index: usize, input: &'a [u8]) -> Args<'a> {
        let request = self.requests[index];
        let base = if request.in_scratch { self.scratch.as_slice() } else { input };
        let spans = &self.spans[request.first_span as usize..][..request.span_count as usize];
        Args(Source::Parsed { base, spans, big: &self.big })
    }

    /// Offset in the input of the first byte after request `index`: a caller that stops after that
    /// request (a client that became blocked) keeps the input from here and has it parsed again
    /// later.
    #[inline]
    pub fn end(&self, index: usize) -> usize {
        self.requests[index].end
    }

    /// No request of the batch has more bytes, as `Args::received_bytes` counts them; `input` is the slice that was
    /// given to `parse`. O(1) but for big arguments.
    #[inline]
    pub fn request_bytes_max(&self, input: &[u8]) -> u64 {
        let big: usize = self.big.iter().map(Bytes::len).sum();
        (input.len() + self.scratch.len() + big) as u64
    }

    /// Forgets the requests and lets go of big buffers and of unusual capacity.
    #[inline]
    pub fn clear(&mut self) {
        self.requests.clear();
        self.spans.clear();
        if self.scratch.capacity() + self.big.capacity() > 0 || self.spans.capacity() > RETAINED_BYTES / 8 {
            self.clear_rare();
        }
    }

    #[cold]
    fn clear_rare(&mut self) {
        self.spans.shrink_to(RETAINED_BYTES / size_of::<Span>());
        self.scratch.clear();
        self.scratch.shrink_to(RETAINED_BYTES);
        self.big.clear();
        self.big.shrink_to(RETAINED_BYTES / size_of::<Bytes>());
    }

    /// Closes a request made of the spans pushed since `first_span`.
    #[inline]
    pub(super) fn push(&mut self, first_span: usize, end: usize, in_scratch: bool) {
        self.requests.push(Request {
            first_span: first_span as u32,
            span_count: (self.spans.len() - first_span) as u32,
            end,
            in_scratch,
        });
    }
}

/// The arguments of one request, the command's name first: a view that is cheap to copy and to
/// index.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Parsed { base: &'a [u8], spans: &'a [Span], big: &'a [Bytes] },
    Slices(&'a [&'a [u8]]),
}

impl<'a> Args<'a> {
    /// A view of arguments made by the server itself or by a script.
    pub fn from_slices(slices: &'a [&'a [u8]]) -> Args<'a> {
        Args(Source::Slices(slices))
    }

    /// Number of arguments, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Parsed { spans, .. } => spans.len(),
            Source::Slices(slices) => slices.len(),
        }
    }

    /// Whether there are no arguments (never so for a parsed request).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Argument `index`, living as long as the input rather than this view. Panics when out of
    /// range.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        match self.0 {
            Source::Parsed { base, spans, big } => spans[index].resolve(base, big),
            Source::Slices(slices) => slices[index],
        }
    }

    /// Argument `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.at(index))
    }

    /// A view of arguments that lie in these parts.
    pub(super) fn from_parts(base: &'a [u8], spans: &'a [Span], big: &'a [Bytes]) -> Args<'a> {
        Args(Source::Parsed { base, spans, big })
    }

    /// Whether argument `index` was received in a buffer of its own. Panics when out of range.
    pub(super) fn is_buffer(&self, index: usize) -> bool {
        matches!(self.0, Source::Parsed { spans, .. } if spans[index].start == IS_BUFFER)
    }

    /// Argument `index` as a buffer: shared without copying when it was received in one of its own,
    /// else copied. Panics when out of range.
    pub fn bytes(&self, index: usize) -> Bytes {
        if let Source::Parsed { spans, big, .. } = self.0 {
            let span = spans[index];
            if span.start == IS_BUFFER {
                return big[span.len as usize].clone();
            }
        }
        Bytes::copy_from_slice(self.at(index))
    }

    /// The arguments from `first` on (none when there are fewer).
    #[inline]
    pub fn slice_from(&self, first: usize) -> Args<'a> {
        match self.0 {
            Source::Parsed { base, spans, big } => {
                Args(Source::Parsed { base, spans: spans.get(first..).unwrap_or_default(), big })
            }
            Source::Slices(slices) => Args(Source::Slices(slices.get(first..).unwrap_or_default())),
        }
    }

    /// The first `count` arguments (all when there are fewer).
    #[inline]
    pub fn first(&self, count: usize) -> Args<'a> {
        let count = count.min(self.len());
        match self.0 {
            Source::Parsed { base, spans, big } => Args(Source::Parsed { base, spans: &spans[..count], big }),
            Source::Slices(slices) => Args(Source::Slices(&slices[..count])),
        }
    }

    /// The arguments in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone + use<'a> {
        let args = *self;
        (0..self.len()).map(move |index| args.at(index))
    }

    /// The request as it was received, if that is byte for byte what a server would write for these arguments: an
    /// array of bulk strings, all numbers in their shortest form. O(number of arguments).
    #[inline]
    pub fn encoded(&self) -> Option<&'a [u8]> {
        let Source::Parsed { base, spans, .. } = self.0 else {
            return None;
        };
        let (name, rest) = spans.split_first()?;
        let headers = Headers::of(spans.len(), name.len as usize)?;
        let mut end = name.start as usize + name.len as usize;
        for span in rest {
            // The parser has read what lies between two arguments: line end, `$`, length, line end. Only a length in
            // its shortest form has that many bytes. Arguments that were put together lie side by side.
            if span.start as usize != end + 2 + header_len(span.len as usize) {
                return None;
            }
            end = span.start as usize + span.len as usize;
        }
        let start = (name.start as usize).checked_sub(headers.len)?;
        let bytes = base.get(start..end + 2)?;
        (bytes.starts_with(&headers.bytes[..headers.len]) && bytes.ends_with(b"\r\n")).then_some(bytes)
    }

    /// Total length of the arguments in bytes. O(number of arguments).
    pub fn total_bytes(&self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }

    /// Bytes that a client sends for these arguments: an array of bulk strings, or a line with the words that a space
    /// divides. O(number of arguments).
    pub fn received_bytes(&self) -> usize {
        let bulks = self.iter().map(|argument| header_len(argument.len()) + argument.len() + 2);
        match self.is_line() {
            true => self.total_bytes() + self.len() + 1,
            false => header_len(self.len()) + bulks.sum::<usize>(),
        }
    }

    /// Whether the arguments are words of a line, as far as that can be seen: a single one cannot.
    fn is_line(&self) -> bool {
        match self.0 {
            Source::Parsed { spans: [first, second, ..], .. } => {
                first.start != IS_BUFFER && second.start == first.start.wrapping_add(first.len).wrapping_add(1)
            }
            _ => false,
        }
    }

    /// A copy that owns its bytes (one block for all small arguments; big buffers are shared): for
    /// commands that are put off.
    pub fn to_owned(&self) -> OwnedArgs {
        let mut owned = OwnedArgs::default();
        owned.spans.reserve_exact(self.len());
        for (index, argument) in self.iter().enumerate() {
            if self.is_buffer(index) || owned.base.len() + argument.len() > SCRATCH_MAX_BYTES {
                owned.spans.push(Span::buffer(owned.big.len()));
                owned.big.push(self.bytes(index));
            } else {
                owned.spans.push(Span::range(owned.base.len(), argument.len()));
                owned.base.extend_from_slice(argument);
            }
        }
        owned.base.shrink_to_fit();
        owned
    }
}

/// What comes before the first argument of a request: the number of arguments, and the length of the first.
struct Headers {
    bytes: [u8; 10],
    len: usize,
}

impl Headers {
    /// None if either number is 100 or more, which is rare.
    #[inline]
    fn of(count: usize, length: usize) -> Option<Headers> {
        if count >= 100 || length >= 100 {
            return None;
        }
        let mut headers = Headers { bytes: [0; 10], len: 0 };
        for (kind, number) in [(b'*', count as u8), (b'$', length as u8)] {
            let (digits, line) = match number {
                0..10 => (1, [kind, b'0' + number, b'\r', b'\n', 0]),
                _ => (2, [kind, b'0' + number / 10, b'0' + number % 10, b'\r', b'\n']),
            };
            headers.bytes[headers.len..][..5].copy_from_slice(&line);
            headers.len += digits + 3;
        }
        Some(headers)
    }
}

/// Bytes of the line that says how long an argument is, in its shortest form.
#[inline]
fn header_len(length: usize) -> usize {
    match length {
        0..10 => 4,
        10..100 => 5,
        100..1000 => 6,
        _ => length.ilog10() as usize + 4,
    }
}

/// How much of one request is kept in one block; arguments beyond it get buffers of their own, as
/// spans count in `u32`.
pub(super) const SCRATCH_MAX_BYTES: usize = if cfg!(test) { 4096 } else { 1 << 30 };

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

/// The arguments of one request with their bytes.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgs {
    base: Vec<u8>,
    spans: Vec<Span>,
    big: Vec<Bytes>,
}

impl OwnedArgs {
    /// The view that command handlers take.
    pub fn as_args(&self) -> Args<'_> {
        Args(Source::Parsed { base: &self.base, spans: &self.spans, big: &self.big })
    }

    /// Memory held, in bytes; buffers shared with others count in full.
    pub fn memory(&self) -> usize {
        self.base.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.big.iter().map(|buffer| buffer.len() + size_of::<Bytes>()).sum::<usize>()
    }
}
