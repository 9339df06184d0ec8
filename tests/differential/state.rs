//! What lies behind the replies: encodings and expiry times of all keys.

use oneloop::engine::propagation;
use oneloop::keyspace::Record;

use super::oracle::Oracle;
use super::source::KEYS;
use super::support::Harness;
use super::{shown, words};

/// How far expiry times may be apart: the two servers do not set them at the same moment. In ms.
const TOLERANCE_MS: i64 = 60_000;

/// Compares every key's encoding and expiry time. Errors: what is different.
pub fn compare(oracle: &mut Oracle, server: &mut Harness) -> Result<(), String> {
    for key in KEYS {
        let mut questions = [words("OBJECT ENCODING"), words("PEXPIRETIME")];
        questions.iter_mut().for_each(|question| question.push(key.as_bytes().to_vec()));
        let mut replies = oracle.run(&questions);
        server.state.keyspace.exists(0, key.as_bytes());
        // If it has expired it is no command that has found it so.
        propagation::end_unit(&mut server.state, false);
        let record = server.state.keyspace.peek(0, key.as_bytes());
        let expected_encoding = match record.map(Record::value) {
            None => "_\r\n".to_string(),
            Some(value) => {
                // Redis 7.0 had one encoding for lists of any size.
                let name = match value.type_name() {
                    "list" => "quicklist",
                    _ => value.encoding_name(),
                };
                format!("${}\r\n{name}\r\n", name.len())
            }
        };
        if replies[0] == b"$-1\r\n" {
            // RESP2 has its own null.
            replies[0] = b"_\r\n".to_vec();
        }
        if replies[0] != expected_encoding.as_bytes() {
            let theirs = shown(&replies[0]);
            return Err(format!("key {key:?}: Redis has {theirs}, not {expected_encoding:?}"));
        }
        let moment_ms = record.map_or(-2, |record| record.expiry_ms().unwrap_or(-1));
        let reply = String::from_utf8_lossy(&replies[1]).into_owned();
        let theirs_ms: i64 = reply[1..].trim_end().parse().expect("an integer reply");
        let alike = (theirs_ms > 0) == (moment_ms > 0);
        let near = theirs_ms.abs_diff(moment_ms) <= TOLERANCE_MS.unsigned_abs();
        if !alike || !near {
            return Err(format!("key {key:?} expires at {theirs_ms} in Redis, not {moment_ms}"));
        }
    }
    Ok(())
}
