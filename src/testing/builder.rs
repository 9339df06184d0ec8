//! What a server within a test is to be like.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::TestError;
use super::server::TestServer;
use super::stage::Plan;
use crate::base::sys::machine::Machine;
use crate::config::{Config, Directive, find};

/// Where the date of a virtual clock begins, in ms since the epoch: 14 November 2023, 22:13:20 UTC.
const VIRTUAL_START_MS: u64 = 1_700_000_000_000;

/// What a server within a test has other defaults for than one of its own: it saves only when it is told to.
const DEFAULTS: &str = "save \"\"\ncrash-log-enabled no\nset-proc-title no\nport 0\n";

/// Directives that belong to a process, or for which the builder has methods, besides those that have such an effect.
const REFUSED: &[&str] = &[
    "port",
    "bind",
    "unixsocket",
    "daemonize",
    "supervised",
    "pidfile",
    "logfile",
    "syslog-enabled",
    "syslog-ident",
    "syslog-facility",
    "always-show-logo",
    "include",
    "training",
    "cluster-enabled",
];

/// Unix sockets that this process has had.
static UNIX_SOCKETS: AtomicU64 = AtomicU64::new(0);

/// How clients connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sockets {
    Tcp,
    TcpAndUnix,
    Nothing,
}

/// Says what a [`TestServer`] is to be like, and starts it.
///
/// ```
/// use oneloop::testing::{TestServer, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = TestServer::builder().config("databases", "4").config("user", "ada on nopass ~* +@read").start()?;
/// let mut client = server.connect()?;
/// client.command(&["AUTH", "ada", ""])?;
/// let refused = client.command(&["SET", "key", "value"])?;
/// assert!(matches!(refused, Value::Error(error) if error.starts_with("NOPERM")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestServerBuilder {
    settings: Vec<(String, String)>,
    seed: Option<u64>,
    virtual_ms: Option<u64>,
    sockets: Sockets,
}

impl TestServer {
    /// Starts a server with a port, on the defaults.
    ///
    /// # Errors
    ///
    /// The system refuses a socket or a thread.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = oneloop::testing::TestServer::start()?;
    /// let mut client = redis::Client::open(server.url())?.get_connection()?;
    /// assert_eq!(redis::cmd("INCR").arg("visits").query::<u64>(&mut client)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start() -> Result<TestServer, TestError> {
        TestServer::builder().start()
    }

    /// A server that is yet to be described.
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder { settings: Vec::new(), seed: None, virtual_ms: None, sockets: Sockets::Tcp }
    }
}

impl TestServerBuilder {
    /// Adds a line of configuration: a directive, and its value as it stands in `redis.conf`.
    ///
    /// Directives that change the process are refused at the start, as `dir`, `logfile` and `daemonize`; so are `port`
    /// and `unixsocket`, which the builder chooses, and `cluster-enabled`. `save` is `""` unless it is given.
    #[must_use]
    pub fn config(mut self, directive: impl Into<String>, value: impl Into<String>) -> TestServerBuilder {
        self.settings.push((directive.into(), value.into()));
        self
    }

    /// Has everything random in the server follow from this number: RANDOMKEY, SRANDMEMBER, SPOP, evicted keys, the
    /// order of unordered replies, generated passwords. The ID of its replication history alone is always another.
    ///
    /// ```
    /// # use oneloop::testing::{TestError, TestServer, Value};
    /// fn drawn(seed: u64) -> Result<Value, TestError> {
    ///     let server = TestServer::builder().seed(seed).without_socket().start()?;
    ///     let mut client = server.connect()?;
    ///     client.command(&["SADD", "cards", "7", "8", "9", "10", "jack", "queen", "king", "ace"])?;
    ///     client.command(&["SRANDMEMBER", "cards", "-20"])
    /// }
    ///
    /// assert_eq!(drawn(1)?, drawn(1)?);
    /// assert_ne!(drawn(1)?, drawn(2)?);
    /// # Ok::<(), TestError>(())
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> TestServerBuilder {
        self.seed = Some(seed);
        self
    }

    /// Has the server's date stand still until [`TestServer::advance`] moves it: keys expire, and clients time out,
    /// only then. It begins at 1,700,000,000 seconds since the epoch.
    #[must_use]
    pub fn virtual_clock(mut self) -> TestServerBuilder {
        self.virtual_ms = Some(VIRTUAL_START_MS);
        self
    }

    /// Has the server listen on a Unix socket besides its port: [`TestServer::unix_socket`].
    #[must_use]
    pub fn unix_socket(mut self) -> TestServerBuilder {
        self.sockets = Sockets::TcpAndUnix;
        self
    }

    /// Has the server listen nowhere: [`TestServer::connect`] alone gives connections.
    #[must_use]
    pub fn without_socket(mut self) -> TestServerBuilder {
        self.sockets = Sockets::Nothing;
        self
    }

    /// Starts the server. It is ready when this returns, and its port is one that the system has chosen.
    ///
    /// # Errors
    ///
    /// A directive is refused, or the system refuses a socket or a thread.
    ///
    /// ```
    /// use oneloop::testing::TestServer;
    ///
    /// let refused = TestServer::builder().config("maxmemory", "much").start();
    /// assert!(refused.is_err_and(|error| error.to_string().contains("argument must be a memory value")));
    /// ```
    pub fn start(self) -> Result<TestServer, TestError> {
        let mut text = DEFAULTS.to_string();
        for (name, value) in &self.settings {
            check(name, value)?;
            let value = if value.is_empty() { "\"\"" } else { value };
            text += &format!("{name} {value}\n");
        }
        let unix_path = (self.sockets == Sockets::TcpAndUnix).then(unix_path);
        if let Some(path) = &unix_path {
            text += &format!("unixsocket {}\n", path.display());
        }
        let (config, statements) = Config::parse_text(text.as_bytes()).map_err(refused)?;
        let listener = match self.sockets {
            Sockets::Nothing => None,
            Sockets::Tcp | Sockets::TcpAndUnix => Some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?),
        };
        let plan = Plan { config, statements, seed: self.seed, virtual_ms: self.virtual_ms, listener };
        TestServer::launch(plan, unix_path)
    }
}

fn refused(error: impl ToString) -> TestError {
    TestError::Refused(error.to_string())
}

/// Refuses what would change the process, and what could be more than one line.
fn check(name: &str, value: &str) -> Result<(), TestError> {
    if name.contains(['\n', '\r', ' ']) || value.contains(['\n', '\r']) {
        return Err(refused(format!("'{name}' and its value are to be one line")));
    }
    let lower = name.to_ascii_lowercase();
    if REFUSED.contains(&lower.as_str()) || find(lower.as_bytes()).is_some_and(Directive::is_of_process) {
        return Err(refused(format!("'{name}' is not for a server within another program")));
    }
    Ok(())
}

fn unix_path() -> PathBuf {
    let number = UNIX_SOCKETS.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("oneloop-test-{}-{number}.sock", Machine::System.process_id()))
}
