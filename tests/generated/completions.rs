//! Completions for bash, zsh and fish: the tools with their options, the options that are directives, and the words
//! that a value can be.

use oneloop::config::{Directive, Kind, directives};
use oneloop::reactor::tools::{TOOLS, Tool};

use super::is_documented;
use super::tools::{options, words as words_of_option};

const OPTIONS: &[(&str, &str)] =
    &[("--help", "show how it is used"), ("--version", "show the version"), ("--record", "record the run in a file")];

fn shown() -> impl Iterator<Item = &'static Directive> {
    directives().filter(|directive| is_documented(directive))
}

/// The words that a directive's value can be; none where it can be anything.
fn words(directive: &Directive) -> Vec<&'static str> {
    match &directive.kind {
        Kind::Bool(_) => vec!["yes", "no"],
        Kind::Enum(field) => (field.words)(),
        _ => Vec::new(),
    }
}

/// Whether a directive's value is a path.
fn is_path(directive: &Directive) -> bool {
    const WHOLE_NAMES: [&str; 5] = ["dir", "aclfile", "logfile", "pidfile", "unixsocket"];
    let name = directive.name;
    WHOLE_NAMES.contains(&name) || name.starts_with("tls-") && (name.ends_with("-file") || name.ends_with("-dir"))
}

/// The first sentence of a directive's documentation.
fn summary(directive: &Directive) -> String {
    let first = directive.documentation.split_once(". ").map_or(directive.documentation, |(first, _)| first);
    plain(first)
}

/// A text without what shells would take for their own.
fn plain(text: &str) -> String {
    text.trim_end_matches('.').replace(['\'', '"', '`', '$', '[', ']', ':', '\\'], " ")
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<&str>>().join(" ")
}

fn tool_names() -> String {
    joined(TOOLS.iter().map(|tool| tool.name))
}

/// For bash.
pub fn bash() -> String {
    let mut values = String::new();
    for directive in shown().filter(|directive| !words(directive).is_empty()) {
        let words = words(directive).join(" ");
        values.push_str(&format!("        --{}) _oneloop_words \"{words}\"; return ;;\n", directive.name));
    }
    let names = joined(OPTIONS.iter().map(|(name, _)| *name));
    let directives: Vec<String> = shown().map(|directive| format!("--{}", directive.name)).collect();
    format!(
        "# Completion of oneloop(1) for bash.
_oneloop_words() {{
    COMPREPLY=($(compgen -W \"$1\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))
}}

_oneloop_files() {{
    mapfile -t COMPREPLY < <(compgen -f -- \"${{COMP_WORDS[COMP_CWORD]}}\")
}}

# The options of one of the tools, or files.
_oneloop_tool() {{
    local options=
    case ${{COMP_WORDS[1]}}$1 in
{}    esac
    case ${{COMP_WORDS[1]}} in
{}    esac
    if [[ ${{COMP_WORDS[COMP_CWORD]}} == -* ]]; then
        _oneloop_words \"$options --help\"
    else
        _oneloop_files
    fi
}}

_oneloop() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    if [[ $COMP_CWORD -gt 1 && \" {} \" == *\" ${{COMP_WORDS[1]}} \"* ]]; then
        _oneloop_tool \"$previous\"
        return
    fi
    case $previous in
{values}    esac
    if [[ $word == -* ]]; then
        _oneloop_words \"{names} {}\"
    elif [[ $COMP_CWORD -eq 1 ]]; then
        _oneloop_files
        COMPREPLY+=($(compgen -W \"{}\" -- \"$word\"))
    else
        _oneloop_files
    fi
}}
complete -o filenames -F _oneloop oneloop
",
        bash_tool_values(),
        bash_tool_options(),
        tool_names(),
        directives.join(" "),
        tool_names()
    )
}

fn bash_tool_values() -> String {
    let mut text = String::new();
    for tool in &TOOLS {
        for option in options(tool).iter().filter(|option| !words_of_option(option).is_empty()) {
            let words = words_of_option(option).join(" ");
            text.push_str(&format!("        {}{}) _oneloop_words \"{words}\"; return ;;\n", tool.name, option.name));
        }
    }
    text
}

fn bash_tool_options() -> String {
    let mut text = String::new();
    for tool in &TOOLS {
        let options = options(tool);
        let names = joined(options.iter().map(|option| option.name.as_str()));
        if !names.is_empty() {
            text.push_str(&format!("        {}) options=\"{names}\" ;;\n", tool.name));
        }
    }
    text
}

/// For zsh.
pub fn zsh() -> String {
    let mut text = "#compdef oneloop\n# Completion of oneloop(1) for zsh.\nlocal -a tools\ntools=(\n".to_string();
    for tool in &TOOLS {
        text.push_str(&format!("    '{}:{}'\n", tool.name, plain(tool.summary)));
    }
    text.push_str(")\nif (( CURRENT > 2 )); then\n    case $words[2] in\n");
    for tool in &TOOLS {
        text.push_str(&zsh_tool(tool));
    }
    text.push_str("    esac\nfi\n_arguments \\\n");
    for (name, what) in OPTIONS {
        let value = if *name == "--record" { ":recording:_files" } else { "" };
        text.push_str(&format!("    '{name}[{what}]{value}' \\\n"));
    }
    for directive in shown() {
        let value = match words(directive) {
            words if !words.is_empty() => format!("value:({})", words.join(" ")),
            _ if is_path(directive) => "path:_files".to_string(),
            _ => "value: ".to_string(),
        };
        text.push_str(&format!("    '--{}[{}]:{value}' \\\n", directive.name, summary(directive)));
    }
    text.push_str("    '1: :{ _describe tool tools; _files }' \\\n    '*:file:_files'\n");
    text
}

fn zsh_tool(tool: &Tool) -> String {
    let mut text =
        format!("        {})\n            shift words; (( CURRENT-- ))\n            _arguments \\\n", tool.name);
    for option in options(tool) {
        let value = match words_of_option(&option) {
            words if !words.is_empty() => format!(":value:({})", words.join(" ")),
            _ if option.value.is_empty() => String::new(),
            _ => format!(":{}:_files", plain(&option.value)),
        };
        text.push_str(&format!("                '{}[{}]{value}' \\\n", option.name, plain(&option.meaning)));
    }
    text + "                '--help[show how it is used]' \\\n                '*:file:_files'\n            return ;;\n"
}

/// For fish.
pub fn fish() -> String {
    let mut text = "# Completion of oneloop(1) for fish.\n".to_string();
    let no_tool = format!("not __fish_seen_subcommand_from {}", tool_names());
    for Tool { name, summary, .. } in &TOOLS {
        text.push_str(&format!("complete -c oneloop -n __fish_use_subcommand -a {name} -d '{}'\n", plain(summary)));
    }
    for tool in &TOOLS {
        let this_tool = format!("complete -c oneloop -n '__fish_seen_subcommand_from {}' -l", tool.name);
        for option in options(tool) {
            let value = match words_of_option(&option) {
                words if !words.is_empty() => format!(" -x -a '{}'", words.join(" ")),
                _ if option.value.is_empty() => String::new(),
                _ => " -r".to_string(),
            };
            let name = option.name.trim_start_matches('-');
            text.push_str(&format!("{this_tool} {name}{value} -d '{}'\n", plain(&option.meaning)));
        }
        text.push_str(&format!("{this_tool} help -d 'show how it is used'\n"));
    }
    for (name, what) in OPTIONS {
        let value = if *name == "--record" { " -r" } else { "" };
        let name = name.trim_start_matches('-');
        text.push_str(&format!("complete -c oneloop -n '{no_tool}' -l {name}{value} -d '{what}'\n"));
    }
    for directive in shown() {
        let value = match words(directive) {
            words if !words.is_empty() => format!("-x -a '{}'", words.join(" ")),
            _ if is_path(directive) => "-r".to_string(),
            _ => "-x".to_string(),
        };
        let summary = summary(directive);
        text.push_str(&format!("complete -c oneloop -n '{no_tool}' -l {} {value} -d '{summary}'\n", directive.name));
    }
    text
}
