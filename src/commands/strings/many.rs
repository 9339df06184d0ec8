//! Several strings at once: MGET, MSET and their kin.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Begin, CREATE, Find, Flag, Group, KeySpec, OVERWRITE, READ};
use crate::engine::context::Context;
use crate::engine::lookahead::for_each_key;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{Expiry, Keyspace, NewValue, Propagation};
use crate::resp::Args;
use crate::resp::number;

use super::options::{Condition, Options, Syntax};
use super::{reply_text, store};

/// Commands on several strings.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("mget", -2, Group::String, "1.0.0", mget)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .tips(&["request_policy:multi_shard"])
        .keys(&[KeySpec::range(READ, 1, -1, 1)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Gives the strings at several keys.")
        .arguments("key..."),
    CommandSpec::new("mset", -3, Group::String, "1.0.1", mset)
        .flags(&[Flag::Write, Flag::DenyOom])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .keys(&[KeySpec::range(OVERWRITE, 1, -1, 2)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Sets several keys to strings in one step.")
        .arguments("data={key value}..."),
    CommandSpec::new("msetnx", -3, Group::String, "1.0.1", msetnx)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::range(CREATE, 1, -1, 2)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Sets several keys to strings if none of them exists.")
        .arguments("data={key value}..."),
    CommandSpec::new("msetex", -4, Group::String, "8.4.0", msetex)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::new(OVERWRITE, Begin::Index(1), Find::Count { index: 0, first: 1, step: 2 })])
        .complexity("O(N) where N is the number of keys.")
        .summary("Sets several keys to strings with one expiry time, with a condition on all of them if asked for.")
        .arguments(
            "numkeys:integer data={key value}... condition=[NX|XX] expiration=[EX seconds:integer|\
             PX milliseconds:integer|EXAT unix-time-seconds:unix-time|PXAT unix-time-milliseconds:unix-time|KEEPTTL]",
        ),
];

/// The keys and values of a command: they alternate from argument `first` to before `end`.
#[derive(Clone, Copy)]
struct Pairs<'a> {
    args: Args<'a>,
    first: usize,
    end: usize,
}

impl Pairs<'_> {
    /// How many of the keys exist; one that stands twice counts twice.
    fn existing(self, keyspace: &mut Keyspace, database: usize) -> usize {
        let mut count = 0;
        let places = (self.first..self.end).step_by(2);
        for_each_key(keyspace, database, self.args, places, |keyspace, index| {
            let found = keyspace.lookup(database, self.args.at(index)).is_some();
            count += usize::from(found);
        });
        count
    }

    /// Has the pairs passed on as MSET, or as SETs where there is an expiry time to set or to keep: older servers know
    /// those.
    fn propagate(self, propagation: &mut Propagation, database: usize, expiry: Expiry) {
        let mut digits = itoa::Buffer::new();
        let moment: &[u8] = match expiry {
            Expiry::At(moment_ms) => digits.format(moment_ms).as_bytes(),
            Expiry::Keep | Expiry::Clear => b"",
        };
        for index in (self.first..self.end).step_by(2) {
            let (key, value) = (self.args.at(index), self.args.at(index + 1));
            match expiry {
                Expiry::At(_) => propagation.add(database, &[b"SET", key, value, b"PXAT", moment]),
                Expiry::Keep => propagation.add(database, &[b"SET", key, value, b"KEEPTTL"]),
                Expiry::Clear => {
                    let pairs = (self.first..self.end).map(|index| self.args.at(index));
                    let count = 1 + self.end - self.first;
                    return propagation.replace_with(count, std::iter::once(b"MSET".as_slice()).chain(pairs));
                }
            }
        }
        propagation.suppress();
    }

    /// Sets every key to its value.
    fn store(self, keyspace: &mut Keyspace, database: usize, expiry: Expiry) {
        let places = (self.first..self.end).step_by(2);
        for_each_key(keyspace, database, self.args, places, |keyspace, index| {
            let value = NewValue::argument(self.args, index + 1);
            store(keyspace, database, self.args.at(index), value, expiry);
        });
    }
}

fn mget(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    reply.array(args.len() - 1);
    for_each_key(keyspace, database, args, (1..args.len()).step_by(1), |keyspace, index| {
        keyspace.read_with(database, args.at(index), |record| match record.and_then(|record| record.value().text()) {
            Some(text) => reply_text(reply, text),
            None => reply.null(),
        });
    });
    Ok(())
}

/// All arguments but the name, as pairs. Errors: the last key lacks its value.
fn all_pairs<'a>(context: &Context<'_>, args: Args<'a>) -> Result<Pairs<'a>, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::wrong_arity(context.command_name()));
    }
    Ok(Pairs { args, first: 1, end: args.len() })
}

fn mset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let pairs = all_pairs(context, args)?;
    let (keyspace, database, reply) = context.parts();
    pairs.store(keyspace, database, Expiry::Clear);
    reply.ok();
    Ok(())
}

fn msetnx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let pairs = all_pairs(context, args)?;
    let (keyspace, database, reply) = context.parts();
    let free = pairs.existing(keyspace, database) == 0;
    if free {
        pairs.store(keyspace, database, Expiry::Clear);
    }
    reply.integer(i64::from(free));
    Ok(())
}

fn msetex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = number::parse_i64(args.at(1))
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=i32::MAX as u32).contains(count))
        .ok_or(CommandError::fixed("ERR invalid numkeys value"))? as usize;
    let end = 2 + 2 * count;
    if end > args.len() {
        return Err(CommandError::fixed("ERR wrong number of key-value pairs"));
    }
    let options = Options::parse(args.slice_from(end), Syntax::MSetEx)?;
    let expiry = options.expiry.for_set(context)?;
    let pairs = Pairs { args, first: 2, end };
    let (keyspace, database, reply) = context.parts();
    let holds = match options.condition {
        Condition::Absent => pairs.existing(keyspace, database) == 0,
        Condition::Present => pairs.existing(keyspace, database) == count,
        Condition::Always | Condition::Compare(_) => true,
    };
    if holds {
        pairs.store(keyspace, database, expiry);
        if keyspace.changes.propagation.is_on() {
            pairs.propagate(&mut keyspace.changes.propagation, database, expiry);
        }
    }
    reply.integer(i64::from(holds));
    Ok(())
}
