//! Subcommands that change nodes: MEET, FORGET, REPLICATE, FAILOVER, RESET, epochs.

use crate::cluster::member::{AdminError, Bump, FailoverMode, ResetMode};
use crate::command::error::{CommandError, CommandResult};
use crate::commands::cluster::{DISABLED, change, known, refused, text};
use crate::drive::cluster::{self, keys};
use crate::engine::context::Context;
use crate::engine::origin::Origin;
use crate::resp::Args;
use crate::resp::number::parse_i64;

pub(super) fn meet(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    if args.len() > 5 {
        return Err(CommandError::unknown_subcommand("cluster", args.at(1)));
    }
    let number = |index: usize, name: &str| {
        let text = text(args, index);
        parse_i64(args.at(index)).ok_or_else(|| CommandError::new(format!("ERR Invalid {name} port specified: {text}")))
    };
    let port = number(3, "base")?;
    let bus_port = if args.len() == 5 { Some(number(4, "bus")?) } else { None };
    let ip = text(args, 2);
    let invalid = || refused(AdminError::InvalidAddress { ip: ip.clone(), port: port.to_string() });
    let valid = |port: i64| u16::try_from(port).map_err(|_| invalid());
    let (port, bus_port) = (valid(port)?, bus_port.map(valid).transpose()?);
    change(context, |member, now| member.meet(&ip, port, bus_port, now))
}

pub(super) fn forget(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    change(context, |member, now| member.forget(&text(args, 2), now))
}

pub(super) fn replicate(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    if args.len() > 3 {
        let is_no_one = args.at(2).eq_ignore_ascii_case(b"no") && args.at(3).eq_ignore_ascii_case(b"one");
        if args.len() > 4 || !is_no_one {
            return Err(CommandError::unknown_subcommand("cluster", args.at(1)));
        }
        return change(context, |member, _| {
            member.leave_shard();
            Ok(())
        });
    }
    let is_empty = keys::are_none(context.state);
    change(context, |member, _| member.replicate(&text(args, 2), is_empty))
}

pub(super) fn fail_over(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    if context.session.origin == Origin::Primary {
        return take_order(context, args);
    }
    let mode = match args.get(2) {
        _ if args.len() > 3 => return Err(CommandError::unknown_subcommand("cluster", args.at(1))),
        None => FailoverMode::Plain,
        Some(word) if word.eq_ignore_ascii_case(b"force") => FailoverMode::Force,
        Some(word) if word.eq_ignore_ascii_case(b"takeover") => FailoverMode::Takeover,
        Some(_) => return Err(CommandError::SYNTAX),
    };
    change(context, |member, now| member.failover(mode, now))
}

/// The primary ends, and one of its replicas is to take over: CLUSTER FAILOVER FORCE REPLICAID id, in the stream.
fn take_order(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let is_order =
        args.len() == 5 && args.at(2).eq_ignore_ascii_case(b"force") && args.at(3).eq_ignore_ascii_case(b"replicaid");
    if !is_order {
        return Err(CommandError::SYNTAX);
    }
    if known(context)?.member.table().myself().id.to_string() != text(args, 4) {
        context.reply.ok();
        return Ok(());
    }
    change(context, |member, now| member.failover(FailoverMode::Force, now))
}

pub(super) fn reset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let mode = match args.get(2) {
        _ if args.len() > 3 => return Err(CommandError::unknown_subcommand("cluster", args.at(1))),
        None => ResetMode::Soft,
        Some(word) if word.eq_ignore_ascii_case(b"soft") => ResetMode::Soft,
        Some(word) if word.eq_ignore_ascii_case(b"hard") => ResetMode::Hard,
        Some(_) => return Err(CommandError::SYNTAX),
    };
    keys::finish_deletion(context.state);
    let has_keys = !keys::are_none(context.state);
    change(context, |member, _| member.reset(mode, has_keys))
}

pub(super) fn bump_epoch(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let bump = cluster::change(context.state, |member, _| member.bump_epoch()).ok_or(DISABLED)?;
    context.reply.simple(match bump {
        Bump::Bumped(epoch) => format!("BUMPED {epoch}"),
        Bump::Still(epoch) => format!("STILL {epoch}"),
    });
    Ok(())
}

pub(super) fn save_config(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    change(context, |member, _| {
        member.save_config();
        Ok(())
    })
}

pub(super) fn set_config_epoch(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let epoch = parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let epoch =
        u64::try_from(epoch).map_err(|_| CommandError::new(format!("ERR Invalid config epoch specified: {epoch}")))?;
    change(context, |member, _| member.set_config_epoch(epoch))
}
