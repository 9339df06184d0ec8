//! CLIENT TRACKING and its kin: what a client caches, and how it is told that it must not.

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::engine::tracking::{Tracker, TrackingMode, TrackingOptions};
use crate::resp::Args;
use crate::resp::number;

pub(crate) fn caching(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let id = context.session.id;
    let Some(tracker) = context.state.tracking.tracker_mut(id) else {
        return Err(CommandError::fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    let word = args.at(2);
    if word.eq_ignore_ascii_case(b"yes") {
        if tracker.mode != TrackingMode::OptIn {
            return Err(CommandError::fixed(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
    } else if word.eq_ignore_ascii_case(b"no") {
        if tracker.mode != TrackingMode::OptOut {
            return Err(CommandError::fixed(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
    } else {
        return Err(CommandError::SYNTAX);
    }
    tracker.caching = true;
    context.reply.ok();
    Ok(())
}

/// 0: the client itself; -1: it does not track.
pub(crate) fn getredir(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let redirect = redirect(context);
    context.reply.integer(redirect);
    Ok(())
}

fn redirect(context: &Context<'_>) -> i64 {
    redirect_of(context.state.tracking.tracker(context.session.id))
}

/// The client that is told in a client's place, as replies show it.
pub(crate) fn redirect_of(tracker: Option<&Tracker>) -> i64 {
    tracker.map_or(-1, |tracker| tracker.redirect.map_or(0, |id| id as i64))
}

pub(crate) fn tracking(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = parse_options(context, args)?;
    let (id, token) = (context.session.id, context.session.token);
    let status = args.at(2);
    if status.eq_ignore_ascii_case(b"on") {
        let options = check_options(context.state.tracking.tracker(id), options)?;
        context.session.tracking_bytes += context.state.tracking.enable(id, token, options);
        context.session.is_tracking = true;
    } else if status.eq_ignore_ascii_case(b"off") {
        context.state.tracking.disable(id);
        context.session.is_tracking = false;
        context.session.tracking_bytes = 0;
    } else {
        return Err(CommandError::SYNTAX);
    }
    context.state.observe_changes();
    context.reply.ok();
    Ok(())
}

/// The options as they are given, which may contradict each other.
#[derive(Default)]
struct Given {
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    redirect: Option<u64>,
    prefixes: Vec<Vec<u8>>,
}

fn parse_options(context: &Context<'_>, args: Args<'_>) -> Result<Given, CommandError> {
    let mut given = Given::default();
    let mut index = 3;
    while let Some(option) = args.get(index) {
        match (option.to_ascii_lowercase().as_slice(), args.get(index + 1)) {
            (b"redirect", Some(id)) => {
                given.redirect = Some(parse_redirect(context, given.redirect, id)?);
                index += 1;
            }
            (b"prefix", Some(prefix)) => {
                given.prefixes.push(prefix.to_vec());
                index += 1;
            }
            (b"bcast", _) => given.broadcast = true,
            (b"optin", _) => given.opt_in = true,
            (b"optout", _) => given.opt_out = true,
            (b"noloop", _) => given.no_loop = true,
            _ => return Err(CommandError::SYNTAX),
        }
        index += 1;
    }
    Ok(given)
}

/// The client must be there now, even if it may leave later.
fn parse_redirect(context: &Context<'_>, before: Option<u64>, id: &[u8]) -> Result<u64, CommandError> {
    if before.is_some() {
        return Err(CommandError::fixed("ERR A client can only redirect to a single other client"));
    }
    let id = number::parse_i64(id).ok_or(CommandError::NOT_AN_INTEGER)?;
    let id = u64::try_from(id).ok();
    id.filter(|id| context.state.clients.find(*id).is_some())
        .ok_or(CommandError::fixed("ERR The client ID you want redirect to does not exist"))
}

/// What is asked for, if it makes sense by itself and after what the client has asked for before.
fn check_options(before: Option<&Tracker>, given: Given) -> Result<TrackingOptions, CommandError> {
    let fail = |text| Err(CommandError::fixed(text));
    if !given.broadcast && !given.prefixes.is_empty() {
        return fail("ERR PREFIX option requires BCAST mode to be enabled");
    }
    let was = before.map(|before| before.mode);
    if was.is_some_and(|was| (was == TrackingMode::Broadcast) != given.broadcast) {
        return fail(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, \
             and then re-enabling it with a different mode.",
        );
    }
    if given.broadcast && (given.opt_in || given.opt_out) {
        return fail("ERR OPTIN and OPTOUT are not compatible with BCAST");
    }
    if given.opt_in && given.opt_out {
        return fail("ERR You can't specify both OPTIN mode and OPTOUT mode");
    }
    if given.opt_in && was == Some(TrackingMode::OptOut) || given.opt_out && was == Some(TrackingMode::OptIn) {
        return fail(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, \
             and then re-enabling it with a different mode.",
        );
    }
    check_prefixes(before, &given.prefixes)?;
    let mode = match given {
        Given { broadcast: true, .. } => TrackingMode::Broadcast,
        Given { opt_in: true, .. } => TrackingMode::OptIn,
        Given { opt_out: true, .. } => TrackingMode::OptOut,
        _ => TrackingMode::All,
    };
    Ok(TrackingOptions { mode, no_loop: given.no_loop, redirect: given.redirect, prefixes: given.prefixes })
}

/// No key may begin with two of a client's prefixes, or it would be told twice.
fn check_prefixes(before: Option<&Tracker>, prefixes: &[Vec<u8>]) -> CommandResult {
    let overlap = |prefix: &[u8], kind: &str, other: &[u8]| {
        let (prefix, other) = (String::from_utf8_lossy(prefix), String::from_utf8_lossy(other));
        Err(CommandError::new(format!(
            "ERR Prefix '{prefix}' overlaps with {kind} prefix '{other}'. \
             Prefixes for a single client must not overlap."
        )))
    };
    let overlaps = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    for (index, prefix) in prefixes.iter().enumerate() {
        let existing = before.map(|before| &before.prefixes).into_iter().flatten();
        for other in existing {
            if overlaps(prefix, other) {
                return overlap(prefix, "an existing", other);
            }
        }
        for other in &prefixes[index + 1..] {
            if overlaps(prefix, other) {
                return overlap(prefix, "another provided", other);
            }
        }
    }
    Ok(())
}

pub(crate) fn trackinginfo(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let redirect = redirect(context);
    let Context { state, session, reply, .. } = context;
    let tracker = state.tracking.tracker(session.id);
    let mode = tracker.map(|tracker| tracker.mode);
    let is = |wanted| mode == Some(wanted);
    let caching = tracker.is_some_and(|tracker| tracker.caching);
    let flags: Vec<&str> = [
        (tracker.is_none(), "off"),
        (tracker.is_some(), "on"),
        (is(TrackingMode::Broadcast), "bcast"),
        (is(TrackingMode::OptIn), "optin"),
        (is(TrackingMode::OptIn) && caching, "caching-yes"),
        (is(TrackingMode::OptOut), "optout"),
        (is(TrackingMode::OptOut) && caching, "caching-no"),
        (tracker.is_some_and(|tracker| tracker.no_loop), "noloop"),
        (tracker.is_some_and(|tracker| tracker.is_broken), "broken_redirect"),
    ]
    .iter()
    .filter_map(|(applies, flag)| applies.then_some(*flag))
    .collect();
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirect);
    reply.bulk(b"prefixes");
    let prefixes = tracker.map(|tracker| &tracker.prefixes);
    reply.array(prefixes.map_or(0, |prefixes| prefixes.len()));
    for prefix in prefixes.into_iter().flatten() {
        reply.bulk(prefix);
    }
    Ok(())
}
