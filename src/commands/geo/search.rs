//! Finding members near a place: GEOSEARCH and those that came before it.

use crate::command::error::CommandResult;
use crate::command::keys::KeyList;
use crate::command::spec::{Find, Flag, Group, KeySpec, OVERWRITE, READ};
use crate::commands::sorted_sets::limits;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::geo::text::format_distance;
use crate::types::geo::{Place, Search};
use crate::types::sorted_set::{Builder, Limits, Member, ScoreInterval, SortedSetRef};

use super::options::{self, Details, Order, Syntax};
use super::{place_of, reply_place, sorted_set_of};

/// Commands that look for members.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("geosearch", -7, Group::Geo, "6.2.0", geosearch)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity(SEARCH_COMPLEXITY)
        .summary("Finds members within a circle, a box or a polygon.")
        .history(SEARCH_HISTORY)
        .arguments(
            "key from=[FROMMEMBER member|FROMLONLAT {longitude:double latitude:double}] \
             by=(circle={BYRADIUS radius:double unit=(M|KM|FT|MI)}|\
             box={BYBOX width:double height:double unit=(M|KM|FT|MI)}|\
             polygon={BYPOLYGON num-vertices:integer vertices={longitude:double latitude:double}...}@9.0.0) \
             order=[ASC|DESC] count-block=[COUNT count:integer [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        ),
    CommandSpec::new("geosearchstore", -8, Group::Geo, "6.2.0", geosearchstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::one(READ, 2)])
        .complexity(SEARCH_COMPLEXITY)
        .summary("Finds members within a circle, a box or a polygon, and stores them at another key.")
        .history(SEARCH_HISTORY)
        .arguments(
            "destination#0 source#1 from=[FROMMEMBER member|FROMLONLAT {longitude:double latitude:double}] \
             by=(circle={BYRADIUS radius:double unit=(M|KM|FT|MI)}|\
             box={BYBOX width:double height:double unit=(M|KM|FT|MI)}|\
             polygon={BYPOLYGON num-vertices:integer vertices={longitude:double latitude:double}...}@9.0.0) \
             order=[ASC|DESC] count-block=[COUNT count:integer [ANY]] [STOREDIST]",
        ),
    CommandSpec::new("georadius", -6, Group::Geo, "3.2.0", georadius)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[
            KeySpec::one(READ, 1),
            KeySpec::after(OVERWRITE, "STORE", 6, Find::ONE),
            KeySpec::after(OVERWRITE, "STOREDIST", 6, Find::ONE),
        ])
        .find_keys(find_keys)
        .complexity(
            "O(N+log(M)) where N is the number of members in the grid cells around the circle and M the number of \
             members in the key.",
        )
        .summary("Finds members around a place, and stores them at another key if wanted.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")
        .history(ANY_AND_UPPER_CASE)
        .arguments(
            "key longitude:double latitude:double radius:double unit=(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
             count-block=[COUNT count:integer [ANY]@6.2.0] order=[ASC|DESC] \
             store=[STORE storekey<key>#1|STOREDIST storedistkey<key>#2]",
        ),
    CommandSpec::new("georadius_ro", -6, Group::Geo, "3.2.10", georadius_ro)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity(
            "O(N+log(M)) where N is the number of members in the grid cells around the circle and M the number of \
             members in the key.",
        )
        .summary("Finds members around a place.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")
        .history(ANY_AND_UPPER_CASE)
        .arguments(
            "key longitude:double latitude:double radius:double unit=(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
             count-block=[COUNT count:integer [ANY]@6.2.0] order=[ASC|DESC]",
        ),
    CommandSpec::new("georadiusbymember", -5, Group::Geo, "3.2.0", georadiusbymember)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[
            KeySpec::one(READ, 1),
            KeySpec::after(OVERWRITE, "STORE", 5, Find::ONE),
            KeySpec::after(OVERWRITE, "STOREDIST", 5, Find::ONE),
        ])
        .find_keys(find_keys_by_member)
        .complexity(
            "O(N+log(M)) where N is the number of members in the grid cells around the circle and M the number of \
             members in the key.",
        )
        .summary("Finds members around one of them, and stores them at another key if wanted.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments")
        .history(ANY_AND_UPPER_CASE)
        .arguments(
            "key member radius:double unit=(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
             count-block=[COUNT count:integer [ANY]] order=[ASC|DESC] \
             store=[STORE storekey<key>#1|STOREDIST storedistkey<key>#2]",
        ),
    CommandSpec::new("georadiusbymember_ro", -5, Group::Geo, "3.2.10", georadiusbymember_ro)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity(
            "O(N+log(M)) where N is the number of members in the grid cells around the circle and M the number of \
             members in the key.",
        )
        .summary("Finds members around one of them.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")
        .history(ANY_AND_UPPER_CASE)
        .arguments(
            "key member radius:double unit=(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
             count-block=[COUNT count:integer [ANY]] order=[ASC|DESC]",
        ),
];

const SEARCH_COMPLEXITY: &str = "O(N+log(M)) where N is the number of members in the grid cells around the shape and M the number of members in the key; for a polygon times the number of its corners.";

const SEARCH_HISTORY: &[(&str, &str)] =
    &[("7.0.0", "Units may be in upper case."), ("9.0.0", "Took the option `BYPOLYGON`, in Valkey.")];

const ANY_AND_UPPER_CASE: &[(&str, &str)] =
    &[("6.2.0", "Took the option `ANY` of `COUNT`."), ("7.0.0", "Units may be in upper case.")];

/// A member within the shape.
#[derive(Clone, Copy)]
struct Hit<'a> {
    member: Member<'a>,
    score: f64,
    place: Place,
    distance_meters: f64,
}

/// The members within the shape, in the order of the cells around its middle and then of their scores; no more than
/// `limit`. O(N+log(M)), see the commands.
fn find<'a>(set: SortedSetRef<'a>, search: &Search, limit: usize) -> Vec<Hit<'a>> {
    let mut hits = Vec::new();
    for scores in search.score_ranges() {
        let interval = ScoreInterval::half_open(scores.start, scores.end);
        for (member, score) in set.range(set.ranks_of(&interval)) {
            let place = Place::of_score(score);
            let Some(distance_meters) = search.distance_meters(place) else {
                continue;
            };
            hits.push(Hit { member, score, place, distance_meters });
            if hits.len() == limit {
                return hits;
            }
        }
    }
    hits
}

/// Sorts by distance and keeps the first `count`. Members at the same distance stay as they were found.
fn arrange<'a>(hits: Vec<Hit<'a>>, order: Option<Order>, count: usize) -> Vec<Hit<'a>> {
    let Some(order) = order else {
        let mut hits = hits;
        hits.truncate(count);
        return hits;
    };
    let mut ranking: Vec<usize> = (0..hits.len()).collect();
    let compare = |left: &usize, right: &usize| {
        let by_distance = hits[*left].distance_meters.total_cmp(&hits[*right].distance_meters);
        let by_distance = match order {
            Order::NearestFirst => by_distance,
            Order::FarthestFirst => by_distance.reverse(),
        };
        by_distance.then(left.cmp(right))
    };
    if count < ranking.len() {
        ranking.select_nth_unstable_by(count, compare);
        ranking.truncate(count);
    }
    ranking.sort_unstable_by(compare);
    ranking.into_iter().map(|number| hits[number]).collect()
}

/// Carries out a search command.
fn run(context: &mut Context<'_>, args: Args<'_>, syntax: Syntax) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let seed = keyspace.seed().clone();
    let record = keyspace.read(database, args.at(syntax.source_index()));
    let set = record.map(sorted_set_of).transpose()?;
    let place = set.map(|set| move |member: &[u8]| place_of(set, member));
    let places = place.as_ref().map(|place| place as &dyn Fn(&[u8]) -> Option<Place>);
    let request = options::parse(args, syntax, places)?;
    let hits = match (set, &request.search) {
        (Some(set), Some(search)) => {
            let count = request.count.unwrap_or(usize::MAX);
            let limit = if request.any { count } else { usize::MAX };
            arrange(find(set, search, limit), request.order, count)
        }
        // Nothing is found in a key that is not there.
        _ => Vec::new(),
    };
    let unit_meters = request.search.as_ref().map_or(1.0, |search| search.unit().meters());
    let Some(destination) = request.destination else {
        reply_hits(reply, &hits, request.details, unit_meters);
        return Ok(());
    };
    let mut found = Builder::new(&seed);
    for hit in &hits {
        let score = if destination.distances { hit.distance_meters / unit_meters } else { hit.score };
        hit.member.with_bytes(|member| found.push(member, score));
    }
    reply.integer(found.len() as i64);
    store(keyspace, database, destination.key, found, limits, syntax.event());
    Ok(())
}

/// Replies with members and what is asked for of them; distances in a unit of so many meters.
fn reply_hits(reply: &mut Reply, hits: &[Hit<'_>], details: Details, unit_meters: f64) {
    let mut text = Vec::new();
    reply.array(hits.len());
    for hit in hits {
        if details.count() > 0 {
            reply.array(1 + details.count());
        }
        hit.member.with_bytes(|member| reply.bulk(member));
        if details.distance {
            text.clear();
            format_distance(hit.distance_meters / unit_meters, &mut text);
            reply.bulk(&text);
        }
        if details.hash {
            reply.integer(hit.score as i64);
        }
        if details.coordinates {
            reply_place(reply, hit.place);
        }
    }
}

/// Puts what was found at a key; nothing removes it.
fn store(keyspace: &mut Keyspace, database: usize, key: &[u8], found: Builder, limits: Limits, event: &'static str) {
    if found.is_empty() {
        keyspace.delete(database, key);
        return;
    }
    let count = found.len() as u64;
    keyspace.create(database, key, found.finish(limits));
    keyspace.modified_times(database, key, count);
    keyspace.changes.notify(EventClass::SortedSet, event, database, key);
}

fn geosearch(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Syntax::Search)
}

fn geosearchstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Syntax::SearchStore)
}

fn find_keys(args: Args<'_>) -> KeyList {
    options::find_keys(args, Syntax::Radius { may_store: true })
}

fn find_keys_by_member(args: Args<'_>) -> KeyList {
    options::find_keys(args, Syntax::RadiusByMember { may_store: true })
}

fn georadius(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Syntax::Radius { may_store: true })
}

fn georadius_ro(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Syntax::Radius { may_store: false })
}

fn georadiusbymember(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Syntax::RadiusByMember { may_store: true })
}

fn georadiusbymember_ro(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(context, args, Syntax::RadiusByMember { may_store: false })
}
