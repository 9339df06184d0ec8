//! The process-level parts as a whole process lives and dies by them: log, signals, title, background, crash report.
//!
//! This test has no harness: each check starts this same program again as a small server in the role that it needs,
//! since signals, titles and crashes belong to a process and its main thread.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use oneloop::base::crash;
use oneloop::base::crash::{CrashSection, CrashSettings};
use oneloop::base::logging;
use oneloop::base::logging::{LogLevel, LogSettings, Role};
use oneloop::base::sys::process::{ProcessTitle, daemonize};
use oneloop::base::sys::signals::{Signal, Signals};
use oneloop::base::sys::{faults, resources};
use oneloop::reactor::startup;
use oneloop::reactor::startup::{Banner, ConfigurationSource};

/// Longer than the arguments that it replaces, so that it takes room of the environment's.
const LONG_TITLE: &str = concat!(
    "oneloop *:6379 a title that is rather longer than the arguments of this program were, even when the folder ",
    "that it was built in lies deep within another folder, which lies in turn within a third one, and so on and on",
);

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some("role") {
        return play(&arguments[2], arguments.get(3).map_or("", String::as_str));
    }
    let checks: [(&str, fn()); 12] = [
        ("start_lines_come_in_order_and_sigterm_ends", start_lines_come_in_order_and_sigterm_ends),
        ("second_interrupt_exits_at_once", second_interrupt_exits_at_once),
        ("forgotten_interrupt_does_not_insist", forgotten_interrupt_does_not_insist),
        ("segmentation_fault_is_reported", segmentation_fault_is_reported),
        ("abort_from_outside_is_reported", abort_from_outside_is_reported),
        ("stack_overflow_is_reported", stack_overflow_is_reported),
        ("panic_is_reported_and_aborts", panic_is_reported_and_aborts),
        ("panic_exits_when_told_to", panic_exits_when_told_to),
        ("second_fault_ends_quietly", second_fault_ends_quietly),
        ("disabled_report_says_nothing", disabled_report_says_nothing),
        ("title_is_shown_and_environment_survives", title_is_shown_and_environment_survives),
        (
            "background_process_logs_to_a_file_that_can_be_rotated",
            background_process_logs_to_a_file_that_can_be_rotated,
        ),
    ];
    for (name, check) in checks {
        check();
        println!("process: {name} ok");
    }
}

/// What the started program does.
fn play(role: &str, detail: &str) {
    match role {
        "server" => serve(false),
        "forgetful-server" => serve(true),
        "title" => show_title(),
        "background" => go_into_background(Path::new(detail)),
        _ => crash_as(role),
    }
}

fn start_log(file: &str) {
    let settings = LogSettings { level: LogLevel::Verbose, file: PathBuf::from(file), ..LogSettings::default() };
    logging::init(&settings).unwrap();
}

fn serve(forget: bool) {
    start_log("");
    startup::log_starting("7.2.6", ConfigurationSource::Given);
    let mut signals = Signals::install(startup::log_insistence).unwrap();
    logging::set_role(Role::Primary);
    startup::admit_clients(1).unwrap();
    startup::log_banner(&Banner {
        version: "7.2.6",
        mode: "standalone",
        port: 6379,
        always_draw: true,
        log_is_stdout_only: true,
    });
    startup::log_initialized();
    startup::log_ready("tcp");
    let mut poll = mio::Poll::new().unwrap();
    let source = signals.source_fd().expect("they are installed");
    let interest = mio::Interest::READABLE;
    poll.registry().register(&mut mio::unix::SourceFd(&source), mio::Token(0), interest).unwrap();
    let mut events = mio::Events::with_capacity(4);
    loop {
        // A signal interrupts the wait itself, which mio reports as an error.
        let _ = poll.poll(&mut events, None);
        while let Some(signal) = signals.drain() {
            if forget {
                signals.forget_request();
            }
            startup::log_signal(signal);
            if signal == Signal::Terminate {
                startup::log_exit();
                return;
            }
        }
    }
}

fn show_title() {
    start_log("");
    let mut title = ProcessTitle::claim().unwrap();
    title.set("a first title");
    title.set(LONG_TITLE);
    assert_eq!(std::env::var("ONELOOP_PROBE").unwrap(), "still here");
    logging::raw("ready\n");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn go_into_background(folder: &Path) {
    daemonize().unwrap();
    let log = folder.join("log");
    start_log(log.to_str().unwrap());
    log::info!(target: "oneloop", "first");
    std::fs::rename(&log, folder.join("log.1")).unwrap();
    log::info!(target: "oneloop", "second");
    log::trace!(target: "oneloop", "too fine");
    startup::write_pid_file(&folder.join("pid"));
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(std::process::id().to_string().as_bytes(), folder.join("socket")).unwrap();
}

fn crash_as(role: &str) {
    start_log("");
    logging::set_role(Role::Primary);
    let settings = CrashSettings {
        version: "7.2.6",
        enabled: role != "disabled",
        exit_on_panic: role == "panic-exit",
        pid_file: None,
    };
    crash::install(settings).unwrap();
    crash::set_context_provider(match role {
        "fault-twice" => |_| {
            faults::provoke_segmentation_fault();
            String::new()
        },
        _ => |section| match section {
            CrashSection::Info => format!("# Server\nos:{}\n", resources::operating_system()),
            CrashSection::ClientList => String::from("id=3 cmd=debug\n"),
            CrashSection::CurrentClient => String::from("cmd=debug|segfault\n"),
        },
    });
    match role {
        "panic" | "panic-exit" => panic!("impossible value {}", 42),
        "overflow" => log::info!(target: "oneloop", "{}", dig(1)),
        "wait" => {
            logging::raw("ready\n");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        _ => faults::provoke_segmentation_fault(),
    }
}

#[expect(unconditional_recursion, reason = "the stack overflow is what is wanted")]
fn dig(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 64]);
    dig(depth + 1) + block[0]
}

struct Started {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    seen: String,
}

impl Started {
    fn role(role: &str) -> Started {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["role", role]).env("ONELOOP_PROBE", "still here").env_remove("RUST_LOG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Started { child, output, seen: String::new() }
    }

    fn wait_for(&mut self, phrase: &str) {
        while !self.seen.contains(phrase) {
            let length = self.output.read_line(&mut self.seen).unwrap();
            assert!(length > 0, "ended without {phrase}:\n{}", self.seen);
        }
    }

    fn send(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    fn end(mut self) -> (ExitStatus, String) {
        self.output.read_to_string(&mut self.seen).unwrap();
        (self.child.wait().unwrap(), self.seen)
    }
}

fn assert_in_order(text: &str, phrases: &[&str]) {
    let mut from = 0;
    for phrase in phrases {
        let found = text[from..].find(phrase);
        from += found.unwrap_or_else(|| panic!("no {phrase:?} after byte {from} in:\n{text}")) + phrase.len();
    }
}

fn start_lines_come_in_order_and_sigterm_ends() {
    let mut server = Started::role("server");
    server.wait_for("Ready to accept connections tcp");
    server.send("HUP");
    server.send("PIPE");
    server.send("TERM");
    let id = server.child.id();
    let (status, text) = server.end();
    assert!(status.success());
    let child = format!("{id}:C ");
    let primary = format!("{id}:M ");
    let banner = format!(" PID: {id}\n");
    let phrases = [
        child.as_str(),
        concat!(" * oO0OoO0OoO0Oo Oneloop ", env!("CARGO_PKG_VERSION"), " is starting oO0OoO0OoO0Oo\n"),
        " * Redis version=7.2.6, bits=64, ",
        " * Configuration loaded\n",
        &primary,
        &banner,
        " * Server initialized\n",
        " * Ready to accept connections tcp\n",
        ") Received SIGTERM scheduling shutdown...\n",
        " # Oneloop is now ready to exit, bye bye...\n",
    ];
    assert_in_order(&text, &phrases);
}

fn second_interrupt_exits_at_once() {
    let mut server = Started::role("server");
    server.wait_for("Ready to accept");
    server.send("INT");
    server.wait_for("Received SIGINT scheduling shutdown...");
    server.send("INT");
    let (status, text) = server.end();
    assert_eq!(status.code(), Some(1));
    assert_in_order(&text, &[":signal-handler (", ") You insist... exiting now.\n"]);
}

fn forgotten_interrupt_does_not_insist() {
    let mut server = Started::role("forgetful-server");
    server.wait_for("Ready to accept");
    for _ in 0..3 {
        server.seen.clear();
        server.send("INT");
        server.wait_for("Received SIGINT scheduling shutdown...");
    }
    server.send("TERM");
    assert!(server.end().0.success());
}

fn segmentation_fault_is_reported() {
    let (status, text) = Started::role("segfault").end();
    assert_eq!(status.signal(), Some(SIGSEGV));
    let phrases = [
        "\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n",
        ":M ",
        " # Redis 7.2.6 crashed by signal: 11, si_code: 2\n",
        " # Accessing address: 0x",
        "\n------ STACK TRACE ------\n",
        "provoke_segmentation_fault",
        "\n------ INFO OUTPUT ------\n# Server\nos:Linux ",
        "\n------ CLIENT LIST OUTPUT ------\nid=3 cmd=debug\n",
        "\n------ CURRENT CLIENT INFO ------\ncmd=debug|segfault\n",
        "\n=== REDIS BUG REPORT END. ",
    ];
    assert_in_order(&text, &phrases);
}

fn abort_from_outside_is_reported() {
    let mut server = Started::role("wait");
    server.wait_for("ready");
    server.send("ABRT");
    let (status, text) = server.end();
    assert_eq!(status.signal(), Some(SIGABRT));
    let killer = " # Killed by PID: ";
    assert_in_order(&text, &["crashed by signal: 6, si_code: 0\n", killer, "STACK TRACE", "crash_as", "REPORT END"]);
}

fn stack_overflow_is_reported() {
    let (status, text) = Started::role("overflow").end();
    assert_eq!(status.signal(), Some(SIGSEGV));
    assert_in_order(&text, &["crashed by signal: 11", "STACK TRACE", "dig", "REPORT END"]);
}

fn panic_is_reported_and_aborts() {
    let (status, text) = Started::role("panic").end();
    assert_eq!(status.signal(), Some(SIGABRT));
    let guru = " # Guru Meditation: impossible value 42 #tests/process.rs:";
    assert_in_order(&text, &["REPORT START", guru, "STACK TRACE", "crash_as", "INFO OUTPUT", "REPORT END"]);
    assert!(!text.contains("crashed by signal"));
}

fn panic_exits_when_told_to() {
    let (status, text) = Started::role("panic-exit").end();
    assert_eq!(status.code(), Some(1));
    assert_in_order(&text, &["Guru Meditation: impossible value 42", "REPORT END"]);
}

fn second_fault_ends_quietly() {
    let (status, text) = Started::role("fault-twice").end();
    assert_eq!(status.signal(), Some(SIGSEGV));
    assert!(text.ends_with("\n------ INFO OUTPUT ------\n"), "{text}");
    assert_eq!(text.matches("crashed by signal").count(), 1);
}

fn disabled_report_says_nothing() {
    let (status, text) = Started::role("disabled").end();
    assert_eq!(status.signal(), Some(SIGSEGV));
    assert_eq!(text, "");
}

fn title_is_shown_and_environment_survives() {
    let mut server = Started::role("title");
    server.wait_for("ready");
    let shown = std::fs::read(format!("/proc/{}/cmdline", server.child.id())).unwrap();
    let trimmed = String::from_utf8_lossy(&shown).trim_end_matches('\0').to_owned();
    assert!(LONG_TITLE.len() > std::env::current_exe().unwrap().as_os_str().len() + "role title".len() + 3);
    assert_eq!(trimmed, LONG_TITLE);
    drop(server.child.stdin.take());
    assert!(server.end().0.success());
}

fn background_process_logs_to_a_file_that_can_be_rotated() {
    let folder = std::env::temp_dir().join(format!("oneloop-background-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let socket = UnixDatagram::bind(folder.join("socket")).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut parent = command.args(["role", "background"]).arg(&folder).env_remove("RUST_LOG").spawn().unwrap();
    let parent_id = parent.id();
    assert!(parent.wait().unwrap().success());
    let mut buffer = [0_u8; 32];
    let length = socket.recv(&mut buffer).unwrap();
    let id = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert_ne!(id, parent_id.to_string());
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("pid"), format!("{id}\n"));
    assert_in_order(&read("log.1"), &[&format!("{id}:C "), " * first\n"]);
    assert_in_order(&read("log"), &[" * second\n"]);
    assert_eq!(read("log").lines().count(), 1);
    std::fs::remove_dir_all(&folder).unwrap();
}
