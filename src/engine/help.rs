//! HELP of the commands that have subcommands: written from what the subcommands declare.

use crate::command::arguments::{Argument, ArgumentKind};
use crate::command::error::CommandResult;
use crate::command::registry::{Command, Registry};
use crate::command::spec::{Declaration, Flag, Group};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

/// The declaration of a container's HELP.
pub const fn subcommand(group: Group, since: &'static str) -> CommandSpec {
    CommandSpec::new("help", 2, group, since, help)
        .flags(&[Flag::Loading, Flag::Stale])
        .summary("Lists the subcommands and what they do.")
}

/// Replies with the subcommands' syntax and summaries.
pub fn help(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let commands = &context.state.commands;
    let command = commands.get(context.command);
    let container = command.parent.map_or(command, |id| commands.get(id));
    let lines = lines(commands, container);
    reply_help(context, &lines);
    Ok(())
}

/// Replies with a HELP text: a title made of the command's name, the lines, and HELP itself. A line
/// is a subcommand's syntax, or, when it begins with four blanks, a part of its description.
pub fn reply_help(context: &mut Context<'_>, lines: &[impl AsRef<str>]) {
    let commands = &context.state.commands;
    let command = commands.get(context.command);
    let container = command.parent.map_or(command, |id| commands.get(id));
    let name = container.spec.name.to_ascii_uppercase();
    let reply = &mut *context.reply;
    reply.array(lines.len() + 3);
    reply.simple(format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| reply.simple(line.as_ref()));
    reply.simple("HELP");
    reply.simple("    Prints this help.");
}

/// Syntax and summary of every subcommand but HELP.
fn lines(commands: &Registry, container: &Command) -> Vec<String> {
    let mut lines = Vec::new();
    if container.accepts(1) {
        lines.push("(no subcommand)".to_string());
        lines.push(format!("    {}", container.spec.summary));
    }
    let subcommands = container.subcommands.iter().map(|id| commands.get(*id).spec);
    for spec in subcommands.filter(|spec| spec.name != "help") {
        lines.push(syntax(spec));
        lines.push(format!("    {}", spec.summary));
    }
    lines
}

/// A command's name and arguments, as in `USAGE <key> [SAMPLES <count>]`.
pub fn syntax(spec: &Declaration) -> String {
    let mut text = spec.name.to_ascii_uppercase();
    for argument in &spec.argument_list() {
        text.push(' ');
        write_argument(argument, &mut text);
    }
    text
}

/// One argument in its place in a list: in brackets if it may be left out.
fn write_argument(argument: &Argument, text: &mut String) {
    text.push_str(if argument.is_optional { "[" } else { "" });
    write_bare(argument, text);
    text.push_str(if argument.is_optional { "]" } else { "" });
}

/// One argument as often as it may stand.
fn write_bare(argument: &Argument, text: &mut String) {
    write_token(argument, text);
    write_value(argument, text);
    if !argument.is_multiple {
        return;
    }
    if argument.token.is_none() && argument.is_optional {
        text.push_str(" ...");
    } else if argument.kind == ArgumentKind::OneOf {
        text.push_str(" [...]");
    } else {
        text.push_str(" [");
        if argument.is_token_multiple {
            write_token(argument, text);
        }
        write_value(argument, text);
        text.push_str(" ...]");
    }
}

fn write_token(argument: &Argument, text: &mut String) {
    let Some(token) = argument.token else { return };
    text.push_str(if token.is_empty() { "\"\"" } else { token });
    if argument.kind != ArgumentKind::PureToken {
        text.push(' ');
    }
}

fn write_value(argument: &Argument, text: &mut String) {
    let inner = &argument.arguments;
    match argument.kind {
        ArgumentKind::PureToken => {}
        ArgumentKind::Block => write_list(inner, " ", write_argument, text),
        ArgumentKind::OneOf => {
            // In an option's own brackets the alternatives need no others.
            let is_bare = argument.is_optional && !argument.is_multiple && argument.token.is_none();
            text.push_str(if is_bare { "" } else { "(" });
            write_list(inner, "|", write_bare, text);
            text.push_str(if is_bare { "" } else { ")" });
        }
        _ => {
            text.push('<');
            text.push_str(argument.display.unwrap_or(&argument.name));
            text.push('>');
        }
    }
}

fn write_list(arguments: &[Argument], separator: &str, write: fn(&Argument, &mut String), text: &mut String) {
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        write(argument, text);
    }
}
