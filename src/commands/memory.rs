//! MEMORY: where the memory goes.

use crate::base::sys::allocator;
use crate::collections::heap;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSPECT, KeySpec};
use crate::drive::cluster::bus;
use crate::drive::info::machine::replication_memory;
use crate::drive::info::snapshot::{InfoSnapshot, MemoryFigures, human_bytes};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::{Reply, number};
use crate::scripting::Kind;

const REPORT: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("memory", Group::Server, "4.0.0")
    .complexity("That of the subcommand.")
    .summary("Tells where the memory goes.")
    .subcommands(&[
        CommandSpec::new("doctor", 2, Group::Server, "4.0.0", doctor)
            .tips(REPORT)
            .summary("Says what looks wrong with the use of memory."),
        help::subcommand(Group::Server, "4.0.0"),
        CommandSpec::new("malloc-stats", 2, Group::Server, "4.0.0", malloc_stats)
            .tips(REPORT)
            .complexity("That of the allocator's report; it may be slow.")
            .summary("Gives the allocator's own statistics."),
        CommandSpec::new("purge", 2, Group::Server, "4.0.0", purge)
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .complexity("That of the allocator's collection; it may be slow.")
            .summary("Has the allocator give unused memory back to the system."),
        CommandSpec::new("stats", 2, Group::Server, "4.0.0", stats)
            .tips(REPORT)
            .summary("Gives the figures of the memory in use."),
        CommandSpec::new("usage", -3, Group::Server, "4.0.0", usage)
            .flags(&[Flag::ReadOnly])
            .keys(&[KeySpec::one(INSPECT, 2)])
            .complexity("O(N) for N samples")
            .summary("Estimates the bytes that a key and its value take.")
            .arguments("key [SAMPLES count:integer]"),
    ])];

/// Below this there is too little data to judge by, in bytes.
const JUDGED_BYTES_MIN: u64 = 5 << 20;

fn doctor(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let info = InfoSnapshot::new(context.state, Some(context.session));
    let text = diagnosis(info.memory(), context.state.clients.len() as u64);
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// What the figures say, one finding a line.
fn diagnosis(stats: &MemoryFigures, clients: u64) -> String {
    if stats.used < JUDGED_BYTES_MIN {
        return format!(
            "Only {} are in use: too little to say anything about. Ask again with more data.\n",
            human_bytes(stats.used)
        );
    }
    let mut text = String::new();
    if stats.peak as f64 > stats.used as f64 * 1.5 {
        text.push_str(&format!(
            "* Peak: {} were in use once, over half more than the {} now. The process may keep part of the \
             difference; MEMORY PURGE gives back what it can.\n",
            human_bytes(stats.peak),
            human_bytes(stats.used)
        ));
    }
    if stats.fragmentation() > 1.4 && stats.fragmentation_bytes() > 10 << 20 {
        text.push_str(&format!(
            "* Fragmentation: the process holds {} of RAM for {} of data, {:.2} bytes for each.\n",
            human_bytes(stats.resident),
            human_bytes(stats.used),
            stats.fragmentation()
        ));
    }
    if clients > 0 && stats.clients / clients > 200 << 10 {
        text.push_str(&format!(
            "* Clients: each holds {} on average. Look for slow readers and large requests with CLIENT LIST.\n",
            human_bytes(stats.clients / clients)
        ));
    }
    if text.is_empty() {
        text.push_str("Nothing looks wrong with the use of memory.\n");
    }
    text
}

fn malloc_stats(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let mut text = format!(
        "records: {} bytes in use of {} taken from the system\n",
        heap::allocated_bytes(),
        heap::resident_bytes()
    );
    text.push_str(&context.state.machine.allocator_statistics());
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn purge(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    heap::retire_empty_spans();
    while heap::trim_step(0) {}
    allocator::release_reserves();
    context.reply.ok();
    Ok(())
}

fn stats(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let info = InfoSnapshot::new(context.state, Some(context.session));
    let stats = info.memory();
    let scripting = &info.state.scripting;
    let scripts = scripting.scripts.memory_bytes() + scripting.engine_bytes(Kind::Script);
    let functions = scripting.functions.memory_bytes() + scripting.engine_bytes(Kind::Function);
    let (backlog, _, replicas) = replication_memory(&info);
    let appended = context.state.aof.buffered_bytes();
    let reply = &mut *context.reply;
    reply.map(27 + stats.databases.len());
    let integers = [
        ("peak.allocated", stats.peak),
        ("total.allocated", stats.used),
        ("startup.allocated", stats.startup),
        ("replication.backlog", backlog),
        ("clients.slaves", replicas),
        ("clients.normal", stats.clients),
        ("cluster.links", bus::memory_bytes(context.state) as u64),
        ("aof.buffer", appended as u64),
        ("lua.caches", scripts as u64),
        ("functions.caches", functions as u64),
    ];
    integers.iter().for_each(|(name, value)| integer(reply, name, *value as i64));
    for database in &stats.databases {
        reply.bulk(format!("db.{}", database.number).as_bytes());
        reply.map(3);
        integer(reply, "overhead.hashtable.main", database.main as i64);
        integer(reply, "overhead.hashtable.expires", database.expires as i64);
        integer(reply, "overhead.hashtable.slot-to-keys", 0);
    }
    let net = stats.used.saturating_sub(stats.startup);
    integer(reply, "overhead.total", stats.overhead as i64);
    integer(reply, "keys.count", stats.keys as i64);
    integer(reply, "keys.bytes-per-key", net.checked_div(stats.keys).unwrap_or(0) as i64);
    integer(reply, "dataset.bytes", stats.dataset as i64);
    double(reply, "dataset.percentage", stats.dataset_percent());
    double(reply, "peak.percentage", stats.peak_percent());
    allocator_stats(reply, stats);
    Ok(())
}

/// The allocator's view, which is the process's: what is active and resident is the same figure.
fn allocator_stats(reply: &mut Reply, stats: &MemoryFigures) {
    integer(reply, "allocator.allocated", stats.used as i64);
    integer(reply, "allocator.active", stats.resident as i64);
    integer(reply, "allocator.resident", stats.resident as i64);
    double(reply, "allocator-fragmentation.ratio", stats.fragmentation());
    integer(reply, "allocator-fragmentation.bytes", stats.fragmentation_bytes());
    double(reply, "allocator-rss.ratio", 1.0);
    integer(reply, "allocator-rss.bytes", 0);
    double(reply, "rss-overhead.ratio", 1.0);
    integer(reply, "rss-overhead.bytes", 0);
    double(reply, "fragmentation", stats.fragmentation());
    integer(reply, "fragmentation.bytes", stats.fragmentation_bytes());
}

fn integer(reply: &mut Reply, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(value);
}

fn double(reply: &mut Reply, name: &str, value: f64) {
    reply.bulk(name.as_bytes());
    reply.double(value);
}

fn usage(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut index = 3;
    while index < args.len() {
        let has_value = index + 1 < args.len();
        if !args[index].eq_ignore_ascii_case(b"samples") || !has_value {
            return Err(CommandError::SYNTAX);
        }
        let samples = number::parse_i64(&args[index + 1]).ok_or(CommandError::NOT_AN_INTEGER)?;
        if samples < 0 {
            return Err(CommandError::SYNTAX);
        }
        index += 2;
    }
    let (keyspace, database, reply) = context.parts();
    match keyspace.peek(database, args.at(2)) {
        None => reply.null(),
        Some(record) => reply.integer(record.memory_with_table_bytes() as i64),
    }
    Ok(())
}
