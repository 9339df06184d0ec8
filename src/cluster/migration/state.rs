//! The states of a job and the messages between the two nodes, under the names that administrators and peers know.

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    // Of the source.
    Connecting,
    ReadingAuthResponse,
    ReadingEstablishResponse,
    WaitingToSnapshot,
    Snapshotting,
    Streaming,
    WaitingToPause,
    Paused,
    // Of both.
    FailoverGranted,
    // Of the target.
    WaitingForAck,
    ReceivingSnapshot,
    WaitingForPaused,
    FailoverRequested,
    CleaningUp,
    // Of a replica of the target.
    OccurringOnPrimary,
    // The end, of both.
    Success,
    Cancelled,
    Failed,
}

impl State {
    /// Its name in CLUSTER GETSLOTMIGRATIONS.
    pub fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::ReadingAuthResponse => "reading-auth-response",
            State::ReadingEstablishResponse => "reading-establish-response",
            State::WaitingToSnapshot => "waiting-to-snapshot",
            State::Snapshotting => "snapshotting",
            State::Streaming => "replicating",
            State::WaitingToPause => "waiting-to-pause",
            State::Paused => "failover-paused",
            State::FailoverGranted => "failover-granted",
            State::WaitingForAck => "waiting-for-ack",
            State::ReceivingSnapshot => "receiving-snapshot",
            State::WaitingForPaused => "waiting-for-paused",
            State::FailoverRequested => "failover-requested",
            State::CleaningUp => "cleaning-up",
            State::OccurringOnPrimary => "occurring-on-primary",
            State::Success => "success",
            State::Cancelled => "cancelled",
            State::Failed => "failed",
        }
    }

    /// Whether nothing is left to be done.
    pub fn is_finished(self) -> bool {
        matches!(self, State::Success | State::Cancelled | State::Failed)
    }

    /// Whether the migration may still succeed.
    pub fn is_in_progress(self) -> bool {
        !self.is_finished() && self != State::CleaningUp
    }
}

/// What the two nodes say to each other besides commands about keys: `CLUSTER SYNCSLOTS <word>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    Ack,
    SnapshotEof,
    RequestPause,
    Paused,
    RequestFailover,
    FailoverGranted,
}

impl Message {
    const ALL: [Message; 6] = [
        Message::Ack,
        Message::SnapshotEof,
        Message::RequestPause,
        Message::Paused,
        Message::RequestFailover,
        Message::FailoverGranted,
    ];

    /// The subcommand of CLUSTER SYNCSLOTS.
    pub fn word(self) -> &'static str {
        match self {
            Message::Ack => "ACK",
            Message::SnapshotEof => "SNAPSHOT-EOF",
            Message::RequestPause => "REQUEST-PAUSE",
            Message::Paused => "PAUSED",
            Message::RequestFailover => "REQUEST-FAILOVER",
            Message::FailoverGranted => "FAILOVER-GRANTED",
        }
    }

    /// The message of that name, whatever its case.
    pub fn from_word(word: &[u8]) -> Option<Message> {
        Message::ALL.into_iter().find(|message| word.eq_ignore_ascii_case(message.word().as_bytes()))
    }

    /// The message as a request.
    pub fn request(self) -> Vec<u8> {
        request(&[b"CLUSTER", b"SYNCSLOTS", self.word().as_bytes()])
    }
}

/// A request as bytes.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// What a peer has sent is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRequest;

/// A line that announces a number may be so long.
const LINE_MAX_BYTES: usize = 32;
/// Words of a request, and bytes of a word, at most: messages are short.
const WORDS_MAX: usize = 16;
const WORD_MAX_BYTES: usize = 64 * 1024;

/// Reads a number behind a mark, up to the end of its line. None: the line is not complete.
fn number(input: &[u8], mark: u8) -> Result<Option<(usize, &[u8])>, NoRequest> {
    match input.first() {
        None => return Ok(None),
        Some(first) if *first != mark => return Err(NoRequest),
        Some(_) => {}
    }
    let Some(end) = input.iter().take(LINE_MAX_BYTES).position(|byte| *byte == b'\n') else {
        return if input.len() < LINE_MAX_BYTES { Ok(None) } else { Err(NoRequest) };
    };
    let digits = input[1..end].strip_suffix(b"\r").ok_or(NoRequest)?;
    let digits = std::str::from_utf8(digits).map_err(|_| NoRequest)?;
    Ok(Some((digits.parse().map_err(|_| NoRequest)?, &input[end + 1..])))
}

/// A request, and how many bytes it takes.
pub type Request<'a> = (Vec<&'a [u8]>, usize);

/// Reads one request from what a peer has sent. None: it is not complete.
///
/// Errors: it is none.
pub fn read_request(input: &[u8]) -> Result<Option<Request<'_>>, NoRequest> {
    let Some((count, mut rest)) = number(input, b'*')? else { return Ok(None) };
    if count == 0 || count > WORDS_MAX {
        return Err(NoRequest);
    }
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((length, behind)) = number(rest, b'$')? else { return Ok(None) };
        if length > WORD_MAX_BYTES {
            return Err(NoRequest);
        }
        let Some((word, behind)) = behind.split_at_checked(length) else { return Ok(None) };
        match behind {
            [b'\r', b'\n', ..] => rest = &behind[2..],
            [] | [b'\r'] => return Ok(None),
            _ => return Err(NoRequest),
        }
        words.push(word);
    }
    Ok(Some((words, input.len() - rest.len())))
}

/// What the settings say to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A job fails after so long a silence of the other node (`repl-timeout`), in ms.
    pub timeout_ms: u64,
    /// Writes are held back when no more than so many bytes wait to be sent
    /// (`slot-migration-max-failover-repl-bytes`); none: however many.
    pub max_failover_bytes: Option<u64>,
    /// How long writes are held back at most until the target asks for the slots, in ms.
    pub pause_ms: u64,
}
