//! The subcommands of DEBUG that look at keys and tables, or make keys.

use bytes::Bytes;

use crate::base::tape::{self, Kind};
use crate::collections::table::Entry;
use crate::command::error::{CommandError, CommandResult};
use crate::commands::object::{shares_integers, shown_references};
use crate::engine::context::Context;
use crate::keyspace::{Expiry, NewValue};
use crate::resp::Args;
use crate::resp::number;
use crate::storage::values::saved_bytes;
use crate::text::glob::{Case, glob_match};

use super::lists;

/// Rounds of the random test of patterns.
const MATCH_ROUNDS: usize = 10_000;

pub(super) fn object(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let shares = shares_integers(context.state);
    let compresses = context.state.config.rdbcompression;
    let (keyspace, database, reply) = context.parts();
    let hash = keyspace.hash(args.at(2));
    // What has expired is shown while it is there.
    let Some(record) = keyspace.database(database).get(hash, args.at(2)) else {
        return Err(CommandError::NO_SUCH_KEY);
    };
    // Where it lies is not the same in a replay.
    let address = tape::pass(Kind::Machine, || Entry::address(record).addr());
    reply.simple(format!(
        "Value at:{address:#x} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        shown_references(record.value(), shares),
        record.value().encoding_name(),
        saved_bytes(record, compresses),
        keyspace.access.shown(record),
        keyspace.access.idle_seconds(record),
        lists::details(record)
    ));
    Ok(())
}

pub(super) fn populate(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let positive = |text: &[u8]| {
        let number = number::parse_i64(text).and_then(|number| usize::try_from(number).ok());
        number.ok_or(CommandError::fixed("ERR value is out of range, must be positive"))
    };
    let count = positive(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map(positive).transpose()?.unwrap_or(0);
    if size as u64 > context.state.config.proto_max_bulk_len {
        return Err(CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    let (keyspace, database, reply) = context.parts();
    for number in 0..count {
        let mut key = prefix.to_vec();
        key.extend_from_slice(format!(":{number}").as_bytes());
        if keyspace.exists(database, &key) {
            continue;
        }
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        let value = NewValue::plain_text(&value, || Bytes::copy_from_slice(&value));
        keyspace.set(database, &key, value, Expiry::Clear);
    }
    reply.ok();
    Ok(())
}

/// Matches random patterns with random strings: it must come to an end.
pub(super) fn match_at_random(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let random = &mut context.state.random;
    for _ in 0..MATCH_ROUNDS {
        let pattern: Vec<u8> = (0..random.usize(..32)).map(|_| random.u8(..128)).collect();
        let text: Vec<u8> = (0..random.usize(..32)).map(|_| random.u8(..128)).collect();
        glob_match(&pattern, &text, Case::Sensitive);
    }
    context.reply.simple("Apparently Redis did not crash: test passed");
    Ok(())
}
