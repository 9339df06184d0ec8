//! The slow log: the last commands that took longer than a threshold.

use std::collections::VecDeque;

use crate::resp::Args;

/// Arguments kept of a command; what is beyond is told by their number.
const ARGUMENTS_MAX: usize = 32;
/// Bytes kept of an argument.
const ARGUMENT_BYTES_MAX: usize = 128;
/// Bytes kept of a client's name.
const NAME_BYTES_MAX: usize = 1024;

/// One slow command.
pub struct SlowlogEntry {
    pub id: u64,
    /// When it ran, in seconds since the epoch.
    pub time_s: i64,
    pub duration_us: u64,
    /// How long it waited before, since the turn of the loop began.
    pub waited_us: u64,
    pub arguments: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
}

/// A command that was slow, as it is handed to the log.
pub struct SlowCommand<'a> {
    pub args: Args<'a>,
    pub duration_us: u64,
    pub waited_us: u64,
    /// Where its client comes from, and the client's name.
    pub peer: &'a str,
    pub name: &'a [u8],
    pub now_ms: i64,
}

/// The entries, newest first.
#[derive(Default)]
pub struct Slowlog {
    entries: VecDeque<SlowlogEntry>,
    next_id: u64,
    pub capacity: usize,
}

impl Slowlog {
    /// Adds a command; the oldest entries beyond the capacity go.
    pub fn push(&mut self, slow: &SlowCommand<'_>, is_secret: impl Fn(usize) -> bool) {
        let entry = SlowlogEntry {
            id: self.next_id,
            time_s: slow.now_ms / 1000,
            duration_us: slow.duration_us,
            waited_us: slow.waited_us,
            arguments: kept_arguments(slow.args, is_secret),
            peer: slow.peer.to_string(),
            name: slow.name[..slow.name.len().min(NAME_BYTES_MAX)].to_vec(),
        };
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(self.capacity);
    }

    /// The newest entries, at most so many.
    pub fn newest(&self, count: usize) -> impl ExactSizeIterator<Item = &SlowlogEntry> {
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
