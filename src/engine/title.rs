//! The process title in `ps`, from directive `proc-title-template`.

use std::fmt;
use std::path::Path;

use crate::base::sys::process::ProcessTitle;
use crate::config::Config;

/// What the variables of a title template stand for.
#[derive(Clone, Copy, Debug)]
pub struct TitleValues<'a> {
    /// `{title}`: the program as it was called.
    pub program: &'a str,
    /// The first bind address, `*` when there is none; shows in `{listen-addr}`.
    pub bind_address: &'a str,
    /// `{port}`, zero when it is off.
    pub port: u16,
    /// `{tls-port}`, zero when it is off.
    pub tls_port: u16,
    /// `{unixsocket}`, empty when it is off.
    pub unix_socket: &'a str,
    /// `{server-mode}` shows `[cluster]` when this is set, else nothing.
    pub cluster_enabled: bool,
    /// `{config-file}`, empty when there is none.
    pub config_file: &'a str,
}

/// The template names an unknown variable, ends within one, or comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTemplate;

impl fmt::Display for InvalidTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("template format is invalid or contains unknown variables")
    }
}

impl std::error::Error for InvalidTemplate {}

/// The title that a template gives: `{name}` is replaced by the variable, `{{` by a brace, blanks at the ends are cut.
///
/// Errors: the template is invalid, or the title would be empty.
pub fn expand(template: &str, values: &TitleValues<'_>) -> Result<String, InvalidTemplate> {
    let mut title = String::new();
    let mut rest = template;
    while let Some(brace) = rest.find('{') {
        title.push_str(&rest[..brace]);
        rest = &rest[brace + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            title.push('{');
            rest = after;
            continue;
        }
        let end = rest.find('}').ok_or(InvalidTemplate)?;
        title.push_str(&variable(&rest[..end], values).ok_or(InvalidTemplate)?);
        rest = &rest[end + 1..];
    }
    title.push_str(rest);
    match title.trim_matches(' ') {
        "" => Err(InvalidTemplate),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// Whether directive `proc-title-template` may be set to this.
///
/// Errors: as [`expand`].
pub fn validate(template: &str) -> Result<(), InvalidTemplate> {
    let anything = TitleValues {
        program: "",
        bind_address: "*",
        port: 0,
        tls_port: 0,
        unix_socket: "",
        cluster_enabled: false,
        config_file: "",
    };
    expand(template, &anything).map(|_| ())
}

fn variable(name: &str, values: &TitleValues<'_>) -> Option<String> {
    let text = match name {
        "title" => values.program.to_owned(),
        "listen-addr" => listen_address(values),
        "server-mode" if values.cluster_enabled => String::from("[cluster]"),
        "server-mode" => String::new(),
        "port" => values.port.to_string(),
        "tls-port" => values.tls_port.to_string(),
        "unixsocket" => values.unix_socket.to_owned(),
        "config-file" => values.config_file.to_owned(),
        _ => return None,
    };
    Some(text)
}

fn listen_address(values: &TitleValues<'_>) -> String {
    match (values.port, values.tls_port) {
        (0, 0) => format!("unixsocket:{}", values.unix_socket),
        (0, port) | (port, _) => format!("{}:{port}", values.bind_address),
    }
}

/// The title of this process, to be shown again whenever the template changes.
#[derive(Debug)]
pub struct TitleBar {
    pub process_title: ProcessTitle,
    /// The program as it was called.
    pub program: String,
}

impl TitleBar {
    /// Shows what the settings' template gives now.
    pub fn show(&mut self, config: &Config, config_file: Option<&Path>) {
        let values = TitleValues {
            program: &self.program,
            bind_address: config.bind.first().map_or("*", String::as_str),
            port: config.port,
            tls_port: config.tls_port,
            unix_socket: &config.unixsocket,
            cluster_enabled: config.cluster_enabled,
            config_file: &config_file.unwrap_or(Path::new("")).to_string_lossy(),
        };
        if let Ok(title) = expand(&config.proc_title_template, &values) {
            self.process_title.set(&title);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: TitleValues<'static> = TitleValues {
        program: "oneloop",
        bind_address: "*",
        port: 6379,
        tls_port: 0,
        unix_socket: "/tmp/a.sock",
        cluster_enabled: false,
        config_file: "/etc/a.conf",
    };

    #[test]
    fn every_variable_is_replaced() {
        assert_eq!(expand("{title} {listen-addr} {server-mode}", &VALUES).unwrap(), "oneloop *:6379");
        let all = "{port}|{tls-port}|{unixsocket}|{config-file}|{{x}";
        assert_eq!(expand(all, &VALUES).unwrap(), "6379|0|/tmp/a.sock|/etc/a.conf|{x}");
        let cluster = TitleValues { cluster_enabled: true, bind_address: "127.0.0.1", ..VALUES };
        assert_eq!(expand("{listen-addr} {server-mode}", &cluster).unwrap(), "127.0.0.1:6379 [cluster]");
    }

    #[test]
    fn listen_address_falls_back_to_tls_and_then_to_the_socket() {
        let tls = TitleValues { port: 0, tls_port: 6380, ..VALUES };
        assert_eq!(expand("{listen-addr}", &tls).unwrap(), "*:6380");
        let socket = TitleValues { port: 0, ..VALUES };
        assert_eq!(expand("{listen-addr}", &socket).unwrap(), "unixsocket:/tmp/a.sock");
    }

    #[test]
    fn bad_templates_are_refused() {
        for template in ["", " ", "{}", "{nope}", "{title", "a {", "{Title}"] {
            assert_eq!(validate(template), Err(InvalidTemplate), "{template:?}");
        }
        for template in ["}", "{{", "x {title}", "{listen-addr}"] {
            assert_eq!(validate(template), Ok(()), "{template:?}");
        }
    }
}
