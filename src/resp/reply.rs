//! Replies out: the bytes waiting to be sent to one client, in RESP2 or RESP3 form, large values
//! spliced in by reference. What a reply is made of is written by `elements`.

mod elements;

use std::cell::Cell;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// From this length on a shared buffer is sent from where it is instead of being copied, in bytes.
const SPLICE_BYTES: usize = 16 * 1024;
/// Capacity that an idle client may keep, in bytes.
const RETAINED_BYTES: usize = 1024;
/// From this length on sent bytes are dropped from the front of a buffer that is not yet sent in
/// full, in bytes.
const COMPACT_BYTES: usize = 64 * 1024;

/// The form of replies that a client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The form all clients know; the default.
    #[default]
    Resp2,
    /// The form with maps, sets, doubles, booleans, null and pushes.
    Resp3,
}

thread_local! {
    /// Bytes of all large values that wait in replies.
    static SPLICED: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of large values that wait in the replies of this thread's clients by reference. Each may turn out to be the
/// last reference to its value: so they count against a memory limit as if they were copies. O(1).
pub fn shared_bytes() -> usize {
    SPLICED.get()
}

/// A large value in its place among the encoded bytes.
#[derive(Debug)]
struct Splice {
    /// The value goes before the byte at this offset of the buffer.
    offset: usize,
    bytes: Bytes,
}

impl Splice {
    fn new(offset: usize, bytes: Bytes) -> Splice {
        SPLICED.set(SPLICED.get() + bytes.len());
        Splice { offset, bytes }
    }

    /// Drops so many bytes that were sent.
    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        SPLICED.set(SPLICED.get() - count);
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        // A thread that is ending may drop replies after the count is gone: it is not read any more.
        let _ = SPLICED.try_with(|spliced| spliced.set(spliced.get() - self.bytes.len()));
    }
}

/// A place to go back to with [`Reply::truncate`]. Valid until bytes are sent.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    offset: usize,
    splice_count: usize,
}

/// The place of a header that is written last. Valid until bytes are sent.
#[derive(Debug)]
#[must_use = "the header must be written with one of the end_deferred methods"]
pub struct Deferred(Mark);

/// Replies of one client waiting to be sent: one contiguous buffer plus large values spliced in by
/// reference.
#[derive(Debug, Default)]
pub struct Reply {
    buffer: Vec<u8>,
    /// How many bytes at the front of `buffer` are already sent.
    sent: usize,
    splices: Vec<Splice>,
    /// How many of them, at the front, are already sent: those are empty.
    sent_splices: usize,
    /// Total length of the splices.
    spliced_bytes: usize,
    protocol: Protocol,
}

/// What is pending, and sending it.
impl Reply {
    /// No replies, for a client of the given protocol. Allocates nothing.
    pub fn new(protocol: Protocol) -> Reply {
        Reply { protocol, ..Reply::default() }
    }

    /// The form that is written.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sets the form of what is written from now on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    fn pending_splices(&self) -> &[Splice] {
        &self.splices[self.sent_splices..]
    }

    fn splice(&mut self, bytes: &Bytes) {
        self.spliced_bytes += bytes.len();
        self.splices.push(Splice::new(self.buffer.len(), bytes.clone()));
    }

    /// Everything that another reply holds, none of which was sent: what is spliced into that one is shared.
    pub fn append(&mut self, other: &Reply) {
        let mut at = other.sent;
        for splice in other.pending_splices() {
            self.raw(&other.buffer[at..splice.offset]);
            self.splice(&splice.bytes);
            at = splice.offset;
        }
        self.raw(&other.buffer[at..]);
    }

    /// Bytes to be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.sent + self.spliced_bytes
    }

    /// Where the next byte will be written, for prefetching.
    #[inline]
    pub fn end(&self) -> *const u8 {
        self.buffer.as_ptr_range().end
    }

    /// Whether nothing is to be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The present end, for [`Reply::truncate`].
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { offset: self.buffer.len(), splice_count: self.splices.len() }
    }

    /// Bytes written since the mark. The mark must be younger than the last `advance` or `clear`.
    pub fn len_since(&self, mark: Mark) -> usize {
        let spliced: usize = self.splices[mark.splice_count..].iter().map(|splice| splice.bytes.len()).sum();
        self.buffer.len() - mark.offset + spliced
    }

    /// Takes back what was written since the mark. The mark must be younger than the last `advance`
    /// or `clear`.
    pub fn truncate(&mut self, mark: Mark) {
        self.buffer.truncate(mark.offset);
        for splice in self.splices.drain(mark.splice_count..) {
            self.spliced_bytes -= splice.bytes.len();
        }
    }

    /// Takes out what was written since the mark, as a reply of its own. The mark must be younger than the last
    /// `advance` or `clear`.
    pub fn split_off(&mut self, mark: Mark) -> Reply {
        let mut taken = Reply::new(self.protocol);
        taken.buffer = self.buffer.split_off(mark.offset);
        taken.splices = self.splices.split_off(mark.splice_count);
        for splice in &mut taken.splices {
            splice.offset -= mark.offset;
            taken.spliced_bytes += splice.bytes.len();
        }
        self.spliced_bytes -= taken.spliced_bytes;
        taken
    }

    /// The pending bytes in one piece, if no value is spliced in.
    #[inline]
    pub fn contiguous(&self) -> Option<&[u8]> {
        (self.splices.len() == self.sent_splices).then(|| &self.buffer[self.sent..])
    }

    /// The pending bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        let mut at = self.sent;
        for splice in self.pending_splices() {
            bytes.extend_from_slice(&self.buffer[at..splice.offset]);
            bytes.extend_from_slice(&splice.bytes);
            at = splice.offset;
        }
        bytes.extend_from_slice(&self.buffer[at..]);
        bytes
    }

    /// Fills `slices` with the pending bytes in order, as far as they fit, and returns how many
    /// slices that took.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut at = self.sent;
        let mut pieces = self.pending_splices().iter().flat_map(|splice| {
            let before = &self.buffer[at..splice.offset];
            at = splice.offset;
            [before, &splice.bytes]
        });
        let mut count = 0;
        let mut room = slices.iter_mut();
        for piece in pieces.by_ref().filter(|piece| !piece.is_empty()) {
            let Some(slice) = room.next() else {
                return count;
            };
            *slice = IoSlice::new(piece);
            count += 1;
        }
        drop(pieces);
        if let (Some(slice), true) = (room.next(), at < self.buffer.len()) {
            *slice = IoSlice::new(&self.buffer[at..]);
            count += 1;
        }
        count
    }

    /// Drops `count` bytes that were sent. Panics when there are fewer. Amortised O(bytes dropped).
    pub fn advance(&mut self, mut count: usize) {
        while let Some(splice) = self.splices.get_mut(self.sent_splices) {
            let before = splice.offset - self.sent;
            if count < before {
                break;
            }
            self.sent = splice.offset;
            count -= before;
            let spliced = count.min(splice.bytes.len());
            splice.advance(spliced);
            self.spliced_bytes -= spliced;
            count -= spliced;
            if !splice.bytes.is_empty() {
                return;
            }
            splice.bytes = Bytes::new();
            self.sent_splices += 1;
        }
        self.sent += count;
        assert!(self.sent <= self.buffer.len(), "advanced past the pending bytes");
        if self.is_empty() {
            self.clear();
        } else if self.sent >= COMPACT_BYTES && self.sent >= self.buffer.len() - self.sent {
            self.compact();
        }
    }

    /// Moves the rest to the front of the buffer; as it is the smaller half, the cost is amortised.
    fn compact(&mut self) {
        self.buffer.drain(..self.sent);
        self.splices.drain(..self.sent_splices);
        self.sent_splices = 0;
        for splice in &mut self.splices {
            splice.offset -= self.sent;
        }
        self.sent = 0;
    }

    /// Drops everything pending; keeps the capacity.
    #[inline]
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.sent = 0;
        self.splices.clear();
        self.sent_splices = 0;
        self.spliced_bytes = 0;
    }

    /// Gives back capacity that is not in use, but for 1 KiB.
    #[inline]
    pub fn shrink(&mut self) {
        if self.buffer.capacity() > RETAINED_BYTES {
            self.buffer.shrink_to(RETAINED_BYTES);
        }
        self.splices.shrink_to(0);
    }

    /// Room for encoded bytes, used or not, in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Memory held, in bytes; shared buffers count in full.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.splices.capacity() * size_of::<Splice>() + self.spliced_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All pending bytes, gathered through slices of the given number at a time.
    fn gather(reply: &Reply, slice_count: usize) -> Vec<u8> {
        let mut slices = vec![IoSlice::new(&[]); slice_count];
        let used = reply.slices(&mut slices);
        slices[..used].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn written(protocol: Protocol, write: impl Fn(&mut Reply)) -> String {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        assert_eq!(reply.contiguous(), Some(gather(&reply, 4).as_slice()));
        String::from_utf8(gather(&reply, 4)).unwrap()
    }

    #[test]
    fn a_large_value_is_let_go_once_it_is_sent() {
        let mut reply = Reply::new(Protocol::Resp2);
        let values = [1, 2].map(|byte| Bytes::from(vec![byte; SPLICE_BYTES]));
        values.iter().for_each(|value| reply.bulk_shared(value));
        let whole = reply.to_vec();
        reply.advance(8 + SPLICE_BYTES + 3);
        assert_eq!((values[0].is_unique(), values[1].is_unique()), (true, false));
        let rest = &whole[8 + SPLICE_BYTES + 3..];
        assert_eq!((&gather(&reply, 4)[..], &reply.to_vec()[..]), (rest, rest));
        assert!(reply.contiguous().is_none());
        reply.advance(7 + SPLICE_BYTES);
        assert!(values[1].is_unique() && reply.contiguous() == Some(&b"\r\n"[..]));
        let mut other = Reply::new(Protocol::Resp2);
        other.append(&reply);
        assert_eq!(other.to_vec(), b"\r\n");
    }

    #[test]
    fn every_number_is_written_as_it_is() {
        let powers = (0..19).map(|power| 10i64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, power * 9]);
        let many = (0..3000).chain((0..100_000_000).step_by(99_991));
        for value in around.chain(many).chain([i64::MAX, i64::MIN]) {
            for value in [value, value.wrapping_neg()] {
                let line = written(Protocol::Resp2, |reply| reply.integer(value));
                assert_eq!(line, format!(":{value}\r\n"));
            }
        }
    }

    type Writer = fn(&mut Reply);

    /// Recorded from Redis 7.0.15 in both protocols: DEBUG PROTOCOL and usual commands.
    #[test]
    fn replies_are_those_of_redis() {
        let recorded: [(Writer, &str, &str); 26] = [
            (|reply| reply.ok(), "+OK\r\n", "+OK\r\n"),
            (|reply| reply.simple("PONG"), "+PONG\r\n", "+PONG\r\n"),
            (|reply| reply.simple("a\r\nb\n"), "+a  b \r\n", "+a  b \r\n"),
            (|reply| reply.error("MY a\r\nb\r\n"), "-MY a  b\r\n", "-MY a  b\r\n"),
            (|reply| reply.error("\r\nMY a\n"), "-  MY a\r\n", "-  MY a\r\n"),
            (|reply| reply.bulk(b"Hello World"), "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"),
            (|reply| reply.integer(12345), ":12345\r\n", ":12345\r\n"),
            (|reply| reply.integer(-1), ":-1\r\n", ":-1\r\n"),
            (|reply| reply.integer(7), ":7\r\n", ":7\r\n"),
            (|reply| reply.bulk_integer(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n"),
            (|reply| reply.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (|reply| reply.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n"),
            (|reply| reply.double(3.0), "$1\r\n3\r\n", ",3\r\n"),
            (|reply| reply.null(), "$-1\r\n", "_\r\n"),
            (|reply| reply.null_array(), "*-1\r\n", "_\r\n"),
            (|reply| reply.empty_array(), "*0\r\n", "*0\r\n"),
            (|reply| reply.array(3), "*3\r\n", "*3\r\n"),
            (|reply| reply.array(1000), "*1000\r\n", "*1000\r\n"),
            (|reply| reply.set(3), "*3\r\n", "~3\r\n"),
            (|reply| reply.map(3), "*6\r\n", "%3\r\n"),
            (|reply| reply.push(2), "*2\r\n", ">2\r\n"),
            (
                |reply| reply.verbatim("txt", b"This is a verbatim\nstring"),
                "$25\r\nThis is a verbatim\nstring\r\n",
                "=29\r\ntxt:This is a verbatim\nstring\r\n",
            ),
            (|reply| reply.bool(true), ":1\r\n", "#t\r\n"),
            (|reply| reply.bool(false), ":0\r\n", "#f\r\n"),
            (
                |reply| reply.big_number("1234567999999999999999999999999999999"),
                "$37\r\n1234567999999999999999999999999999999\r\n",
                "(1234567999999999999999999999999999999\r\n",
            ),
            (|reply| reply.raw(b"+x\r\n"), "+x\r\n", "+x\r\n"),
        ];
        for (write, resp2, resp3) in recorded {
            assert_eq!(written(Protocol::Resp2, write), resp2);
            assert_eq!(written(Protocol::Resp3, write), resp3);
        }
    }

    #[test]
    fn large_values_are_not_copied() {
        let large = Bytes::from(vec![b'x'; SPLICE_BYTES]);
        let small = large.slice(..SPLICE_BYTES - 1);
        let mut reply = Reply::new(Protocol::Resp2);
        reply.bulk_shared(&small);
        reply.push_shared_chunk(&small);
        assert!(reply.contiguous().is_some());
        reply.clear();
        reply.bulk_shared(&large);
        reply.push_shared_chunk(&large);
        assert!(reply.contiguous().is_none());
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(reply.slices(&mut slices), 4);
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        assert_eq!(slices[3].as_ptr(), large.as_ptr());
        assert_eq!(reply.len(), 8 + 2 + 2 * SPLICE_BYTES);
        assert!(reply.memory() >= reply.len());
        // A slice table that is too short takes the beginning.
        let mut slices = [IoSlice::new(&[]); 1];
        assert_eq!(reply.slices(&mut slices), 1);
        assert_eq!(&*slices[0], b"$16384\r\n");
    }

    /// A client that reads slowly while more is written must not make the buffer grow for ever.
    #[test]
    fn sent_bytes_are_given_back() {
        let mut reply = Reply::new(Protocol::Resp2);
        for _ in 0..2_000 {
            reply.bulk(&[b'x'; 1000]);
            reply.advance(reply.len().min(1009).saturating_sub(1));
        }
        assert!(reply.memory() < 4 * COMPACT_BYTES, "{}", reply.memory());
        reply.advance(reply.len());
        assert!(reply.is_empty());
        reply.shrink();
        assert!(reply.memory() <= RETAINED_BYTES);
    }

    #[test]
    #[should_panic(expected = "advanced past")]
    fn more_than_all_cannot_be_sent() {
        let mut reply = Reply::new(Protocol::Resp2);
        reply.ok();
        reply.advance(6);
    }

    /// What a test may do to a reply.
    #[derive(Clone, Debug)]
    enum Step {
        Bulk(usize),
        Shared(usize),
        Chunk(usize),
        Integer(i64),
        Begin,
        End(usize),
        /// Writes the steps and takes them back.
        Dropped(Vec<Step>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let leaf = prop_oneof![
            (0usize..300).prop_map(Step::Bulk),
            (SPLICE_BYTES - 2..SPLICE_BYTES + 3).prop_map(Step::Shared),
            (SPLICE_BYTES - 2..SPLICE_BYTES + 3).prop_map(Step::Chunk),
            any::<i64>().prop_map(Step::Integer),
            Just(Step::Begin),
            (0usize..2000).prop_map(Step::End),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Step::Dropped))
    }

    /// The same done with one flat vector; `open` holds the places of headers to come.
    fn apply(step: &Step, reply: &mut Reply, flat: &mut Vec<u8>, open: &mut Vec<(Deferred, usize)>) {
        match step {
            Step::Bulk(len) => {
                reply.bulk(&vec![b'b'; *len]);
                flat.extend_from_slice(format!("${len}\r\n{}\r\n", "b".repeat(*len)).as_bytes());
            }
            Step::Shared(len) => {
                reply.bulk_shared(&Bytes::from(vec![b's'; *len]));
                flat.extend_from_slice(format!("${len}\r\n{}\r\n", "s".repeat(*len)).as_bytes());
            }
            Step::Chunk(len) => {
                reply.push_shared_chunk(&Bytes::from(vec![b'c'; *len]));
                flat.extend_from_slice(&vec![b'c'; *len]);
            }
            Step::Integer(value) => {
                reply.integer(*value);
                flat.extend_from_slice(format!(":{value}\r\n").as_bytes());
            }
            Step::Begin => open.push((reply.begin_deferred(), flat.len())),
            Step::End(count) => {
                let Some((place, at)) = open.pop() else {
                    return;
                };
                let header = match count % 4 {
                    0 => format!("*{count}\r\n"),
                    1 => format!("%{count}\r\n"),
                    2 => format!("~{count}\r\n"),
                    _ => format!(">{count}\r\n"),
                };
                match count % 4 {
                    0 => reply.end_deferred_array(place, *count),
                    1 => reply.end_deferred_map(place, *count),
                    2 => reply.end_deferred_set(place, *count),
                    _ => reply.end_deferred_push(place, *count),
                }
                flat.splice(at..at, header.bytes());
            }
            Step::Dropped(steps) => {
                let (mark, flat_len) = (reply.mark(), flat.len());
                let mut inner = Vec::new();
                for step in steps {
                    apply(step, reply, flat, &mut inner);
                }
                reply.truncate(mark);
                flat.truncate(flat_len);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_reply_is_as_flat_bytes_would_be(
            rounds in prop::collection::vec(
                (prop::collection::vec(step(), 0..12), any::<prop::sample::Index>()),
                1..8,
            ),
        ) {
            let mut reply = Reply::new(Protocol::Resp3);
            let mut flat = Vec::new();
            for (steps, sent) in rounds {
                let mut open = Vec::new();
                for step in &steps {
                    apply(step, &mut reply, &mut flat, &mut open);
                }
                prop_assert_eq!(reply.len(), flat.len());
                prop_assert_eq!(reply.is_empty(), flat.is_empty());
                prop_assert!(gather(&reply, 200) == flat);
                prop_assert!(flat.starts_with(&gather(&reply, 2)));
                let sent = sent.index(flat.len() + 1);
                reply.advance(sent);
                flat.drain(..sent);
                prop_assert!(gather(&reply, 200) == flat);
            }
        }
    }

    /// One decoded element of a reply.
    #[derive(Clone, Debug, PartialEq)]
    enum Element {
        Null,
        Integer(i64),
        Double(f64),
        Bool(bool),
        Bulk(Vec<u8>),
        Many(u8, Vec<Element>),
    }

    fn element() -> impl Strategy<Value = Element> {
        let leaf = prop_oneof![
            Just(Element::Null),
            any::<i64>().prop_map(Element::Integer),
            prop::num::f64::NORMAL.prop_map(Element::Double),
            any::<bool>().prop_map(Element::Bool),
            prop::collection::vec(any::<u8>(), 0..2000).prop_map(Element::Bulk),
        ];
        let kinds = prop::sample::select(b"*~>%".to_vec());
        leaf.prop_recursive(4, 40, 6, move |inner| {
            (kinds.clone(), prop::collection::vec(inner, 0..6)).prop_map(|(kind, mut elements)| {
                let even = elements.len() & !1;
                elements.truncate(if kind == b'%' { even } else { elements.len() });
                Element::Many(kind, elements)
            })
        })
    }

    fn encode(element: &Element, reply: &mut Reply) {
        match element {
            Element::Null => reply.null(),
            Element::Integer(value) => reply.integer(*value),
            Element::Double(value) => reply.double(*value),
            Element::Bool(value) => reply.bool(*value),
            Element::Bulk(value) => reply.bulk(value),
            Element::Many(kind, elements) => {
                match kind {
                    b'*' => reply.array(elements.len()),
                    b'~' => reply.set(elements.len()),
                    b'>' => reply.push(elements.len()),
                    _ => reply.map(elements.len() / 2),
                }
                elements.iter().for_each(|element| encode(element, reply));
            }
        }
    }

    fn decode(input: &mut &[u8]) -> Element {
        let end = memchr::memmem::find(input, b"\r\n").unwrap();
        let (kind, text) = (input[0], str::from_utf8(&input[1..end]).unwrap());
        *input = &input[end + 2..];
        match kind {
            b'_' => Element::Null,
            b':' => Element::Integer(text.parse().unwrap()),
            b',' => Element::Double(text.parse().unwrap()),
            b'#' => Element::Bool(text == "t"),
            b'$' => {
                let (value, rest) = input.split_at(text.parse().unwrap());
                *input = rest.strip_prefix(b"\r\n").unwrap();
                Element::Bulk(value.to_vec())
            }
            _ => {
                let count: usize = text.parse().unwrap();
                let count = if kind == b'%' { 2 * count } else { count };
                Element::Many(kind, (0..count).map(|_| decode(input)).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(element in element()) {
            let mut reply = Reply::new(Protocol::Resp3);
            encode(&element, &mut reply);
            let bytes = reply.contiguous().unwrap();
            let mut rest = bytes;
            prop_assert_eq!(decode(&mut rest), element);
            prop_assert!(rest.is_empty());
        }
    }
}
