//! The server itself: INFO, TIME, SHUTDOWN, LOLWUT.

use crate::REDIS_VERSION;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, ArgumentFlag, ArgumentKind, Category, CommandSpec, Flag, Group};
use crate::drive::info;
use crate::drive::info::Selection;
use crate::drive::info::snapshot::InfoSnapshot;
use crate::drive::script::run;
use crate::engine::context::Context;
use crate::engine::session::Blocked;
use crate::engine::state::{LoopRequest, ShutdownOptions};
use crate::resp::Args;
use crate::resp::number;
use crate::scripting;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "info",
        arity: -1,
        flags: &[Flag::Loading, Flag::Stale],
        categories: &[Category::Dangerous],
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        group: Group::Server,
        summary: "Tells about the server and what it has counted, as text in sections.",
        history: &[("7.0.0", "Takes several sections.")],
        arguments: &[
            Argument::new("section", ArgumentKind::String).flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple])
        ],
        handler: show_info,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "lolwut",
        arity: -1,
        flags: &[Flag::ReadOnly, Flag::Fast],
        group: Group::Server,
        since: "5.0.0",
        summary: "Draws a picture and tells the version.",
        arguments: &[Argument::new("version", ArgumentKind::Integer).after("VERSION").optional()],
        handler: lolwut,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "shutdown",
        arity: -1,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::NoMulti, Flag::AllowBusy],
        group: Group::Server,
        complexity: "O(N) for N keys in all databases when saving, else O(1)",
        summary: "Saves the data as configured or asked for, and ends the server.",
        history: &[("7.0.0", "Has the options NOW, FORCE and ABORT.")],
        arguments: &[
            Argument::one_of("save-selector", &[Argument::token("nosave", "NOSAVE"), Argument::token("save", "SAVE")])
                .optional(),
            Argument::token("now", "NOW").optional().since("7.0.0"),
            Argument::token("force", "FORCE").optional().since("7.0.0"),
            Argument::token("abort", "ABORT").optional().since("7.0.0"),
        ],
        handler: shutdown,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "time",
        arity: 1,
        flags: &[Flag::Loading, Flag::Stale, Flag::Fast],
        tips: &["nondeterministic_output"],
        group: Group::Server,
        since: "2.6.0",
        summary: "Gives the server's time: seconds since 1970, and microseconds.",
        handler: time,
        ..CommandSpec::DEFAULT
    },
];

fn show_info(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let selection = Selection::of(args.iter().skip(1));
    let facts = InfoSnapshot::new(context.state, Some(context.session));
    let text = info::text(&facts, &selection);
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// A loop with an arrow head, and what runs round it.
const PICTURE: &str = "      .-''''''''-.
   .-'   poll     '-.
  /    .-'''''-.     \\
 |   .'         '.    |
 |   | flush     |    |
 |   |     serve |    |
 |   '.         .'    |
  \\    '-.   .-'     /
   '-.    >>       .-'
      '-........-'
";

/// The picture belongs to versions 5 and 6, which are asked for by number; any other gets the last line alone.
fn lolwut(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut drawn = true;
    if args.len() >= 3 && args[1].eq_ignore_ascii_case(b"version") {
        let version = number::parse_i64(&args[2]).and_then(|version| i32::try_from(version).ok());
        let version = version.ok_or(CommandError::NOT_AN_INTEGER)?;
        drawn = matches!(version, 5 | 6);
    }
    let picture = if drawn { PICTURE } else { "" };
    let gap = if drawn { "\n" } else { "" };
    let text = format!("{picture}{gap}Redis ver. {REDIS_VERSION}\n");
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn shutdown(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut options = ShutdownOptions::default();
    let mut abort = false;
    for word in args.iter().skip(1) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => options.no_save = true,
            b"save" => options.save = true,
            b"now" => options.now = true,
            b"force" => options.force = true,
            b"abort" => abort = true,
            _ => return Err(CommandError::SYNTAX),
        }
    }
    let alone = options == ShutdownOptions::default();
    if abort && !alone || options.save && options.no_save {
        return Err(CommandError::SYNTAX);
    }
    if abort {
        if !std::mem::take(&mut context.state.shutdown_scheduled) {
            return Err(CommandError::fixed("ERR No shutdown in progress."));
        }
        let request = LoopRequest::ForgetShutdown;
        context.state.requests.push(request);
        log::info!("Shutdown manually aborted.");
        context.reply.ok();
        return Ok(());
    }
    if let Some(kind) = context.state.scripting.busy()
        && !options.no_save
    {
        // What a script has done so far must not be saved.
        return Err(run::busy_error(kind));
    }
    let requester = Some(context.session.token);
    context.session.blocked = Some(Blocked::Shutdown);
    context.state.requests.push(LoopRequest::Shutdown { options, requester });
    Ok(())
}

fn time(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let now_us = context.state.clock.now_us();
    context.reply.array(2);
    context.reply.bulk((now_us / 1_000_000).to_string().as_bytes());
    context.reply.bulk((now_us % 1_000_000).to_string().as_bytes());
    Ok(())
}
