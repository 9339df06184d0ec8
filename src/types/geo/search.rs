//! What a search looks for: the places within a circle, a rectangle or a polygon.

use super::distance::{self, Limit, Origin};
use super::{Place, Unit};

/// The form of what is searched, in the search's unit.
#[derive(Clone, Debug)]
pub enum Shape {
    Circle {
        radius: f64,
    },
    /// Sides along meridians and parallels. The width is that at the height of each place.
    Rectangle {
        width: f64,
        height: f64,
    },
    /// Straight lines on the map between three corners or more. It does not reach across the 180th meridian.
    Polygon {
        corners: Vec<Place>,
    },
}

/// A shape somewhere on the earth.
#[derive(Clone, Debug)]
pub struct Search {
    pub(super) origin: Origin,
    pub(super) unit: Unit,
    pub(super) shape: Shape,
    /// The radius of a circle; none of the other shapes.
    limit: Limit,
}

impl Search {
    /// A circle or a rectangle around a place.
    pub fn around(center: Place, shape: Shape, unit: Unit) -> Search {
        let reach = match shape {
            Shape::Circle { radius } => radius * unit.meters(),
            Shape::Rectangle { .. } | Shape::Polygon { .. } => f64::INFINITY,
        };
        Search { origin: Origin::new(center), unit, shape, limit: Limit::new(reach) }
    }

    /// A polygon. Distances are measured in meters from the middle of its corners on the sphere. O(corners).
    pub fn polygon(corners: Vec<Place>) -> Search {
        let center = middle(&corners);
        Search::around(center, Shape::Polygon { corners }, Unit::Meter)
    }

    /// The unit of the shape, in which distances are told.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The distance of a place from the middle of the shape in meters; nothing if it lies outside. O(1), of a polygon
    /// O(corners).
    #[inline]
    pub fn distance_meters(&self, place: Place) -> Option<f64> {
        let may_be_inside = match &self.shape {
            Shape::Circle { .. } => true,
            Shape::Rectangle { width, height } => self.is_in_rectangle(place, *width, *height),
            Shape::Polygon { corners } => is_in_polygon(place, corners),
        };
        if !may_be_inside {
            return None;
        }
        self.origin.distance_within(place, &self.limit)
    }

    fn is_in_rectangle(&self, place: Place, width: f64, height: f64) -> bool {
        let center = self.origin.place;
        let unit = self.unit.meters();
        if distance::along_meridian(place.latitude, center.latitude) > height * unit / 2.0 {
            return false;
        }
        let beside = Place { longitude: center.longitude, latitude: place.latitude };
        let is_beyond = distance::between(place, beside) > width * unit / 2.0;
        !is_beyond
    }
}

/// The direction of the sum of the corners as vectors from the earth's middle.
fn middle(corners: &[Place]) -> Place {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for corner in corners {
        let (longitude, latitude) = (distance::radians(corner.longitude), distance::radians(corner.latitude));
        x += latitude.cos() * longitude.cos();
        y += latitude.cos() * longitude.sin();
        z += latitude.sin();
    }
    Place { longitude: distance::degrees(y.atan2(x)), latitude: distance::degrees(z.atan2((x * x + y * y).sqrt())) }
}

/// Whether a line from the place to the east crosses an odd number of sides.
/// Algorithm: W. R. Franklin, "PNPOLY: Point Inclusion in Polygon Test".
fn is_in_polygon(place: Place, corners: &[Place]) -> bool {
    let Some(last) = corners.last() else {
        return false;
    };
    let mut is_inside = false;
    let mut previous = last;
    for corner in corners {
        let is_across = (corner.latitude > place.latitude) != (previous.latitude > place.latitude);
        if is_across {
            let crossing = (previous.longitude - corner.longitude) * (place.latitude - corner.latitude)
                / (previous.latitude - corner.latitude)
                + corner.longitude;
            is_inside ^= place.longitude < crossing;
        }
        previous = corner;
    }
    is_inside
}
