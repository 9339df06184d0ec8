//! The table of the subcommands of CLIENT.

use crate::command::spec::{Flag, Group};
use crate::engine::state::program::CommandSpec;

use crate::commands::client;
use crate::commands::client::{kill, list, tracking};

/// The subcommands of CLIENT.
pub static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec::new("caching", 3, Group::Connection, "6.0.0", tracking::caching)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Says whether the keys that the next command reads are tracked.")
        .arguments("mode=(YES|NO)"),
    CommandSpec::new("capa", -3, Group::Connection, "8.0.0", client::capa)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::AllowBusy])
        .summary("Says what the client can do: follow a replica's redirections to its primary (redirect).")
        .arguments("capability..."),
    CommandSpec::new("getname", 2, Group::Connection, "2.6.9", client::getname)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Gives the connection's name."),
    CommandSpec::new("getredir", 2, Group::Connection, "6.0.0", tracking::getredir)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Tells which client gets the invalidation messages meant for this one."),
    CommandSpec::new("help", 2, Group::Connection, "5.0.0", client::help)
        .flags(&[Flag::Loading, Flag::Stale])
        .summary("Tells about the subcommands."),
    CommandSpec::new("id", 2, Group::Connection, "5.0.0", client::id)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Gives the connection's number, never used twice."),
    CommandSpec::new("import-source", 3, Group::Connection, "8.1.0", client::import_source)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Says whether the client brings keys of another server, while the server is in import mode.")
        .arguments("enabled=(ON|OFF)"),
    CommandSpec::new("info", 2, Group::Connection, "6.2.0", list::info)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .tips(&["nondeterministic_output"])
        .summary("Describes the own connection."),
    CommandSpec::new("kill", -3, Group::Connection, "2.4.0", kill::kill)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .complexity("O(N), N being the number of clients")
        .summary("Closes connections that match.")
        .history(&[
            ("2.8.12", "Filters with names and values."),
            ("2.8.12", "The filter `ID`."),
            ("3.2.0", "The type `master`."),
            ("5.0.0", "The type `replica`; `slave` still means the same."),
            ("6.2.0", "The filter `LADDR`."),
            ("7.4.0", "The filter `MAXAGE`."),
            ("8.1.0", "Several values of `ID`."),
            (
                "9.0.0",
                "Filters by name, idle time, flags, library, database, capability and IP; `NOT-` before a filter.",
            ),
        ])
        .arguments(
            "filter=(old-format<ip:port>!2.8.12|new-format=([ID client-id:integer...]@2.8.12|\
             [TYPE client-type=(NORMAL|MASTER@3.2.0|PRIMARY@8.0.0|SLAVE|REPLICA@5.0.0|PUBSUB)]@2.8.12|\
             [USER username]|[ADDR addr<ip:port>]|[LADDR laddr<ip:port>]@6.2.0|[SKIPME (YES|NO)]|\
             [MAXAGE maxage:integer]@7.4.0|[NAME name]@9.0.0|[IDLE idle:integer]@9.0.0|[FLAGS flags]@9.0.0|\
             [LIB-NAME lib-name]@9.0.0|[LIB-VER lib-ver]@9.0.0|[DB db:integer]@9.0.0|[CAPA capa]@9.0.0|[IP ip]@9.0.0|\
             [NOT-TYPE not-client-type=(NORMAL|MASTER|PRIMARY|SLAVE|REPLICA|PUBSUB)]@9.0.0|\
             [NOT-ID not-client-id:integer...]@9.0.0|[NOT-USER not-username]@9.0.0|\
             [NOT-ADDR not-addr<ip:port>]@9.0.0|[NOT-LADDR not-laddr<ip:port>]@9.0.0|[NOT-NAME not-name]@9.0.0|\
             [NOT-FLAGS not-flags]@9.0.0|[NOT-LIB-NAME not-lib-name]@9.0.0|[NOT-LIB-VER not-lib-ver]@9.0.0|\
             [NOT-DB not-db:integer]@9.0.0|[NOT-CAPA not-capa]@9.0.0|[NOT-IP not-ip]@9.0.0)...)",
        ),
    CommandSpec::new("list", -2, Group::Connection, "2.4.0", list::list)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .tips(&["nondeterministic_output"])
        .complexity("O(N), N being the number of clients")
        .summary("Describes every connection, or those asked for.")
        .history(&[
            ("2.8.12", "The field `id`."),
            ("5.0.0", "The filter `TYPE`."),
            ("6.0.0", "The field `user`."),
            ("6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`; the filter `ID`."),
            ("7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."),
            ("7.0.3", "The field `ssub`."),
            ("7.2.0", "The fields `lib-name` and `lib-ver`."),
            ("8.1.0", "The filters `USER`, `ADDR`, `LADDR`, `SKIPME` and `MAXAGE`."),
            (
                "9.0.0",
                "Filters by name, idle time, flags, library, database, capability and IP; `NOT-` before a filter.",
            ),
        ])
        .arguments(
            "[TYPE client-type=(NORMAL|MASTER|REPLICA|PUBSUB)]@5.0.0 [ID client-id:integer...]@6.2.0 \
             [USER username]@8.1.0 [ADDR addr<ip:port>]@8.1.0 [LADDR laddr<ip:port>]@8.1.0 [SKIPME (YES|NO)]@8.1.0 \
             [MAXAGE maxage:integer]@8.1.0 [NAME name]@9.0.0 [IDLE idle:integer]@9.0.0 [FLAGS flags]@9.0.0 \
             [LIB-NAME lib-name]@9.0.0 [LIB-VER lib-ver]@9.0.0 [DB db:integer]@9.0.0 [CAPA capa]@9.0.0 [IP ip]@9.0.0 \
             [NOT-TYPE not-client-type=(NORMAL|MASTER|REPLICA|PUBSUB)]@9.0.0 [NOT-ID not-client-id:integer...]@9.0.0 \
             [NOT-USER not-username]@9.0.0 [NOT-ADDR not-addr<ip:port>]@9.0.0 [NOT-LADDR not-laddr<ip:port>]@9.0.0 \
             [NOT-NAME not-name]@9.0.0 [NOT-FLAGS not-flags]@9.0.0 [NOT-LIB-NAME not-lib-name]@9.0.0 \
             [NOT-LIB-VER not-lib-ver]@9.0.0 [NOT-DB not-db:integer]@9.0.0 [NOT-CAPA not-capa]@9.0.0 \
             [NOT-IP not-ip]@9.0.0",
        ),
    CommandSpec::new("no-evict", 3, Group::Connection, "7.0.0", client::no_evict)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Spares the connection when clients are closed to free memory.")
        .arguments("enabled=(ON|OFF)"),
    CommandSpec::new("no-touch", 3, Group::Connection, "7.2.0", client::no_touch)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Lets the client's reads leave the keys' access times alone.")
        .arguments("enabled=(ON|OFF)"),
    CommandSpec::new("pause", -3, Group::Connection, "3.0.0", client::pause)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Holds the commands of all clients back for a while, or only those that write.")
        .history(&[("6.2.0", "The modes `WRITE` and `ALL`.")])
        .arguments("timeout:integer mode=[WRITE|ALL]@6.2.0"),
    CommandSpec::new("reply", 3, Group::Connection, "3.2.0", client::reply)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Turns the replies to this client on or off, or leaves the next one out.")
        .arguments("action=(ON|OFF|SKIP)"),
    CommandSpec::new("setinfo", 4, Group::Connection, "7.2.0", client::setinfo)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .summary("Notes the name or version of the client's library.")
        .arguments("attr=(LIB-NAME libname|LIB-VER libver)"),
    CommandSpec::new("setname", 3, Group::Connection, "2.6.9", client::setname)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .summary("Names the connection.")
        .arguments("connection-name"),
    CommandSpec::new("tracking", -3, Group::Connection, "6.0.0", tracking::tracking)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .complexity("O(1), plus O(N) where N is the number of prefixes.")
        .summary("Whether and how the client is told that keys it has read were changed.")
        .arguments("status=(ON|OFF) [REDIRECT client-id:integer] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"),
    CommandSpec::new("trackinginfo", 2, Group::Connection, "6.2.0", tracking::trackinginfo)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Tells whether and how the client tracks keys."),
    CommandSpec::new("unblock", -3, Group::Connection, "5.0.0", client::unblock)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Ends another client's wait in a blocking command.")
        .arguments("client-id:integer unblock-type=[TIMEOUT|ERROR]"),
    CommandSpec::new("unpause", 2, Group::Connection, "6.2.0", client::unpause)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .complexity("O(N), N being the number of clients held back")
        .summary("Ends a pause and serves those that it held back."),
];
