//! The ends of lists: pushing and popping.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSERT, KeySpec, READ_AND_DELETE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::list::{End, Item, Limits};

use super::{
    arguments_from, bounded_argument, create, edit, end_argument, length_at, limits, push_event, reply_item, take_out,
    too_many_arguments,
};

/// Commands on the ends of lists.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("lpush", -3, Group::List, "1.0.0", lpush)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(1) for each element.")
        .summary("Puts elements in at the front of a list; creates the key if need be.")
        .history(&[("2.4.0", "Took several elements.")])
        .arguments("key element..."),
    CommandSpec::new("rpush", -3, Group::List, "1.0.0", rpush)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(1) for each element.")
        .summary("Puts elements in at the back of a list; creates the key if need be.")
        .history(&[("2.4.0", "Took several elements.")])
        .arguments("key element..."),
    CommandSpec::new("lpushx", -3, Group::List, "2.2.0", lpushx)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(1) for each element.")
        .summary("Puts elements in at the front of a list, if there is one.")
        .history(&[("4.0.0", "Took several elements.")])
        .arguments("key element..."),
    CommandSpec::new("rpushx", -3, Group::List, "2.2.0", rpushx)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(1) for each element.")
        .summary("Puts elements in at the back of a list, if there is one.")
        .history(&[("4.0.0", "Took several elements.")])
        .arguments("key element..."),
    CommandSpec::new("lpop", -2, Group::List, "1.0.0", lpop)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .complexity("O(N) where N is the number of elements given.")
        .summary("Takes elements out at the front of a list and gives them.")
        .history(&[("6.2.0", "Took `count`.")])
        .arguments("key [count:integer]@6.2.0"),
    CommandSpec::new("rpop", -2, Group::List, "1.0.0", rpop)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .complexity("O(N) where N is the number of elements given.")
        .summary("Takes elements out at the back of a list and gives them.")
        .history(&[("6.2.0", "Took `count`.")])
        .arguments("key [count:integer]@6.2.0"),
    CommandSpec::new("lmpop", -4, Group::List, "7.0.0", lmpop)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::counted(READ_AND_DELETE, 1)])
        .complexity("O(N+M) where N is the number of keys and M that of elements given.")
        .summary("Takes elements out at an end of the first of several lists that has any, and gives them.")
        .arguments("numkeys:integer key... where=(LEFT|RIGHT) [COUNT count:integer]"),
];

fn lpush(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push(context, args, End::Front, true)
}

fn rpush(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push(context, args, End::Back, true)
}

fn lpushx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push(context, args, End::Front, false)
}

fn rpushx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push(context, args, End::Back, false)
}

#[inline]
fn push(context: &mut Context<'_>, args: Args<'_>, end: End, may_create: bool) -> CommandResult {
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let elements = arguments_from(args, 2);
    let pushed = edit(keyspace, database, key, &limits, |list| list.push(end, elements.clone()))?;
    let length = match pushed {
        Some(length) => length,
        None if may_create => create(keyspace, database, key, &limits, end, elements.clone()),
        None => {
            reply.integer(0);
            return Ok(());
        }
    };
    keyspace.modified_times(database, key, elements.len() as u64);
    keyspace.changes.notify(EventClass::List, push_event(end), database, key);
    reply.integer(length as i64);
    Ok(())
}

fn lpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop(context, args, End::Front)
}

fn rpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop(context, args, End::Back)
}

#[inline]
fn pop(context: &mut Context<'_>, args: Args<'_>, end: End) -> CommandResult {
    if args.len() > 2 {
        return pop_several(context, args, end);
    }
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let visit = |item: Item<'_>| reply_item(reply, item);
    let taken = take_out(keyspace, database, args.at(1), &limits, (end, 1), visit)?;
    if taken == 0 {
        context.reply.null();
    }
    Ok(())
}

fn pop_several(context: &mut Context<'_>, args: Args<'_>, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(too_many_arguments(context));
    }
    let count = bounded_argument(args, 2, 0, "ERR value is out of range, must be positive")?;
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    match length_at(keyspace, database, args.at(1))? {
        None => reply.null_array(),
        Some(length) => {
            reply.array(count.min(length));
            if count > 0 {
                let visit = |item: Item<'_>| reply_item(reply, item);
                take_out(keyspace, database, args.at(1), &limits, (end, count), visit)?;
            }
        }
    }
    Ok(())
}

fn lmpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let request = PopRequest::parse(args, 1)?;
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    if !request.serve(keyspace, database, reply, &limits)? {
        reply.null_array();
    }
    Ok(())
}

/// The command that takes elements out at an end.
pub(super) fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

/// What LMPOP and BLMPOP ask for.
pub(super) struct PopRequest<'a> {
    args: Args<'a>,
    first_key: usize,
    keys: usize,
    end: End,
    count: usize,
}

impl<'a> PopRequest<'a> {
    /// Takes the request apart, from the number of keys on. Errors: in Redis's order.
    pub fn parse(args: Args<'a>, at: usize) -> Result<PopRequest<'a>, CommandError> {
        let keys = bounded_argument(args, at, 1, "ERR numkeys should be greater than 0")?;
        let end = (at + 1).checked_add(keys).and_then(|place| args.get(place));
        let end = end_argument(end.ok_or(CommandError::SYNTAX)?)?;
        let mut count = None;
        let mut place = at + keys + 2;
        while let Some(word) = args.get(place) {
            let is_count = word.eq_ignore_ascii_case(b"count") && count.is_none();
            if !is_count || place + 1 == args.len() {
                return Err(CommandError::SYNTAX);
            }
            let least = "ERR count should be greater than 0";
            count = Some(bounded_argument(args, place + 1, 1, least)?);
            place += 2;
        }
        Ok(PopRequest { args, first_key: at + 1, keys, end, count: count.unwrap_or(1) })
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let args = self.args;
        (self.first_key..self.first_key + self.keys).map(move |place| args.at(place))
    }

    /// Replies with elements of the first list that has any, and its key; says whether there was one. Errors: what is
    /// at a key before that is not a list.
    pub fn serve(
        &self,
        keyspace: &mut Keyspace,
        database: usize,
        reply: &mut Reply,
        limits: &Limits,
    ) -> Result<bool, CommandError> {
        for key in self.keys() {
            let Some(length) = length_at(keyspace, database, key)? else {
                continue;
            };
            reply.array(2);
            reply.bulk(key);
            reply.array(self.count.min(length));
            let visit = |item: Item<'_>| reply_item(reply, item);
            let taken = take_out(keyspace, database, key, limits, (self.end, self.count), visit)?;
            let mut digits = itoa::Buffer::new();
            let count = digits.format(taken).as_bytes();
            let propagation = &mut keyspace.changes.propagation;
            propagation.replace(&[pop_name(self.end), key, count]);
            return Ok(true);
        }
        Ok(false)
    }
}
