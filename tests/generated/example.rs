//! `redis.conf.example`: every directive with its default, by subject.

use oneloop::config::{Config, Directive, EmptyText, GROUPS, Group, Kind};

use oneloop::text::memory_size;

use super::{folded, is_documented};

const WIDTH: usize = 96;

const HEAD: &str = "\
# Oneloop configuration: every directive with its default, by subject.
#
# Start with it: oneloop /path/to/redis.conf [--name value ...]. Options of the command line win
# over the file; \"-\" instead of (or after) the file name reads further lines from standard
# input. The file is that of Redis 7.2, so an existing redis.conf works unchanged, old names
# (slave-..., ...-ziplist-...) included.
#
# A line is a name and its value, split at blanks. Values with blanks or special characters are
# quoted: \"...\" with the escapes \\n \\r \\t \\b \\a \\xHH \\\" \\\\, or '...' as they are. A line that
# starts with # is a comment. If a directive is given twice the last one wins, but \"save\" lines
# add up.
#
# Amounts of memory may have a unit: 1k is 1000 bytes, 1kb 1024, 1m 1000000, 1mb 1048576, 1g
# 1000000000, 1gb 1073741824; the case does not matter.
#
# Directives marked \"without effect here\" are checked, kept and reported as in Redis, but this
# design has no use for them.

# ----------------------------------------------------------------------------------------------
# Files: what only a file may hold
# ----------------------------------------------------------------------------------------------

# Read another file at this place. The pattern * stands for several, in the order of their
# names; it may match none.
#include /etc/oneloop/*.conf

# Give a command another name; an empty one (\"\") takes it away. ACL rules are the better means.
#rename-command CONFIG \"\"

# Make a user, with rules as in ACL SETUSER. Not together with aclfile.
#user worker on >secret ~jobs:* +@list
";

/// The file.
pub fn text() -> String {
    let config = Config::default();
    let mut text = HEAD.to_string();
    for Group { title, summary, directives } in GROUPS {
        let rule = "-".repeat(WIDTH - 2);
        text.push_str(&format!("\n# {rule}\n# {title}: {summary}\n# {rule}\n"));
        for directive in directives.iter().filter(|directive| is_documented(directive)) {
            text.push('\n');
            if !directive.works {
                text.push_str(&format!("# {} (without effect here)\n", directive.name));
            }
            for line in folded(directive.documentation, WIDTH - 2) {
                text.push_str(&format!("# {line}\n"));
            }
            for line in settings(directive, &config) {
                text.push_str(&format!("{line}\n"));
            }
        }
    }
    text
}

/// The lines that set a directive to its default, as comments where the default is that there is none.
fn settings(directive: &'static Directive, config: &Config) -> Vec<String> {
    match &directive.kind {
        Kind::Text(field) if field.empty == EmptyText::Unset && directive.default.is_empty() => unset(directive),
        Kind::Bytes(_) if directive.default.is_empty() => unset(directive),
        Kind::Special(field) if directive.name == "replicaof" => {
            debug_assert!((field.read)(config).is_empty());
            vec!["#replicaof 192.0.2.1 6379".to_string()]
        }
        Kind::Special(field) if matches!(directive.name, "save" | "client-output-buffer-limit") => {
            (field.lines)(config, directive).into_iter().map(|line| line.text).collect()
        }
        Kind::Special(_) if directive.default.is_empty() => vec![format!("{} \"\"", directive.name)],
        Kind::Special(_) => vec![format!("{} {}", directive.name, directive.default)],
        Kind::Integer(field) if format!("{:?}", field.notation) == "Memory" => {
            let bytes = u64::try_from((field.read)(config)).expect("a size is not negative");
            vec![format!("{} {}", directive.name, memory_size::format(bytes))]
        }
        Kind::Integer(_) | Kind::Bool(_) | Kind::Enum(_) => {
            vec![format!("{} {}", directive.name, directive.default)]
        }
        Kind::Text(_) | Kind::Bytes(_) if directive.default.contains(' ') || directive.default.is_empty() => {
            vec![format!("{} \"{}\"", directive.name, directive.default)]
        }
        Kind::Text(_) | Kind::Bytes(_) => vec![format!("{} {}", directive.name, directive.default)],
    }
}

fn unset(directive: &Directive) -> Vec<String> {
    vec![format!("#{} \"\"", directive.name)]
}
