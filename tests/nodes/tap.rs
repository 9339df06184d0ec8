//! What passes over a link between a replica and its primary, read from outside: what was asked for, and which byte of
//! which history is which.

/// A place in a history, as the other side has told it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub id: String,
    pub offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", &self.id[..self.id.len().min(6)], self.offset)
    }
}

/// What a tap has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The replica asks to go on with this byte of this history, or for everything; with `takes_over` its primary is to
    /// take its place.
    Asked { id: String, wanted: i64, takes_over: bool },
    /// The replica asks without saying where it is, though all primaries here know PSYNC.
    AskedInOldWay,
    /// The replica acknowledges so many bytes, and that so many are on its disk.
    Acknowledged { applied: u64, on_disk: Option<u64> },
    /// All data come, and the stream goes on after this place.
    Full(Place),
    /// The last byte of the data has come.
    FullComplete,
    /// The stream goes on after this place.
    Continues(Place),
    /// These bytes of the stream stand behind this place.
    Stream(Place, Vec<u8>),
    /// Any other line of the primary.
    Line(String),
}

#[derive(Debug)]
enum Phase {
    Lines,
    /// The data's form is not known yet.
    Announcement,
    Counted(usize),
    Marked {
        mark: Vec<u8>,
        tail: Vec<u8>,
    },
    Stream,
}

/// One link's tap.
#[derive(Debug)]
pub struct Tap {
    phase: Phase,
    requests: Vec<u8>,
    replies: Vec<u8>,
    asked: Option<(String, i64)>,
    /// The place behind the last byte of the stream that was sent; that behind which the data are until then.
    pub sent: Option<Place>,
    /// Bytes of the primary in all.
    pub bytes: u64,
    /// So many of them were there when the data were.
    pub data_end: u64,
}

impl Default for Tap {
    fn default() -> Tap {
        let (requests, replies) = (Vec::new(), Vec::new());
        Tap { phase: Phase::Lines, requests, replies, asked: None, sent: None, bytes: 0, data_end: 0 }
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Takes the first whole request out of what has come.
pub fn take_request(bytes: &mut Vec<u8>) -> Option<Vec<String>> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    bytes.drain(..blank);
    if bytes.first().is_some_and(|first| *first != b'*') {
        let end = line_end(bytes)?;
        let line: Vec<u8> = bytes.drain(..=end).collect();
        return Some(String::from_utf8_lossy(&line).split_whitespace().map(str::to_string).collect());
    }
    let mut at = 0;
    let mut number = |sign: u8| -> Option<usize> {
        let end = at + line_end(&bytes[at..])?;
        assert_eq!(bytes[at], sign, "a request: {}", String::from_utf8_lossy(bytes));
        let text = String::from_utf8_lossy(&bytes[at + 1..end]).trim().parse().expect("a number");
        at = end + 1;
        Some(text)
    };
    let count = number(b'*')?;
    let mut words = Vec::new();
    let mut rest = at;
    for _ in 0..count {
        let end = rest + line_end(bytes.get(rest..)?)?;
        let length: usize = String::from_utf8_lossy(&bytes[rest + 1..end]).trim().parse().expect("a length");
        let word = bytes.get(end + 1..end + 1 + length)?;
        words.push(String::from_utf8_lossy(word).into_owned());
        rest = end + 1 + length + 2;
    }
    if rest > bytes.len() {
        return None;
    }
    bytes.drain(..rest);
    Some(words)
}

impl Tap {
    /// Whether the stream flows.
    pub fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Stream)
    }

    /// Bytes of the replica.
    pub fn note_requests(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) {
        self.requests.extend_from_slice(bytes);
        while let Some(words) = take_request(&mut self.requests) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["PSYNC", id, wanted, rest @ ..] => {
                    let wanted = wanted.parse().expect("an offset");
                    self.asked = Some((id.to_string(), wanted));
                    seen.push(Seen::Asked { id: id.to_string(), wanted, takes_over: !rest.is_empty() });
                }
                ["SYNC"] => seen.push(Seen::AskedInOldWay),
                ["REPLCONF", "ACK", offset, rest @ ..] => {
                    let applied = offset.parse().expect("an offset");
                    let on_disk = rest.get(1).map(|offset| offset.parse().expect("an offset"));
                    seen.push(Seen::Acknowledged { applied, on_disk });
                }
                _ => {}
            }
        }
    }

    /// Bytes of the primary.
    pub fn note_replies(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) {
        self.bytes += bytes.len() as u64;
        self.replies.extend_from_slice(bytes);
        loop {
            let before = self.replies.len();
            self.advance(seen);
            if self.replies.is_empty() || self.replies.len() == before {
                return;
            }
        }
    }

    fn advance(&mut self, seen: &mut Vec<Seen>) {
        match &mut self.phase {
            Phase::Lines | Phase::Announcement => {
                let Some(end) = line_end(&self.replies) else { return };
                let line: Vec<u8> = self.replies.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_string();
                self.note_line(&line, seen);
            }
            Phase::Counted(left) => {
                let count = self.replies.len().min(*left);
                self.replies.drain(..count);
                *left -= count;
                if *left == 0 {
                    self.phase = Phase::Stream;
                    self.data_end = self.bytes - self.replies.len() as u64;
                    seen.push(Seen::FullComplete);
                }
            }
            Phase::Marked { mark, tail } => {
                tail.append(&mut self.replies);
                let end = tail.windows(mark.len()).position(|window| window == mark.as_slice());
                if let Some(at) = end {
                    self.replies = tail.split_off(at + mark.len());
                    self.phase = Phase::Stream;
                    self.data_end = self.bytes - self.replies.len() as u64;
                    seen.push(Seen::FullComplete);
                } else {
                    let kept = tail.len().min(mark.len());
                    tail.drain(..tail.len() - kept);
                }
            }
            Phase::Stream => {
                let bytes = std::mem::take(&mut self.replies);
                let place = self.sent.as_mut().expect("the stream has a place");
                seen.push(Seen::Stream(place.clone(), bytes.clone()));
                place.offset += bytes.len() as u64;
            }
        }
    }

    fn note_line(&mut self, line: &str, seen: &mut Vec<Seen>) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["+FULLRESYNC", id, offset] => {
                let place = Place { id: id.to_string(), offset: offset.parse().expect("an offset") };
                self.sent = Some(place.clone());
                self.phase = Phase::Announcement;
                seen.push(Seen::Full(place));
            }
            ["+CONTINUE", id] => {
                let (_, wanted) = self.asked.clone().expect("it was asked for");
                let place = Place { id: id.to_string(), offset: wanted as u64 - 1 };
                self.sent = Some(place.clone());
                self.phase = Phase::Stream;
                seen.push(Seen::Continues(place));
            }
            [form] if form.starts_with("$EOF:") => {
                self.phase = Phase::Marked { mark: form.as_bytes()[5..].to_vec(), tail: Vec::new() };
            }
            [form] if form.starts_with('$') => {
                self.phase = Phase::Counted(form[1..].parse().expect("a length"));
            }
            _ if line.is_empty() => {}
            _ => seen.push(Seen::Line(line.to_string())),
        }
    }
}
