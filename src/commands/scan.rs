//! The names of keys: KEYS and SCAN. Where keys are hashed by slot, a pattern that fixes the hash tag, as `{user:7}*`
//! does, needs a walk through one slot only.

use smallvec::SmallVec;

use crate::collections::key_slot::key_slot;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{Keyspace, Record};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::text::glob::{Case, glob_match};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("keys", 2, Group::Generic, "1.0.0", keys)
        .flags(&[Flag::ReadOnly, Flag::TouchesArbitraryKeys])
        .categories(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .complexity("O(N) with N the number of keys in the database; O(1) for a pattern without wildcards.")
        .summary("Gives the names of all keys that match a pattern.")
        .arguments("pattern:pattern"),
    CommandSpec::new("scan", -2, Group::Generic, "2.8.0", scan)
        .flags(&[Flag::ReadOnly, Flag::TouchesArbitraryKeys])
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
        .complexity("O(1) for a call, O(N) for a whole walk, with N the number of keys in the database.")
        .summary("Walks through the names of the keys, a few at each call.")
        .history(&[("6.0.0", "`TYPE` restricts the walk.")])
        .arguments("cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type]@6.0.0"),
];

fn keys(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let pattern = args.at(1);
    let (keyspace, database, reply) = context.parts();
    let horizon_ms = keyspace.read_horizon_ms();
    let space = keyspace.database(database);
    if !pattern.iter().any(is_special) {
        let found = space.get(keyspace.hash(pattern), pattern);
        let found = found.filter(|record| !record.is_due(horizon_ms) && !keyspace.is_hidden(record.key()));
        reply.array(usize::from(found.is_some()));
        found.into_iter().for_each(|record| reply.bulk(record.key()));
        return Ok(());
    }
    let all = pattern == b"*";
    let place = reply.begin_deferred();
    let mut count = 0;
    // A version of the table is walked because that fetches a segment's records side by side.
    let mut version = match slot_of_matches(keyspace, pattern) {
        Some(slot) => space.pin_slot(slot),
        None => space.pin(),
    };
    while version.next_segment(|record| {
        let matches = all || glob_match(pattern, record.key(), Case::Sensitive);
        if matches && !record.is_due(horizon_ms) && !keyspace.is_hidden(record.key()) {
            reply.bulk(record.key());
            count += 1;
        }
    }) {}
    reply.end_deferred_array(place, count);
    Ok(())
}

/// Whether a byte of a pattern stands for something else than itself.
fn is_special(byte: &u8) -> bool {
    b"*?[\\".contains(byte)
}

/// The slot of all keys that match a pattern, if there is one and keys are hashed by slot.
pub(super) fn slot_of_matches(keyspace: &Keyspace, pattern: &[u8]) -> Option<u16> {
    if !keyspace.hasher().is_by_slot() {
        return None;
    }
    let Some(literal) = pattern.iter().position(is_special) else {
        return Some(key_slot(pattern));
    };
    // The first brace that opens, and the first one that closes it, are those of every key that matches.
    let open = memchr::memchr(b'{', &pattern[..literal])?;
    let inner = &pattern[open + 1..literal];
    let length = memchr::memchr(b'}', inner).filter(|length| *length > 0)?;
    Some(key_slot(&inner[..length]))
}

/// The options that SCAN and its kin share.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions<'a> {
    /// How many elements to look at, about.
    pub count: usize,
    /// `None` for all: a lone `*` as well.
    pub pattern: Option<&'a [u8]>,
    pub type_name: Option<&'a [u8]>,
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        ScanOptions { count: 10, pattern: None, type_name: None }
    }
}

impl<'a> ScanOptions<'a> {
    /// Reads the options; `TYPE` only where it applies.
    pub fn parse(options: Args<'a>, takes_type: bool) -> Result<ScanOptions<'a>, CommandError> {
        ScanOptions::parse_with_flag(options, takes_type, None).map(|(parsed, _)| parsed)
    }

    /// The same where an option without a value may be given; tells whether it was.
    pub fn parse_with_flag(
        options: Args<'a>,
        takes_type: bool,
        flag: Option<&str>,
    ) -> Result<(ScanOptions<'a>, bool), CommandError> {
        let mut flagged = false;
        let mut parsed = ScanOptions::default();
        let mut words = options.iter();
        while let Some(word) = words.next() {
            if flag.is_some_and(|flag| word.eq_ignore_ascii_case(flag.as_bytes())) {
                flagged = true;
                continue;
            }
            let Some(value) = words.next() else {
                return Err(CommandError::SYNTAX);
            };
            if !parsed.take(word, value, takes_type)? {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok((parsed, flagged))
    }

    /// Takes an option with its value; tells whether it is one that SCAN and its kin share.
    ///
    /// Errors: its value is none.
    pub fn take(&mut self, word: &[u8], value: &'a [u8], takes_type: bool) -> Result<bool, CommandError> {
        if word.eq_ignore_ascii_case(b"count") {
            let count = parse_i64(value).ok_or(CommandError::NOT_AN_INTEGER)?;
            let count = usize::try_from(count).ok().filter(|count| *count > 0);
            self.count = count.ok_or(CommandError::SYNTAX)?;
        } else if word.eq_ignore_ascii_case(b"match") {
            self.pattern = Some(value).filter(|pattern| *pattern != b"*");
        } else if takes_type && word.eq_ignore_ascii_case(b"type") {
            self.type_name = Some(value);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether an element of that name is wanted.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_match(pattern, name, Case::Sensitive))
    }
}

/// Reads a cursor as C's `strtoul` does, which is what clients got used to: a sign is taken (a negative number wraps),
/// nothing at all is zero, and what follows a zero byte is not seen.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::fixed("ERR invalid cursor");
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(INVALID);
    }
    let magnitude =
        digits.iter().try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    let magnitude = magnitude.ok_or(INVALID)?;
    Ok(if negative { magnitude.wrapping_neg() } else { magnitude })
}

fn scan(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut cursor = parse_cursor(args.at(1))?;
    let options = ScanOptions::parse(args.slice_from(2), true)?;
    let (keyspace, database, reply) = context.parts();
    let slot = options.pattern.and_then(|pattern| slot_of_matches(keyspace, pattern));
    // References to the records, not copies of their names.
    let mut found: SmallVec<[Record; 32]> = SmallVec::new();
    let mut looked_at = 0;
    let mut steps_left = options.count.saturating_mul(10);
    loop {
        let visit = |record: &Record| {
            looked_at += 1;
            if options.matches(record.key()) && !keyspace.is_hidden(record.key()) {
                found.push(record.clone());
            }
        };
        cursor = match slot {
            Some(slot) => keyspace.scan_slot(database, slot, cursor, visit),
            None => keyspace.scan(database, cursor, visit),
        };
        if cursor == 0 || steps_left == 0 || looked_at >= options.count {
            break;
        }
        steps_left -= 1;
    }
    found.retain(|record| is_wanted(keyspace, database, record, options.type_name));
    reply.array(2);
    let mut digits = itoa::Buffer::new();
    reply.bulk(digits.format(cursor).as_bytes());
    reply.array(found.len());
    found.iter().for_each(|record| reply.bulk(record.key()));
    Ok(())
}

/// Whether a key that a walk came upon is alive (it is removed if not) and of the type asked for.
pub(super) fn is_wanted(keyspace: &mut Keyspace, database: usize, record: &Record, type_name: Option<&[u8]>) -> bool {
    let Some(type_name) = type_name else {
        return !record.is_due(keyspace.read_horizon_ms()) || keyspace.exists(database, record.key());
    };
    // Redis 7.2 looks the key up for this, which counts as a hit or a miss.
    let alive = keyspace.inspect(database, record.key()).is_some();
    alive && record.value().type_name().as_bytes().eq_ignore_ascii_case(type_name)
}

#[cfg(test)]
mod tests {
    use super::parse_cursor;

    #[test]
    fn cursors_are_read_as_clients_are_used_to() {
        let read = |text: &str| parse_cursor(text.as_bytes()).ok();
        assert_eq!(read("0"), Some(0));
        assert_eq!(read(""), Some(0));
        assert_eq!(read("0\0junk"), Some(0));
        assert_eq!(read("+7"), Some(7));
        assert_eq!(read("-1"), Some(u64::MAX));
        assert_eq!(read("0018"), Some(18));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        for bad in ["18446744073709551616", " 0", "0 ", "1x", "x", "-", "+", "--1", "0x10"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
