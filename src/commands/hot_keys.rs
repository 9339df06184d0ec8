//! HOTKEYS: which keys take the most time and the most bytes, tracked for a while.

use std::ops::RangeInclusive;

use crate::base::sys::resources::{ProcessorTime, Whose};
use crate::cluster::{SLOTS, SlotSet};
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::commands::cluster::slots::parse_slot;
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::observe::key_costs::{KeyCosts, TrackingWishes};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Reply};

const SINCE: &str = "8.6.0";
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript];
/// Kinds of costs that may be asked for.
const METRICS: i64 = 2;
/// Keys that are shown unless told, and at most.
const KEYS_DEFAULT: usize = 10;
const KEYS_MAX: i64 = 64;
/// The longest session, in seconds.
const DURATION_MAX_S: i64 = 1_000_000;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("hotkeys", Group::Server, SINCE)
    .complexity("That of the subcommand.")
    .summary("Finds the keys that take the most time and the most bytes.")
    .subcommands(&[
        CommandSpec::new("get", 2, Group::Server, SINCE, get)
            .flags(ADMIN)
            .complexity("O(K) for K keys in the reply")
            .summary("Returns what the session that goes on, or the last one, has found."),
        help::subcommand(Group::Server, SINCE),
        CommandSpec::new("reset", 2, Group::Server, SINCE, reset)
            .flags(ADMIN)
            .summary("Forgets what the last session has found."),
        CommandSpec::new("start", -2, Group::Server, SINCE, start)
            .flags(ADMIN)
            .summary("Begins to track the costs of keys: processor time, bytes received and sent.")
            .arguments(
                "METRICS metrics={count:integer [CPU] [NET]} [COUNT k:integer] [DURATION seconds:integer] \
                 [SAMPLE ratio:integer] [SLOTS slots={count:integer slot:integer...}]",
            ),
        CommandSpec::new("stop", 2, Group::Server, SINCE, stop)
            .flags(ADMIN)
            .summary("Ends the tracking. What was found is kept."),
    ])];

/// The session, if there is one, as it is now: one whose time is over has ended.
fn session(state: &mut ServerState) -> Option<&mut KeyCosts> {
    let now_ms = state.now_ms();
    let costs = state.recorder.key_costs.as_mut()?;
    if costs.stop_if_due(now_ms) {
        state.update_tracked_keys();
    }
    state.recorder.key_costs.as_deref_mut()
}

fn is_active(state: &mut ServerState) -> bool {
    session(state).is_some_and(|costs| costs.is_active())
}

fn start(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if is_active(context.state) {
        return Err(CommandError::fixed("ERR hotkey tracking session already in progress"));
    }
    let wishes = parse(context.state, args)?;
    let state = &mut *context.state;
    let costs = KeyCosts::new(wishes, state.now_ms(), processor(state));
    state.recorder.key_costs = Some(Box::new(costs));
    state.update_tracked_keys();
    context.reply.ok();
    Ok(())
}

fn processor(state: &ServerState) -> ProcessorTime {
    state.machine.processor_time(Whose::Process)
}

fn stop(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let now_ms = context.state.now_ms();
    match session(context.state).filter(|costs| costs.is_active()) {
        Some(costs) => {
            costs.stop(now_ms);
            context.state.update_tracked_keys();
            context.reply.ok();
        }
        None => context.reply.null(),
    }
    Ok(())
}

fn reset(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if is_active(context.state) {
        return Err(CommandError::fixed("ERR hotkey tracking session in progress, stop tracking first"));
    }
    context.state.recorder.key_costs = None;
    context.reply.ok();
    Ok(())
}

/// An integer within bounds. Errors: `refusal`, if it is none.
fn integer(text: &[u8], range: RangeInclusive<i64>, refusal: &'static str) -> Result<i64, CommandError> {
    parse_i64(text).filter(|number| range.contains(number)).ok_or(CommandError::fixed(refusal))
}

/// What a session is to do. Errors: in the order in which Redis finds them.
fn parse(state: &ServerState, args: Args<'_>) -> Result<TrackingWishes, CommandError> {
    if args.len() < 4 || !args.at(2).eq_ignore_ascii_case(b"METRICS") {
        return Err(CommandError::fixed("ERR METRICS parameter is required"));
    }
    let count = integer(args.at(3), 1..=METRICS, "ERR METRICS count must be > 0 and <= 2")? as usize;
    let (cpu, net) = parse_metrics(args, count)?;
    let mut wishes = TrackingWishes { cpu, net, keys: KEYS_DEFAULT, duration_ms: None, ratio: 1, slots: None };
    let mut place = 4 + count;
    while let Some(word) = args.get(place) {
        let Some(value) = args.get(place + 1) else {
            return Err(CommandError::SYNTAX);
        };
        place += 2;
        match word.to_ascii_uppercase().as_slice() {
            b"COUNT" => {
                wishes.keys = integer(value, 1..=KEYS_MAX, "ERR COUNT must be between 1 and 64")? as usize;
            }
            b"DURATION" => {
                let seconds = integer(value, 1..=DURATION_MAX_S, "ERR DURATION must be between 1 and 1000000")?;
                wishes.duration_ms = Some(seconds * 1000);
            }
            b"SAMPLE" => {
                wishes.ratio = integer(value, 1..=i32::MAX.into(), "ERR SAMPLE ratio must be positive")? as u32;
            }
            b"SLOTS" => {
                let slots = parse_slots(state, args, place - 1, wishes.slots.is_some())?;
                place += slots.len();
                wishes.slots = Some(as_ranges(&slots)?);
            }
            _ => return Err(CommandError::SYNTAX),
        }
    }
    Ok(wishes)
}

/// Whether time is asked for, and whether bytes are. Words that are no metric are passed over: they may become some.
fn parse_metrics(args: Args<'_>, count: usize) -> Result<(bool, bool), CommandError> {
    let (mut cpu, mut net) = (false, false);
    for place in 4..4 + count {
        let Some(word) = args.get(place) else {
            return Err(CommandError::fixed("ERR METRICS count does not match number of metric types provided"));
        };
        if word.eq_ignore_ascii_case(b"CPU") && std::mem::replace(&mut cpu, true) {
            return Err(CommandError::fixed("ERR METRICS CPU defined more than once!"));
        }
        if word.eq_ignore_ascii_case(b"NET") && std::mem::replace(&mut net, true) {
            return Err(CommandError::fixed("ERR METRICS NET defined more than once!"));
        }
    }
    if !cpu && !net {
        return Err(CommandError::fixed("ERR METRICS no valid metrics passed. Supported: CPU|NET"));
    }
    Ok((cpu, net))
}

/// The slots behind the word SLOTS, whose count is at this place.
fn parse_slots(state: &ServerState, args: Args<'_>, place: usize, is_second: bool) -> Result<Vec<u16>, CommandError> {
    if state.cluster.is_none() {
        return Err(CommandError::fixed("ERR SLOTS parameter cannot be used in non-cluster mode"));
    }
    if is_second {
        return Err(CommandError::fixed("ERR SLOTS parameter already specified"));
    }
    let count = integer(args.at(place), 1..=SLOTS.into(), "ERR SLOTS count must be between 1 and 16384")? as usize;
    if place + count >= args.len() {
        return Err(CommandError::fixed("ERR not enough slot numbers provided"));
    }
    let mut slots = Vec::with_capacity(count);
    for index in place + 1..=place + count {
        let slot = parse_slot(args.at(index))?;
        if !is_own(state, slot) {
            return Err(CommandError::new(format!("ERR slot {slot} not handled by this node")));
        }
        slots.push(slot);
    }
    Ok(slots)
}

fn as_ranges(slots: &[u16]) -> Result<Vec<RangeInclusive<u16>>, CommandError> {
    let mut set = SlotSet::default();
    match slots.iter().all(|slot| set.insert(*slot)) {
        true => Ok(set.ranges()),
        false => Err(CommandError::fixed("ERR duplicate slot number")),
    }
}

/// Whether this node, or its primary, has the slot. Without a cluster there are no others.
fn is_own(state: &ServerState, slot: u16) -> bool {
    state.cluster.as_ref().is_none_or(|cluster| {
        let table = cluster.member.table();
        table.owner(slot).is_some() && table.owner(slot) == table.primary_of(table.my_key())
    })
}

/// All slots of this node.
fn own_slots(state: &ServerState) -> Vec<RangeInclusive<u16>> {
    let mut set = SlotSet::default();
    (0..SLOTS).filter(|slot| is_own(state, *slot)).for_each(|slot| {
        set.insert(slot);
    });
    set.ranges()
}

fn get(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    session(context.state);
    let (state, reply) = (&*context.state, &mut *context.reply);
    let Some(costs) = &state.recorder.key_costs else {
        reply.null();
        return Ok(());
    };
    let wishes = &costs.wishes;
    let (has_slots, is_sampled) = (wishes.slots.is_some(), wishes.ratio > 1);
    let (now, before) = (processor(state), costs.processor_before);
    let time_ms = |now_us: u64, before_us: u64| now_us.saturating_sub(before_us) / 1000;
    let micros = |ns: u64| ns / 1000;
    let numbers = [
        ("sampled-commands-selected-slots-us", has_slots && is_sampled, micros(costs.sampled.cpu_ns)),
        ("all-commands-selected-slots-us", has_slots, micros(costs.selected.cpu_ns)),
        ("all-commands-all-slots-us", true, micros(costs.all.cpu_ns)),
        ("net-bytes-sampled-commands-selected-slots", has_slots && is_sampled, costs.sampled.net_bytes),
        ("net-bytes-all-commands-selected-slots", has_slots, costs.selected.net_bytes),
        ("net-bytes-all-commands-all-slots", true, costs.all.net_bytes),
        ("collection-start-time-unix-ms", true, costs.started_ms as u64),
        ("collection-duration-ms", true, costs.duration_ms(state.now_ms()) as u64),
        ("total-cpu-time-user-ms", wishes.cpu, time_ms(now.user_us, before.user_us)),
        ("total-cpu-time-sys-ms", wishes.cpu, time_ms(now.system_us, before.system_us)),
        ("total-net-bytes", wishes.net, costs.sampled.net_bytes),
    ];
    let shown = numbers.iter().filter(|(_, is_shown, _)| *is_shown);
    // An array, so that the replies of several nodes can be put behind each other.
    reply.array(1);
    reply.map(3 + shown.clone().count() + usize::from(wishes.cpu) + usize::from(wishes.net));
    for (name, number) in [("tracking-active", costs.is_active().into()), ("sample-ratio", i64::from(wishes.ratio))] {
        reply.bulk(name.as_bytes());
        reply.integer(number);
    }
    reply.bulk(b"selected-slots");
    write_ranges(reply, &wishes.slots.clone().unwrap_or_else(|| own_slots(state)));
    for (name, _, number) in shown {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(*number).unwrap_or(i64::MAX));
    }
    let by_cpu = costs.by_cpu().map(|found| found.into_iter().map(|hot| (&*hot.key, micros(hot.count))).collect());
    let by_net = costs.by_net().map(|found| found.into_iter().map(|hot| (&*hot.key, hot.count)).collect());
    for (name, found) in [("by-cpu-time-us", by_cpu), ("by-net-bytes", by_net)] {
        write_keys(reply, name, found);
    }
    Ok(())
}

fn write_ranges(reply: &mut Reply, ranges: &[RangeInclusive<u16>]) {
    reply.array(ranges.len());
    for range in ranges {
        let (first, last) = (*range.start(), *range.end());
        reply.array(if first == last { 1 } else { 2 });
        reply.integer(first.into());
        if last != first {
            reply.integer(last.into());
        }
    }
}

/// The keys that were found, with what they cost, if that is tracked.
fn write_keys(reply: &mut Reply, name: &str, found: Option<Vec<(&[u8], u64)>>) {
    let Some(mut found) = found else {
        return;
    };
    found.retain(|(_, cost)| *cost > 0);
    reply.bulk(name.as_bytes());
    reply.array(2 * found.len());
    for (key, cost) in found {
        reply.bulk(key);
        reply.integer(i64::try_from(cost).unwrap_or(i64::MAX));
    }
}
