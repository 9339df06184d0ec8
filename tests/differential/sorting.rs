//! SORT and SORT_RO, over keys of the family's own.
//!
//! What has no order of its own is not asked for: a set that is not sorted, and texts of equal weight. Nor is the
//! encoding of a sorted set, which Redis changes when it sorts one.

use super::source::Source;
use super::{Generator, Words, draw, words};

const GENERATORS: &[Generator] = &[
    Generator::new(6, fill),
    Generator::new(3, weigh),
    Generator::new(16, sort),
    Generator::new(2, look),
    Generator::new(1, any_key),
    Generator::new(1, wrong),
];

const ORDERED_KEYS: [&str; 3] = ["sort-list", "sort-zset", "sort-result"];

/// Makes up a command.
pub fn command(source: &mut Source) -> Words {
    draw(source, GENERATORS)
}

/// Mostly numbers, of which some are equal but written in another way.
fn element(source: &mut Source) -> String {
    match source.below(40) {
        0 => source.one_of(&["", "text", " 7", "7 ", "+inf", "0x1f", "nan"]).into(),
        1..=6 => format!("{:.1}", source.below(30) as f64 / 2.0),
        _ => source.below(40).to_string(),
    }
}

fn fill(source: &mut Source) -> Words {
    let element = element(source).into_bytes();
    match source.below(8) {
        0 => words("DEL sort-list"),
        1 => words("DEL sort-set sort-zset"),
        2 | 3 => [words("RPUSH sort-list"), vec![element]].concat(),
        4 | 5 => [words("SADD sort-set"), vec![element]].concat(),
        _ => {
            let score = source.below(10);
            [words(&format!("ZADD sort-zset {score}")), vec![element]].concat()
        }
    }
}

/// Sets what BY and GET look up.
fn weigh(source: &mut Source) -> Words {
    let (number, weight) = (source.below(40), element(source).into_bytes());
    let mut command = match source.below(4) {
        0 => words(&format!("HSET hash_{number} field")),
        1 => words(&format!("SET weight_{number}_end")),
        2 => return words(&format!("DEL weight_{number} hash_{number}")),
        _ => words(&format!("SET weight_{number}")),
    };
    command.push(weight);
    command
}

const PATTERNS: [&str; 9] = [
    "weight_*",
    "weight_*_end",
    "hash_*->field",
    "hash_*->other",
    "hash_*->",
    "hash_*",
    "weight_*->field",
    "*",
    "missing_*",
];

fn sort(source: &mut Source) -> Words {
    let name = source.one_of(&["SORT", "SORT", "SORT_RO"]);
    let mut command = vec![source.word(name)];
    let is_set = source.chance(40);
    let key = match is_set {
        true => "sort-set",
        false => source.one_of(&ORDERED_KEYS),
    };
    command.push(key.into());
    let mut options: Vec<Words> = Vec::new();
    let by = source.chance(40);
    if by {
        options.push(vec![b"BY".to_vec(), source.one_of(&PATTERNS).into()]);
    } else if !is_set && source.chance(20) {
        options.push(words(source.one_of(&["BY nosort", "by #", "BY weight"])));
    }
    if !by && source.chance(40) {
        options.push(vec![source.word("ALPHA")]);
    }
    if source.chance(40) {
        let offset = source.below(30) as i64 - 3;
        let count = source.below(30) as i64 - 3;
        options.push(words(&format!("LIMIT {offset} {count}")));
    }
    if source.chance(50) {
        let direction = source.one_of(&["ASC", "DESC"]);
        options.push(vec![source.word(direction)]);
    }
    for _ in 0..source.below(6).saturating_sub(3) {
        let pattern = match source.chance(30) {
            true => "#",
            false => source.one_of(&PATTERNS),
        };
        options.push(vec![source.word("GET"), pattern.into()]);
    }
    if source.chance(20) {
        options.push(words("STORE sort-result"));
    }
    while !options.is_empty() {
        let next = source.below(options.len());
        command.extend(options.swap_remove(next));
    }
    command
}

fn look(source: &mut Source) -> Words {
    words(source.one_of(&["LRANGE sort-result 0 -1", "TYPE sort-result"]))
}

fn any_key(source: &mut Source) -> Words {
    let mut command = words(source.one_of(&["SORT_RO", "SORT"]));
    command.push(source.key());
    // In no order that both have, of what is in a table: so only its kind is asked for.
    command.extend(words("LIMIT 0 0"));
    command
}

fn wrong(source: &mut Source) -> Words {
    words(source.one_of(&[
        "SORT",
        "SORT sort-list BY",
        "SORT sort-list LIMIT 1",
        "SORT sort-list LIMIT a b",
        "SORT_RO sort-list STORE sort-result",
        "SORT sort-list GET",
        "SORT sort-list ASCENDING",
    ]))
}
