//! Tests of places, distances and searches: known answers from genuine servers, and searches against looking at every
//! place.

use super::*;

fn place(longitude: f64, latitude: f64) -> Place {
    Place::new(longitude, latitude).expect("within the limits")
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

fn shown(value: f64) -> String {
    let mut text = Vec::new();
    text::format_degrees(value, &mut text);
    String::from_utf8(text).expect("digits")
}

/// Longitude and latitude given to GEOADD; ZSCORE, GEOPOS and GEOHASH of it. Recorded from Redis 7.0.15, the same on
/// Valkey 9.1.
const PLACES: &str = "
    0 0 3377699720527872 0.00000268220901489 0.00000126736058093 s0000000000
    180 85.05112878 13510798882111488 180 85.0511287799999991 bp05b5048p0
    -180 -85.05112878 0 -179.99999731779098511 -85.05112751263942528 00bh0hbj200
    180 0 10133099161583616 180 0.00000126736058093 80000000000
    0 85.05112878 6755399441055744 0.00000268220901489 85.0511287799999991 up05b5048p0
    -180 85.05112878 4503599627370496 -179.99999731779098511 85.0511287799999991 bp05b5048p0
    180 -85.05112878 9007199254740992 180 -85.05112751263942528 00bh0hbj200
    13.361389 38.115556 3479099956230698 13.36138933897018433 38.11555639549629859 sqc8b49rny0
    15.087269 37.502669 3479447370796909 15.08726745843887329 37.50266842333162032 sqdtr74hyu0
    -122.407107 37.7943 1367860682352358 -122.40710645914077759 37.79430076631935975 9q8zn81zg80
    1e-07 -1e-07 2627099782632789 0.00000268220901489 -0.00000126736058093 kpbpbpbpbp0
    179.9999999 85.0511287 4503599627370495 179.99999731779098511 85.05112751263942528 zzpgzgpfxz0
    -73.9454966 40.747533 1791875804419201 -73.94549578428268433 40.74753227099792952 dr5rv3fe940
    5e-324 1e-300 3377699720527872 0.00000268220901489 0.00000126736058093 s0000000000
    -63.42020466006154 -59.39134374438114 670489891088144 -63.42020720243453979 -59.39134424476486629 4t6yhu4u640
    54.33641029434736 -72.72955288858765 2413206915565394 54.33641284704208374 -72.72955392943828201 j5ndhryxdh0
    12.917521550408111 -22.846618448497935 2565386645873685 12.91752129793167114 -22.84661918710047956 k7cnjbykb10
    -159.12038708110555 1.2648350021342054 1137579691935559 -159.12038952112197876 1.26483473003419533 82nz5nk04n0
    -166.50156296088545 -11.287019007878555 366653446775131 -166.5015605092048645 -11.28701827049287232 2mcxg1m2270
    -154.8520475131372 -69.62064042013814 54403621280253 -154.85204547643661499 -69.62063985115312903 0e9gumbnmu0
    -27.17309190869497 55.59828429499626 2140048240023940 -27.1730920672416687 55.59828357836252621 g3usm9m5mp0
    -135.43129398612757 -47.07767692498989 139332520442369 -135.43129652738571167 -47.07767645685972013 0zxsnjvbwj0
    45.87596006601214 76.15630184173679 3888200602003356 45.87595850229263306 76.15630176333529278 vj895zvfe70
    27.757061502299507 -17.574884511929938 2640737810585162 27.75706261396408081 -17.57488330741688998 ksgsp8s4fk0
";

#[test]
fn places_have_the_scores_of_redis() {
    for line in PLACES.trim().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = place(number(words[0]), number(words[1]));
        assert_eq!(place.score(), number(words[2]), "{line}");
        let middle = Place::of_score(place.score());
        assert_eq!(shown(middle.longitude), words[3], "{line}");
        assert_eq!(shown(middle.latitude), words[4], "{line}");
        assert_eq!(middle.geohash(), words[5].as_bytes(), "{line}");
    }
}

/// Recorded from GEOPOS of members that ZADD made, on Redis 7.0.15 and Valkey 9.1.
#[test]
fn any_score_is_some_place() {
    const EAST: f64 = 180.0;
    const WEST: f64 = -179.99999731779099;
    const NORTH: f64 = 85.05112878;
    const SOUTH: f64 = -85.05112751263943;
    let recorded = [
        (-1.0, EAST, NORTH),
        (1e300, WEST, SOUTH),
        (-1e300, EAST, SOUTH),
        (f64::INFINITY, WEST, SOUTH),
        (f64::NEG_INFINITY, EAST, SOUTH),
        (0.5, WEST, SOUTH),
        (-0.5, WEST, SOUTH),
        (9007199254740993.0, EAST, SOUTH),
        (9223372036854775807.0, EAST, SOUTH),
        (1.8e19, EAST, NORTH),
        (1.8446744073709552e19, WEST, SOUTH),
        (6004799503160661.0, WEST, NORTH),
        (-9.3e18, EAST, SOUTH),
        (12297829382473034410.0, EAST, SOUTH),
    ];
    for (score, longitude, latitude) in recorded {
        let expected = Place { longitude, latitude };
        assert_eq!(Place::of_score(score), expected, "{score}");
    }
}

#[test]
fn places_beyond_the_limits_are_none() {
    for (longitude, latitude) in
        [(180.1, 0.0), (-180.00001, 0.0), (0.0, 85.06), (0.0, -90.0), (f64::INFINITY, 0.0), (0.0, f64::NAN)]
    {
        assert_eq!(Place::new(longitude, latitude), None);
    }
}

/// Two places and their GEODIST in m, km, ft, mi. Recorded from Redis 8.2 and Valkey 9.1, which count as 7.2 does.
const DISTANCES: &str = "
    0 0 0 0 0.0000 0.0000 0.0000 0.0000
    13.361389 38.115556 15.087269 37.502669 166274.1516 166.2742 545518.8700 103.3182
    -179.9 10 179.9 10 21907.4791 21.9075 71874.9314 13.6127
    0 85 180 85 1112263.0774 1112.2631 3649157.0780 691.1300
    10 20 -170 -20 20020734.0000 20020.7340 65684822.8346 12440.3383
    5 5 5 6 111226.3808 111.2264 364915.9475 69.1130
    1 1 1.000003 1 0.5966 0.0006 1.9573 0.0004
    -13.317351 -21.536972 -130.125811 62.315514 13495230.0469 13495.2300 44275689.1302 8385.5680
    -177.683381 0.472954 143.387269 -71.26151 8452152.8688 8452.1529 27730160.3306 5251.9374
    19.537369 19.830507 -165.277524 -20.566667 19511522.6318 19511.5226 64014181.8627 12123.9282
    73.252941 -8.156444 81.023533 -58.283283 5615000.8937 5615.0009 18421918.9424 3489.0085
    -94.315607 -66.13892 2.256859 72.051064 16924654.0425 16924.6540 55527080.1920 10516.5186
    32.554245 46.615609 -41.880656 41.836187 5731714.6067 5731.7146 18804837.9485 3561.5312
    -143.399002 -35.499727 62.72496 38.37008 17684273.9212 17684.2739 58019271.3950 10988.5257
    -28.168058 -70.088895 -83.975914 -49.318678 3680998.9315 3680.9989 12076768.1478 2287.2724
    -78.773611 52.616819 -108.18604 65.687954 2183566.1813 2183.5662 7163931.0410 1356.8085
    136.574348 -75.685809 -43.626095 -1.409005 11445753.2060 11445.7532 37551683.7468 7112.0790
";

#[test]
fn distances_are_those_of_redis() {
    const UNITS: [&str; 4] = ["m", "KM", "ft", "Mi"];
    let stored = |words: &[&str]| {
        let given = place(number(words[0]), number(words[1]));
        Place::of_score(given.score())
    };
    for line in DISTANCES.trim().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (from, to) = (stored(&words[..2]), stored(&words[2..4]));
        let meters = from.distance_meters(to);
        assert_eq!(meters, to.distance_meters(from));
        for (unit, shown) in UNITS.iter().zip(&words[4..]) {
            let unit = Unit::parse(unit.as_bytes()).expect("a unit");
            let mut text = Vec::new();
            text::format_distance(meters / unit.meters(), &mut text);
            assert_eq!(String::from_utf8_lossy(&text), *shown, "{line}");
        }
    }
    assert_eq!(Unit::parse(b"parsec"), None);
    assert_eq!(Unit::parse(b""), None);
}

/// Places all over the map, more of them around some of its odd corners.
fn places(random: &mut fastrand::Rng) -> Vec<Place> {
    let centers = [(0.0, 0.0), (179.99, 10.0), (-179.9, -40.0), (12.0, 84.9), (-100.0, -84.5), (11.2, 48.1)];
    let mut places = Vec::new();
    for number in 0..6000 {
        let (longitude, latitude) = if number % 2 == 0 {
            (random.f64() * 360.0 - 180.0, random.f64() * 170.0 - 85.0)
        } else {
            let (longitude, latitude) = centers[number / 2 % centers.len()];
            let spread = 10f64.powi(random.i32(-4..2));
            (longitude + (random.f64() - 0.5) * spread, latitude + (random.f64() - 0.5) * spread)
        };
        places.extend(Place::new(longitude, latitude));
    }
    places.iter().map(|place| Place::of_score(place.score())).collect()
}

/// Checks that the ranges of scores hold all that lies within the shape, none of it twice.
fn check_ranges(search: &Search, places: &[Place]) -> usize {
    let ranges = search.score_ranges();
    for (index, range) in ranges.iter().enumerate() {
        assert!(range.start < range.end);
        for other in &ranges[index + 1..] {
            assert!(range.end <= other.start || other.end <= range.start);
        }
    }
    let inside = places.iter().filter(|place| search.distance_meters(**place).is_some());
    let mut found = 0;
    for place in inside {
        let score = place.score();
        assert!(ranges.iter().any(|range| range.contains(&score)), "{place:?} of {search:?}");
        found += 1;
    }
    found
}

#[test]
fn no_place_within_a_shape_is_missed() {
    let mut random = fastrand::Rng::with_seed(1);
    let places = places(&mut random);
    let mut found = 0;
    for number in 0..1500 {
        let center = places[random.usize(..places.len())];
        // Redis misses places on the other side of the map's limits when the shape is large; so must we. Hence no shape
        // over a pole.
        let size = 10f64.powf(random.f64() * 6.0);
        let room = (85.0 - center.latitude.abs()) * 111_000.0;
        let size = size.min(room.max(1.0));
        let shape = if number % 2 == 0 {
            Shape::Circle { radius: size }
        } else {
            let height = size * 10f64.powf(-random.f64() * 2.0);
            Shape::Rectangle { width: size, height }
        };
        found += check_ranges(&Search::around(center, shape, Unit::Meter), &places);
    }
    assert!(found > 20_000, "{found}");
}

#[test]
fn no_place_within_a_polygon_is_missed() {
    let mut random = fastrand::Rng::with_seed(2);
    let places = places(&mut random);
    let mut found = 0;
    for _ in 0..1500 {
        let center = places[random.usize(..places.len())];
        let size = 10f64.powf(random.f64() * 6.0 - 3.7);
        let mut corner = || {
            let longitude = center.longitude + (random.f64() - 0.5) * size;
            let latitude = center.latitude + (random.f64() - 0.5) * size;
            place(longitude.clamp(-LONGITUDE_MAX, LONGITUDE_MAX), latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX))
        };
        let corners = (0..3 + corner().longitude.to_bits() % 5).map(|_| corner()).collect();
        found += check_ranges(&Search::polygon(corners), &places);
    }
    assert!(found > 20_000, "{found}");
    // All around a pole, where the middle is beyond the limit of the map.
    let corners = vec![place(-180.0, 80.0), place(180.0, 80.0), place(0.0, 85.0)];
    assert!(check_ranges(&Search::polygon(corners), &places) > 0);
}

/// The bounds that are compared before a distance must never decide otherwise than the distance.
#[test]
fn a_limit_is_exact() {
    let mut random = fastrand::Rng::with_seed(3);
    let places = places(&mut random);
    for _ in 0..200_000 {
        let from = places[random.usize(..places.len())];
        let to = places[random.usize(..places.len())];
        let meters = from.distance_meters(to);
        let within = |radius| {
            let shape = Shape::Circle { radius };
            Search::around(from, shape, Unit::Meter).distance_meters(to)
        };
        assert_eq!(within(meters), Some(meters));
        assert_eq!(within(f64::INFINITY), Some(meters));
        if meters > 0.0 {
            assert_eq!(within(meters.next_down()), None);
        }
    }
}

#[test]
fn an_endless_circle_covers_the_map() {
    let mut random = fastrand::Rng::with_seed(4);
    let places = places(&mut random);
    for radius in [f64::INFINITY, 1e300, 3e7] {
        let search = Search::around(places[0], Shape::Circle { radius }, Unit::Meter);
        assert_eq!(check_ranges(&search, &places), places.len());
        assert_eq!(search.score_ranges().len(), 4);
    }
}
