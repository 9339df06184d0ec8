//! LOOP: what the loop spent its time on, and which request waited behind which.

use crate::base::usage::Usage;
use crate::command::error::{CommandError, CommandResult};
use crate::command::options::{OptionWalk, OptionWord};
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::observe::command_stats::CommandCounts;
use crate::observe::distribution::Distribution;
use crate::observe::explain::{Explainer, Explanation};
use crate::observe::loop_stats::Job;
use crate::observe::trace;
use crate::observe::turn::{Part, Turn};
use crate::resp::{Args, Reply, number};

/// Entries given unless told.
const COUNT_DEFAULT: usize = 10;
/// Turns in a trace unless told, and at most: the reply is made at once, of about a kilobyte for each.
const TRACE_DEFAULT: usize = 1000;
const TRACE_MAX: usize = 10_000;

const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const REPORT: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];
const SINCE: &str = "7.2.0";

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("loop", Group::Server, SINCE)
    .complexity("That of the subcommand.")
    .summary("Shows what the event loop spends its time on. Oneloop-specific.")
    .subcommands(&[
        CommandSpec::new("clients", -2, Group::Server, SINCE, clients)
            .flags(ADMIN)
            .tips(REPORT)
            .complexity("O(N) for N clients")
            .summary("Lists the clients whose requests took the most time, 10 unless told.")
            .arguments("[COUNT count:integer]"),
        CommandSpec::new("explain", -2, Group::Server, SINCE, explain)
            .flags(ADMIN)
            .tips(REPORT)
            .complexity("O(N) for N recorded 100-ms periods and their requests")
            .summary("Explains the newest slow moments in a sentence each: all, those of a client, or a turn.")
            .arguments("[target=[CLIENT client-id:integer|TURN number:integer]]"),
        help::subcommand(Group::Server, SINCE),
        CommandSpec::new("stats", 2, Group::Server, SINCE, stats)
            .flags(ADMIN)
            .tips(REPORT)
            .complexity("O(N) for N users, databases and commands")
            .summary("Returns the times of the loop's parts and jobs, and how long requests waited."),
        CommandSpec::new("trace", -2, Group::Server, SINCE, trace)
            .flags(ADMIN)
            .tips(REPORT)
            .complexity("O(N) for N turns in the trace")
            .summary("Returns the newest turns as Chrome trace JSON for Perfetto, 1000 unless told, 10000 at most.")
            .arguments("[COUNT count:integer]"),
        CommandSpec::new("turns", -2, Group::Server, SINCE, turns)
            .flags(ADMIN)
            .tips(REPORT)
            .complexity("O(N) for N turns returned; with SLOWEST O(M) for M recorded turns")
            .summary("Lists the newest recorded turns, or the slowest, since a Unix time in milliseconds.")
            .arguments("[COUNT count:integer] [SLOWEST slowest:integer] [SINCE unix-time-milliseconds:unix-time]"),
    ])];

/// What LOOP's subcommands take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Count,
    Slowest,
    Since,
    Client,
    Turn,
}

static COUNT: &[OptionWord<Choice>] = &[OptionWord::new("COUNT", 1, Choice::Count)];
static TURNS: &[OptionWord<Choice>] = &[
    OptionWord::new("COUNT", 1, Choice::Count),
    OptionWord::new("SLOWEST", 1, Choice::Slowest),
    OptionWord::new("SINCE", 1, Choice::Since),
];
static TARGET: &[OptionWord<Choice>] =
    &[OptionWord::new("CLIENT", 1, Choice::Client), OptionWord::new("TURN", 1, Choice::Turn)];

/// The options with their values, which are never negative.
fn options(args: Args<'_>, table: &'static [OptionWord<Choice>]) -> Result<Vec<(Choice, u64)>, CommandError> {
    let read = OptionWalk::new(args, 2, table).map(|option| {
        let (choice, place) = option?;
        let value = number::parse_i64(args.at(place + 1)).ok_or(CommandError::NOT_AN_INTEGER)?;
        let value = u64::try_from(value).map_err(|_| CommandError::fixed("ERR value must not be negative"))?;
        Ok((choice, value))
    });
    read.collect()
}

fn value_of(options: &[(Choice, u64)], choice: Choice) -> Option<u64> {
    options.iter().rev().find(|(known, _)| *known == choice).map(|(_, value)| *value)
}

fn count_of(options: &[(Choice, u64)], choice: Choice) -> Option<usize> {
    value_of(options, choice).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

fn explainer(state: &ServerState) -> Explainer<'_> {
    Explainer { recorder: &state.recorder, commands: &state.commands }
}

fn clients(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = count_of(&options(args, COUNT)?, Choice::Count).unwrap_or(COUNT_DEFAULT);
    let state = &*context.state;
    let mut found: Vec<&Session> = state.clients.iter().chain([&*context.session]).collect();
    found.sort_unstable_by_key(|session| (std::cmp::Reverse(session.usage.ticks), session.id));
    found.truncate(count);
    let busy_ns = state.loop_stats.busy_ns.max(1);
    let reply = &mut *context.reply;
    reply.array(found.len());
    for session in found {
        reply.map(8);
        reply.bulk(b"id");
        reply.integer(session.id as i64);
        for (name, text) in
            [("addr", session.address.peer.as_bytes()), ("name", &session.name), ("user", session.user.name())]
        {
            reply.bulk(name.as_bytes());
            reply.bulk(text);
        }
        write_usage(reply, state, &session.usage);
        reply.bulk(b"share-of-busy-time");
        reply.double(state.clock.ticks_as_nanos(session.usage.ticks) as f64 / busy_ns as f64);
    }
    Ok(())
}

/// Three pairs of a map.
fn write_usage(reply: &mut Reply, state: &ServerState, usage: &Usage) {
    pair(reply, "requests", usage.requests);
    pair(reply, "time-ns", state.clock.ticks_as_nanos(usage.ticks));
    pair(reply, "longest-ns", state.clock.ticks_as_nanos(usage.longest_ticks));
}

fn pair(reply: &mut Reply, name: &str, value: u64) {
    reply.bulk(name.as_bytes());
    reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
}

fn explain(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = options(args, TARGET)?;
    let state = &*context.state;
    let explainer = explainer(state);
    let explanations = match options[..] {
        [] => explainer.slow_moments(COUNT_DEFAULT),
        [(Choice::Client, id)] => explainer.of_client(id, COUNT_DEFAULT),
        [(Choice::Turn, number)] => match explainer.of_number(number) {
            Some(explanation) => vec![explanation],
            None => return Err(CommandError::fixed("ERR that turn is not recorded")),
        },
        _ => return Err(CommandError::SYNTAX),
    };
    let reply = &mut *context.reply;
    reply.array(explanations.len());
    for Explanation { turn, at_ns, sentence, .. } in &explanations {
        reply.array(3);
        reply.integer(*turn as i64);
        reply.integer((state.clock.unix_us_of(*at_ns) / 1000) as i64);
        reply.bulk(sentence.as_bytes());
    }
    Ok(())
}

fn stats(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let state = &*context.state;
    let (recorder, loop_stats) = (&state.recorder, &state.loop_stats);
    let reply = &mut *context.reply;
    reply.map(15);
    pair(reply, "turns", loop_stats.turns);
    pair(reply, "polling-ns", loop_stats.waiting_ns);
    pair(reply, "busy-ns", loop_stats.busy_ns);
    reply.bulk(b"spins");
    reply.map(3);
    pair(reply, "count", loop_stats.spin.spins);
    pair(reply, "hits", loop_stats.spin.hits);
    pair(reply, "rests", loop_stats.spin.rests);
    reply.bulk(b"parts-ns");
    reply.map(Part::ALL.len());
    Part::ALL.iter().for_each(|part| pair(reply, part.name(), recorder.parts_ns[*part as usize] as u64));
    reply.bulk(b"jobs-ns");
    reply.map(Job::ALL.len());
    Job::ALL.iter().for_each(|job| pair(reply, job.name(), loop_stats.job(*job).sum_ns));
    write_distribution(reply, "waiting", &recorder.waiting);
    write_distribution(reply, "leaving", &recorder.leaving);
    write_distribution(reply, "disk", &recorder.disk);
    write_commands(reply, state, "waiting-commands", |counts| &counts.waiting);
    write_leaving_commands(reply, state);
    write_commands(reply, state, "disk-commands", |counts| &counts.disk);
    reply.bulk(b"users");
    reply.map(state.users.iter().len());
    for user in state.users.iter() {
        reply.bulk(user.name());
        reply.map(3);
        write_usage(reply, state, &user.usage());
    }
    write_databases(reply, state);
    write_recorder(reply, state);
    Ok(())
}

fn write_distribution(reply: &mut Reply, name: &str, times: &Distribution) {
    reply.bulk(name.as_bytes());
    reply.map(6);
    pair(reply, "count", times.count);
    pair(reply, "sum-ns", times.sum_ns);
    pair(reply, "p50-ns", times.quantile_ns(500));
    pair(reply, "p99-ns", times.quantile_ns(990));
    pair(reply, "p999-ns", times.quantile_ns(999));
    pair(reply, "longest-ns", times.longest_ns);
}

/// How long the requests or the replies of each command waited for something.
fn write_commands(reply: &mut Reply, state: &ServerState, title: &str, of: fn(&CommandCounts) -> &Usage) {
    reply.bulk(title.as_bytes());
    let waits = state.commands.iter().map(|command| (command, of(state.command_stats.get(command.id))));
    let waits: Vec<_> = waits.filter(|(_, usage)| usage.requests > 0).collect();
    reply.map(waits.len());
    for (command, usage) in waits {
        reply.bulk(command.full_name.as_bytes());
        reply.map(3);
        write_usage(reply, state, usage);
    }
}

/// How long the replies of each command were leaving, by the last command of each flush.
fn write_leaving_commands(reply: &mut Reply, state: &ServerState) {
    let left = state.commands.iter().map(|command| (command, state.command_stats.get(command.id).leaving));
    let left: Vec<_> = left.filter(|(_, leaving)| leaving.flushes > 0).collect();
    reply.bulk(b"leaving-commands");
    reply.map(left.len());
    for (command, leaving) in left {
        reply.bulk(command.full_name.as_bytes());
        reply.map(2);
        pair(reply, "flushes", leaving.flushes);
        pair(reply, "time-ns", state.clock.ticks_as_nanos(leaving.ticks));
    }
}

fn write_databases(reply: &mut Reply, state: &ServerState) {
    let databases = state.recorder.databases.iter().enumerate();
    let used: Vec<_> = databases.filter(|(_, usage)| usage.requests > 0).collect();
    reply.bulk(b"databases");
    reply.map(used.len());
    for (number, usage) in used {
        reply.bulk(format!("db{number}").as_bytes());
        reply.map(3);
        write_usage(reply, state, usage);
    }
}

fn write_recorder(reply: &mut Reply, state: &ServerState) {
    let recorder = &state.recorder;
    let (turns, turns_max) = recorder.turns.fill();
    let (periods, periods_max) = recorder.aggregates.fill();
    reply.bulk(b"recorder");
    reply.map(6);
    pair(reply, "size-bytes", state.config.loop_recorder_size);
    pair(reply, "memory-bytes", recorder.memory_bytes() as u64);
    pair(reply, "turns", turns as u64);
    pair(reply, "turns-max", turns_max as u64);
    pair(reply, "periods", periods as u64);
    pair(reply, "periods-max", periods_max as u64);
}

fn trace(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = count_of(&options(args, COUNT)?, Choice::Count).unwrap_or(TRACE_DEFAULT);
    if count > TRACE_MAX {
        return Err(CommandError::fixed("ERR a trace has at most 10000 turns"));
    }
    let text = trace::trace(&explainer(context.state), count);
    context.reply.bulk(text.as_bytes());
    Ok(())
}

fn turns(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = options(args, TURNS)?;
    let state = &*context.state;
    let since_ns = value_of(&options, Choice::Since).map_or(0, |unix_ms| nanos_of_date(state, unix_ms));
    let count = count_of(&options, Choice::Count);
    let found: Vec<&Turn> = match count_of(&options, Choice::Slowest) {
        Some(slowest) => {
            let mut found = state.recorder.turns.slowest(slowest, since_ns);
            found.truncate(count.unwrap_or(usize::MAX));
            found
        }
        None => {
            let newest = state.recorder.turns.iter().rev().take_while(|turn| turn.began_ns >= since_ns);
            newest.take(count.unwrap_or(COUNT_DEFAULT)).collect()
        }
    };
    context.reply.array(found.len());
    found.into_iter().for_each(|turn| write_turn(context.reply, state, turn));
    Ok(())
}

/// A date as nanoseconds since the start of the clock.
fn nanos_of_date(state: &ServerState, unix_ms: u64) -> u64 {
    let first_us = state.clock.unix_us_of(0);
    unix_ms.saturating_mul(1000).saturating_sub(first_us).saturating_mul(1000)
}

fn write_turn(reply: &mut Reply, state: &ServerState, turn: &Turn) {
    reply.map(if turn.requests > 0 { 13 } else { 10 });
    pair(reply, "number", turn.number);
    pair(reply, "unix-time-us", state.clock.unix_us_of(turn.began_ns));
    pair(reply, "polled-ns", turn.waited_ns as u64);
    pair(reply, "busy-ns", turn.busy_ns() as u64);
    let parts = Part::ALL.iter().map(|part| (part.name(), turn.part_ns(*part)));
    let jobs = Job::ALL.iter().map(|job| (job.name(), turn.jobs_ns[*job as usize]));
    for (name, pieces) in [("parts-ns", parts.collect::<Vec<_>>()), ("jobs-ns", jobs.collect())] {
        let taken: Vec<_> = pieces.into_iter().filter(|(_, nanos)| *nanos > 0.0).collect();
        reply.bulk(name.as_bytes());
        reply.map(taken.len());
        taken.iter().for_each(|(name, nanos)| pair(reply, name, *nanos as u64));
    }
    pair(reply, "events", turn.events.into());
    pair(reply, "input-bytes", turn.input_bytes.into());
    pair(reply, "output-bytes", turn.output_bytes.into());
    if turn.requests > 0 {
        pair(reply, "requests", turn.requests.into());
        pair(reply, "visits", turn.visits.into());
        let request = explainer(state).request(turn, turn.longest_client, turn.longest_command);
        reply.bulk(b"longest");
        reply.map(3);
        reply.bulk(b"request");
        reply.bulk(request.as_bytes());
        pair(reply, "client", turn.longest_client);
        pair(reply, "ns", turn.longest_ns as u64);
    }
    reply.bulk(b"end");
    reply.bulk(turn.end.name().as_bytes());
}
