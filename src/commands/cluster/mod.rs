//! CLUSTER: shows the state of a node of a cluster, and changes it for an administrator. Never decides what follows:
//! the cluster's member does.
//!
//! | file | subcommands |
//! |---|---|
//! | `table.rs` | their declarations |
//! | `view.rs` | INFO, NODES, LINKS, MYID and others that describe nodes |
//! | `migration.rs` | MIGRATESLOTS and others about slots that move with all keys at once |
//! | `map.rs` | SLOTS, SHARDS: which node has which slots |
//! | `nodes.rs` | MEET, FORGET, REPLICATE, FAILOVER, RESET and others that change nodes |
//! | `slots.rs` | ADDSLOTS, DELSLOTS, SETSLOT and others that change slots, keys of a slot |
//! | `slot_stats.rs` | SLOT-STATS |

mod map;
mod migration;
mod nodes;
mod slot_stats;
pub(super) mod slots;
mod table;
mod view;

use crate::cluster::Member;
use crate::cluster::member::AdminError;
use crate::cluster::node::Now;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::Group;
use crate::drive::cluster;
use crate::engine::cluster::Cluster;
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

/// The reply of all subcommands without cluster mode.
const DISABLED: CommandError = CommandError::fixed("ERR This instance has cluster support disabled");

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("cluster", Group::Cluster, "3.0.0")
    .summary("Looks at the cluster that this node is part of, or changes it.")
    .subcommands(table::SUBCOMMANDS)];

/// The state of this server's cluster.
///
/// Errors: it is not in cluster mode.
fn known<'a>(context: &'a Context<'_>) -> Result<&'a Cluster, CommandError> {
    context.state.cluster.as_deref().ok_or(DISABLED)
}

/// Runs a change, saves it, and replies OK.
fn change(context: &mut Context<'_>, change: impl FnOnce(&mut Member, Now) -> Result<(), AdminError>) -> CommandResult {
    let result = cluster::change(context.state, change).ok_or(DISABLED)?;
    result.map_err(refused)?;
    context.reply.ok();
    Ok(())
}

fn refused(error: AdminError) -> CommandError {
    CommandError::new(format!("ERR {error}"))
}

/// An argument as text, empty if there is none. Bytes that are no text are no node's id or address.
fn text(args: Args<'_>, index: usize) -> String {
    String::from_utf8_lossy(args.get(index).unwrap_or_default()).into_owned()
}

fn help(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    help::help(context, args)
}
