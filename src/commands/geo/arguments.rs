//! The arguments that several geo commands declare.

use crate::command::spec::{Argument, ArgumentKind};

/// The units of length.
pub const UNIT: Argument = Argument::one_of(
    "unit",
    &[Argument::token("m", "M"), Argument::token("km", "KM"), Argument::token("ft", "FT"), Argument::token("mi", "MI")],
);

pub const LONGITUDE: Argument = Argument::new("longitude", ArgumentKind::Double);
pub const LATITUDE: Argument = Argument::new("latitude", ArgumentKind::Double);
pub const MEMBER: Argument = Argument::new("member", ArgumentKind::String);
pub const RADIUS: Argument = Argument::new("radius", ArgumentKind::Double);

/// Where GEOSEARCH looks from.
pub const FROM: Argument = Argument::one_of(
    "from",
    &[MEMBER.after("FROMMEMBER"), Argument::block("fromlonlat", &[LONGITUDE, LATITUDE]).after("FROMLONLAT")],
)
.optional();

/// What GEOSEARCH looks within.
pub const BY: Argument = Argument::one_of(
    "by",
    &[
        Argument::block("circle", &[RADIUS.after("BYRADIUS"), UNIT]),
        Argument::block(
            "box",
            &[
                Argument::new("width", ArgumentKind::Double).after("BYBOX"),
                Argument::new("height", ArgumentKind::Double),
                UNIT,
            ],
        ),
        Argument::block(
            "polygon",
            &[
                Argument::new("num-vertices", ArgumentKind::Integer).after("BYPOLYGON"),
                Argument::block("vertices", &[LONGITUDE, LATITUDE]).multiple(),
            ],
        )
        .since("9.0.0"),
    ],
);

pub const ORDER: Argument =
    Argument::one_of("order", &[Argument::token("asc", "ASC"), Argument::token("desc", "DESC")]).optional();

const COUNT_NUMBER: Argument = Argument::new("count", ArgumentKind::Integer).after("COUNT");
const ANY: Argument = Argument::token("any", "ANY").optional();

pub const COUNT: Argument = Argument::block("count-block", &[COUNT_NUMBER, ANY]).optional();
/// The same for commands that are older than ANY.
pub const COUNT_SINCE_6_2: Argument = Argument::block("count-block", &[COUNT_NUMBER, ANY.since("6.2.0")]).optional();

pub const WITH_COORDINATES: Argument = Argument::token("withcoord", "WITHCOORD").optional();
pub const WITH_DISTANCE: Argument = Argument::token("withdist", "WITHDIST").optional();
pub const WITH_HASH: Argument = Argument::token("withhash", "WITHHASH").optional();

/// Where GEORADIUS and GEORADIUSBYMEMBER put what they find.
pub const STORE: Argument = Argument::one_of(
    "store",
    &[
        Argument::key("storekey", 1).shown_as("key").after("STORE"),
        Argument::key("storedistkey", 2).shown_as("key").after("STOREDIST"),
    ],
)
.optional();
