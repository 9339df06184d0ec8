//! The house rules, as tests: layers, sizes, openings, and who may do what.

#[path = "tidy/order.rs"]
mod order;

use std::fs;
use std::path::{Path, PathBuf};

use oneloop::text::glob::{Case, glob_match};

/// Who may use `unsafe`: a few small modules, whose blocks say why they are sound.
const UNSAFE_ALLOWED: &[&str] = &[
    "src/base/sys/",
    "src/collections/table/",
    "src/collections/buffer.rs",
    "src/collections/deferred_free.rs",
    "src/collections/element.rs",
    "src/collections/heap",
    "src/keyspace/record/",
    "src/keyspace/database.rs",
    "src/keyspace/value_mut.rs",
    "src/collections/ordered/memory.rs",
    "src/scripting/lua/",
];

/// What stands at the top level.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "ARCHITECTURE.md",
    "redis.conf.example",
    "src",
    "tests",
    "scripts",
    "target",
];

const FILE_LINES_MAX: usize = 600;
const LINE_WIDTH_MAX: usize = 120;
const FUNCTION_LINES_MAX: usize = 60;

/// One source file, its tests cut off.
struct Source {
    path: String,
    lines: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    assert!(files.len() > 30, "the sources are found");
    files
}

fn collect(folder: &Path, files: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            let text = fs::read_to_string(&path).expect("a text file");
            let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]\nmod"));
            let mut lines: Vec<String> = code.map(str::to_string).collect();
            let tests = lines
                .windows(2)
                .position(|pair| pair[0].starts_with("#[cfg(test)]") && pair[1].starts_with("mod tests {"));
            lines.truncate(tests.unwrap_or(lines.len()));
            let path = path.strip_prefix(root()).expect("within the project");
            files.push(Source { path: path.to_string_lossy().into_owned(), lines });
        }
    }
}

/// Fails with every breach of a rule at once.
#[track_caller]
fn check(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n{}", breaches.join("\n"));
}

/// Lines that satisfy a condition, comments aside, as breaches.
fn lines_where(condition: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            if !line.trim_start().starts_with("//") && condition(&source, line) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn files_are_short_enough_to_read() {
    let long = sources().into_iter().filter(|source| source.lines.len() > FILE_LINES_MAX);
    let long = long.map(|source| format!("{}: {} lines", source.path, source.lines.len()));
    check("at most 600 lines a file, its tests aside", long.collect());
}

/// Drawings and tables may be wider: they are not read from line to line.
#[test]
fn comments_are_no_wider_than_the_code() {
    let mut wide = Vec::new();
    for source in sources() {
        let mut is_drawing = false;
        for (number, line) in source.lines.iter().enumerate() {
            let text = line.trim_start();
            let comment = text.trim_start_matches(['/', '!']).trim_start();
            is_drawing = text.starts_with("//") && is_drawing != comment.starts_with("```");
            let is_prose = text.starts_with("//") && !is_drawing && !comment.starts_with('|');
            if is_prose && line.chars().count() > LINE_WIDTH_MAX {
                wide.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    check("at most 120 columns of prose", wide);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for source in sources() {
        let mut start: Option<(usize, usize, String)> = None;
        for (number, line) in source.lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let mut head = line.split_whitespace();
            let is_function = head
                .find(|word| !["pub", "pub(super)", "pub(crate)", "const", "unsafe", "extern", "\"C\""].contains(word))
                == Some("fn");
            if is_function && start.is_none() && !line.trim_end().ends_with([';', '}']) {
                start = Some((number, indent, line.trim().to_string()));
            } else if let Some((first, at, name)) = &start
                && indent == *at
                && (line.trim() == "}" || line.trim_end().ends_with(';') && number - first < 12)
            {
                if line.trim() == "}" && number - first + 1 > FUNCTION_LINES_MAX {
                    let lines = number - first + 1;
                    long.push(format!("{}:{}: {lines} lines: {name}", source.path, first + 1));
                }
                start = None;
            }
        }
    }
    check("at most 60 lines a function", long);
}

#[test]
fn every_file_says_what_it_owns() {
    let mut breaches = Vec::new();
    for source in sources() {
        if !source.lines.first().is_some_and(|line| line.starts_with("//! ")) {
            breaches.push(format!("{} does not open with //!", source.path));
        }
        if source.path.ends_with("/mod.rs") {
            let opening = source.lines.iter().take_while(|line| line.starts_with("//!"));
            if !opening.into_iter().any(|line| line.contains("ever ") || line.ends_with("ever")) {
                breaches.push(format!("{} does not name what it never does", source.path));
            }
        }
    }
    check("files open with what they own, folders with a 'never' too", breaches);
}

#[test]
fn one_file_reads_the_clock() {
    let reads = ["SystemTime::now", "Instant::now", "UNIX_EPOCH", "quanta::"];
    check(
        "time is read in base/clock.rs alone",
        lines_where(|source, line| source.path != "src/base/clock.rs" && reads.iter().any(|read| line.contains(read))),
    );
}

/// Where what is random comes from, and the hashes whose order shows.
#[test]
fn nothing_is_random_but_by_the_servers_entropy() {
    let drawn = ["/dev/urandom", "getrandom", "RandomState::new", "RandomState::default", "Rng::new()", "ThreadRng"];
    let is_global = |line: &str| line.split("fastrand::").skip(1).any(|rest| !rest.starts_with("Rng"));
    let is_unseeded = |line: &str| ["HashMap", "HashSet", "RandomState"].iter().any(|name| line.contains(name));
    let draws = |line: &str| drawn.iter().any(|word| line.contains(word));
    check(
        "entropy comes from base/entropy.rs, and maps are those of collections/hash.rs or ordered",
        lines_where(|source, line| match source.path.as_str() {
            "src/base/entropy.rs" => is_global(line),
            "src/collections/hash.rs" => draws(line),
            _ => draws(line) || is_unseeded(line) || is_global(line),
        }),
    );
}

#[test]
fn the_machine_is_read_at_one_place() {
    let may_read = ["src/base/", "src/reactor/startup.rs"];
    // A name for a file that is there for a moment.
    let names_file = "src/config/rewrite.rs";
    check(
        "readings of the process and the machine come through base/sys/machine.rs",
        lines_where(|source, line| {
            let is_free = may_read.iter().any(|path| source.path.starts_with(path));
            let reads =
                ["resources::resident", "resources::processor_time", "resources::total", "resources::operating"];
            let is_name = source.path == names_file && line.contains("process::id()");
            !is_free && !is_name && (reads.iter().any(|read| line.contains(read)) || line.contains("process::id()"))
        }),
    );
}

/// What takes something from outside the process, and the only files that may: each is a variant of the door
/// (`src/reactor/door.rs`), or no part of a running server.
const DOOR: &[(&[&str], &[&str])] = &[
    (&["Poll::new", "SourceFd(", "Waker::new"], &["src/net/poller.rs"]),
    (
        &["mio::", "mio::net", "TcpStream", "TcpListener", "UnixStream", "UnixListener", "UdpSocket", "UnixDatagram"],
        &[
            "src/net/poller.rs",
            "src/net/poll_target.rs",
            "src/net/stream.rs",
            "src/net/unix_socket.rs",
            "src/net/listener.rs",
            "src/base/wake.rs",
            "src/base/sys/signals.rs",
            // It sends, and takes nothing.
            "src/reactor/supervision.rs",
            "src/reactor/tools/",
            // The clients' side, and sockets on their way to a listener.
            "src/testing/",
        ],
    ),
    (&["to_socket_addrs"], &["src/net/lookup.rs", "src/net/listener.rs", "src/reactor/tools/"]),
    (
        &["thread::spawn", "thread::Builder"],
        &["src/net/lookup.rs", "src/storage/file/", "src/storage/recording.rs", "src/reactor/tools/", "src/testing/"],
    ),
    (&["signal_hook"], &["src/base/sys/", "src/base/crash.rs"]),
];

#[test]
fn what_comes_from_outside_comes_through_the_door() {
    let is_outside = |source: &Source, line: &str| {
        DOOR.iter().any(|(takes, allowed)| {
            let is_allowed = allowed.iter().any(|path| source.path.starts_with(path));
            !is_allowed && takes.iter().any(|word| line.contains(word))
        })
    };
    check("sockets, polls, threads and signals are touched by the door's variants alone", lines_where(is_outside));
}

#[test]
fn libc_stays_in_sys() {
    check(
        "only src/base/sys calls libc",
        lines_where(|source, line| !source.path.starts_with("src/base/sys/") && line.contains("libc::")),
    );
}

#[test]
fn unsafe_stays_in_a_few_modules_and_says_why() {
    check(
        "unsafe code is confined",
        lines_where(|source, line| {
            let allowed = UNSAFE_ALLOWED.iter().any(|path| source.path.starts_with(path));
            !allowed && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe")
        }),
    );
    let mut silent = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            if line.contains("unsafe {") && !line.trim_start().starts_with("//") {
                let above = source.lines[number.saturating_sub(8)..=number].join("\n");
                if !above.contains("SAFETY") {
                    silent.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
                }
            }
        }
    }
    check("unsafe blocks say why they are sound", silent);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "dbg!", "not implemented"];
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    check("no work is left in the source", found);
}

#[test]
fn panics_are_only_for_stated_invariants() {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            let code = !line.trim_start().starts_with("//");
            if code && (line.contains(".unwrap()") || line.contains(".expect(")) {
                let above = source.lines[number.saturating_sub(4)..=number].join("\n");
                if !above.contains("INVARIANT") {
                    found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
                }
            }
        }
    }
    check("unwrap and expect stand below an INVARIANT comment", found);
}

#[test]
fn the_top_level_is_as_agreed() {
    let mut others = Vec::new();
    for entry in fs::read_dir(root()).expect("the project's folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) && !is_ignored(&name) {
            others.push(name);
        }
    }
    check("nothing else at the top level", others);
}

/// Whether git ignores a file or folder of this name at the top level. A server that was tried out there leaves its
/// files.
fn is_ignored(name: &str) -> bool {
    include_str!("../.gitignore")
        .lines()
        .map(|line| line.trim_matches('/'))
        .any(|pattern| glob_match(pattern.as_bytes(), name.as_bytes(), Case::Sensitive))
}

#[test]
fn files_of_a_server_that_was_tried_out_are_ignored() {
    for name in ["dump.rdb", "temp-1.rdb", "appendonlydir", "nodes.conf"] {
        assert!(is_ignored(name), "{name}");
    }
    assert!(!is_ignored("notes.txt") && !is_ignored("src"));
}
