//! The test's handle of a server.

use std::any::Any;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::connection::TestConnection;
use super::content::Entry;
use super::error::TestError;
use super::stage::{Order, Plan, Stage};
use crate::base::wake::Wake;
use crate::engine::removal;
use crate::storage::file::operations::simulated::Operation;

/// Room for the stack of the server's thread, as the first thread of a process has it.
const STACK_BYTES: usize = 8 << 20;

/// What the thread says once the server is ready: how it is woken, and its port.
type Started = Result<(Wake, u16), String>;

/// How the thread has ended: with the message of its panic, or in good order.
type Outcome = Arc<OnceLock<Option<String>>>;

/// A running server. Dropping it stops it.
pub struct TestServer {
    orders: Sender<Order>,
    wake: Wake,
    port: u16,
    unix_path: Option<PathBuf>,
    thread: Option<JoinHandle<()>>,
    outcome: Outcome,
    /// Whether the test knows of the thread's panic.
    is_told: AtomicBool,
}

impl TestServer {
    pub(super) fn launch(plan: Plan, unix_path: Option<PathBuf>) -> Result<TestServer, TestError> {
        let (orders, received) = channel();
        let (started, is_started) = channel::<Started>();
        let outcome = Outcome::default();
        let told = Arc::clone(&outcome);
        let work = move || {
            let served = catch_unwind(AssertUnwindSafe(|| match Stage::set(plan, received) {
                Ok((stage, port)) => {
                    let _ = started.send(Ok((stage.wake(), port)));
                    stage.run();
                }
                Err(reason) => drop(started.send(Err(reason))),
            }));
            let _ = told.set(served.err().map(|panic| message(panic.as_ref())));
        };
        let thread = Builder::new().name("oneloop".to_string()).stack_size(STACK_BYTES).spawn(work)?;
        match is_started.recv() {
            Ok(Ok((wake, port))) => {
                let (thread, is_told) = (Some(thread), AtomicBool::new(false));
                Ok(TestServer { orders, wake, port, unix_path, thread, outcome, is_told })
            }
            Ok(Err(reason)) => Err(TestError::Refused(reason)),
            Err(_) => Err(ended(&outcome)),
        }
    }

    /// The port of the loopback interface on which it listens; 0 without one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket on which it listens, if the builder was asked for one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = oneloop::testing::TestServer::builder().unix_socket().start()?;
    /// let path = server.unix_socket().expect("it was asked for");
    /// let url = format!("unix://{}", path.display());
    /// let mut client = redis::Client::open(url)?.get_connection()?;
    /// redis::cmd("PING").exec(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unix_socket(&self) -> Option<&Path> {
        self.unix_path.as_deref()
    }

    /// Where clients find it: `redis://127.0.0.1:PORT/`. Empty if it does not listen.
    pub fn url(&self) -> String {
        match self.port {
            0 => String::new(),
            port => format!("redis://127.0.0.1:{port}/"),
        }
    }

    /// A new client's connection, which needs no port.
    ///
    /// # Errors
    ///
    /// The server has ended, or the system refuses a pair of sockets.
    pub fn connect(&self) -> Result<TestConnection, TestError> {
        let (own, other) = UnixStream::pair()?;
        self.ask(move |stage| stage.connect(other))??;
        Ok(TestConnection::new(own))
    }

    /// Moves the virtual clock on. When this returns, keys whose time is over are gone, and clients whose time is over
    /// have been replied to; advanced by exactly its TTL, a key is gone. A client has to have sent its request before,
    /// to be one of them.
    ///
    /// # Errors
    ///
    /// The server has ended, or has no virtual clock.
    ///
    /// ```
    /// use oneloop::testing::{TestServer, Value};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::builder().virtual_clock().start()?;
    /// let mut worker = server.connect()?;
    /// worker.send(&["BLPOP", "jobs", "30"])?;
    /// server.advance(Duration::from_secs(30))?;
    /// assert_eq!(worker.receive()?, Value::Nil);
    /// # Ok(())
    /// # }
    /// ```
    pub fn advance(&self, duration: Duration) -> Result<(), TestError> {
        match self.ask(move |stage| stage.advance(duration))? {
            true => Ok(()),
            false => Err(TestError::Refused("the server has no virtual clock".to_string())),
        }
    }

    /// The keys of a database that have not expired, in alphabetical order. Leaves no trace in the server.
    ///
    /// # Errors
    ///
    /// The server has ended, or has no such database.
    pub fn keys(&self, database: usize) -> Result<Vec<Vec<u8>>, TestError> {
        self.look(database, move |stage| {
            let keyspace = &stage.state().keyspace;
            let live = keyspace.database(database).records().iter().filter(|record| !record.is_due(keyspace.now_ms));
            let mut keys: Vec<Vec<u8>> = live.map(|record| record.key().to_vec()).collect();
            keys.sort_unstable();
            keys
        })
    }

    /// A key with its type, its value and the time until it expires; none if it is not there. Leaves no trace in the
    /// server: it counts neither as a use of the key nor as a hit.
    ///
    /// # Errors
    ///
    /// The server has ended, or has no such database.
    ///
    /// ```
    /// use oneloop::testing::{Content, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start()?;
    /// let mut client = server.connect()?;
    /// client.command(&["ZADD", "ages", "36", "Ada", "41", "Alan"])?;
    /// let ages = server.entry(0, "ages")?.expect("the key is there");
    /// assert_eq!(ages.content.type_name(), "zset");
    /// assert_eq!(ages.content, Content::SortedSet(vec![(b"Ada".to_vec(), 36.0), (b"Alan".to_vec(), 41.0)]));
    /// assert_eq!(server.entry(0, "names")?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry(&self, database: usize, key: impl AsRef<[u8]>) -> Result<Option<Entry>, TestError> {
        let key = key.as_ref().to_vec();
        self.look(database, move |stage| {
            let keyspace = &stage.state().keyspace;
            keyspace.live(database, &key).map(|record| Entry::of(record, keyspace.now_ms))
        })
    }

    /// Bytes of memory in use, as INFO's `used_memory` shows and `maxmemory` limits them.
    ///
    /// # Errors
    ///
    /// The server has ended.
    pub fn used_memory(&self) -> Result<usize, TestError> {
        self.ask(|stage| stage.state().used_memory())
    }

    /// Breaks each open connection off once so many more bytes of replies have been sent to it. With 0, a request is
    /// still run, and the client does not learn of it. Connections that are made later are whole.
    ///
    /// # Errors
    ///
    /// The server has ended.
    ///
    /// ```
    /// # use oneloop::testing::{TestServer, Value};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start()?;
    /// let mut client = server.connect()?;
    /// server.drop_connections_after(0)?;
    /// assert!(client.command(&["INCR", "counter"]).is_err());
    /// // The increment was not lost: a client that tries again counts twice.
    /// assert_eq!(server.connect()?.command(&["INCR", "counter"])?, Value::Integer(2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn drop_connections_after(&self, bytes: usize) -> Result<(), TestError> {
        self.ask(move |stage| stage.drop_after(bytes))
    }

    /// Has all replies leave so much later from now on, on all connections; zero ends it. By the virtual clock, if the
    /// server has one: then they leave when it is advanced.
    ///
    /// # Errors
    ///
    /// The server has ended.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = oneloop::testing::TestServer::start()?;
    /// let mut client = redis::Client::open(server.url())?.get_connection()?;
    /// client.set_read_timeout(Some(Duration::from_millis(20)))?;
    /// server.delay_replies(Duration::from_millis(500))?;
    /// assert!(redis::cmd("PING").exec(&mut client).is_err_and(|error| error.is_timeout()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn delay_replies(&self, delay: Duration) -> Result<(), TestError> {
        self.ask(move |stage| stage.delay(delay))
    }

    /// Has the next `fsync` fail: of the append-only file, if it is on, or of the next snapshot. Under `appendfsync
    /// always` the server ends by that, as Redis does.
    ///
    /// # Errors
    ///
    /// The server has ended.
    ///
    /// ```
    /// # use oneloop::testing::{TestServer, Value};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start()?;
    /// let mut client = server.connect()?;
    /// server.fail_next_sync()?;
    /// assert!(matches!(client.command(&["SAVE"])?, Value::Error(_)));
    /// assert_eq!(client.command(&["SAVE"])?, Value::text("OK"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_next_sync(&self) -> Result<(), TestError> {
        self.ask(|stage| stage.disk().fail_next(Operation::Sync))
    }

    /// Evicts up to so many keys now, as if memory were short: those that `maxmemory-policy` chooses, random ones under
    /// `noeviction`. Gives how many that were.
    ///
    /// # Errors
    ///
    /// The server has ended.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = oneloop::testing::TestServer::builder().config("maxmemory-policy", "volatile-ttl").start()?;
    /// let mut client = server.connect()?;
    /// client.command(&["SET", "kept", "value"])?;
    /// client.command(&["SET", "cached", "value", "EX", "60"])?;
    /// assert_eq!(server.evict(10)?, 1);
    /// assert_eq!(server.keys(0)?, [b"kept"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn evict(&self, keys: usize) -> Result<usize, TestError> {
        self.ask(move |stage| removal::evict_keys(stage.state(), keys))
    }

    /// Has commands be refused with LOADING from now on, as while a server loads its data, or no longer.
    ///
    /// # Errors
    ///
    /// The server has ended.
    ///
    /// ```
    /// # use oneloop::testing::{TestServer, Value};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start()?;
    /// let mut client = server.connect()?;
    /// server.answer_loading(true)?;
    /// assert!(matches!(client.command(&["GET", "key"])?, Value::Error(error) if error.starts_with("LOADING")));
    /// server.answer_loading(false)?;
    /// assert_eq!(client.command(&["GET", "key"])?, Value::Nil);
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer_loading(&self, answers: bool) -> Result<(), TestError> {
        self.ask(move |stage| {
            let state = stage.state();
            state.debug.answers_loading = answers;
            state.update_restrictions();
        })
    }

    /// Breaks the link to the primary and keeps the primary out of reach, until [`TestServer::find_primary`].
    ///
    /// # Errors
    ///
    /// The server has ended, or is no replica.
    ///
    /// ```
    /// # use oneloop::testing::{TestServer, Value};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let primary = TestServer::start()?;
    /// let replica = TestServer::builder()
    ///     .config("replicaof", format!("127.0.0.1 {}", primary.port()))
    ///     .config("replica-serve-stale-data", "no")
    ///     .start()?;
    /// replica.lose_primary()?;
    /// let refused = replica.connect()?.command(&["GET", "key"])?;
    /// assert!(matches!(refused, Value::Error(error) if error.starts_with("MASTERDOWN")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lose_primary(&self) -> Result<(), TestError> {
        self.set_primary_lost(true)
    }

    /// Lets the server reach its primary again, within a second of its clock.
    ///
    /// # Errors
    ///
    /// The server has ended, or is no replica.
    pub fn find_primary(&self) -> Result<(), TestError> {
        self.set_primary_lost(false)
    }

    fn set_primary_lost(&self, is_lost: bool) -> Result<(), TestError> {
        match self.ask(move |stage| stage.lose_primary(is_lost))? {
            true => Ok(()),
            false => Err(TestError::Refused("the server is no replica".to_string())),
        }
    }

    /// Stops the server, as dropping it does.
    ///
    /// # Errors
    ///
    /// The server's thread has panicked.
    pub fn stop(mut self) -> Result<(), TestError> {
        match self.join() {
            Some(message) => Err(TestError::Panicked(message)),
            None => Ok(()),
        }
    }

    /// Looks into a database.
    fn look<T: Send + 'static>(
        &self,
        database: usize,
        look: impl FnOnce(&mut Stage) -> T + Send + 'static,
    ) -> Result<T, TestError> {
        let seen = self.ask(move |stage| (database < stage.state().keyspace.count()).then(|| look(stage)))?;
        seen.ok_or_else(|| TestError::Refused(format!("there is no database {database}")))
    }

    /// Has the server's thread do something between two turns, and gives what comes of it once the loop is at rest.
    fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Stage) -> T + Send + 'static) -> Result<T, TestError> {
        let (answer, answers) = channel();
        let order: Order = Box::new(move |stage| {
            let result = work(stage);
            stage.settle();
            let _ = answer.send(result);
        });
        if self.orders.send(order).is_ok() {
            self.wake.wake();
            if let Ok(result) = answers.recv() {
                return Ok(result);
            }
        }
        let error = ended(&self.outcome);
        self.is_told.fetch_or(matches!(error, TestError::Panicked(_)), Ordering::Relaxed);
        Err(error)
    }

    /// Stops the server and waits for its thread; gives the message of a panic that the test does not know of.
    fn join(&mut self) -> Option<String> {
        // A server that has ended by itself takes no orders.
        let _ = self.orders.send(Box::new(Stage::stop));
        self.wake.wake();
        // The thread catches its own panics.
        let _ = self.thread.take()?.join();
        let is_told = self.is_told.swap(true, Ordering::Relaxed);
        self.outcome.get().cloned().flatten().filter(|_| !is_told)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(message) = self.join()
            && !std::thread::panicking()
        {
            panic!("{}", TestError::Panicked(message));
        }
    }
}

impl std::fmt::Debug for TestServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TestServer").field("port", &self.port).field("unix", &self.unix_path).finish()
    }
}

/// How a thread has ended that takes no orders any more.
fn ended(outcome: &Outcome) -> TestError {
    match outcome.wait() {
        Some(message) => TestError::Panicked(message.clone()),
        None => TestError::Ended,
    }
}

/// The text of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown cause".to_string())
}
