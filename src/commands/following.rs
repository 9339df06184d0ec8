//! Following a primary: REPLICAOF and SLAVEOF.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::drive::replication::replica;
use crate::engine::client_line;
use crate::engine::context::Context;
use crate::engine::session::ClientKind;
use crate::engine::state::program::CommandSpec;
use crate::replication::failover::FailoverState;
use crate::resp::{Args, number};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("replicaof", 3, Group::Server, "5.0.0", follow)
        .flags(FLAGS)
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Follows another server, or follows none any more.")
        .arguments(ARGUMENTS),
    CommandSpec::new("slaveof", 3, Group::Server, "1.0.0", follow)
        .flags(FLAGS)
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Follows another server, or follows none any more.")
        .deprecated("5.0.0", "`REPLICAOF`")
        .arguments(ARGUMENTS),
];

const FLAGS: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Stale, Flag::NoAsyncLoading];
const ARGUMENTS: &str = "args=(host-port={host port:integer}|no-one={NO ONE})";

fn follow(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.state.config.cluster_enabled {
        return Err(CommandError::fixed("ERR REPLICAOF not allowed in cluster mode."));
    }
    if context.state.replication.failover.state() != FailoverState::None {
        return Err(CommandError::fixed("ERR REPLICAOF not allowed while failing over."));
    }
    let user = String::from_utf8_lossy(&client_line::line_of_caller(context, args)).into_owned();
    if args.at(1).eq_ignore_ascii_case(b"no") && args.at(2).eq_ignore_ascii_case(b"one") {
        if context.state.replication.is_replica() {
            replica::promote(context.state);
            log::info!("MASTER MODE enabled (user request from '{user}')");
        }
        context.reply.ok();
        return Ok(());
    }
    if context.session.kind() == ClientKind::Replica {
        return Err(CommandError::fixed("ERR Command is not valid when client is a replica."));
    }
    let port = number::parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let port = u16::try_from(port).map_err(|_| CommandError::fixed("ERR Invalid master port"))?;
    let host = String::from_utf8_lossy(args.at(1)).into_owned();
    if let Some(side) = &context.state.replication.replica
        && side.host.eq_ignore_ascii_case(&host)
        && side.port == port
    {
        log::info!(
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed."
        );
        context.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    log::info!("REPLICAOF {host}:{port} enabled (user request from '{user}')");
    replica::follow(context.state, host, port);
    context.reply.ok();
    Ok(())
}
