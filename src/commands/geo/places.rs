//! Adding members at places, and telling where they are.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, READ, UPDATE};
use crate::commands::sorted_sets::update::{Additions, Options, add_elements};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::geo::text::format_distance;
use crate::types::geo::{Place, Unit};

use super::{options, place_of, reply_place, sorted_set_of};

/// Commands on members of which the caller knows the name.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("geoadd", -5, Group::Geo, "3.2.0", geoadd)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(log(N)) for each member, where N is the number of members in the key.")
        .summary("Adds members at places, or moves them there; creates the key if need be.")
        .history(&[("6.2.0", "Took the options `CH`, `NX` and `XX`.")])
        .arguments("key condition=[NX|XX]@6.2.0 [change=CH]@6.2.0 data={longitude:double latitude:double member}..."),
    CommandSpec::new("geodist", -4, Group::Geo, "3.2.0", geodist)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .summary("Tells how far two members are apart.")
        .arguments("key member1 member2 unit=[M|KM|FT|MI]"),
    CommandSpec::new("geohash", -2, Group::Geo, "3.2.0", geohash)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1) for each member.")
        .summary("Gives the places of members as geohashes of eleven letters.")
        .arguments("key [member...]"),
    CommandSpec::new("geopos", -2, Group::Geo, "3.2.0", geopos)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1) for each member.")
        .summary("Gives the longitude and the latitude of members.")
        .arguments("key [member...]"),
];

/// Arguments of GEOADD for each member: longitude, latitude, member.
const WORDS_EACH: usize = 3;

fn geoadd(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut conditions = Options::default();
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let option = match word.to_ascii_lowercase().as_slice() {
            b"nx" => &mut conditions.only_new,
            b"xx" => &mut conditions.only_present,
            b"ch" => &mut conditions.count_changes,
            _ => break,
        };
        *option = true;
        at += 1;
    }
    let words = args.slice_from(at);
    let is_incomplete = words.is_empty() || !words.len().is_multiple_of(WORDS_EACH);
    if is_incomplete || conditions.only_new && conditions.only_present {
        return Err(CommandError::SYNTAX);
    }
    let places = (0..words.len()).step_by(WORDS_EACH);
    let scores: Result<SmallVec<[f64; 16]>, CommandError> =
        places.map(|index| options::place(words, index).map(Place::score)).collect();
    let additions = Additions { options: conditions, scores: &scores?, words, words_each: WORDS_EACH };
    propagate(context, args.first(at), &additions);
    add_elements(context, args.at(1), additions)
}

/// Has GEOADD passed on as the ZADD that it is.
fn propagate(context: &mut Context<'_>, head: Args<'_>, additions: &Additions<'_>) {
    if !context.propagates() {
        return;
    }
    let scores = additions.scores.iter().map(|score| (*score as u64).to_string());
    let scores: Vec<String> = scores.collect();
    let mut words: Vec<&[u8]> = head.iter().collect();
    words[0] = b"zadd";
    for (index, score) in scores.iter().enumerate() {
        words.push(score.as_bytes());
        words.push(additions.words.at(WORDS_EACH * (index + 1) - 1));
    }
    context.propagate_as(&words);
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
