//! SORT and SORT_RO. Never changes what it sorts.
//!
//! ```text
//! options   what is asked for
//! elements  what is sorted, and by what weight
//! patterns  the other keys that BY and GET look up
//! ```

mod elements;
mod options;
mod patterns;

use crate::cluster::key_slot;
use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::KeyAccess;
use crate::command::spec::{Category, Flag, Group, KeySpec, OVERWRITE, READ};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::list::{Limits, ListBuilder};

use super::lists;
use elements::Elements;
use options::{Options, Permissions};
use patterns::Subject;

const BY_AND_GET: KeySpec =
    KeySpec::unknown(READ).note("BY and GET make up names of keys from the elements that are sorted");

const DESTINATION: KeySpec = KeySpec::unknown(OVERWRITE).note("STORE may stand anywhere among the options");

const CATEGORIES: &[Category] = &[Category::Set, Category::SortedSet, Category::List, Category::Dangerous];

const COMPLEXITY: &str =
    "O(N+M*log(M)) where N is the number of elements and M the number of those returned; O(N) if they are not sorted.";

/// The commands that sort.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("sort", -2, Group::Generic, "1.0.0", sort)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::MovableKeys])
        .categories(CATEGORIES)
        .keys(&[KeySpec::one(READ, 1), BY_AND_GET, DESTINATION])
        .find_keys(options::find_keys)
        .complexity(COMPLEXITY)
        .summary("Sorts the elements of a list, a set or a sorted set; gives or stores them.")
        .arguments(
            "key [BY by-pattern<pattern>:pattern#1] [LIMIT {offset:integer count:integer}] \
             [GET get-pattern<pattern>:pattern#1]... order=[ASC|DESC] [sorting=ALPHA] [STORE destination#2]",
        ),
    CommandSpec::new("sort_ro", -2, Group::Generic, "7.0.0", sort_ro)
        .flags(&[Flag::ReadOnly, Flag::MovableKeys])
        .categories(CATEGORIES)
        .keys(&[KeySpec::one(READ, 1), BY_AND_GET])
        .find_keys(options::find_key)
        .complexity(COMPLEXITY)
        .summary("Gives the sorted elements of a list, a set or a sorted set.")
        .arguments(
            "key [BY by-pattern<pattern>:pattern#1] [LIMIT {offset:integer count:integer}] \
             [GET get-pattern<pattern>:pattern#1]... order=[ASC|DESC] [sorting=ALPHA]",
        ),
];

fn sort(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, true)
}

fn sort_ro(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, false)
}

fn run(context: &mut Context<'_>, args: Args<'_>, may_store: bool) -> CommandResult {
    let command = context.state.commands.get(context.command);
    let user = &context.session.user;
    let may_read_all =
        user.may_use_all_keys(command, args, context.state.selection(context.session.database), KeyAccess::READ);
    let slot = context.state.cluster.as_ref().map(|_| key_slot(args.at(1)));
    let permissions = Permissions { may_store, may_read_all, slot };
    let mut options = Options::parse(args, permissions)?;
    let limits = lists::limits(context.state);
    let is_script = context.session.is_script();
    let (keyspace, database, reply) = context.parts();
    let (elements, range) = {
        let record = keyspace.read(database, args.at(1));
        let subject = record.map(|record| Subject::of(record).ok_or(CommandError::WRONG_TYPE)).transpose()?;
        options.settle_order_of(subject.as_ref(), is_script);
        elements::load(subject, &options)
    };
    let order = elements.order(keyspace, database, &options, &range)?;
    let chosen = &order[range];
    match options.destination {
        None => {
            let columns = options.get.len().max(1);
            reply.array(chosen.len() * columns);
            for element in chosen {
                answer(keyspace, database, reply, elements.get(*element), &options);
            }
        }
        Some(destination) => {
            let count = store(keyspace, database, destination, &elements, chosen, &options, &limits);
            reply.integer(count as i64);
        }
    }
    Ok(())
}

fn answer(keyspace: &mut Keyspace, database: usize, reply: &mut Reply, element: &[u8], options: &Options<'_>) {
    if options.get.is_empty() {
        return reply.bulk(element);
    }
    for pattern in &options.get {
        pattern.look_up(keyspace, database, element, |found| match found {
            Some(value) => reply.bulk(value),
            None => reply.null(),
        });
    }
}

/// Stores the chosen elements, or what was got for them, as a list; gives its length.
fn store(
    keyspace: &mut Keyspace,
    database: usize,
    destination: &[u8],
    elements: &Elements,
    chosen: &[usize],
    options: &Options<'_>,
    limits: &Limits,
) -> usize {
    let mut list = ListBuilder::new(limits);
    for element in chosen {
        let element = elements.get(*element);
        if options.get.is_empty() {
            list.push(&element);
        }
        for pattern in &options.get {
            pattern.look_up(keyspace, database, element, |found| {
                list.push(&found.unwrap_or_default());
            });
        }
    }
    let count = list.len();
    if count > 0 {
        keyspace.create(database, destination, list.finish());
        keyspace.modified_times(database, destination, count as u64);
        keyspace.changes.notify(EventClass::List, "sortstore", database, destination);
    } else if keyspace.remove(database, destination) {
        keyspace.changes.notify(EventClass::Generic, "del", database, destination);
    }
    count
}
