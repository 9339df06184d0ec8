//! The states of a job and the messages between the two nodes, with their names in replies and on the wire.

/// The progress of a job.
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

    /// Whether the job is over.
    pub fn is_finished(self) -> bool {
        matches!(self, State::Success | State::Cancelled | State::Failed)
    }

    /// Whether the migration may still succeed.
    pub fn is_in_progress(self) -> bool {
        !self.is_finished() && self != State::CleaningUp
    }
}

/// The messages between the two nodes besides commands about keys: `CLUSTER SYNCSLOTS <word>`.
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

    /// The message of that name, ignoring case.
    pub fn from_word(word: &[u8]) -> Option<Message> {
        Message::ALL.into_iter().find(|message| word.eq_ignore_ascii_case(message.word().as_bytes()))
    }

    /// The message as a request.
    pub fn request(self) -> Vec<u8> {
        request(&[b"CLUSTER", b"SYNCSLOTS", self.word().as_bytes()])
    }
}

/// Encodes a request.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The bytes of a peer are not a valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRequest;

/// Maximum length of a line with a number.
const LINE_MAX_BYTES: usize = 32;
/// Maximum number of words in a request, and of bytes in a word: messages are short.
const WORDS_MAX: usize = 16;
const WORD_MAX_BYTES: usize = 64 * 1024;

/// Reads a number after a mark, up to the end of its line. Returns none if the line is incomplete.
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

/// The words of a request, and its length in bytes.
pub type Request<'a> = (Vec<&'a [u8]>, usize);

/// Reads one request from the bytes of a peer. Returns none if the request is incomplete.
///
/// Errors: the bytes are not a valid request.
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

/// The settings of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A job fails when the other node has been silent for longer than this (`repl-timeout`), in ms.
    pub timeout_ms: u64,
    /// Writes are paused once at most this many bytes wait to be sent (`slot-migration-max-failover-repl-bytes`); none:
    /// no limit.
    pub max_failover_bytes: Option<u64>,
    /// Maximum time for which writes are paused until the target requests the slots, in ms.
    pub pause_ms: u64,
}
