//! README.md and ARCHITECTURE.md against the code: whatever they point at is there, and the table of commands counts
//! right.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use oneloop::command::registry::Registry;
use oneloop::commands::FAMILIES;

const PAGES: &[(&str, &str)] =
    &[("README.md", include_str!("../README.md")), ("ARCHITECTURE.md", include_str!("../ARCHITECTURE.md"))];

/// The command surface of Redis 7.2: name, group and more, one line a command.
const FACTS: &str = include_str!("data/commands-7.2.tsv");

/// What declares a name that a page may point at.
const DECLARATIONS: &[&str] = &["fn", "struct", "enum", "trait", "const", "static", "type"];

/// A path in backquotes, with the symbols in backquotes in the parentheses right behind it.
struct Reference<'a> {
    path: &'a str,
    symbols: Vec<&'a str>,
}

/// A piece of text in backquotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.split_once('`')?.1.split_once('`')
}

fn references(page: &str) -> Vec<Reference<'_>> {
    // Every second part of a page between its fences is code to be shown, not text with references.
    let prose = page.split("```").step_by(2);
    prose.flat_map(references_in).collect()
}

fn references_in(mut text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    while let Some((path, rest)) = quoted(text) {
        text = rest;
        if !is_path(path) {
            continue;
        }
        let mut symbols = Vec::new();
        // The line may break between the path and the parenthesis.
        let inside = rest.trim_start().strip_prefix("(`");
        if let Some((inside, behind)) = inside.and_then(|inside| inside.split_once(')')) {
            symbols.extend(inside.split('`').step_by(2));
            text = behind;
        }
        found.push(Reference { path, symbols });
    }
    found
}

/// Whether a piece of code names a file or folder: of the project, not one that a build makes.
fn is_path(code: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let is_named = [".rs", ".md", ".toml", ".example", ".tsv"].iter().any(|end| code.ends_with(end));
    code.chars().all(letters) && (code.contains('/') || is_named) && !code.starts_with("target/")
}

/// The file or folder that a page means: from the top level, or from `src/`.
fn find(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join(path), root.join("src").join(path)].into_iter().find(|candidate| candidate.exists())
}

/// The words of a file, and which of them it declares.
struct Words {
    all: HashSet<String>,
    declared: HashSet<String>,
}

impl Words {
    fn of(source: &str) -> Words {
        let words: Vec<&str> = source
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let declared = words.windows(2).filter(|pair| DECLARATIONS.contains(&pair[0])).map(|pair| pair[1].to_string());
        Words { declared: declared.collect(), all: words.iter().map(|word| word.to_string()).collect() }
    }

    /// Whether the file declares a symbol: its last name, and for a method its type is in the file as well.
    fn declare(&self, symbol: &str) -> bool {
        let symbol = symbol.trim_end_matches("()");
        let (owner, name) = symbol.rsplit_once("::").unwrap_or(("", symbol));
        self.declared.contains(name) && (owner.is_empty() || self.all.contains(owner))
    }
}

#[test]
fn what_the_pages_point_at_is_there() {
    let mut breaches = Vec::new();
    let mut symbols = 0;
    for (name, page) in PAGES {
        for reference in references(page) {
            let Some(path) = find(reference.path) else {
                breaches.push(format!("{name}: no file or folder {}", reference.path));
                continue;
            };
            let words = Words::of(&fs::read_to_string(&path).unwrap_or_default());
            for symbol in reference.symbols {
                symbols += 1;
                if !words.declare(symbol) {
                    breaches.push(format!("{name}: {} declares no {symbol}", reference.path));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    assert!(symbols > 40, "the references are found: {symbols}");
}

/// Names of the form `Type::name` or `module::name` in backquotes.
fn bare_symbols(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    let quoted = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_symbol = |code: &&str| {
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        code.contains("::") && code.split("::").all(is_name)
    };
    quoted.filter(is_symbol).collect()
}

/// The source files below a folder, each with the name of its module.
fn collect_sources(folder: &Path, sources: &mut Vec<(String, Words)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_sources(&path, sources);
        } else {
            let module = path.file_stem().unwrap_or_default().to_string_lossy();
            // Frames that genuine nodes have sent are no texts.
            let text = fs::read(&path).expect("a file");
            sources.push((module.into_owned(), Words::of(&String::from_utf8_lossy(&text))));
        }
    }
}

#[test]
fn what_the_pages_name_is_declared_somewhere() {
    let mut sources = Vec::new();
    collect_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    let mut breaches = Vec::new();
    for (name, page) in PAGES {
        for symbol in bare_symbols(page) {
            let is_declared = sources.iter().any(|(module, words)| {
                let in_module = symbol.strip_prefix(&format!("{module}::"));
                words.declare(in_module.unwrap_or(symbol))
            });
            if !is_declared {
                breaches.push(format!("{name}: nothing declares {symbol}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn references_are_told_from_other_code() {
    let page = "`src/lib.rs`\n(`Some::thing`, `other`) and `SET a/b c`, `target/x.rs`, `no`, `src/main.rs`\n\
        ```\n`in/a/fence.rs`\n```\n`net/` (its sockets)";
    let found: Vec<(&str, Vec<&str>)> =
        references(page).into_iter().map(|reference| (reference.path, reference.symbols)).collect();
    let expected = [("src/lib.rs", vec!["Some::thing", "other"]), ("src/main.rs", vec![]), ("net/", vec![])];
    assert_eq!(found, expected);
    let words = Words::of("impl Some { pub fn thing(&self) {} }");
    assert!(words.declare("Some::thing") && words.declare("thing"));
    assert!(!words.declare("Other::thing") && !words.declare("Some::other"));
}

/// How many there are of one kind in a group, and how many of them are known here.
#[derive(Default)]
struct Count {
    known: usize,
    all: usize,
}

impl Count {
    fn shown(&self) -> String {
        match self.all {
            0 => "–".to_string(),
            all => format!("{} of {all}", self.known),
        }
    }
}

/// The table of commands as it must be: a line for each group of Redis, and the sum.
fn table() -> String {
    let registry = Registry::new(FAMILIES);
    let mut groups: BTreeMap<&str, [Count; 2]> = BTreeMap::new();
    for line in FACTS.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let mut columns = line.split('\t');
        let (Some(name), Some(group)) = (columns.next(), columns.next()) else {
            panic!("a line of facts: {line}");
        };
        let full_name = name.to_ascii_lowercase().replace(' ', "|");
        let known = registry.find_full(full_name.as_bytes()).is_some();
        let is_subcommand = usize::from(full_name.contains('|'));
        for group in [group, "all"] {
            let count = &mut groups.entry(group).or_default()[is_subcommand];
            count.all += 1;
            count.known += usize::from(known);
        }
    }
    let sum = groups.remove("all").unwrap_or_default();
    let mut text = "| Group | Commands | Subcommands |\n|---|---:|---:|\n".to_string();
    for (group, [commands, subcommands]) in groups.iter().chain([(&"**all**", &sum)]) {
        let (commands, subcommands) = (commands.shown(), subcommands.shown());
        text.push_str(&format!("| {group} | {commands} | {subcommands} |\n"));
    }
    text
}

#[test]
fn the_table_of_commands_counts_right() {
    let page = PAGES[0].1;
    let (begin, end) = ("<!-- commands:begin -->\n", "<!-- commands:end -->");
    let shown = page.split_once(begin).and_then(|(_, rest)| rest.split_once(end));
    let table = table();
    assert!(
        shown.is_some_and(|(shown, _)| shown.trim() == table.trim()),
        "README.md should have this between {begin} and {end}:\n{table}"
    );
}
