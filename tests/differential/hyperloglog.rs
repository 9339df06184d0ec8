//! Commands on HyperLogLogs. The bytes behind them are compared as well: GET is one of the commands.

use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(12, add),
    Generator::new(5, count),
    Generator::new(4, merge),
    Generator::new(5, show),
    Generator::new(2, debug),
    Generator::new(3, made_up),
    Generator::new(2, patched),
    Generator::new(1, delete),
    Generator::new(1, wrong_arity),
];

/// Keys that hold HyperLogLogs most of the time.
const OWN_KEYS: [&str; 5] = ["hll-1", "hll-2", "hll-3", "hll-4", "hll-5"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn own_key(source: &mut Source) -> Vec<u8> {
    source.one_of(&OWN_KEYS).as_bytes().to_vec()
}

/// One of the own keys, now and then one of all families.
fn key(source: &mut Source) -> Vec<u8> {
    if source.chance(5) { source.key() } else { own_key(source) }
}

/// Some make a sketch grow slowly, some past what the sparse form holds.
fn add(source: &mut Source) -> Words {
    let mut command = vec![source.word("PFADD"), key(source)];
    let count = source.one_of(&[0, 1, 1, 2, 3, 10, 100, 1000, 3000]);
    for _ in 0..count {
        let element = if source.chance(20) { source.value() } else { source.below(1_000_000).to_string().into_bytes() };
        command.push(element);
    }
    command
}

fn count(source: &mut Source) -> Words {
    let mut command = vec![source.word("PFCOUNT")];
    for _ in 0..source.one_of(&[1, 1, 1, 2, 3]) {
        command.push(key(source));
    }
    command
}

fn merge(source: &mut Source) -> Words {
    let mut command = vec![source.word("PFMERGE")];
    for _ in 0..source.one_of(&[1, 2, 2, 3, 4]) {
        command.push(key(source));
    }
    command
}

fn show(source: &mut Source) -> Words {
    let mut command = words(source.one_of(&["GET", "GET", "GET", "OBJECT ENCODING"]));
    command.push(own_key(source));
    command
}

fn debug(source: &mut Source) -> Words {
    let name = source.one_of(&["GETREG", "DECODE", "DECODE", "ENCODING", "ENCODING", "TODENSE", "FOO"]);
    vec![source.word("PFDEBUG"), source.word(name), key(source)]
}

/// A sparse string of random runs, half of them of the right length. None ends with half an opcode: there Redis writes
/// past the end.
fn made_up(source: &mut Source) -> Words {
    const REGISTERS: usize = 16_384;
    let mut text = b"HYLL\x01\0\0\0".to_vec();
    let cached = source.one_of(&[[0; 8], [7, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0x80]]);
    text.extend(cached);
    let limit = if source.chance(70) { REGISTERS } else { 17_000 };
    let mut left = limit - source.one_of(&[0, 0, 0, 1, 200]);
    while left > 0 {
        match source.below(6) {
            0 => {
                let length = 1 + source.below(left);
                text.extend((0x4000 | (length - 1) as u16).to_be_bytes());
                left -= length;
            }
            1 => {
                let length = 1 + source.below(left.min(64));
                text.push((length - 1) as u8);
                left -= length;
            }
            _ => {
                // Few values, so that neighbours are often the same.
                let length = 1 + source.below(left.min(4));
                let value = source.one_of(&[0, 0, 0, 1, 1, 30, 31]);
                text.push(0x80 | value << 2 | (length - 1) as u8);
                left -= length;
            }
        }
    }
    vec![b"SET".to_vec(), own_key(source), text]
}

/// Overwrites some byte of the header, or adds something at the end.
fn patched(source: &mut Source) -> Words {
    let key = own_key(source);
    if source.chance(20) {
        return vec![b"APPEND".to_vec(), key, b"\x80".to_vec()];
    }
    let offset = source.below(16).to_string().into_bytes();
    let byte = source.one_of(&[0, 0, 1, 2, b'H', 0x80]);
    vec![b"SETRANGE".to_vec(), key, offset, vec![byte]]
}

fn delete(source: &mut Source) -> Words {
    vec![b"DEL".to_vec(), own_key(source)]
}

fn wrong_arity(source: &mut Source) -> Words {
    let name = source.one_of(&["PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG"]);
    let mut command = vec![source.word(name)];
    if name == "PFDEBUG" {
        command.extend((0..source.below(4)).map(|_| b"ENCODING".to_vec()));
    }
    command
}
