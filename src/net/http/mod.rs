//! As much of HTTP/1.1 (RFC 9112) as answering a question takes. `access` says which requests are refused.
//!
//! `HttpSocket` is what its bytes come and go by. Never knows what is served.

pub mod access;
mod socket;

pub use socket::HttpSocket;

use httparse::{EMPTY_HEADER, Error, Header, Request as Parsed, Status as Progress};

/// Header lines that a request may have.
const HEADERS_MAX: usize = 64;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// What it asks about, without the query behind `?`.
    pub path: String,
    /// Whether more may be asked on the same connection.
    pub keeps_alive: bool,
    /// By which name the client calls the server.
    pub host: String,
    /// Which page the browser runs that sends it.
    pub origin: Option<String>,
    /// How that page is related to the server, by the browser's own judgement.
    pub fetch_site: Option<String>,
    /// The token that it shows.
    pub token: Option<String>,
    /// What it shows for an order to a training instance.
    pub training_token: Option<String>,
    /// Bytes that its head took.
    pub length: usize,
    /// Bytes of the body that follows.
    pub body_bytes: usize,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    BodyTooLarge,
    TooLarge,
    Unavailable,
}

impl Status {
    /// Code and phrase.
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::Unauthorized => "401 Unauthorized",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::BodyTooLarge => "413 Content Too Large",
            Status::TooLarge => "431 Request Header Fields Too Large",
            Status::Unavailable => "503 Service Unavailable",
        }
    }
}

/// Reads the request that the bytes begin with; nothing while it is not complete.
///
/// Errors: how to answer one that is refused, after which the connection is of no more use.
pub fn parse(bytes: &[u8]) -> Result<Option<Request>, Status> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = Parsed::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(Progress::Complete(length)) => length,
        Ok(Progress::Partial) => return Ok(None),
        Err(Error::TooManyHeaders) => return Err(Status::TooLarge),
        Err(_) => return Err(Status::BadRequest),
    };
    let is_newest = parsed.version == Some(1);
    let hosts = values(parsed.headers, "host").count();
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let body_bytes = body_bytes(parsed.headers).ok_or(Status::BadRequest)?;
    if hosts > 1 || is_newest && hosts == 0 || body_bytes > 0 && method != Method::Post {
        return Err(Status::BadRequest);
    }
    let closes = values(parsed.headers, "connection").any(|value| has_word(value, "close"));
    let target = parsed.path.unwrap_or_default();
    Ok(Some(Request {
        method,
        path: target.split('?').next().unwrap_or_default().to_string(),
        keeps_alive: is_newest && !closes,
        host: text_of(parsed.headers, "host").unwrap_or_default(),
        origin: text_of(parsed.headers, "origin"),
        fetch_site: text_of(parsed.headers, "sec-fetch-site"),
        token: text_of(parsed.headers, "authorization").and_then(bearer),
        training_token: text_of(parsed.headers, "x-training-token"),
        length,
        body_bytes,
    }))
}

/// The value of the first header of that name.
fn text_of(headers: &[Header<'_>], name: &str) -> Option<String> {
    values(headers, name).next().map(|value| String::from_utf8_lossy(value.trim_ascii()).into_owned())
}

/// The token in the value of `Authorization`, if it has the form of one.
fn bearer(value: String) -> Option<String> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_string())
}

fn values<'h>(headers: &'h [Header<'h>], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// How long the body is. None where that is not said once and by a plain number: two readers of such a head may take
/// different bytes for the next request.
fn body_bytes(headers: &[Header<'_>]) -> Option<usize> {
    let mut lengths = values(headers, "content-length");
    let length = lengths.next();
    if lengths.next().is_some() || values(headers, "transfer-encoding").next().is_some() {
        return None;
    }
    let Some(digits) = length else {
        return Some(0);
    };
    let is_plain = !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

fn has_word(value: &[u8], word: &str) -> bool {
    let mut words = value.split(|byte| *byte == b',');
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// What a browser must not do with an answer: guess its type, show it inside of another page, hand it to one, keep it.
const GUARDS: &str = "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n";

/// What the head of an answer says.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub status: Status,
    pub content_type: &'a str,
    /// Length of the body; nothing: the body lasts as long as the connection.
    pub body_bytes: Option<usize>,
    pub keeps_alive: bool,
    /// Methods that the path takes, for the answer that the one asked for is none of them.
    pub allowed: &'a str,
    /// More header lines, each with its line end.
    pub more: &'a str,
}

impl Head<'_> {
    /// The bytes.
    pub fn text(&self) -> String {
        let own = match self.status {
            Status::MethodNotAllowed => &format!("Allow: {}\r\n", self.allowed),
            Status::Unauthorized => "WWW-Authenticate: Bearer\r\n",
            Status::Unavailable => "Retry-After: 1\r\n",
            _ => "",
        };
        let length = self.body_bytes.map(|bytes| format!("Content-Length: {bytes}\r\n")).unwrap_or_default();
        let connection = match self.keeps_alive {
            true => "",
            false => "Connection: close\r\n",
        };
        format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\n{length}{own}{GUARDS}{}{connection}\r\n",
            self.status.line(),
            self.content_type,
            self.more
        )
    }
}

/// The body of an answer that says no more than its status.
pub fn explanation(status: Status) -> &'static str {
    status.line()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<Request>, Status> {
        parse(text.as_bytes())
    }

    #[test]
    fn a_request_is_read_when_it_is_complete() {
        let text = "GET /metrics?name=x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\nGET";
        let whole = text.len() - 3;
        for end in 0..whole {
            assert_eq!(parsed(&text[..end]), Ok(None), "{end}");
        }
        let expected = Request {
            method: Method::Get,
            path: "/metrics".to_string(),
            keeps_alive: true,
            host: "a".to_string(),
            origin: None,
            fetch_site: None,
            token: None,
            training_token: None,
            length: whole,
            body_bytes: 0,
        };
        assert_eq!(parsed(text), Ok(Some(expected)));
    }

    #[test]
    fn headers_that_decide_on_access_are_read() {
        let text = "GET / HTTP/1.1\r\nhost: a:1\r\nORIGIN: http://b\r\nSec-Fetch-Site: cross-site\r\n\
                    Authorization: bearer  abc \r\n\r\n";
        let request = parsed(text).expect("it is valid").expect("it is whole");
        assert_eq!(request.host, "a:1");
        assert_eq!(request.origin.as_deref(), Some("http://b"));
        assert_eq!(request.fetch_site.as_deref(), Some("cross-site"));
        assert_eq!(request.token.as_deref(), Some("abc"));
        let basic = parsed("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic abc\r\n\r\n");
        assert_eq!(basic.expect("it is valid").expect("it is whole").token, None);
    }

    #[test]
    fn connections_are_kept_as_the_version_says() {
        for (text, keeps) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: te, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
        ] {
            let request = parsed(text).expect("it is valid").expect("it is whole");
            assert_eq!(request.keeps_alive, keeps, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_question_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "GET  / HTTP/1.1\r\n bad: x\r\n\r\n",
        ] {
            assert_eq!(parsed(text), Err(Status::BadRequest), "{text}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(parsed(&many), Err(Status::TooLarge));
    }

    #[test]
    fn an_answer_says_what_comes() {
        let head = Head {
            status: Status::MethodNotAllowed,
            content_type: "text/plain",
            body_bytes: Some(5),
            allowed: "GET, HEAD",
            keeps_alive: false,
            more: "X: y\r\n",
        };
        assert_eq!(
            head.text(),
            format!(
                "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\
                 Allow: GET, HEAD\r\n{GUARDS}X: y\r\nConnection: close\r\n\r\n"
            )
        );
        let stream = Head { status: Status::Ok, body_bytes: None, ..head };
        assert!(!stream.text().contains("Content-Length"));
    }
}
