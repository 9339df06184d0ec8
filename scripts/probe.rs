//! Loads keys into a server and measures how long a quiet client waits meanwhile: the instrument behind
//! `scripts/bench`.
//!
//! Both clients live in one mio loop, so that no scheduler stands between them. The *loader* sends one command many
//! times, `--in-flight` at once and no more than `--rate` a second, and sends no more before all are answered: a ping
//! can queue behind one small batch at most, so any longer wait is the server's own. The *quiet client* sends PING
//! every `--ping-us` (0: never).
//!
//! Usage: `probe --port N [options] [COMMAND [ARGUMENT…]]`, where `{i}` in an argument becomes twelve digits that count
//! upwards. Only commands whose reply is one line, or one string, are counted rightly. The result is one line of JSON.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

const LOADER: Token = Token(0);
const QUIET: Token = Token(1);
const HOLE: &[u8] = b"{i}";
const HOLE_DIGITS: usize = 12;
const DATABASE_SIZE_INTERVAL: Duration = Duration::from_millis(10);
/// A wait this long is counted.
const LONG_WAIT: Duration = Duration::from_millis(2);
/// A wait this long is worth asking the kernel whether the server was kept off its core.
const SUSPECT_WAIT: Duration = Duration::from_micros(100);

type Failure = Box<dyn std::error::Error>;

struct Options {
    port: u16,
    count: u64,
    in_flight: u64,
    /// Requests a second at most, if that is limited.
    rate: Option<u64>,
    ping_interval: Option<Duration>,
    server_process: Option<u32>,
    until_empty: bool,
    tail: Duration,
    limit: Duration,
    command: Vec<String>,
}

fn main() -> Result<(), Failure> {
    let options = Options::from_arguments(std::env::args().skip(1))?;
    let mut probe = Probe::new(&options)?;
    probe.run()?;
    println!("{}", probe.report());
    Ok(())
}

impl Options {
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
        let mut arguments = arguments.peekable();
        let mut given: HashMap<String, u64> = HashMap::new();
        let mut until_empty = false;
        while let Some(name) = arguments.next_if(|argument| argument.starts_with("--")) {
            if name == "--until-empty" {
                until_empty = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            given.insert(name, value.parse()?);
        }
        let mut take = |name: &str, default: u64| given.remove(name).unwrap_or(default);
        let options = Options {
            port: u16::try_from(take("--port", 0))?,
            count: take("--count", 1),
            in_flight: take("--in-flight", 64),
            rate: Some(take("--rate", 0)).filter(|&rate| rate > 0),
            ping_interval: Some(take("--ping-us", 0)).filter(|&micros| micros > 0).map(Duration::from_micros),
            server_process: u32::try_from(take("--server-pid", 0)).ok().filter(|&process| process > 0),
            until_empty,
            tail: Duration::from_millis(take("--tail-ms", 0)),
            limit: Duration::from_secs(take("--limit-s", 120)),
            command: arguments.collect(),
        };
        match given.into_keys().next() {
            Some(unknown) => Err(format!("unknown option {unknown}").into()),
            None if options.in_flight == 0 => Err("--in-flight must be at least 1".into()),
            None => Ok(options),
        }
    }
}

/// One command, encoded once; only the digits of its holes change from one request to the next.
struct Template {
    encoded: Vec<u8>,
    holes: Vec<usize>,
}

impl Template {
    fn new(command: &[String]) -> Template {
        let mut encoded = format!("*{}\r\n", command.len()).into_bytes();
        let mut holes = Vec::new();
        for argument in command {
            let mut rest = argument.as_bytes();
            let mut filled = Vec::new();
            let mut offsets = Vec::new();
            while let Some(position) = memchr::memmem::find(rest, HOLE) {
                filled.extend_from_slice(&rest[..position]);
                offsets.push(filled.len());
                filled.extend_from_slice(&[b'0'; HOLE_DIGITS]);
                rest = &rest[position + HOLE.len()..];
            }
            filled.extend_from_slice(rest);
            encoded.extend_from_slice(format!("${}\r\n", filled.len()).as_bytes());
            holes.extend(offsets.into_iter().map(|offset| encoded.len() + offset));
            encoded.extend_from_slice(&filled);
            encoded.extend_from_slice(b"\r\n");
        }
        Template { encoded, holes }
    }

    fn append_request(&mut self, number: u64, output: &mut Vec<u8>) {
        for &hole in &self.holes {
            let mut rest = number;
            for digit in self.encoded[hole..hole + HOLE_DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        output.extend_from_slice(&self.encoded);
    }
}

/// One client: what it still has to send, and how many one-line replies it is owed.
struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
    sent_length: usize,
    owed: u64,
    partial_line: Vec<u8>,
    first_error: Option<String>,
}

impl Client {
    fn connect(port: u16, poll: &Poll, token: Token) -> io::Result<Client> {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let (unsent, partial_line) = (Vec::new(), Vec::new());
        Ok(Client { stream, unsent, sent_length: 0, owed: 0, partial_line, first_error: None })
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.sent_length < self.unsent.len() {
            match self.stream.write(&self.unsent[self.sent_length..]) {
                Ok(written) => self.sent_length += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.unsent.clear();
        self.sent_length = 0;
        Ok(())
    }

    /// Takes in all replies that have arrived; gives back how many, and keeps the last one in `last_line`.
    fn receive(&mut self, last_line: &mut Vec<u8>) -> io::Result<u64> {
        let mut buffer = [0; 16 * 1024];
        let mut replies = 0;
        loop {
            let received = match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => &buffer[..length],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for piece in received.split_inclusive(|&byte| byte == b'\n') {
                self.partial_line.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    // The length of a string that is the next line; of a null there is none.
                    let is_header = self.partial_line.starts_with(b"$") && !self.partial_line.starts_with(b"$-");
                    replies += u64::from(!is_header);
                    if self.partial_line.starts_with(b"-") && self.first_error.is_none() {
                        self.first_error = Some(String::from_utf8_lossy(&self.partial_line).trim_end().to_owned());
                    }
                    std::mem::swap(last_line, &mut self.partial_line);
                    self.partial_line.clear();
                }
            }
        }
        self.owed = self.owed.saturating_sub(replies);
        Ok(replies)
    }
}

/// How long the kernel has kept a process waiting for a core; machine noise that is not the server's doing.
struct RunDelay(Option<File>);

impl RunDelay {
    fn total(&self) -> Duration {
        let mut text = [0; 128];
        let Some(length) = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()) else {
            return Duration::ZERO;
        };
        let text = String::from_utf8_lossy(&text[..length]);
        Duration::from_nanos(text.split(' ').nth(1).and_then(|field| field.parse().ok()).unwrap_or(0))
    }
}

/// The processor time that a process has used, all of its threads together.
struct ProcessorTime(Option<libc::clockid_t>);

impl ProcessorTime {
    fn of(process: Option<u32>) -> ProcessorTime {
        let mut clock = 0;
        let process = process.and_then(|process| libc::pid_t::try_from(process).ok());
        // SAFETY: the call only writes to the number that it is given.
        let is_found =
            process.is_some_and(|process| unsafe { libc::clock_getcpuclockid(process, &raw mut clock) } == 0);
        ProcessorTime(is_found.then_some(clock))
    }

    fn total(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call only writes to the structure that it is given.
        if self.0.is_some_and(|clock| unsafe { libc::clock_gettime(clock, &raw mut time) } == 0) {
            return Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        }
        Duration::ZERO
    }
}

struct Waits {
    histogram: Histogram<u64>,
    sent_at: Instant,
    delays: [RunDelay; 2],
    delays_before: [Duration; 2],
    longest: Duration,
    longest_at: Duration,
    longest_own: Duration,
    /// What the server has used of its core, and the most of it during one wait.
    processor_time: ProcessorTime,
    processor_time_before: Duration,
    longest_busy: Duration,
    /// Waits of two milliseconds and more, and those in which the server was busy for so long.
    long_count: u64,
    long_busy_count: u64,
}

impl Waits {
    fn record(&mut self, wait: Duration, interval: Duration, elapsed: Duration) {
        // A stall hides the pings that would have been sent during it; the histogram fills them in.
        let interval_nanos = interval.as_nanos() as u64;
        let outcome = self.histogram.record_correct(wait.as_nanos() as u64, interval_nanos);
        debug_assert!(outcome.is_ok(), "the time limit is below the histogram's upper bound");
        if wait > self.longest {
            self.longest = wait;
            self.longest_at = elapsed;
        }
        // Our own and the server's time off core may overlap, so only the longer of the two is taken off.
        let mut off_core = Duration::ZERO;
        if wait > SUSPECT_WAIT {
            for (delay, before) in self.delays.iter().zip(self.delays_before) {
                off_core = off_core.max(delay.total().saturating_sub(before));
            }
        }
        self.longest_own = self.longest_own.max(wait.saturating_sub(off_core));
        let busy = self.processor_time.total().saturating_sub(self.processor_time_before);
        self.longest_busy = self.longest_busy.max(busy);
        self.long_count += u64::from(wait >= LONG_WAIT);
        self.long_busy_count += u64::from(busy >= LONG_WAIT);
    }
}

struct Probe<'options> {
    options: &'options Options,
    poll: Poll,
    loader: Client,
    quiet: Client,
    template: Template,
    waits: Waits,
    batches: Histogram<u64>,
    batch_sent_at: Instant,
    /// The rate allows no other batch before this.
    next_batch_at: Instant,
    sent_count: u64,
    started_at: Instant,
    loaded_at: Option<Instant>,
    next_size_request: Instant,
    empty_at: Option<SystemTime>,
}

impl<'options> Probe<'options> {
    fn new(options: &'options Options) -> Result<Probe<'options>, Failure> {
        let poll = Poll::new()?;
        let loader = Client::connect(options.port, &poll, LOADER)?;
        let quiet = Client::connect(options.port, &poll, QUIET)?;
        let histogram = Histogram::new_with_bounds(1, 600_000_000_000, 3)?; // nanoseconds, up to ten minutes
        let server = options.server_process.map(|process| format!("/proc/{process}/schedstat"));
        let delays = [server, Some("/proc/self/schedstat".to_owned())];
        let now = Instant::now();
        let waits = Waits {
            histogram: histogram.clone(),
            sent_at: now,
            delays: delays.map(|path| RunDelay(path.and_then(|path| File::open(path).ok()))),
            delays_before: [Duration::ZERO; 2],
            longest: Duration::ZERO,
            longest_at: Duration::ZERO,
            longest_own: Duration::ZERO,
            processor_time: ProcessorTime::of(options.server_process),
            processor_time_before: Duration::ZERO,
            longest_busy: Duration::ZERO,
            long_count: 0,
            long_busy_count: 0,
        };
        Ok(Probe {
            options,
            poll,
            loader,
            quiet,
            template: Template::new(&options.command),
            waits,
            batches: histogram,
            batch_sent_at: now,
            next_batch_at: now,
            sent_count: if options.command.is_empty() { options.count } else { 0 },
            started_at: now,
            loaded_at: None,
            next_size_request: now,
            empty_at: None,
        })
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(8);
        let mut last_line = Vec::new();
        while !self.is_done() {
            if self.started_at.elapsed() > self.options.limit {
                return Err(format!("not done after {} s", self.options.limit.as_secs()).into());
            }
            self.send_batch()?;
            self.ask_database_size()?;
            self.send_ping()?;
            match self.poll.poll(&mut events, Some(self.idle_time())) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            // The quiet client's reply is taken first: its wait must not include our work for the loader.
            self.quiet.flush()?;
            if self.quiet.receive(&mut last_line)? > 0 {
                let interval = self.options.ping_interval.unwrap_or_default();
                self.waits.record(self.waits.sent_at.elapsed(), interval, self.started_at.elapsed());
            }
            self.loader.flush()?;
            if self.loader.receive(&mut last_line)? > 0 && self.loader.owed == 0 {
                self.finish_batch(&last_line);
            }
        }
        Ok(())
    }

    /// How long nothing but a reply can give us work.
    fn idle_time(&self) -> Duration {
        let until_ping = match self.options.ping_interval {
            Some(interval) if self.quiet.owed == 0 => interval.saturating_sub(self.waits.sent_at.elapsed()),
            _ => DATABASE_SIZE_INTERVAL,
        };
        let until_batch = match self.options.rate {
            Some(_) if self.loader.owed == 0 => self.next_batch_at.saturating_duration_since(Instant::now()),
            _ => DATABASE_SIZE_INTERVAL,
        };
        until_ping.min(until_batch).min(DATABASE_SIZE_INTERVAL)
    }

    fn is_done(&self) -> bool {
        let tail_is_over = self.loaded_at.is_some_and(|loaded_at| loaded_at.elapsed() >= self.options.tail);
        tail_is_over && self.loader.owed == 0 && (self.empty_at.is_some() || !self.options.until_empty)
    }

    fn send_batch(&mut self) -> io::Result<()> {
        let is_early = self.options.rate.is_some() && Instant::now() < self.next_batch_at;
        if self.loader.owed > 0 || self.loaded_at.is_some() || is_early {
            return Ok(());
        }
        let batch = self.options.in_flight.min(self.options.count - self.sent_count);
        if batch == 0 {
            self.loaded_at = Some(Instant::now());
            return Ok(());
        }
        for number in self.sent_count..self.sent_count + batch {
            self.template.append_request(number, &mut self.loader.unsent);
        }
        self.sent_count += batch;
        if let Some(rate) = self.options.rate {
            self.next_batch_at += Duration::from_secs_f64(batch as f64 / rate as f64);
        }
        self.loader.owed = batch;
        self.batch_sent_at = Instant::now();
        self.loader.flush()
    }

    fn finish_batch(&mut self, last_line: &[u8]) {
        if self.loaded_at.is_none() {
            self.batches.saturating_record(self.batch_sent_at.elapsed().as_nanos() as u64);
        } else if last_line == b":0\r\n" && self.empty_at.is_none() {
            self.empty_at = Some(SystemTime::now());
        }
    }

    fn ask_database_size(&mut self) -> io::Result<()> {
        let wanted = self.options.until_empty && self.loaded_at.is_some() && self.empty_at.is_none();
        if !wanted || self.loader.owed > 0 || Instant::now() < self.next_size_request {
            return Ok(());
        }
        self.next_size_request = Instant::now() + DATABASE_SIZE_INTERVAL;
        self.loader.unsent.extend_from_slice(b"*1\r\n$6\r\nDBSIZE\r\n");
        self.loader.owed = 1;
        self.loader.flush()
    }

    fn send_ping(&mut self) -> io::Result<()> {
        let due = self.options.ping_interval.is_some_and(|interval| self.waits.sent_at.elapsed() >= interval);
        if !due || self.quiet.owed > 0 {
            return Ok(());
        }
        for (before, delay) in self.waits.delays_before.iter_mut().zip(&self.waits.delays) {
            *before = delay.total();
        }
        self.waits.processor_time_before = self.waits.processor_time.total();
        self.quiet.unsent.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        self.quiet.owed = 1;
        self.waits.sent_at = Instant::now();
        self.quiet.flush()
    }

    fn report(&self) -> String {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let loaded_s = self.loaded_at.map_or(0.0, |at| (at - self.started_at).as_secs_f64());
        let empty_at_ms = self.empty_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_millis());
        let error = self.loader.first_error.as_deref().or(self.quiet.first_error.as_deref()).unwrap_or("");
        format!(
            concat!(
                r#"{{"count":{},"load_s":{:.4},"batch_median_us":{:.1},"batch_max_us":{:.1},"pings":{},"#,
                r#""wait_median_us":{:.1},"wait_p99_us":{:.1},"wait_p999_us":{:.1},"wait_max_us":{:.1},"#,
                r#""wait_max_own_us":{:.1},"wait_max_busy_us":{:.1},"waits_over_2ms":{},"busy_over_2ms":{},"#,
                r#""wait_max_at_s":{:.3},"empty_at_unix_ms":{},"error":{:?}}}"#
            ),
            self.sent_count,
            loaded_s,
            micros(self.batches.value_at_quantile(0.5)),
            micros(self.batches.max()),
            self.waits.histogram.len(),
            micros(self.waits.histogram.value_at_quantile(0.5)),
            micros(self.waits.histogram.value_at_quantile(0.99)),
            micros(self.waits.histogram.value_at_quantile(0.999)),
            micros(self.waits.longest.as_nanos() as u64),
            micros(self.waits.longest_own.as_nanos() as u64),
            micros(self.waits.longest_busy.as_nanos() as u64),
            self.waits.long_count,
            self.waits.long_busy_count,
            self.waits.longest_at.as_secs_f64(),
            empty_at_ms,
            error,
        )
    }
}
