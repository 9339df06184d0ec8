//! Validity of texts beyond their kind.

const LONGEST_HOST_NAME: usize = 255;
const TITLE_VARIABLES: [&str; 7] = [
    "title",
    "listen-addr",
    "server-mode",
    "port",
    "tls-port",
    "unixsocket",
    "config-file",
];

fn is_base_name(text: &str) -> bool {
    !text.contains(['/', '\\'])
}

pub(super) fn snapshot_name(text: &str) -> Result<(), &'static str> {
    if is_base_name(text) {
        Ok(())
    } else {
        Err("dbfilename can't be a path, just a filename")
    }
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

pub(super) fn host_name(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST_HOST_NAME {
        return Err("Hostnames must be less than 256 characters");
    }
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

pub(super) fn node_name(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST_HOST_NAME {
        return Err("Announced human node name must be less than 256 characters");
    }
    if text
        .bytes()
        .any(|byte| b"!#$%&()*+:;<>?@[]^{|}~".contains(&byte))
    {
        Err("Announced human node name contained invalid character")
    } else {
        Ok(())
    }
}

/// A template must use known variables only; `{{` stands for a brace.
pub(super) fn title_template(text: &str) -> Result<(), &'static str> {
    const INVALID: &str = "template format is invalid or contains unknown variables";
    if text.is_empty() {
        return Err(INVALID);
    }
    let mut rest = text;
    while let Some((_, after_brace)) = rest.split_once('{') {
        rest = match after_brace.strip_prefix('{') {
            Some(after_escape) => after_escape,
            None => match after_brace.split_once('}') {
                Some((variable, after))
                    if TITLE_VARIABLES.contains(&variable.to_ascii_lowercase().as_str()) =>
                {
                    after
                }
                _ => return Err(INVALID),
            },
        };
    }
    Ok(())
}
