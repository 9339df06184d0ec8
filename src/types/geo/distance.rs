//! Distances on a sphere of the earth's size, by the haversine formula.

use super::Place;

/// The mean radius that Redis counts with, in meters.
pub const EARTH_RADIUS_METERS: f64 = 6_372_797.560856;
/// Radians in a degree.
const DEGREE: f64 = std::f64::consts::PI / 180.0;

/// Degrees as radians.
#[inline]
pub fn radians(degrees: f64) -> f64 {
    degrees * DEGREE
}

/// Radians as degrees. (Not a multiplication with the inverse, which would round otherwise.)
#[inline]
pub fn degrees(radians: f64) -> f64 {
    radians / DEGREE
}

/// The distance of two places in meters.
pub fn between(from: Place, to: Place) -> f64 {
    Origin::new(from).distance(to)
}

/// The distance of two latitudes on one meridian, in meters.
#[inline]
pub fn along_meridian(from_degrees: f64, to_degrees: f64) -> f64 {
    EARTH_RADIUS_METERS * (radians(to_degrees) - radians(from_degrees)).abs()
}

/// A place that distances are measured from, with what depends on it alone worked out.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub place: Place,
    longitude_radians: f64,
    latitude_radians: f64,
    latitude_cosine: f64,
}

impl Origin {
    /// Measures from a place.
    pub fn new(place: Place) -> Origin {
        let latitude_radians = radians(place.latitude);
        Origin {
            place,
            longitude_radians: radians(place.longitude),
            latitude_radians,
            latitude_cosine: latitude_radians.cos(),
        }
    }

    /// The distance to a place in meters. Not a number where rounding makes the haversine exceed 1, on the other side
    /// of the earth.
    pub fn distance(&self, to: Place) -> f64 {
        let v = self.half_chord_of_longitude(to.longitude);
        if v == 0.0 {
            return along_meridian(self.place.latitude, to.latitude);
        }
        meters_of(self.haversine(v, radians(to.latitude)))
    }

    /// The distance to a place if it is not beyond `limit`, in meters. The limit is what `Limit::new` made of it.
    #[inline]
    pub fn distance_within(&self, to: Place, limit: &Limit) -> Option<f64> {
        let latitude_radians = radians(to.latitude);
        if (latitude_radians - self.latitude_radians).abs() > limit.angle_radians {
            return None;
        }
        let v = self.half_chord_of_longitude(to.longitude);
        let meters = if v == 0.0 {
            along_meridian(self.place.latitude, to.latitude)
        } else {
            let haversine = self.haversine(v, latitude_radians);
            if haversine > limit.haversine {
                return None;
            }
            meters_of(haversine)
        };
        // Not a number is not beyond the limit.
        if meters > limit.meters { None } else { Some(meters) }
    }

    #[inline]
    fn half_chord_of_longitude(&self, longitude: f64) -> f64 {
        ((radians(longitude) - self.longitude_radians) / 2.0).sin()
    }

    #[inline]
    fn haversine(&self, v: f64, latitude_radians: f64) -> f64 {
        let u = ((latitude_radians - self.latitude_radians) / 2.0).sin();
        u * u + self.latitude_cosine * latitude_radians.cos() * v * v
    }
}

#[inline]
fn meters_of(haversine: f64) -> f64 {
    2.0 * EARTH_RADIUS_METERS * haversine.sqrt().asin()
}

/// A distance not to be exceeded, with bounds that cost less to compare with than a distance. They are a little too
/// wide, so that rounding never decides otherwise than the distance itself would.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    meters: f64,
    angle_radians: f64,
    haversine: f64,
}

impl Limit {
    /// So many meters, which may be infinite.
    pub fn new(meters: f64) -> Limit {
        const SLACK: f64 = 1.0 + 1e-6;
        let angle_radians = meters / EARTH_RADIUS_METERS;
        let half_chord = (angle_radians.min(std::f64::consts::PI) / 2.0).sin();
        Limit { meters, angle_radians: angle_radians * SLACK, haversine: half_chord * half_chord * SLACK }
    }
}
