//! Which genuine servers load the files that this one writes: as the table in README.md says.
//!
//! With `redis-server` on the PATH, and with those whose paths `GENUINE_SERVERS` lists, parted by colons.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::Path;

use genuine::Genuine;
use server::Server;

const PAGE: &str = include_str!("../README.md");

/// The columns of the table: a kind of file, with what makes it.
const COLUMNS: [(&str, Files); 4] = [
    ("RDB file", Files::Snapshot),
    ("… with fields that expire", Files::SnapshotWithFields),
    ("Append-only file", Files::AppendOnly),
    ("… with `aof-use-rdb-preamble no`", Files::AppendOnlyOfCommands),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Snapshot,
    SnapshotWithFields,
    AppendOnly,
    AppendOnlyOfCommands,
}

impl Files {
    fn options(self) -> &'static [&'static str] {
        match self {
            Files::Snapshot | Files::SnapshotWithFields => &[],
            Files::AppendOnly => &["--appendonly", "yes"],
            Files::AppendOnlyOfCommands => &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
        }
    }
}

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

const VALUES: &[&str] = &[
    "SET text some-text",
    "SET number 12345 EX 1000000",
    "RPUSH list a b 3 4",
    "SADD set a b c",
    "SADD integers 1 2 3",
    "HSET hash a 1 b 2",
    "ZADD scores 1.5 a -2 b",
    "XADD stream 5-1 field value",
];

/// A server that has written such files and has ended, its folder kept; and the digest of its data.
fn write(files: Files) -> (Server, String) {
    let mut server = Server::start(&[files.options(), DEBUG].concat());
    let mut client = server.client();
    let mut run = |line: &str| -> redis::Value {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().expect("a word"));
        for word in words {
            command.arg(word);
        }
        command.query(&mut client).expect(line)
    };
    for line in VALUES {
        run(line);
    }
    // What other servers do not know of a stream does no harm there.
    run("XADD stream IDMP producer message * field value");
    if files == Files::SnapshotWithFields {
        run("HEXPIRE hash 1000000 FIELDS 1 a");
    }
    match files {
        Files::Snapshot | Files::SnapshotWithFields => run("SAVE"),
        // Rewritten, and appended to afterwards.
        Files::AppendOnly | Files::AppendOnlyOfCommands => {
            run("BGREWRITEAOF");
            while !server.connect().text("INFO persistence").contains("aof_rewrite_in_progress:0") {
                std::thread::yield_now();
            }
            run("SET later value")
        }
    };
    let digest: String = redis::cmd("DEBUG").arg("DIGEST").query(&mut client).expect("a digest");
    drop(client);
    server.signal("TERM");
    let (status, _) = server.wait();
    assert!(status.success());
    (server, digest)
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("it has a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).expect("it can be copied")),
        }
    }
}

/// Whether a genuine server loads the files; if it does, it must have all that is in them.
fn loads(program: &str, folder: &Path, files: Files, digest: &str) -> bool {
    let options = [files.options(), DEBUG].concat();
    let mut genuine = Genuine::launch(program, Some(folder), &options).expect("it was there");
    if genuine.wait_until_ready().is_err() {
        return false;
    }
    // The times of fields are not part of every server's digest.
    if files != Files::SnapshotWithFields {
        let mut client = genuine.connect();
        client.ask("DEBUG DIGEST", &format!("+{digest}\r\n"));
    }
    true
}

/// Name and version that a server gives itself.
fn identity(program: &str) -> Option<(String, String)> {
    let genuine = Genuine::start(program, &[])?;
    let info = genuine.connect().text("INFO server");
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_string)
    };
    let of_valkey = field("valkey_version:").map(|version| ("Valkey".to_string(), version));
    of_valkey.or_else(|| Some(("Redis".to_string(), field("redis_version:")?)))
}

/// The table's rows, each with its cells.
fn rows() -> Vec<Vec<&'static str>> {
    let table =
        PAGE.split_once("<!-- versions:begin -->").and_then(|(_, rest)| rest.split_once("<!-- versions:end -->"));
    let (table, _) = table.expect("README.md has the table");
    let rows = table.trim().lines();
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The row of a server, which is named with as much of its version as matters.
fn row_of(name: &str, version: &str) -> Option<Vec<&'static str>> {
    rows().into_iter().find(|row| {
        let (row_name, row_version) = row[0].split_once(' ').unwrap_or_default();
        row_name == name && format!("{version}.").starts_with(&format!("{row_version}."))
    })
}

/// The genuine servers to try, the first being of Debian.
fn programs() -> Vec<String> {
    let others = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let others = others.split(':').filter(|path| !path.is_empty());
    let programs = ["redis-server"].into_iter().chain(others);
    programs.map(str::to_string).collect()
}

#[test]
fn genuine_servers_load_what_the_table_says() {
    let programs = programs();
    let head: Vec<&str> = rows().swap_remove(0).split_off(1);
    assert_eq!(head, COLUMNS.map(|(column, _)| column));
    for (place, (column, files)) in COLUMNS.into_iter().enumerate() {
        let (server, digest) = write(files);
        for program in &programs {
            let Some((name, version)) = identity(program) else {
                println!("SKIP: {program} cannot be started");
                continue;
            };
            let row = row_of(&name, &version);
            let row = row.unwrap_or_else(|| panic!("no row of {name} {version}"));
            // Servers change their files.
            let copied = server.folder.with_extension("copy");
            copy(&server.folder, &copied);
            let found = loads(program, &copied, files, &digest);
            fs::remove_dir_all(&copied).expect("it was made here");
            let found = if found { "yes" } else { "no" };
            assert_eq!(found, row[place + 1], "{name} {version}: {column}");
        }
    }
}

#[test]
fn files_of_genuine_servers_are_loaded() {
    for program in programs() {
        for append_only in ["no", "yes"] {
            // While a sync goes on every second, Redis puts its writes off, and still replies.
            let options = [&["--appendonly", append_only, "--appendfsync", "no"], DEBUG];
            let options = options.concat();
            let Some(genuine) = Genuine::start(&program, &options) else {
                println!("SKIP: {program} cannot be started");
                return;
            };
            let mut client = genuine.connect();
            for line in VALUES {
                client.send(format!("{line}\r\n"));
                assert!(!client.line().starts_with('-'), "{program}: {line}");
                if line.starts_with("XADD") {
                    client.line();
                }
            }
            client.send("DEBUG DIGEST\r\n");
            let digest = client.line();
            client.ask("SAVE", "+OK\r\n");
            let folder = genuine.folder.to_str().expect("a plain path");
            let loaded = Server::start(&[&["--dir", folder], options.as_slice()].concat());
            let mut client = loaded.connect();
            client.send("DEBUG DIGEST\r\n");
            assert_eq!(client.line(), digest, "{program}, {append_only}");
        }
    }
}
