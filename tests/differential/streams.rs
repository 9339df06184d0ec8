//! Commands on streams and consumer groups. What Redis 7.2 does otherwise than 7.0, with which this is compared, is
//! left out: consumers that are there although they got nothing, `+` in XREAD, XSETID below a deleted entry.

use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(30, add),
    Generator::new(6, trim),
    Generator::new(6, delete),
    Generator::new(10, range),
    Generator::new(5, read),
    Generator::new(14, read_group),
    Generator::new(8, acknowledge),
    Generator::new(4, pending),
    Generator::new(6, claim),
    Generator::new(5, claim_idle),
    Generator::new(8, group),
    Generator::new(6, stream_info),
    Generator::new(6, group_info),
    Generator::new(3, other),
    Generator::new(1, wrong_arity),
];

/// Keys that hold streams most of the time.
const OWN_KEYS: [&str; 3] = ["stream-1", "stream-2", "stream-3"];
/// Its groups have no consumers: how many there are is not the same in both servers.
const KEY_WITHOUT_CONSUMERS: &str = "stream-4";
const GROUPS: [&str; 3] = ["group", "another-group", "g"];
const CONSUMERS: [&str; 3] = ["alice", "bob", "a consumer with a long name"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

fn key(source: &mut Source) -> Vec<u8> {
    match source.below(20) {
        0 => source.key(),
        1..=4 => KEY_WITHOUT_CONSUMERS.into(),
        _ => source.one_of(&OWN_KEYS).into(),
    }
}

/// A key whose groups may have consumers.
fn read_key(source: &mut Source) -> Vec<u8> {
    match source.below(20) {
        0 => source.key(),
        _ => source.one_of(&OWN_KEYS).into(),
    }
}

fn group_name(source: &mut Source) -> Vec<u8> {
    source.one_of(&GROUPS).into()
}

fn consumer(source: &mut Source) -> Vec<u8> {
    source.one_of(&CONSUMERS).into()
}

fn count(source: &mut Source) -> Vec<u8> {
    match source.below(12) {
        0 => source.integer_text(),
        1 => b"0".to_vec(),
        _ => source.below(20).to_string().into_bytes(),
    }
}

fn id(source: &mut Source) -> Vec<u8> {
    let ms = source.one_of(&[0, 5, 5, 5, 5, 6, 6, 7, 300]);
    match source.below(30) {
        0 => source.integer_text(),
        1 => ms.to_string().into_bytes(),
        2 => source.one_of(&["-", "+", "0-0", "0", "5-", "5-x", "18446744073709551615"]).into(),
        _ => format!("{ms}-{}", source.below(25)).into_bytes(),
    }
}

fn end(source: &mut Source, open: &str) -> Vec<u8> {
    if source.chance(40) {
        return open.into();
    }
    let mut end = id(source);
    if source.chance(25) {
        end.insert(0, b'(');
    }
    end
}

fn threshold(source: &mut Source, command: &mut Words) {
    let strategy = source.one_of(&["MAXLEN", "MAXLEN", "MINID"]);
    command.push(source.word(strategy));
    let is_approximate = source.chance(30);
    if is_approximate {
        command.push(b"~".to_vec());
    } else if source.chance(30) {
        command.push(b"=".to_vec());
    }
    command.push(match strategy {
        "MINID" => id(source),
        _ if source.chance(90) => source.below(60).to_string().into_bytes(),
        _ => count(source),
    });
    if source.chance(if is_approximate { 40 } else { 3 }) {
        command.push(source.word("LIMIT"));
        command.push(count(source));
    }
}

fn add(source: &mut Source) -> Words {
    let mut command = vec![source.word("XADD"), key(source)];
    if source.chance(5) {
        command.push(source.word("NOMKSTREAM"));
    }
    if source.chance(10) {
        threshold(source, &mut command);
    }
    command.push(if source.chance(85) {
        let ms = source.one_of(&[5, 5, 5, 5, 5, 5, 6, 6, 7, 300]);
        format!("{ms}-*").into_bytes()
    } else {
        id(source)
    });
    let names: &[&str] = match source.below(3) {
        0 => &["field", "12"],
        1 => &["field"],
        _ => &["a", "b", "field"],
    };
    for name in names {
        command.push((*name).into());
        command.push(source.value());
    }
    if source.chance(2) {
        command.pop();
    }
    command
}

fn trim(source: &mut Source) -> Words {
    let mut command = vec![source.word("XTRIM"), key(source)];
    threshold(source, &mut command);
    if source.chance(3) {
        threshold(source, &mut command);
    }
    command
}

/// A key, and some IDs in the end.
fn with_ids(source: &mut Source, mut command: Words) -> Words {
    let ids = source.one_of(&[1, 1, 2, 4, 9]);
    command.extend((0..ids).map(|_| id(source)));
    command
}

fn delete(source: &mut Source) -> Words {
    let command = vec![source.word("XDEL"), key(source)];
    with_ids(source, command)
}

fn range(source: &mut Source) -> Words {
    let (name, first, last) = source.one_of(&[("XRANGE", "-", "+"), ("XREVRANGE", "+", "-")]);
    let mut command = vec![source.word(name), key(source)];
    command.push(end(source, first));
    command.push(end(source, last));
    if source.chance(50) {
        command.push(source.word("COUNT"));
        command.push(count(source));
    }
    if source.chance(3) {
        command.push(source.value());
    }
    command
}

/// STREAMS with some keys and, for each, what `position` makes up.
fn streams(source: &mut Source, command: &mut Words, position: fn(&mut Source) -> Vec<u8>) {
    command.push(source.word("STREAMS"));
    let keys = source.one_of(&[1, 1, 1, 2, 3]);
    command.extend((0..keys).map(|_| read_key(source)));
    command.extend((0..keys).map(|_| position(source)));
}

fn read(source: &mut Source) -> Words {
    let mut command = vec![source.word("XREAD")];
    if source.chance(50) {
        command.push(source.word("COUNT"));
        command.push(count(source));
    }
    streams(source, &mut command, |source| {
        let id = id(source);
        if id == b"+" { b"$".to_vec() } else { id }
    });
    command
}

fn read_group(source: &mut Source) -> Words {
    let mut command = words("XREADGROUP GROUP");
    command.push(group_name(source));
    command.push(consumer(source));
    if source.chance(80) {
        command.push(source.word("COUNT"));
        command.push(count(source));
    }
    if source.chance(10) {
        command.push(source.word("NOACK"));
    }
    streams(source, &mut command, |source| {
        match source.below(4) {
            0 => b"0".to_vec(),
            // It has a better reason to be refused since 7.4.
            1 => Some(id(source)).filter(|id| id != b"+").unwrap_or_default(),
            _ => b">".to_vec(),
        }
    });
    command
}

fn start_in_group(source: &mut Source, name: &str) -> Words {
    vec![source.word(name), read_key(source), group_name(source)]
}

fn acknowledge(source: &mut Source) -> Words {
    let command = start_in_group(source, "XACK");
    with_ids(source, command)
}

/// The entries themselves are not asked for: that shows how long ago they were given out.
fn pending(source: &mut Source) -> Words {
    let mut command = start_in_group(source, "XPENDING");
    if source.chance(30) {
        command.push(end(source, "-"));
        command.push(end(source, "+"));
        command.push(b"0".to_vec());
    }
    command
}

fn claim(source: &mut Source) -> Words {
    let mut command = start_in_group(source, "XCLAIM");
    command.push(consumer(source));
    command.push(source.one_of(&["0", "0", "0", "100000000", "x"]).into());
    let mut command = with_ids(source, command);
    for _ in 0..source.below(3) {
        let option = source.one_of(&["FORCE", "JUSTID", "IDLE 9", "TIME 9", "RETRYCOUNT 3", "FOO"]);
        command.extend(words(option));
    }
    if source.chance(10) {
        command.push(source.word("LASTID"));
        command.push(id(source));
    }
    command
}

fn claim_idle(source: &mut Source) -> Words {
    let mut command = start_in_group(source, "XAUTOCLAIM");
    command.push(consumer(source));
    command.push(source.one_of(&["0", "0", "0", "100000000", "x"]).into());
    command.push(end(source, "-"));
    if source.chance(50) {
        command.push(source.word("COUNT"));
        command.push(count(source));
    }
    if source.chance(30) {
        command.push(source.word("JUSTID"));
    }
    command
}

fn group(source: &mut Source) -> Words {
    let name = source.one_of(&["CREATE", "CREATE", "SETID", "DESTROY"]);
    let mut command = vec![source.word("XGROUP"), source.word(name)];
    command.push(key(source));
    command.push(group_name(source));
    if name == "DESTROY" {
        return command;
    }
    command.push(match source.below(3) {
        0 => b"$".to_vec(),
        1 => b"0".to_vec(),
        _ => id(source),
    });
    if source.chance(40) {
        command.push(source.word("MKSTREAM"));
    }
    if source.chance(20) {
        command.push(source.word("ENTRIESREAD"));
        command.push(count(source));
    }
    command
}

fn stream_info(source: &mut Source) -> Words {
    let mut command = words("XINFO STREAM");
    command.push(key(source));
    command
}

fn group_info(source: &mut Source) -> Words {
    match source.below(3) {
        0 => words("XINFO STREAM stream-4 FULL COUNT 3"),
        _ => words("XINFO GROUPS stream-4"),
    }
}

fn other(source: &mut Source) -> Words {
    match source.below(6) {
        0 => vec![source.word("DEL"), key(source)],
        1 => words("COPY stream-1 stream-2 REPLACE"),
        2 => vec![source.word("TYPE"), key(source)],
        3 => words("XREVRANGE stream-2 + - COUNT 2"),
        _ => vec![source.word("XLEN"), key(source)],
    }
}

fn wrong_arity(source: &mut Source) -> Words {
    let name = source.one_of(&[
        "XADD",
        "XTRIM",
        "XDEL",
        "XRANGE",
        "XLEN",
        "XREADGROUP",
        "XACK",
        "XPENDING",
        "XCLAIM",
        "XAUTOCLAIM",
        "XGROUP",
        "XINFO",
        "XSETID",
    ]);
    let mut command = vec![source.word(name)];
    command.extend((0..source.below(3)).map(|_| source.key()));
    command
}
