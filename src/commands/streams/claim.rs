//! Taking over what others have pending: XCLAIM and XAUTOCLAIM.

use crate::command::spec::{DELETE, Flag, Group, KeySpec, UPDATE};
use crate::engine::state::program::CommandSpec;
use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::resp::{Reply, number};
use crate::types::stream::{Entries, Group as ConsumerGroup, Id, Stream};

use super::passing::GroupPropagation;
use super::{Ids, edit, no_group, notify, parse_id, parse_start, quoted, read, write_entry, write_id};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xclaim", -6, Group::Stream, "5.0.0", claim)
        .flags(&[Flag::Write, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(log N) for each ID, with N entries pending in the group.")
        .summary("Gives entries that are pending to another consumer.")
        .arguments(
            "key group consumer min-idle-time id... [IDLE ms:integer] [TIME unix-time-milliseconds:unix-time] \
             [RETRYCOUNT count:integer] [FORCE] [JUSTID] [LASTID lastid]",
        ),
    CommandSpec::new("xautoclaim", -6, Group::Stream, "6.2.0", claim_idle)
        .flags(&[Flag::Write, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(1) for a small COUNT.")
        .summary(
            "Gives entries that were pending for long to another consumer, going through all of them piece by \
             piece.",
        )
        .history(&[("7.0.0", "Tells which entries are no longer there.")])
        .arguments("key group consumer min-idle-time start [COUNT count:integer] [JUSTID]"),
];

/// How entries are taken over.
struct Terms<'a> {
    consumer: &'a [u8],
    min_idle_ms: i64,
    delivered_ms: i64,
    retry_count: Option<u64>,
    /// Whether an entry that is not pending is taken as well.
    force: bool,
    /// Whether the reply has the IDs only; then this is no delivery.
    just_ids: bool,
    now_ms: i64,
}

/// What became of an entry that was to be taken over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Taken,
    /// It was pending, but the stream has no such entry any more: it is not pending now.
    Forgotten,
    Left,
}

impl Terms<'_> {
    /// Takes one entry over, if the terms allow it.
    fn claim(&self, entries: &Entries, group: &mut ConsumerGroup, passing: &mut GroupPropagation<'_>, id: Id) -> Claim {
        let exists = entries.contains(id);
        let deliveries = match group.pending_entry(id) {
            Some(_) if !exists => {
                let pending = group.acknowledge(id);
                passing.claimed(group, pending);
                return Claim::Forgotten;
            }
            Some(pending) => {
                // An entry without an owner can be claimed at once.
                let idle_ms = pending.idle_ms(self.now_ms);
                if self.min_idle_ms > 0 && idle_ms.is_some_and(|idle_ms| idle_ms < self.min_idle_ms) {
                    return Claim::Left;
                }
                match self.just_ids {
                    true => pending.deliveries,
                    false => pending.deliveries_after_next(),
                }
            }
            // As if it had been given out once.
            None if self.force && exists => 1 + u64::from(!self.just_ids),
            None => return Claim::Left,
        };
        let deliveries = self.retry_count.unwrap_or(deliveries);
        group.assign(id, self.consumer, self.delivered_ms, deliveries);
        passing.claimed(group, group.pending_entry(id).cloned());
        Claim::Taken
    }

    fn write(&self, reply: &mut Reply, entries: &Entries, id: Id) {
        match entries.get(id) {
            Some(entry) if !self.just_ids => write_entry(reply, entry),
            _ => write_id(reply, id),
        }
    }
}

/// The group of a command, or the error that there is none.
fn check_group(keyspace: &mut Keyspace, database: usize, key: &[u8], group: &[u8]) -> CommandResult {
    let stream = read(keyspace, database, key)?;
    match stream.and_then(|stream| stream.groups.get(group)) {
        Some(_) => Ok(()),
        None => Err(no_group(key, group)),
    }
}

/// What claiming changed.
#[derive(Default)]
struct Changes {
    is_new_consumer: bool,
    claims: u64,
}

/// Claims within a group: sees to it that the consumer is there, and notes whether it got anything.
fn claim_in(
    stream: &mut Stream,
    group: &[u8],
    terms: &Terms<'_>,
    claim_all: impl FnOnce(&Entries, &mut ConsumerGroup, &mut Changes) -> bool,
) -> Changes {
    let Stream { entries, groups, .. } = stream;
    let mut changes = Changes::default();
    groups.edit(group, |group| {
        changes.is_new_consumer = group.see_consumer(terms.consumer, terms.now_ms);
        if claim_all(entries, group, &mut changes) {
            group.note_active(terms.consumer, terms.now_ms);
        }
    });
    changes
}

/// Tells of what claiming changed.
fn settle(
    keyspace: &mut Keyspace,
    database: usize,
    passing: GroupPropagation<'_>,
    consumer: &[u8],
    changes: Option<Changes>,
) {
    let changes = changes.unwrap_or_default();
    let key = passing.key();
    if changes.is_new_consumer {
        passing.consumer_created(keyspace, database, consumer);
    }
    passing.pass_on(keyspace, database);
    keyspace.changes.propagation.suppress();
    keyspace.count_beside(database, key, changes.claims);
    if changes.is_new_consumer {
        keyspace.count_beside(database, key, 1);
        notify(keyspace, "xgroup-createconsumer", database, key);
    }
}

fn parse_number(text: &[u8], error: &'static str) -> Result<i64, CommandError> {
    number::parse_i64(text).ok_or(CommandError::fixed(error))
}

/// XCLAIM's options.
#[derive(Default)]
struct Options {
    delivered_ms: Option<i64>,
    retry_count: Option<i64>,
    force: bool,
    just_ids: bool,
    last_id: Id,
}

impl Options {
    fn parse(args: Args<'_>, first: usize, now_ms: i64) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut at = first;
        while let Some(option) = args.get(at) {
            let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
            let operand = args.get(at + 1);
            at += 1;
            match operand {
                _ if is("FORCE") => options.force = true,
                _ if is("JUSTID") => options.just_ids = true,
                Some(operand) if is("IDLE") => {
                    let idle = "ERR Invalid IDLE option argument for XCLAIM";
                    options.delivered_ms = Some(now_ms.wrapping_sub(parse_number(operand, idle)?));
                    at += 1;
                }
                Some(operand) if is("TIME") => {
                    let time = "ERR Invalid TIME option argument for XCLAIM";
                    options.delivered_ms = Some(parse_number(operand, time)?);
                    at += 1;
                }
                Some(operand) if is("RETRYCOUNT") => {
                    let count = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                    options.retry_count = Some(parse_number(operand, count)?);
                    at += 1;
                }
                Some(operand) if is("LASTID") => {
                    options.last_id = parse_id(operand)?;
                    at += 1;
                }
                _ => {
                    let option = quoted(option);
                    return Err(CommandError::new(format!("ERR Unrecognized XCLAIM option '{option}'")));
                }
            }
        }
        Ok(options)
    }
}

fn claim(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (key, group, now_ms) = (args.at(1), args.at(2), keyspace.now_ms);
    check_group(keyspace, database, key, group)?;
    let min_idle = "ERR Invalid min-idle-time argument for XCLAIM";
    let min_idle_ms = parse_number(args.at(4), min_idle)?;
    // What is no ID any more is an option.
    let texts = args.iter().skip(5);
    let ids: Ids = texts.map_while(|text| Id::parse(text, 0)).collect();
    let options = Options::parse(args, 5 + ids.len(), now_ms)?;
    let terms = Terms {
        consumer: args.at(3),
        min_idle_ms,
        // What cannot be is now: clients may do some mathematics with clocks of their own.
        delivered_ms: match options.delivered_ms {
            Some(time_ms) if (0..=now_ms).contains(&time_ms) => time_ms,
            _ => now_ms,
        },
        retry_count: options.retry_count.and_then(|count| u64::try_from(count).ok()),
        force: options.force,
        just_ids: options.just_ids,
        now_ms,
    };
    let mut passing = GroupPropagation::new(keyspace, key, group);
    let changes = edit(keyspace, database, key, |stream| {
        claim_in(stream, group, &terms, |entries, group, changes| {
            let is_last_id_new = options.last_id > group.last_id;
            group.last_id = group.last_id.max(options.last_id);
            let place = reply.begin_deferred();
            let mut taken = 0;
            for id in ids {
                let claim = terms.claim(entries, group, &mut passing, id);
                changes.claims += u64::from(claim != Claim::Left);
                if claim == Claim::Taken {
                    terms.write(reply, entries, id);
                    taken += 1;
                }
            }
            reply.end_deferred_array(place, taken);
            if is_last_id_new && changes.claims == 0 {
                changes.claims = 1;
                passing.moved(group);
            }
            taken > 0
        })
    })?;
    settle(keyspace, database, passing, terms.consumer, changes);
    Ok(())
}

/// How many entries of those that are pending are looked at for each that may be claimed.
const ATTEMPTS_FACTOR: usize = 10;
/// As many as Redis could keep the IDs of.
const COUNT_MAX: i64 = i64::MAX / 16;

fn parse_idle_options(args: Args<'_>) -> Result<(usize, bool), CommandError> {
    let (mut count, mut just_ids) = (100, false);
    let mut at = 6;
    while let Some(option) = args.get(at) {
        match args.get(at + 1) {
            Some(text) if option.eq_ignore_ascii_case(b"COUNT") => {
                count = number::parse_i64(text)
                    .filter(|count| (1..=COUNT_MAX).contains(count))
                    .ok_or(CommandError::fixed("ERR COUNT must be > 0"))?;
                at += 1;
            }
            _ if option.eq_ignore_ascii_case(b"JUSTID") => just_ids = true,
            _ => return Err(CommandError::SYNTAX),
        }
        at += 1;
    }
    Ok((count as usize, just_ids))
}

/// The least time idle, in ms, the first ID, how many, and whether IDs alone.
fn parse_idle(args: Args<'_>) -> Result<(i64, Id, usize, bool), CommandError> {
    let min_idle = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    let min_idle_ms = parse_number(args.at(4), min_idle)?;
    let start = parse_start(args.at(5))?;
    let (count, just_ids) = parse_idle_options(args)?;
    Ok((min_idle_ms, start, count, just_ids))
}

fn claim_idle(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (key, group, now_ms) = (args.at(1), args.at(2), keyspace.now_ms);
    let parsed = parse_idle(args);
    if parsed.is_err() {
        // Redis has looked at the key before it looks at this.
        keyspace.read(database, key);
    }
    let (min_idle_ms, start, count, just_ids) = parsed?;
    check_group(keyspace, database, key, group)?;
    let terms = Terms {
        consumer: args.at(3),
        min_idle_ms,
        delivered_ms: now_ms,
        retry_count: None,
        force: false,
        just_ids,
        now_ms,
    };
    let mut passing = GroupPropagation::new(keyspace, key, group);
    let changes = edit(keyspace, database, key, |stream| {
        claim_in(stream, group, &terms, |entries, group, changes| {
            let mut claim = |group: &mut ConsumerGroup, id| terms.claim(entries, group, &mut passing, id);
            let (next, taken, forgotten) = claim_some(group, start, count, &mut claim);
            reply.array(3);
            write_id(reply, next);
            reply.array(taken.len());
            taken.iter().for_each(|id| terms.write(reply, entries, *id));
            reply.array(forgotten.len());
            forgotten.iter().for_each(|id| write_id(reply, *id));
            changes.claims = (taken.len() + forgotten.len()) as u64;
            !taken.is_empty()
        })
    })?;
    settle(keyspace, database, passing, terms.consumer, changes);
    Ok(())
}

/// Claims so many of the pending entries from `start` on; gives where to go on, those taken, and those that are no
/// longer there.
fn claim_some(
    group: &mut ConsumerGroup,
    start: Id,
    count: usize,
    claim: &mut impl FnMut(&mut ConsumerGroup, Id) -> Claim,
) -> (Id, Vec<Id>, Vec<Id>) {
    const BATCH: usize = 128;
    let (mut taken, mut forgotten) = (Vec::new(), Vec::new());
    let mut attempts = count.saturating_mul(ATTEMPTS_FACTOR);
    let mut next = start;
    loop {
        let index = group.pending().lower_bound(|pending| pending.id.cmp(&next));
        let ahead = group.pending().range(index..).take(BATCH + 1);
        let ids: SmallVec<[Id; BATCH + 1]> = ahead.map(|pending| pending.id).collect();
        for id in ids.iter().take(BATCH) {
            next = *id;
            if attempts == 0 || taken.len() + forgotten.len() == count {
                return (next, taken, forgotten);
            }
            attempts -= 1;
            match claim(group, *id) {
                Claim::Taken => taken.push(*id),
                Claim::Forgotten => forgotten.push(*id),
                Claim::Left => {}
            }
        }
        match ids.get(BATCH) {
            Some(id) => next = *id,
            None => return (Id::MIN, taken, forgotten),
        }
    }
}
