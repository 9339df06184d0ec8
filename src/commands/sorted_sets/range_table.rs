//! The declarations of the commands that read ranges; their handlers are in `ranges`.

use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, OVERWRITE, READ};

use super::ranges::{zrange, zrangebylex, zrangebyscore, zrangestore, zrevrange, zrevrangebylex, zrevrangebyscore};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("zrange", -4, Group::SortedSet, "1.2.0", zrange)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M given.")
        .summary("Gives the elements within bounds: of ranks, scores or members.")
        .history(&[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")])
        .arguments(
            "key start stop sortby=[BYSCORE|BYLEX]@6.2.0 [REV]@6.2.0 [LIMIT {offset:integer count:integer}]@6.2.0 \
             [WITHSCORES]",
        ),
    CommandSpec::new("zrangebylex", -4, Group::SortedSet, "2.8.9", zrangebylex)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M given.")
        .summary("Gives the members that lie within bounds in the order of their bytes.")
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument")
        .arguments("key min max [LIMIT {offset:integer count:integer}]"),
    CommandSpec::new("zrangebyscore", -4, Group::SortedSet, "1.0.5", zrangebyscore)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M given.")
        .summary("Gives the elements whose scores lie within bounds.")
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument")
        .history(&[("2.0.0", "`WITHSCORES`.")])
        .arguments("key min:double max:double [WITHSCORES]@2.0.0 [LIMIT {offset:integer count:integer}]"),
    CommandSpec::new("zrangestore", -5, Group::SortedSet, "6.2.0", zrangestore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::one(READ, 2)])
        .complexity("O(log(N) + M*log(M)) with N elements in the sorted set and M stored.")
        .summary("Stores the elements within bounds: of ranks, scores or members.")
        .arguments("dst#0 src#1 min max sortby=[BYSCORE|BYLEX] [REV] [LIMIT {offset:integer count:integer}]"),
    CommandSpec::new("zrevrange", -4, Group::SortedSet, "1.2.0", zrevrange)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M given.")
        .summary("Gives the elements with ranks within bounds, the highest score first.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument")
        .arguments("key start:integer stop:integer [WITHSCORES]"),
    CommandSpec::new("zrevrangebylex", -4, Group::SortedSet, "2.8.9", zrevrangebylex)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M given.")
        .summary("Gives the members that lie within bounds in the order of their bytes, backwards.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")
        .arguments("key max min [LIMIT {offset:integer count:integer}]"),
    CommandSpec::new("zrevrangebyscore", -4, Group::SortedSet, "2.2.0", zrevrangebyscore)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M given.")
        .summary("Gives the elements whose scores lie within bounds, the highest score first.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")
        .history(&[("2.1.6", "Bounds may be excluded.")])
        .arguments("key max:double min:double [WITHSCORES] [LIMIT {offset:integer count:integer}]"),
];
