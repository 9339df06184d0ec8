//! Adding members at places, and telling where they are.

use smallvec::SmallVec;

use crate::command::spec::{
    Argument, ArgumentFlag, ArgumentKind, Category, CommandSpec, Flag, Group, KeyFlag, KeySpec,
};
use crate::command::{Args, CommandError, CommandResult, Context};
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Reply;
use crate::types::geo::text::format_distance;
use crate::types::geo::{Place, Unit};
use crate::types::slot::{OwnedSlot, Slot};
use crate::types::sorted_set::{Change, Limits, SortedSetMut};

use super::arguments::{LATITUDE, LONGITUDE, MEMBER, UNIT};
use super::{limits, options, place_of, reply_place, sorted_set_of};

/// Commands on members of which the caller knows the name.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "geoadd",
        arity: -5,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::Geo],
        keys: &[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Update], 1)],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(log(N)) for each member, where N is the number of members in the key.",
        summary: "Adds members at places, or moves them there; creates the key if need be.",
        history: &[("6.2.0", "Took the options `CH`, `NX` and `XX`.")],
        arguments: &[
            Argument::key("key", 0),
            Argument::one_of(
                "condition",
                &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
            )
            .optional()
            .since("6.2.0"),
            Argument::token("change", "CH").optional().since("6.2.0"),
            Argument::block("data", &[LONGITUDE, LATITUDE, MEMBER]).multiple(),
        ],
        handler: geoadd,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "geodist",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::Geo],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(1)",
        summary: "Tells how far two members are apart.",
        arguments: &[
            Argument::key("key", 0),
            Argument::new("member1", ArgumentKind::String),
            Argument::new("member2", ArgumentKind::String),
            UNIT.optional(),
        ],
        handler: geodist,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "geohash",
        arity: -2,
        flags: &[Flag::ReadOnly],
        categories: &[Category::Geo],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(1) for each member.",
        summary: "Gives the places of members as geohashes of eleven letters.",
        arguments: MEMBERS,
        handler: geohash,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "geopos",
        arity: -2,
        flags: &[Flag::ReadOnly],
        categories: &[Category::Geo],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(1) for each member.",
        summary: "Gives the longitude and the latitude of members.",
        arguments: MEMBERS,
        handler: geopos,
        ..CommandSpec::DEFAULT
    },
];

const MEMBERS: &[Argument] = &[
    Argument::key("key", 0),
    MEMBER.flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple]),
];

/// Which members GEOADD changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Any,
    /// NX.
    Absent,
    /// XX.
    Present,
}

/// What GEOADD is to do.
struct Additions<'a> {
    condition: Condition,
    /// Whether members that were moved count too.
    counts_moved: bool,
    members: SmallVec<[(f64, &'a [u8]); 4]>,
}

impl<'a> Additions<'a> {
    fn parse(args: Args<'a>) -> Result<Additions<'a>, CommandError> {
        let (mut absent, mut present, mut counts_moved) = (false, false, false);
        let mut at = 2;
        while let Some(word) = args.get(at) {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => absent = true,
                b"xx" => present = true,
                b"ch" => counts_moved = true,
                _ => break,
            }
            at += 1;
        }
        let rest = args.len() - at;
        let condition = match (absent, present) {
            (false, false) => Condition::Any,
            (true, false) => Condition::Absent,
            (false, true) => Condition::Present,
            (true, true) => return Err(CommandError::SYNTAX),
        };
        if rest == 0 || !rest.is_multiple_of(3) {
            return Err(CommandError::SYNTAX);
        }
        let members = (at..args.len()).step_by(3).map(|at| {
            let place = options::place(args, at)?;
            Ok((place.score(), args.at(at + 2)))
        });
        Ok(Additions {
            condition,
            counts_moved,
            members: members.collect::<Result<_, CommandError>>()?,
        })
    }

    /// Puts the members into a sorted set; tells how many are new there, and how many were moved.
    fn add_to<S: Slot>(&self, mut set: SortedSetMut<'_, S>) -> (u64, u64) {
        let (mut added, mut moved) = (0, 0);
        set.expect(self.members.len());
        for (score, member) in &self.members {
            let change = set.upsert(member, |present| match (self.condition, present) {
                (Condition::Absent, Some(_)) | (Condition::Present, None) => None,
                _ => Some(*score),
            });
            match change {
                Change::None => {}
                Change::Added => added += 1,
                Change::Updated => moved += 1,
            }
        }
        (added, moved)
    }

    /// The same at a key. Errors: the value there is of another type.
    fn carry_out(
        &self,
        keyspace: &mut Keyspace,
        database: usize,
        key: &[u8],
        limits: Limits,
    ) -> Result<(u64, u64), CommandError> {
        if let Some(mut value) = keyspace.edit(database, key) {
            let set = SortedSetMut::of(&mut value, limits).ok_or(CommandError::WRONG_TYPE)?;
            return Ok(self.add_to(set));
        }
        if self.condition == Condition::Present {
            return Ok((0, 0));
        }
        let seed = keyspace.seed();
        let longest = self.members.first().map_or(0, |(_, member)| member.len());
        let value = limits.empty_for(self.members.len(), longest, seed);
        let mut slot = OwnedSlot::new(value, seed);
        let mut changes = (0, 0);
        if let Some(set) = SortedSetMut::of(&mut slot, limits) {
            changes = self.add_to(set);
        }
        keyspace.create(database, key, slot.value);
        Ok(changes)
    }
}

fn geoadd(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let additions = Additions::parse(args)?;
    let limits = limits(context);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let (added, moved) = additions.carry_out(keyspace, database, key, limits)?;
    if added + moved > 0 {
        keyspace.modified_times(database, key, added + moved);
        keyspace
            .changes
            .notify(EventClass::SortedSet, "zadd", database, key);
    }
    let moved = if additions.counts_moved { moved } else { 0 };
    reply.integer((added + moved) as i64);
    Ok(())
}

fn geodist(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let unit = match args.len() {
        4 => Unit::Meter,
        5 => options::unit(args.at(4))?,
        _ => return Err(CommandError::SYNTAX),
    };
    let (keyspace, database, reply) = context.parts();
    let record = keyspace.read(database, args.at(1));
    let set = record.map(sorted_set_of).transpose()?;
    let place = |member| place_of(set?, member);
    match (place(args.at(2)), place(args.at(3))) {
        (Some(from), Some(to)) => {
            let mut text = Vec::new();
            format_distance(from.distance_meters(to) / unit.meters(), &mut text);
            reply.bulk(&text);
        }
        _ => reply.null(),
    }
    Ok(())
}

/// Replies to a command on members, of which each gets an answer of its own.
fn for_each_member(
    context: &mut Context<'_>,
    args: Args<'_>,
    answer: impl Fn(&mut Reply, Option<Place>),
) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let record = keyspace.read(database, args.at(1));
    let set = record.map(sorted_set_of).transpose()?;
    let members = args.slice_from(2);
    reply.array(members.len());
    for member in members.iter() {
        answer(reply, set.and_then(|set| place_of(set, member)));
    }
    Ok(())
}

fn geohash(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    for_each_member(context, args, |reply, place| match place {
        Some(place) => reply.bulk(&place.geohash()),
        None => reply.null(),
    })
}

fn geopos(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    for_each_member(context, args, |reply, place| match place {
        Some(place) => reply_place(reply, place),
        None => reply.null_array(),
    })
}
