//! Subcommands that change slots: ADDSLOTS, DELSLOTS, FLUSHSLOTS, SETSLOT. Subcommands about the keys of a slot:
//! COUNTKEYSINSLOT, GETKEYSINSLOT, FLUSHSLOT.

use crate::cluster::member::SlotChange;
use crate::cluster::{SLOTS, SlotSet};
use crate::command::error::{CommandError, CommandResult};
use crate::commands::cluster::{change, known, text};
use crate::drive::cluster::keys;
use crate::engine::context::Context;
use crate::engine::origin::Origin;
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
    let change_of = |word: &[u8]| match (word.to_ascii_lowercase().as_slice(), args.len()) {
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
    change(context, |member, now| member.set_slot(slot, slot_change, keys, is_from_primary, now))
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
