//! Commands on bitmaps, those that Redis 7.0 has.

use super::oracle::BULK_MAX_BYTES;
use super::source::Source;
use super::{Generator, Words, draw};

const GENERATORS: &[Generator] = &[
    Generator::new(10, set_bit),
    Generator::new(6, get_bit),
    Generator::new(8, count),
    Generator::new(10, position),
    Generator::new(8, combine),
    Generator::new(16, fields),
    Generator::new(5, set),
    Generator::new(2, other),
    Generator::new(1, wrong_arity),
];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn start(source: &mut Source, name: &str) -> Words {
    vec![source.word(name), source.key()]
}

fn text(text: impl ToString) -> Vec<u8> {
    text.to_string().into_bytes()
}

/// A bit offset: mostly within a short string, now and then far off, at the limit or none at all.
fn offset(source: &mut Source) -> Vec<u8> {
    match source.below(20) {
        0 => source.integer_text(),
        1 => text(BULK_MAX_BYTES * 8 + source.below(16)),
        2 => text(source.below(400_000)),
        _ => text(source.below(160)),
    }
}

fn set_bit(source: &mut Source) -> Words {
    let mut command = start(source, "SETBIT");
    command.push(offset(source));
    command.push(match source.below(20) {
        0 => source.integer_text(),
        other => text(other % 2),
    });
    command
}

fn get_bit(source: &mut Source) -> Words {
    let mut command = start(source, "GETBIT");
    command.push(offset(source));
    command
}

/// The end of a range: about the limits of short strings.
fn end(source: &mut Source) -> Vec<u8> {
    if source.chance(15) {
        return source.integer_text();
    }
    text(source.below(400) as i64 - 200)
}

fn unit(source: &mut Source) -> Vec<u8> {
    let unit = source.one_of(&["BIT", "BIT", "BIT", "BYTE", "BYTE", "BITS"]);
    source.word(unit)
}

fn count(source: &mut Source) -> Words {
    let mut command = start(source, "BITCOUNT");
    let words = source.one_of(&[0, 0, 1, 2, 2, 3, 3, 3, 4]);
    add_range(source, &mut command, words);
    command
}

fn position(source: &mut Source) -> Words {
    let mut command = start(source, "BITPOS");
    command.push(match source.below(20) {
        0 => source.integer_text(),
        other => text(other % 2),
    });
    let words = source.one_of(&[0, 0, 1, 1, 2, 2, 3, 3, 3, 4]);
    add_range(source, &mut command, words);
    command
}

/// So many words of: start, end, unit, and one too many.
fn add_range(source: &mut Source, command: &mut Words, words: usize) {
    for word in 0..words {
        command.push(match word {
            0 | 1 => end(source),
            2 => unit(source),
            _ => source.value(),
        });
    }
}

fn combine(source: &mut Source) -> Words {
    let operation = source.one_of(&["AND", "OR", "XOR", "NOT", "NOT", "FOO"]);
    let mut command = vec![source.word("BITOP"), source.word(operation), source.key()];
    let sources = match operation {
        "NOT" if !source.chance(10) => 1,
        _ => source.one_of(&[1, 2, 2, 3, 5, 20]),
    };
    command.extend((0..sources).map(|_| source.key()));
    command
}

fn field_type(source: &mut Source) -> Vec<u8> {
    if source.chance(3) {
        return source.one_of(&[
            b"u64".to_vec(),
            b"i65".to_vec(),
            b"i0".to_vec(),
            b"u".to_vec(),
            b"x8".to_vec(),
            b"I8".to_vec(),
            b"u08".to_vec(),
            b"".to_vec(),
            b"i8\0x".to_vec(),
        ]);
    }
    let (sign, most) = source.one_of(&[('i', 64), ('u', 63)]);
    let bits = match source.below(4) {
        0 => most,
        1 => 8,
        _ => 1 + source.below(most),
    };
    text(format!("{sign}{bits}"))
}

fn field_offset(source: &mut Source) -> Vec<u8> {
    let mut offset = offset(source);
    if source.chance(30) {
        offset.insert(0, b'#');
    }
    offset
}

fn fields(source: &mut Source) -> Words {
    let read_only = source.chance(20);
    let name = if read_only { "BITFIELD_RO" } else { "BITFIELD" };
    let mut command = start(source, name);
    for _ in 0..source.below(6) {
        let operation = match source.below(40) {
            0 => "FOO",
            1..=12 => "GET",
            _ if read_only && !source.chance(3) => "GET",
            13..=22 => "SET",
            23..=33 => "INCRBY",
            _ => "OVERFLOW",
        };
        command.push(source.word(operation));
        if operation == "OVERFLOW" {
            let mut behaviour = source.one_of(&["WRAP", "SAT", "SAT", "FAIL", "FAIL"]);
            if source.chance(2) {
                behaviour = "FOO";
            }
            command.push(source.word(behaviour));
            continue;
        }
        command.push(field_type(source));
        command.push(field_offset(source));
        if operation != "GET" && !source.chance(1) {
            command.push(match source.below(20) {
                0 => source.integer_text(),
                _ => text(source.integer()),
            });
        }
    }
    command
}

/// Strings with long runs of one byte, for what skips them.
fn set(source: &mut Source) -> Words {
    let mut command = start(source, "SET");
    let mut value = Vec::new();
    for _ in 0..source.below(4) {
        let byte = source.one_of(&[0x00, 0xff, 0x01, 0x80, 0x7f, 0x5a]);
        let length = source.one_of(&[1, 3, 8, 30, 64, 700]);
        value.extend(std::iter::repeat_n(byte, source.below(length) + 1));
    }
    command.push(value);
    command
}

fn other(source: &mut Source) -> Words {
    let name = source.one_of(&["GET", "GET", "STRLEN", "DEL"]);
    start(source, name)
}

fn wrong_arity(source: &mut Source) -> Words {
    let name = source.one_of(&["SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITOP", "BITFIELD", "BITFIELD_RO"]);
    let mut command = vec![source.word(name)];
    for _ in 0..source.below(5) {
        command.push(source.key());
    }
    command
}
