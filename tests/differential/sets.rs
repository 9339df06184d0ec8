//! Commands on sets. What is picked at random is picked from a set of one member, or all members are.
//!
//! The keys are the family's own: Redis 7.0 has no listpacks for sets, so the forms are others.

use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(16, add),
    Generator::new(8, remove),
    Generator::new(8, ask),
    Generator::new(4, ask_many),
    Generator::new(8, whole),
    Generator::new(6, move_one),
    Generator::new(10, join),
    Generator::new(8, store),
    Generator::new(6, count),
    Generator::new(5, random),
    Generator::new(4, scan),
    Generator::new(1, drop_key),
    Generator::new(1, wrong_type),
    Generator::new(2, wrong_arity),
];

/// Keys that hold sets most of the time.
const OWN_KEYS: [&str; 6] = ["set-1", "set-2", "set-3", "set-4", "set-5", "set-6"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn own_key(source: &mut Source) -> Vec<u8> {
    source.one_of(&OWN_KEYS).as_bytes().to_vec()
}

/// To read: one of the own keys, now and then one of all families.
fn key(source: &mut Source) -> Vec<u8> {
    if source.chance(4) { source.key() } else { own_key(source) }
}

/// Few members, so that they are met again; some of any shape.
fn member(source: &mut Source) -> Vec<u8> {
    match source.below(14) {
        0 => source.value(),
        1 => source.integer_text(),
        2..=7 => source.below(20).to_string().into_bytes(),
        _ => format!("member-{}", source.below(20)).into_bytes(),
    }
}

fn start(source: &mut Source, names: &[&str]) -> Words {
    let name = source.one_of(names);
    vec![source.word(name)]
}

/// Some sets are all integers, some are large.
fn add(source: &mut Source) -> Words {
    let mut command = start(source, &["SADD"]);
    command.push(own_key(source));
    let count = source.one_of(&[1, 1, 1, 2, 3, 6, 30, 150, 600]);
    let integers = source.chance(50);
    for _ in 0..count {
        if integers || count > 6 {
            command.push(source.below(1000).to_string().into_bytes());
        } else {
            command.push(member(source));
        }
    }
    command
}

fn remove(source: &mut Source) -> Words {
    let mut command = start(source, &["SREM"]);
    command.push(own_key(source));
    let count = source.one_of(&[1, 1, 2, 10, 200]);
    for _ in 0..count {
        if count == 200 {
            command.push(source.below(1000).to_string().into_bytes());
        } else {
            command.push(member(source));
        }
    }
    command
}

fn ask(source: &mut Source) -> Words {
    let mut command = start(source, &["SISMEMBER"]);
    command.extend([key(source), member(source)]);
    command
}

fn ask_many(source: &mut Source) -> Words {
    let mut command = start(source, &["SMISMEMBER"]);
    command.push(key(source));
    for _ in 0..source.one_of(&[1, 2, 40]) {
        command.push(member(source));
    }
    command
}

fn whole(source: &mut Source) -> Words {
    let mut command = start(source, &["SMEMBERS", "SCARD"]);
    command.push(key(source));
    if source.chance(20) {
        command = words("DEBUG DIGEST-VALUE");
        command.extend([own_key(source), own_key(source)]);
    }
    command
}

fn move_one(source: &mut Source) -> Words {
    let mut command = start(source, &["SMOVE"]);
    command.extend([own_key(source), own_key(source), member(source)]);
    command
}

fn join(source: &mut Source) -> Words {
    let mut command = start(source, &["SINTER", "SUNION", "SDIFF"]);
    for _ in 0..source.one_of(&[1, 2, 2, 3, 6]) {
        command.push(key(source));
    }
    command
}

fn store(source: &mut Source) -> Words {
    let mut command = start(source, &["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
    command.push(own_key(source));
    for _ in 0..source.one_of(&[1, 2, 2, 3, 6]) {
        command.push(key(source));
    }
    command
}

fn count(source: &mut Source) -> Words {
    let mut command = start(source, &["SINTERCARD"]);
    let keys = source.one_of(&[1, 2, 3]);
    command.push(if source.chance(90) { keys.to_string().into_bytes() } else { source.integer_text() });
    for _ in 0..keys {
        command.push(key(source));
    }
    match source.below(8) {
        0 | 1 => command.extend([source.word("LIMIT"), source.integer_text()]),
        2 => command.push(source.word("LIMIT")),
        3 => command.push(source.word("FOO")),
        _ => {}
    }
    command
}

/// As many as there are or more: then the reply does not depend on chance. A negative count is not drawn but for one
/// that is an error.
fn random(source: &mut Source) -> Words {
    let name = source.one_of(&["SPOP", "SRANDMEMBER", "SRANDMEMBER"]);
    let mut command = vec![source.word(name), key(source)];
    let count = source.one_of(&[
        "0",
        "5000",
        "5000",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "x",
    ]);
    command.push(count.as_bytes().to_vec());
    if source.chance(5) {
        command.push(b"1".to_vec());
    }
    command
}

/// More than there are at once: then the reply is a whole set.
fn scan(source: &mut Source) -> Words {
    let mut command = start(source, &["SSCAN"]);
    let cursor = source.one_of(&["0", "0", "0", "0", "x", "-"]);
    command.extend([key(source), cursor.as_bytes().to_vec()]);
    command.extend([source.word("COUNT"), b"100000".to_vec()]);
    match source.below(6) {
        0 => {
            let pattern = source.one_of(&["*", "m*", "*1", "?", "member-[0-4]"]);
            command.extend([source.word("MATCH"), pattern.as_bytes().to_vec()]);
        }
        1 => command.push(source.word("NOVALUES")),
        2 => command.extend([source.word("COUNT"), source.integer_text_not_small()]),
        _ => {}
    }
    command
}

fn drop_key(source: &mut Source) -> Words {
    vec![source.word("DEL"), own_key(source)]
}

fn wrong_type(source: &mut Source) -> Words {
    vec![source.word("SET"), own_key(source), source.value()]
}

fn wrong_arity(source: &mut Source) -> Words {
    let mut command = start(source, &["SADD", "SREM", "SMOVE", "SISMEMBER", "SMISMEMBER", "SCARD", "SMEMBERS"]);
    let names = ["SPOP", "SRANDMEMBER", "SINTER", "SINTERSTORE", "SINTERCARD", "SSCAN"];
    if source.chance(50) {
        command = start(source, &names);
    }
    // With a key alone these would pick at random.
    let picks = [&b"spop"[..], b"srandmember"].contains(&&*command[0].to_ascii_lowercase());
    if source.chance(50) && !picks {
        command.push(own_key(source));
    }
    command
}
