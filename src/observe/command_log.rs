//! The command logs: the last commands that took long, had large requests or got large replies.

use std::collections::VecDeque;

use crate::resp::Args;

/// Arguments kept of a command; what is beyond is told by their number.
const ARGUMENTS_MAX: usize = 32;
/// Bytes kept of an argument.
const ARGUMENT_BYTES_MAX: usize = 128;
/// Bytes kept of a client's name.
const NAME_BYTES_MAX: usize = 1024;

/// One logged command.
pub struct LogEntry {
    pub id: u64,
    /// When it ran, in seconds since the epoch.
    pub time_s: i64,
    /// Microseconds that it took, or bytes of its request or its reply.
    pub amount: u64,
    /// How long it waited before, since the turn of the loop began; 0 where sizes are logged.
    pub waited_us: u64,
    pub arguments: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
}

/// A command as it is handed to a log.
pub struct LoggedCommand<'a> {
    pub args: Args<'a>,
    pub amount: u64,
    pub waited_us: u64,
    /// Where its client comes from, and the client's name.
    pub peer: &'a str,
    pub name: &'a [u8],
    pub now_ms: i64,
}

/// Which of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    Slow,
    LargeRequest,
    LargeReply,
}

impl LogKind {
    /// The log that a word means, whatever its case.
    pub fn from_name(word: &[u8]) -> Option<LogKind> {
        match word.to_ascii_lowercase().as_slice() {
            b"slow" => Some(LogKind::Slow),
            b"large-request" => Some(LogKind::LargeRequest),
            b"large-reply" => Some(LogKind::LargeReply),
            _ => None,
        }
    }
}

/// The three logs.
pub struct CommandLogs {
    pub slow: CommandLog,
    pub large_requests: CommandLog,
    pub large_replies: CommandLog,
    /// Size from which on a request is logged; `u64::MAX`: none is.
    pub request_bytes_min: u64,
    /// Size from which on a reply is logged; `u64::MAX`: none is.
    pub reply_bytes_min: u64,
}

impl Default for CommandLogs {
    fn default() -> CommandLogs {
        CommandLogs {
            slow: CommandLog::default(),
            large_requests: CommandLog::default(),
            large_replies: CommandLog::default(),
            request_bytes_min: u64::MAX,
            reply_bytes_min: u64::MAX,
        }
    }
}

impl CommandLogs {
    /// One of the logs.
    pub fn log(&self, kind: LogKind) -> &CommandLog {
        match kind {
            LogKind::Slow => &self.slow,
            LogKind::LargeRequest => &self.large_requests,
            LogKind::LargeReply => &self.large_replies,
        }
    }

    /// One of the logs, to be changed.
    pub fn log_mut(&mut self, kind: LogKind) -> &mut CommandLog {
        match kind {
            LogKind::Slow => &mut self.slow,
            LogKind::LargeRequest => &mut self.large_requests,
            LogKind::LargeReply => &mut self.large_replies,
        }
    }
}

/// The entries of one log, newest first.
#[derive(Default)]
pub struct CommandLog {
    entries: VecDeque<LogEntry>,
    next_id: u64,
    pub capacity: usize,
}

impl CommandLog {
    /// Adds a command; the oldest entries beyond the capacity go.
    pub fn push(&mut self, command: &LoggedCommand<'_>, is_secret: impl Fn(usize) -> bool) {
        let entry = LogEntry {
            id: self.next_id,
            time_s: command.now_ms / 1000,
            amount: command.amount,
            waited_us: command.waited_us,
            arguments: kept_arguments(command.args, is_secret),
            peer: command.peer.to_string(),
            name: command.name[..command.name.len().min(NAME_BYTES_MAX)].to_vec(),
        };
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(self.capacity);
    }

    /// The newest entries, at most so many.
    pub fn newest(&self, count: usize) -> impl ExactSizeIterator<Item = &LogEntry> {
        self.entries.iter().take(count)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all entries; the numbering goes on.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

fn kept_arguments(args: Args<'_>, is_secret: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGUMENTS_MAX { ARGUMENTS_MAX - 1 } else { args.len() };
    let mut arguments: Vec<Vec<u8>> = args
        .iter()
        .take(kept)
        .enumerate()
        .map(|(index, arg)| if is_secret(index) { b"(redacted)".to_vec() } else { shortened(arg) })
        .collect();
    if kept < args.len() {
        let left = args.len() - kept;
        arguments.push(format!("... ({left} more arguments)").into_bytes());
    }
    arguments
}

fn shortened(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARGUMENT_BYTES_MAX {
        return arg.to_vec();
    }
    let mut text = arg[..ARGUMENT_BYTES_MAX].to_vec();
    let left = arg.len() - ARGUMENT_BYTES_MAX;
    text.extend_from_slice(format!("... ({left} more bytes)").as_bytes());
    text
}
