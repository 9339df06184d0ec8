//! LCS: what two strings have in common.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, READ};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::{Reply, number};
use crate::types::lcs::{self, Match};

/// The command on two strings.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("lcs", -3, Group::String, "7.0.0", lcs)
    .flags(&[Flag::ReadOnly])
    .keys(&[KeySpec::range(READ, 1, 2, 1)])
    .complexity("O(N*M) where N and M are the lengths of the strings.")
    .summary("Finds the longest common subsequence of the strings at two keys.")
    .arguments("key1#0 key2#0 [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]")];

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    length: bool,
    indexes: bool,
    with_match_length: bool,
    min_match_length: usize,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut index = 0;
        while index < args.len() {
            let is = |name: &str| args.at(index).eq_ignore_ascii_case(name.as_bytes());
            if is("IDX") {
                options.indexes = true;
            } else if is("LEN") {
                options.length = true;
            } else if is("WITHMATCHLEN") {
                options.with_match_length = true;
            } else if is("MINMATCHLEN") && index + 1 < args.len() {
                index += 1;
                let length = number::parse_i64(args.at(index)).ok_or(CommandError::NOT_AN_INTEGER)?;
                options.min_match_length = length.max(0) as usize;
            } else {
                return Err(CommandError::SYNTAX);
            }
            index += 1;
        }
        if options.indexes && options.length {
            return Err(CommandError::fixed("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

fn lcs(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let first = text_at(context, args.at(1))?;
    let second = text_at(context, args.at(2))?;
    let options = Options::parse(args.slice_from(3))?;
    check_size(context, first.len(), second.len())?;
    let reply = &mut *context.reply;
    if options.length {
        reply.integer(lcs::length(&first, &second) as i64);
        return Ok(());
    }
    let matches = lcs::matches(&first, &second);
    if options.indexes {
        reply_indexes(reply, &matches, options);
    } else {
        let parts = matches.iter().rev().map(|found| &first[found.first.clone()]);
        reply.bulk(&parts.collect::<Vec<_>>().concat());
    }
    Ok(())
}

/// A copy of the string at a key, empty if there is none. Errors: it is not a string.
fn text_at(context: &mut Context<'_>, key: &[u8]) -> Result<Vec<u8>, CommandError> {
    let (keyspace, database, _) = context.parts();
    keyspace.read_with(database, key, |record| match record {
        None => Ok(Vec::new()),
        Some(record) => match record.value().text() {
            Some(text) => Ok(text.with_bytes(<[u8]>::to_vec)),
            None => Err(CommandError::fixed("ERR The specified keys must contain string values")),
        },
    })
}

/// Refuses what Redis, whose table has four bytes a cell, refuses: clients should not come to depend on more.
fn check_size(context: &Context<'_>, first: usize, second: usize) -> CommandResult {
    const LENGTH_MAX: usize = u32::MAX as usize - 1;
    if first >= LENGTH_MAX || second >= LENGTH_MAX {
        return Err(CommandError::fixed("ERR String too long for LCS"));
    }
    let cells = (first as u64 + 1).saturating_mul(second as u64 + 1);
    if cells.saturating_mul(4) > context.state.config.proto_max_bulk_len {
        return Err(CommandError::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    Ok(())
}

fn reply_indexes(reply: &mut Reply, matches: &[Match], options: Options) {
    let length: usize = matches.iter().map(|found| found.first.len()).sum();
    let shown = |found: &&Match| found.first.len() >= options.min_match_length;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.iter().filter(shown).count());
    for found in matches.iter().filter(shown) {
        reply.array(if options.with_match_length { 3 } else { 2 });
        for range in [&found.first, &found.second] {
            reply.array(2);
            reply.integer(range.start as i64);
            reply.integer(range.end as i64 - 1);
        }
        if options.with_match_length {
            reply.integer(found.first.len() as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(length as i64);
}
