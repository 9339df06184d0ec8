//! Places on the earth: how a sorted set holds them as scores, how far they are apart, which of them lie within a
//! shape. Never the sorted set itself.
//!
//! A score is a geohash of 52 bits: the earth is halved in turn by longitude and by latitude, 26 times each, and every
//! half taken is one bit. So places near each other mostly have scores near each other, and a rectangle of the grid is
//! one range of scores.
//!
//! Scores, positions and distances are Redis's to the last bit: clients see them, and other servers rely on them. So
//! the order of floating-point operations in here matters, even where another one would read better.
//!
//! Algorithm: Morton, "A Computer Oriented Geodetic Data Base" (1966), known as geohash (G. Niemeyer, 2008).

pub mod cell;
pub mod cover;
pub mod distance;
pub mod search;
pub mod text;

pub use search::{Search, Shape};

use cell::{Cell, Grid};

/// Degrees to the east and to the west of Greenwich.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Degrees to the north and to the south of the equator: the limits of the square map of the web (EPSG:3857).
pub const LATITUDE_MAX: f64 = 85.05112878;

/// Letters of a geohash as text.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Length of a geohash as text.
pub const TEXT_BYTES: usize = 11;

/// A unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Meter,
    Kilometer,
    Foot,
    Mile,
}

impl Unit {
    /// The unit of that name, in any case.
    pub fn parse(name: &[u8]) -> Option<Unit> {
        match name.to_ascii_lowercase().as_slice() {
            b"m" => Some(Unit::Meter),
            b"km" => Some(Unit::Kilometer),
            b"ft" => Some(Unit::Foot),
            b"mi" => Some(Unit::Mile),
            _ => None,
        }
    }

    /// Its length in meters.
    pub fn meters(self) -> f64 {
        match self {
            Unit::Meter => 1.0,
            Unit::Kilometer => 1000.0,
            Unit::Foot => 0.3048,
            Unit::Mile => 1609.34,
        }
    }
}

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub longitude: f64,
    pub latitude: f64,
}

impl Place {
    /// A place within the limits; nothing beyond them.
    pub fn new(longitude: f64, latitude: f64) -> Option<Place> {
        let is_within =
            (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&longitude) && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&latitude);
        is_within.then_some(Place { longitude, latitude })
    }

    /// The score of the finest cell that it lies in. Only on the very eastern or northern limit it is 2⁵² or more.
    pub fn score(self) -> f64 {
        Cell::at(self, cell::FINEST, &Grid::SCORES).bits() as f64
    }

    /// The middle of the cell that a score stands for. Any score gives some place: one that is no geohash what Redis
    /// makes of it.
    pub fn of_score(score: f64) -> Place {
        let area = Cell::finest(truncated(score)).area();
        let middle = |low: f64, high: f64, limit: f64| ((low + high) / 2.0).clamp(-limit, limit);
        Place {
            longitude: middle(area.west, area.east, LONGITUDE_MAX),
            latitude: middle(area.south, area.north, LATITUDE_MAX),
        }
    }

    /// The standard geohash text, on a grid that reaches to the poles. The last letter is always `0`: 52 bits make ten.
    pub fn geohash(self) -> [u8; TEXT_BYTES] {
        const LETTER_BITS: usize = 5;
        let bits = Cell::at(self, cell::FINEST, &Grid::STANDARD).bits();
        std::array::from_fn(|index| {
            let shift = (cell::SCORE_BITS as usize).checked_sub((index + 1) * LETTER_BITS);
            let letter = shift.map_or(0, |shift| bits >> shift & 0x1f);
            ALPHABET[letter as usize]
        })
    }

    /// The distance to another place, in meters.
    pub fn distance_meters(self, other: Place) -> f64 {
        distance::between(self, other)
    }
}

/// A score as an integer. What does not fit becomes what the conversion of x86 makes of it, as in Redis: the geohash of
/// a score that no GEOADD made is seen by GEOPOS.
fn truncated(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    let convert = |value: f64| {
        if (-HALF..HALF).contains(&value) { value as i64 as u64 } else { 1 << 63 }
    };
    if score < HALF { convert(score) } else { convert(score - HALF) ^ 1 << 63 }
}

#[cfg(test)]
mod tests;
