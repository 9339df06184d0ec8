//! LATENCY: the spikes that the monitor has seen, and the distribution of the commands' times.

use crate::command::error::{CommandError, CommandResult};
use crate::command::registry::CommandId;
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::observe::explain::Explainer;
use crate::observe::latency::{LatencySample, LatencySeries};
use crate::resp::Args;
use crate::resp::Reply;

const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const REPORT: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("latency", Group::Server, "2.8.13")
    .complexity("That of the subcommand.")
    .summary("Tells what made clients wait.")
    .subcommands(&[
        CommandSpec::new("doctor", 2, Group::Server, "2.8.13", doctor)
            .flags(ADMIN)
            .tips(REPORT)
            .summary("Says in words which events were slow, and what may help."),
        CommandSpec::new("graph", 3, Group::Server, "2.8.13", graph)
            .flags(ADMIN)
            .tips(REPORT)
            .summary("Draws an event's spikes over time.")
            .arguments("event"),
        help::subcommand(Group::Server, "2.8.13"),
        CommandSpec::new("histogram", -2, Group::Server, "7.0.0", histogram)
            .flags(ADMIN)
            .tips(REPORT)
            .complexity("O(N) for N commands whose times are given")
            .summary("Gives the distribution of the times of some commands, or of all.")
            .arguments("[command...]"),
        CommandSpec::new("history", 3, Group::Server, "2.8.13", history)
            .flags(ADMIN)
            .tips(REPORT)
            .summary("Gives an event's spikes with their times.")
            .arguments("event"),
        CommandSpec::new("latest", 2, Group::Server, "2.8.13", latest)
            .flags(ADMIN)
            .tips(REPORT)
            .summary("Gives the last spike of each event."),
        CommandSpec::new("reset", -2, Group::Server, "2.8.13", reset)
            .flags(ADMIN)
            .tips(&["request_policy:all_nodes", "response_policy:agg_sum"])
            .summary("Forgets the spikes of some events, or of all.")
            .arguments("[event...]"),
    ])];

fn doctor(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let mut text = diagnosis(context.state);
    text.push_str(&slow_moments(context.state));
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Slow moments that the doctor explains.
const MOMENTS_MAX: usize = 5;

/// What the loop's record says of the newest slow moments, one a line.
fn slow_moments(state: &ServerState) -> String {
    let explainer = Explainer { recorder: &state.recorder, commands: &state.commands };
    let moments = explainer.slow_moments(MOMENTS_MAX);
    if moments.is_empty() {
        return String::new();
    }
    let mut text = "The newest slow moments of the loop (see LOOP EXPLAIN):\n".to_string();
    for moment in &moments {
        let ago_ns = state.clock.nanos_at(state.clock.ticks()).saturating_sub(moment.at_ns);
        text.push_str(&format!("{} ago: {}.\n", age((ago_ns / 1_000_000_000) as i64), moment.sentence));
    }
    text
}

/// What the spikes say, one event a line.
fn diagnosis(state: &ServerState) -> String {
    let threshold_ms = state.config.latency_monitor_threshold;
    if threshold_ms == 0 {
        return "The latency monitor is off. Turn it on with \"CONFIG SET latency-monitor-threshold \
                <milliseconds>\".\n"
            .to_string();
    }
    if state.latency.events.is_empty() {
        return format!("Nothing took {threshold_ms} ms or longer since the monitor was turned on or reset.\n");
    }
    let mut text = String::new();
    for (event, series) in &state.latency.events {
        let count = series.samples.len() as u64;
        let latencies = series.samples.iter().map(|sample| sample.latency_ms);
        let mean = |sum_ms: u64| sum_ms.checked_div(count).unwrap_or(0);
        let mean_ms = mean(latencies.clone().sum());
        let deviation_ms = mean(latencies.map(|latency| latency.abs_diff(mean_ms)).sum());
        let oldest_s = series.samples.front().map_or(0, |sample| sample.time_s);
        let period_s = (state.now_ms() / 1000 - oldest_s) as f64 / count.max(1) as f64;
        text.push_str(&format!(
            "{event}: {count} latency spikes (average {mean_ms}ms, mean deviation {deviation_ms}ms, \
             period {period_s:.2} sec). Worst all time event {}ms. {}\n",
            series.max_ms,
            advice(event)
        ));
    }
    text
}

/// What may help against the spikes of an event.
fn advice(event: &str) -> &'static str {
    match event {
        "command" => "See SLOWLOG GET for the commands, and give large values smaller pieces of work.",
        "fast-command" => "Cheap commands were slow: the machine is short of CPU time or memory.",
        "expire-cycle" => {
            "Many keys expire together: their removal, in slices, takes much of the time. Spread their expiry times."
        }
        "eviction-cycle" => "Much had to go at once to stay within maxmemory: write less at a time, or raise it.",
        "aof-fsync-always" => "The disk is slow to store what is appended: see appendfsync.",
        event if event.starts_with("aof-write") => "The disk is slow to take what is appended: look what else uses it.",
        _ => "See LATENCY HISTORY for when it happened.",
    }
}

/// Columns of a graph at most: what is beyond stands below.
const GRAPH_COLUMNS: usize = 80;
/// Rows of a graph.
const GRAPH_ROWS: usize = 4;
/// How full a row's place is drawn, from low to high.
const GRAPH_LEVELS: [char; 3] = ['_', 'o', '#'];

fn graph(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let event = String::from_utf8_lossy(args.at(2)).into_owned();
    let Some(series) = context.state.latency.events.get(event.as_str()) else {
        return Err(CommandError::new(format!("ERR No samples available for event '{event}'")));
    };
    let text = draw(&event, series, context.state.now_ms() / 1000);
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// A title, the spikes as columns, and below each how long ago it was, downwards: the form of Redis's graphs.
fn draw(event: &str, series: &LatencySeries, now_s: i64) -> String {
    let samples: Vec<LatencySample> = series.samples.iter().copied().collect();
    let latencies = samples.iter().map(|sample| sample.latency_ms);
    let high_ms = latencies.clone().max().unwrap_or(0);
    let low_ms = latencies.min().unwrap_or(0);
    let mut text = format!(
        "{event} - high {high_ms} ms, low {low_ms} ms (all time high {} ms)\n{}\n",
        series.max_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    for (index, columns) in samples.chunks(GRAPH_COLUMNS).enumerate() {
        text.push_str(if index > 0 { "\n" } else { "" });
        draw_columns(&mut text, columns, low_ms, high_ms);
        draw_ages(&mut text, columns, now_s);
    }
    text
}

/// Each column is as high as its sample lies between the lowest and the highest.
fn draw_columns(text: &mut String, samples: &[LatencySample], low_ms: u64, high_ms: u64) {
    let levels = GRAPH_LEVELS.len();
    let steps = (GRAPH_ROWS * levels) as u64;
    let range_ms = (high_ms - low_ms).max(1);
    for row in (0..GRAPH_ROWS).rev() {
        for sample in samples {
            let step = (sample.latency_ms - low_ms) * steps / range_ms;
            let step = step.min(steps - 1) as usize;
            text.push(match step.checked_sub(row * levels) {
                None => ' ',
                Some(level) => GRAPH_LEVELS.get(level).copied().unwrap_or('|'),
            });
        }
        text.push('\n');
    }
}

fn draw_ages(text: &mut String, samples: &[LatencySample], now_s: i64) {
    let ages: Vec<Vec<char>> = samples.iter().map(|sample| age(now_s - sample.time_s).chars().collect()).collect();
    let rows = ages.iter().map(Vec::len).max().unwrap_or(0);
    text.extend(std::iter::repeat_n(' ', samples.len()));
    text.push('\n');
    for row in 0..rows {
        text.extend(ages.iter().map(|age| age.get(row).copied().unwrap_or(' ')));
        text.push('\n');
    }
}

/// A duration in its largest unit: `59s`, `3m`, `2h`, `9d`.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn histogram(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let wanted = commands_asked_for(context.state, args);
    let place = context.reply.begin_deferred();
    let mut count = 0;
    for id in wanted {
        let Some(levels) = cumulative_levels(context.state, id) else {
            continue;
        };
        count += 1;
        context.reply.bulk(context.state.commands.get(id).full_name.as_bytes());
        write_levels(context.reply, &levels);
    }
    context.reply.end_deferred_map(place, count);
    Ok(())
}

/// The commands named, a container standing for its subcommands; all without names.
fn commands_asked_for(state: &ServerState, args: Args<'_>) -> Vec<CommandId> {
    if args.len() == 2 {
        return state.commands.iter().map(|command| command.id).collect();
    }
    let mut wanted = Vec::new();
    for name in args.iter().skip(2) {
        let Some(command) = state.commands.find_full(name) else {
            continue;
        };
        wanted.push(command.id);
        wanted.extend(&command.subcommands);
    }
    wanted
}

/// How many calls took at most so many µs, at every doubling where the number grows.
struct Levels {
    calls: u64,
    steps: Vec<(i64, u64)>,
}

/// Redis's histogram doubles from 1024 ns on and counts what is as good as equal to a level: its
/// buckets are a 128th of the level wide.
fn cumulative_levels(state: &ServerState, id: CommandId) -> Option<Levels> {
    let histogram = state.command_stats.get(id).latency.as_ref()?;
    let mut levels = Levels { calls: histogram.len(), steps: Vec::new() };
    let (mut level_ns, mut cumulative) = (1024u64, 0);
    for bucket in histogram.iter_recorded() {
        let nanos = state.clock.ticks_as_nanos(bucket.value_iterated_to());
        while nanos > highest_equivalent(level_ns) {
            level_ns *= 2;
        }
        cumulative += bucket.count_at_value();
        let micros = (highest_equivalent(level_ns) / 1000) as i64;
        match levels.steps.last_mut() {
            Some(step) if step.0 == micros => step.1 = cumulative,
            _ => levels.steps.push((micros, cumulative)),
        }
    }
    Some(levels)
}

fn highest_equivalent(level_ns: u64) -> u64 {
    level_ns + level_ns / 128 - 1
}

fn write_levels(reply: &mut Reply, levels: &Levels) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.integer(levels.calls as i64);
    reply.bulk(b"histogram_usec");
    reply.map(levels.steps.len());
    for (micros, count) in &levels.steps {
        reply.integer(*micros);
        reply.integer(*count as i64);
    }
}

fn history(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let event = String::from_utf8_lossy(args.at(2));
    let Some(series) = context.state.latency.events.get(&*event) else {
        context.reply.empty_array();
        return Ok(());
    };
    context.reply.array(series.samples.len());
    for sample in &series.samples {
        context.reply.array(2);
        context.reply.integer(sample.time_s);
        context.reply.integer(sample.latency_ms as i64);
    }
    Ok(())
}

fn latest(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let events = &context.state.latency.events;
    context.reply.array(events.len());
    for (event, series) in events {
        let last = series.samples.back();
        context.reply.array(4);
        context.reply.bulk(event.as_bytes());
        context.reply.integer(last.map_or(0, |sample| sample.time_s));
        context.reply.integer(last.map_or(0, |sample| sample.latency_ms as i64));
        context.reply.integer(series.max_ms as i64);
    }
    Ok(())
}

fn reset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let latency = &mut context.state.latency;
    let count = match args.len() {
        2 => latency.reset(None),
        _ => args.iter().skip(2).map(|event| latency.reset(Some(event))).sum(),
    };
    context.reply.integer(count as i64);
    Ok(())
}
