//! SLOT-STATS: how many keys the slots of this node have, and what the requests about them cost.

use std::cmp::Reverse;

use crate::cluster::SLOTS;
use crate::command::error::{CommandError, CommandResult};
use crate::commands::cluster::known;
use crate::commands::cluster::slots::parse_slot;
use crate::drive::cluster::keys;
use crate::engine::context::Context;
use crate::engine::slot_stats;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// The figures of a slot, in the order of the reply.
const METRICS: [&str; 4] = ["key-count", "cpu-usec", "network-bytes-in", "network-bytes-out"];

/// A slot with its figures.
struct Row {
    slot: u16,
    values: [u64; METRICS.len()],
}

/// The order of the slots in the reply, and their maximum number.
struct Order {
    is_ascending: bool,
    most: usize,
}

pub(super) fn slot_stats(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let word = args.at(2);
    if word.eq_ignore_ascii_case(b"slotsrange") && args.len() == 5 {
        let (first, last) = (parse_slot(args.at(3))?, parse_slot(args.at(4))?);
        if first > last {
            return Err(CommandError::new(format!(
                "ERR Start slot number {first} is greater than end slot number {last}"
            )));
        }
        let rows = rows(context, |slot| (first..=last).contains(&slot));
        return reply_with(context, &rows);
    }
    if !word.eq_ignore_ascii_case(b"orderby") {
        return Err(CommandError::unknown_subcommand("cluster", args.at(1)));
    }
    let metric = METRICS.iter().position(|metric| args.at(3).eq_ignore_ascii_case(metric.as_bytes()));
    let metric = metric.filter(|place| *place < shown(context));
    let metric = metric.ok_or(CommandError::fixed("ERR Unrecognized sort metric for ORDERBY."))?;
    let order = parse_order(args)?;
    let mut rows = rows(context, |_| true);
    match order.is_ascending {
        true => rows.sort_by_key(|row| row.values[metric]),
        false => rows.sort_by_key(|row| Reverse(row.values[metric])),
    }
    rows.truncate(order.most);
    reply_with(context, &rows)
}

fn parse_order(args: Args<'_>) -> Result<Order, CommandError> {
    const TWICE: CommandError = CommandError::fixed("ERR Multiple filters of the same type are disallowed.");
    let (mut is_ascending, mut most) = (None, None);
    let mut index = 4;
    while let Some(word) = args.get(index) {
        match word.to_ascii_lowercase().as_slice() {
            b"limit" if index + 1 < args.len() => {
                let limit = parse_i64(args.at(index + 1)).and_then(|limit| usize::try_from(limit).ok());
                let limit = limit.filter(|limit| (1..=usize::from(SLOTS)).contains(limit));
                let limit = limit.ok_or(CommandError::fixed(
                    "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).",
                ))?;
                if most.replace(limit).is_some() {
                    return Err(TWICE);
                }
                index += 2;
            }
            word @ (b"asc" | b"desc") => {
                if is_ascending.replace(word == b"asc").is_some() {
                    return Err(TWICE);
                }
                index += 1;
            }
            _ => return Err(CommandError::SYNTAX),
        }
    }
    Ok(Order { is_ascending: is_ascending.unwrap_or(false), most: most.unwrap_or(usize::from(SLOTS)) })
}

/// Number of metrics that are shown: what requests cost only while it is counted.
fn shown(context: &Context<'_>) -> usize {
    if context.state.config.cluster_slot_stats_enabled { METRICS.len() } else { 1 }
}

/// The slots of this shard, with their figures.
fn rows(context: &mut Context<'_>, is_wanted: impl Fn(u16) -> bool) -> Vec<Row> {
    let state = &mut *context.state;
    if let Some(cluster) = &mut state.cluster {
        slot_stats::settle(cluster);
    }
    let Some(cluster) = state.cluster.as_deref() else { return Vec::new() };
    let table = cluster.member.table();
    let Some(owner) = table.primary_of(table.my_key()) else { return Vec::new() };
    let counts = keys::counts(state);
    let own = (0..SLOTS).zip(counts).filter(|(slot, _)| table.owner(*slot) == Some(owner));
    let row = |(slot, keys): (u16, u64)| {
        let figures = cluster.slot_stats.of(slot);
        let cpu_us = state.clock.ticks_as_nanos(figures.cpu_ticks) / 1000;
        Row { slot, values: [keys, cpu_us, figures.bytes_in, figures.bytes_out] }
    };
    own.filter(|(slot, _)| is_wanted(*slot)).map(row).collect()
}

fn reply_with(context: &mut Context<'_>, rows: &[Row]) -> CommandResult {
    let metrics = &METRICS[..shown(context)];
    context.reply.array(rows.len());
    for row in rows {
        context.reply.array(2);
        context.reply.integer(i64::from(row.slot));
        context.reply.map(metrics.len());
        for (name, value) in metrics.iter().zip(row.values) {
            context.reply.bulk(name.as_bytes());
            context.reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
    Ok(())
}
