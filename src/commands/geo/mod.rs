//! Places on the earth: sorted sets whose scores are geohashes. Never keeps a place itself: a score is all there is of
//! it.

mod options;
pub mod places;
pub mod search;

use crate::command::error::CommandError;
use crate::keyspace::Record;
use crate::resp::Reply;
use crate::types::geo::Place;
use crate::types::geo::text::format_degrees;
use crate::types::sorted_set::SortedSetRef;

/// The sorted set in a record. Errors: the value is of another type.
fn sorted_set_of(record: &Record) -> Result<SortedSetRef<'_>, CommandError> {
    SortedSetRef::of(record.value().stored()).ok_or(CommandError::WRONG_TYPE)
}

/// Where a member is.
fn place_of(set: SortedSetRef<'_>, member: &[u8]) -> Option<Place> {
    set.score(member).map(Place::of_score)
}

/// Replies with longitude and latitude, with all their digits.
fn reply_place(reply: &mut Reply, place: Place) {
    let mut text = Vec::with_capacity(24);
    reply.array(2);
    for degrees in [place.longitude, place.latitude] {
        text.clear();
        format_degrees(degrees, &mut text);
        reply.double_text(&text);
    }
}
