//! The declarations of unions, intersections and differences; their handlers are in `algebra`.

use crate::command::arguments::{AGGREGATE, NUMKEYS, WEIGHTS};
use crate::command::spec::{Argument, ArgumentKind, Category, CommandSpec, Flag, Group, KeyFlag, KeySpec};

use super::algebra::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "zdiff",
        arity: -3,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N*K) worst case with N elements in the first of K sorted sets.",
        summary: "Gives what is in the first sorted set and in none of the others.",
        arguments: &[
            NUMKEYS,
            Argument::key("key", 0).multiple(),
            Argument::token("withscores", "WITHSCORES").optional(),
        ],
        handler: zdiff,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zdiffstore",
        arity: -4,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 1), KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 2)],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N*K + M*log(M)) worst case with N elements in the first of K sorted sets and M in the result.",
        summary: "Stores what is in the first sorted set and in none of the others.",
        arguments: &[Argument::key("destination", 0), NUMKEYS, Argument::key("key", 1).multiple()],
        handler: zdiffstore,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zinter",
        arity: -3,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N*K + M*log(M)) worst case with N elements in the smallest of K sorted sets and M in the result.",
        summary: "Gives what is in all sorted sets.",
        arguments: &[
            NUMKEYS,
            Argument::key("key", 0).multiple(),
            WEIGHTS,
            AGGREGATE,
            Argument::token("withscores", "WITHSCORES").optional(),
        ],
        handler: zinter,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zintercard",
        arity: -3,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "7.0.0",
        complexity: "O(N*K) worst case with N elements in the smallest of K sorted sets.",
        summary: "Counts what is in all sorted sets.",
        arguments: &[
            NUMKEYS,
            Argument::key("key", 0).multiple(),
            Argument::new("limit", ArgumentKind::Integer).after("LIMIT").optional(),
        ],
        handler: zintercard,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zinterstore",
        arity: -4,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 1), KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 2)],
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(N*K + M*log(M)) worst case with N elements in the smallest of K sorted sets and M in the result.",
        summary: "Stores what is in all sorted sets.",
        arguments: &[Argument::key("destination", 0), NUMKEYS, Argument::key("key", 1).multiple(), WEIGHTS, AGGREGATE],
        handler: zinterstore,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zunion",
        arity: -3,
        flags: &[Flag::ReadOnly],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N + M*log(M)) with N elements in all sorted sets and M in the result.",
        summary: "Gives what is in any of the sorted sets.",
        arguments: &[
            NUMKEYS,
            Argument::key("key", 0).multiple(),
            WEIGHTS,
            AGGREGATE,
            Argument::token("withscores", "WITHSCORES").optional(),
        ],
        handler: zunion,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "zunionstore",
        arity: -4,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::SortedSet],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 1), KeySpec::counted(&[KeyFlag::Ro, KeyFlag::Access], 2)],
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(N + M*log(M)) with N elements in all sorted sets and M in the result.",
        summary: "Stores what is in any of the sorted sets.",
        arguments: &[Argument::key("destination", 0), NUMKEYS, Argument::key("key", 1).multiple(), WEIGHTS, AGGREGATE],
        handler: zunionstore,
        ..CommandSpec::DEFAULT
    },
];
