//! The manual pages `oneloop(1)` and `oneloop.conf(5)`, in the language of man(7).

use std::collections::BTreeMap;

use oneloop::REDIS_VERSION;
use oneloop::command::registry::{Command, Registry};
use oneloop::commands::FAMILIES;
use oneloop::config::{Directive, GROUPS, Kind, Mutability};
use oneloop::reactor::launch::usage;
use oneloop::reactor::tools::{TOOLS, Tool};

use super::tools::{Paragraph, paragraphs};
use super::{folded, is_documented};

/// When these pages were last gone over by hand: pages want a date, and builds have none.
const DATE: &str = "2026-11-29";
/// Columns of a line of the source.
const WIDTH: usize = 78;

/// A text with what man(7) would take for its own escaped, and what is beyond ASCII by its number.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        match character {
            '\\' => safe.push_str("\\e"),
            '-' => safe.push_str("\\-"),
            plain if plain.is_ascii() => safe.push(plain),
            other => safe.push_str(&format!("\\[u{:04X}]", u32::from(other))),
        }
    }
    safe.lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_string() })
        .collect::<Vec<String>>()
        .join("\n")
}

/// Running text, escaped and in lines of the usual width.
fn filled(text: &str) -> String {
    folded(text, WIDTH).iter().map(|line| escaped(line) + "\n").collect()
}

/// A term and what it means.
fn term(term: &str, meaning: &str) -> String {
    format!(".TP\n.B {}\n{}", escaped(term), filled(meaning))
}

fn head(name: &str, section: u8, title: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".TH {} {section} {DATE} \"Oneloop {version}\" \"Oneloop\"\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        escaped(name),
        escaped(title)
    )
}

/// `oneloop(1)`.
pub fn program() -> String {
    let mut text = head("oneloop", 1, "Redis-compatible in-memory server");
    let forms: Vec<String> = usage().lines().take_while(|line| !line.is_empty()).map(str::to_string).collect();
    let forms = forms.iter().map(|line| line.trim_start_matches("Usage: ").trim_start());
    text.push_str(&format!(".SH SYNOPSIS\n.nf\n{}\n.fi\n", escaped(&forms.collect::<Vec<&str>>().join("\n"))));
    text.push_str(".SH DESCRIPTION\n");
    text.push_str(&filled(&format!(
        "Oneloop serves the protocol and the commands of Redis {REDIS_VERSION} from one thread, which owns all data. \
         Without arguments it listens on port 6379 with the defaults of Redis. FILE is a configuration file in the \
         format of redis.conf; - reads it from standard input. Each directive of oneloop.conf(5) is an option too: its \
         name behind two dashes, then its value. Options come after the lines of the file, and win."
    )));
    for (title, terms) in [
        ("OPTIONS", OPTIONS),
        ("SIGNALS", SIGNALS),
        ("ENVIRONMENT", ENVIRONMENT),
        ("FILES", FILES),
        ("EXIT STATUS", STATUSES),
    ] {
        text.push_str(&format!(".SH {title}\n"));
        terms.iter().for_each(|(name, what)| text.push_str(&term(name, what)));
    }
    text.push_str(".SH TOOLS\n");
    TOOLS.iter().for_each(|tool| text.push_str(&of_tool(tool)));
    text.push_str(".SH COMMANDS\n");
    for (group, commands) in by_group(&Registry::new(FAMILIES)) {
        text.push_str(&format!(".SS {group}\n"));
        commands.iter().for_each(|(name, summary)| text.push_str(&term(name, summary)));
    }
    text.push_str(".SH SEE ALSO\n.BR oneloop.conf (5),\n.BR redis\\-cli (1),\n.BR redis\\-benchmark (1)\n");
    text
}

/// What `oneloop TOOL --help` prints, as a section.
fn of_tool(tool: &Tool) -> String {
    let forms = escaped(&tool.forms().collect::<Vec<&str>>().join("\n"));
    let mut text = format!(".SS {}\n.nf\n{forms}\n.fi\n", escaped(tool.name));
    for paragraph in paragraphs(tool) {
        match paragraph {
            Paragraph::Text(words) => text.push_str(&format!(".PP\n{}", filled(&words))),
            Paragraph::Terms(terms) => terms.iter().for_each(|(name, what)| text.push_str(&term(name, what))),
        }
    }
    text
}

type Terms = &'static [(&'static str, &'static str)];

const OPTIONS: Terms = &[
    ("--record RECORDING", "Records in a file all that enters from outside, for oneloop replay."),
    ("-v, --version", "Prints the version."),
    ("-h, --help", "Prints the forms of the command line."),
    ("--DIRECTIVE VALUE ...", "Sets a directive of oneloop.conf(5)."),
];

const SIGNALS: Terms = &[
    (
        "SIGTERM, SIGINT",
        "Ends the server as SHUTDOWN does; it saves where save points are set. A second SIGINT ends it at once.",
    ),
    ("SIGHUP, SIGPIPE", "Have no effect."),
];

const ENVIRONMENT: Terms = &[
    (
        "NOTIFY_SOCKET",
        "With the directive supervised, the socket over which systemd is told that the server is ready, or ends.",
    ),
    ("WATCHDOG_USEC", "How long systemd waits for a sign of life of the loop, in microseconds."),
    ("RUST_LOG", "Which modules log what, in the notation of env_logger; in place of our own lines alone."),
];

const FILES: Terms = &[
    ("/etc/oneloop/oneloop.conf", "The configuration of the service, where the Debian package is installed."),
    ("/var/lib/oneloop", "Its data."),
    ("/var/log/oneloop/oneloop.log", "Its log."),
];

const STATUSES: Terms = &[
    ("0", "The server ended in order."),
    ("1", "It could not start, or not end in order; the last line of the log, or of standard error, tells why."),
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
    text.push_str(&format!(".SH DESCRIPTION\n{}", filled(DESCRIPTION)));
    text.push_str(".SH STATEMENTS\n");
    STATEMENTS.iter().for_each(|(name, what)| text.push_str(&term(name, what)));
    for group in GROUPS {
        text.push_str(&format!(".SH {}\n", group.title.to_uppercase()));
        text.push_str(&filled(&format!("Directives: {}.", group.summary)));
        for directive in group.directives.iter().filter(|directive| is_documented(directive)) {
            text.push_str(&entry(directive));
        }
    }
    text.push_str(".SH SEE ALSO\n.BR oneloop (1)\n");
    text
}

const DESCRIPTION: &str = "A line is a name and its value, split at blanks; a value with blanks is quoted. A line that \
    begins with # is a comment. The format and the names are those of redis.conf, old names included. Amounts of memory \
    may have a unit (1k is 1000 bytes, 1kb 1024, and so on). CONFIG SET changes what is not fixed at the start, and \
    CONFIG REWRITE writes the changes back. \"oneloop check-config FILE\" names what is wrong in a file.";

const STATEMENTS: Terms = &[
    ("include FILE", "Reads another file at this place, or all files that a pattern stands for."),
    ("rename-command OLD NEW", "Gives a command another name; \"\" takes it away."),
    ("user NAME RULE ...", "Makes a user, with rules as in ACL SETUSER."),
];

fn entry(directive: &Directive) -> String {
    let default = if directive.default.is_empty() { "\"\"" } else { directive.default };
    let mut notes = Vec::new();
    if let Kind::Enum(field) = &directive.kind {
        notes.push(format!("One of: {}.", (field.words)().join(", ")));
    }
    notes.push(format!("Default: {default}."));
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
    term(directive.name, directive.documentation) + &filled(&notes.join(" "))
}
