//! The declarations of the commands that read ranges; their handlers are in `ranges`.

use crate::command::spec::{Argument, ArgumentKind, Category, CommandSpec, Deprecation, Flag, Group, KeyFlag, KeySpec};

use super::ranges::{zrange, zrangebylex, zrangebyscore, zrangestore, zrevrange, zrevrangebylex, zrevrangebyscore};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "zrange",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N) + M) with N elements in the sorted set and M given.",
        summary: "Gives the elements within bounds: of ranks, scores or members.",
        history: &[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")],
        arguments: &[
            Argument::key("key", 0),
            Argument::new("start", ArgumentKind::String),
            Argument::new("stop", ArgumentKind::String),
            Argument::one_of("sortby", &[Argument::token("byscore", "BYSCORE"), Argument::token("bylex", "BYLEX")])
                .optional()
                .since("6.2.0"),
            Argument::token("rev", "REV").optional().since("6.2.0"),
            Argument::block(
                "limit",
                &[Argument::new("offset", ArgumentKind::Integer), Argument::new("count", ArgumentKind::Integer)],
            )
            .after("LIMIT")
            .optional()
            .since("6.2.0"),
            Argument::token("withscores", "WITHSCORES").optional(),
        ],
        handler: zrange,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zrangebylex",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "2.8.9",
        complexity: "O(log(N) + M) with N elements in the sorted set and M given.",
        summary: "Gives the members that lie within bounds in the order of their bytes.",
        deprecated: Some(Deprecation { since: "6.2.0", replaced_by: "`ZRANGE` with the `BYLEX` argument" }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("min", ArgumentKind::String),
            Argument::new("max", ArgumentKind::String),
            Argument::block(
                "limit",
                &[Argument::new("offset", ArgumentKind::Integer), Argument::new("count", ArgumentKind::Integer)],
            )
            .after("LIMIT")
            .optional(),
        ],
        handler: zrangebylex,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zrangebyscore",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "1.0.5",
        complexity: "O(log(N) + M) with N elements in the sorted set and M given.",
        summary: "Gives the elements whose scores lie within bounds.",
        deprecated: Some(Deprecation { since: "6.2.0", replaced_by: "`ZRANGE` with the `BYSCORE` argument" }),
        history: &[("2.0.0", "`WITHSCORES`.")],
        arguments: &[
            Argument::key("key", 0),
            Argument::new("min", ArgumentKind::Double),
            Argument::new("max", ArgumentKind::Double),
            Argument::token("withscores", "WITHSCORES").optional().since("2.0.0"),
            Argument::block(
                "limit",
                &[Argument::new("offset", ArgumentKind::Integer), Argument::new("count", ArgumentKind::Integer)],
            )
            .after("LIMIT")
            .optional(),
        ],
        handler: zrangebyscore,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zrangestore",
        arity: -5,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 1), KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 2)],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(log(N) + M*log(M)) with N elements in the sorted set and M stored.",
        summary: "Stores the elements within bounds: of ranks, scores or members.",
        arguments: &[
            Argument::key("dst", 0),
            Argument::key("src", 1),
            Argument::new("min", ArgumentKind::String),
            Argument::new("max", ArgumentKind::String),
            Argument::one_of("sortby", &[Argument::token("byscore", "BYSCORE"), Argument::token("bylex", "BYLEX")])
                .optional(),
            Argument::token("rev", "REV").optional(),
            Argument::block(
                "limit",
                &[Argument::new("offset", ArgumentKind::Integer), Argument::new("count", ArgumentKind::Integer)],
            )
            .after("LIMIT")
            .optional(),
        ],
        handler: zrangestore,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zrevrange",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N) + M) with N elements in the sorted set and M given.",
        summary: "Gives the elements with ranks within bounds, the highest score first.",
        deprecated: Some(Deprecation { since: "6.2.0", replaced_by: "`ZRANGE` with the `REV` argument" }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("start", ArgumentKind::Integer),
            Argument::new("stop", ArgumentKind::Integer),
            Argument::token("withscores", "WITHSCORES").optional(),
        ],
        handler: zrevrange,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zrevrangebylex",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "2.8.9",
        complexity: "O(log(N) + M) with N elements in the sorted set and M given.",
        summary: "Gives the members that lie within bounds in the order of their bytes, backwards.",
        deprecated: Some(Deprecation { since: "6.2.0", replaced_by: "`ZRANGE` with the `REV` and `BYLEX` arguments" }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("max", ArgumentKind::String),
            Argument::new("min", ArgumentKind::String),
            Argument::block(
                "limit",
                &[Argument::new("offset", ArgumentKind::Integer), Argument::new("count", ArgumentKind::Integer)],
            )
            .after("LIMIT")
            .optional(),
        ],
        handler: zrevrangebylex,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zrevrangebyscore",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "2.2.0",
        complexity: "O(log(N) + M) with N elements in the sorted set and M given.",
        summary: "Gives the elements whose scores lie within bounds, the highest score first.",
        deprecated: Some(Deprecation {
            since: "6.2.0",
            replaced_by: "`ZRANGE` with the `REV` and `BYSCORE` arguments",
        }),
        history: &[("2.1.6", "Bounds may be excluded.")],
        arguments: &[
            Argument::key("key", 0),
            Argument::new("max", ArgumentKind::Double),
            Argument::new("min", ArgumentKind::Double),
            Argument::token("withscores", "WITHSCORES").optional(),
            Argument::block(
                "limit",
                &[Argument::new("offset", ArgumentKind::Integer), Argument::new("count", ArgumentKind::Integer)],
            )
            .after("LIMIT")
            .optional(),
        ],
        handler: zrevrangebyscore,
        ..CommandSpec::DEFAULT
    },
];
