//! The server itself: INFO, TIME, SHUTDOWN, LOLWUT.

use crate::REDIS_VERSION;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::drive::info;
use crate::drive::info::Selection;
use crate::drive::info::snapshot::InfoSnapshot;
use crate::drive::key_sizes;
use crate::engine::state::program::CommandSpec;

use crate::engine::context::Context;
use crate::engine::loop_request::{LoopRequest, ShutdownOptions};
use crate::engine::session::Blocked;
use crate::resp::Args;
use crate::resp::number;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("info", -1, Group::Server, "1.0.0", show_info)
        .flags(&[Flag::Loading, Flag::Stale])
        .categories(&[Category::Dangerous])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .summary("Tells about the server and what it has counted, as text in sections.")
        .history(&[("7.0.0", "Takes several sections.")])
        .arguments("[section...]"),
    CommandSpec::new("lolwut", -1, Group::Server, "5.0.0", lolwut)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .summary("Draws a picture and tells the version.")
        .arguments("[VERSION version:integer]"),
    CommandSpec::new("shutdown", -1, Group::Server, "1.0.0", shutdown)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::NoMulti, Flag::AllowBusy])
        .complexity("O(N) for N keys in all databases when saving, else O(1)")
        .summary("Saves the data as configured or asked for, and ends the server.")
        .history(&[("7.0.0", "Has the options NOW, FORCE and ABORT."), ("9.0.0", "Has the options SAFE and FAILOVER.")])
        .arguments(
            "abort-selector=[save-selector-block={save-selector=[NOSAVE|SAVE] [NOW]@7.0.0 [FORCE]@7.0.0 [SAFE]@9.0.0 \
             [FAILOVER]@9.0.0}|ABORT@7.0.0]",
        ),
    CommandSpec::new("time", 1, Group::Server, "2.6.0", time)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .summary("Gives the server's time: seconds since 1970, and microseconds."),
];

fn show_info(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let selection = Selection::of(args.iter().skip(1));
    if selection.names("keysizes") && !key_sizes::are_few(&context.state.keyspace) {
        if context.may_block() && context.session.waiting.is_none() {
            context.block_on_key_sizes(args);
            return Ok(());
        }
        if context.session.waiting.is_none() {
            context.state.blocking.key_sizes.ask();
        }
    }
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
            b"safe" => options.safe = true,
            b"failover" => options.failover = true,
            b"abort" => abort = true,
            _ => return Err(CommandError::SYNTAX),
        }
    }
    let alone = options == ShutdownOptions::default();
    if abort && !alone || options.save && options.no_save {
        return Err(CommandError::SYNTAX);
    }
    if abort {
        let is_scheduled = std::mem::take(&mut context.state.shutdown_scheduled);
        if !is_scheduled && context.state.shutdown_due_ms.is_none() {
            return Err(CommandError::fixed("ERR No shutdown in progress."));
        }
        let request = LoopRequest::ForgetShutdown;
        context.state.requests.push(request);
        log::info!("Shutdown manually aborted.");
        context.reply.ok();
        return Ok(());
    }
    if options.failover && context.state.cluster.is_none() {
        return Err(CommandError::fixed("ERR SHUTDOWN FAILOVER is only supported in cluster mode."));
    }
    if let Some(kind) = context.state.scripting.busy()
        && !options.no_save
    {
        // What a script has done so far must not be saved.
        return Err(kind.busy_error());
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
