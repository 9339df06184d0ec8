//! Sorted sets. Scores are such as 7.0 shows as later versions do: whole numbers, quarters and infinities.

use super::source::{KEYS, Source};
use super::{Generator, Words, draw};

const GENERATORS: &[Generator] = &[
    Generator::new(14, add),
    Generator::new(3, increment),
    Generator::new(4, remove),
    Generator::new(8, ask),
    Generator::new(10, range),
    Generator::new(4, old_range),
    Generator::new(3, range_store),
    Generator::new(2, remove_range),
    Generator::new(3, pop),
    Generator::new(5, join),
    Generator::new(2, plain_set),
    Generator::new(2, large),
    Generator::new(1, draw_members),
    Generator::new(1, walk),
    Generator::new(1, wrong),
];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

/// Makes up a command for versions that show scores as 7.2 does: with any scores. Digests are of scores as they are
/// shown.
pub fn command_newer(source: &mut Source) -> Words {
    match source.below(8) {
        0 => return digest(source),
        1..=5 => return command(source),
        _ => {}
    }
    let name = source.one_of(&["ZADD", "ZINCRBY"]);
    let mut command = start(source, name);
    // How long a negative zero keeps its sign depends on when Redis has taken the large form.
    let score = match source.float_text().as_slice() {
        [b'-', b'0', ..] => b"0.5".to_vec(),
        score => score.to_vec(),
    };
    command.extend([score, member(source)]);
    command
}

/// Few keys, so that most of them are sorted sets most of the time.
fn key(source: &mut Source) -> Vec<u8> {
    if source.chance(5) {
        return source.key();
    }
    source.one_of(&KEYS[3..6]).as_bytes().to_vec()
}

fn start(source: &mut Source, name: &str) -> Words {
    vec![source.word(name), key(source)]
}

fn member(source: &mut Source) -> Vec<u8> {
    match source.below(12) {
        0..=5 => vec![b'a' + source.below(12) as u8],
        6 | 7 => source.below(15).to_string().into_bytes(),
        8 | 9 => source.integer_text(),
        10 => format!("member {}", source.below(40)).into_bytes(),
        _ if source.chance(20) => vec![b'x'; 60 + source.below(8)],
        _ => b"".to_vec(),
    }
}

fn score(source: &mut Source) -> Vec<u8> {
    match source.below(20) {
        0..=9 => (source.below(9) as i64 - 3).to_string().into_bytes(),
        10..=14 => format!("{}", (source.below(80) as f64 - 40.0) / 4.0).into_bytes(),
        15 => source.one_of(&["inf", "-inf", "+inf"]).as_bytes().to_vec(),
        16 => source.one_of(&["0", "1e3", "0x10", "00.5", "1."]).as_bytes().to_vec(),
        17 => source.one_of(&["nan", "x", "", "1 ", " 1", "1e400"]).as_bytes().to_vec(),
        _ => source.below(1000).to_string().into_bytes(),
    }
}

fn add(source: &mut Source) -> Words {
    let mut command = start(source, "ZADD");
    if source.chance(40) {
        for _ in 0..1 + source.below(2) {
            let option = source.one_of(&["NX", "XX", "GT", "LT", "CH", "CH", "INCR"]);
            command.push(source.word(option));
        }
    }
    for _ in 0..source.one_of(&[1, 1, 1, 2, 3, 8]) {
        command.push(score(source));
        if !source.chance(1) {
            command.push(member(source));
        }
    }
    command
}

fn increment(source: &mut Source) -> Words {
    let mut command = start(source, "ZINCRBY");
    command.extend([score(source), member(source)]);
    command
}

fn remove(source: &mut Source) -> Words {
    let mut command = start(source, "ZREM");
    command.extend((0..1 + source.below(4)).map(|_| member(source)));
    command
}

fn ask(source: &mut Source) -> Words {
    let name = source.one_of(&["ZCARD", "ZSCORE", "ZMSCORE", "ZRANK", "ZREVRANK", "ZCOUNT", "ZLEXCOUNT"]);
    let mut command = start(source, name);
    match name {
        "ZCARD" => {}
        "ZCOUNT" => command.extend([score_bound(source), score_bound(source)]),
        "ZMSCORE" => command.extend((0..1 + source.below(4)).map(|_| member(source))),
        _ => command.push(member(source)),
    }
    command
}

fn score_bound(source: &mut Source) -> Vec<u8> {
    let mut bound = if source.chance(30) { b"(".to_vec() } else { Vec::new() };
    match source.below(5) {
        0 => bound.extend_from_slice(b"-inf"),
        1 => bound.extend_from_slice(b"+inf"),
        // Versions differ in what spaces, nothing at all and hexadecimal digits mean here.
        _ => match score(source).trim_ascii() {
            b"" | b"0x10" => bound.push(b'5'),
            score => bound.extend_from_slice(score),
        },
    }
    bound
}

fn member_bound(source: &mut Source) -> Vec<u8> {
    match source.below(12) {
        0 | 1 => b"-".to_vec(),
        2 | 3 => b"+".to_vec(),
        4 => member(source),
        kind => {
            let mut bound = if kind % 2 == 0 { b"[".to_vec() } else { b"(".to_vec() };
            bound.extend(member(source));
            bound
        }
    }
}

/// Members' order tells nothing where scores differ, so this is asked of a key whose scores do not.
fn lexical(source: &mut Source) -> Words {
    const OWN_KEY: &[u8] = b"lexical";
    if source.chance(40) {
        let mut command = vec![source.word("ZADD"), OWN_KEY.to_vec()];
        for _ in 0..1 + source.below(5) {
            // Nothing that would end the packed form, whose walks are compared.
            let mut member = member(source);
            member.truncate(50);
            command.extend([b"7".to_vec(), member]);
        }
        return command;
    }
    let name = source.one_of(&["ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT", "ZREMRANGEBYLEX"]);
    let mut command = vec![source.word(name), OWN_KEY.to_vec()];
    command.extend([member_bound(source), member_bound(source)]);
    if name.ends_with("BYLEX") && name != "ZREMRANGEBYLEX" {
        limit(source, &mut command);
    }
    command
}

fn limit(source: &mut Source, command: &mut Words) {
    if source.chance(30) {
        command.push(source.word("LIMIT"));
        command.push((source.below(7) as i64 - 1).to_string().into_bytes());
        if !source.chance(3) {
            command.push((source.below(7) as i64 - 1).to_string().into_bytes());
        }
    }
}

fn range_options(source: &mut Source, command: &mut Words, by: &str) {
    if by != "BYRANK" {
        command.push(source.word(by));
    }
    if source.chance(30) {
        command.push(source.word("REV"));
    }
    limit(source, command);
    if source.chance(2) {
        command.push(source.word("FOO"));
    }
}

fn rank(source: &mut Source) -> Vec<u8> {
    if source.chance(10) {
        return source.integer_text();
    }
    (source.below(20) as i64 - 10).to_string().into_bytes()
}

fn range(source: &mut Source) -> Words {
    if source.chance(25) {
        return lexical(source);
    }
    let mut command = start(source, "ZRANGE");
    let by = source.one_of(&["BYSCORE", "BYRANK"]);
    range_bounds(source, &mut command, by);
    range_options(source, &mut command, by);
    if source.chance(50) {
        command.push(source.word("WITHSCORES"));
    }
    command
}

fn range_bounds(source: &mut Source, command: &mut Words, by: &str) {
    match by {
        "BYSCORE" => command.extend([score_bound(source), score_bound(source)]),
        _ => command.extend([rank(source), rank(source)]),
    }
}

fn old_range(source: &mut Source) -> Words {
    let name = source.one_of(&["ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZREVRANGE"]);
    let mut command = start(source, name);
    if name == "ZREVRANGE" {
        command.extend([rank(source), rank(source)]);
    } else {
        command.extend([score_bound(source), score_bound(source)]);
        limit(source, &mut command);
    }
    if source.chance(50) {
        command.push(source.word("WITHSCORES"));
    }
    command
}

fn range_store(source: &mut Source) -> Words {
    let mut command = start(source, "ZRANGESTORE");
    command.push(key(source));
    let by = source.one_of(&["BYSCORE", "BYRANK"]);
    range_bounds(source, &mut command, by);
    range_options(source, &mut command, by);
    command
}

fn remove_range(source: &mut Source) -> Words {
    let name = source.one_of(&["ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"]);
    let mut command = start(source, name);
    if name == "ZREMRANGEBYRANK" {
        command.extend([rank(source), rank(source)]);
    } else {
        command.extend([score_bound(source), score_bound(source)]);
    }
    command
}

fn count(source: &mut Source) -> Vec<u8> {
    if source.chance(8) {
        return source.integer_text_not_small();
    }
    source.below(6).to_string().into_bytes()
}

fn pop(source: &mut Source) -> Words {
    let name = source.one_of(&["ZPOPMIN", "ZPOPMAX", "ZMPOP", "BZPOPMIN"]);
    match name {
        "ZMPOP" => {
            let mut command = vec![source.word(name), b"2".to_vec(), key(source), key(source)];
            let end = source.one_of(&["MIN", "MAX"]);
            command.push(source.word(end));
            if source.chance(60) {
                command.extend([source.word("COUNT"), count(source)]);
            }
            command
        }
        "BZPOPMIN" => {
            // It must not wait, so its timeout is wrong.
            let mut command = vec![source.word(name), key(source)];
            command.push(source.one_of(&["-1", "x"]).as_bytes().to_vec());
            command
        }
        _ => {
            let mut command = start(source, name);
            if source.chance(60) {
                command.push(count(source));
            }
            command
        }
    }
}

fn join(source: &mut Source) -> Words {
    let name = source.one_of(&["ZUNION", "ZINTER", "ZDIFF", "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", "ZINTERCARD"]);
    let mut command = vec![source.word(name)];
    if name.ends_with("STORE") {
        command.push(key(source));
    }
    let keys = 1 + source.below(3);
    let told = if source.chance(4) { source.below(5) } else { keys };
    command.push(told.to_string().into_bytes());
    command.extend((0..keys).map(|_| if source.chance(15) { PLAIN_SET.to_vec() } else { key(source) }));
    if source.chance(40) && !name.starts_with("ZDIFF") {
        command.push(source.word("WEIGHTS"));
        command.extend((0..keys).map(|_| score(source)));
    }
    if source.chance(40) && !name.starts_with("ZDIFF") {
        let aggregate = source.one_of(&["SUM", "MIN", "MAX", "FOO"]);
        command.extend([source.word("AGGREGATE"), source.word(aggregate)]);
    }
    if name == "ZINTERCARD" && source.chance(50) {
        command.extend([source.word("LIMIT"), count(source)]);
    } else if source.chance(60) {
        command.push(source.word("WITHSCORES"));
    }
    command
}

/// A set without scores, which unions and the like take as well.
const PLAIN_SET: &[u8] = b"plain";

fn plain_set(source: &mut Source) -> Words {
    let name = source.one_of(&["SADD", "SADD", "SADD", "SREM", "DEL"]);
    let mut command = vec![source.word(name), PLAIN_SET.to_vec()];
    if name != "DEL" {
        command.extend((0..1 + source.below(5)).map(|_| member(source)));
    }
    command
}

/// Enough for the large form.
fn large(source: &mut Source) -> Words {
    let mut command = start(source, "ZADD");
    let first = source.below(500);
    for number in first..first + 100 {
        let score = (number * 7 % 50) as f64 / 2.0;
        command.push(score.to_string().into_bytes());
        command.push(format!("{number}").into_bytes());
    }
    command
}

fn digest(source: &mut Source) -> Words {
    vec![source.word("DEBUG"), b"DIGEST-VALUE".to_vec(), key(source)]
}

/// Only what does not depend on chance.
fn draw_members(source: &mut Source) -> Words {
    let mut command = start(source, "ZRANDMEMBER");
    let count = source.one_of(&["0", "x", "-9223372036854775808", "9223372036854775807"]);
    command.push(count.as_bytes().to_vec());
    if source.chance(60) {
        command.push(source.word("WITHSCORES"));
    }
    // All of a sorted set come in no particular order.
    if count == "9223372036854775807" {
        command[1] = b"nothing".to_vec();
    }
    command
}

/// All at once: how far a walk comes with less is each server's own.
fn walk(source: &mut Source) -> Words {
    let mut command = start(source, "ZSCAN");
    command.push(source.one_of(&["0", "0", "x"]).as_bytes().to_vec());
    command.extend([source.word("COUNT"), b"100000".to_vec()]);
    if source.chance(50) {
        command.extend([source.word("MATCH"), b"[a-e1]*".to_vec()]);
    }
    if source.chance(10) {
        command.extend([source.word("COUNT"), source.integer_text_not_small()]);
    }
    command
}

fn wrong(source: &mut Source) -> Words {
    let name = source.one_of(&[
        "ZADD",
        "ZINCRBY",
        "ZREM",
        "ZCARD",
        "ZSCORE",
        "ZRANGE",
        "ZPOPMIN",
        "ZMPOP",
        "ZUNION",
        "ZRANGESTORE",
        "ZSCAN",
        "BZMPOP",
    ]);
    let mut command = vec![source.word(name)];
    for _ in 0..source.below(6) {
        command.push(key(source));
    }
    command
}
