//! Commands on keys whatever they hold, on expiry times and on databases, those whose replies do not depend on chance
//! or on the order of a table.

use super::source::Source;
use super::{Words, words};

/// Makes up one kind of command.
type Maker = fn(&mut Source) -> Words;

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    let choices: [(usize, Maker); 12] = [
        (10, many_keys),
        (8, rename),
        (8, copy),
        (5, move_key),
        (16, expire),
        (6, one_key),
        (3, expiry_time),
        (5, scan),
        (3, pattern),
        (3, database),
        (3, object),
        (2, wrong_arity),
    ];
    let total = choices.iter().map(|(weight, _)| weight).sum();
    let mut drawn = source.below(total);
    for (weight, make) in choices {
        match drawn.checked_sub(weight) {
            Some(rest) => drawn = rest,
            None => return make(source),
        }
    }
    unreachable!("the weights add up to the total")
}

fn start(source: &mut Source, names: &[&str]) -> Words {
    let name = source.one_of(names);
    vec![source.word(name), source.key()]
}

fn many_keys(source: &mut Source) -> Words {
    let mut command = start(source, &["DEL", "UNLINK", "EXISTS", "EXISTS", "TOUCH"]);
    // Past the window of keys that are fetched ahead.
    for _ in 0..source.one_of(&[0, 0, 1, 2, 8, 40]) {
        command.push(source.key());
    }
    command
}

fn rename(source: &mut Source) -> Words {
    let mut command = start(source, &["RENAME", "RENAMENX"]);
    command.push(source.key());
    command
}

fn index(source: &mut Source) -> Vec<u8> {
    if source.chance(15) {
        return source.integer_text();
    }
    source.below(3).to_string().into_bytes()
}

fn copy(source: &mut Source) -> Words {
    let mut command = start(source, &["COPY"]);
    command.push(source.key());
    for _ in 0..source.one_of(&[0, 1, 1, 2]) {
        match source.below(10) {
            0 => command.push(source.word("FOO")),
            1..=4 => {
                command.push(source.word("DB"));
                if !source.chance(5) {
                    command.push(index(source));
                }
            }
            _ => command.push(source.word("REPLACE")),
        }
    }
    command
}

fn move_key(source: &mut Source) -> Words {
    let mut command = start(source, &["MOVE"]);
    command.push(index(source));
    command
}

/// A time with conditions. GT and LT go with times since the epoch alone: the two servers have not quite the same time
/// of day.
fn expire(source: &mut Source) -> Words {
    let name = source.one_of(&["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]);
    let mut command = vec![source.word(name), source.key()];
    let is_past = source.chance(8);
    command.push(match name {
        _ if source.chance(10) => source.integer_text_not_small(),
        _ if is_past => b"-1".to_vec(),
        "EXPIRE" => (200_000 + 1000 * source.below(50)).to_string().into_bytes(),
        "PEXPIRE" => (200_000_000 + 1_000_000 * source.below(50)).to_string().into_bytes(),
        "EXPIREAT" => (33_000_000_000 + source.below(20)).to_string().into_bytes(),
        _ => (33_000_000_000_000 + 1000 * source.below(20)).to_string().into_bytes(),
    });
    let is_relative = !name.ends_with("AT");
    let conditions: &[&str] = if is_relative { &["NX", "XX"] } else { &["NX", "XX", "GT", "LT", "GT", "LT"] };
    for _ in 0..source.one_of(&[0, 0, 1, 1, 2, 3]) {
        let condition = source.one_of(conditions);
        command.push(source.word(condition));
    }
    if source.chance(3) {
        command.push(source.word("FOO"));
    }
    command
}

fn one_key(source: &mut Source) -> Words {
    start(source, &["TYPE", "PERSIST", "PERSIST"])
}

/// Set to the millisecond and read back.
fn expiry_time(source: &mut Source) -> Words {
    let mut command = words("PEXPIREAT");
    command.push(source.key());
    let time_ms = source.one_of(&[i64::MAX, i64::MAX - 500, 40_000_000_000_499, 40_000_000_000_500]);
    command.push(time_ms.to_string().into_bytes());
    command
}

fn scan(source: &mut Source) -> Words {
    let mut command = vec![source.word("SCAN"), b"0".to_vec()];
    if source.chance(20) {
        let bad = source.one_of(&["x", "", "0x", "00", "+0", " 0", "18446744073709551616", "-"]);
        command[1] = bad.as_bytes().to_vec();
    }
    // All in one call, and one key at most: then the reply does not depend on the table.
    command.extend([source.word("MATCH"), source.key()]);
    command.extend([source.word("COUNT"), b"1000".to_vec()]);
    for _ in 0..source.one_of(&[0, 0, 1, 2]) {
        match source.below(8) {
            0 => command.extend([source.word("COUNT"), source.integer_text_not_small()]),
            1 => command.push(source.word("MATCH")),
            2 => command.extend([source.word("FOO"), b"1".to_vec()]),
            _ => {
                let name = source.one_of(&["string", "list", "hash", "nonsense"]);
                command.extend([source.word("TYPE"), source.word(name)]);
            }
        }
    }
    command
}

/// Patterns that one key at most can match.
fn pattern(source: &mut Source) -> Words {
    let patterns = ["a", "[a]", "\\b", "[c-c]", "d\\", "[d", "", "[e-e]", "\\[", "[f\\]"];
    vec![source.word("KEYS"), source.one_of(&patterns).as_bytes().to_vec()]
}

fn database(source: &mut Source) -> Words {
    match source.below(12) {
        0 => vec![source.word("SWAPDB"), index(source), index(source)],
        1 => vec![source.word("SELECT"), source.one_of(&["0", "16", "-1", "x", "2147483648"]).into()],
        2 => {
            let name = source.one_of(&["FLUSHDB", "FLUSHALL"]);
            let mut command = vec![source.word(name)];
            for _ in 0..source.below(3) {
                let how = source.one_of(&["SYNC", "ASYNC", "FOO"]);
                command.push(source.word(how));
            }
            command
        }
        _ => vec![source.word("DBSIZE")],
    }
}

fn object(source: &mut Source) -> Words {
    let subcommand = source.one_of(&["ENCODING", "ENCODING", "FREQ", "FOO"]);
    vec![source.word("OBJECT"), source.word(subcommand), source.key()]
}

fn wrong_arity(source: &mut Source) -> Words {
    let (name, count) = source.one_of(&[
        ("DEL", 0),
        ("EXISTS", 0),
        ("TYPE", 2),
        ("RENAME", 1),
        ("RENAMENX", 3),
        ("COPY", 1),
        ("MOVE", 1),
        ("KEYS", 0),
        ("SCAN", 0),
        ("RANDOMKEY", 1),
        ("DBSIZE", 1),
        ("SELECT", 0),
        ("SWAPDB", 1),
        ("EXPIRE", 1),
        ("TTL", 0),
        ("PERSIST", 2),
        ("OBJECT", 0),
    ]);
    let mut command = vec![source.word(name)];
    (0..count).for_each(|_| command.push(b"0".to_vec()));
    command
}
