//! Commands on strings, those that Redis 7.0 has.

use super::oracle::BULK_MAX_BYTES;
use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(12, set),
    Generator::new(10, one_key),
    Generator::new(6, set_simple),
    Generator::new(4, get_ex),
    Generator::new(4, several),
    Generator::new(8, counter),
    Generator::new(6, float_counter),
    Generator::new(6, append),
    Generator::new(6, set_range),
    Generator::new(8, get_range),
    Generator::new(2, lcs),
    Generator::new(1, wrong_arity),
];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn start(source: &mut Source, name: &str) -> Words {
    vec![source.word(name), source.key()]
}

/// A time for the option: far off or long ago, or one that cannot be.
fn time(source: &mut Source, option: &str) -> Vec<u8> {
    if source.chance(15) {
        return source.integer_text_not_small();
    }
    let amount = match option {
        "EX" => 100_000 + source.below(1000) as i64,
        "PX" => 100_000_000 + source.below(1_000_000) as i64,
        "EXAT" if source.chance(15) => 1,
        "PXAT" if source.chance(15) => 1,
        "EXAT" => 33_000_000_000 + source.below(1000) as i64,
        _ => 33_000_000_000_000 + source.below(1_000_000) as i64,
    };
    amount.to_string().into_bytes()
}

fn expiry_options(source: &mut Source, command: &mut Words, others: &[&str]) {
    let count = source.one_of(&[0, 1, 1, 1, 1, 2, 3]);
    for _ in 0..count {
        if source.chance(40) {
            let option = source.one_of(&["EX", "PX", "EXAT", "PXAT"]);
            command.push(source.word(option));
            if !source.chance(3) {
                command.push(time(source, option));
            }
        } else {
            let option = source.one_of(others);
            command.push(source.word(option));
        }
    }
}

fn set(source: &mut Source) -> Words {
    let mut command = start(source, "SET");
    command.push(source.value());
    expiry_options(source, &mut command, &["NX", "XX", "GET", "GET", "KEEPTTL", "PERSIST", "FOO"]);
    command
}

fn get_ex(source: &mut Source) -> Words {
    let mut command = start(source, "GETEX");
    expiry_options(source, &mut command, &["PERSIST", "PERSIST", "KEEPTTL", "NX", "GET"]);
    command
}

fn one_key(source: &mut Source) -> Words {
    let name = source.one_of(&["GET", "GET", "STRLEN", "GETDEL"]);
    start(source, name)
}

fn set_simple(source: &mut Source) -> Words {
    let name = source.one_of(&["GETSET", "SETNX", "SETEX", "PSETEX"]);
    let mut command = start(source, name);
    match name {
        "SETEX" => command.push(time(source, "EX")),
        "PSETEX" => command.push(time(source, "PX")),
        _ => {}
    }
    command.push(source.value());
    command
}

fn several(source: &mut Source) -> Words {
    let name = source.one_of(&["MGET", "MSET", "MSETNX"]);
    let mut command = vec![source.word(name)];
    // Past the window of keys that are fetched ahead.
    for _ in 0..source.one_of(&[1, 1, 2, 3, 9, 40]) {
        command.push(source.key());
        if name != "MGET" && !source.chance(2) {
            command.push(source.value());
        }
    }
    command
}

fn counter(source: &mut Source) -> Words {
    let name = source.one_of(&["INCR", "DECR", "INCRBY", "DECRBY"]);
    let mut command = start(source, name);
    if name.ends_with("BY") {
        command.push(source.integer_text());
    }
    command
}

fn float_counter(source: &mut Source) -> Words {
    let mut command = start(source, "INCRBYFLOAT");
    command.push(source.float_text());
    command
}

fn append(source: &mut Source) -> Words {
    let mut command = start(source, "APPEND");
    command.push(source.value());
    command
}

fn set_range(source: &mut Source) -> Words {
    let mut command = start(source, "SETRANGE");
    let offset = match source.below(10) {
        0 => source.integer_text_not_small(),
        1 => source.below(40_000).to_string().into_bytes(),
        2 if source.chance(20) => (BULK_MAX_BYTES - source.below(8)).to_string().into_bytes(),
        _ => source.below(60).to_string().into_bytes(),
    };
    command.push(offset);
    command.push(source.value());
    command
}

fn get_range(source: &mut Source) -> Words {
    let name = source.one_of(&["GETRANGE", "SUBSTR"]);
    let mut command = start(source, name);
    command.extend([source.integer_text(), source.integer_text()]);
    command
}

/// On keys of its own, which are short: the time that it takes grows with the product of the lengths.
fn lcs(source: &mut Source) -> Words {
    const OWN_KEYS: [&str; 3] = ["x", "y", "z"];
    if source.chance(40) {
        let mut command = words("SET");
        command.push(source.one_of(&OWN_KEYS).as_bytes().to_vec());
        let length = source.below(150);
        command.push((0..length).map(|_| source.one_of(b"abcd")).collect());
        return command;
    }
    let mut command = vec![source.word("LCS")];
    for _ in 0..2 {
        command.push(source.one_of(&OWN_KEYS).as_bytes().to_vec());
    }
    for _ in 0..source.below(4) {
        let option = source.one_of(&["LEN", "IDX", "IDX", "WITHMATCHLEN", "MINMATCHLEN", "FOO"]);
        command.push(source.word(option));
        if option == "MINMATCHLEN" && !source.chance(5) {
            command.push(source.one_of(&["0", "2", "3", "-1", "x"]).as_bytes().to_vec());
        }
    }
    command
}

fn wrong_arity(source: &mut Source) -> Words {
    let name = source.one_of(&[
        "SET",
        "GET",
        "GETSET",
        "GETDEL",
        "GETEX",
        "SETNX",
        "SETEX",
        "PSETEX",
        "MGET",
        "MSET",
        "MSETNX",
        "APPEND",
        "STRLEN",
        "GETRANGE",
        "SUBSTR",
        "SETRANGE",
        "INCR",
        "DECR",
        "INCRBY",
        "DECRBY",
        "INCRBYFLOAT",
        "LCS",
    ]);
    let mut command = vec![source.word(name)];
    for _ in 0..source.below(5) {
        command.push(source.key());
    }
    command
}
