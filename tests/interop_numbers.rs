//! The number formats against a genuine server: INCRBYFLOAT over thousands of seeded pairs, and
//! doubles as replies show them.
//!
//! With `redis-server` on the PATH or its path in `ORACLE_REDIS_SERVER`. The comparison of doubles
//! needs a newer server than Debian's and is left to `-- --ignored`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use oneloop::resp::number;
use oneloop::text::long_double::LongDouble;

struct Oracle {
    process: Child,
    /// Kept open, as the server goes on writing to it.
    _log: BufReader<ChildStdout>,
    stream: BufReader<TcpStream>,
    major_version: u32,
}

impl Oracle {
    /// Starts a server, or says loudly that there is none.
    fn start() -> Option<Oracle> {
        let program = std::env::var("ORACLE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let spawned = Command::new(&program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut process) = spawned else {
            eprintln!("SKIP: {program} cannot be started, nothing was compared");
            return None;
        };
        let mut log = BufReader::new(process.stdout.take().unwrap());
        let ready = log.by_ref().lines().any(|line| line.unwrap().contains("Ready to accept"));
        assert!(ready, "the server does not come up");
        let connection = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        let stream = BufReader::new(connection);
        let mut oracle = Oracle { process, _log: log, stream, major_version: 0 };
        let info = oracle.ask(&[&["INFO", "server"]]).remove(0);
        let version = info.split("redis_version:").nth(1).and_then(|rest| rest.split('.').next());
        oracle.major_version = version.and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(oracle)
    }

    /// Sends the commands in one pipeline; the replies' text.
    fn ask(&mut self, commands: &[&[&str]]) -> Vec<String> {
        let mut request = Vec::new();
        for command in commands {
            write!(request, "*{}\r\n", command.len()).unwrap();
            for argument in *command {
                write!(request, "${}\r\n{argument}\r\n", argument.len()).unwrap();
            }
        }
        self.stream.get_mut().write_all(&request).unwrap();
        commands.iter().map(|_| self.reply()).collect()
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let line = line.trim_end();
        let Some(len) = line.strip_prefix('$') else {
            return line.to_string();
        };
        let mut value = vec![0; len.parse::<usize>().unwrap() + 2];
        self.stream.read_exact(&mut value).unwrap();
        value.truncate(value.len() - 2);
        String::from_utf8(value).unwrap()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A number as clients may write it, from everyday to far-fetched.
fn number_text(random: &mut fastrand::Rng) -> String {
    let sign = ["", "-"][random.usize(..2)];
    match random.u8(..8) {
        0 => format!("{sign}{}", random.u32(..1000)),
        1 => format!("{sign}{}.{:02}", random.u32(..1000), random.u32(..100)),
        2 => format!("{sign}{}.{}", random.u64(..1 << 40), random.u64(..)),
        3 => format!("{sign}{}", random.u128(..) >> random.u32(..128)),
        4 => format!("{sign}{}.{}e{}", random.u32(..10), random.u64(..), random.i32(-40..40)),
        5 => format!("{sign}0.{:0width$}", random.u32(..), width = random.usize(1..30)),
        6 => format!("{sign}0x{:x}.{:x}p{}", random.u64(..), random.u64(..), random.i32(-90..90)),
        _ => format!("{sign}{:e}", f64::from_bits(random.u64(..) & 0x7fdf_ffff_ffff_ffff)),
    }
}

#[test]
fn incrbyfloat_adds_as_redis_does() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(4);
    let mut compared = 0;
    for _ in 0..200 {
        let pairs: Vec<(String, String)> =
            (0..100).map(|_| (number_text(&mut random), number_text(&mut random))).collect();
        let commands: Vec<[&str; 3]> = pairs
            .iter()
            .flat_map(|(value, increment)| [["SET", "k", value], ["INCRBYFLOAT", "k", increment]])
            .collect();
        let commands: Vec<&[&str]> = commands.iter().map(<[&str; 3]>::as_slice).collect();
        let replies = oracle.ask(&commands);
        for ((value, increment), reply) in pairs.iter().zip(replies.iter().skip(1).step_by(2)) {
            let sum = LongDouble::parse(value.as_bytes()).unwrap() + LongDouble::parse(increment.as_bytes()).unwrap();
            let mut text = Vec::new();
            sum.format(&mut text);
            assert_eq!(str::from_utf8(&text).unwrap(), reply, "{value} + {increment}");
            compared += 1;
        }
    }
    assert_eq!(compared, 20_000);
}

#[test]
#[ignore = "needs redis-server of version 7.2 or later"]
fn doubles_are_read_and_shown_as_by_redis() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let numbers: Vec<String> = (0..300).map(|_| number_text(&mut random)).collect();
        let commands: Vec<Vec<&str>> = numbers
            .iter()
            .flat_map(|text| [vec!["DEL", "k"], vec!["ZADD", "k", text, "m"], vec!["ZSCORE", "k", "m"]])
            .collect();
        let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
        let replies = oracle.ask(&commands);
        for (text, reply) in numbers.iter().zip(replies.chunks(3)) {
            let Some(value) = number::parse_f64(text.as_bytes()) else {
                assert!(reply[1].starts_with("-ERR value is not a valid float"), "{text}: {}", reply[1]);
                continue;
            };
            assert_eq!(reply[2].parse(), Ok(value), "{text}");
            let mut shown = Vec::new();
            // A zero's sign is lost in the sorted set.
            number::format_f64(if value == 0.0 { 0.0 } else { value }, &mut shown);
            // Before 7.2 doubles were shown with 17 digits at once.
            if oracle.major_version >= 8 {
                assert_eq!(str::from_utf8(&shown).unwrap(), reply[2], "{text}");
            }
        }
    }
}
