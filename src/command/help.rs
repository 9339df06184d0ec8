//! The replies of the HELP subcommands.

use super::Context;

/// Replies with what a container's subcommands do: lines as HELP shows them, without those that every HELP has.
pub fn reply_help(context: &mut Context<'_>, lines: &[&str]) {
    let container = context.command_name().split('|').next().unwrap_or_default();
    let title = format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.to_ascii_uppercase()
    );
    context.reply.array(lines.len() + 3);
    context.reply.simple(title);
    for line in lines.iter().chain(&["HELP", "    Print this help."]) {
        context.reply.simple(line);
    }
}
