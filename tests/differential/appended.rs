//! What both servers pass on: the commands of the append-only file, the same in the same order.

use super::support::Harness;

use super::oracle::Oracle;
use super::{Words, line};

/// Times that are as far from the present as this, in ms, are the same: the servers do not run at the same moment.
const TOLERANCE_MS: i64 = 120_000;

/// So much of a command is shown, in bytes.
const LINE_MAX: usize = 600;

/// Compares what was appended since the last time. Errors: the first difference.
pub fn compare(oracle: &mut Oracle, server: &mut Harness, failed: &[Words]) -> Result<(), String> {
    let ours = comparable(parse(&server.take_propagated()), failed);
    let theirs = comparable(parse(&oracle.take_appended()), failed);
    let now_ms = server.state.now_ms();
    for index in 0..ours.len().max(theirs.len()) {
        let [mine, its] = [&ours, &theirs].map(|all| all.get(index).map(|words| usual(words.clone(), now_ms)));
        if mine != its {
            let shown = |all: &[Words]| {
                let from = index.saturating_sub(3).min(all.len());
                let lines = all[from..].iter().take(6).map(|words| {
                    let mut line = line(words);
                    line.truncate(LINE_MAX);
                    line
                });
                lines.collect::<Vec<String>>().join("\n")
            };
            return Err(format!(
                "appended command {index} is another:\nRedis:\n{}\nOneloop:\n{}",
                shown(&theirs),
                shown(&ours)
            ));
        }
    }
    Ok(())
}

/// Without what failed half-way, and without BITFIELD that may fail: it makes its string longer all the same, which
/// Redis does not pass on.
fn comparable(mut commands: Vec<Words>, failed: &[Words]) -> Vec<Words> {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let may_fail = |words: &Words| is(&words[0], "bitfield") && words.iter().any(|word| is(word, "fail"));
    commands.retain(|words| !failed.contains(words) && !may_fail(words));
    // From 7.2 on a consumer is there even if it got nothing, and a group's position is passed on each time.
    let of_newer: [&[u8]; 2] = [b"CREATECONSUMER", b"SETID"];
    commands.retain(|words| words[0] != b"XGROUP" || !of_newer.contains(&words[1].as_slice()));
    let mut index = 0;
    while index < commands.len() {
        let is_word = |at: usize, word: &[u8]| commands.get(at).is_some_and(|words| words[0] == word);
        let holds = (0..2).find(|count| is_word(index + 1 + count, b"EXEC"));
        if let Some(count) = holds.filter(|_| is_word(index, b"MULTI")) {
            commands.remove(index + 1 + count);
            commands.remove(index);
        } else {
            index += 1;
        }
    }
    commands
}

/// The commands in a piece of an append-only file.
pub fn parse(mut bytes: &[u8]) -> Vec<Words> {
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let count = header(&mut bytes, b'*');
        let words = (0..count).map(|_| {
            let length = header(&mut bytes, b'$');
            let word = bytes[..length].to_vec();
            bytes = &bytes[length + 2..];
            word
        });
        commands.push(words.collect());
    }
    commands
}

fn header(bytes: &mut &[u8], kind: u8) -> usize {
    let end = bytes.iter().position(|byte| *byte == b'\r');
    let line = &bytes[..end.expect("a whole line")];
    assert_eq!(line[0], kind, "{}", bytes.escape_ascii());
    *bytes = &bytes[line.len() + 2..];
    let text = std::str::from_utf8(&line[1..]).expect("a number is ASCII");
    text.parse().expect("a header holds a number")
}

/// A command without what may differ: the exact time, and forms that differ between versions of Redis.
pub fn usual(mut words: Words, now_ms: i64) -> Words {
    let is = |index: usize, name: &str, words: &Words| {
        words.get(index).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    if is(0, "set", &words)
        && let Some(at) = words.iter().skip(3).rposition(|word| word.eq_ignore_ascii_case(b"pxat"))
    {
        // 7.0 leaves out conditions, which are met anyway, and times before the last, which do not count.
        let time = words[3 + at + 1].clone();
        words.truncate(3);
        words.extend([b"PXAT".to_vec(), time]);
        words[0] = b"SET".to_vec();
    }
    let fields_at = (2..5).find(|at| is(*at, "fields", &words));
    if is(0, "hsetex", &words)
        && let Some(at) = fields_at
        && (2..at).all(|at| is(at, "fnx", &words) || is(at, "keepttl", &words))
    {
        // Where no field has a time ours is the form that 7.2 reads.
        words = [b"HSET".to_vec(), words[1].clone()].into_iter().chain(words[at + 2..].iter().cloned()).collect();
    }
    words[0].make_ascii_uppercase();
    if words[0] == b"LMOVE" {
        words[3..].iter_mut().for_each(|end| end.make_ascii_lowercase());
    }
    // IDs may be passed on as they came.
    if words[0] == b"XCLAIM" && !words[5].contains(&b'-') {
        words[5].extend_from_slice(b"-0");
    }
    for word in words.iter_mut().skip(1) {
        if word.eq_ignore_ascii_case(b"fields") {
            word.make_ascii_uppercase();
        }
        let text = String::from_utf8_lossy(word);
        if let Ok(time_ms) = text.parse::<i64>()
            && text.len() >= 13
        {
            // Durations are whole seconds or a few of them, so what is left after them is the difference of the clocks.
            let left_ms = time_ms.saturating_sub(now_ms);
            let rounded = (left_ms.saturating_add(TOLERANCE_MS / 2)).div_euclid(TOLERANCE_MS);
            *word = format!("<in {rounded} periods>").into_bytes();
        }
    }
    words
}
