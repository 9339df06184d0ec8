//! What the built program says when it starts, ends or cannot start, and to whom.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use server::{PATIENCE, Server, free_port};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_oneloop"))
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("startup-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Starts a server that is to end by itself.
fn ended(folder: &Path, options: &[&str]) -> Output {
    let port = free_port().to_string();
    let mut command = program();
    command.args(["--port", &port, "--bind", "127.0.0.1", "--dir"]);
    let output = command.arg(folder).args(options).output();
    let output = output.expect("the program starts");
    assert!(!output.status.success(), "{options:?}");
    output
}

#[test]
fn errors_of_settings_end_with_the_line() {
    let folder = folder("settings");
    for (options, reason) in [
        (&["--nosuch", "1"][..], "Bad directive or wrong number of arguments\n"),
        (&["--port", "x"], "argument couldn't be parsed into an integer\n"),
        (&["--locale-collate", "xx"], "Invalid locale name\n"),
        (&["--logfile", "/nosuch/log"], "Can't open the log file: No such file or directory\n"),
        (&["--rename-command", "nosuch", "x"], "No such command in rename-command\n"),
    ] {
        let output = ended(&folder, options);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.ends_with(reason), "{options:?}: {text:?}");
    }
    let output = program().arg("/nosuch.conf").output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text, "Fatal error, can't open config file '/nosuch.conf': No such file or directory\n");
}

#[test]
fn files_that_cannot_be_read_are_named_with_their_whole_paths() {
    let folder = folder("paths");
    let path = folder.join("dump.rdb");
    // A link to itself cannot be opened, not even by root.
    std::os::unix::fs::symlink(&path, &path).expect("a link");
    let output = ended(&folder, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("Can't open the snapshot {}: Too many levels of symbolic links\n", path.display());
    assert!(text.contains(&expected), "{text}");

    let parts = folder.join("appendonlydir");
    fs::create_dir(&parts).expect("a folder");
    let manifest = parts.join("appendonly.aof.manifest");
    fs::write(&manifest, "file missing.aof seq 1 type i\n").expect("it is writable");
    let output = ended(&folder, &["--appendonly", "yes"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let missing = parts.join("missing.aof");
    let expected =
        format!("Unable to obtain the AOF file {} length. stat: No such file or directory\n", missing.display());
    assert!(text.ends_with(&expected), "{text}");

    fs::write(&missing, "!!!\r\n").expect("it is writable");
    let output = ended(&folder, &["--appendonly", "yes"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("then use oneloop check-aof --fix <filename.manifest>\n"), "{text}");
    assert!(!text.contains("redis-check"), "{text}");
}

/// A name, what is on the command line, and how the last line ends.
type Mistake<'a> = (&'a str, &'a [&'a str], String);

/// Each is told in one line, the last, which names what is in the way.
#[test]
fn mistakes_at_the_start_end_it_with_a_line_that_names_them() {
    let folder = folder("mistakes");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("it is bound").port().to_string();
    let (plain_file, socket) = (folder.join("plain"), folder.join("socket"));
    fs::write(&plain_file, "data\n").expect("it is writable");
    let _listens = UnixListener::bind(&socket).expect("a socket");
    let (plain_file, socket) = (plain_file.to_str().expect("plain"), socket.to_str().expect("plain"));
    let port_refused = |kind: &str| format!("Failed listening on port {taken} ({kind}), aborting.");
    let tls = ["--tls-port", "1", "--tls-cert-file", "plain", "--tls-key-file", "plain"];
    let absent = "No such file or directory";
    let mistakes: [Mistake<'_>; 12] = [
        ("port", &["--port", &taken], port_refused("tcp")),
        ("HTTP port", &["--http-port", &taken], port_refused("http")),
        ("folder", &["--dir", "/nosuch"], absent.to_string()),
        ("no folder", &["--dir", plain_file], "Not a directory".to_string()),
        (
            "folder that takes nothing",
            &["--dir", "/proc", "--save", "1 1"],
            format!("Can't write to the working directory /proc: {absent}. Set dir, or keep nothing: --save '' --appendonly no"),
        ),
        ("log", &["--logfile", "/tmp"], "Can't open the log file: Is a directory".to_string()),
        ("TLS", &tls, "Failed to configure TLS: Failed to load certificate: plain: it holds no certificate".to_string()),
        ("ACL", &["--aclfile", "none"], format!("Error loading ACLs, opening file 'none': {absent}")),
        (
            "folder of the socket",
            &["--unixsocket", "/nosuch/socket"],
            format!("Failed opening Unix socket /nosuch/socket: {absent}"),
        ),
        (
            "file in place of the socket",
            &["--unixsocket", plain_file],
            format!("Failed opening Unix socket {plain_file}: what is there is no socket"),
        ),
        (
            "socket of another server",
            &["--unixsocket", socket],
            format!("Failed opening Unix socket {socket}: another server listens there"),
        ),
        (
            "port of the bus",
            &["--cluster-enabled", "yes", "--port", "60000"],
            "The port of the cluster bus, port + 10000, would be above 65535: set port below 55536, or set cluster-port."
                .to_string(),
        ),
    ];
    for (name, options, reason) in mistakes {
        let output = ended(&folder, options);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(text.lines().last().is_some_and(|line| line.ends_with(&reason)), "{name}: {text}");
    }
    assert_eq!(fs::read(plain_file).expect("it is there"), b"data\n");
}

/// The socket of a server that was killed is in nobody's way.
#[test]
fn a_socket_that_nobody_listens_on_is_replaced() {
    let folder = folder("left-socket");
    let socket = folder.join("socket");
    drop(UnixListener::bind(&socket).expect("a socket"));
    let mut server = Server::start(&["--unixsocket", socket.to_str().expect("a plain path")]);
    UnixStream::connect(&socket).expect("it is the server's");
    server.connect().send("SHUTDOWN NOSAVE\r\n");
    server.wait();
    assert!(!socket.exists());
}

/// As in Redis: an existing redis.conf may name a pid file that only root can write.
#[test]
fn a_pid_file_that_cannot_be_written_is_told_and_no_obstacle() {
    let mut server = Server::launch(free_port(), &["--pidfile", "/nosuch/pid"]);
    let line = server.wait_for_any(&["PID file"]);
    assert!(line.ends_with("Failed to write PID file /nosuch/pid: No such file or directory"), "{line}");
    server.wait_for_any(&["Ready to accept"]);
}

#[test]
fn lists_of_files_that_make_no_sense_are_told_with_path_and_line() {
    let folder = folder("manifests");
    let parts = folder.join("appendonlydir");
    fs::create_dir(&parts).expect("a folder");
    let manifest = parts.join("appendonly.aof.manifest");
    for (text, reason) in [
        ("", format!("Found an empty AOF manifest: {}", manifest.display())),
        ("# ours\nnonsense\n", format!("Invalid AOF manifest file format: {}, line 2: 'nonsense'", manifest.display())),
    ] {
        fs::write(&manifest, text).expect("it is writable");
        let output = ended(&folder, &["--appendonly", "yes"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.lines().last().is_some_and(|line| line.ends_with(&reason)), "{text}");
    }
}

#[test]
fn snapshots_of_others_are_refused_in_the_words_that_are_known() {
    let folder = folder("snapshots");
    let module = b"\x81\xb5\xeb\x2d\xad\xd6\xfe\xf8\x01";
    let auxiliary = [b"REDIS0011\xf7", &module[..], b"\x02\x01\x05\x03abc\0\xff\0\0\0\0\0\0\0\0"].concat();
    let value = [b"REDIS0011\xfe\0\x07\x01k", &module[..], b"\x02\x05\0\xff\0\0\0\0\0\0\0\0"].concat();
    for (bytes, reason) in [
        (&b"REDIS0099\xff\0\0\0\0\0\0\0\0"[..], "Can't handle RDB format version 99\n"),
        (&auxiliary, "The RDB file contains AUX module data I can't load: no matching module 'testrdb--'\n"),
        (&value, "The RDB file contains module data I can't load: no matching module type 'testrdb--'\n"),
    ] {
        fs::write(folder.join("dump.rdb"), bytes).expect("it is writable");
        let output = ended(&folder, &[]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(reason), "{text}");
        let left = fs::read(folder.join("dump.rdb")).expect("it is there");
        assert_eq!(left, bytes, "it is as it was");
    }
}

#[test]
fn the_tool_steps_over_modules_and_tells_of_empty_collections() {
    let folder = folder("tool");
    let path = folder.join("dump.rdb");
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("it is writable");
        let output = program().arg("check-rdb").arg(&path).output();
        let output = output.expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text.replace(path.to_str().expect("a plain path"), "FILE");
        (output.status.success(), text)
    };
    let module = b"\x81\xb5\xeb\x2d\xad\xd6\xfe\xf8\x01";
    let bytes = [
        b"REDIS0011\xfa\x03abc\x03def\xf7",
        &module[..],
        b"\x02\x01\x05\x03abc\0\xfe\0\x07\x01m",
        module,
        b"\x02\x05\x04abcdefgh\x03abcd\x05\x03abc\0\0\x01k\x01v\xff\0\0\0\0\0\0\0\0",
    ]
    .concat();
    let (is_sound, text) = check(&bytes);
    assert_eq!(
        text,
        "[offset 0] Checking RDB file FILE\n\
         [offset 18] AUX FIELD abc = 'def'\n\
         [offset 30] MODULE AUX for: testrdb--\n\
         [offset 38] Selecting DB ID 0\n\
         [offset 86] RDB file was saved with checksum disabled: no check performed.\n\
         [offset 86] \\o/ RDB looks OK! \\o/\n\
         [info] 2 keys read\n[info] 0 expires\n[info] 0 already expired\n"
    );
    assert!(is_sound);
    let (is_sound, text) = check(b"REDIS0011\xfe\0\0\x01a\x011\x04\x01h\0\0\x01z\x011\xff\0\0\0\0\0\0\0\0");
    assert_eq!(
        text,
        "[offset 0] Checking RDB file FILE\n\
         [offset 11] Selecting DB ID 0\n\
         --- RDB ERROR DETECTED ---\n\
         [offset 20] Unexpected EOF reading RDB file\n\
         [additional info] While doing: read-object-value\n\
         [additional info] Reading key 'h'\n\
         [additional info] Reading type 4 (hash-hashtable)\n\
         [additional info] A collection without elements: a server leaves such a key out\n\
         [info] 2 keys read\n[info] 0 expires\n[info] 0 already expired\n"
    );
    assert!(!is_sound);
}

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads what systemd is told until it is the wanted message.
fn wait_for(socket: &UnixDatagram, wanted: &str) {
    let mut buffer = [0; 512];
    loop {
        let count = socket.recv(&mut buffer).expect("systemd is told in time");
        if &buffer[..count] == wanted.as_bytes() {
            return;
        }
    }
}

#[test]
fn systemd_is_told_of_the_start_and_of_the_end() {
    let folder = folder("systemd");
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let child = program()
        .args(["--port", "0", "--unixsocket", "server", "--save", "", "--supervised", "systemd", "--dir"])
        .arg(&folder)
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut child = Ended(child);
    wait_for(&socket, "READY=1\n");
    let pid = child.0.id().to_string();
    let status = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(status.expect("kill runs").success());
    wait_for(&socket, "STOPPING=1\n");
    assert!(child.0.wait().expect("it is a child").success());
}

#[test]
fn a_hidden_setting_of_scripts_is_known() {
    let server = Server::start(&["--lua-enable-deprecated-api", "yes"]);
    let mut client = server.connect();
    client.ask("CONFIG GET lua-enable-deprecated-api", "*2\r\n$25\r\nlua-enable-deprecated-api\r\n$3\r\nyes\r\n");
    client.ask("CONFIG GET lua*deprecated*", "*0\r\n");
    client.ask(
        "CONFIG SET lua-enable-deprecated-api no",
        "-ERR CONFIG SET failed (possibly related to argument 'lua-enable-deprecated-api') - can't set immutable config\r\n",
    );
    client.ask(
        "CONFIG SET locale-collate xx",
        "-ERR CONFIG SET failed (possibly related to argument 'locale-collate') - Invalid locale name\r\n",
    );
    client.ask("CONFIG SET locale-collate C", "+OK\r\n");
}
