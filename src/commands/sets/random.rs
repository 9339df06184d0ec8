//! Some of the members of a set: SPOP, SRANDMEMBER and SSCAN.

use crate::engine::output_limits;
use smallvec::SmallVec;

use crate::collections::element::Element;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ, READ_AND_DELETE};
use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Propagation};
use crate::resp::Args;
use crate::resp::Reply;
use crate::resp::number::parse_i64;
use crate::types::set::{Set, SetRef, Text, random};

use super::{change, limits, read, reply_member};

/// Random picks between two looks at the size of the reply.
const DRAWS: usize = 4096;

/// Commands that give some of the members.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("spop", -2, Group::Set, "1.0.0", spop)
        .flags(&[Flag::Write, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .complexity("O(1), with a count O(N) with N the count.")
        .summary("Takes members that are picked at random out of a set, and gives them.")
        .history(&[("3.2.0", "Takes a `count`.")])
        .arguments("key [count:integer]@3.2.0"),
    CommandSpec::new("srandmember", -2, Group::Set, "1.0.0", srandmember)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1), with a count O(N) with N the count without its sign.")
        .summary("Gives members of a set that are picked at random.")
        .history(&[("2.6.0", "Takes a `count`.")])
        .arguments("key [count:integer]@2.6.0"),
    CommandSpec::new("sscan", -3, Group::Set, "2.8.0", sscan)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1) for a call, O(N) for a whole walk, with N the number of members.")
        .summary("Walks through the members of a set, a few at each call.")
        .arguments("key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]"),
];

fn spop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    match args.len() {
        2 => pop_one(context, args.at(1)),
        3 => pop_many(context, args.at(1), args.at(2)),
        _ => Err(CommandError::SYNTAX),
    }
}

fn pop_one(context: &mut Context<'_>, key: &[u8]) -> CommandResult {
    let limits = limits(&context.state.config);
    let (database, reply) = (context.session.database, &mut *context.reply);
    let random = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let propagates = keyspace.changes.propagation.is_on();
    let mut popped = Vec::new();
    let changed = change(keyspace, database, key, limits, |set| {
        set.pop(random, |member| {
            reply_member(reply, member.text());
            if propagates {
                popped = member.text().with_bytes(<[u8]>::to_vec);
            }
        });
    })?;
    let Some(changed) = changed else {
        reply.null();
        return Ok(());
    };
    keyspace.modified(database, key);
    let propagation = &mut keyspace.changes.propagation;
    propagation.replace(&[b"SREM", key, &popped]);
    keyspace.changes.notify(EventClass::Set, "spop", database, key);
    if changed.is_empty {
        keyspace.remove_empty(database, key);
    }
    Ok(())
}

fn pop_many(context: &mut Context<'_>, key: &[u8], count: &[u8]) -> CommandResult {
    const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR value is out of range, must be positive");
    let count = parse_i64(count).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(OUT_OF_RANGE)?;
    let limits = limits(&context.state.config);
    let (database, reply) = (context.session.database, &mut *context.reply);
    let random = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let len = match keyspace.lookup(database, key) {
        None => 0,
        Some(record) => SetRef::of(record.value().stored()).ok_or(CommandError::WRONG_TYPE)?.len(),
    };
    let taken = count.min(len);
    reply.set(taken);
    if taken == 0 {
        return Ok(());
    }
    keyspace.changes.notify(EventClass::Set, "spop", database, key);
    if taken == len {
        read(keyspace, database, key, |set| {
            set.for_each(|member| reply_member(reply, member));
        })?;
        keyspace.remove_empty(database, key);
        keyspace.changes.propagation.replace_by_removal(key);
    } else {
        let propagates = keyspace.changes.propagation.is_on();
        let mut popped: Vec<Vec<u8>> = Vec::new();
        change(keyspace, database, key, limits, |set| {
            set.pop_many(taken, random, |member| {
                reply_member(reply, member);
                if propagates {
                    popped.push(member.with_bytes(<[u8]>::to_vec));
                }
            });
        })?;
        propagate_removal(&mut keyspace.changes.propagation, database, key, &popped);
    }
    keyspace.modified_times(database, key, taken as u64);
    Ok(())
}

/// Has SPOP passed on as the removal of what it took, in pieces of bounded size.
fn propagate_removal(propagation: &mut Propagation, database: usize, key: &[u8], members: &[Vec<u8>]) {
    const PIECE: usize = 1024;
    for piece in members.chunks(PIECE) {
        let removal: [&[u8]; 2] = [b"SREM", key];
        let words = removal.into_iter().chain(piece.iter().map(Vec::as_slice));
        propagation.add_with(database, removal.len() + piece.len(), words);
    }
    propagation.suppress();
}

fn srandmember(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = match args.len() {
        2 => return random_one(context, args.at(1)),
        3 => parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?,
        _ => return Err(CommandError::SYNTAX),
    };
    if count == i64::MIN {
        return Err(CommandError::fixed(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    // Beyond it the client is closed, whatever else it is to be told.
    let limit_bytes = output_limits::reply_limit_bytes(context.state, context.session);
    let rng = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let (database, reply) = (context.session.database, &mut *context.reply);
    let found = read(keyspace, database, args.at(1), |set| {
        if count >= 0 {
            let wanted = wanted.min(set.len());
            reply.array(wanted);
            random::distinct(set, wanted, rng, |member| reply_member(reply, member));
        } else {
            reply.array(wanted);
            let mut left = wanted;
            while left > 0 && reply.len() < limit_bytes {
                let some = left.min(DRAWS);
                left -= some;
                random::repeated(set, some, rng, |member| reply_member(reply, member));
            }
        }
    })?;
    if found.is_none() {
        reply.array(0);
    }
    Ok(())
}

fn random_one(context: &mut Context<'_>, key: &[u8]) -> CommandResult {
    let rng = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let (database, reply) = (context.session.database, &mut *context.reply);
    let found = read(keyspace, database, key, |set| {
        random::repeated(set, 1, rng, |member| reply_member(reply, member));
    })?;
    if found.is_none() {
        reply.null();
    }
    Ok(())
}

fn sscan(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.at(2))?;
    let (keyspace, database, reply) = context.parts();
    let options = ScanOptions::parse(args.slice_from(3), false);
    let shown = read(keyspace, database, args.at(1), |set| {
        // Not before: of a key that is absent or of another type the options do not matter.
        let options = options?;
        match set {
            SetRef::Large(set) => show_some(reply, set, cursor, options),
            SetRef::IntSet(_) | SetRef::Listpack(_) => show_all(reply, set, options),
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

/// A packed set is shown whole at any cursor.
fn show_all(reply: &mut Reply, set: SetRef<'_>, options: ScanOptions<'_>) {
    reply.array(2);
    reply.bulk(b"0");
    let place = reply.begin_deferred();
    let mut count = 0;
    set.for_each(|member: Text<'_>| {
        if member.with_bytes(|bytes| options.matches(bytes)) {
            count += 1;
            reply_member(reply, member);
        }
    });
    reply.end_deferred_array(place, count);
}

fn show_some(reply: &mut Reply, set: &Set, mut cursor: u64, options: ScanOptions<'_>) {
    // References to the elements, not copies of them.
    let mut found: SmallVec<[Element; 32]> = SmallVec::new();
    let mut looked_at = 0;
    let mut steps_left = options.count.saturating_mul(10);
    loop {
        cursor = set.scan(cursor, |element| {
            looked_at += 1;
            if options.matches(element.key()) {
                found.push(element.clone());
            }
        });
        if cursor == 0 || steps_left == 0 || looked_at >= options.count {
            break;
        }
        steps_left -= 1;
    }
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(found.len());
    found.iter().for_each(|element| reply.bulk(element.key()));
}
