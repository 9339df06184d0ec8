//! Validity of texts beyond their kind.

use crate::base::sys::locale;

const LONGEST_HOST_NAME: usize = 255;
/// Characters of a token that cannot be guessed.
const LEAST_TOKEN: usize = 16;
const TITLE_VARIABLES: [&str; 7] =
    ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];

/// Variables that may stand for nothing.
const OFTEN_EMPTY_VARIABLES: [&str; 4] = ["title", "server-mode", "unixsocket", "config-file"];

fn is_base_name(text: &str) -> bool {
    !text.contains(['/', '\\'])
}

pub(super) fn snapshot_name(text: &str) -> Result<(), &'static str> {
    if is_base_name(text) { Ok(()) } else { Err("dbfilename can't be a path, just a filename") }
}

pub(super) fn append_only_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("appendfilename can't be empty")
    } else if is_base_name(text) {
        Ok(())
    } else {
        Err("appendfilename can't be a path, just a filename")
    }
}

pub(super) fn append_only_folder(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("appenddirname can't be empty")
    } else if is_base_name(text) {
        Ok(())
    } else {
        Err("appenddirname can't be a path, just a dirname")
    }
}

/// The environment's locale (an empty name) is taken even if the system does not have it.
pub(super) fn locale(text: &str) -> Result<(), &'static str> {
    match text.is_empty() || locale::can_collate(text) {
        true => Ok(()),
        false => Err("Invalid locale name"),
    }
}

pub(super) fn host_name(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST_HOST_NAME {
        return Err("Hostnames must be less than 256 characters");
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

/// The characters of a bearer token (RFC 6750), and enough of them.
pub(super) fn http_token(text: &str) -> Result<(), &'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    match text.is_empty() || text.len() >= LEAST_TOKEN && text.bytes().all(is_allowed) {
        true => Ok(()),
        false => Err("http-token must be empty, or at least 16 letters, digits or -._~+/="),
    }
}

pub(super) fn node_name(text: &str) -> Result<(), &'static str> {
    if text.bytes().any(|byte| b"!#$%&()*+:;<>?@[]^{|}~".contains(&byte)) {
        Err("Announced human node name contained invalid character")
    } else {
        Ok(())
    }
}

/// A template must use known variables only and must not come out empty before the program's own title is known; `{{`
/// stands for a brace.
pub(super) fn title_template(text: &str) -> Result<(), &'static str> {
    const INVALID: &str = "template format is invalid or contains unknown variables";
    let mut has_content = false;
    let mut rest = text;
    while let Some((before, after_brace)) = rest.split_once('{') {
        has_content |= !before.trim().is_empty();
        if let Some(after_escape) = after_brace.strip_prefix('{') {
            has_content = true;
            rest = after_escape;
            continue;
        }
        let (variable, after) = after_brace.split_once('}').ok_or(INVALID)?;
        let variable = variable.to_ascii_lowercase();
        if !TITLE_VARIABLES.contains(&variable.as_str()) {
            return Err(INVALID);
        }
        has_content |= !OFTEN_EMPTY_VARIABLES.contains(&variable.as_str());
        rest = after;
    }
    if has_content || !rest.trim().is_empty() { Ok(()) } else { Err(INVALID) }
}
