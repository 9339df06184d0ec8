//! Commands on lists, those that Redis 7.0 has and that do not wait.

use super::source::Source;
use super::{Generator, Words, draw};

const GENERATORS: &[Generator] = &[
    Generator::new(20, push),
    Generator::new(12, pop),
    Generator::new(8, range),
    Generator::new(8, by_index),
    Generator::new(6, set),
    Generator::new(4, trim),
    Generator::new(6, remove),
    Generator::new(8, insert),
    Generator::new(8, position),
    Generator::new(8, move_one),
    Generator::new(5, pop_first),
    Generator::new(4, whole),
    Generator::new(1, wrong_arity),
];

/// Keys that hold lists most of the time.
const OWN_KEYS: [&str; 4] = ["list-1", "list-2", "list-3", "list-4"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn key(source: &mut Source) -> Vec<u8> {
    if source.chance(15) { source.key() } else { source.one_of(&OWN_KEYS).as_bytes().to_vec() }
}

fn start(source: &mut Source, names: &[&str]) -> Words {
    let name = source.one_of(names);
    vec![source.word(name), key(source)]
}

/// Few different ones most of the time, so that they are found again.
fn element(source: &mut Source) -> Vec<u8> {
    if source.chance(25) {
        return source.value();
    }
    source.one_of(&["1", "2", "10", "-5", "a", "b", "ab", "", "12345678901", "0x1"]).as_bytes().to_vec()
}

/// An index: in a short list, about the ends of a long one, or none at all.
fn index(source: &mut Source) -> Vec<u8> {
    if source.chance(10) {
        return source.integer_text();
    }
    let range = source.one_of(&[5, 20, 300]);
    (source.below(2 * range) as i64 - range as i64).to_string().into_bytes()
}

/// An integer, but not the one that 7.0 negated to itself and later versions refuse.
fn integer(source: &mut Source) -> Vec<u8> {
    match source.integer_text() {
        text if text == i64::MIN.to_string().into_bytes() => b"-1".to_vec(),
        text => text,
    }
}

fn amount(source: &mut Source) -> Vec<u8> {
    match source.below(10) {
        0 => integer(source),
        1 => source.below(300).to_string().into_bytes(),
        _ => source.below(8).to_string().into_bytes(),
    }
}

fn push(source: &mut Source) -> Words {
    let names = ["LPUSH", "RPUSH", "LPUSH", "RPUSH", "LPUSHX", "RPUSHX"];
    let mut command = start(source, &names);
    for _ in 0..source.one_of(&[1, 1, 2, 3, 10, 60]) {
        command.push(element(source));
    }
    command
}

fn pop(source: &mut Source) -> Words {
    let mut command = start(source, &["LPOP", "RPOP"]);
    if source.chance(50) {
        command.push(amount(source));
    }
    if source.chance(2) {
        command.push(amount(source));
    }
    command
}

fn range(source: &mut Source) -> Words {
    let mut command = start(source, &["LRANGE"]);
    if source.chance(50) {
        command.extend([b"0".to_vec(), b"-1".to_vec()]);
    } else {
        command.extend([index(source), index(source)]);
    }
    command
}

fn by_index(source: &mut Source) -> Words {
    let mut command = start(source, &["LINDEX"]);
    command.push(index(source));
    command
}

fn set(source: &mut Source) -> Words {
    let mut command = start(source, &["LSET"]);
    command.extend([index(source), element(source)]);
    command
}

fn trim(source: &mut Source) -> Words {
    let mut command = start(source, &["LTRIM"]);
    command.extend([index(source), index(source)]);
    command
}

fn remove(source: &mut Source) -> Words {
    let mut command = start(source, &["LREM"]);
    let count = source.below(9) as i64 - 4;
    command.push(match source.below(10) {
        0 => integer(source),
        _ => count.to_string().into_bytes(),
    });
    command.push(element(source));
    command
}

fn insert(source: &mut Source) -> Words {
    let mut command = start(source, &["LINSERT"]);
    let place = source.one_of(&["BEFORE", "AFTER", "BEFORE", "AFTER", "BESIDE"]);
    command.push(source.word(place));
    command.extend([element(source), element(source)]);
    command
}

fn position(source: &mut Source) -> Words {
    let mut command = start(source, &["LPOS"]);
    command.push(element(source));
    for _ in 0..source.below(4) {
        let option = source.one_of(&["RANK", "COUNT", "MAXLEN", "RANK", "COUNT", "FOO"]);
        command.push(source.word(option));
        if source.chance(97) {
            command.push(if option == "RANK" && source.chance(80) {
                (source.below(7) as i64 - 3).to_string().into_bytes()
            } else {
                amount(source)
            });
        }
    }
    command
}

fn end(source: &mut Source) -> Vec<u8> {
    let word = source.one_of(&["LEFT", "RIGHT", "LEFT", "RIGHT", "LEFT", "RIGHT", "UP"]);
    source.word(word)
}

fn move_one(source: &mut Source) -> Words {
    let mut command = start(source, &["RPOPLPUSH", "LMOVE", "LMOVE"]);
    command.push(key(source));
    if command[0].len() == 5 {
        command.extend([end(source), end(source)]);
    }
    command
}

fn pop_first(source: &mut Source) -> Words {
    let mut command = vec![source.word("LMPOP")];
    let count = source.below(4);
    command.push(match source.below(10) {
        0 => source.integer_text_not_small(),
        _ => count.to_string().into_bytes(),
    });
    command.extend((0..count).map(|_| key(source)));
    command.push(end(source));
    for _ in 0..source.one_of(&[0, 0, 1, 1, 2]) {
        let word = source.one_of(&["COUNT", "COUNT", "COUNT", "FOO"]);
        command.push(source.word(word));
        if source.chance(95) {
            command.push(amount(source));
        }
    }
    command
}

fn whole(source: &mut Source) -> Words {
    start(source, &["LLEN", "LLEN", "DEL", "TYPE", "EXISTS"])
}

fn wrong_arity(source: &mut Source) -> Words {
    let names = [
        "LPUSH",
        "RPUSHX",
        "LPOP",
        "LMPOP",
        "LLEN",
        "LINDEX",
        "LSET",
        "LRANGE",
        "LTRIM",
        "LREM",
        "LINSERT",
        "LPOS",
        "LMOVE",
        "RPOPLPUSH",
    ];
    let mut command = vec![];
    let name = source.one_of(&names);
    command.push(source.word(name));
    for _ in 0..source.below(5) {
        command.push(key(source));
    }
    command
}
