//! The primary's side of replication: REPLCONF, PSYNC, SYNC, ROLE, FAILOVER.

use crate::cluster::NodeId;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::drive::replication::{failover, primary, replica, replica_report};
use crate::engine::context::Context;
use crate::engine::session::Mode;
use crate::engine::state::program::CommandSpec;
use crate::replication::ReplicationId;
use crate::replication::failover::{FailoverError, FailoverRequest, FailoverState};
use crate::replication::replicas::Announced;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::storage::rdb::RdbVersion;
use crate::text::quoting;

/// Longest address that a replica may announce, in bytes.
const ADDRESS_MAX_BYTES: usize = 255;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("replconf", -1, Group::Server, "3.0.0", configure)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::AllowBusy, Flag::System])
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Tells a primary about its replica. For the servers' own use."),
    CommandSpec::new("psync", -3, Group::Server, "2.8.0", synchronize)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading, Flag::NoMulti])
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Begins the stream to a replica, where it was or with all data. For the servers' own use.")
        .arguments("replicationid offset:integer"),
    CommandSpec::new("sync", 1, Group::Server, "1.0.0", synchronize)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading, Flag::NoMulti])
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Begins the stream to a replica with all data. For the servers' own use."),
    CommandSpec::new("role", 1, Group::Server, "2.8.12", role)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast])
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Tells the server's role in replication, and how far its replicas are."),
    CommandSpec::new("failover", -1, Group::Server, "6.2.0", fail_over)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Stale])
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Has a replica take this server's place, with nothing lost.")
        .arguments("target={TO {host port:integer [FORCE]}} [ABORT] [TIMEOUT milliseconds:integer]"),
];

fn configure(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let mut announced = context.session.announced.as_deref().cloned().unwrap_or_default();
    for index in (1..args.len()).step_by(2) {
        let value = args.at(index + 1);
        match args.at(index).to_ascii_lowercase().as_slice() {
            b"listening-port" => {
                let port = parse_i64(value).ok_or(CommandError::NOT_AN_INTEGER)?;
                announced.port = u16::try_from(port).unwrap_or_default();
            }
            b"ip-address" => announced.address = Some(parse_address(value)?),
            b"capa" => note_capability(&mut announced, value),
            b"version" => note_version(&mut announced, value)?,
            b"set-cluster-node-id" => announced.node_id = Some(parse_node_id(context, value)?),
            b"ack" => return take_ack(context, args, index),
            // It is for the primary to ask, and the link takes that itself.
            b"getack" => return Ok(()),
            b"rdb-only" => announced.data_only = parse_switch(value)?,
            b"rdb-filter-only" => announced.functions_only = parse_filter(value)?,
            _ => {
                let option = String::from_utf8_lossy(args.at(index));
                return Err(CommandError::new(format!("ERR Unrecognized REPLCONF option: {option}")));
            }
        }
    }
    if let Some(replica) = context.state.replication.primary.replicas.get_mut(context.session.token) {
        replica.announced.port = announced.port;
        replica.announced.address = announced.address.clone();
    }
    context.session.announced = Some(Box::new(announced));
    context.reply.ok();
    Ok(())
}

fn parse_address(value: &[u8]) -> Result<String, CommandError> {
    if value.len() > ADDRESS_MAX_BYTES {
        return Err(CommandError::new(format!(
            "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
            value.len()
        )));
    }
    Ok(String::from_utf8_lossy(value).into_owned())
}

fn parse_node_id(context: &Context<'_>, value: &[u8]) -> Result<String, CommandError> {
    let cluster = context.state.cluster.as_ref();
    let cluster = cluster.ok_or(CommandError::fixed("ERR This instance has cluster support disabled"))?;
    let is_known = NodeId::parse(value).is_some_and(|id| cluster.member.table().find(&id).is_some());
    let text = String::from_utf8_lossy(value).into_owned();
    if is_known { Ok(text) } else { Err(CommandError::new(format!("ERR Unknown node {text}"))) }
}

/// Notes what a replica is capable of; what is not known does not matter.
fn note_capability(announced: &mut Announced, word: &[u8]) {
    match word.to_ascii_lowercase().as_slice() {
        b"eof" => announced.takes_mark = true,
        b"psync2" => announced.follows_new_id = true,
        b"rdb12" => announced.reads = Some(RdbVersion::V12),
        _ => {}
    }
}

/// Notes which version of Valkey a replica is, or stands for: that says which formats it reads.
fn note_version(announced: &mut Announced, version: &[u8]) -> CommandResult {
    let read = RdbVersion::read_by_valkey(version).ok_or_else(|| {
        CommandError::new(format!("ERR Unrecognized version format: {}", String::from_utf8_lossy(version)))
    })?;
    announced.takes_orders = read == RdbVersion::Valkey80;
    // A server of our own reads what Redis writes as well, and has said so.
    if announced.reads != Some(RdbVersion::V12) {
        announced.reads = Some(read);
    }
    Ok(())
}

fn parse_switch(value: &[u8]) -> Result<bool, CommandError> {
    match parse_i64(value) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(CommandError::fixed("ERR value is out of range, value must between 0 and 1")),
        None => Err(CommandError::NOT_AN_INTEGER),
    }
}

/// Which parts of the data are wanted: the functions alone, or everything.
fn parse_filter(value: &[u8]) -> Result<bool, CommandError> {
    let words = quoting::split_arguments(value);
    let words = words.ok_or(CommandError::fixed("ERR Missing rdb-filter-only values"))?;
    let mut functions_only = false;
    for word in &words {
        if !word.eq_ignore_ascii_case(b"functions") {
            let word = String::from_utf8_lossy(word);
            return Err(CommandError::new(format!("ERR Unsupported rdb-filter-only option: {word}")));
        }
        functions_only = true;
    }
    Ok(functions_only)
}

/// Takes an acknowledgement, which has no reply.
fn take_ack(context: &mut Context<'_>, args: Args<'_>, index: usize) -> CommandResult {
    let offset = |index: usize| args.get(index).and_then(parse_i64).and_then(|n| u64::try_from(n).ok());
    if context.session.mode == Mode::Replica
        && let Some(acked) = offset(index + 1)
    {
        let has_fsynced = args.get(index + 2).is_some_and(|word| word.eq_ignore_ascii_case(b"fack"));
        let fsynced = if has_fsynced { offset(index + 3) } else { None };
        primary::take_ack(context.state, context.session, acked, fsynced);
    }
    Ok(())
}

fn synchronize(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.session.mode == Mode::Replica {
        return Ok(());
    }
    let is_psync = args.len() >= 3;
    if args.len() > 3 && args.at(3).eq_ignore_ascii_case(b"failover") {
        give_way(context, args.at(1))?;
    }
    if context.state.replication.failover.state() != FailoverState::None {
        return Err(CommandError::fixed("NOMASTERLINK Can't SYNC while failing over"));
    }
    if !context.state.replication.can_serve_replicas() {
        return Err(CommandError::fixed("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    if !context.reply.is_empty() {
        return Err(CommandError::fixed("ERR SYNC and PSYNC are invalid with pending output"));
    }
    let mut announced = context.session.announced.take().unwrap_or_default();
    announced.is_silent = !is_psync;
    let is_possible = !announced.functions_only || announced.takes_mark;
    let name = primary::name_of(&announced, context.session);
    context.session.announced = Some(announced);
    if !is_possible {
        return Err(CommandError::fixed("ERR Filtered replica requires EOF capability"));
    }
    log::info!("Replica {name} asks for synchronization");
    if is_psync && resume(context, args, &name)? {
        return Ok(());
    }
    refuse_what_failed(context)?;
    context.state.stats.full_syncs += 1;
    primary::add_waiting(context.state, context.session);
    Ok(())
}

/// A replica that could not load the last snapshot is not sent another one at once, over and over.
fn refuse_what_failed(context: &Context<'_>) -> CommandResult {
    let Some(announced) = &context.session.announced else { return Ok(()) };
    let (host, now_ms) = (context.session.address.peer_host(), context.state.now_ms());
    let has_given_up = context.state.replication.primary.has_given_up(host, announced.port, now_ms);
    if announced.reads.is_some() || !has_given_up {
        return Ok(());
    }
    let text = "NOMASTERLINK Fields of hashes have expiry times, which snapshots of version 12 tell: this replica did not \
                load the last one";
    log::warn!(
        "Replica {} left without loading a snapshot of version 12",
        primary::name_of(announced, context.session)
    );
    Err(CommandError::fixed(text))
}

/// Goes on with a replica from where it was, if that is possible.
fn resume(context: &mut Context<'_>, args: Args<'_>, name: &str) -> Result<bool, CommandError> {
    let Some(wanted) = parse_i64(args.at(2)) else {
        log::warn!("Replica {name} asks for synchronization but with a wrong offset");
        return Err(CommandError::NOT_AN_INTEGER);
    };
    if primary::resume(context.state, context.session, args.at(1), wanted) {
        context.state.stats.partial_syncs += 1;
        let follows_new_id = context.session.announced.as_ref().is_some_and(|announced| announced.follows_new_id);
        match follows_new_id {
            true => context.reply.simple(format!("CONTINUE {}", context.state.replication.identity.id)),
            false => context.reply.simple("CONTINUE"),
        }
        return Ok(true);
    }
    if args.at(1) != b"?" {
        context.state.stats.refused_partial_syncs += 1;
    }
    Ok(false)
}

/// The primary of this server wants it to take its place.
fn give_way(context: &mut Context<'_>, id: &[u8]) -> CommandResult {
    if !context.state.replication.is_replica() {
        return Err(CommandError::fixed("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    let own = context.state.replication.identity.id;
    if ReplicationId::parse(id) != Some(own) {
        return Err(CommandError::fixed("ERR PSYNC FAILOVER replid must match my replid."));
    }
    log::info!("Failover request received for replid {own}.");
    replica::promote(context.state);
    Ok(())
}

fn role(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if replica_report::write_role(context.state, context.reply) {
        return Ok(());
    }
    let offset = context.state.replication_offset();
    context.reply.array(3);
    context.reply.bulk(b"master");
    context.reply.integer(i64::try_from(offset).unwrap_or(i64::MAX));
    let state = &*context.state;
    let rows: Vec<(String, u16, u64)> = state
        .replication
        .primary
        .replicas
        .online()
        .filter_map(|replica| {
            let session = state.clients.get(replica.client)?;
            let host = primary::host_of(&replica.announced, session);
            Some((host, replica.announced.port, replica.acked_offset))
        })
        .collect();
    context.reply.array(rows.len());
    for (host, port, acked) in rows {
        context.reply.array(3);
        context.reply.bulk(host.as_bytes());
        context.reply.bulk(port.to_string().as_bytes());
        context.reply.bulk(acked.to_string().as_bytes());
    }
    Ok(())
}

fn fail_over(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.state.cluster.is_some() {
        return Err(CommandError::fixed(
            "ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.",
        ));
    }
    if args.len() == 2 && args.at(1).eq_ignore_ascii_case(b"abort") {
        failover::abort(context.state).map_err(refused)?;
        context.reply.ok();
        return Ok(());
    }
    let request = parse_failover(args)?;
    failover::begin(context.state, request).map_err(refused)?;
    context.reply.ok();
    Ok(())
}

fn refused(error: FailoverError) -> CommandError {
    CommandError::new(format!("ERR {error}"))
}

fn parse_failover(args: Args<'_>) -> Result<FailoverRequest, CommandError> {
    let mut request = FailoverRequest::default();
    let mut index = 1;
    while let Some(word) = args.get(index) {
        let left = args.len() - index - 1;
        match word.to_ascii_lowercase().as_slice() {
            b"timeout" if left >= 1 && request.timeout_ms.is_none() => {
                let timeout_ms = parse_i64(args.at(index + 1)).ok_or(CommandError::NOT_AN_INTEGER)?;
                if timeout_ms <= 0 {
                    return Err(CommandError::fixed("ERR FAILOVER timeout must be greater than 0"));
                }
                request.timeout_ms = Some(timeout_ms);
                index += 2;
            }
            b"to" if left >= 2 && request.target.is_none() => {
                let port = parse_i64(args.at(index + 2)).ok_or(CommandError::NOT_AN_INTEGER)?;
                let host = String::from_utf8_lossy(args.at(index + 1)).into_owned();
                request.target = Some((host, u16::try_from(port).unwrap_or_default()));
                index += 3;
            }
            b"force" if !request.is_forced => {
                request.is_forced = true;
                index += 1;
            }
            _ => return Err(CommandError::SYNTAX),
        }
    }
    Ok(request)
}
