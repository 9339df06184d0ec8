//! Subcommands that change slots: ADDSLOTS, DELSLOTS, FLUSHSLOTS, SETSLOT. Subcommands about the keys of a slot:
//! COUNTKEYSINSLOT, GETKEYSINSLOT, FLUSHSLOT.

use crate::cluster::member::SlotChange;
use crate::cluster::{SLOTS, SlotSet};
use crate::command::error::{CommandError, CommandResult};
use crate::command::timeout;
use crate::commands::cluster::{DISABLED, change, known, refused, text};
use crate::drive::cluster::keys;
use crate::engine::context::Context;
use crate::engine::origin::Origin;
use crate::engine::session::Token;
use crate::keyspace::Targets;
use crate::keyspace::change_log::unit::encode;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// A slot's number.
///
/// Errors: it is none.
pub(in crate::commands) fn parse_slot(text: &[u8]) -> Result<u16, CommandError> {
    let slot = parse_i64(text).and_then(|slot| u16::try_from(slot).ok()).filter(|slot| *slot < SLOTS);
    slot.ok_or(CommandError::fixed("ERR Invalid or out of range slot"))
}

fn insert(slots: &mut SlotSet, slot: u16) -> Result<(), CommandError> {
    match slots.insert(slot) {
        true => Ok(()),
        false => Err(CommandError::new(format!("ERR Slot {slot} specified multiple times"))),
    }
}

/// The slots that are named one by one. All are read first, since an error leaves everything as it was.
fn parse_slots(args: Args<'_>) -> Result<Vec<u16>, CommandError> {
    (2..args.len()).map(|index| parse_slot(args.at(index))).collect()
}

/// The slots of ranges.
fn parse_ranges(context: &Context<'_>, args: Args<'_>) -> Result<Vec<u16>, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::wrong_arity(context.command_name()));
    }
    let mut slots = Vec::new();
    for index in (2..args.len()).step_by(2) {
        let (first, last) = (parse_slot(args.at(index))?, parse_slot(args.at(index + 1))?);
        if first > last {
            return Err(CommandError::new(format!(
                "ERR start slot number {first} is greater than end slot number {last}"
            )));
        }
        slots.extend(first..=last);
    }
    Ok(slots)
}

/// The set of these slots, if all have an owner, or none has, and none is named twice: errors come in the order of the
/// slots.
fn checked(context: &Context<'_>, slots: &[u16], is_assigned: bool) -> Result<SlotSet, CommandError> {
    let table = known(context)?.member.table();
    let mut set = SlotSet::default();
    for slot in slots.iter().copied() {
        match (table.owner(slot).is_some(), is_assigned) {
            (false, true) => return Err(CommandError::new(format!("ERR Slot {slot} is already unassigned"))),
            (true, false) => return Err(CommandError::new(format!("ERR Slot {slot} is already busy"))),
            (true, true) | (false, false) => insert(&mut set, slot)?,
        }
    }
    Ok(set)
}

pub(super) fn add(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    add_all(context, &parse_slots(args)?)
}

pub(super) fn add_ranges(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let slots = parse_ranges(context, args)?;
    add_all(context, &slots)
}

fn add_all(context: &mut Context<'_>, slots: &[u16]) -> CommandResult {
    let set = checked(context, slots, false)?;
    keys::finish_deletion(context.state);
    change(context, |member, _| member.add_slots(&set))
}

pub(super) fn remove(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let set = checked(context, &parse_slots(args)?, true)?;
    change(context, |member, _| member.del_slots(&set))
}

pub(super) fn remove_ranges(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let set = checked(context, &parse_ranges(context, args)?, true)?;
    change(context, |member, _| member.del_slots(&set))
}

pub(super) fn flush_slot(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    if args.len() > 4 {
        return Err(CommandError::unknown_subcommand("cluster", args.at(1)));
    }
    let slot = parse_slot(args.at(2))?;
    let is_lazy = match args.get(3) {
        None => context.state.config.lazyfree_lazy_user_flush,
        Some(word) if word.eq_ignore_ascii_case(b"async") => true,
        Some(word) if word.eq_ignore_ascii_case(b"sync") => false,
        Some(_) => return Err(CommandError::SYNTAX),
    };
    let is_asked_for_here = matches!(context.session.origin, Origin::Client | Origin::Script);
    if is_asked_for_here
        && context.state.keyspace.is_slot_hidden(slot)
        && let Some(cluster) = context.state.cluster.as_mut()
    {
        // The keys are on their way, and are lost if the import goes on: their source would delete them too.
        cluster.slot_migrations.emptied.push(slot);
    }
    keys::delete_slot(context.state, slot, is_lazy);
    context.reply.ok();
    Ok(())
}

pub(super) fn flush(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    known(context)?;
    let is_empty = keys::are_none(context.state);
    change(context, |member, _| member.flush_slots(is_empty))
}

pub(super) fn set(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let is_from_primary = context.session.origin == Origin::Primary;
    if !is_from_primary && !known(context)?.member.table().myself().is_primary() {
        return Err(CommandError::fixed("ERR Please use SETSLOT only with masters."));
    }
    let slot = parse_slot(args.at(2))?;
    let node = text(args, 4);
    let (length, timeout) = split_timeout(args)?;
    let change_of = |word: &[u8]| match (word.to_ascii_lowercase().as_slice(), length) {
        (b"migrating", 5) => Some(SlotChange::Migrating(&node)),
        (b"importing", 5) => Some(SlotChange::Importing(&node)),
        (b"node", 5) => Some(SlotChange::Node(&node)),
        (b"stable", 4) => Some(SlotChange::Stable),
        _ => None,
    };
    let slot_change = change_of(args.at(3))
        .ok_or(CommandError::fixed("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"))?;
    keys::finish_deletion(context.state);
    let keys = if slot_change.depends_on_keys() { keys::count(context.state, slot, None) } else { 0 };
    if let Some(timeout) = timeout
        && !is_from_primary
    {
        let deadline_ms = timeout::parse_milliseconds(timeout, context.state.now_ms())?;
        known(context)?.member.check_slot_change(slot, slot_change, keys).map_err(refused)?;
        if !is_ahead(context, args, deadline_ms)? {
            return Ok(());
        }
    }
    change(context, |member, now| member.set_slot(slot, slot_change, keys, is_from_primary, now))
}

/// How many arguments there are before TIMEOUT, and its value.
///
/// Errors: it has none.
fn split_timeout(args: Args<'_>) -> Result<(usize, Option<&[u8]>), CommandError> {
    let is_timeout = |index: usize| args.at(index).eq_ignore_ascii_case(b"timeout");
    match args.len() {
        length @ 5.. if is_timeout(length - 1) && !is_timeout(length - 2) => {
            Err(CommandError::fixed("ERR Missing timeout value"))
        }
        length @ 6.. if is_timeout(length - 2) => Ok((length - 2, args.get(length - 1))),
        length => Ok((length, None)),
    }
}

/// Sends a change of a slot to the replicas before it is made here: one that takes over then knows of it. Tells whether
/// it may be made now: all replicas have it, or there are none that take it. Else the client waits.
///
/// Errors: the time is over.
fn is_ahead(context: &mut Context<'_>, args: Args<'_>, deadline_ms: Option<i64>) -> Result<bool, CommandError> {
    let Context { state, session, .. } = &mut *context;
    let Some(cluster) = state.cluster.as_deref_mut() else { return Err(DISABLED) };
    let replicas = &state.replication.primary.replicas;
    let ahead = cluster.changes_ahead.iter().position(|(client, _)| *client == session.token);
    // It may no longer block, and that is not because a transaction or a script asks.
    let has_waited = session.deny_blocking && session.executing.is_none() && session.origin == Origin::Client;
    match ahead {
        // The client waits, or has waited as long as it may.
        Some(place) if session.waiting.is_some() || has_waited => {
            let is_known = replicas.acked(session.replication_offset) >= cluster.changes_ahead[place].1;
            if is_known || has_waited {
                cluster.changes_ahead.remove(place);
                return if is_known { Ok(true) } else { Err(CommandError::NO_GOOD_REPLICAS) };
            }
        }
        _ => {
            let online = replicas.online().count();
            let takes_none = online == 0 || replicas.iter().any(|replica| !replica.announced.takes_orders);
            if takes_none || session.deny_blocking {
                return Ok(true);
            }
            let mut order = Vec::new();
            encode(&mut order, args.len(), args.iter());
            state.keyspace.changes.propagation.log.append_raw(Targets::REPLICAS, &order);
            session.replication_offset = state.replication_offset();
            let Some(cluster) = state.cluster.as_deref_mut() else { return Err(DISABLED) };
            let waits = |client: Token| state.clients.get(client).is_some_and(|session| session.waiting.is_some());
            cluster.changes_ahead.retain(|(client, _)| waits(*client));
            cluster.changes_ahead.push((session.token, online));
            state.replication.primary.wants_acks = true;
        }
    }
    context.block_on_disk(args, deadline_ms);
    Ok(false)
}

pub(super) fn count_keys(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let slot = parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let slot = u16::try_from(slot).ok().filter(|slot| *slot < SLOTS);
    let slot = slot.ok_or(CommandError::fixed("ERR Invalid slot"))?;
    let count = keys::count(context.state, slot, Some(context.session.database));
    context.reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn list_keys(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let number = |index: usize| parse_i64(args.at(index)).ok_or(CommandError::NOT_AN_INTEGER);
    let (slot, most) = (number(2)?, number(3)?);
    let slot = u16::try_from(slot).ok().filter(|slot| *slot < SLOTS);
    let (Some(slot), Ok(most)) = (slot, usize::try_from(most)) else {
        return Err(CommandError::fixed("ERR Invalid slot or number of keys"));
    };
    let keys = keys::list(context.state, slot, context.session.database, most);
    let reply = &mut context.reply;
    reply.array(keys.len());
    keys.iter().for_each(|key| reply.bulk(key));
    Ok(())
}
