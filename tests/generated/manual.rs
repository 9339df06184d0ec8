//! The manual pages `oneloop(1)` and `oneloop.conf(5)`, in the language of man(7).

use std::collections::BTreeMap;

use oneloop::REDIS_VERSION;
use oneloop::command::registry::{Command, Registry};
use oneloop::commands::FAMILIES;
use oneloop::config::{Directive, GROUPS, Mutability};
use oneloop::reactor::launch::USAGE;

use super::is_documented;

/// A text with what man(7) would take for its own escaped.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_string() })
        .collect::<Vec<String>>()
        .join("\n")
}

fn head(name: &str, section: u8, title: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".TH {} {section} \"\" \"Oneloop {version}\" \"Oneloop\"\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        escaped(name),
        escaped(title)
    )
}

/// `oneloop(1)`.
pub fn program() -> String {
    let mut text = head("oneloop", 1, "Redis-compatible in-memory server: one poll loop owns every connection");
    text.push_str(&format!(".SH SYNOPSIS\n.nf\n{}\n.fi\n", escaped(USAGE.trim_end())));
    text.push_str(&format!(
        ".SH DESCRIPTION\n{}\n",
        escaped(&format!(
            "Oneloop serves the protocol and the commands of Redis {REDIS_VERSION} from one thread, which owns all data. \
             Without arguments it listens on port 6379 with the defaults of Redis. Each directive of oneloop.conf(5) is \
             an option too: its name behind two dashes, then its value."
        ))
    ));
    text.push_str(".SH TOOLS\n");
    for (name, what) in TOOLS {
        text.push_str(&format!(".TP\n.B {}\n{}\n", escaped(name), escaped(what)));
    }
    text.push_str(".SH SIGNALS\n");
    for (name, what) in SIGNALS {
        text.push_str(&format!(".TP\n.B {name}\n{}\n", escaped(what)));
    }
    text.push_str(
        ".SH EXIT STATUS\n0 after an orderly end; 1 where the server could not start, or a tool found a fault.\n",
    );
    text.push_str(".SH COMMANDS\n");
    for (group, commands) in by_group(&Registry::new(FAMILIES)) {
        text.push_str(&format!(".SS {group}\n"));
        for (name, summary) in commands {
            text.push_str(&format!(".TP\n.B {}\n{}\n", escaped(&name), escaped(&summary)));
        }
    }
    text.push_str(".SH SEE ALSO\n.B oneloop.conf\n(5), redis\\-cli(1), redis\\-benchmark(1)\n");
    text
}

const TOOLS: &[(&str, &str)] = &[
    ("ping [HOST:PORT | SOCKET]", "Asks a server whether it serves: for probes."),
    ("check-config FILE", "Looks a configuration file over, and the host for what costs latency."),
    ("check-rdb FILE", "Checks a snapshot as redis-check-rdb does."),
    ("check-aof FILE", "Checks an append-only file, its manifest or one of its files, and mends a cut end with --fix."),
    ("replay RECORDING", "Runs again what a server with --record has recorded, with the same replies, turn by turn."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Ends the server as SHUTDOWN does; it saves where save points are set. A second SIGINT ends it at once.",
    ),
    ("SIGHUP, SIGPIPE", "Have no effect."),
];

/// Names with arguments, and summaries, by the name of the group.
fn by_group(registry: &Registry) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let mut groups: BTreeMap<&'static str, BTreeMap<String, String>> = BTreeMap::new();
    for command in registry.iter().filter(|command| command.subcommands.is_empty()) {
        let entries = groups.entry(command.spec.group.name()).or_default();
        entries.insert(synopsis(command), command.spec.summary.to_string());
    }
    groups
}

fn synopsis(command: &Command) -> String {
    let name = command.full_name.replace('|', " ").to_uppercase();
    [name.as_str(), command.spec.arguments].join(" ").trim().to_string()
}

/// `oneloop.conf(5)`.
pub fn configuration() -> String {
    let mut text = head("oneloop.conf", 5, "configuration of oneloop(1)");
    text.push_str(&format!(".SH DESCRIPTION\n{}\n", escaped(DESCRIPTION)));
    for group in GROUPS {
        text.push_str(&format!(".SH {}\nDirectives: {}.\n", group.title.to_uppercase(), escaped(group.summary)));
        for directive in group.directives.iter().filter(|directive| is_documented(directive)) {
            text.push_str(&entry(directive));
        }
    }
    text.push_str(".SH SEE ALSO\n.B oneloop\n(1)\n");
    text
}

const DESCRIPTION: &str = "A line is a name and its value, split at blanks; a value with blanks is quoted. A line that \
    begins with # is a comment. The format and the names are those of redis.conf, old names included. Amounts of memory \
    may have a unit (1k is 1000 bytes, 1kb 1024, and so on). CONFIG SET changes what is not fixed at the start, and \
    CONFIG REWRITE writes the changes back.";

fn entry(directive: &Directive) -> String {
    let default = if directive.default.is_empty() { "\"\"" } else { directive.default };
    let mut notes = vec![format!("Default: {default}.")];
    match directive.mutability {
        Mutability::Immutable => notes.push("Fixed at the start.".to_string()),
        mutability if mutability.is_protected() => {
            notes.push("Protected: see enable-protected-configs.".to_string());
        }
        _ => {}
    }
    if let Some(alias) = directive.alias {
        notes.push(format!("Older name: {alias}."));
    }
    if !directive.works {
        notes.push("Without effect here.".to_string());
    }
    format!(
        ".TP\n.B {}\n{}\n{}\n",
        escaped(directive.name),
        escaped(directive.documentation),
        escaped(&notes.join(" "))
    )
}
