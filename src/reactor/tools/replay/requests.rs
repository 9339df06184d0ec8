//! Requests in text files.
//!
//! ```text
//! 1339518083.107412 [0 127.0.0.1:60866] "set" "key" "a value"    as MONITOR prints them, with or without a + before
//! worker> SET key "a value"                                      a client's name and a request as in redis-cli
//! # a comment
//! ```

use crate::text::quoting::split_arguments;

/// One request of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// What tells the client from others.
    pub client: String,
    /// The database that it was run in, where that is known.
    pub database: Option<u32>,
    pub arguments: Vec<Vec<u8>>,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Request(Request),
    /// A request that is not run, and why not.
    LeftOut(&'static str),
    /// A comment, or nothing.
    Nothing,
}

/// How MONITOR shows an argument that is secret.
const REDACTED: &[u8] = b"(redacted)";

/// Reads a line.
///
/// Errors: what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Line, String> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") || matches!(line, b"OK" | b"+OK") {
        return Ok(Line::Nothing);
    }
    if let Some(shown) = monitored(line) {
        return parse_monitored(shown?);
    }
    let (client, request) = split_once(line, b'>').ok_or("neither a line of MONITOR nor CLIENT> REQUEST")?;
    if client.iter().any(u8::is_ascii_whitespace) {
        return Err("a client's name has no blanks".to_string());
    }
    request_of(&String::from_utf8_lossy(client), None, request)
}

/// A line of MONITOR.
struct Monitored<'a> {
    database: u32,
    client: &'a [u8],
    request: &'a [u8],
}

/// The parts of a line that begins as one of MONITOR does, if it does.
fn monitored(line: &[u8]) -> Option<Result<Monitored<'_>, String>> {
    let (time, rest) = split_once(line.strip_prefix(b"+").unwrap_or(line), b' ')?;
    if !time.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') || !rest.starts_with(b"[") {
        return None;
    }
    let parts = split_once(&rest[1..], b']').and_then(|(source, request)| {
        let (database, client) = split_once(source, b' ')?;
        let database = std::str::from_utf8(database).ok()?.parse().ok()?;
        Some(Monitored { database, client, request })
    });
    Some(parts.ok_or_else(|| "the part in brackets is no database and client".to_string()))
}

fn parse_monitored(shown: Monitored<'_>) -> Result<Line, String> {
    if shown.client == b"lua" {
        return Ok(Line::LeftOut("commands of scripts, which come with their script"));
    }
    request_of(&String::from_utf8_lossy(shown.client), Some(shown.database), shown.request)
}

fn request_of(client: &str, database: Option<u32>, text: &[u8]) -> Result<Line, String> {
    let arguments = split_arguments(text).ok_or("unbalanced quotes")?;
    if arguments.is_empty() {
        return Err("there is no request".to_string());
    }
    if arguments.iter().any(|argument| argument == REDACTED) {
        return Ok(Line::LeftOut("requests of which MONITOR hides arguments"));
    }
    Ok(Line::Request(Request { client: client.to_string(), database, arguments }))
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(separator, bytes)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(client: &str, database: Option<u32>, arguments: &[&str]) -> Line {
        let arguments = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        Line::Request(Request { client: client.to_string(), database, arguments })
    }

    #[test]
    fn lines_of_monitor_and_lines_with_names_are_read() {
        for (line, expected) in [
            (r#"1339518083.107412 [3 127.0.0.1:60866] "set" "a b" "c\"\x01""#, {
                request("127.0.0.1:60866", Some(3), &["set", "a b", "c\"\u{1}"])
            }),
            (r#"+1.5 [0 unix:/tmp/socket] "ping""#, request("unix:/tmp/socket", Some(0), &["ping"])),
            ("a> SET k 'x y'\r\n", request("a", None, &["SET", "k", "x y"])),
            ("> GET a>b", request("", None, &["GET", "a>b"])),
            ("# a> b", Line::Nothing),
            ("OK", Line::Nothing),
            ("  \n", Line::Nothing),
            (r#"1.5 [0 lua] "get" "k""#, Line::LeftOut("commands of scripts, which come with their script")),
            (r#"1.5 [0 a:1] "auth" "(redacted)""#, Line::LeftOut("requests of which MONITOR hides arguments")),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for line in ["SET a b", "a b> GET x", "a>", "a> SET \"x", "1.5 [x 127.0.0.1:1] \"get\"", "1.5 [0 127.0.0.1:1"] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
