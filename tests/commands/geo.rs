//! Places: every command and error. Replies were recorded from Redis 7.0.15, those to BYPOLYGON from Valkey 9.1.

use oneloop::config::Config;
use oneloop::resp::Protocol;
use oneloop::types::sorted_set::{Member, SortedSetRef};

use crate::support::Harness;

const OK: &str = "+OK\r\n";
const ONE: &str = ":1\r\n";
const ZERO: &str = ":0\r\n";
const EMPTY: &str = "*0\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// Two towns, and a string.
fn sicily() -> Harness {
    let mut server = Harness::new();
    let words = "geoadd sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";
    server.expect(words, ":2\r\n");
    server.expect("set string 1", OK);
    server
}

/// Checks lines of a command and the error that it gets.
#[track_caller]
fn expect_errors(server: &mut Harness, lines: &str) {
    for line in lines.trim().lines() {
        let (words, error) = line.trim().split_once(" => ").expect("an arrow");
        let error = match error {
            "syntax" => SYNTAX.to_string(),
            "wrong type" => WRONG_TYPE.to_string(),
            error => format!("-ERR {error}\r\n"),
        };
        server.expect(words, &error);
    }
}

#[test]
fn distances_and_places_are_told() {
    let mut server = sicily();
    server.expect("geodist sicily Palermo Catania", "$11\r\n166274.1516\r\n");
    server.expect("geodist sicily Palermo Catania km", "$8\r\n166.2742\r\n");
    server.expect("geodist sicily Palermo Catania MI", "$8\r\n103.3182\r\n");
    server.expect("geodist sicily Palermo Catania ft", "$11\r\n545518.8700\r\n");
    server.expect("geodist sicily Palermo Palermo", "$6\r\n0.0000\r\n");
    server.expect("geodist sicily Palermo nobody", "$-1\r\n");
    server.expect("geodist none Palermo Catania", "$-1\r\n");
    server.expect("geohash sicily Palermo nobody Catania", "*3\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n$11\r\nsqdtr74hyu0\r\n");
    server.expect("geohash sicily", EMPTY);
    server.expect("geohash none Palermo", "*1\r\n$-1\r\n");
    server.expect("geopos sicily Palermo nobody Catania", "*3\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*-1\r\n*2\r\n$20\r\n15.08726745843887329\r\n$20\r\n37.50266842333162032\r\n");
    server.expect("geopos sicily", EMPTY);
    server.expect("geopos none Palermo", "*1\r\n*-1\r\n");
    let errors = "
        geodist sicily Palermo Catania parsec => unsupported unit provided. please use M, KM, FT, MI
        geodist none Palermo Catania parsec => unsupported unit provided. please use M, KM, FT, MI
        geodist sicily Palermo Catania km km => syntax
        geodist sicily Palermo => wrong number of arguments for 'geodist' command
    ";
    expect_errors(&mut server, errors);
}

#[test]
fn members_are_added_and_moved() {
    let mut server = Harness::new();
    server.expect("exists a", ZERO);
    server.expect("geoadd a xx 1 2 x", ZERO);
    server.expect("exists a", ZERO);
    server.expect("geoadd a nx ch 1 2 x 3 4 y", ":2\r\n");
    server.expect("geoadd a nx 9 9 x 5 6 z", ONE);
    server.expect("geopos a x", "*1\r\n*2\r\n$19\r\n0.99999994039535522\r\n$18\r\n2.0000001856465488\r\n");
    server.expect("geoadd a xx ch 9 9 x 5 6 z 7 7 w", ONE);
    server.expect("geopos a x w", "*2\r\n*2\r\n$19\r\n8.99999946355819702\r\n$19\r\n9.00000020172915782\r\n*-1\r\n");
    server.expect("geoadd a 9 9 x", ZERO);
    server.expect("geoadd a ch 9 9 x 9.1 9 x", ONE);
}

#[test]
fn wrong_additions_are_refused() {
    let mut server = sicily();
    let errors = "
        geoadd a 1 2 => wrong number of arguments for 'geoadd' command
        geoadd a nx 1 2 => syntax
        geoadd a 1 2 x 3 => syntax
        geoadd a nx xx 1 2 x => syntax
        geoadd a nx nx nx => syntax
        geoadd a x 2 x => value is not a valid float
        geoadd a 1 y x => value is not a valid float
        geoadd a 180.5 2 x => invalid longitude,latitude pair 180.500000,2.000000
        geoadd a 1 85.06 x => invalid longitude,latitude pair 1.000000,85.060000
        geoadd a 1 2 x 200 3 y => invalid longitude,latitude pair 200.000000,3.000000
        geoadd a inf -1e20 x => invalid longitude,latitude pair inf,-100000000000000000000.000000
        geoadd a nan 1 x => value is not a valid float
        geoadd string 1 2 x => wrong type
        geoadd string 1 200 x => invalid longitude,latitude pair 1.000000,200.000000
        geodist string a b => wrong type
        geodist string a b parsec => unsupported unit provided. please use M, KM, FT, MI
        geohash string a => wrong type
        geopos string a => wrong type
        geosearch string bogus 1 2 3 4 => wrong type
        geosearchstore a string bogus 1 2 3 4 => wrong type
        georadius string bogus 1 2 km => wrong type
        georadiusbymember string x y z => wrong type
    ";
    expect_errors(&mut server, errors);
    server.expect("exists a", ZERO);
}

#[test]
fn members_in_an_area_are_found() {
    let mut server = sicily();
    server.expect("geosearch sicily fromlonlat 15 37 byradius 200 km asc", "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n");
    server.expect("geosearch sicily fromlonlat 15 37 byradius 200 km desc", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n");
    server.expect("geosearch sicily fromlonlat 15 37 byradius 100 km", "*1\r\n$7\r\nCatania\r\n");
    server.expect("geosearch sicily fromlonlat 15 37 bybox 400 400 km", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n");
    server.expect("geosearch sicily fromlonlat 15 37 byradius 200 km asc withcoord withdist withhash", "*2\r\n*4\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n:3479447370796909\r\n*2\r\n$20\r\n15.08726745843887329\r\n$20\r\n37.50266842333162032\r\n*4\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n:3479099956230698\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n");
    server.expect(
        "geosearch sicily frommember Palermo byradius 200000 m withdist desc",
        "*2\r\n*2\r\n$7\r\nCatania\r\n$11\r\n166274.1516\r\n*2\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n",
    );
    server.expect("geosearch sicily frommember Palermo byradius 200000 m count 1", "*1\r\n$7\r\nPalermo\r\n");
    server.expect("geosearch sicily frommember Palermo byradius 200000 m count 1 desc", "*1\r\n$7\r\nCatania\r\n");
    server.expect("geosearch sicily frommember Palermo byradius 200000 m count 1 any", "*1\r\n$7\r\nPalermo\r\n");
    server.expect(
        "geosearch sicily frommember Palermo byradius 200000 m count 3 any",
        "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n",
    );
    server.expect(
        "geosearch sicily frommember Palermo byradius 0 m withdist",
        "*1\r\n*2\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n",
    );
    server.expect("geosearch sicily frommember Palermo byradius inf m", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n");
    server
        .expect("geosearch sicily frommember Palermo bybox 1e300 1e300 m", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n");
    server.expect("geosearch sicily FROMMEMBER Palermo BYRADIUS 200 KM WITHDIST WITHHASH", "*2\r\n*3\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n:3479099956230698\r\n*3\r\n$7\r\nCatania\r\n$8\r\n166.2742\r\n:3479447370796909\r\n");
    server.expect("geosearch none frommember nobody byradius 1 km", EMPTY);
    server.expect(
        "geosearch sicily frommember Palermo frommember Catania byradius 1 km byradius 2 km",
        "*1\r\n$7\r\nCatania\r\n",
    );
}

#[test]
fn wrong_searches_are_refused() {
    let mut server = sicily();
    let errors = "
        geosearch sicily frommember nobody byradius 1 km => could not decode requested zset member
        geosearch sicily frommember nobody bogus 1 km => could not decode requested zset member
        geosearch none frommember nobody bogus 1 km => syntax
        geosearch sicily fromlonlat 1 1 frommember Catania byradius 1 km => syntax
        geosearch sicily frommember Catania fromlonlat 1 1 byradius 1 km => syntax
        geosearch sicily frommember Catania byradius 1 km bybox 1 1 km => syntax
        geosearch sicily frommember Catania bybox 1 1 km byradius 1 km => syntax
        geosearch sicily byradius 1 km asc asc => exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch
        geosearch sicily frommember Catania asc asc asc => exactly one of BYRADIUS and BYBOX can be specified for geosearch
        GEOsearch none frommember Catania asc asc asc => exactly one of BYRADIUS and BYBOX can be specified for GEOsearch
        geosearch none byradius 1 km asc asc => exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch
        geosearch sicily frommember Catania byradius 1 km any => the ANY argument requires COUNT argument
        geosearch none frommember Catania byradius 1 km any => the ANY argument requires COUNT argument
        geosearch sicily frommember Catania byradius 1 km count => syntax
        geosearch sicily frommember Catania byradius 1 km count 0 => COUNT must be > 0
        geosearch sicily frommember Catania byradius 1 km count -1 => COUNT must be > 0
        geosearch sicily frommember Catania byradius 1 km count x => value is not an integer or out of range
        geosearch sicily frommember Catania byradius x km => need numeric radius
        geosearch sicily frommember Catania byradius -1 km => radius cannot be negative
        geosearch none frommember Catania byradius -1 km => radius cannot be negative
        geosearch sicily frommember Catania byradius 1 parsec => unsupported unit provided. please use M, KM, FT, MI
        geosearch sicily frommember Catania bybox x 1 km => need numeric width
        geosearch sicily frommember Catania bybox 1 y km => need numeric height
        geosearch sicily frommember Catania bybox -1 1 km => height or width cannot be negative
        geosearch sicily frommember Catania bybox 1 -1 km => height or width cannot be negative
        geosearch sicily frommember Catania bybox 1 1 parsec => unsupported unit provided. please use M, KM, FT, MI
        geosearch sicily frommember Catania bybox 1 1 => syntax
        geosearch sicily fromlonlat x 1 byradius 1 km => value is not a valid float
        geosearch sicily fromlonlat 1 y byradius 1 km => value is not a valid float
        geosearch sicily fromlonlat 1 90 byradius 1 km => invalid longitude,latitude pair 1.000000,90.000000
        geosearch sicily frommember Catania byradius 1 km store b => syntax
        geosearch sicily frommember Catania byradius 1 km storedist => syntax
        geosearch sicily byradius 1 km asc frommember => syntax
        geosearch sicily byradius 1 km asc fromlonlat 1 => syntax
        geosearch sicily fromlonlat 1 1 asc byradius 1 => syntax
        geosearch sicily frommember Catania byradius 1 => wrong number of arguments for 'geosearch' command
    ";
    expect_errors(&mut server, errors);
}

#[test]
fn the_older_commands_find_the_same() {
    let mut server = sicily();
    server.expect("georadius sicily 15 37 200 km", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n");
    server.expect("georadius sicily 15 37 200 km asc withdist withcoord withhash", "*2\r\n*4\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n:3479447370796909\r\n*2\r\n$20\r\n15.08726745843887329\r\n$20\r\n37.50266842333162032\r\n*4\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n:3479099956230698\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n");
    server.expect("georadius sicily 15 37 200 km count 1 desc", "*1\r\n$7\r\nPalermo\r\n");
    server.expect("georadius_ro sicily 15 37 200 km count 1", "*1\r\n$7\r\nCatania\r\n");
    server.expect("georadiusbymember sicily Palermo 200 km", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n");
    server.expect(
        "georadiusbymember_ro sicily Palermo 200 km withdist count 5 any",
        "*2\r\n*2\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n*2\r\n$7\r\nCatania\r\n$8\r\n166.2742\r\n",
    );
    server.expect("georadiusbymember none nobody x parsec", EMPTY);
    server.expect("georadius none 1 1 1 km", EMPTY);
    server.expect("georadius none 1 1 1 km store b", ZERO);
    let errors = "
        georadiusbymember sicily nobody 200 km => could not decode requested zset member
        georadiusbymember none nobody x parsec bogus => syntax
        georadiusbymember sicily Palermo x km => need numeric radius
        georadiusbymember sicily Palermo -1 km => radius cannot be negative
        georadiusbymember sicily Palermo 1 parsec => unsupported unit provided. please use M, KM, FT, MI
        georadius none x 1 200 km => value is not a valid float
        georadius none 1 100 200 km => invalid longitude,latitude pair 1.000000,100.000000
        georadius none 1 1 x km => need numeric radius
        georadius none 1 1 -1 km => radius cannot be negative
        georadius none 1 1 1 parsec => unsupported unit provided. please use M, KM, FT, MI
        georadius none 1 1 1 km any => the ANY argument requires COUNT argument
        georadius sicily 1 1 1 km store => syntax
        georadius sicily 1 1 1 km storedist => syntax
        georadius sicily 1 1 1 km frommember x => syntax
        georadius sicily 1 1 1 km bybox 1 1 km => syntax
        georadius_ro sicily 1 1 1 km store b => syntax
        georadiusbymember_ro sicily Palermo 1 km storedist b => syntax
        georadius sicily 1 1 1 km store b withdist => STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        georadius sicily 1 1 1 km withcoord storedist b => STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        georadiusbymember none nobody x parsec withhash store b => STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        geosearchstore b sicily frommember Palermo byradius 1 km withdist => GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        geosearchstore b sicily frommember Palermo byradius 1 km store c => syntax
        geosearchstore b sicily frommember Palermo byradius 1 km storedist d => syntax
        geosearchstore b sicily byradius 1 km asc asc => exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearchstore
        GeoSearchStore b sicily frommember Palermo asc asc asc => exactly one of BYRADIUS and BYBOX can be specified for GeoSearchStore
    ";
    expect_errors(&mut server, errors);
}

#[test]
fn members_in_a_polygon_are_found() {
    let mut server = Harness::new();
    server.expect("geoadd p 2.3522 48.8566 paris 4.8357 45.764 lyon 5.3698 43.2965 marseille -0.5792 44.8378 bordeaux -1.5536 47.2184 nantes 7.7521 48.5734 strasbourg", ":6\r\n");
    server.expect(
        "geosearch p bypolygon 3 -5 48 9 50 5 42",
        "*5\r\n$9\r\nmarseille\r\n$4\r\nlyon\r\n$5\r\nparis\r\n$10\r\nstrasbourg\r\n$6\r\nnantes\r\n",
    );
    server.expect("geosearch p bypolygon 3 -5 48 9 50 5 42 asc withdist", "*5\r\n*2\r\n$4\r\nlyon\r\n$11\r\n183147.0373\r\n*2\r\n$5\r\nparis\r\n$11\r\n232279.5957\r\n*2\r\n$6\r\nnantes\r\n$11\r\n348179.7951\r\n*2\r\n$10\r\nstrasbourg\r\n$11\r\n405932.9516\r\n*2\r\n$9\r\nmarseille\r\n$11\r\n433235.0300\r\n");
    server.expect("geosearch p bypolygon 3 -5 48 9 50 5 42 desc withdist withhash withcoord count 1", "*1\r\n*4\r\n$9\r\nmarseille\r\n$11\r\n433235.0300\r\n:3659975242549662\r\n*2\r\n$19\r\n5.36980122327804565\r\n$20\r\n43.29650109797351831\r\n");
    server.expect("geosearch p bypolygon 3 -5 48 9 50 5 42 count 2 any", "*2\r\n$9\r\nmarseille\r\n$4\r\nlyon\r\n");
    server.expect(
        "geosearch p BYPOLYGON 6 -5 44 8 44 8 50 -5 50 2 47 2 46",
        "*4\r\n$4\r\nlyon\r\n$5\r\nparis\r\n$10\r\nstrasbourg\r\n$8\r\nbordeaux\r\n",
    );
    server.expect("geosearch p bypolygon 3 10 10 11 11 10 11", EMPTY);
    server.expect(
        "geosearch p bypolygon 3 10 10 11 11 10 11 bypolygon 3 -5 48 9 50 5 42",
        "*5\r\n$9\r\nmarseille\r\n$4\r\nlyon\r\n$5\r\nparis\r\n$10\r\nstrasbourg\r\n$6\r\nnantes\r\n",
    );
    server.expect("geosearch none bypolygon 3 10 10 11 11 10 11", EMPTY);
    server.expect("geosearchstore d p bypolygon 3 -5 48 9 50 5 42", ":5\r\n");
    server.expect("geosearchstore d p bypolygon 3 -5 48 9 50 5 42 storedist desc count 2", ":2\r\n");
    server.expect("geosearchstore d p bypolygon 3 10 10 11 11 10 11", ZERO);
    let errors = "
        geosearch p bypolygon 3 -5 48 9 50 5 42 frommember paris => syntax
        geosearch p bypolygon 3 -5 48 9 50 5 42 fromlonlat 1 1 => syntax
        geosearch p frommember paris bypolygon 3 -5 48 9 50 5 42 => syntax
        geosearch p fromlonlat 1 1 bypolygon 3 -5 48 9 50 5 42 => syntax
        geosearch p bypolygon 3 -5 48 9 50 5 42 byradius 1 km => syntax
        geosearch p bypolygon 3 -5 48 9 50 5 42 bybox 1 1 km => syntax
        geosearch p byradius 1 km bypolygon 3 -5 48 9 50 5 42 => syntax
        geosearch p bybox 1 1 km bypolygon 3 -5 48 9 50 5 42 => syntax
        geosearch p bypolygon x -5 48 9 50 5 42 => invalid number of vertices
        geosearch p bypolygon 3000000000 -5 48 9 50 5 42 => invalid number of vertices
        geosearch p bypolygon 2 -5 48 9 50 => GEOSEARCH BYPOLYGON must have at least 3 vertices
        geosearch p bypolygon -3 -5 48 9 50 5 42 => GEOSEARCH BYPOLYGON must have at least 3 vertices
        geosearch p bypolygon 4 -5 48 9 50 5 42 => GEOSEARCH BYPOLYGON must have at least 3 vertices
        geosearch p asc asc asc bypolygon 3 => syntax
        geosearch p bypolygon 3 -5 48 9 50 5 x => value is not a valid float
        geosearch p bypolygon 3 -5 48 9 50 5 90 => invalid longitude,latitude pair 5.000000,90.000000
        geosearch p bypolygon 3 -5 48 9 50 5 42 any => the ANY argument requires COUNT argument
    ";
    expect_errors(&mut server, errors);
}

#[test]
fn coordinates_are_doubles_in_resp3() {
    let mut server = Harness::new();
    server.set_protocol(Protocol::Resp3);
    server.expect("geoadd p 2.3522 48.8566 paris", ONE);
    server.expect("geopos p paris nobody", "*2\r\n*2\r\n,2.35219806432723999\r\n,48.8565995303492997\r\n_\r\n");
    server.expect("geohash p paris nobody", "*2\r\n$11\r\nu09tvw0f640\r\n_\r\n");
    server.expect("geodist p paris paris", "$6\r\n0.0000\r\n");
    server.expect("geodist p paris nobody", "_\r\n");
    server.expect(
        "geosearch p frommember paris byradius 1 km withcoord withdist withhash",
        "*1\r\n*4\r\n$5\r\nparis\r\n$6\r\n0.0000\r\n:3663832779122514\r\n*2\r\n,2.35219806432723999\r\n,48.8565995303492997\r\n",
    );
    server.expect("geosearch p fromlonlat 9 9 byradius 1 km", EMPTY);
}

/// The members and scores at a key.
fn stored(server: &mut Harness, key: &str) -> Vec<(String, f64)> {
    let Some(record) = server.state.keyspace.peek(0, key.as_bytes()) else {
        return Vec::new();
    };
    let set = SortedSetRef::of(record.value().stored()).expect("a sorted set");
    let text = |member: Member<'_>| String::from_utf8_lossy(&member.to_vec()).into_owned();
    set.iter().map(|(member, score)| (text(member), score)).collect()
}

#[test]
fn what_is_found_can_be_stored() {
    let mut server = sicily();
    let palermo = ("Palermo".to_string(), 3479099956230698.0);
    let catania = ("Catania".to_string(), 3479447370796909.0);
    let searches = [
        "geosearchstore b sicily fromlonlat 15 37 byradius 200 km",
        "georadius sicily 15 37 200 km store b",
        "georadius sicily 15 37 200 km storedist c store b",
        "georadiusbymember sicily Palermo 200 km asc store b",
    ];
    for words in searches {
        server.expect("set b 1 ex 100", OK);
        server.expect(words, ":2\r\n");
        assert_eq!(stored(&mut server, "b"), [palermo.clone(), catania.clone()]);
        server.expect("ttl b", ":-1\r\n");
    }
    server.expect("exists c", ZERO);
    server.expect("georadius sicily 15 37 200 km count 1 store b", ONE);
    assert_eq!(stored(&mut server, "b")[0], catania);
    // Distances are in the unit that was asked for.
    for words in [
        "geosearchstore b sicily fromlonlat 15 37 byradius 200 km storedist",
        "georadius sicily 15 37 200 km storedist b",
        "georadius sicily 15 37 200 km store c storedist b",
    ] {
        server.expect(words, ":2\r\n");
        let expected = [("Catania".to_string(), 56.4412578701582), ("Palermo".to_string(), 190.44242984775784)];
        assert_eq!(stored(&mut server, "b"), expected);
    }
    // The key that is searched may be the one that is stored at.
    server.expect("georadius sicily 15 37 100 km store sicily", ONE);
    assert_eq!(stored(&mut server, "sicily"), [catania]);
}

#[test]
fn nothing_found_removes_the_destination() {
    let mut server = sicily();
    for words in [
        "geosearchstore b sicily fromlonlat 1 1 byradius 1 km",
        "geosearchstore b none fromlonlat 1 1 byradius 1 km",
        "geosearchstore b none frommember nobody byradius 1 km",
        "georadius sicily 1 1 1 km store b",
        "georadiusbymember none nobody x parsec storedist b",
    ] {
        server.expect("set b 1", OK);
        server.expect(words, ZERO);
        server.expect("exists b", ZERO);
    }
    // An error leaves it alone.
    server.expect("set b 1", OK);
    server.expect("geosearchstore b string fromlonlat 1 1 byradius 1 km", WRONG_TYPE);
    server.expect("geosearchstore b sicily fromlonlat 1 1 byradius x km", "-ERR need numeric radius\r\n");
    server.expect("exists b", ONE);
}

#[test]
fn changes_are_counted_and_told_as_by_redis() {
    let mut server = Harness::new();
    let total = |server: &Harness| server.state.keyspace.changes.total();
    assert_eq!(server.events("geoadd a 1 1 x 2 2 y 3 3 z"), ["0:new a", "0:zadd a"]);
    assert_eq!(total(&server), 3);
    assert_eq!(server.events("geoadd a 1 1 x 2 3 y"), ["0:zadd a"]);
    assert_eq!(total(&server), 4);
    assert_eq!(server.events("geoadd a xx 9 9 w"), [""; 0]);
    assert_eq!(server.events("geoadd a nx 9 9 x"), [""; 0]);
    assert_eq!(total(&server), 4);
    let search = "geosearchstore b a fromlonlat 0 0 byradius 9999 km";
    assert_eq!(server.events(search), ["0:new b", "0:geosearchstore b"]);
    assert_eq!(total(&server), 7);
    assert_eq!(server.events("georadius a 0 0 9999 km count 2 store b"), ["0:georadiusstore b"]);
    assert_eq!(total(&server), 9);
    assert_eq!(server.events("georadiusbymember a x 9999 km storedist b"), ["0:georadiusstore b"]);
    assert_eq!(server.events("georadius a 50 50 1 m store b"), ["0:del b"]);
    assert_eq!(server.events("georadius a 50 50 1 m store b"), [""; 0]);
    assert_eq!(server.events("geopos none x"), ["0:keymiss none"]);
    assert_eq!(server.events("geodist none x y"), ["0:keymiss none"]);
    assert_eq!(server.events("georadius_ro none 1 1 1 km"), ["0:keymiss none"]);
}

#[test]
fn hits_and_misses_are_counted() {
    let mut server = sicily();
    for words in ["geopos sicily a", "geohash none a", "geodist sicily a b"] {
        server.run(words);
    }
    server.run("geosearchstore none sicily fromlonlat 1 1 byradius 1 km");
    let stats = server.state.keyspace.stats;
    assert_eq!((stats.hits, stats.misses), (3, 1));
}

fn encoding(server: &mut Harness, key: &str) -> &'static str {
    let record = server.state.keyspace.peek(0, key.as_bytes());
    record.expect("a key").value().encoding_name()
}

#[test]
fn many_members_take_the_large_form() {
    let config = Config { zset_max_listpack_entries: 4, zset_max_listpack_value: 8, ..Config::default() };
    let mut server = Harness::with_config(config);
    server.run("geoadd a 1 1 1 2 2 2 3 3 3 4 4 4");
    assert_eq!(encoding(&mut server, "a"), "listpack");
    let near = "geosearch a fromlonlat 0 0 bybox 700 700 km desc withhash";
    let found = server.run(near);
    assert!(found.starts_with("*3\r\n*2\r\n$1\r\n3\r\n:"), "{found}");
    server.run("geoadd a 5 5 5");
    assert_eq!(encoding(&mut server, "a"), "skiplist");
    server.expect(near, &found);
    server.expect("geoadd b 1 1 longername", ONE);
    assert_eq!(encoding(&mut server, "b"), "skiplist");
    server.expect("geoadd c 1 1 1 2 2 2 3 3 3 4 4 4 5 5 5", ":5\r\n");
    assert_eq!(encoding(&mut server, "c"), "skiplist");
    server.expect("georadius a 0 0 700 km store d", ":4\r\n");
    assert_eq!(encoding(&mut server, "d"), "listpack");
    server.expect("georadius a 0 0 7000 km store d", ":5\r\n");
    assert_eq!(encoding(&mut server, "d"), "skiplist");
}

/// COUNT gives the nearest of many, as sorting all of them would; ties stay in the order in which they were found.
#[test]
fn the_nearest_of_many_are_found() {
    let mut server = Harness::new();
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..1000 {
        let (longitude, latitude) = (random.f64() * 4.0, random.f64() * 4.0);
        server.run(&format!("geoadd a {longitude} {latitude} m{number}"));
    }
    for number in 0..20 {
        server.run(&format!("geoadd a 2 2 tie{number:02}"));
    }
    let members = |reply: String| -> Vec<String> {
        let lines = reply.split("\r\n").skip(2).step_by(2);
        lines.filter(|line| !line.is_empty()).map(str::to_string).collect()
    };
    for order in ["asc", "desc"] {
        let words = format!("geosearch a fromlonlat 2 2 byradius 150 km {order}");
        let all = members(server.run(&words));
        assert!(all.len() > 300);
        for count in [1, 2, 10, 19, 20, 21, 100, 5000] {
            let some = members(server.run(&format!("{words} count {count}")));
            assert_eq!(some, all[..count.min(all.len())]);
        }
    }
    let nearest = members(server.run("geosearch a fromlonlat 2 2 byradius 150 km count 20"));
    assert_eq!(nearest[0], "tie00");
    assert_eq!(nearest[19], "tie19");
    // Any of them, in no order.
    let any = members(server.run("geosearch a fromlonlat 2 2 byradius 150 km count 7 any"));
    let first = members(server.run("geosearch a fromlonlat 2 2 byradius 150 km"));
    assert_eq!(any, first[..7]);
}

/// The first of these Redis could not find for long: the shape reaches across the 180th meridian.
#[test]
fn areas_reach_around_the_earth() {
    let mut server = Harness::new();
    server.expect("geoadd points 179.5 36 point1 -179.5 36 point2", ":2\r\n");
    let both = |first, second| format!("*2\r\n$6\r\n{first}\r\n$6\r\n{second}\r\n");
    server.expect("geosearch points fromlonlat 179 37 bybox 400 400 km asc", &both("point1", "point2"));
    server.expect("geosearch points fromlonlat -179 37 bybox 400 400 km asc", &both("point2", "point1"));
}

#[test]
fn keys_are_found_behind_store() {
    let mut server = Harness::new();
    server.expect("command getkeys georadius a 1 1 1 km store b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("command getkeys georadiusbymember a x 1 km asc storedist b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("command getkeys geosearchstore a b fromlonlat 1 1 byradius 1 km", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}
