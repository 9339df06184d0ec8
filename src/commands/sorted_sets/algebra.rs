//! Unions, intersections and differences of sorted sets and sets. Their declarations are in `algebra_table`.

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::keyspace::{Keyspace, Record};
use crate::resp::Args;
use crate::resp::number::{parse_f64, parse_i64};
use crate::types::set::SetRef;
use crate::types::slot::Stored;
use crate::types::sorted_set::{
    Aggregate, Builder, Collection, SortedSetRef, Source, difference, intersection, intersection_size, union,
};

use super::{begin_elements, limits, parse_at_least, reply_element, store};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reply,
    /// It is stored at the key in argument 1, with this event.
    Store(&'static str),
    Count,
}

impl Purpose {
    /// The argument with the number of keys, which the keys follow.
    fn number_at(self) -> usize {
        match self {
            Purpose::Store(_) => 2,
            Purpose::Reply | Purpose::Count => 1,
        }
    }
}

/// The options behind the keys.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

impl Options {
    fn parse(words: Args<'_>, keys: usize, operation: Operation, purpose: Purpose) -> Result<Options, CommandError> {
        let mut options =
            Options { weights: vec![1.0; keys], aggregate: Aggregate::Sum, with_scores: false, limit: usize::MAX };
        let joins = operation != Operation::Difference && purpose != Purpose::Count;
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let left = words.len() - at;
            let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
            if joins && left > keys && is("weights") {
                for (weight, text) in options.weights.iter_mut().zip(words.iter().skip(at + 1)) {
                    *weight = parse_f64(text).ok_or(CommandError::fixed("ERR weight value is not a float"))?;
                }
                at += 1 + keys;
            } else if joins && left >= 2 && is("aggregate") {
                options.aggregate = parse_aggregate(words.at(at + 1))?;
                at += 2;
            } else if purpose == Purpose::Reply && is("withscores") {
                options.with_scores = true;
                at += 1;
            } else if purpose == Purpose::Count && left >= 2 && is("limit") {
                let limit = parse_at_least(words.at(at + 1), 0, "ERR LIMIT can't be negative")?;
                options.limit = if limit == 0 { usize::MAX } else { limit };
                at += 2;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

fn parse_aggregate(word: &[u8]) -> Result<Aggregate, CommandError> {
    let names = [
        ("sum", Aggregate::Sum),
        ("min", Aggregate::Minimum),
        ("max", Aggregate::Maximum),
        ("count", Aggregate::Count),
    ];
    let found = names.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, aggregate)| *aggregate).ok_or(CommandError::SYNTAX)
}

/// What an operation can make of a value, if it can.
fn collection_of(stored: Stored<'_>) -> Option<Collection<'_>> {
    let set = || SetRef::of(stored).map(Collection::Set);
    SortedSetRef::of(stored).map(Collection::SortedSet).or_else(set)
}

/// Looks all keys up, so that expired ones are removed and all uses are noted. Errors: one of the values is of a type
/// that is neither.
fn look_up(keyspace: &mut Keyspace, database: usize, keys: Args<'_>, count: usize) -> CommandResult {
    for key in keys.iter().take(count) {
        keyspace.read_with(database, key, |record| {
            let stored = record.map(|record| record.value().stored());
            match stored.map(collection_of) {
                Some(None) => Err(CommandError::WRONG_TYPE),
                Some(Some(_)) | None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// The values of keys that were looked up, with their weights.
fn sources<'a>(keyspace: &'a Keyspace, database: usize, keys: Args<'_>, weights: &[f64]) -> Vec<Source<'a>> {
    let horizon_ms = keyspace.read_horizon_ms();
    let source = |(key, weight): (&[u8], &f64)| {
        let record = keyspace.database(database).get(keyspace.hash(key), key);
        let record = record.filter(|record| !record.is_due(horizon_ms));
        let collection = record.map(Record::value).map(|value| value.stored());
        let collection = collection.and_then(collection_of);
        Source { collection: collection.unwrap_or(Collection::Absent), weight: *weight }
    };
    keys.iter().zip(weights).map(source).collect()
}

fn run(context: &mut Context<'_>, args: Args<'_>, operation: Operation, purpose: Purpose) -> CommandResult {
    let number_at = purpose.number_at();
    let count = parse_i64(args.at(number_at)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        let name = context.command_name();
        return Err(CommandError::new(format!("ERR at least 1 input key is needed for '{name}' command")));
    };
    let keys = args.slice_from(number_at + 1);
    if count > keys.len() {
        return Err(CommandError::SYNTAX);
    }
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    look_up(keyspace, database, keys, count)?;
    let options = Options::parse(keys.slice_from(count), count, operation, purpose)?;
    let mut sources = sources(keyspace, database, keys, &options.weights);
    if purpose == Purpose::Count {
        let count = intersection_size(&mut sources, options.limit, keyspace.seed());
        reply.integer(count as i64);
        return Ok(());
    }
    let seed = keyspace.seed();
    let mut result: Builder = match operation {
        Operation::Union => union(&mut sources, options.aggregate, seed),
        Operation::Intersection => intersection(&mut sources, options.aggregate, seed),
        Operation::Difference => difference(&sources, seed),
    };
    let length = result.len();
    if let Purpose::Store(event) = purpose {
        let value = (length > 0).then(|| result.finish(limits));
        store(keyspace, database, args.at(1), value, event);
        reply.integer(length as i64);
        return Ok(());
    }
    begin_elements(reply, length, options.with_scores);
    for (member, score) in result.sorted() {
        reply_element(reply, member, score, options.with_scores);
    }
    Ok(())
}

pub(super) fn zdiff(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Operation::Difference, Purpose::Reply)
}

pub(super) fn zdiffstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let purpose = Purpose::Store("zdiffstore");
    run(context, args, Operation::Difference, purpose)
}

pub(super) fn zinter(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Operation::Intersection, Purpose::Reply)
}

pub(super) fn zintercard(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Operation::Intersection, Purpose::Count)
}

pub(super) fn zinterstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let purpose = Purpose::Store("zinterstore");
    run(context, args, Operation::Intersection, purpose)
}

pub(super) fn zunion(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Operation::Union, Purpose::Reply)
}

pub(super) fn zunionstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let purpose = Purpose::Store("zunionstore");
    run(context, args, Operation::Union, purpose)
}
