//! Who may use whom: the rooms stand in a total order, and so do the files of `engine/`; no circle of files is larger
//! than a module and its parent.
//!
//! What a file uses is read off its text: its `use` lines and the paths that begin with `crate`, `super` or `self`. A
//! re-export (`pub use`) is a name, not a use: an import through it counts as one of the file that defines the name.

use std::collections::{BTreeMap, BTreeSet};

use super::{check, sources};

/// The rooms from the ground up. A file uses those of its own room and of the rooms before it.
const ROOMS: &[&str] = &[
    "base",
    "text",
    "collections",
    "types",
    "config",
    "resp",
    "net",
    "keyspace",
    "storage",
    "command",
    "acl",
    "observe",
    "scripting",
    "replication",
    "cluster",
    "migrate",
    "engine",
    "drive",
    "commands",
    "reactor",
    "testing",
    "main",
];

/// The files of `engine/` from the ground up; a folder stands for its files.
const ENGINE: &[&str] = &[
    "stats",
    "pause",
    "prefix_jobs",
    "loop_request",
    "guard",
    "process_facts",
    "blocked_state",
    "lookahead",
    "history",
    "memory",
    "nesting",
    "origin",
    "saving",
    "subscriptions",
    "title",
    "transaction",
    "unflushed_keys",
    "session",
    "key_sizes",
    "key_sizes",
    "blocking",
    "clients",
    "slot_migrations",
    "cluster",
    "loading",
    "replication",
    "scripts",
    "transactions",
    "pubsub",
    "script_libraries",
    "tracking",
    "state",
    "prepare",
    "output_limits",
    "context",
    "client_memory",
    "routing",
    "key_costs",
    "slot_stats",
    "gate",
    "keyspace_events",
    "monitor",
    "unflushed",
    "client_line",
    "command_sizes",
    "effects",
    "help",
    "propagation",
    "enforcement",
    "memory_limit",
    "call",
    "apply",
    "wake",
    "cluster_events",
    "removal",
    "execute",
];

type Path = Vec<String>;

/// One file as a module: its code without comments, and what it hands on under a name of its own.
struct Module {
    code: String,
    exports: BTreeMap<String, Path>,
}

/// Every module of the crate by its path; the crate itself has the empty one.
struct Crate {
    modules: BTreeMap<Path, Module>,
}

/// Cuts comments off. A `//` within a string goes too, which hides no use of a module.
fn without_comments(lines: &[String]) -> String {
    lines.iter().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn path_of(file: &str) -> Path {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Path::new() } else { path.split('/').map(str::to_string).collect() }
}

/// The statements of `use` in a text, those that re-export apart.
fn use_statements(code: &str) -> (Vec<String>, Vec<String>) {
    let (mut uses, mut exports) = (Vec::new(), Vec::new());
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let head = rest[..at].rsplit('\n').next().unwrap_or_default();
        let after = &rest[at + 4..];
        let end = after.find(';').unwrap_or(after.len());
        let is_export = head.starts_with("pub") && head.ends_with(' ') && head.split_whitespace().count() == 1;
        if head.trim().is_empty() {
            uses.push(after[..end].to_string());
            rest = &after[end..];
        } else if is_export {
            exports.push(after[..end].to_string());
            rest = &after[end..];
        } else {
            rest = after;
        }
    }
    (uses, exports)
}

/// The paths that a tree such as `a::{b, c::{d, e}}` stands for, each with the name that it brings.
fn leaves(tree: &str, prefix: &str, found: &mut Vec<(Path, String)>) {
    let tree = tree.trim();
    let Some(brace) = tree.find('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut names: Path = format!("{prefix}{path}").split("::").map(|name| name.trim().to_string()).collect();
        if names.last().is_some_and(|name| name == "self") && names.len() > 1 {
            names.pop();
        }
        let name = if alias.is_empty() { names.last().cloned().unwrap_or_default() } else { alias.trim().to_string() };
        return found.push((names, name));
    };
    let prefix = format!("{prefix}{}", tree[..brace].trim());
    let inner = &tree[brace + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&inner[start..at], &prefix, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        leaves(&inner[start..], &prefix, found);
    }
}

/// The paths in the code, outside of `use`, that begin at the crate or relative to the module.
fn inline_paths(code: &str) -> Vec<Path> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = code.split(|letter: char| !is_letter(letter)).filter(|word| word.contains("::"));
    let paths = words.map(|word| word.split("::").map(str::to_string).collect::<Path>());
    paths.filter(|path| ["crate", "super", "self"].contains(&path[0].as_str())).collect()
}

impl Crate {
    fn read() -> Crate {
        let mut modules = BTreeMap::new();
        for source in sources() {
            let code = without_comments(&source.lines);
            modules.insert(path_of(&source.path), Module { code, exports: BTreeMap::new() });
        }
        let mut all = Crate { modules };
        let paths: Vec<Path> = all.modules.keys().cloned().collect();
        for path in paths {
            let mut found = Vec::new();
            for statement in use_statements(&all.modules[&path].code).1 {
                leaves(&statement, "", &mut found);
            }
            let exports = found.into_iter().filter_map(|(names, name)| Some((name, all.absolute(&path, &names)?)));
            let exports = exports.collect();
            if let Some(module) = all.modules.get_mut(&path) {
                module.exports = exports;
            }
        }
        all
    }

    /// A path as written in a module, from the crate on; none for those of other crates.
    fn absolute(&self, module: &Path, names: &[String]) -> Option<Path> {
        let mut base = module.clone();
        let mut names = names;
        match names[0].as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            first => {
                let child: Path = module.iter().cloned().chain([first.to_string()]).collect();
                if !self.modules.contains_key(&child) {
                    return None;
                }
                base = child;
            }
        }
        names = &names[1..];
        while names.first().is_some_and(|name| name == "super") {
            base.pop();
            names = &names[1..];
        }
        base.extend(names.iter().cloned());
        Some(base)
    }

    /// The file that defines what a path names, through re-exports.
    fn file_of(&self, path: &Path) -> Path {
        let mut path = path.clone();
        for _ in 0..8 {
            let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]));
            let (module, rest) = path.split_at(length.unwrap_or(0));
            let export = rest.first().and_then(|name| self.modules[module].exports.get(name));
            match export {
                Some(export) => path = export.iter().chain(&rest[1..]).cloned().collect(),
                None => return module.to_vec(),
            }
        }
        path
    }

    /// The other files that each file uses.
    fn uses(&self) -> BTreeMap<Path, BTreeSet<Path>> {
        let mut uses = BTreeMap::new();
        for (path, module) in &self.modules {
            let mut found = Vec::new();
            for statement in use_statements(&module.code).0 {
                leaves(&statement, "", &mut found);
            }
            let mut named: Vec<Path> = found.into_iter().map(|(names, _)| names).collect();
            named.extend(inline_paths(&outside_of_uses(&module.code)));
            let files = named.iter().filter_map(|names| self.absolute(path, names));
            let files: BTreeSet<Path> = files.map(|name| self.file_of(&name)).filter(|file| file != path).collect();
            uses.insert(path.clone(), files);
        }
        uses
    }
}

/// The code without its `use` statements.
fn outside_of_uses(code: &str) -> String {
    let mut kept = String::new();
    let mut is_use = false;
    for line in code.lines() {
        let words = line.trim_start();
        is_use |= words.starts_with("use ") || words.starts_with("pub") && words.contains(" use ");
        if !is_use {
            kept.push_str(line);
            kept.push('\n');
        }
        is_use &= !line.contains(';');
    }
    kept
}

fn shown(path: &[String]) -> String {
    path.join("::")
}

/// Place of a file in one of the orders.
fn place(order: &[&str], name: Option<&String>) -> Option<usize> {
    order.iter().position(|known| Some(*known) == name.map(String::as_str))
}

#[test]
fn a_room_uses_itself_and_those_below() {
    let mut breaches = Vec::new();
    for (file, used) in Crate::read().uses() {
        if file.is_empty() {
            continue;
        }
        let Some(own) = place(ROOMS, file.first()) else {
            breaches.push(format!("{} belongs to no room", shown(&file)));
            continue;
        };
        let above = used.iter().filter(|other| place(ROOMS, other.first()).is_some_and(|room| room > own));
        breaches.extend(above.map(|other| format!("{} uses {}", shown(&file), shown(other))));
    }
    check("a room knows only itself and the rooms below it", breaches);
}

#[test]
fn the_files_of_the_engine_use_those_below() {
    let mut breaches = Vec::new();
    for (file, used) in Crate::read().uses() {
        if file.first().map(String::as_str) != Some("engine") || file.len() < 2 {
            continue;
        }
        let Some(own) = place(ENGINE, file.get(1)) else {
            breaches.push(format!("{} has no place in the order", shown(&file)));
            continue;
        };
        let engine = used.iter().filter(|other| other.first() == file.first());
        let above = engine.filter(|other| place(ENGINE, other.get(1)).is_some_and(|place| place > own));
        breaches.extend(above.map(|other| format!("{} uses {}", shown(&file), shown(other))));
    }
    check("a file of the engine knows only those below it", breaches);
}

#[test]
fn no_circle_is_larger_than_a_module_and_its_parent() {
    let uses = Crate::read().uses();
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = uses.keys().map(|file| (file, reach(&uses, file))).collect();
    let mut breaches = Vec::new();
    for (file, others) in &reached {
        for other in others.iter().filter(|other| reached[**other].contains(file) && *other > file) {
            if other.split_last().map(|(_, parent)| parent) != Some(file.as_slice()) {
                breaches.push(format!("{} and {} use each other", shown(file), shown(other)));
            }
        }
    }
    check("no circle of files is larger than a module and its parent", breaches);
}

/// All files that a file uses, and those that they use.
fn reach<'a>(uses: &'a BTreeMap<Path, BTreeSet<Path>>, from: &Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&Path> = uses[from].iter().collect();
    while let Some(file) = left.pop() {
        if reached.insert(file) {
            left.extend(uses.get(file).into_iter().flatten());
        }
    }
    reached
}

#[test]
fn paths_are_read_as_the_compiler_does() {
    let mut found = Vec::new();
    leaves("crate::a::{self, b::{C, d as e}}", "", &mut found);
    let shown: Vec<String> = found.iter().map(|(path, name)| format!("{} as {name}", path.join("::"))).collect();
    assert_eq!(shown, ["crate::a as a", "crate::a::b::C as C", "crate::a::b::d as e"]);
    let (uses, exports) = use_statements("use a::b;\npub use c::D;\npub struct Pause {}\nfn because() {}\n");
    assert_eq!((uses, exports), (vec!["a::b".to_string()], vec!["c::D".to_string()]));
    assert_eq!(inline_paths("let x = crate::a::b(super::c::D) + std::mem::size_of();").len(), 2);
}
