//! Server-sent events, as HTML defines them.

/// One event, with data without line ends.
pub(super) fn event(name: &str, json: &str) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}
