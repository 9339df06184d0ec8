//! What was given to a group and not yet acknowledged: XACK and XPENDING.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::stream::{Group as ConsumerGroup, Id, Pending};

use super::producers::take_note;
use super::{edit, no_group, parse_count, parse_ids, parse_integer, parse_start, parse_stop, read, write_id};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xack", -4, Group::Stream, "5.0.0", acknowledge)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(1) for each ID.")
        .summary("Acknowledges entries that were given to a consumer of a group; tells how many.")
        .arguments("key group id..."),
    CommandSpec::new("xpending", -3, Group::Stream, "5.0.0", pending)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity(
            "O(N) for N entries in the reply, O(M) for M entries looked at with IDLE; the summary is O(N) for \
             N consumers.",
        )
        .summary("Lists the entries of a group that are pending, or sums them up.")
        .history(&[("6.2.0", "Takes `IDLE`, and ranges without their ends.")])
        .arguments("key group filters=[[IDLE min-idle-time:integer]@6.2.0 start end count:integer [consumer]]"),
];

fn acknowledge(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if take_note(context, args)? {
        context.reply.integer(0);
        return Ok(());
    }
    let (keyspace, database, reply) = context.parts();
    let acknowledged = edit(keyspace, database, args.at(1), |stream| {
        stream.groups.get(args.at(2))?;
        let ids = match parse_ids(args, 3) {
            Ok(ids) => ids,
            Err(error) => return Some(Err(error)),
        };
        stream.groups.edit(args.at(2), |group| {
            let pending = ids.iter().filter(|id| group.acknowledge(**id).is_some());
            Ok(pending.count())
        })
    })?;
    if acknowledged.is_none() {
        // That there is no such key counts as a read of it.
        keyspace.read(database, args.at(1));
    }
    let acknowledged = acknowledged.flatten().transpose()?.unwrap_or(0);
    keyspace.count_beside(database, args.at(1), acknowledged as u64);
    reply.integer(acknowledged as i64);
    Ok(())
}

/// What XPENDING is asked for.
struct Filter<'a> {
    min_idle_ms: i64,
    start: Id,
    stop: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// Reads the arguments behind the group; none are there for the summary.
    fn parse(args: Args<'a>) -> Result<Option<Filter<'a>>, CommandError> {
        let is_idle_given = match args.len() {
            3 => return Ok(None),
            6..=9 => args.at(3).eq_ignore_ascii_case(b"IDLE"),
            _ => return Err(CommandError::SYNTAX),
        };
        let mut first = 3;
        let mut min_idle_ms = 0;
        if is_idle_given {
            min_idle_ms = parse_integer(args.at(4))?;
            first = 5;
            if args.len() < 8 {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(Some(Filter {
            min_idle_ms,
            count: parse_count(args.at(first + 2))?,
            start: parse_start(args.at(first))?,
            stop: parse_stop(args.at(first + 1))?,
            consumer: args.get(first + 3),
        }))
    }

    fn takes(&self, pending: &Pending, now_ms: i64) -> bool {
        let idle_ms = pending.idle_ms(now_ms);
        self.min_idle_ms == 0 || idle_ms.is_none_or(|idle_ms| idle_ms >= self.min_idle_ms)
    }
}

fn pending(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let filter = Filter::parse(args)?;
    let (keyspace, database, reply) = context.parts();
    let now_ms = keyspace.now_ms;
    let stream = read(keyspace, database, args.at(1))?;
    let group = stream.and_then(|stream| stream.groups.get(args.at(2)));
    let group = group.ok_or_else(|| no_group(args.at(1), args.at(2)))?;
    match filter {
        None => write_summary(reply, group),
        Some(filter) => write_pending(reply, group, &filter, now_ms),
    }
    Ok(())
}

/// How many there are, the first and the last, and how many each consumer has.
fn write_summary(reply: &mut Reply, group: &ConsumerGroup) {
    reply.array(4);
    reply.integer(group.pending().len() as i64);
    let (Some(first), Some(last)) = (group.pending().first(), group.pending().last()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    write_id(reply, first.id);
    write_id(reply, last.id);
    let owners = || {
        let consumers = group.consumers();
        consumers.filter(|consumer| !consumer.pending().is_empty())
    };
    reply.array(owners().count());
    for consumer in owners() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending().len() as i64);
    }
}

fn write_pending(reply: &mut Reply, group: &ConsumerGroup, filter: &Filter<'_>, now_ms: i64) {
    let place = reply.begin_deferred();
    let mut written = 0;
    let mut write = |pending: &Pending| {
        if filter.takes(pending, now_ms) {
            reply.array(4);
            write_id(reply, pending.id);
            reply.bulk(pending.consumer());
            reply.integer(pending.idle_ms(now_ms).map_or(-1, |idle_ms| idle_ms.max(0)));
            reply.integer(pending.deliveries as i64);
            written += 1;
        }
        written < filter.count
    };
    if filter.count > 0 && filter.start <= filter.stop {
        match filter.consumer {
            None => {
                let first = group.pending().lower_bound(|pending| pending.id.cmp(&filter.start));
                let mut within = group.pending().range(first..).take_while(|pending| pending.id <= filter.stop);
                while within.next().is_some_and(&mut write) {}
            }
            Some(name) => {
                let Some(consumer) = group.consumer(name) else {
                    reply.end_deferred_array(place, 0);
                    return;
                };
                let ids = consumer.pending();
                let first = ids.lower_bound(|id| id.cmp(&filter.start));
                let mut within =
                    ids.range(first..).take_while(|id| **id <= filter.stop).filter_map(|id| group.pending_entry(*id));
                while within.next().is_some_and(&mut write) {}
            }
        }
    }
    reply.end_deferred_array(place, written);
}
