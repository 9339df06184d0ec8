//! Commands on places. What is stored is compared as well: ZRANGE is one of the commands.
//!
//! Places in `geo-*` are all different: which of several members at the same distance Redis leaves out when COUNT is
//! given depends on its way to sort. `edge-*` hold the limits of the map, and scores that are no geohashes; there is no
//! such COUNT there.

use super::source::Source;
use super::{Generator, Words, draw};

const GENERATORS: &[Generator] = &[
    Generator::new(12, add),
    Generator::new(4, add_at_edges),
    Generator::new(4, distance),
    Generator::new(4, tell),
    Generator::new(14, search),
    Generator::new(6, search_store),
    Generator::new(8, radius),
    Generator::new(5, show),
    Generator::new(2, odd_score),
    Generator::new(2, wrong_search),
    Generator::new(1, delete),
    Generator::new(1, wrong_arity),
];

const KEYS: [&str; 3] = ["geo-1", "geo-2", "geo-3"];
const EDGE_KEYS: [&str; 2] = ["edge-1", "edge-2"];

/// Where many members are, so that searches find some.
const TOWNS: [(f64, f64); 6] =
    [(2.35, 48.85), (-73.94, 40.74), (178.4, -18.1), (-179.9, 66.1), (25.7, 80.3), (0.0, 0.0)];

/// Longitudes and latitudes at which something changes, and some that are none.
const EDGES: [&str; 14] = [
    "0",
    "-0",
    "180",
    "-180",
    "90",
    "-90",
    "85.05112878",
    "-85.05112878",
    "85.06",
    "180.00001",
    "1e-300",
    "inf",
    "nan",
    "0x10",
];

const LENGTHS: [&str; 8] = ["0", "1", "-1", "1e9", "inf", "1e-5", "x", "0x1p20"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn own_key(source: &mut Source) -> Vec<u8> {
    source.one_of(&KEYS).as_bytes().to_vec()
}

/// One of the own keys, now and then one of all families or one that holds the limits.
fn key(source: &mut Source) -> Vec<u8> {
    match source.below(25) {
        0 => source.key(),
        1..=4 => source.one_of(&EDGE_KEYS).as_bytes().to_vec(),
        _ => own_key(source),
    }
}

fn member(source: &mut Source) -> Vec<u8> {
    let limit = if source.chance(20) { 300 } else { 15 };
    let number = source.below(limit);
    if source.chance(30) {
        return number.to_string().into_bytes();
    }
    format!("member-{number}").into_bytes()
}

/// A fraction of one, in steps that are no round numbers.
fn fraction(source: &mut Source) -> f64 {
    source.below(1 << 40) as f64 / (1u64 << 40) as f64
}

fn coordinates(source: &mut Source) -> [Vec<u8>; 2] {
    let (longitude, latitude) = if source.chance(25) {
        (fraction(source) * 360.0 - 180.0, fraction(source) * 170.0 - 85.0)
    } else {
        let (longitude, latitude) = source.one_of(&TOWNS);
        let spread = 10f64.powi(-(source.below(4) as i32));
        (longitude + (fraction(source) - 0.5) * spread, latitude + (fraction(source) - 0.5) * spread)
    };
    [longitude, latitude].map(|value| value.to_string().into_bytes())
}

fn edge(source: &mut Source) -> Vec<u8> {
    if source.chance(5) {
        return source.float_text();
    }
    source.one_of(&EDGES[..]).as_bytes().to_vec()
}

fn add(source: &mut Source) -> Words {
    let mut command = vec![source.word("GEOADD"), own_key(source)];
    for _ in 0..source.one_of(&[0, 0, 0, 1, 2]) {
        let option = source.one_of(&["NX", "XX", "CH", "CH"]);
        command.push(source.word(option));
    }
    for _ in 0..source.one_of(&[1, 1, 2, 10, 60]) {
        command.extend(coordinates(source));
        command.push(member(source));
    }
    if source.chance(4) {
        command.pop();
    }
    command
}

fn add_at_edges(source: &mut Source) -> Words {
    let key = if source.chance(5) { source.key() } else { source.one_of(&EDGE_KEYS).as_bytes().to_vec() };
    let mut command = vec![source.word("GEOADD"), key];
    command.extend([edge(source), edge(source), member(source)]);
    command
}

fn odd_score(source: &mut Source) -> Words {
    let key = source.one_of(&EDGE_KEYS).as_bytes().to_vec();
    let score = source.float_text();
    vec![source.word("ZADD"), key, score, member(source)]
}

fn unit(source: &mut Source) -> Vec<u8> {
    if source.chance(3) {
        return b"parsec".to_vec();
    }
    let name = source.one_of(&["m", "km", "ft", "mi"]);
    source.word(name)
}

fn distance(source: &mut Source) -> Words {
    let mut command = vec![source.word("GEODIST"), key(source)];
    command.extend([member(source), member(source)]);
    for _ in 0..source.one_of(&[0, 0, 1, 1, 1, 1, 1, 2]) {
        command.push(unit(source));
    }
    command
}

fn tell(source: &mut Source) -> Words {
    let name = source.one_of(&["GEOPOS", "GEOHASH"]);
    let mut command = vec![source.word(name), key(source)];
    for _ in 0..source.one_of(&[0, 1, 1, 3, 20]) {
        command.push(member(source));
    }
    command
}

fn length(source: &mut Source) -> Vec<u8> {
    if source.chance(4) {
        return source.one_of(&LENGTHS).as_bytes().to_vec();
    }
    let length = 10f64.powf(fraction(source) * 7.5 - 0.5);
    length.to_string().into_bytes()
}

fn from(source: &mut Source, command: &mut Words) {
    if source.chance(50) {
        command.extend([source.word("FROMMEMBER"), member(source)]);
    } else {
        command.push(source.word("FROMLONLAT"));
        if source.chance(3) {
            command.extend([edge(source), edge(source)]);
        } else {
            command.extend(coordinates(source));
        }
    }
}

fn by(source: &mut Source, command: &mut Words) {
    if source.chance(50) {
        command.extend([source.word("BYRADIUS"), length(source)]);
    } else {
        command.extend([source.word("BYBOX"), length(source), length(source)]);
    }
    command.push(unit(source));
}

/// Order and COUNT. Where members may be at the same place, COUNT only with ANY and without an order.
fn selection(source: &mut Source, command: &mut Words, has_edges: bool) {
    let counts = source.chance(40);
    let any = counts && (has_edges || source.chance(30));
    if source.chance(50) && !(has_edges && counts) {
        let order = source.one_of(&["ASC", "DESC"]);
        command.push(source.word(order));
    }
    if counts {
        command.push(source.word("COUNT"));
        let count =
            if source.chance(4) { source.integer_text() } else { (1 + source.below(20)).to_string().into_bytes() };
        command.push(count);
    }
    if any {
        command.push(source.word("ANY"));
    }
}

fn details(source: &mut Source, command: &mut Words) {
    for name in ["WITHCOORD", "WITHDIST", "WITHHASH"] {
        if source.chance(30) {
            command.push(source.word(name));
        }
    }
}

fn has_edges(key: &[u8]) -> bool {
    !key.starts_with(b"geo")
}

fn search(source: &mut Source) -> Words {
    let key = key(source);
    let has_edges = has_edges(&key);
    let mut command = vec![source.word("GEOSEARCH"), key];
    from(source, &mut command);
    by(source, &mut command);
    selection(source, &mut command, has_edges);
    details(source, &mut command);
    command
}

fn search_store(source: &mut Source) -> Words {
    let key = key(source);
    let has_edges = has_edges(&key);
    let mut command = vec![source.word("GEOSEARCHSTORE"), destination(source), key];
    from(source, &mut command);
    by(source, &mut command);
    selection(source, &mut command, has_edges);
    if source.chance(40) {
        command.push(source.word("STOREDIST"));
    }
    if source.chance(5) {
        details(source, &mut command);
    }
    command
}

/// Keys that are searched too, but where the same place may be twice: distances are small scores.
fn destination(source: &mut Source) -> Vec<u8> {
    source.one_of(&EDGE_KEYS).as_bytes().to_vec()
}

fn radius(source: &mut Source) -> Words {
    let name = source.one_of(&["GEORADIUS", "GEORADIUS_RO", "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"]);
    let key = key(source);
    let has_edges = has_edges(&key);
    let mut command = vec![source.word(name), key];
    if name.contains("MEMBER") {
        command.push(member(source));
    } else {
        command.extend(coordinates(source));
    }
    command.extend([length(source), unit(source)]);
    selection(source, &mut command, has_edges);
    match source.below(10) {
        0 | 1 => command.extend([source.word("STORE"), destination(source)]),
        2 => command.extend([source.word("STOREDIST"), destination(source)]),
        3 => {
            details(source, &mut command);
            command.extend([source.word("STORE"), destination(source)]);
        }
        _ => details(source, &mut command),
    }
    command
}

/// Options in any order, too many or too few of them.
fn wrong_search(source: &mut Source) -> Words {
    let name = source.one_of(&["GEOSEARCH", "GEOSEARCHSTORE"]);
    let mut command = vec![source.word(name)];
    command.push(destination(source));
    if name == "GEOSEARCHSTORE" {
        command.push(destination(source));
    }
    for _ in 0..source.below(6) {
        match source.below(6) {
            0 | 1 => from(source, &mut command),
            2 | 3 => by(source, &mut command),
            4 => selection(source, &mut command, true),
            _ => {
                let option = source.one_of(&["STORE", "ANY", "COUNT", "FROMMEMBER", "BYBOX"]);
                command.push(source.word(option));
            }
        }
    }
    command
}

/// Scores only where they are whole numbers: Redis 7.0 prints others with more digits than 7.2.
fn show(source: &mut Source) -> Words {
    if source.chance(50) {
        let mut command = vec![source.word("ZRANGE"), own_key(source)];
        command.extend(["0", "-1", "WITHSCORES"].map(|word| word.as_bytes().to_vec()));
        return command;
    }
    let key = destination(source);
    if source.chance(50) {
        return vec![b"ZCOUNT".to_vec(), key, b"-inf".to_vec(), length(source)];
    }
    let mut command = vec![source.word("ZRANGE"), key];
    command.extend(["0", "-1"].map(|word| word.as_bytes().to_vec()));
    command
}

fn delete(source: &mut Source) -> Words {
    vec![b"DEL".to_vec(), key(source)]
}

fn wrong_arity(source: &mut Source) -> Words {
    let name = source.one_of(&["GEOADD", "GEODIST", "GEOHASH", "GEOPOS", "GEOSEARCH"]);
    let mut command = vec![source.word(name)];
    command.extend((0..source.below(4)).map(|_| b"geo-1".to_vec()));
    command
}
