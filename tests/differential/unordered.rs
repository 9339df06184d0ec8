//! Replies whose elements come in the order of a table, which is each server's own: put in order before they are
//! compared.

/// The reply with its elements in order, where the command is one whose elements come in none.
pub fn in_order(command: &[Vec<u8>], reply: Vec<u8>) -> Vec<u8> {
    let name = command[0].to_ascii_lowercase();
    let with = |word: &[u8]| command.iter().any(|other| other.eq_ignore_ascii_case(word));
    let resp3 = reply.first() == Some(&b'%') || reply.windows(2).any(|pair| pair == b"\n*");
    match name.as_slice() {
        b"hkeys" | b"hvals" => sorted(&reply, 1),
        b"hgetall" => sorted(&reply, 2),
        b"hrandfield" if with(b"withvalues") && !resp3 => sorted(&reply, 2),
        b"hrandfield" => sorted(&reply, 1),
        b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"spop" | b"srandmember" => sorted(&reply, 1),
        b"sscan" => sorted_walk(&reply, 1),
        b"hscan" => sorted_walk(&reply, if with(b"novalues") { 1 } else { 2 }),
        b"zscan" => sorted_walk(&reply, 2),
        _ => reply,
    }
}

/// Whether the command gives members of sets: Redis 7.0 has them in tables, however few they are.
pub fn is_of_sets(command: &[Vec<u8>]) -> bool {
    let names = ["smembers", "sinter", "sunion", "sdiff", "spop", "srandmember", "sscan"];
    names.iter().any(|name| command[0].eq_ignore_ascii_case(name.as_bytes()))
}

/// The end of the value that begins at `start`.
fn end_of_value(reply: &[u8], start: usize) -> usize {
    let line = reply[start..].iter().position(|byte| *byte == b'\n');
    let end = start + line.expect("a value has a line") + 1;
    let number = || {
        let text = std::str::from_utf8(&reply[start + 1..end - 2]).expect("a head is ASCII");
        text.parse::<i64>().expect("a head holds a number")
    };
    match reply[start] {
        b'$' if number() >= 0 => end + number() as usize + 2,
        b'*' | b'~' => (0..number()).fold(end, |at, _| end_of_value(reply, at)),
        b'%' => (0..2 * number()).fold(end, |at, _| end_of_value(reply, at)),
        _ => end,
    }
}

/// An array or map with its elements sorted, `width` values making up one.
fn sorted(reply: &[u8], width: usize) -> Vec<u8> {
    if !matches!(reply[0], b'*' | b'~' | b'%') {
        return reply.to_vec();
    }
    let mut at = reply.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    let mut result = reply[..at].to_vec();
    let mut elements = Vec::new();
    while at < reply.len() {
        let start = at;
        (0..width).for_each(|_| at = end_of_value(reply, at));
        elements.push(&reply[start..at]);
    }
    elements.sort();
    result.extend(elements.concat());
    result
}

/// A cursor and an array.
fn sorted_walk(reply: &[u8], width: usize) -> Vec<u8> {
    if reply[0] != b'*' {
        return reply.to_vec();
    }
    let cursor_at = reply.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    let elements_at = end_of_value(reply, cursor_at);
    let mut result = reply[..elements_at].to_vec();
    result.extend(sorted(&reply[elements_at..], width));
    result
}
