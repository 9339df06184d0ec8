//! Commands on hashes that came after Redis 7.2: fields that expire. Times are far off or long past, and given since
//! the epoch: the two servers have not quite the same time of day.

use super::hashes::{field, key, start, value};
use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(12, expire),
    Generator::new(8, times),
    Generator::new(5, persist),
    Generator::new(4, get_and_delete),
    Generator::new(8, get_and_expire),
    Generator::new(10, set_and_expire),
    Generator::new(3, names_alone),
    Generator::new(4, elsewhere),
    Generator::new(2, wrong),
];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn seconds(source: &mut Source) -> Vec<u8> {
    if source.chance(4) {
        return source.integer_text_not_small();
    }
    let time_s = source.one_of(&[0, 1, 70_368_744_177_i64, 70_368_744_178]);
    if source.chance(12) {
        return time_s.to_string().into_bytes();
    }
    (33_000_000_000 + source.below(20)).to_string().into_bytes()
}

fn milliseconds(source: &mut Source) -> Vec<u8> {
    if source.chance(4) {
        return source.integer_text_not_small();
    }
    if source.chance(10) {
        return source.one_of(&["0", "1", "70368744177663", "70368744177664"]).into();
    }
    (33_000_000_000_000 + 500 * source.below(20)).to_string().into_bytes()
}

/// `FIELDS`, the count, and so many names; now and then not quite so.
fn fields(source: &mut Source) -> Words {
    let count = source.one_of(&[1, 1, 2, 3, 8, 40]);
    let shown = match source.below(30) {
        0 => "0".to_string(),
        1 => "x".to_string(),
        2 => (count + 1).to_string(),
        3 => "99999999999".to_string(),
        _ => count.to_string(),
    };
    let word = if source.chance(3) { "FIELD" } else { "FIELDS" };
    let mut fields = vec![source.word(word), shown.into_bytes()];
    fields.extend((0..count).map(|_| field(source)));
    fields
}

fn expire(source: &mut Source) -> Words {
    let mut command = start(source, &["HEXPIREAT", "HPEXPIREAT"]);
    let in_seconds = command[0].len() == "HEXPIREAT".len();
    command.push(if in_seconds { seconds(source) } else { milliseconds(source) });
    if source.chance(50) {
        let condition = source.one_of(&["NX", "XX", "GT", "LT", "GT", "LT", "FOO"]);
        command.push(source.word(condition));
    }
    command.extend(fields(source));
    command
}

fn times(source: &mut Source) -> Words {
    let mut command = start(source, &["HEXPIRETIME", "HPEXPIRETIME", "HPEXPIRETIME"]);
    command.extend(fields(source));
    command
}

fn persist(source: &mut Source) -> Words {
    let mut command = start(source, &["HPERSIST"]);
    command.extend(fields(source));
    command
}

fn get_and_delete(source: &mut Source) -> Words {
    let mut command = start(source, &["HGETDEL"]);
    command.extend(fields(source));
    command
}

/// A time, as an option.
fn time(source: &mut Source) -> Words {
    if source.chance(50) {
        vec![source.word("EXAT"), seconds(source)]
    } else {
        vec![source.word("PXAT"), milliseconds(source)]
    }
}

fn get_and_expire(source: &mut Source) -> Words {
    let mut command = start(source, &["HGETEX"]);
    match source.below(10) {
        0..=4 => command.extend(time(source)),
        5..=7 => command.push(source.word("PERSIST")),
        8 => command.push(source.word("KEEPTTL")),
        _ => {}
    }
    command.extend(fields(source));
    command
}

/// Without FXX: when it finds no key, Redis 8.2 leaves a hash without fields there. Without NX and XX, which are of Valkey.
fn set_and_expire(source: &mut Source) -> Words {
    let mut command = start(source, &["HSETEX"]);
    for _ in 0..source.one_of(&[0, 1, 1, 1, 2]) {
        match source.below(12) {
            0..=5 => command.extend(time(source)),
            6 | 7 => command.push(source.word("KEEPTTL")),
            8 => command.push(source.word("FNX")),
            _ => command.push(source.word("NEX")),
        }
    }
    let count = source.one_of(&[1, 1, 2, 3, 8, 40]);
    let shown = match source.below(30) {
        0 => "0".to_string(),
        1 => "x".to_string(),
        2 => (count + 1).to_string(),
        _ => count.to_string(),
    };
    command.extend([source.word("FIELDS"), shown.into_bytes()]);
    for _ in 0..count {
        command.extend([field(source), value(source)]);
    }
    if source.chance(2) {
        command.pop();
    }
    command
}

fn names_alone(source: &mut Source) -> Words {
    let mut command = start(source, &["HSCAN"]);
    command.extend(words("0 COUNT 100000"));
    command.push(source.word("NOVALUES"));
    command
}

/// What keeps the times with the fields.
fn elsewhere(source: &mut Source) -> Words {
    let name = source.one_of(&["COPY", "RENAME"]);
    let mut command = vec![source.word(name), key(source), key(source)];
    if name == "COPY" {
        command.push(source.word("REPLACE"));
    }
    command
}

fn wrong(source: &mut Source) -> Words {
    let command = source.one_of(&[
        "HEXPIRE hash-1 -1 FIELDS 1 a",
        "HEXPIRE hash-1 99999999999999 FIELDS 1 a",
        "HPEXPIRE hash-1 99999999999999 FIELDS 1 a",
        "HEXPIRE hash-1 10 NX FIELDS",
        "HEXPIRE hash-1 10 NX FIELDS 1",
        "HEXPIRE hash-1 10 NX NX FIELDS 1 a",
        "HTTL nothing FIELDS 2 a b",
        "HTTL hash-1 FOO 1 a",
        "HPTTL nothing FIELDS 1 a",
        "HPTTL hash-1 FIELDS",
        "HGETEX hash-1 EX",
        "HGETEX hash-1 EX 10",
        "HGETEX hash-1 EX 10 FIELDS",
        "HGETEX hash-1 EX 10 FIELDS 1",
        "HGETEX hash-1 PERSIST FIELDS 1",
        "HGETEX hash-1 EX 10 PX 10 FIELDS 1 a",
        "HSETEX hash-1 FNX EX 10 a",
        "HSETEX hash-1 FNX FXX FIELDS 1 a 1",
        "HSETEX hash-1 EX FIELDS 1 a 1",
        "HSETEX hash-1 FIELDS 2147483648 a 1",
        "HSETEX hash-1 FIELDS 1 FIELDS 1 a 1",
        "HGETDEL hash-1",
        "HPERSIST hash-1",
    ]);
    words(command)
}
