//! Clients that write all the time to whatever the Sentinels call the primary, and keep account of what was
//! acknowledged, when, and by whom.
#![allow(dead_code)] // Each test program uses a part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::Connection;

use crate::sentinel::{NAME, connect, request};

/// Between two writes of a client.
const PACE: Duration = Duration::from_millis(2);
/// After an attempt to find the primary that was in vain.
const PAUSE: Duration = Duration::from_millis(20);
/// How long WAIT waits for the replicas, in ms.
const WAIT_MS: &str = "100";

/// How the clients of a round write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// After each write they wait until so many replicas have it; 0 for none.
    pub replicas: usize,
}

/// One acknowledged write.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub client: usize,
    pub number: u64,
    pub at: Instant,
    /// The port of the server that has acknowledged it.
    pub port: u16,
    /// How many replicas had it, as WAIT has said.
    pub replicas: usize,
}

impl Written {
    /// The request that writes it: a string, a field of a hash, or a transaction.
    fn write(client: usize, number: u64, connection: &mut Connection) -> redis::RedisResult<()> {
        let text = number.to_string();
        match number % 3 {
            0 => request(&["SET", &string_key(client, number), &text]).query(connection),
            1 => request(&["HSET", &hash_key(client, number), &text, &text]).query(connection),
            _ => redis::pipe()
                .atomic()
                .cmd("SADD")
                .arg(set_key(client, number))
                .arg(number)
                .cmd("INCR")
                .arg(format!("transactions:{client}"))
                .ignore()
                .query(connection),
        }
    }

    /// The request whose reply is 1 if it is there.
    fn look(&self) -> redis::Cmd {
        let text = self.number.to_string();
        match self.number % 3 {
            0 => request(&["EXISTS", &string_key(self.client, self.number)]),
            1 => request(&["HEXISTS", &hash_key(self.client, self.number), &text]),
            _ => request(&["SISMEMBER", &set_key(self.client, self.number), &text]),
        }
    }
}

fn string_key(client: usize, number: u64) -> String {
    format!("string:{client}:{number}")
}

fn hash_key(client: usize, number: u64) -> String {
    format!("hash:{client}:{}", number / 300)
}

fn set_key(client: usize, number: u64) -> String {
    format!("set:{client}:{}", number / 300)
}

/// Those of the writes that a server does not have.
///
/// # Errors
///
/// It does not say: a Sentinel has closed the connection.
pub fn missing(written: &[Written], connection: &mut Connection) -> redis::RedisResult<Vec<Written>> {
    let mut missing = Vec::new();
    for part in written.chunks(500) {
        let mut pipeline = redis::pipe();
        for one in part {
            pipeline.add_command(one.look());
        }
        let found: Vec<bool> = pipeline.query(connection)?;
        missing.extend(part.iter().zip(found).filter(|(_, is_there)| !is_there).map(|(one, _)| *one));
    }
    Ok(missing)
}

/// Clients that write until the test stops them.
pub struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Written>>>,
}

/// One of them.
struct Writer {
    client: usize,
    next: u64,
    manner: Manner,
    /// It gives a silent server up soon, and asks the Sentinels; else it waits as long as it takes.
    is_impatient: bool,
    sentinels: Vec<u16>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Writers {
    /// Starts four. Each round of a test has numbers of its own.
    pub fn start(round: u64, manner: Manner, sentinels: &[u16]) -> Writers {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let start = |client: usize| {
            let writer = Writer {
                client,
                next: round * 1_000_000,
                manner,
                is_impatient: client.is_multiple_of(2),
                sentinels: sentinels.to_vec(),
                stop: Arc::clone(&stop),
                acknowledged: Arc::clone(&acknowledged),
            };
            std::thread::spawn(move || writer.run())
        };
        let threads = (0..4).map(start).collect();
        Writers { stop, acknowledged, threads }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends them; gives what was acknowledged.
    pub fn stop(self) -> Vec<Written> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("it writes to its end")).collect()
    }
}

impl Writer {
    fn run(mut self) -> Vec<Written> {
        let mut written = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            match self.find_primary() {
                Some((port, connection)) => self.write_to(port, connection, &mut written),
                None => std::thread::sleep(PAUSE),
            }
        }
        written
    }

    /// A connection to the server that a Sentinel calls the primary, if that says so itself.
    fn find_primary(&mut self) -> Option<(u16, Connection)> {
        self.sentinels.rotate_left(1);
        let mut sentinel = connect(self.sentinels[0], Duration::from_millis(500)).ok()?;
        let address: Vec<String> = request(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).query(&mut sentinel).ok()?;
        let port = address.get(1)?.parse().ok()?;
        let patience = if self.is_impatient { Duration::from_millis(700) } else { Duration::from_secs(30) };
        let mut connection = connect(port, patience).ok()?;
        let role: Vec<redis::Value> = request(&["ROLE"]).query(&mut connection).ok()?;
        let is_primary = role.first() == Some(&redis::Value::BulkString(b"master".to_vec()));
        is_primary.then_some((port, connection))
    }

    /// Writes until that fails.
    fn write_to(&mut self, port: u16, mut connection: Connection, written: &mut Vec<Written>) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next;
            self.next += 1;
            if Written::write(self.client, number, &mut connection).is_err() {
                return;
            }
            let at = Instant::now();
            let waited = (self.manner.replicas > 0).then(|| {
                let wanted = self.manner.replicas.to_string();
                request(&["WAIT", &wanted, WAIT_MS]).query::<usize>(&mut connection)
            });
            let replicas = waited.as_ref().and_then(|result| result.as_ref().ok()).copied().unwrap_or_default();
            written.push(Written { client: self.client, number, at, port, replicas });
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            if waited.is_some_and(|result| result.is_err()) {
                return;
            }
            std::thread::sleep(PACE);
        }
    }
}
