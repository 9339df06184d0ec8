//! FUNCTION: libraries of functions.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group};
use crate::drive::script::run;
use crate::engine::context::Context;
use crate::engine::help;
use crate::resp::Args;
use crate::resp::Reply;
use crate::scripting::Kind;
use crate::scripting::functions::{Libraries, RestorePolicy};
use crate::text::glob::{Case, glob_match};

use super::function_dump;
use super::scripts::check_mode;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("function", Group::Scripting, "7.0.0")
    .complexity("That of the subcommand.")
    .summary("Manages libraries of functions.")
    .subcommands(&[
        CommandSpec::new("delete", 3, Group::Scripting, "7.0.0", delete)
            .flags(&[Flag::Write, Flag::NoScript])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .summary("Removes a library with its functions.")
            .arguments("library-name"),
        CommandSpec::new("dump", 2, Group::Scripting, "7.0.0", dump)
            .flags(&[Flag::NoScript])
            .complexity("O(N) for N functions")
            .summary("Gives all libraries as bytes for RESTORE."),
        CommandSpec::new("flush", -2, Group::Scripting, "7.0.0", flush)
            .flags(&[Flag::Write, Flag::NoScript])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .complexity("O(N) for N functions")
            .summary("Removes all libraries.")
            .arguments("flush-type=[ASYNC|SYNC]"),
        help::subcommand(Group::Scripting, "7.0.0"),
        CommandSpec::new("kill", 2, Group::Scripting, "7.0.0", kill)
            .flags(&[Flag::NoScript, Flag::AllowBusy])
            .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
            .summary("Ends the function that runs."),
        CommandSpec::new("list", -2, Group::Scripting, "7.0.0", list)
            .flags(&[Flag::NoScript])
            .tips(&["nondeterministic_output_order"])
            .complexity("O(N) for N functions")
            .summary("Lists libraries with their functions.")
            .arguments("[LIBRARYNAME library-name-pattern] [WITHCODE]"),
        CommandSpec::new("load", -3, Group::Scripting, "7.0.0", load)
            .flags(&[Flag::Write, Flag::DenyOom, Flag::NoScript])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .complexity("O(1), but for compiling the code")
            .summary("Loads a library of functions.")
            .arguments("[REPLACE] function-code"),
        CommandSpec::new("restore", -3, Group::Scripting, "7.0.0", restore)
            .flags(&[Flag::Write, Flag::DenyOom, Flag::NoScript])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .complexity("O(N) for N functions in the bytes")
            .summary("Loads the libraries that DUMP gave.")
            .arguments("serialized-value policy=[FLUSH|APPEND|REPLACE]"),
        CommandSpec::new("stats", 2, Group::Scripting, "7.0.0", stats)
            .flags(&[Flag::NoScript, Flag::AllowBusy])
            .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
            .summary("Tells which function runs, and what engines there are."),
    ])];

fn delete(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if !context.state.scripting.delete_library(args.at(2)) {
        return Err(CommandError::fixed("ERR Library not found"));
    }
    changed(context);
    context.reply.ok();
    Ok(())
}

/// Counts a change of the libraries, which is to be saved and replicated as one of a key is.
fn changed(context: &mut Context<'_>) {
    context.state.keyspace.changes.count(1);
}

fn dump(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let bytes = function_dump::dump(&context.state.scripting.functions);
    context.reply.bulk_shared(&bytes.into());
    Ok(())
}

fn flush(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::unknown_subcommand("function", args.at(1)));
    }
    check_mode(args, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option")?;
    context.state.scripting.flush_functions();
    changed(context);
    context.reply.ok();
    Ok(())
}

fn kill(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    run::kill(context.state, Kind::Function)?;
    context.reply.ok();
    Ok(())
}

fn list(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (mut pattern, mut with_code) = (None, false);
    let mut words = args.iter().skip(2);
    while let Some(word) = words.next() {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            pattern = Some(words.next().ok_or(CommandError::fixed("ERR library name argument was not given"))?);
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(CommandError::new(format!("ERR Unknown argument {word}")));
        }
    }
    let matches = |name: &[u8]| match pattern {
        Some(pattern) => glob_match(pattern, name, Case::Insensitive),
        None => true,
    };
    let place = context.reply.begin_deferred();
    let mut count = 0;
    let functions = &context.state.scripting.functions;
    for (name, library) in functions.iter().filter(|(name, _)| matches(name)) {
        count += 1;
        context.reply.map(if with_code { 4 } else { 3 });
        context.reply.bulk(b"library_name");
        context.reply.bulk(name);
        context.reply.bulk(b"engine");
        context.reply.bulk(b"LUA");
        context.reply.bulk(b"functions");
        context.reply.array(library.functions.len());
        for function in &library.functions {
            list_function(context.reply, functions, function);
        }
        if with_code {
            context.reply.bulk(b"library_code");
            context.reply.bulk(&library.code);
        }
    }
    context.reply.end_deferred_array(place, count);
    Ok(())
}

fn list_function(reply: &mut Reply, functions: &Libraries, name: &[u8]) {
    let Some(function) = functions.find(name) else {
        return;
    };
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(name);
    reply.bulk(b"description");
    match &function.description {
        Some(description) => reply.bulk(description),
        None => reply.null(),
    }
    reply.bulk(b"flags");
    let flags = function.flags.names();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
}

fn load(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let last = args.len() - 1;
    let mut replaces = false;
    for word in args.iter().take(last).skip(2) {
        if !word.eq_ignore_ascii_case(b"replace") {
            let word = String::from_utf8_lossy(word);
            return Err(CommandError::new(format!("ERR Unknown option given: {word}")));
        }
        replaces = true;
    }
    let state = &mut *context.state;
    let name = state.scripting.load_library(&state.clock, args.at(last), replaces)?;
    changed(context);
    context.reply.bulk(&name);
    Ok(())
}

fn restore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 4 {
        return Err(CommandError::unknown_subcommand("function", args.at(1)));
    }
    let policy = match args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"append") => RestorePolicy::Append,
        Some(b"flush") => RestorePolicy::Flush,
        Some(b"replace") => RestorePolicy::Replace,
        Some(_) => {
            return Err(CommandError::fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let codes = function_dump::read(context.state, args.at(2))?;
    let state = &mut *context.state;
    state.scripting.restore_libraries(&state.clock, &codes, policy)?;
    changed(context);
    context.reply.ok();
    Ok(())
}

fn stats(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let state = &*context.state;
    if state.scripting.busy() == Some(Kind::Script) {
        return Err(run::busy_error(Kind::Script));
    }
    let reply = &mut *context.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match &state.scripting.suspended {
        None => reply.null(),
        Some(suspended) => {
            let request = suspended.request.as_args();
            let elapsed = state.clock.ticks().saturating_sub(suspended.run.started);
            let elapsed_ms = state.clock.ticks_as_nanos(elapsed) / 1_000_000;
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(suspended.run.name.as_bytes());
            reply.bulk(b"command");
            reply.array(request.len());
            request.iter().for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.integer(elapsed_ms as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.integer(state.scripting.functions.len() as i64);
    reply.bulk(b"functions_count");
    reply.integer(state.scripting.functions.functions() as i64);
    Ok(())
}
