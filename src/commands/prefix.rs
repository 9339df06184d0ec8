//! PREFIX: jobs over all keys with a prefix, which make nobody wait.

use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::KeyAccess;
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::prefix_jobs::{PrefixReport, PrefixWork};
use crate::engine::state::program::CommandSpec;
use crate::resp::{Args, Reply, number};

const SINCE: &str = "7.2.0";
const REPORT: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];
const JOB: &str = "O(1). The job is O(N) for the N keys of the database, in pieces between the turns of others.";
/// What EXPIRE takes as a condition.
const CONDITIONS: [&str; 4] = ["NX", "XX", "GT", "LT"];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("prefix", Group::Generic, SINCE)
    .complexity("That of the subcommand.")
    .summary("Works on all keys with a prefix, without making anyone wait. Oneloop-specific.")
    .subcommands(&[
        CommandSpec::new("cancel", 3, Group::Generic, SINCE, cancel)
            .flags(&[Flag::Fast])
            .tips(REPORT)
            .complexity("O(N) for N jobs")
            .summary("Ends a job before its time. What it has changed stays changed.")
            .arguments("ticket:integer"),
        CommandSpec::new("count", 3, Group::Generic, SINCE, |context, args| begin(context, args, PrefixWork::Count))
            .flags(&[Flag::ReadOnly])
            .tips(REPORT)
            .complexity(JOB)
            .summary("Begins to count the keys with a prefix; returns the job's ticket.")
            .arguments("prefix:string"),
        CommandSpec::new("expire", -4, Group::Generic, SINCE, expire)
            .flags(&[Flag::Write])
            .tips(REPORT)
            .complexity(JOB)
            .summary("Begins to have the keys with a prefix expire in so many seconds; returns the job's ticket.")
            .arguments("prefix:string seconds:integer condition=[NX|XX|GT|LT]"),
        help::subcommand(Group::Generic, SINCE),
        CommandSpec::new("memory", 3, Group::Generic, SINCE, |context, args| begin(context, args, PrefixWork::Memory))
            .flags(&[Flag::ReadOnly])
            .tips(REPORT)
            .complexity(JOB)
            .summary("Begins to add up the memory of the keys with a prefix; returns the job's ticket.")
            .arguments("prefix:string"),
        CommandSpec::new("persist", 3, Group::Generic, SINCE, |context, args| {
            begin(context, args, PrefixWork::Persist)
        })
        .flags(&[Flag::Write])
        .tips(REPORT)
        .complexity(JOB)
        .summary("Begins to remove the expiry times of the keys with a prefix; returns the job's ticket.")
        .arguments("prefix:string"),
        CommandSpec::new("status", -2, Group::Generic, SINCE, status)
            .flags(&[Flag::Stale, Flag::Loading])
            .tips(REPORT)
            .complexity("O(N) for N jobs")
            .summary("Tells how far the jobs are that the user may ask for, or one of them, and what they found.")
            .arguments("[ticket:integer]"),
        CommandSpec::new("unlink", 3, Group::Generic, SINCE, |context, args| begin(context, args, PrefixWork::Unlink))
            .flags(&[Flag::Write])
            .tips(REPORT)
            .complexity(JOB)
            .summary("Begins to delete the keys with a prefix; returns the job's ticket.")
            .arguments("prefix:string"),
    ])];

const DENIED: &str = "NOPERM No permissions to access all keys with this prefix";
const UNKNOWN: &str = "ERR no such ticket";

/// Adds the job and replies its ticket.
fn begin(context: &mut Context<'_>, args: Args<'_>, work: PrefixWork) -> CommandResult {
    let prefix = args.at(2);
    let database = context.session.database;
    if !may_use(context, args, database, prefix, work.access()) {
        return Err(CommandError::fixed(DENIED));
    }
    let state = &mut *context.state;
    let version = state.keyspace.pin_database(database);
    let now_ms = state.now_ms();
    let Some(ticket) = state.prefix_jobs.add(work, database, prefix, version, now_ms) else {
        return Err(CommandError::fixed("ERR too many prefix jobs are waiting"));
    };
    context.reply.integer(ticket as i64);
    Ok(())
}

/// Whether the user may run this request and use all keys of a database with a prefix this way.
fn may_use(context: &Context<'_>, args: Args<'_>, database: usize, prefix: &[u8], access: KeyAccess) -> bool {
    let command = context.state.commands.get(context.command);
    let selection = context.state.selection(database);
    context.session.user.may_use_keys_with_prefix(command, args, selection, prefix, access)
}

fn expire(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let seconds = number::parse_i64(args.at(3)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let now_ms = context.state.now_ms();
    let at_ms = seconds.checked_mul(1000).and_then(|wait_ms| wait_ms.checked_add(now_ms));
    let at_ms = at_ms.ok_or(CommandError::fixed("ERR invalid expire time in 'prefix|expire' command"))?;
    let condition = match args.get(4) {
        None => None,
        Some(word) if args.len() == 5 => {
            let known = CONDITIONS.into_iter().find(|known| word.eq_ignore_ascii_case(known.as_bytes()));
            Some(known.ok_or_else(|| {
                CommandError::new(format!("ERR Unsupported option {}", String::from_utf8_lossy(word)))
            })?)
        }
        Some(_) => return Err(CommandError::SYNTAX),
    };
    begin(context, args, PrefixWork::Expire { at_ms, condition })
}

fn ticket_of(argument: &[u8]) -> Result<u64, CommandError> {
    let ticket = number::parse_i64(argument).ok_or(CommandError::NOT_AN_INTEGER)?;
    u64::try_from(ticket).map_err(|_| CommandError::fixed(UNKNOWN))
}

fn cancel(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ticket = ticket_of(args.at(2))?;
    let report = context.state.prefix_jobs.report(ticket).ok_or(CommandError::fixed(UNKNOWN))?;
    if !may_use(context, args, report.database, &report.prefix, report.work.access()) {
        return Err(CommandError::fixed(DENIED));
    }
    let now_ms = context.state.now_ms();
    let is_cancelled = context.state.prefix_jobs.cancel(ticket, now_ms);
    context.reply.integer(i64::from(is_cancelled));
    Ok(())
}

fn status(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let asked = args.get(2).map(ticket_of).transpose()?;
    let may_see =
        |report: &&PrefixReport| may_use(context, args, report.database, &report.prefix, report.work.access());
    let reports = context.state.prefix_jobs.reports().filter(may_see);
    let reports: Vec<PrefixReport> =
        reports.filter(|report| asked.is_none_or(|ticket| ticket == report.ticket)).cloned().collect();
    match (asked, reports.first()) {
        (None, _) => {
            context.reply.array(reports.len());
            reports.iter().for_each(|report| write(context.reply, report));
        }
        (Some(_), Some(report)) => write(context.reply, report),
        (Some(_), None) => return Err(CommandError::fixed(UNKNOWN)),
    }
    Ok(())
}

fn write(reply: &mut Reply, report: &PrefixReport) {
    let counts = &report.counts;
    let is_memory = report.work == PrefixWork::Memory;
    let numbers = [
        ("keys", Some(report.keys)),
        ("walked", Some(counts.walked)),
        ("matched", Some(counts.matched)),
        ("changed", report.work.writes().then_some(counts.changed)),
        ("left-alone", report.work.writes().then_some(counts.left_alone)),
        ("memory-bytes", is_memory.then_some(counts.bytes)),
        ("asked-unix-time-ms", Some(report.asked_ms as u64)),
        ("over-unix-time-ms", report.over_ms.map(|over_ms| over_ms as u64)),
    ];
    let numbers: Vec<_> = numbers.into_iter().filter_map(|(name, number)| Some((name, number?))).collect();
    reply.map(5 + numbers.len());
    reply.bulk(b"ticket");
    reply.integer(report.ticket as i64);
    reply.bulk(b"database");
    reply.integer(report.database as i64);
    for (name, text) in
        [("job", report.work.name().as_bytes()), ("prefix", &report.prefix), ("state", report.state.name().as_bytes())]
    {
        reply.bulk(name.as_bytes());
        reply.bulk(text);
    }
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
