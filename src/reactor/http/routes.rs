//! What a request to the HTTP port is answered with.

use crate::drive::page::Document;
use crate::net::http::access::{self, Guard, Rules};
use crate::net::http::{self, Method, Request, Status};

use super::page;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// What the answers depend on besides the request.
pub struct Facts<'a> {
    pub rules: Rules<'a>,
    pub is_loading: bool,
    /// Whether there is a place for one more viewer.
    pub has_place: bool,
}

/// How a request is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a text that a job has to write first.
    Document(Document),
    /// With frames, for as long as the connection stands.
    Events,
    /// At once, and in few bytes or in bytes that are there.
    Now { status: Status, content_type: &'static str, body: &'static [u8], more: &'static str },
}

impl Answer {
    /// One that says no more than its status.
    pub fn status(status: Status) -> Answer {
        Answer::Now { status, content_type: PLAIN_TEXT, body: http::explanation(status).as_bytes(), more: "" }
    }
}

/// Finds the answer.
pub fn answer(request: &Request, facts: &Facts<'_>) -> Answer {
    let guard = match request.path.as_str() {
        "/" | "/health" | "/ready" => Guard::Open,
        "/metrics" | "/events" | "/trace" => Guard::Data,
        _ => return Answer::status(Status::NotFound),
    };
    if request.method == Method::Other {
        return Answer::status(Status::MethodNotAllowed);
    }
    if let Err(status) = access::check(request, guard, facts.rules) {
        return Answer::status(status);
    }
    match request.path.as_str() {
        "/" => Answer::Now {
            status: Status::Ok,
            content_type: page::CONTENT_TYPE,
            body: page::TEXT.as_bytes(),
            more: page::policy(),
        },
        // A process that does not turn does not answer.
        "/health" => Answer::Now { status: Status::Ok, content_type: PLAIN_TEXT, body: b"ok\n", more: "" },
        "/ready" if facts.is_loading => {
            Answer::Now { status: Status::Unavailable, content_type: PLAIN_TEXT, body: b"loading\n", more: "" }
        }
        "/ready" => Answer::Now { status: Status::Ok, content_type: PLAIN_TEXT, body: b"ready\n", more: "" },
        "/metrics" => Answer::Document(Document::Metrics),
        "/trace" => Answer::Document(Document::Trace),
        // There is nothing to be watched by HEAD.
        "/events" if facts.has_place && request.method == Method::Get => Answer::Events,
        _ => Answer::status(Status::Unavailable),
    }
}
