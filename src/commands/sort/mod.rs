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

use crate::command::keys::KeyAccess;
use crate::command::spec::{
    Argument, ArgumentFlag, ArgumentKind, Begin, Category, CommandSpec, Find, Flag, Group, KeyFlag,
    KeySpec,
};
use crate::command::{Args, CommandError, CommandResult, Context};
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Reply;
use crate::types::list::{Limits, ListBuilder};

use super::lists;
use elements::Elements;
use options::{Options, Permissions};
use patterns::Subject;

const READ: &[KeyFlag] = &[KeyFlag::Ro, KeyFlag::Access];

const BY_AND_GET: KeySpec = KeySpec {
    flags: READ,
    begin: Begin::Unknown,
    find: Find::Unknown,
    ..KeySpec::one(READ, 1)
}
.note("BY and GET make up names of keys from the elements that are sorted");

const DESTINATION: KeySpec = KeySpec {
    flags: &[KeyFlag::Ow, KeyFlag::Update],
    begin: Begin::Unknown,
    find: Find::Unknown,
    ..KeySpec::one(READ, 1)
}
.note("STORE may stand anywhere among the options");

const CATEGORIES: &[Category] = &[
    Category::Set,
    Category::SortedSet,
    Category::List,
    Category::Dangerous,
];

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements and M the number of those returned; O(N) if they are not sorted.";

const BY: Argument = Argument::new("by-pattern", ArgumentKind::Pattern)
    .in_key_spec(1)
    .after("BY")
    .shown_as("pattern")
    .optional();

const GET_FLAGS: &[ArgumentFlag] = &[
    ArgumentFlag::Optional,
    ArgumentFlag::Multiple,
    ArgumentFlag::MultipleToken,
];

const GET: Argument = Argument::new("get-pattern", ArgumentKind::Pattern)
    .in_key_spec(1)
    .after("GET")
    .shown_as("pattern")
    .flags(GET_FLAGS);

const LIMIT: Argument = Argument::block(
    "limit",
    &[
        Argument::new("offset", ArgumentKind::Integer),
        Argument::new("count", ArgumentKind::Integer),
    ],
)
.after("LIMIT")
.optional();

const ORDER: Argument = Argument::one_of(
    "order",
    &[
        Argument::token("asc", "ASC"),
        Argument::token("desc", "DESC"),
    ],
)
.optional();

/// The commands that sort.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "sort",
        arity: -2,
        flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
        categories: CATEGORIES,
        keys: &[KeySpec::one(READ, 1), BY_AND_GET, DESTINATION],
        find_keys: Some(options::find_keys),
        group: Group::Generic,
        since: "1.0.0",
        complexity: COMPLEXITY,
        summary: "Sorts the elements of a list, a set or a sorted set; gives or stores them.",
        arguments: &[
            Argument::key("key", 0),
            BY,
            LIMIT,
            GET,
            ORDER,
            Argument::token("sorting", "ALPHA").optional(),
            Argument::key("destination", 2).after("STORE").optional(),
        ],
        handler: sort,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "sort_ro",
        arity: -2,
        flags: &[Flag::ReadOnly, Flag::MovableKeys],
        categories: CATEGORIES,
        keys: &[KeySpec::one(READ, 1), BY_AND_GET],
        find_keys: Some(options::find_key),
        group: Group::Generic,
        since: "7.0.0",
        complexity: COMPLEXITY,
        summary: "Gives the sorted elements of a list, a set or a sorted set.",
        arguments: &[
            Argument::key("key", 0),
            BY,
            LIMIT,
            GET,
            ORDER,
            Argument::token("sorting", "ALPHA").optional(),
        ],
        handler: sort_ro,
        ..CommandSpec::DEFAULT
    },
];

fn sort(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, true)
}

fn sort_ro(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, false)
}

fn run(context: &mut Context<'_>, args: Args<'_>, may_store: bool) -> CommandResult {
    let command = context.instance.commands.get(context.command);
    let user = &context.session.user;
    let permissions = Permissions {
        may_store,
        may_read_all: user.may_use_all_keys(command, args, KeyAccess::READ),
    };
    let mut options = Options::parse(args, permissions)?;
    let limits = lists::limits(context.instance);
    let is_script = context.session.is_script();
    let (keyspace, database, reply) = context.parts();
    let (elements, range) = {
        let record = keyspace.read(database, args.at(1));
        let subject = record
            .map(|record| Subject::of(record).ok_or(CommandError::WRONG_TYPE))
            .transpose()?;
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
            let count = store(
                keyspace,
                database,
                destination,
                &elements,
                chosen,
                &options,
                &limits,
            );
            reply.integer(count as i64);
        }
    }
    Ok(())
}

fn answer(
    keyspace: &mut Keyspace,
    database: usize,
    reply: &mut Reply,
    element: &[u8],
    options: &Options<'_>,
) {
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
        keyspace
            .changes
            .notify(EventClass::List, "sortstore", database, destination);
    } else if keyspace.remove(database, destination) {
        keyspace
            .changes
            .notify(EventClass::Generic, "del", database, destination);
    }
    count
}
