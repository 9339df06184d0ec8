//! COMMAND: what the server tells about its own commands, all of it read off the registry.

use crate::command::arguments::{Argument, ArgumentKind};
use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::{self, KeyReference};
use crate::command::registry::{Command, Registry};
use crate::command::spec::{Begin, Category, CommandSpec, Find, Flag, Group, KeyFlag, KeySpec};
use crate::engine::context::Context;
use crate::engine::help;
use crate::resp::Args;
use crate::resp::Reply;
use crate::text::glob::{Case, glob_match};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("command", -1, Group::Server, "2.8.13", command)
    .flags(&[Flag::Loading, Flag::Stale])
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output_order"])
    .complexity("O(N) with N commands")
    .summary("Tells the facts of every command.")
    .subcommands(&[
        CommandSpec::new("count", 2, Group::Server, "2.8.13", count)
            .flags(&[Flag::Loading, Flag::Stale])
            .categories(&[Category::Connection])
            .summary("Tells how many commands there are."),
        CommandSpec::new("docs", -2, Group::Server, "7.0.0", docs)
            .flags(&[Flag::Loading, Flag::Stale])
            .categories(&[Category::Connection])
            .tips(&["nondeterministic_output_order"])
            .complexity("O(N) with N commands")
            .summary("Documents the commands named, or every one.")
            .arguments("[command-name...]"),
        CommandSpec::new("getkeys", -3, Group::Server, "2.8.13", getkeys)
            .flags(&[Flag::Loading, Flag::Stale])
            .categories(&[Category::Connection])
            .complexity("O(N) with N arguments")
            .summary("Tells which keys a request names.")
            .arguments("command [arg...]"),
        CommandSpec::new("getkeysandflags", -3, Group::Server, "7.0.0", getkeysandflags)
            .flags(&[Flag::Loading, Flag::Stale])
            .categories(&[Category::Connection])
            .complexity("O(N) with N arguments")
            .summary("Tells which keys a request names and what it does to each.")
            .arguments("command [arg...]"),
        help::subcommand(Group::Server, "5.0.0").categories(&[Category::Connection]),
        CommandSpec::new("info", -2, Group::Server, "2.8.13", info)
            .flags(&[Flag::Loading, Flag::Stale])
            .categories(&[Category::Connection])
            .tips(&["nondeterministic_output_order"])
            .complexity("O(N) with N commands")
            .summary("Tells the facts of the commands named, or of every one.")
            .history(&[("7.0.0", "No name at all asks for every command.")])
            .arguments("[command-name...]"),
        CommandSpec::new("list", -2, Group::Server, "7.0.0", list)
            .flags(&[Flag::Loading, Flag::Stale])
            .categories(&[Category::Connection])
            .tips(&["nondeterministic_output_order"])
            .complexity("O(N) with N commands")
            .summary("Lists the names of all commands, or of those that a filter lets through.")
            .arguments("[FILTERBY (MODULE module-name|ACLCAT category|PATTERN pattern:pattern)]"),
    ])];

fn command(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let (registry, reply) = (&context.state.commands, &mut *context.reply);
    reply.array(registry.names().count());
    registry.names().for_each(|(_, id)| write_info(registry, registry.get(id), reply));
    Ok(())
}

fn count(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.integer(context.state.commands.names().count() as i64);
    Ok(())
}

fn docs(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (registry, reply) = (&context.state.commands, &mut *context.reply);
    let wanted: Vec<&Command> = if args.len() == 2 {
        registry.names().map(|(_, id)| registry.get(id)).collect()
    } else {
        args.slice_from(2).iter().filter_map(|name| registry.find_full(name)).collect()
    };
    reply.map(wanted.len());
    for command in wanted {
        reply.bulk(command.full_name.as_bytes());
        write_docs(registry, command, reply);
    }
    Ok(())
}

fn getkeys(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_keys(context, args, |reply, request, key| reply.bulk(request.at(key.index)))
}

fn getkeysandflags(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_keys(context, args, |reply, request, key| {
        reply.array(2);
        reply.bulk(request.at(key.index));
        write_words(reply, key.flags.iter().map(|flag| flag.name()));
    })
}

/// Replies with the keys of the request that the arguments hold, each written by `write`.
fn reply_keys(
    context: &mut Context<'_>,
    args: Args<'_>,
    write: impl Fn(&mut Reply, Args<'_>, &KeyReference),
) -> CommandResult {
    let request = args.slice_from(2);
    let found = context.state.commands.resolve_strictly(request.at(0), request.get(1));
    let command = found.ok_or(CommandError::fixed("ERR Invalid command specified"))?;
    if !keys::has_keys(command) {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    if !command.accepts(request.len()) {
        return Err(CommandError::fixed("ERR Invalid number of arguments specified for command"));
    }
    let found = keys::keys_of(command, request);
    if found.is_empty() && !keys::may_have_no_keys(command) {
        return Err(CommandError::fixed("ERR Invalid arguments specified for command"));
    }
    context.reply.array(found.len());
    found.iter().for_each(|key| write(context.reply, request, key));
    Ok(())
}

fn info(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() == 2 {
        return command(context, args);
    }
    let (registry, reply) = (&context.state.commands, &mut *context.reply);
    let names = args.slice_from(2);
    reply.array(names.len());
    for name in names.iter() {
        match registry.find_full(name) {
            Some(command) => write_info(registry, command, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

/// Which commands COMMAND LIST lists.
enum Filter<'a> {
    All,
    /// No command comes from a module here.
    Nothing,
    /// Those of the category with that number.
    Category(u32),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Filter<'a>, CommandError> {
        let is = |index: usize, word: &str| args[index].eq_ignore_ascii_case(word.as_bytes());
        if args.len() == 2 {
            return Ok(Filter::All);
        }
        if args.len() != 5 || !is(2, "FILTERBY") {
            return Err(CommandError::SYNTAX);
        }
        let value = args.at(4);
        if is(3, "MODULE") {
            Ok(Filter::Nothing)
        } else if is(3, "ACLCAT") {
            let mut categories = Category::ALL.iter();
            let found = categories.find(|(_, name)| value.eq_ignore_ascii_case(name.as_bytes()));
            Ok(found.map_or(Filter::Nothing, |(category, _)| Filter::Category(*category as u32)))
        } else if is(3, "PATTERN") {
            Ok(Filter::Pattern(value))
        } else {
            Err(CommandError::SYNTAX)
        }
    }

    fn lets_through(&self, command: &Command) -> bool {
        match self {
            Filter::All => true,
            Filter::Nothing => false,
            Filter::Category(number) => command.categories & (1 << number) != 0,
            Filter::Pattern(pattern) => glob_match(pattern, command.full_name.as_bytes(), Case::Insensitive),
        }
    }
}

fn list(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let filter = Filter::parse(args)?;
    let (registry, reply) = (&context.state.commands, &mut *context.reply);
    let place = reply.begin_deferred();
    let mut count = 0;
    for (_, id) in registry.names() {
        let command = registry.get(id);
        let subcommands = command.subcommands.iter().map(|id| registry.get(*id));
        for command in [command].into_iter().chain(subcommands) {
            if filter.lets_through(command) {
                reply.bulk(command.full_name.as_bytes());
                count += 1;
            }
        }
    }
    reply.end_deferred_array(place, count);
    Ok(())
}

/// The facts of one command, subcommands included.
fn write_info(registry: &Registry, command: &Command, reply: &mut Reply) {
    let spec = command.spec;
    reply.array(10);
    reply.bulk(command.full_name.as_bytes());
    reply.integer(spec.arity.into());
    let flags = Flag::REPORTED.iter().filter(|(flag, _)| command.flags.has(*flag));
    write_words(reply, flags.map(|(_, name)| *name));
    let keys = command.legacy_keys;
    for number in [keys.first, keys.last, keys.step] {
        reply.integer(number.into());
    }
    let categories = Category::ALL.iter();
    let categories = categories.filter(|(category, _)| command.categories & (1 << *category as u32) != 0);
    write_words(reply, categories.map(|(_, name)| format!("@{name}")));
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(spec.keys.len());
    spec.keys.iter().for_each(|key| write_key_spec(key, reply));
    match command.subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    command.subcommands.iter().for_each(|id| write_info(registry, registry.get(*id), reply));
}

fn write_words(reply: &mut Reply, words: impl Iterator<Item = impl AsRef<[u8]>>) {
    let place = reply.begin_deferred();
    let count = words.map(|word| reply.simple(word)).count();
    reply.end_deferred_set(place, count);
}

fn write_key_spec(key: &KeySpec, reply: &mut Reply) {
    reply.map(if key.notes.is_some() { 4 } else { 3 });
    if let Some(notes) = key.notes {
        reply.bulk(b"notes");
        reply.bulk(notes.as_bytes());
    }
    reply.bulk(b"flags");
    write_words(reply, key.flags.iter().map(|flag: &KeyFlag| flag.name()));
    reply.bulk(b"begin_search");
    match key.begin {
        Begin::Unknown => write_search(reply, "unknown", &[]),
        Begin::Index(index) => write_search(reply, "index", &[("index", index)]),
        Begin::Keyword { word, from } => {
            write_type(reply, "keyword");
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.integer(from.into());
        }
    }
    reply.bulk(b"find_keys");
    match key.find {
        Find::Unknown => write_search(reply, "unknown", &[]),
        Find::Range { last, step, limit } => {
            write_search(reply, "range", &[("lastkey", last), ("keystep", step), ("limit", limit)]);
        }
        Find::Count { index, first, step } => {
            write_search(reply, "keynum", &[("keynumidx", index), ("firstkey", first), ("keystep", step)]);
        }
    }
}

fn write_search(reply: &mut Reply, kind: &str, numbers: &[(&str, i32)]) {
    write_type(reply, kind);
    reply.map(numbers.len());
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer((*number).into());
    }
}

/// The first pair of a search and the name of the second.
fn write_type(reply: &mut Reply, kind: &str) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
}

/// The documentation of one command, subcommands included.
fn write_docs(registry: &Registry, command: &Command, reply: &mut Reply) {
    let spec = command.spec;
    let place = reply.begin_deferred();
    let mut pairs = 4;
    write_pair(reply, "summary", spec.summary);
    write_pair(reply, "since", spec.since);
    write_pair(reply, "group", spec.group.name());
    write_pair(reply, "complexity", spec.complexity);
    let marks =
        [spec.deprecated.as_ref().map(|_| "deprecated"), spec.flags.contains(&Flag::System).then_some("syscmd")];
    if marks.iter().any(Option::is_some) {
        pairs += 1;
        reply.bulk(b"doc_flags");
        write_words(reply, marks.into_iter().flatten());
    }
    if let Some(deprecation) = &spec.deprecated {
        pairs += 2;
        write_pair(reply, "deprecated_since", deprecation.since);
        write_pair(reply, "replaced_by", deprecation.replaced_by);
    }
    if !spec.history.is_empty() {
        pairs += 1;
        reply.bulk(b"history");
        reply.set(spec.history.len());
        for (version, change) in spec.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    if !spec.arguments.is_empty() {
        pairs += 1;
        reply.bulk(b"arguments");
        write_arguments(&spec.argument_list(), reply);
    }
    if !command.subcommands.is_empty() {
        pairs += 1;
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        for subcommand in command.subcommands.iter().map(|id| registry.get(*id)) {
            reply.bulk(subcommand.full_name.as_bytes());
            write_docs(registry, subcommand, reply);
        }
    }
    reply.end_deferred_map(place, pairs);
}

fn write_arguments(arguments: &[Argument], reply: &mut Reply) {
    reply.array(arguments.len());
    arguments.iter().for_each(|argument| write_argument(argument, reply));
}

fn write_argument(argument: &Argument, reply: &mut Reply) {
    let place = reply.begin_deferred();
    let is_group = matches!(argument.kind, ArgumentKind::OneOf | ArgumentKind::Block);
    let display = (!is_group).then(|| argument.display.unwrap_or(&argument.name));
    let mut pairs = 2;
    write_pair(reply, "name", &argument.name);
    write_pair(reply, "type", argument.kind.name());
    pairs += write_optional_pair(reply, "display_text", display);
    if let Some(number) = argument.key_spec {
        pairs += 1;
        reply.bulk(b"key_spec_index");
        reply.integer(number.into());
    }
    pairs += write_optional_pair(reply, "token", argument.token);
    pairs += write_optional_pair(reply, "since", argument.since);
    pairs += write_optional_pair(reply, "deprecated_since", argument.deprecated_since);
    if argument.flags().next().is_some() {
        pairs += 1;
        reply.bulk(b"flags");
        write_words(reply, argument.flags());
    }
    if is_group {
        pairs += 1;
        reply.bulk(b"arguments");
        write_arguments(&argument.arguments, reply);
    }
    reply.end_deferred_map(place, pairs);
}

fn write_pair(reply: &mut Reply, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

/// Writes the pair if there is a value; the number of pairs written.
fn write_optional_pair(reply: &mut Reply, name: &str, value: Option<&str>) -> usize {
    value.map_or(0, |value| {
        write_pair(reply, name, value);
        1
    })
}
