//! A set of servers that genuine Sentinels watch: each has a configuration file, which CONFIG REWRITE changes, and a
//! port that it keeps for life.
#![allow(dead_code)] // Each test program uses a part of it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::FromRedisValue;

/// How long a test waits for what must come, before it fails. Sentinels whose first attempt fails on a busy machine make
/// the next one after twelve seconds.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// The name of the set at the Sentinels.
pub const NAME: &str = "the-set";
/// A server that does not reply within this time is not there.
const REPLY_WAIT: Duration = Duration::from_secs(2);
/// Tests wait for other processes in steps of this length.
const STEP: Duration = Duration::from_millis(10);

static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// One server of the set, or one Sentinel. Dropping it ends the process.
pub struct Node {
    /// What the test's output calls it.
    pub name: String,
    pub port: u16,
    program: OsString,
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// Writes its configuration file, with these lines besides what every node has, and starts it. None: there is no
    /// such program.
    pub fn start(name: &str, program: &OsString, port: u16, lines: &[String]) -> Option<Node> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("watched-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server");
        let place = folder.to_str().expect("a plain path");
        let head = format!("port {port}\nbind 127.0.0.1\ndir {place}\n");
        fs::write(folder.join("conf"), head + &lines.join("\n") + "\n").expect("its folder is writable");
        let mut node = Node { name: name.to_string(), port, program: program.clone(), folder, child: None };
        node.launch().then(|| {
            node.wait_until("it replies", || node.ask::<String>(&["PING"]).is_ok());
            node
        })
    }

    /// Starts the process, in its folder and with its file. Says whether there is such a program.
    fn launch(&mut self) -> bool {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("its folder is writable");
        let errors = log.try_clone().expect("a file can be cloned");
        let mut command = Command::new(&self.program);
        command.arg(self.folder.join("conf")).stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = command.spawn().ok();
        self.child.is_some()
    }

    /// Starts it again after it was killed, and waits until it has its data.
    pub fn restart(&mut self) {
        assert!(self.launch(), "there was such a program");
        self.wait_until("it is there again", || self.ask::<String>(&["PING"]).is_ok());
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it is a child");
        }
    }

    /// Waits for its end, which it was asked for.
    pub fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().expect("it is a child");
        }
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill runs").success());
    }

    /// A connection to it.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn connect(&self) -> redis::RedisResult<redis::Connection> {
        connect(self.port, REPLY_WAIT)
    }

    /// What it replies, over a connection for this request alone.
    ///
    /// # Errors
    ///
    /// It is not there, or it replies with an error.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        request(words).query(&mut self.connect()?)
    }

    /// The digest of its data, however long that takes.
    ///
    /// # Errors
    ///
    /// It is not there, or a Sentinel has closed the connection.
    pub fn digest(&self) -> redis::RedisResult<String> {
        request(&["DEBUG", "DIGEST"]).query(&mut connect(self.port, PATIENCE)?)
    }

    /// A field of INFO; empty if there is none, or if the server is not there.
    pub fn field(&self, name: &str) -> String {
        let info: String = self.ask(&["INFO"]).unwrap_or_default();
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().to_string()
    }

    /// A field of INFO that is a number; 0 if there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or_default()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its configuration file as it is now.
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.folder.join("conf")).expect("it was written")
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "{}: in vain: {what}\n{}", self.name, tail(&self.log()));
            std::thread::sleep(STEP);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- {} on port {} ----\n{}", self.name, self.port, tail(&self.log()));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A connection to a server on loopback that waits so long for a reply.
///
/// # Errors
///
/// It is not there.
pub fn connect(port: u16, wait: Duration) -> redis::RedisResult<redis::Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let connection = client.get_connection_with_timeout(REPLY_WAIT)?;
    connection.set_read_timeout(Some(wait))?;
    connection.set_write_timeout(Some(wait))?;
    Ok(connection)
}

/// A request made of words.
pub fn request(words: &[&str]) -> redis::Cmd {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command
}

/// A port that no program has, and that none gets by chance: it is below those that the system gives out.
pub fn lasting_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Three servers and three Sentinels.
pub struct WatchedSet {
    pub nodes: Vec<Node>,
    pub sentinels: Vec<Node>,
}

/// The program of this project.
pub fn our_program() -> OsString {
    std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into())
}

/// The Sentinel to be used: `redis-sentinel`, unless `SENTINEL_PROGRAM` names another one.
pub fn sentinel_program() -> OsString {
    std::env::var_os("SENTINEL_PROGRAM").unwrap_or_else(|| "redis-sentinel".into())
}

impl WatchedSet {
    /// Starts servers of these programs, the first as the primary of the others, and three Sentinels. None: one of the
    /// programs is not there, and the output says so.
    pub fn start(programs: &[(&str, OsString)], options: &[&str]) -> Option<WatchedSet> {
        let mut nodes: Vec<Node> = Vec::new();
        for (name, program) in programs {
            let mut lines: Vec<String> = options.iter().map(ToString::to_string).collect();
            if let Some(primary) = nodes.first() {
                lines.push(format!("replicaof 127.0.0.1 {}", primary.port));
            }
            nodes.push(start_or_say(name, program, &lines)?);
        }
        let set = WatchedSet { nodes, sentinels: Vec::new() };
        set.wait_until("the replicas are in sync", |set| set.nodes[1..].iter().all(is_linked));
        let watched = [
            format!("sentinel monitor {NAME} 127.0.0.1 {} 2", set.nodes[0].port),
            format!("sentinel down-after-milliseconds {NAME} 3000"),
            format!("sentinel failover-timeout {NAME} 6000"),
            format!("sentinel parallel-syncs {NAME} 2"),
        ];
        let mut set = set;
        for number in 1..=3 {
            set.sentinels.push(start_or_say(&format!("Sentinel {number}"), &sentinel_program(), &watched)?);
        }
        for sentinel in &set.sentinels {
            // So that the test need not wait ten seconds for each look at the servers.
            let periods = ["info-period", "500", "ping-period", "200", "ask-period", "200", "publish-period", "300"];
            let words: Vec<&str> = ["SENTINEL", "DEBUG"].into_iter().chain(periods).collect();
            let () = sentinel.ask(&words).expect("Sentinels have that since 7.0");
        }
        set.wait_until("the Sentinels know each other and all replicas", WatchedSet::is_known);
        Some(set)
    }

    fn is_known(&self) -> bool {
        self.sentinels.iter().all(|sentinel| {
            let facts = facts(sentinel, "MASTER");
            let count = |name: &str| facts.first().and_then(|facts| field_of(facts, name));
            count("num-slaves") == Some("2".into()) && count("num-other-sentinels") == Some("2".into())
        })
    }

    /// The server that all Sentinels call the primary, if they agree.
    pub fn agreed_primary(&self) -> Option<usize> {
        let mut ports = self.sentinels.iter().map(primary_port);
        let first = ports.next()??;
        let is_agreed = ports.all(|port| port == Some(first));
        self.nodes.iter().position(|node| is_agreed && node.port == first)
    }

    /// The server that all Sentinels call the primary, once that is so, all others follow it, and none of the Sentinels
    /// is in the middle of anything.
    #[track_caller]
    pub fn settled_primary(&self) -> usize {
        self.wait_until("all follow one primary", WatchedSet::is_settled);
        self.agreed_primary().expect("they agreed")
    }

    fn is_settled(&self) -> bool {
        let Some(primary) = self.agreed_primary() else { return false };
        let others = self.nodes.iter().enumerate().filter(|(index, _)| *index != primary);
        let follow = others
            .map(|(_, node)| node)
            .all(|node| is_linked(node) && node.field("master_port") == self.nodes[primary].port.to_string());
        let is_quiet = |sentinel: &Node| {
            let flags: Vec<String> = ["MASTER", "REPLICAS"]
                .iter()
                .flat_map(|what| facts(sentinel, what))
                .filter_map(|facts| field_of(&facts, "flags"))
                .collect();
            flags.len() == 3 && flags.iter().all(|flags| flags == "master" || flags == "slave")
        };
        follow && self.nodes[primary].field("role") == "master" && self.sentinels.iter().all(is_quiet)
    }

    /// Waits until the replicas have all that the primary has; nobody writes.
    #[track_caller]
    pub fn wait_for_same_offsets(&self, primary: usize) {
        self.wait_until("the replicas have everything", |set| {
            let offset = set.nodes[primary].field("master_repl_offset");
            set.nodes.iter().all(|node| node.field("master_repl_offset") == offset) && !offset.is_empty()
        });
    }

    /// Has the Sentinels prefer a replica, or none, and waits until all of them know.
    #[track_caller]
    pub fn prefer(&self, preferred: Option<usize>) {
        let priority = |index: usize| if Some(index) == preferred { "1" } else { "100" };
        for (index, node) in self.nodes.iter().enumerate() {
            let () = node.ask(&["CONFIG", "SET", "replica-priority", priority(index)]).expect("it is there");
        }
        let preferred_port = preferred.map(|preferred| self.nodes[preferred].port.to_string());
        let knows = |sentinel: &Node| {
            let replicas = facts(sentinel, "REPLICAS");
            let is_right = |facts: &Vec<String>| {
                let is_preferred = field_of(facts, "port") == preferred_port;
                field_of(facts, "slave-priority").as_deref() == Some(if is_preferred { "1" } else { "100" })
            };
            replicas.len() == 2 && replicas.iter().all(is_right)
        };
        self.wait_until("the Sentinels know the priorities", |set| set.sentinels.iter().all(knows));
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&WatchedSet) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "in vain: {what}");
            std::thread::sleep(STEP);
        }
    }
}

fn start_or_say(name: &str, program: &OsString, lines: &[String]) -> Option<Node> {
    let node = Node::start(name, program, lasting_port(), lines);
    if node.is_none() {
        println!("SKIPPED: there is no {}", Path::new(program).display());
    }
    node
}

/// Whether a replica is in touch with its primary.
pub fn is_linked(node: &Node) -> bool {
    node.field("master_link_status") == "up"
}

/// The port of the primary as a Sentinel sees it.
pub fn primary_port(sentinel: &Node) -> Option<u16> {
    let address: Vec<String> = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).ok()?;
    address.get(1)?.parse().ok()
}

/// What a Sentinel knows of the primary, or of each replica: names and values in turn.
fn facts(sentinel: &Node, what: &str) -> Vec<Vec<String>> {
    match what {
        "MASTER" => sentinel.ask(&["SENTINEL", what, NAME]).map_or_else(|_| Vec::new(), |facts| vec![facts]),
        _ => sentinel.ask(&["SENTINEL", what, NAME]).unwrap_or_default(),
    }
}

fn field_of(facts: &[String], name: &str) -> Option<String> {
    facts.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone())
}
