//! The table of the subcommands of CLUSTER.

use crate::command::databases::Databases;
use crate::command::spec::{Category, Flag, Group};
use crate::commands::cluster::{help, map, migration, nodes, slot_stats, slots, view};
use crate::engine::state::program::CommandSpec;

/// The flags of subcommands that change the cluster.
const CHANGING: &[Flag] = &[Flag::Admin, Flag::Stale, Flag::NoAsyncLoading];
/// The flags of subcommands that only read.
const LOOKING: &[Flag] = &[Flag::Stale];
/// The tip of subcommands whose replies differ from node to node.
const VARIES: &[&str] = &["nondeterministic_output"];

/// The subcommands of CLUSTER.
pub static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec::new("addslots", -3, Group::Cluster, "3.0.0", slots::add)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of slots.")
        .summary("Makes this node the owner of slots that have none.")
        .arguments("slot:integer..."),
    CommandSpec::new("addslotsrange", -4, Group::Cluster, "7.0.0", slots::add_ranges)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of slots.")
        .summary("Makes this node the owner of ranges of slots that have none.")
        .arguments("range={start-slot:integer end-slot:integer}..."),
    CommandSpec::new("bumpepoch", 2, Group::Cluster, "3.0.0", nodes::bump_epoch)
        .flags(CHANGING)
        .tips(VARIES)
        .summary("Gives this node the newest configuration epoch of all."),
    CommandSpec::new("cancelslotmigrations", 2, Group::Cluster, "9.0.0", migration::cancel)
        .databases(Databases::All)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of migrations.")
        .summary("Cancels all atomic migrations of slots from this node."),
    CommandSpec::new("count-failure-reports", 3, Group::Cluster, "3.0.0", view::count_failure_reports)
        .flags(&[Flag::Admin, Flag::Stale])
        .tips(VARIES)
        .complexity("O(N) where N is the number of reports.")
        .summary("Counts the primaries that report a node as failed.")
        .arguments("node-id"),
    CommandSpec::new("countkeysinslot", 3, Group::Cluster, "3.0.0", slots::count_keys)
        .flags(LOOKING)
        .complexity("O(N) where N is the number of keys of this node.")
        .summary("Counts the keys of a slot.")
        .arguments("slot:integer"),
    CommandSpec::new("delslots", -3, Group::Cluster, "3.0.0", slots::remove)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of slots.")
        .summary("Removes the owner of slots from this node's table.")
        .arguments("slot:integer..."),
    CommandSpec::new("delslotsrange", -4, Group::Cluster, "7.0.0", slots::remove_ranges)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of slots.")
        .summary("Removes the owner of ranges of slots from this node's table.")
        .arguments("range={start-slot:integer end-slot:integer}..."),
    CommandSpec::new("failover", -2, Group::Cluster, "3.0.0", nodes::fail_over)
        .flags(CHANGING)
        .summary("Makes this replica the primary in place of its own.")
        .arguments("options=[FORCE|TAKEOVER]"),
    CommandSpec::new("flushslot", -3, Group::Cluster, "9.0.0", slots::flush_slot)
        .databases(Databases::All)
        .flags(&[Flag::Write, Flag::Admin, Flag::NoAsyncLoading])
        .categories(&[Category::Keyspace])
        .complexity("O(N) where N is the number of keys in the slot.")
        .summary("Deletes all keys of a slot.")
        .arguments("slot:integer flush-type=[ASYNC|SYNC]"),
    CommandSpec::new("flushslots", 2, Group::Cluster, "3.0.0", slots::flush)
        .flags(CHANGING)
        .summary("Removes all slots of this node."),
    CommandSpec::new("forget", 3, Group::Cluster, "3.0.0", nodes::forget)
        .flags(CHANGING)
        .summary("Removes a node from this node's table, and refuses it for a minute.")
        .history(&[("7.2.0", "The other nodes forget the node too.")])
        .arguments("node-id"),
    CommandSpec::new("getkeysinslot", 4, Group::Cluster, "3.0.0", slots::list_keys)
        .flags(LOOKING)
        .tips(VARIES)
        .complexity("O(N) where N is the number of keys of this node.")
        .summary("Names some keys of a slot.")
        .arguments("slot:integer count:integer"),
    CommandSpec::new("getslotmigrations", 2, Group::Cluster, "9.0.0", migration::list)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of migrations.")
        .summary("Describes the atomic migrations of slots to and from this node, including finished ones."),
    CommandSpec::new("help", 2, Group::Cluster, "5.0.0", help)
        .flags(&[Flag::Loading, Flag::Stale])
        .summary("Lists the subcommands and what they do."),
    CommandSpec::new("info", 2, Group::Cluster, "3.0.0", view::info)
        .flags(LOOKING)
        .tips(VARIES)
        .summary("Describes the state of the cluster and counts the frames of its bus."),
    CommandSpec::new("keyslot", 3, Group::Cluster, "3.0.0", view::key_slot_of)
        .flags(LOOKING)
        .complexity("O(N) where N is the length of the key.")
        .summary("Gives the slot of a key.")
        .arguments("key<key>:string"),
    CommandSpec::new("links", 2, Group::Cluster, "7.0.0", view::links)
        .flags(LOOKING)
        .tips(VARIES)
        .complexity("O(N) where N is the number of nodes.")
        .summary("Describes the connections to other nodes."),
    CommandSpec::new("meet", -4, Group::Cluster, "3.0.0", nodes::meet)
        .flags(CHANGING)
        .summary("Introduces this node to another one.")
        .history(&[("4.0.0", "The port of the bus.")])
        .arguments("ip port:integer [cluster-bus-port:integer]@4.0.0"),
    CommandSpec::new("migrateslots", -4, Group::Cluster, "9.0.0", migration::migrate_slots)
        .databases(Databases::All)
        .flags(CHANGING)
        .complexity("O(N) where N is the number of slots.")
        .summary("Moves slots of this node to another node, all keys at once.")
        .arguments("migration-group={SLOTSRANGE range={start-slot:integer end-slot:integer}... NODE node-id}..."),
    CommandSpec::new("myid", 2, Group::Cluster, "3.0.0", view::my_id)
        .flags(LOOKING)
        .summary("Gives the id of this node."),
    CommandSpec::new("myshardid", 2, Group::Cluster, "7.2.0", view::my_shard_id)
        .flags(LOOKING)
        .tips(VARIES)
        .summary("Gives the id that this node shares with its primary or its replicas."),
    CommandSpec::new("nodes", 2, Group::Cluster, "3.0.0", view::nodes)
        .flags(LOOKING)
        .tips(VARIES)
        .complexity("O(N) where N is the number of nodes.")
        .summary("Describes every node that this one knows, one a line."),
    CommandSpec::new("replicas", 3, Group::Cluster, "5.0.0", view::replicas)
        .flags(&[Flag::Admin, Flag::Stale])
        .tips(VARIES)
        .complexity("O(N) where N is the number of nodes.")
        .summary("Describes the replicas of a primary.")
        .arguments("node-id"),
    CommandSpec::new("replicate", -3, Group::Cluster, "3.0.0", nodes::replicate)
        .flags(CHANGING)
        .complexity("O(1), besides the memory of the keys that NO ONE deletes.")
        .summary("Makes this node a replica of a primary, or an empty primary.")
        .history(&[("9.0.0", "NO ONE makes a replica an empty primary.")])
        .arguments("args=(node-id|no-one={NO ONE}@9.0.0)"),
    CommandSpec::new("reset", -2, Group::Cluster, "3.0.0", nodes::reset)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Stale])
        .complexity("O(N) where N is the number of nodes.")
        .summary("Makes this node leave the cluster and forget the other nodes.")
        .arguments("reset-type=[HARD|SOFT]"),
    CommandSpec::new("saveconfig", 2, Group::Cluster, "3.0.0", nodes::save_config)
        .flags(CHANGING)
        .summary("Saves what this node knows of the cluster."),
    CommandSpec::new("set-config-epoch", 3, Group::Cluster, "3.0.0", nodes::set_config_epoch)
        .flags(CHANGING)
        .summary("Gives a new node its configuration epoch.")
        .arguments("config-epoch:integer"),
    CommandSpec::new("setslot", -4, Group::Cluster, "3.0.0", slots::set)
        .flags(CHANGING)
        .summary("Begins or ends the move of a slot, or sets its owner.")
        .history(&[("8.0.0", "With TIMEOUT the replicas make the change first.")])
        .arguments(
            "slot:integer subcommand=(IMPORTING importing<node-id>|MIGRATING migrating<node-id>|NODE node<node-id>|\
             STABLE) [TIMEOUT timeout:integer]@8.0.0",
        ),
    CommandSpec::new("shards", 2, Group::Cluster, "7.0.0", map::shards)
        .flags(&[Flag::Loading, Flag::Stale])
        .tips(VARIES)
        .complexity("O(N) where N is the number of nodes.")
        .summary("Lists the slots and the nodes of each shard."),
    CommandSpec::new("slaves", 3, Group::Cluster, "3.0.0", view::replicas)
        .flags(&[Flag::Admin, Flag::Stale])
        .tips(VARIES)
        .complexity("O(N) where N is the number of nodes.")
        .summary("Describes the replicas of a primary.")
        .deprecated("5.0.0", "`CLUSTER REPLICAS`")
        .arguments("node-id"),
    CommandSpec::new("slot-stats", -4, Group::Cluster, "8.2.0", slot_stats::slot_stats)
        .flags(&[Flag::Loading, Flag::Stale])
        .tips(&["nondeterministic_output", "request_policy:all_shards"])
        .complexity("O(N) where N is the number of keys of this node.")
        .summary("Shows how many keys slots of this node have, and what requests about them cost.")
        .arguments(
            "filter=(slotsrange={SLOTSRANGE start-slot:integer end-slot:integer}|\
             orderby={ORDERBY metric [LIMIT limit:integer] order=[ASC|DESC]})",
        ),
    CommandSpec::new("slots", 2, Group::Cluster, "3.0.0", map::slots)
        .flags(&[Flag::Loading, Flag::Stale])
        .tips(VARIES)
        .complexity("O(N) where N is the number of slots.")
        .summary("Lists the ranges of slots with their nodes.")
        .history(&[("4.0.0", "The ids of the nodes."), ("7.0.0", "What else is known of the nodes' addresses.")])
        .deprecated("7.0.0", "`CLUSTER SHARDS`"),
    CommandSpec::new("syncslots", -3, Group::Cluster, "9.0.0", migration::sync)
        .flags(CHANGING)
        .complexity("Depends on the subcommand.")
        .summary("Used between two nodes while slots move from one to the other.")
        .arguments("subcommand [argument...]"),
];
