//! Arguments that several commands declare alike.

use super::spec::{Argument, ArgumentFlag, ArgumentKind};

/// How many keys follow.
pub const NUMKEYS: Argument = Argument::new("numkeys", ArgumentKind::Integer);
/// Where a walk goes on.
pub const CURSOR: Argument = Argument::new("cursor", ArgumentKind::Integer);
/// What a walk shows.
pub const MATCH: Argument = Argument::new("pattern", ArgumentKind::Pattern).after("MATCH").optional();
/// How many there are to be.
pub const COUNT: Argument = Argument::new("count", ArgumentKind::Integer).after("COUNT").optional();
/// Whether the key is to be absent, or there.
pub const NX_OR_XX: Argument =
    Argument::one_of("condition", &[Argument::token("nx", "NX"), Argument::token("xx", "XX")]).optional();
/// An expiry time, or none from now on.
pub const EXPIRY_OR_PERSIST: Argument = Argument::one_of(
    "expiration",
    &[SECONDS, MILLISECONDS, UNIX_SECONDS, UNIX_MILLISECONDS, Argument::token("persist", "PERSIST")],
)
.optional();
/// An expiry time, or the one that there is.
pub const EXPIRY_OR_KEEP: Argument = Argument::one_of(
    "expiration",
    &[SECONDS, MILLISECONDS, UNIX_SECONDS, UNIX_MILLISECONDS, Argument::token("keepttl", "KEEPTTL")],
)
.optional();
/// What scores are multiplied by before they are put together, and how that is done.
pub const WEIGHTS: Argument = Argument::new("weight", ArgumentKind::Integer)
    .after("WEIGHTS")
    .flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple]);
pub const AGGREGATE: Argument = Argument::one_of(
    "aggregate",
    &[
        Argument::token("sum", "SUM"),
        Argument::token("min", "MIN"),
        Argument::token("max", "MAX"),
        Argument::token("count", "COUNT").since("8.8.0"),
    ],
)
.after("AGGREGATE")
.optional();

const SECONDS: Argument = Argument::new("seconds", ArgumentKind::Integer).after("EX");
const MILLISECONDS: Argument = Argument::new("milliseconds", ArgumentKind::Integer).after("PX");
const UNIX_SECONDS: Argument = Argument::new("unix-time-seconds", ArgumentKind::UnixTime).after("EXAT");
const UNIX_MILLISECONDS: Argument = Argument::new("unix-time-milliseconds", ArgumentKind::UnixTime).after("PXAT");
