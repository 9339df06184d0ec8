//! Completions for bash, zsh and fish: the tools, the options that are directives, and the words that a value can be.

use oneloop::config::{Directive, Kind, directives};

use super::is_documented;

const TOOLS: &[(&str, &str)] = &[
    ("ping", "ask a server whether it serves"),
    ("check-config", "look a configuration file over"),
    ("check-rdb", "check a snapshot"),
    ("check-aof", "check an append-only file"),
    ("replay", "run a recording again"),
];
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

/// The first sentence of a directive's documentation, without what shells would take for their own.
fn summary(directive: &Directive) -> String {
    let first = directive.documentation.split_once(". ").map_or(directive.documentation, |(first, _)| first);
    first.trim_end_matches('.').replace(['\'', '"', '`', '$', '[', ']', ':', '\\'], " ")
}

/// For bash.
pub fn bash() -> String {
    let mut cases = String::new();
    for directive in shown().filter(|directive| !words(directive).is_empty()) {
        cases.push_str(&format!(
            "        --{}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")); return ;;\n",
            directive.name,
            words(directive).join(" ")
        ));
    }
    let options: Vec<String> = OPTIONS.iter().map(|(name, _)| (*name).to_string()).collect();
    let names: Vec<String> = shown().map(|directive| format!("--{}", directive.name)).collect();
    let tools: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
    format!(
        "# Completion of oneloop(1) for bash.
_oneloop() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    case $previous in
{cases}    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W \"{} {}\" -- \"$word\"))
    elif [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W \"{}\" -- \"$word\") $(compgen -f -- \"$word\"))
    else
        COMPREPLY=($(compgen -f -- \"$word\"))
    fi
}}
complete -o filenames -F _oneloop oneloop
",
        options.join(" "),
        names.join(" "),
        tools.join(" ")
    )
}

/// For zsh.
pub fn zsh() -> String {
    let mut text = "#compdef oneloop\n# Completion of oneloop(1) for zsh.\nlocal -a tools\ntools=(\n".to_string();
    for (name, what) in TOOLS {
        text.push_str(&format!("    '{name}:{what}'\n"));
    }
    text.push_str(")\n_arguments -S \\\n");
    for (name, what) in OPTIONS {
        let value = if *name == "--record" { ":recording:_files" } else { "" };
        text.push_str(&format!("    '{name}[{what}]{value}' \\\n"));
    }
    for directive in shown() {
        let value = match words(directive) {
            words if words.is_empty() => "value: ".to_string(),
            words => format!("value:({})", words.join(" ")),
        };
        text.push_str(&format!("    '--{}[{}]:{value}' \\\n", directive.name, summary(directive)));
    }
    text.push_str("    '1: :{ _describe tool tools; _files }' \\\n    '*:file:_files'\n");
    text
}

/// For fish.
pub fn fish() -> String {
    let mut text = "# Completion of oneloop(1) for fish.\n".to_string();
    for (name, what) in TOOLS {
        text.push_str(&format!("complete -c oneloop -n __fish_use_subcommand -a {name} -d '{what}'\n"));
    }
    for (name, what) in OPTIONS {
        text.push_str(&format!("complete -c oneloop -l {} -d '{what}'\n", name.trim_start_matches('-')));
    }
    for directive in shown() {
        let value = match words(directive) {
            words if words.is_empty() => "-r".to_string(),
            words => format!("-x -a '{}'", words.join(" ")),
        };
        text.push_str(&format!("complete -c oneloop -l {} {value} -d '{}'\n", directive.name, summary(directive)));
    }
    text
}
