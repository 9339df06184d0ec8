//! Elements of lists by index or by what they are.

use std::ops::ControlFlow;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, DELETE, Flag, Group, INSERT, INSPECT, KeySpec, READ, UPDATE};
use crate::engine::context::Context;
use crate::keyspace::EventClass;
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::list::{End, ListRef};

use super::{
    GivenArgument, Remainder, bounded_argument, edit, integer_argument, length_at, limits, list_of, range_of,
    reply_item, reversible_argument, taken_out,
};

/// Commands on elements anywhere.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("llen", 2, Group::List, "1.0.0", llen)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Tells how long a list is.")
        .arguments("key"),
    CommandSpec::new("lindex", 3, Group::List, "1.0.0", lindex)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log N) where N is the length of the list, O(1) near its ends.")
        .summary("Gives the element of a list that has an index.")
        .arguments("key index:integer"),
    CommandSpec::new("lset", 4, Group::List, "1.0.0", lset)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(log N) where N is the length of the list, O(1) near its ends.")
        .summary("Puts an element in the place of the one that has an index.")
        .arguments("key index:integer element"),
    CommandSpec::new("lrange", 4, Group::List, "1.0.0", lrange)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log N + M) where N is the length of the list and M the number of elements given.")
        .summary("Gives the elements of a list between two indexes.")
        .arguments("key start:integer stop:integer"),
    CommandSpec::new("ltrim", 4, Group::List, "1.0.0", ltrim)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(log N + M) where N is the length of the list and M the number of elements removed.")
        .summary("Leaves nothing of a list but the elements between two indexes.")
        .arguments("key start:integer stop:integer"),
    CommandSpec::new("lrem", 4, Group::List, "1.0.0", lrem)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(N) where N is the length of the list.")
        .summary("Removes the elements of a list that are equal to a string.")
        .arguments("key count:integer element"),
    CommandSpec::new("linsert", 5, Group::List, "2.2.0", linsert)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(N) where N is the number of elements before the place.")
        .summary("Puts an element in before or after another one.")
        .arguments("key where=(BEFORE|AFTER) pivot element"),
    CommandSpec::new("lpos", -3, Group::List, "6.0.6", lpos)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) where N is the number of elements looked at.")
        .summary("Gives the indexes of the elements of a list that are equal to a string.")
        .arguments("key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]"),
];

fn llen(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| {
        let length = record.map_or(Ok(0), |record| list_of(record).map(ListRef::len))?;
        reply.integer(length as i64);
        Ok(())
    })
}

fn lindex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| {
        let Some(record) = record else {
            reply.null();
            return Ok(());
        };
        let list = list_of(record)?;
        let index = list.index(integer_argument(args, 2)?);
        match index {
            Some(index) => {
                list.with(index, |item| reply_item(reply, item));
            }
            None => reply.null(),
        }
        Ok(())
    })
}

fn lset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let element = GivenArgument { args, index: 3 };
    let set = edit(keyspace, database, key, &limits, |list| -> CommandResult {
        let index = list.view().index(integer_argument(args, 2)?);
        list.set(index.ok_or(CommandError::OUT_OF_RANGE)?, element);
        Ok(())
    })?;
    set.ok_or(CommandError::NO_SUCH_KEY)??;
    reply.ok();
    keyspace.modified(database, key);
    keyspace.changes.notify(EventClass::List, "lset", database, key);
    Ok(())
}

fn lrange(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (start, stop) = (integer_argument(args, 2)?, integer_argument(args, 3)?);
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| {
        let Some(record) = record else {
            reply.empty_array();
            return Ok(());
        };
        let list = list_of(record)?;
        let (start, count) = range_of(start, stop, list.len());
        reply_range(reply, list, start, count);
        Ok(())
    })
}

/// Replies with so many elements from an index on, which are all there.
fn reply_range(reply: &mut Reply, list: ListRef<'_>, start: usize, count: usize) {
    reply.array(count);
    if count == 0 {
        return;
    }
    let mut left = count;
    list.walk(start, End::Front, |item| {
        reply_item(reply, item);
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
}

fn ltrim(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (start, stop) = (integer_argument(args, 2)?, integer_argument(args, 3)?);
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let Some(length) = length_at(keyspace, database, key)? else {
        reply.ok();
        return Ok(());
    };
    let (start, count) = range_of(start, stop, length);
    let remainder = if count == 0 {
        // The key goes as a whole.
        Remainder::Nothing
    } else {
        edit(keyspace, database, key, &limits, |list| {
            list.keep(start, count);
        })?;
        Remainder::Elements
    };
    taken_out(keyspace, database, key, "ltrim", length - count, remainder);
    reply.ok();
    Ok(())
}

fn lrem(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = reversible_argument(args, 2)?;
    let end = if count < 0 { End::Back } else { End::Front };
    let most = match count.unsigned_abs() as usize {
        0 => usize::MAX,
        count => count,
    };
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let removed =
        edit(keyspace, database, key, &limits, |list| (list.remove_equal(args.at(3), end, most), list.is_empty()))?;
    let (removed, is_empty) = removed.unwrap_or_default();
    if removed > 0 {
        let remainder = if is_empty { Remainder::Nothing } else { Remainder::Elements };
        taken_out(keyspace, database, key, "lrem", removed, remainder);
    }
    reply.integer(removed as i64);
    Ok(())
}

fn linsert(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let behind = match args.at(2) {
        word if word.eq_ignore_ascii_case(b"after") => 1,
        word if word.eq_ignore_ascii_case(b"before") => 0,
        _ => return Err(CommandError::SYNTAX),
    };
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let element = GivenArgument { args, index: 4 };
    let length = edit(keyspace, database, key, &limits, |list| {
        let mut found = None;
        list.view().find(args.at(3), End::Front, usize::MAX, |index| {
            found = Some(index);
            ControlFlow::Break(())
        });
        list.insert(found? + behind, element);
        Some(list.len())
    })?;
    match length {
        None => reply.integer(0),
        Some(None) => reply.integer(-1),
        Some(Some(length)) => {
            keyspace.modified(database, key);
            keyspace.changes.notify(EventClass::List, "linsert", database, key);
            reply.integer(length as i64);
        }
    }
    Ok(())
}

/// What LPOS asks for.
struct Search {
    /// Which match is the first that counts.
    rank: u64,
    from: End,
    /// How many matches are wanted; none if one is, without an array.
    count: Option<usize>,
    /// Among how many elements.
    among: usize,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Search, CommandError> {
        let mut search = Search { rank: 1, from: End::Front, count: None, among: usize::MAX };
        let mut place = 3;
        while let Some(word) = args.get(place) {
            let value = place + 1;
            if value == args.len() {
                return Err(CommandError::SYNTAX);
            }
            if word.eq_ignore_ascii_case(b"rank") {
                search.set_rank(reversible_argument(args, value)?)?;
            } else if word.eq_ignore_ascii_case(b"count") {
                let error = "ERR COUNT can't be negative";
                search.count = Some(match bounded_argument(args, value, 0, error)? {
                    0 => usize::MAX,
                    count => count,
                });
            } else if word.eq_ignore_ascii_case(b"maxlen") {
                let error = "ERR MAXLEN can't be negative";
                search.among = match bounded_argument(args, value, 0, error)? {
                    0 => usize::MAX,
                    among => among,
                };
            } else {
                return Err(CommandError::SYNTAX);
            }
            place += 2;
        }
        Ok(search)
    }

    fn set_rank(&mut self, rank: i64) -> CommandResult {
        if rank == 0 {
            return Err(CommandError::fixed(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                 negative to start from the end of the list",
            ));
        }
        self.from = if rank < 0 { End::Back } else { End::Front };
        self.rank = rank.unsigned_abs();
        Ok(())
    }

    /// Hands the index of every match that is wanted to `found`.
    fn run(&self, list: ListRef<'_>, element: &[u8], mut found: impl FnMut(usize)) {
        let mut matches = 0;
        let mut left = self.count.unwrap_or(1);
        list.find(element, self.from, self.among, |index| {
            matches += 1;
            if matches >= self.rank {
                found(index);
                left -= 1;
            }
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
}

fn lpos(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let search = Search::parse(args)?;
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| {
        let list = record.map(list_of).transpose()?;
        if search.count.is_none() {
            let mut first = None;
            if let Some(list) = list {
                search.run(list, args.at(2), |index| first = Some(index));
            }
            match first {
                Some(index) => reply.integer(index as i64),
                None => reply.null(),
            }
            return Ok(());
        }
        let place = reply.begin_deferred();
        let mut count = 0;
        if let Some(list) = list {
            search.run(list, args.at(2), |index| {
                reply.integer(index as i64);
                count += 1;
            });
        }
        reply.end_deferred_array(place, count);
        Ok(())
    })
}
