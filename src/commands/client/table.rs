//! The table of the subcommands of CLIENT.

use crate::command::spec::{Argument, ArgumentFlag, ArgumentKind, Category, CommandSpec, Flag, Group};

use crate::commands::client;
use crate::commands::client::{kill, list, tracking};

/// The subcommands of CLIENT.
pub static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "caching",
        arity: 3,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "6.0.0",
        summary: "Says whether the keys that the next command reads are tracked.",
        arguments: &[Argument::one_of("mode", &[Argument::token("yes", "YES"), Argument::token("no", "NO")])],
        handler: tracking::caching,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getname",
        arity: 2,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "2.6.9",
        summary: "Gives the connection's name.",
        handler: client::getname,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getredir",
        arity: 2,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "6.0.0",
        summary: "Tells which client gets the invalidation messages meant for this one.",
        handler: tracking::getredir,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: &[Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "5.0.0",
        summary: "Tells about the subcommands.",
        handler: client::help,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "id",
        arity: 2,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "5.0.0",
        summary: "Gives the connection's number, never used twice.",
        handler: client::id,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "info",
        arity: 2,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        tips: &["nondeterministic_output"],
        group: Group::Connection,
        since: "6.2.0",
        summary: "Describes the own connection.",
        handler: list::info,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "kill",
        arity: -3,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "2.4.0",
        complexity: "O(N), N being the number of clients",
        summary: "Closes connections that match.",
        history: &[
            ("2.8.12", "Filters with names and values."),
            ("2.8.12", "The filter `ID`."),
            ("3.2.0", "The type `master`."),
            ("5.0.0", "The type `replica`; `slave` still means the same."),
            ("6.2.0", "The filter `LADDR`."),
        ],
        arguments: &[Argument::one_of(
            "filter",
            &[
                Argument::new("old-format", ArgumentKind::String).shown_as("ip:port").deprecated("2.8.12"),
                Argument::one_of(
                    "new-format",
                    &[
                        Argument::new("client-id", ArgumentKind::Integer).after("ID").optional().since("2.8.12"),
                        Argument::one_of(
                            "client-type",
                            &[
                                Argument::token("normal", "NORMAL"),
                                Argument::token("master", "MASTER").since("3.2.0"),
                                Argument::token("slave", "SLAVE"),
                                Argument::token("replica", "REPLICA").since("5.0.0"),
                                Argument::token("pubsub", "PUBSUB"),
                            ],
                        )
                        .after("TYPE")
                        .optional()
                        .since("2.8.12"),
                        Argument::new("username", ArgumentKind::String).after("USER").optional(),
                        Argument::new("addr", ArgumentKind::String).after("ADDR").shown_as("ip:port").optional(),
                        Argument::new("laddr", ArgumentKind::String)
                            .after("LADDR")
                            .shown_as("ip:port")
                            .optional()
                            .since("6.2.0"),
                        Argument::one_of("skipme", &[Argument::token("yes", "YES"), Argument::token("no", "NO")])
                            .after("SKIPME")
                            .optional(),
                    ],
                )
                .multiple(),
            ],
        )],
        handler: kill::kill,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "list",
        arity: -2,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        tips: &["nondeterministic_output"],
        group: Group::Connection,
        since: "2.4.0",
        complexity: "O(N), N being the number of clients",
        summary: "Describes every connection, or those asked for.",
        history: &[
            ("2.8.12", "The field `id`."),
            ("5.0.0", "The filter `TYPE`."),
            ("6.0.0", "The field `user`."),
            ("6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`; the filter `ID`."),
            ("7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."),
            ("7.0.3", "The field `ssub`."),
            ("7.2.0", "The fields `lib-name` and `lib-ver`."),
        ],
        arguments: &[
            Argument::one_of(
                "client-type",
                &[
                    Argument::token("normal", "NORMAL"),
                    Argument::token("master", "MASTER"),
                    Argument::token("replica", "REPLICA"),
                    Argument::token("pubsub", "PUBSUB"),
                ],
            )
            .after("TYPE")
            .optional()
            .since("5.0.0"),
            Argument::new("client-id", ArgumentKind::Integer)
                .after("ID")
                .flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple])
                .since("6.2.0"),
        ],
        handler: list::list,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "no-evict",
        arity: 3,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "7.0.0",
        summary: "Spares the connection when clients are closed to free memory.",
        arguments: &[Argument::one_of("enabled", &[Argument::token("on", "ON"), Argument::token("off", "OFF")])],
        handler: client::no_evict,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "no-touch",
        arity: 3,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "7.2.0",
        summary: "Lets the client's reads leave the keys' access times alone.",
        arguments: &[Argument::one_of("enabled", &[Argument::token("on", "ON"), Argument::token("off", "OFF")])],
        handler: client::no_touch,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "pause",
        arity: -3,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "3.0.0",
        summary: "Holds the commands of all clients back for a while, or only those that write.",
        history: &[("6.2.0", "The modes `WRITE` and `ALL`.")],
        arguments: &[
            Argument::new("timeout", ArgumentKind::Integer),
            Argument::one_of("mode", &[Argument::token("write", "WRITE"), Argument::token("all", "ALL")])
                .optional()
                .since("6.2.0"),
        ],
        handler: client::pause,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "reply",
        arity: 3,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "3.2.0",
        summary: "Turns the replies to this client on or off, or leaves the next one out.",
        arguments: &[Argument::one_of(
            "action",
            &[Argument::token("on", "ON"), Argument::token("off", "OFF"), Argument::token("skip", "SKIP")],
        )],
        handler: client::reply,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "setinfo",
        arity: 4,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        group: Group::Connection,
        since: "7.2.0",
        summary: "Notes the name or version of the client's library.",
        arguments: &[Argument::one_of(
            "attr",
            &[
                Argument::new("libname", ArgumentKind::String).after("LIB-NAME"),
                Argument::new("libver", ArgumentKind::String).after("LIB-VER"),
            ],
        )],
        handler: client::setinfo,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "setname",
        arity: 3,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        group: Group::Connection,
        since: "2.6.9",
        summary: "Names the connection.",
        arguments: &[Argument::new("connection-name", ArgumentKind::String)],
        handler: client::setname,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "tracking",
        arity: -3,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "6.0.0",
        complexity: "O(1), plus O(N) where N is the number of prefixes.",
        summary: "Whether and how the client is told that keys it has read were changed.",
        arguments: &[
            Argument::one_of("status", &[Argument::token("on", "ON"), Argument::token("off", "OFF")]),
            Argument::new("client-id", ArgumentKind::Integer).after("REDIRECT").optional(),
            Argument::new("prefix", ArgumentKind::String).after("PREFIX").flags(&[
                ArgumentFlag::Optional,
                ArgumentFlag::Multiple,
                ArgumentFlag::MultipleToken,
            ]),
            Argument::token("bcast", "BCAST").optional(),
            Argument::token("optin", "OPTIN").optional(),
            Argument::token("optout", "OPTOUT").optional(),
            Argument::token("noloop", "NOLOOP").optional(),
        ],
        handler: tracking::tracking,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "trackinginfo",
        arity: 2,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "6.2.0",
        summary: "Tells whether and how the client tracks keys.",
        handler: tracking::trackinginfo,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "unblock",
        arity: -3,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Ends another client's wait in a blocking command.",
        arguments: &[
            Argument::new("client-id", ArgumentKind::Integer),
            Argument::one_of(
                "unblock-type",
                &[Argument::token("timeout", "TIMEOUT"), Argument::token("error", "ERROR")],
            )
            .optional(),
        ],
        handler: client::unblock,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "unpause",
        arity: 2,
        flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
        categories: &[Category::Connection],
        group: Group::Connection,
        since: "6.2.0",
        complexity: "O(N), N being the number of clients held back",
        summary: "Ends a pause and serves those that it held back.",
        handler: client::unpause,
        ..CommandSpec::DEFAULT
    },
];
