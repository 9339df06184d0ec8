//! Nodes of a cluster as processes of their own: ours, or genuine ones.
#![allow(dead_code)] // Each test program uses a part of it.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::genuine::Genuine;
use crate::server::{PATIENCE, Raw, Server, free_port};

/// How far the port of the bus is above that for clients.
const BUS_DISTANCE: u16 = 10_000;
/// Silence after which a node is suspected, in ms: short, so that tests need not wait long.
pub const NODE_TIMEOUT_MS: u64 = 1500;
const ATTEMPTS: usize = 20;

/// A node.
pub struct Node {
    process: Process,
    pub port: u16,
    options: Vec<String>,
    /// What its connections log in with.
    login: Option<String>,
}

enum Process {
    Ours(Server),
    Genuine(Genuine),
}

/// A port that is free, as is the one of the bus.
pub fn port_with_bus() -> u16 {
    loop {
        let port = free_port();
        let bus = port.checked_add(BUS_DISTANCE);
        if bus.is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return port;
        }
    }
}

/// The options that every node is started with.
fn options(port: u16, more: &[&str]) -> Vec<String> {
    let port = port.to_string();
    let timeout = NODE_TIMEOUT_MS.to_string();
    let own = ["--port", &port, "--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
    let undelayed = ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];
    own.iter().chain(&undelayed).chain(more).map(|word| word.to_string()).collect()
}

fn words(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

impl Node {
    /// Starts one of ours.
    pub fn ours(more: &[&str]) -> Node {
        for _ in 0..ATTEMPTS {
            let port = port_with_bus();
            let options = options(port, more);
            let mut server = Server::launch(port, &words(&options));
            if server.wait_for_any(&["Ready to accept", "Failed listening on port"]).contains("Ready") {
                return Node { process: Process::Ours(server), port, options, login: None };
            }
        }
        panic!("no port could be had");
    }

    /// Starts a genuine one. None: there is no such program.
    pub fn genuine(program: &str, more: &[&str]) -> Option<Node> {
        for _ in 0..ATTEMPTS {
            let port = port_with_bus();
            let options = options(port, more);
            let mut genuine = Genuine::launch(program, None, &words(&options))?;
            genuine.port = port;
            if genuine.wait_until_ready().is_ok() {
                return Some(Node { process: Process::Genuine(genuine), port, options, login: None });
            }
        }
        panic!("{program} does not come up");
    }

    /// Whether it is one of ours.
    pub fn is_ours(&self) -> bool {
        matches!(self.process, Process::Ours(_))
    }

    /// Where its data are.
    pub fn folder(&self) -> &Path {
        match &self.process {
            Process::Ours(server) => &server.folder,
            Process::Genuine(genuine) => &genuine.folder,
        }
    }

    /// One of ours, as a server.
    pub fn server(&mut self) -> &mut Server {
        match &mut self.process {
            Process::Ours(server) => server,
            Process::Genuine(_) => panic!("it is a genuine one"),
        }
    }

    /// From now on clients have to log in with this password.
    pub fn require_password(&mut self, password: &str) {
        self.expect(&format!("CONFIG SET requirepass {password}"), "+OK");
        self.login = Some(password.to_string());
    }

    /// The port that other nodes meet it at: that of the clients whose links are like those of the bus.
    pub fn meeting_port(&self) -> u16 {
        let value = |name| {
            let place = self.options.iter().rposition(|option| option == name)?;
            self.options.get(place + 1)
        };
        match value("--tls-cluster").is_some_and(|value| value == "yes") {
            true => value("--tls-port").and_then(|port| port.parse().ok()).expect("a port for TLS"),
            false => self.port,
        }
    }

    /// A bare connection, logged in where that is needed.
    pub fn connect(&self) -> Raw<TcpStream> {
        let mut client = connect_to(self.port);
        if let Some(password) = &self.login {
            client.ask(&format!("AUTH {password}"), "+OK\r\n");
        }
        client
    }

    /// A connection to its bus.
    pub fn connect_to_bus(&self) -> Raw<TcpStream> {
        connect_to(self.port + BUS_DISTANCE)
    }

    /// Its reply to one request: the text of a bulk reply, else the first line.
    pub fn ask(&self, request: &str) -> String {
        ask(&mut self.connect(), request)
    }

    /// Checks the first line of a reply.
    #[track_caller]
    pub fn expect(&self, request: &str, reply: &str) {
        assert_eq!(self.ask(request), reply, "{request}");
    }

    /// A field of CLUSTER INFO.
    pub fn cluster_field(&self, name: &str) -> String {
        field(&self.ask("CLUSTER INFO"), name)
    }

    /// A field of INFO.
    pub fn field(&self, name: &str) -> String {
        field(&self.ask("INFO"), name)
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.ask("CLUSTER MYID")
    }

    /// Whether it is a primary.
    pub fn is_primary(&self) -> bool {
        self.field("role") == "master"
    }

    /// Whether it follows a primary and has its data.
    pub fn is_synced(&self) -> bool {
        self.field("master_link_status") == "up"
    }

    /// Its line in what a node says of all.
    pub fn line_at(&self, other: &Node) -> String {
        let id = self.id();
        let nodes = other.ask("CLUSTER NODES");
        nodes.lines().find(|line| line.starts_with(&id)).unwrap_or_default().to_string()
    }

    /// Ends it without warning. Its files stay.
    pub fn kill(self) -> Stopped {
        match self.process {
            Process::Ours(mut server) => {
                server.signal("KILL");
                server.wait();
                Stopped { server: Some(server), port: self.port, options: self.options }
            }
            Process::Genuine(_) => Stopped { server: None, port: self.port, options: self.options },
        }
    }
}

/// A node that was killed.
pub struct Stopped {
    server: Option<Server>,
    pub port: u16,
    options: Vec<String>,
}

impl Stopped {
    /// Whether it can be started again.
    pub fn is_ours(&self) -> bool {
        self.server.is_some()
    }

    /// Where its data are.
    pub fn folder(&self) -> &Path {
        &self.server.as_ref().expect("it is one of ours").folder
    }

    /// Starts it again on its port.
    pub fn restart(self) -> Node {
        let server = self.server.expect("it is one of ours");
        let mut server = server.relaunch(&words(&self.options));
        server.port = self.port;
        server.wait_for_any(&["Ready to accept"]);
        Node { process: Process::Ours(server), port: self.port, options: self.options, login: None }
    }
}

fn connect_to(port: u16) -> Raw<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    Raw { stream }
}

/// The reply to one request: the text of a bulk reply, else the first line.
pub fn ask(client: &mut Raw<TcpStream>, request: &str) -> String {
    client.send(format!("{request}\r\n"));
    let line = client.line();
    match line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            let mut text = vec![0; length + 2];
            std::io::Read::read_exact(&mut client.stream, &mut text).expect("the whole reply");
            text.truncate(length);
            String::from_utf8(text).expect("plain text")
        }
        None => line,
    }
}

fn field(text: &str, name: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().to_string()
}

/// Waits until something holds; `what` describes the state if it does not.
#[track_caller]
pub fn wait_until(what: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {}", what());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// CLUSTER NODES of all nodes.
pub fn views(nodes: &[&Node]) -> String {
    nodes.iter().map(|node| format!("{}:\n{}\n", node.port, node.ask("CLUSTER NODES"))).collect()
}

/// Waits until all nodes say that the cluster is up, and know each other as they are.
#[track_caller]
pub fn wait_until_up(nodes: &[&Node]) {
    let count = nodes.len().to_string();
    let infos = || nodes.iter().map(|node| node.ask("CLUSTER INFO")).collect::<String>();
    wait_until(
        || format!("{}{}", infos(), views(nodes)),
        || {
            nodes.iter().all(|node| {
                node.cluster_field("cluster_state") == "ok" && node.cluster_field("cluster_known_nodes") == count
            })
        },
    );
}

/// Makes a cluster: the slots are shared out among the first nodes, so many of them, and the others follow them, one
/// after the other.
#[track_caller]
pub fn make_cluster(nodes: &[&Node], primaries: usize) {
    let count = nodes.len().to_string();
    for (number, node) in (1..).zip(nodes) {
        node.expect(&format!("CLUSTER SET-CONFIG-EPOCH {number}"), "+OK");
        nodes[0].expect(&format!("CLUSTER MEET 127.0.0.1 {}", node.meeting_port()), "+OK");
    }
    for (number, node) in nodes[..primaries].iter().enumerate() {
        let (first, end) = (16384 * number / primaries, 16384 * (number + 1) / primaries);
        node.expect(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1), "+OK");
    }
    let knows_all = |node: &&Node| {
        let view = node.ask("CLUSTER NODES");
        view.lines().count().to_string() == count && !view.contains("handshake")
    };
    wait_until(|| views(nodes), || nodes.iter().all(knows_all));
    for (number, node) in nodes[primaries..].iter().enumerate() {
        node.expect(&format!("CLUSTER REPLICATE {}", nodes[number % primaries].id()), "+OK");
    }
    wait_until_up(nodes);
    let replicas = nodes.len() - primaries;
    let knows_roles = |node: &&Node| node.ask("CLUSTER NODES").matches("slave ").count() == replicas;
    wait_until(|| views(nodes), || nodes.iter().all(knows_roles));
    wait_until(|| views(nodes), || nodes[primaries..].iter().all(|node| node.is_synced()));
}
