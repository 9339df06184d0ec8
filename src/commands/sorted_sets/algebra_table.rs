//! The declarations of unions, intersections and differences; their handlers are in `algebra`.

use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, OVERWRITE, READ};

use super::algebra::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("zdiff", -3, Group::SortedSet, "6.2.0", zdiff)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity("O(N*K) worst case with N elements in the first of K sorted sets.")
        .summary("Gives what is in the first sorted set and in none of the others.")
        .arguments("numkeys:integer key... [WITHSCORES]"),
    CommandSpec::new("zdiffstore", -4, Group::SortedSet, "6.2.0", zdiffstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::counted(READ, 2)])
        .complexity("O(N*K + M*log(M)) worst case with N elements in the first of K sorted sets and M in the result.")
        .summary("Stores what is in the first sorted set and in none of the others.")
        .arguments("destination#0 numkeys:integer key#1..."),
    CommandSpec::new("zinter", -3, Group::SortedSet, "6.2.0", zinter)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity(
            "O(N*K + M*log(M)) worst case with N elements in the smallest of K sorted sets and M in the result.",
        )
        .summary("Gives what is in all sorted sets.")
        .arguments(
            "numkeys:integer key... [WEIGHTS weight:integer...] [AGGREGATE (SUM|MIN|MAX|COUNT@8.8.0)] [WITHSCORES]",
        ),
    CommandSpec::new("zintercard", -3, Group::SortedSet, "7.0.0", zintercard)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity("O(N*K) worst case with N elements in the smallest of K sorted sets.")
        .summary("Counts what is in all sorted sets.")
        .arguments("numkeys:integer key... [LIMIT limit:integer]"),
    CommandSpec::new("zinterstore", -4, Group::SortedSet, "2.0.0", zinterstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::counted(READ, 2)])
        .complexity(
            "O(N*K + M*log(M)) worst case with N elements in the smallest of K sorted sets and M in the result.",
        )
        .summary("Stores what is in all sorted sets.")
        .arguments(
            "destination#0 numkeys:integer key#1... [WEIGHTS weight:integer...] \
             [AGGREGATE (SUM|MIN|MAX|COUNT@8.8.0)]",
        ),
    CommandSpec::new("zunion", -3, Group::SortedSet, "6.2.0", zunion)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity("O(N + M*log(M)) with N elements in all sorted sets and M in the result.")
        .summary("Gives what is in any of the sorted sets.")
        .arguments(
            "numkeys:integer key... [WEIGHTS weight:integer...] [AGGREGATE (SUM|MIN|MAX|COUNT@8.8.0)] [WITHSCORES]",
        ),
    CommandSpec::new("zunionstore", -4, Group::SortedSet, "2.0.0", zunionstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::counted(READ, 2)])
        .complexity("O(N + M*log(M)) with N elements in all sorted sets and M in the result.")
        .summary("Stores what is in any of the sorted sets.")
        .arguments(
            "destination#0 numkeys:integer key#1... [WEIGHTS weight:integer...] \
             [AGGREGATE (SUM|MIN|MAX|COUNT@8.8.0)]",
        ),
];
