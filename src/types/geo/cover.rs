//! Which ranges of scores hold all places within a shape: the cell around its middle and those of its eight neighbours
//! that it reaches into.
//!
//! The ranges, and their order, are those that Redis scans: the order of a search's results follows from them.

use std::ops::Range;

use arrayvec::ArrayVec;

use super::cell::{Area, Cell, FINEST, Grid};
use super::distance::{EARTH_RADIUS_METERS, degrees, radians};
use super::search::{Search, Shape};
use super::{LATITUDE_MAX, LONGITUDE_MAX, Place};

/// Half of the equator on the map, in meters.
const MAP_HALF_METERS: f64 = 20_037_726.37;

/// Columns to the east and rows to the north of the middle, in the order in which the cells are looked through.
const ORDER: [(i32, i32); 9] = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

impl Search {
    /// Ranges of scores, none of which overlap, that hold every place within the shape (and others). O(1), of a polygon
    /// O(corners).
    pub fn score_ranges(&self) -> ArrayVec<Range<f64>, 9> {
        let bounds = self.bounds();
        let center = self.center_on_map();
        let (cell, step) = self.center_cell(center, &bounds);
        let mut ranges = ArrayVec::new();
        let mut previous = None;
        for (columns, rows) in ORDER {
            // On the coarsest grid every other cell may be reached, the other way round the earth.
            if step >= 2 && is_useless(cell.area(), &bounds, columns, rows) {
                continue;
            }
            let neighbour = cell.neighbour(columns, rows);
            // On the coarsest grid both sides are the same cell.
            if previous.replace(neighbour) != Some(neighbour) {
                ranges.push(neighbour.scores());
            }
        }
        ranges
    }

    /// The middle of the shape; of a polygon, whose middle can be beyond or on a limit of the map, moved to within the
    /// limits.
    fn center_on_map(&self) -> Place {
        const INSIDE: f64 = 1.0 - 1e-12;
        let center = self.origin.place;
        match self.shape {
            Shape::Circle { .. } | Shape::Rectangle { .. } => center,
            Shape::Polygon { .. } => Place {
                longitude: center.longitude.clamp(-LONGITUDE_MAX, LONGITUDE_MAX * INSIDE),
                latitude: center.latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX * INSIDE),
            },
        }
    }

    /// The cell around the middle, of a size at which it and its neighbours are enough, and its step.
    fn center_cell(&self, center: Place, bounds: &Area) -> (Cell, u32) {
        let mut step = estimated_step(self.reach_meters(bounds), center.latitude);
        let mut cell = Cell::at(center, step, &Grid::SCORES);
        if step > 1 && is_too_fine(cell, bounds) {
            step -= 1;
            cell = Cell::at(center, step, &Grid::SCORES);
        }
        // The estimate is made for circles; the middle of a polygon can lie far off the middle of its bounds.
        if let Shape::Polygon { .. } = self.shape {
            while step > 1 && !is_reached_by_neighbours(cell.area(), bounds) {
                step -= 1;
                cell = Cell::at(center, step, &Grid::SCORES);
            }
        }
        (cell, step)
    }

    /// The outermost longitudes and latitudes of the shape, which may be beyond the limits of the map. Near a pole,
    /// where a circle has no outermost longitudes, they are no use, and the cells are too coarse for it to matter.
    fn bounds(&self) -> Area {
        let unit = self.unit.meters();
        let (width, height) = match &self.shape {
            Shape::Circle { radius } => (unit * radius, unit * radius),
            Shape::Rectangle { width, height } => (unit * (width / 2.0), unit * (height / 2.0)),
            Shape::Polygon { corners } => return bounds_of(corners),
        };
        let center = self.origin.place;
        let latitude_delta = degrees(height / EARTH_RADIUS_METERS);
        // A parallel is the shorter the further it is from the equator: that side has the wider angle.
        let widest =
            if center.latitude < 0.0 { center.latitude - latitude_delta } else { center.latitude + latitude_delta };
        let longitude_delta = degrees(width / EARTH_RADIUS_METERS / radians(widest).cos());
        Area {
            west: center.longitude - longitude_delta,
            south: center.latitude - latitude_delta,
            east: center.longitude + longitude_delta,
            north: center.latitude + latitude_delta,
        }
    }

    /// How far the furthest point of the shape is from its middle, in meters.
    fn reach_meters(&self, bounds: &Area) -> f64 {
        let unit = self.unit.meters();
        match &self.shape {
            Shape::Circle { radius } => radius * unit,
            Shape::Rectangle { width, height } => {
                let (width, height) = (width / 2.0, height / 2.0);
                (width * width + height * height).sqrt() * unit
            }
            Shape::Polygon { .. } => {
                let corners = [
                    (bounds.west, bounds.north),
                    (bounds.east, bounds.north),
                    (bounds.west, bounds.south),
                    (bounds.east, bounds.south),
                ];
                let distances =
                    corners.map(|(longitude, latitude)| self.origin.distance(Place { longitude, latitude }));
                distances.into_iter().fold(0.0, f64::max)
            }
        }
    }
}

fn bounds_of(corners: &[Place]) -> Area {
    let mut bounds = Area { west: LONGITUDE_MAX, south: LATITUDE_MAX, east: -LONGITUDE_MAX, north: -LATITUDE_MAX };
    for corner in corners {
        bounds.west = bounds.west.min(corner.longitude);
        bounds.east = bounds.east.max(corner.longitude);
        bounds.south = bounds.south.min(corner.latitude);
        bounds.north = bounds.north.max(corner.latitude);
    }
    bounds
}

/// How often the axes can be halved so that a cell is still wider than `reach_meters`.
fn estimated_step(mut reach_meters: f64, latitude: f64) -> u32 {
    if reach_meters == 0.0 {
        return FINEST;
    }
    let mut step = -1;
    while reach_meters < MAP_HALF_METERS {
        reach_meters *= 2.0;
        step += 1;
    }
    // Cells are narrower towards the poles.
    step -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    step.clamp(1, FINEST as i32) as u32
}

/// Whether the bounds seem to reach beyond the neighbours. At the limits of the map it seems so even if there is
/// nothing beyond.
fn is_too_fine(cell: Cell, bounds: &Area) -> bool {
    cell.neighbour(0, 1).area().north < bounds.north
        || cell.neighbour(0, -1).area().south > bounds.south
        || cell.neighbour(1, 0).area().east < bounds.east
        || cell.neighbour(-1, 0).area().west > bounds.west
}

/// Whether the bounds, which are within the map, end within the cell or its neighbours.
fn is_reached_by_neighbours(area: Area, bounds: &Area) -> bool {
    let (width, height) = (area.east - area.west, area.north - area.south);
    area.west - width <= bounds.west
        && area.south - height <= bounds.south
        && area.east + width >= bounds.east
        && area.north + height >= bounds.north
}

/// Whether a neighbour is not needed: the bounds end before that side of the cell.
fn is_useless(area: Area, bounds: &Area, columns: i32, rows: i32) -> bool {
    rows < 0 && area.south < bounds.south
        || rows > 0 && area.north > bounds.north
        || columns < 0 && area.west < bounds.west
        || columns > 0 && area.east > bounds.east
}
