//! A primary's data on their way in: the line that announces their form, then the bytes of a snapshot.
//!
//! ```text
//! \n \n …                    signs of life while the primary prepares
//! $<length>\r\n              then so many bytes; the stream follows at once
//! $EOF:<40 bytes>\r\n        then bytes up to the same 40 once more; nothing follows until the first ACK
//! -<reason>\r\n              the primary has given up
//! ```
//!
//! The form with a mark is for data whose length is not known when they begin: a snapshot that is written to the
//! socket.

use memchr::memmem;

/// Length of the mark, in bytes.
pub const MARK_BYTES: usize = 40;
/// Longest line that may announce the data, in bytes.
const LINE_MAX_BYTES: usize = 256;

/// In which form the data come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// So many bytes.
    Sized(u64),
    /// Bytes up to this mark.
    Marked([u8; MARK_BYTES]),
}

/// Why the data cannot be received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The primary says that it has given up.
    Aborted(String),
    /// It has sent what announces nothing.
    BadAnnouncement(String),
}

/// How far the data have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are awaited.
    Pending,
    /// The form has become known.
    Announced,
    /// All bytes are there.
    Complete,
}

#[derive(Debug)]
enum State {
    /// The line that has come so far.
    Line(Vec<u8>),
    Sized {
        left_bytes: u64,
    },
    /// Bytes that may be the beginning of the mark are kept back.
    Marked {
        mark: [u8; MARK_BYTES],
        kept: Vec<u8>,
    },
    Complete,
}

/// Receives a primary's data. The caller hands on what comes over the link, and gets the bytes of the snapshot.
#[derive(Debug)]
pub struct PayloadReceiver {
    state: State,
    form: Option<Form>,
    read_bytes: u64,
}

impl Default for PayloadReceiver {
    fn default() -> PayloadReceiver {
        PayloadReceiver { state: State::Line(Vec::new()), form: None, read_bytes: 0 }
    }
}

impl PayloadReceiver {
    /// The form of the data, once it is known.
    pub fn form(&self) -> Option<&Form> {
        self.form.as_ref()
    }

    /// Bytes of the snapshot that were handed out so far.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Takes bytes of the link and hands those of the snapshot to `take`, in order. Says how many of the bytes were
    /// taken, and how far the data have come: after `Announced` and `Complete` the rest of the bytes is the caller's.
    /// O(bytes).
    ///
    /// Errors: the data do not come; the link is of no further use.
    pub fn receive(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<(usize, Progress), PayloadError> {
        match &mut self.state {
            State::Line(_) => self.receive_line(bytes),
            State::Sized { left_bytes } => {
                let count = usize::try_from(*left_bytes).unwrap_or(usize::MAX).min(bytes.len());
                *left_bytes -= count as u64;
                let is_complete = *left_bytes == 0;
                self.hand_out(&bytes[..count], take);
                Ok((count, self.progress(is_complete)))
            }
            State::Marked { .. } => Ok(self.receive_marked(bytes, take)),
            State::Complete => Ok((0, Progress::Complete)),
        }
    }

    fn hand_out(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8])) {
        if !bytes.is_empty() {
            self.read_bytes += bytes.len() as u64;
            take(bytes);
        }
    }

    fn progress(&mut self, is_complete: bool) -> Progress {
        if is_complete {
            self.state = State::Complete;
            return Progress::Complete;
        }
        Progress::Pending
    }

    fn receive_line(&mut self, bytes: &[u8]) -> Result<(usize, Progress), PayloadError> {
        let State::Line(line) = &mut self.state else { return Ok((0, Progress::Pending)) };
        let end = memchr::memchr(b'\n', bytes);
        line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        if line.len() > LINE_MAX_BYTES {
            return Err(PayloadError::BadAnnouncement(shown(line)));
        }
        let Some(end) = end else { return Ok((bytes.len(), Progress::Pending)) };
        let line = std::mem::take(line);
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        if text.is_empty() {
            return Ok((end + 1, Progress::Pending));
        }
        if text[0] == b'-' {
            return Err(PayloadError::Aborted(shown(&text[1..])));
        }
        let form = announced(text).ok_or_else(|| PayloadError::BadAnnouncement(shown(text)))?;
        self.state = match &form {
            Form::Sized(left_bytes) => State::Sized { left_bytes: *left_bytes },
            Form::Marked(mark) => State::Marked { mark: *mark, kept: Vec::with_capacity(2 * MARK_BYTES) },
        };
        self.form = Some(form);
        Ok((end + 1, Progress::Announced))
    }

    fn receive_marked(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8])) -> (usize, Progress) {
        let State::Marked { mark, kept } = &mut self.state else { return (0, Progress::Pending) };
        let (mark, mut kept) = (*mark, std::mem::take(kept));
        let kept_bytes = kept.len();
        // The mark may begin in what is kept back. All of it ends within one mark's length of the new bytes.
        kept.extend_from_slice(&bytes[..bytes.len().min(MARK_BYTES)]);
        if let Some(start) = memmem::find(&kept, &mark) {
            self.hand_out(&kept[..start], take);
            return (start + MARK_BYTES - kept_bytes, self.progress(true));
        }
        if bytes.len() <= MARK_BYTES {
            let settled = kept.len().saturating_sub(MARK_BYTES - 1);
            self.hand_out(&kept[..settled], take);
            kept.drain(..settled);
            self.state = State::Marked { mark, kept };
            return (bytes.len(), Progress::Pending);
        }
        self.hand_out(&kept[..kept_bytes], take);
        kept.clear();
        if let Some(start) = memmem::find(bytes, &mark) {
            self.hand_out(&bytes[..start], take);
            return (start + MARK_BYTES, self.progress(true));
        }
        let settled = bytes.len() - (MARK_BYTES - 1);
        self.hand_out(&bytes[..settled], take);
        kept.extend_from_slice(&bytes[settled..]);
        self.state = State::Marked { mark, kept };
        (bytes.len(), Progress::Pending)
    }
}

/// The form that a line announces.
fn announced(line: &[u8]) -> Option<Form> {
    let text = line.strip_prefix(b"$")?;
    if let Some(mark) = text.strip_prefix(b"EOF:") {
        return mark.try_into().ok().map(Form::Marked);
    }
    let size: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // No snapshot is empty.
    (size > 0).then_some(Form::Sized(size))
}

fn shown(text: &[u8]) -> String {
    text[..text.len().min(LINE_MAX_BYTES)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Its first byte is there once: so no beginning of it is its end, too.
    const MARK: [u8; MARK_BYTES] = *b"f0123456789abcde0123456789abcde012345678";

    /// The snapshot, the bytes behind it, and how it ended, where the link's bytes come in such pieces.
    fn receive(
        mut bytes: &[u8],
        mut piece: impl FnMut() -> usize,
    ) -> Result<(Vec<u8>, Vec<u8>, Progress), PayloadError> {
        let mut receiver = PayloadReceiver::default();
        let mut snapshot = Vec::new();
        while !bytes.is_empty() {
            let count = piece().clamp(1, bytes.len());
            let (taken, progress) =
                receiver.receive(&bytes[..count], &mut |bytes| snapshot.extend_from_slice(bytes))?;
            bytes = &bytes[taken..];
            if progress == Progress::Complete {
                assert_eq!(receiver.read_bytes(), snapshot.len() as u64);
                return Ok((snapshot, bytes.to_vec(), progress));
            }
        }
        Ok((snapshot, Vec::new(), Progress::Pending))
    }

    fn marked(snapshot: &[u8]) -> Vec<u8> {
        [b"\n\n$EOF:".as_slice(), &MARK, b"\r\n", snapshot, &MARK].concat()
    }

    proptest! {
        #[test]
        fn the_same_snapshot_is_received_however_it_is_cut(
            // Few values, so that beginnings of the mark turn up.
            parts in proptest::collection::vec((0..=MARK_BYTES, 0..200usize), 0..8),
            pieces in proptest::collection::vec(1..120usize, 1..20),
            rest in proptest::collection::vec(any::<u8>(), 0..5),
            is_marked in any::<bool>(),
        ) {
            let part = |(beginning, other): (usize, usize)| [&MARK[..beginning.min(MARK_BYTES - 1)], &vec![b'0'; other]].concat();
            let snapshot: Vec<u8> = parts.into_iter().flat_map(part).collect();
            let mut bytes = match is_marked {
                true => marked(&snapshot),
                false => [format!("\r\n${}\r\n", snapshot.len() + 1).as_bytes(), &snapshot, b"x"].concat(),
            };
            bytes.extend_from_slice(&rest);
            let mut pieces = pieces.into_iter().cycle();
            let received = receive(&bytes, || pieces.next().unwrap_or(1));
            let expected = if is_marked { snapshot } else { [snapshot, vec![b'x']].concat() };
            prop_assert_eq!(received, Ok((expected, rest, Progress::Complete)));
        }
    }

    #[test]
    fn a_payload_that_is_cut_is_not_complete() {
        let bytes = marked(b"snapshot");
        for length in 1..bytes.len() {
            let received = receive(&bytes[..length], || 7).expect("nothing is wrong with it");
            assert_eq!(received.2, Progress::Pending, "{length}");
        }
    }

    #[test]
    fn what_announces_nothing_is_refused() {
        let error = |bytes: &[u8]| receive(bytes, || 3).expect_err("it is refused");
        assert_eq!(error(b"\n-ERR no snapshot\r\n"), PayloadError::Aborted("ERR no snapshot".into()));
        for line in ["$-1\r\n", "$0\r\n", "$EOF:short\r\n", "+OK\r\n", "$99999999999999999999\r\n"] {
            let text = line.trim_end().to_string();
            assert_eq!(error(line.as_bytes()), PayloadError::BadAnnouncement(text));
        }
        let endless = vec![b'$'; 10 * LINE_MAX_BYTES];
        assert!(matches!(error(&endless), PayloadError::BadAnnouncement(_)));
    }
}
