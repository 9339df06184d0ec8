//! DEBUG: for tests. One table of subcommands, from which HELP derives as well.
//!
//! Never on unless directive `enable-debug-command` allows it.

mod bus;
mod digest;
mod inspect;
mod lists;
mod protocol;
mod reload;
mod tables;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::base::sys::faults;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Targets;
use crate::keyspace::change_log::unit::encode;
use crate::resp::Args;
use crate::resp::number;

/// The family's command. It takes its subcommands apart by itself, so that COMMAND INFO shows none.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("debug", -2, Group::Server, "1.0.0", debug)
    .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Debug, Flag::System])
    .complexity("That of the subcommand.")
    .summary("Looks into the server, or harms it, for tests.")];

/// One subcommand.
struct Subcommand {
    name: &'static str,
    /// How many arguments may follow the name.
    arguments: RangeInclusive<usize>,
    /// The arguments as HELP shows them.
    syntax: &'static str,
    summary: &'static str,
    run: fn(&mut Context<'_>, Args<'_>) -> CommandResult,
}

const ANY: usize = usize::MAX;

static SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "change-repl-id",
        arguments: 0..=0,
        syntax: "",
        summary: "Take another replication id: replicas must start over.",
        run: change_replication_id,
    },
    Subcommand {
        name: "close-cluster-link-on-packet-drop",
        arguments: 1..=1,
        syntax: " <0|1>",
        summary: "Close the link of a node whose frame is ignored, or let it stay again.",
        run: bus::close_on_ignored,
    },
    Subcommand {
        name: "clusterlink",
        arguments: 3..=3,
        syntax: " KILL <to|from|all> <node-id>",
        summary: "Close the links of the cluster's bus to a node, from it, or both.",
        run: bus::kill_links,
    },
    Subcommand {
        name: "config-rewrite-force-all",
        arguments: 0..=0,
        syntax: "",
        summary: "Like CONFIG REWRITE, but with every setting, whether it has its default or not.",
        run: rewrite_all_settings,
    },
    Subcommand {
        name: "digest",
        arguments: 0..=0,
        syntax: "",
        summary: "Show a digest of all data.",
        run: digest::of_everything,
    },
    Subcommand {
        name: "digest-value",
        arguments: 0..=ANY,
        syntax: " <key> [<key> ...]",
        summary: "Show a digest of the value of each key.",
        run: digest::of_values,
    },
    Subcommand {
        name: "drop-cluster-packet-filter",
        arguments: 1..=1,
        syntax: " <packet-type>",
        summary: "Ignore frames of the cluster's bus of this type; a negative number ends it.",
        run: bus::ignore_frames,
    },
    Subcommand {
        name: "error",
        arguments: 1..=1,
        syntax: " <string>",
        summary: "Reply with an error of this text.",
        run: error,
    },
    Subcommand {
        name: "htstats",
        arguments: 1..=2,
        syntax: " <dbid> [full]",
        summary: "Tell how full the tables of a database are.",
        run: tables::of_database,
    },
    Subcommand {
        name: "htstats-key",
        arguments: 1..=2,
        syntax: " <key> [full]",
        summary: "Tell how full the table of a key's value is.",
        run: tables::of_key,
    },
    Subcommand {
        name: "leak",
        arguments: 1..=1,
        syntax: " <string>",
        summary: "Lose the memory of a copy of the string.",
        run: leak,
    },
    Subcommand {
        name: "log",
        arguments: 1..=1,
        syntax: " <message>",
        summary: "Write the message to the log.",
        run: log_message,
    },
    Subcommand {
        name: "object",
        arguments: 1..=2,
        syntax: " <key>",
        summary: "Tell how a value is stored.",
        run: inspect::object,
    },
    Subcommand { name: "panic", arguments: 0..=ANY, syntax: "", summary: "Crash by a failed check.", run: panic },
    Subcommand {
        name: "pause-cron",
        arguments: 1..=1,
        syntax: " <0|1>",
        summary: "Stop the periodic work, or let it go on.",
        run: pause_cron,
    },
    Subcommand {
        name: "populate",
        arguments: 1..=3,
        syntax: " <count> [<prefix>] [<size>]",
        summary: "Make string keys named <prefix>:<number> (key:<number>), of values this long.",
        run: inspect::populate,
    },
    Subcommand {
        name: "protocol",
        arguments: 1..=1,
        syntax: " <type>",
        summary: "Reply with a value of the type: string, integer, double, bignum, null, array, set, map, attrib, \
                  push, verbatim, true or false.",
        run: protocol::reply,
    },
    Subcommand {
        name: "quicklist-packed-threshold",
        arguments: 1..=1,
        syntax: " <size>",
        summary: "Give elements of lists a block of their own from this size on; 0: when they are larger than a block.",
        run: lists::set_large_bytes,
    },
    Subcommand {
        name: "loadaof",
        arguments: 0..=0,
        syntax: "",
        summary: "Forget the data and load the append-only file.",
        run: reload::load_append_only,
    },
    Subcommand {
        name: "aof-flush-sleep",
        arguments: 1..=1,
        syntax: " <microseconds>",
        summary: "Wait so long before each write to the append-only file.",
        run: reload::delay_writes,
    },
    Subcommand {
        name: "replicate",
        arguments: 1..=ANY,
        syntax: " <command> [<arg> ...]",
        summary: "Send the replicas a command without running it.",
        run: replicate,
    },
    Subcommand {
        name: "replybuffer",
        arguments: 2..=2,
        syntax: " <RESIZING <0|1>|PEAK-RESET-TIME <time>>",
        summary: "Let idle clients keep room for replies, or give it back again. The time changes nothing here.",
        run: set_reply_buffers,
    },
    Subcommand {
        name: "reload",
        arguments: 0..=3,
        syntax: " [NOSAVE] [NOFLUSH] [MERGE]",
        summary: "Save the data, forget them and load them again; without the first, without the second, or in addition to what \
                  is there.",
        run: reload::reload,
    },
    Subcommand {
        name: "segfault",
        arguments: 0..=ANY,
        syntax: "",
        summary: "Crash by a forbidden access to memory.",
        run: segmentation_fault,
    },
    Subcommand {
        name: "set-active-expire",
        arguments: 1..=1,
        syntax: " <0|1>",
        summary: "Stop removing expired keys that nobody accesses, or do it again.",
        run: set_active_expire,
    },
    Subcommand {
        name: "set-disable-deny-scripts",
        arguments: 1..=1,
        syntax: " <0|1>",
        summary: "Let scripts call every command, or refuse again what is not for them.",
        run: set_disable_deny_scripts,
    },
    Subcommand {
        name: "set-skip-checksum-validation",
        arguments: 1..=1,
        syntax: " <0|1>",
        summary: "Take payloads of RESTORE whose checksum is wrong, or refuse them again.",
        run: set_skip_checksum_validation,
    },
    Subcommand {
        name: "sleep",
        arguments: 1..=1,
        syntax: " <seconds>",
        summary: "Hold the loop for this long; decimals are allowed.",
        run: sleep,
    },
    Subcommand {
        name: "stringmatch-test",
        arguments: 0..=0,
        syntax: "",
        summary: "Try random patterns on random strings.",
        run: inspect::match_at_random,
    },
];

fn debug(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let name = args.at(1);
    if name.eq_ignore_ascii_case(b"help") && args.len() == 2 {
        let lines: Vec<String> = SUBCOMMANDS
            .iter()
            .flat_map(|subcommand| {
                let name = subcommand.name.to_ascii_uppercase();
                [format!("{name}{}", subcommand.syntax), format!("    {}", subcommand.summary)]
            })
            .collect();
        help::reply_help(context, &lines);
        return Ok(());
    }
    let given = args.len() - 2;
    let fits = |subcommand: &&Subcommand| {
        name.eq_ignore_ascii_case(subcommand.name.as_bytes()) && subcommand.arguments.contains(&given)
    };
    match SUBCOMMANDS.iter().find(fits) {
        Some(subcommand) => (subcommand.run)(context, args),
        None => Err(CommandError::unknown_subcommand("debug", name)),
    }
}

/// A number as C's `atoi` reads it: what does not look like one is 0.
fn lenient(text: &[u8]) -> i64 {
    let digits =
        text.iter().enumerate().take_while(|(index, byte)| byte.is_ascii_digit() || *index == 0 && **byte == b'-');
    let length = digits.count();
    number::parse_i64(&text[..length]).unwrap_or(0)
}

fn change_replication_id(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    log::info!("Changing replication IDs after receiving change-repl-id");
    let id = context.state.new_history_id();
    context.state.replication.identity.begin(id);
    context.reply.ok();
    Ok(())
}

fn replicate(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let words = args.slice_from(2);
    let mut command = Vec::new();
    encode(&mut command, words.len(), words.iter());
    context.state.keyspace.changes.propagation.log.append_raw(Targets::REPLICAS, &command);
    context.reply.ok();
    Ok(())
}

fn rewrite_all_settings(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let lines = super::config::state_lines(context);
    let path = context.state.process.config_file.as_deref();
    let written = match path {
        Some(path) => context.state.config.rewrite_all(path, &lines),
        None => Err(std::io::ErrorKind::NotFound.into()),
    };
    written.map_err(|error| {
        CommandError::new(format!("ERR CONFIG-REWRITE-FORCE-ALL failed: {}", crate::config::system_reason(&error)))
    })?;
    context.reply.ok();
    Ok(())
}

/// Not returned as an error: what was asked for is a reply, and does not count as a failure.
fn error(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.reply.error(args.at(2));
    Ok(())
}

fn leak(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Box::leak(Box::<[u8]>::from(args.at(2)));
    context.reply.ok();
    Ok(())
}

fn log_message(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    log::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
    context.reply.ok();
    Ok(())
}

fn panic(_context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    panic!("called by Unit Test");
}

fn pause_cron(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.state.debug.cron_paused = lenient(args.at(2)) != 0;
    context.reply.ok();
    Ok(())
}

fn set_reply_buffers(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.at(2).eq_ignore_ascii_case(b"resizing") {
        context.state.debug.reply_buffers_stay = lenient(args.at(3)) == 0;
    } else if !args.at(2).eq_ignore_ascii_case(b"peak-reset-time") {
        return Err(CommandError::unknown_subcommand("debug", args.at(1)));
    }
    context.reply.ok();
    Ok(())
}

fn segmentation_fault(_context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    faults::provoke_segmentation_fault();
    Err(CommandError::fixed("ERR the forbidden access to memory was let through"))
}

fn set_active_expire(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.state.keyspace.active_expiry = lenient(args.at(2)) != 0;
    context.reply.ok();
    Ok(())
}

fn set_disable_deny_scripts(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.state.scripting.allows_all = lenient(args.at(2)) != 0;
    context.reply.ok();
    Ok(())
}

fn set_skip_checksum_validation(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.state.serialization.skips_checksum = lenient(args.at(2)) != 0;
    context.reply.ok();
    Ok(())
}

fn sleep(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let seconds = number::parse_f64(args.at(2)).unwrap_or(0.0);
    if let Ok(duration) = Duration::try_from_secs_f64(seconds) {
        context.state.clock.sleep(duration);
        // What comes next, and how long this took, is seen in the light of the new time.
        context.state.refresh_clock();
    }
    context.reply.ok();
    Ok(())
}
