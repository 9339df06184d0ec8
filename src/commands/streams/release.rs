//! Giving entries back that were given to a consumer: XNACK.

use std::ops::Range;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::number;
use crate::types::stream::{DELIVERIES_MAX, Entries, Group as ConsumerGroup, Id, Stream};

use super::{Ids, edit, no_group, parse_id, parse_integer, quoted, read};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("xnack", -7, Group::Stream, "8.8.0", release)
    .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
    .keys(&[KeySpec::one(UPDATE, 1)])
    .complexity("O(log N) for each ID, with N entries pending in the group.")
    .summary("Gives entries that are pending back to their group, for others to claim at once.")
    .arguments("key group mode=(SILENT|FAIL|FATAL) IDS {numids:integer id...} [RETRYCOUNT count:integer] [FORCE]")];

/// Why entries are given back, and so how often they count as given out.
#[derive(Clone, Copy)]
enum Mode {
    /// As if it had never got them.
    Silent,
    Fail,
    /// No consumer should try again.
    Fatal,
}

impl Mode {
    fn parse(text: &[u8]) -> Result<Mode, CommandError> {
        let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        if is("SILENT") {
            Ok(Mode::Silent)
        } else if is("FAIL") {
            Ok(Mode::Fail)
        } else if is("FATAL") {
            Ok(Mode::Fatal)
        } else {
            Err(CommandError::fixed("ERR mode must be SILENT, FAIL, or FATAL"))
        }
    }

    fn count(self, deliveries: u64) -> u64 {
        match self {
            Mode::Silent => deliveries.saturating_sub(1),
            Mode::Fail => deliveries,
            Mode::Fatal => DELIVERIES_MAX,
        }
    }
}

/// How entries are given back, and which.
struct Terms {
    mode: Mode,
    /// Instead of what the mode makes of it.
    retry_count: Option<u64>,
    /// Whether an entry that is not pending becomes so.
    force: bool,
    ids: Ids,
}

impl Terms {
    /// Reads the arguments behind the group. Errors: all that can be wrong with them.
    fn parse(args: Args<'_>) -> Result<Terms, CommandError> {
        let mode = Mode::parse(args.at(3))?;
        let (mut retry_count, mut force, mut ids) = (None, false, None);
        let mut at = 4;
        while let Some(option) = args.get(at) {
            let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
            at += 1;
            match args.get(at) {
                Some(count) if is("IDS") => {
                    let range = counted_ids(args, count, at + 1)?;
                    at = range.end;
                    ids = Some(range);
                }
                _ if is("FORCE") => force = true,
                Some(count) if is("RETRYCOUNT") => {
                    let count = u64::try_from(parse_integer(count)?);
                    retry_count =
                        Some(count.map_err(|_| CommandError::fixed("ERR Invalid RETRYCOUNT value, must be >= 0"))?);
                    at += 1;
                }
                _ => {
                    let option = quoted(option);
                    return Err(CommandError::new(format!("ERR Unrecognized XNACK option '{option}'")));
                }
            }
        }
        let ids = ids.ok_or(CommandError::fixed("ERR syntax error, expected IDS keyword"))?;
        let ids: Result<Ids, CommandError> = ids.map(|at| parse_id(args.at(at))).collect();
        Ok(Terms { mode, retry_count, force, ids: ids? })
    }

    /// Gives one entry back; tells whether it was, or now is, pending.
    fn release(&self, entries: &Entries, group: &mut ConsumerGroup, id: Id) -> bool {
        let deliveries = match group.pending_entry(id) {
            Some(pending) => pending.deliveries,
            None if self.force && entries.contains(id) => 0,
            None => return false,
        };
        let deliveries = match self.retry_count {
            Some(count) => count,
            None => self.mode.count(deliveries),
        };
        group.release(id, deliveries);
        true
    }
}

/// Where so many IDs are, the first of them here.
fn counted_ids(args: Args<'_>, count: &[u8], first: usize) -> Result<Range<usize>, CommandError> {
    let count = number::parse_i64(count).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
    let count = count.ok_or(CommandError::fixed("ERR numids must be a positive integer"))? as usize;
    if count > args.len() - first {
        return Err(CommandError::fixed("ERR number of IDs doesn't match numids"));
    }
    Ok(first..first + count)
}

fn release(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (key, group) = (args.at(1), args.at(2));
    let stream = read(keyspace, database, key)?;
    if stream.is_none_or(|stream| stream.groups.get(group).is_none()) {
        return Err(no_group(key, group));
    }
    let terms = Terms::parse(args)?;
    let released = edit(keyspace, database, key, |stream| {
        let Stream { entries, groups, .. } = stream;
        groups.edit(group, |group| {
            let ids = terms.ids.iter();
            ids.filter(|id| terms.release(entries, group, **id)).count()
        })
    })?;
    let released = released.flatten().unwrap_or(0);
    if released > 0 {
        keyspace.count_beside(database, key, released as u64);
        // For clients that wait for entries to claim.
        keyspace.changes.touched(database, key);
    }
    reply.integer(released as i64);
    Ok(())
}
