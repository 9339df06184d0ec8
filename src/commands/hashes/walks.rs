//! Some of the fields of a hash: HRANDFIELD and HSCAN.

use crate::engine::output_limits;
use smallvec::SmallVec;

use crate::collections::element::Element;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ};
use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Record;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::resp::{Protocol, Reply};
use crate::types::hash::{Field, Hash, HashRef, random};

use super::{read, reply_text};

/// Commands that give some of the fields.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("hrandfield", -2, Group::Hash, "6.2.0", hrandfield)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) with N the number of fields that are given.")
        .summary("Gives fields of a hash that are picked at random.")
        .arguments("key options=[count:integer [WITHVALUES]]"),
    CommandSpec::new("hscan", -3, Group::Hash, "2.8.0", hscan)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1) for a call, O(N) for a whole walk, with N the number of fields.")
        .summary("Walks through the fields of a hash, a few at each call.")
        .arguments("key cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [NOVALUES]@7.4.0"),
];

/// Random picks between two looks at the size of the reply.
const DRAWS: usize = 4096;

fn hrandfield(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let Some(count) = args.get(2) else {
        return random_one(context, args.at(1));
    };
    const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR value is out of range");
    let count = parse_i64(count).ok_or(CommandError::NOT_AN_INTEGER)?;
    if count == i64::MIN {
        return Err(CommandError::fixed(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let with_values = match args.get(3) {
        None => false,
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withvalues") => true,
        Some(_) => return Err(CommandError::SYNTAX),
    };
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(OUT_OF_RANGE);
    }
    if remove_all_due(context, args.at(1)) {
        context.reply.array(0);
        return Ok(());
    }
    // Beyond it the client is closed, whatever else it is to be told.
    let limit_bytes = output_limits::reply_limit_bytes(context.state, context.session);
    let rng = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let (database, reply) = (context.session.database, &mut *context.reply);
    let horizon_ms = keyspace.read_horizon_ms();
    let found = read(keyspace, database, args.at(1), |hash| {
        let alive = hash.live_len(horizon_ms);
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if alive == 0 || count == 0 {
            return reply.array(0);
        }
        let wanted = if count > 0 { wanted.min(alive) } else { wanted };
        begin(reply, wanted, with_values);
        if count > 0 {
            let visit = |field: Field<'_>| reply_field(reply, field, with_values);
            random::distinct(hash, wanted, horizon_ms, rng, visit);
        } else {
            let mut left = wanted;
            while left > 0 && reply.len() < limit_bytes {
                let some = left.min(DRAWS);
                left -= some;
                let visit = |field: Field<'_>| reply_field(reply, field, with_values);
                random::repeated(hash, some, horizon_ms, rng, visit);
            }
        }
    })?;
    if found.is_none() {
        reply.array(0);
    }
    Ok(())
}

/// Removes the fields whose time is over, but for the most of a great many, which the active cycle has to see to. Tells
/// whether the hash went with them.
fn remove_all_due(context: &mut Context<'_>, key: &[u8]) -> bool {
    /// Some hundred microseconds' worth.
    const FIELDS_MAX: usize = 512;
    let (keyspace, database, _) = context.parts();
    let horizon_ms = keyspace.removal_horizon_ms();
    let record = keyspace.peek(database, key);
    let next_ms = record.and_then(Record::next_field_expiry_ms);
    let is_due = next_ms.is_some_and(|time_ms| time_ms < horizon_ms);
    if !is_due {
        return false;
    }
    keyspace.expire_fields_of(database, key, FIELDS_MAX);
    let is_gone = !keyspace.exists(database, key);
    // It was found all the same.
    keyspace.stats.hits += u64::from(is_gone);
    is_gone
}

/// The head of a reply of so many fields: nested pairs in RESP3, a flat list before.
fn begin(reply: &mut Reply, count: usize, with_values: bool) {
    if with_values && reply.protocol() == Protocol::Resp2 {
        reply.array(count.saturating_mul(2));
    } else {
        reply.array(count);
    }
}

fn reply_field(reply: &mut Reply, field: Field<'_>, with_value: bool) {
    if with_value && reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
    reply_text(reply, field.name);
    if with_value {
        reply_text(reply, field.found.value);
    }
}

fn random_one(context: &mut Context<'_>, key: &[u8]) -> CommandResult {
    if remove_all_due(context, key) {
        context.reply.null();
        return Ok(());
    }
    let rng = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let (database, reply) = (context.session.database, &mut *context.reply);
    let horizon_ms = keyspace.read_horizon_ms();
    let found = read(keyspace, database, key, |hash| {
        let mut found = false;
        if hash.live_len(horizon_ms) > 0 {
            random::repeated(hash, 1, horizon_ms, rng, |field| {
                found = true;
                reply_text(reply, field.name);
            });
        }
        found
    })?;
    if found != Some(true) {
        reply.null();
    }
    Ok(())
}

fn hscan(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.at(2))?;
    let (keyspace, database, reply) = context.parts();
    let horizon_ms = keyspace.read_horizon_ms();
    let options = ScanOptions::parse_with_flag(args.slice_from(3), false, Some("novalues"));
    let shown = read(keyspace, database, args.at(1), |hash| {
        // Not before: of a key that is absent or of another type the options do not matter.
        let (options, names_only) = options?;
        let show = Show { options, names_only, horizon_ms };
        match hash {
            HashRef::Large(hash) => show.some(reply, hash, cursor),
            HashRef::Packed(_) => show.all(reply, hash),
        }
        Ok(())
    })?;
    shown.unwrap_or_else(|| {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        Ok(())
    })
}

/// Which fields a walk shows, and what of them.
struct Show<'a> {
    options: ScanOptions<'a>,
    names_only: bool,
    horizon_ms: i64,
}

impl Show<'_> {
    fn wants(&self, field: &Field<'_>) -> bool {
        !field.found.is_due(self.horizon_ms) && field.name.with_bytes(|name| self.options.matches(name))
    }

    fn reply(&self, reply: &mut Reply, field: Field<'_>) {
        reply_text(reply, field.name);
        if !self.names_only {
            reply_text(reply, field.found.value);
        }
    }

    fn per_field(&self) -> usize {
        if self.names_only { 1 } else { 2 }
    }

    /// A packed hash is shown whole at any cursor.
    fn all(&self, reply: &mut Reply, hash: HashRef<'_>) {
        reply.array(2);
        reply.bulk(b"0");
        let place = reply.begin_deferred();
        let mut count = 0;
        hash.for_each(|field| {
            if self.wants(&field) {
                count += self.per_field();
                self.reply(reply, field);
            }
        });
        reply.end_deferred_array(place, count);
    }

    fn some(&self, reply: &mut Reply, hash: &Hash, mut cursor: u64) {
        // References to the elements, not copies of them.
        let mut found: SmallVec<[Element; 32]> = SmallVec::new();
        let mut looked_at = 0;
        let mut steps_left = self.options.count.saturating_mul(10);
        loop {
            cursor = hash.scan(cursor, |element| {
                looked_at += 1;
                if self.wants(&Field::of(element)) {
                    found.push(element.clone());
                }
            });
            if cursor == 0 || steps_left == 0 || looked_at >= self.options.count {
                break;
            }
            steps_left -= 1;
        }
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
        reply.array(found.len() * self.per_field());
        found.iter().for_each(|element| self.reply(reply, Field::of(element)));
    }
}
