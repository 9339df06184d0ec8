//! What a request to the HTTP port is answered with.

use crate::drive::page::Document;
use crate::net::http::access::{self, Guard, Rules};
use crate::net::http::{self, Method, Request, Status};

use super::{page, sources};

pub(super) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// What the answers depend on besides the request.
pub struct Facts<'a> {
    pub rules: Rules<'a>,
    pub is_loading: bool,
    /// Whether the server is a replica whose link to its primary is down.
    pub is_out_of_touch: bool,
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
    /// By the lessons: with how their loop is, after the order that the body holds, if it is one.
    Training { is_order: bool },
    /// At once, and in few bytes or in bytes that are there.
    Now { status: Status, content_type: &'static str, body: &'static [u8], more: &'static str },
    /// The path is there, but not for this method.
    NotAllowed { allowed: &'static str },
}

impl Answer {
    /// One that says no more than its status.
    pub fn status(status: Status) -> Answer {
        Answer::Now { status, content_type: PLAIN_TEXT, body: http::explanation(status).as_bytes(), more: "" }
    }
}

const SOURCE: &str = "/source/";

/// Finds the answer.
pub fn answer(request: &Request, facts: &Facts<'_>) -> Answer {
    let is_training = facts.rules.training_token.is_some();
    let is_order = request.method == Method::Post;
    let path = request.path.as_str();
    let source = path.strip_prefix(SOURCE).filter(|_| is_training).and_then(sources::find);
    let guard = match path {
        "/" | "/health" | "/ready" => Guard::Open,
        "/metrics" | "/events" | "/trace" => Guard::Data,
        "/training" if is_training && is_order => Guard::Order,
        "/training" if is_training => Guard::Data,
        _ if source.is_some() => Guard::Open,
        _ => return Answer::status(Status::NotFound),
    };
    let takes_orders = path == "/training";
    if request.method == Method::Other || is_order && !takes_orders {
        return Answer::NotAllowed { allowed: if takes_orders { "GET, HEAD, POST" } else { "GET, HEAD" } };
    }
    if let Err(status) = access::check(request, guard, facts.rules) {
        return Answer::status(status);
    }
    if let Some(text) = source {
        return Answer::Now { status: Status::Ok, content_type: PLAIN_TEXT, body: text.as_bytes(), more: "" };
    }
    match path {
        "/" => Answer::Now {
            status: Status::Ok,
            content_type: page::CONTENT_TYPE,
            body: page::text(is_training).as_bytes(),
            more: page::policy(is_training),
        },
        "/training" => Answer::Training { is_order },
        // A process that does not turn does not answer.
        "/health" => Answer::Now { status: Status::Ok, content_type: PLAIN_TEXT, body: b"ok\n", more: "" },
        "/ready" if facts.is_loading => {
            Answer::Now { status: Status::Unavailable, content_type: PLAIN_TEXT, body: b"loading\n", more: "" }
        }
        "/ready" if facts.is_out_of_touch => Answer::Now {
            status: Status::Unavailable,
            content_type: PLAIN_TEXT,
            body: b"no link to the primary\n",
            more: "",
        },
        "/ready" => Answer::Now { status: Status::Ok, content_type: PLAIN_TEXT, body: b"ready\n", more: "" },
        "/metrics" => Answer::Document(Document::Metrics),
        "/trace" => Answer::Document(Document::Trace),
        // There is nothing to be watched by HEAD.
        "/events" if facts.has_place && request.method == Method::Get => Answer::Events,
        _ => Answer::status(Status::Unavailable),
    }
}
