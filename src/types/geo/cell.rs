//! Cells of the grids behind geohashes: which cell a place lies in, its sides, its neighbours, its range of scores.

use std::ops::Range;

use super::{LATITUDE_MAX, LONGITUDE_MAX, Place};

/// Halvings of each axis in a score.
pub const FINEST: u32 = 26;
/// Bits of a score.
pub const SCORE_BITS: u32 = 2 * FINEST;

/// The part of the earth that is halved: as far to every side of the middle.
pub struct Grid {
    longitude_max: f64,
    latitude_max: f64,
}

impl Grid {
    /// The one of the scores.
    pub const SCORES: Grid = Grid { longitude_max: LONGITUDE_MAX, latitude_max: LATITUDE_MAX };
    /// The one of geohashes as text.
    pub const STANDARD: Grid = Grid { longitude_max: LONGITUDE_MAX, latitude_max: 90.0 };
}

/// The sides of a cell, or of what is searched for, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

/// One cell after so many halvings of each axis. The bits of the longitude's halves are those at odd positions, the
/// latitude's those at even ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    step: u32,
}

impl Cell {
    /// The cell around a place, after `step` (1 to 26) halvings of each axis. A place on the eastern or northern limit
    /// is in a cell of its own behind that limit.
    pub fn at(place: Place, step: u32, grid: &Grid) -> Cell {
        let count = (1u64 << step) as f64;
        let index = |value: f64, limit: f64| ((value + limit) / (limit + limit) * count) as u32;
        let column = index(place.longitude, grid.longitude_max);
        let row = index(place.latitude, grid.latitude_max);
        Cell::of(column, row, step)
    }

    /// The cell of the finest grid with these bits, which may be any.
    pub fn finest(bits: u64) -> Cell {
        Cell { bits, step: FINEST }
    }

    fn of(column: u32, row: u32, step: u32) -> Cell {
        Cell { bits: spread(column) << 1 | spread(row), step }
    }

    /// The halves taken, the first in the highest of `2 * step` bits.
    pub fn bits(self) -> u64 {
        self.bits
    }

    fn column(self) -> u32 {
        gather(self.bits >> 1)
    }

    fn row(self) -> u32 {
        gather(self.bits)
    }

    /// Its sides on the grid of the scores.
    #[inline]
    pub fn area(self) -> Area {
        let count = (1u64 << self.step) as f64;
        let side = |index: u32, limit: f64| -limit + f64::from(index) / count * (limit + limit);
        let (column, row) = (self.column(), self.row());
        Area {
            west: side(column, LONGITUDE_MAX),
            south: side(row, LATITUDE_MAX),
            // Bits that no place has can be all ones; then Redis's count runs over too.
            east: side(column.wrapping_add(1), LONGITUDE_MAX),
            north: side(row.wrapping_add(1), LATITUDE_MAX),
        }
    }

    /// The cell so many columns to the east and rows to the north (negative: west and south). Goes round the earth on
    /// both axes, even across the poles.
    pub fn neighbour(self, columns: i32, rows: i32) -> Cell {
        let mask = u32::MAX >> (u32::BITS - self.step);
        let moved = |index: u32, distance: i32| match distance {
            0 => index,
            _ => index.wrapping_add_signed(distance) & mask,
        };
        Cell::of(moved(self.column(), columns), moved(self.row(), rows), self.step)
    }

    /// The scores of all places in it.
    pub fn scores(self) -> Range<f64> {
        let shift = SCORE_BITS - 2 * self.step;
        (self.bits << shift) as f64..((self.bits + 1) << shift) as f64
    }
}

/// Moves bit n to position 2n. See "Interleave bits by Binary Magic Numbers" in S. Anderson's "Bit Twiddling Hacks".
#[inline]
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// Moves bit 2n to position n; those at odd positions are dropped.
#[inline]
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathering_undoes_spreading() {
        for value in [0, 1, 2, 0x1234_5678, 0x8000_0001, u32::MAX] {
            assert_eq!(gather(spread(value)), value);
            assert_eq!(gather(spread(value) << 1), 0);
            assert_eq!(gather(spread(value) | spread(!value) << 1), value);
        }
        assert_eq!(spread(0b1011), 0b100_0101);
    }

    #[test]
    fn neighbours_go_round_the_earth() {
        let corner = Cell::of(0, 0, 2);
        assert_eq!(corner.neighbour(-1, 0), Cell::of(3, 0, 2));
        assert_eq!(corner.neighbour(0, -1), Cell::of(0, 3, 2));
        assert_eq!(corner.neighbour(1, 1), Cell::of(1, 1, 2));
        let far = Cell::of(3, 3, 2);
        assert_eq!(far.neighbour(1, 1), corner);
        // Behind the eastern limit.
        assert_eq!(Cell::of(4, 1, 2).neighbour(1, 0), Cell::of(1, 1, 2));
        assert_eq!(Cell::of(4, 1, 2).neighbour(-1, 0), Cell::of(3, 1, 2));
        assert_eq!(Cell::of(4, 1, 2).neighbour(0, 1), Cell::of(4, 2, 2));
    }

    #[test]
    fn a_cell_is_a_range_of_scores() {
        let place = Place { longitude: 2.35, latitude: 48.85 };
        for step in 1..=FINEST {
            let cell = Cell::at(place, step, &Grid::SCORES);
            let scores = cell.scores();
            assert!(scores.contains(&place.score()));
            assert_eq!(scores.end - scores.start, (1u64 << (SCORE_BITS - 2 * step)) as f64);
            let area = cell.area();
            assert!((area.west..area.east).contains(&place.longitude));
            assert!((area.south..area.north).contains(&place.latitude));
        }
    }
}
