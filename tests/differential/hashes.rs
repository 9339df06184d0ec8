//! Commands on hashes. The limits of the packed form are crossed all the time: by fields in number, and by long values.

use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(14, set),
    Generator::new(4, set_one),
    Generator::new(8, delete),
    Generator::new(8, count),
    Generator::new(6, count_float),
    Generator::new(10, get),
    Generator::new(6, get_many),
    Generator::new(10, whole),
    Generator::new(4, random),
    Generator::new(4, scan),
    Generator::new(2, drop_key),
    Generator::new(2, wrong_arity),
];

/// Keys that hold hashes most of the time.
const OWN_KEYS: [&str; 5] = ["hash-1", "hash-2", "hash-3", "hash-4", "hash-5"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

/// One of the own keys, now and then one of all families.
pub fn key(source: &mut Source) -> Vec<u8> {
    if source.chance(6) {
        return source.key();
    }
    source.one_of(&OWN_KEYS).as_bytes().to_vec()
}

pub fn start(source: &mut Source, names: &[&str]) -> Words {
    let name = source.one_of(names);
    vec![source.word(name), key(source)]
}

/// Few names, so that they are met again; a few of any shape.
pub fn field(source: &mut Source) -> Vec<u8> {
    match source.below(12) {
        0 => source.value(),
        1..=3 => source.below(12).to_string().into_bytes(),
        _ => format!("field-{}", source.below(12)).into_bytes(),
    }
}

/// Mostly short: a long one ends the packed form.
pub fn value(source: &mut Source) -> Vec<u8> {
    match source.below(10) {
        0 => source.value(),
        1..=4 => source.integer_text(),
        5 => source.float_text(),
        6 => vec![b'v'; 60 + source.below(8)],
        _ => format!("value-{}", source.below(100)).into_bytes(),
    }
}

fn set(source: &mut Source) -> Words {
    let mut command = start(source, &["HSET", "HSET", "HSET", "HMSET"]);
    let count = source.one_of(&[1, 1, 1, 1, 2, 3, 5, 20, 300]);
    for _ in 0..count {
        if count == 300 {
            command.push(source.below(1000).to_string().into_bytes());
        } else {
            command.push(field(source));
        }
        command.push(value(source));
    }
    if source.chance(2) {
        command.pop();
    }
    command
}

fn set_one(source: &mut Source) -> Words {
    let mut command = start(source, &["HSETNX"]);
    command.extend([field(source), value(source)]);
    command
}

fn delete(source: &mut Source) -> Words {
    let mut command = start(source, &["HDEL"]);
    for _ in 0..source.one_of(&[1, 1, 2, 12, 40]) {
        command.push(field(source));
    }
    command
}

fn count(source: &mut Source) -> Words {
    let mut command = start(source, &["HINCRBY"]);
    command.extend([field(source), source.integer_text()]);
    command
}

fn count_float(source: &mut Source) -> Words {
    let mut command = start(source, &["HINCRBYFLOAT"]);
    command.extend([field(source), source.float_text()]);
    command
}

fn get(source: &mut Source) -> Words {
    let mut command = start(source, &["HGET", "HGET", "HEXISTS", "HSTRLEN"]);
    command.push(field(source));
    command
}

fn get_many(source: &mut Source) -> Words {
    let mut command = start(source, &["HMGET"]);
    for _ in 0..source.one_of(&[1, 2, 3, 30]) {
        command.push(field(source));
    }
    command
}

fn whole(source: &mut Source) -> Words {
    start(source, &["HGETALL", "HKEYS", "HVALS", "HLEN", "HLEN"])
}

/// As many as there are or more: then the reply does not depend on chance.
fn random(source: &mut Source) -> Words {
    let mut command = start(source, &["HRANDFIELD"]);
    let count = source.one_of(&["0", "5000", "5000", "99999999", "9223372036854775807", "-9223372036854775808", "x"]);
    command.push(count.as_bytes().to_vec());
    match source.below(8) {
        0..=2 => command.push(source.word("WITHVALUES")),
        3 => command.push(source.word("FOO")),
        4 => command.extend([source.word("WITHVALUES"), b"1".to_vec()]),
        _ => {}
    }
    command
}

/// All in one call, so that the cursor does not depend on the table.
fn scan(source: &mut Source) -> Words {
    let mut command = start(source, &["HSCAN"]);
    command.push(b"0".to_vec());
    if source.chance(10) {
        command[2] = source.one_of(&["x", "0x", "00"]).into();
    }
    command.extend([source.word("COUNT"), b"100000".to_vec()]);
    for _ in 0..source.one_of(&[0, 0, 1, 2]) {
        match source.below(8) {
            0 => command.extend([source.word("COUNT"), source.integer_text_not_small()]),
            1 => command.push(source.word("MATCH")),
            2 => command.extend([source.word("TYPE"), b"hash".to_vec()]),
            _ => {
                let pattern = source.one_of(&["*", "field-*", "*1", "[0-9]", "nothing"]);
                command.extend([source.word("MATCH"), pattern.as_bytes().to_vec()]);
            }
        }
    }
    command
}

fn drop_key(source: &mut Source) -> Words {
    let name = source.one_of(&["DEL", "OBJECT ENCODING", "TYPE", "DEBUG DIGEST-VALUE"]);
    let mut command = words(name);
    command.push(key(source));
    command
}

fn wrong_arity(source: &mut Source) -> Words {
    let (name, count) = source.one_of(&[
        ("HSET", 2),
        ("HSET", 4),
        ("HMSET", 1),
        ("HSETNX", 2),
        ("HGET", 1),
        ("HMGET", 1),
        ("HGETALL", 0),
        ("HKEYS", 2),
        ("HVALS", 0),
        ("HDEL", 1),
        ("HLEN", 2),
        ("HEXISTS", 1),
        ("HSTRLEN", 3),
        ("HINCRBY", 2),
        ("HINCRBYFLOAT", 4),
        ("HRANDFIELD", 0),
        ("HSCAN", 1),
    ]);
    let mut command = vec![source.word(name)];
    (0..count).for_each(|_| command.push(b"0".to_vec()));
    command
}
