//! The script debugger of the built program beside a genuine redis-server's: the same sessions, byte for byte; and in
//! `redis-cli --ldb`.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use genuine::Genuine;
use server::{PATIENCE, Server};

/// After how many ms a script that does not end stops.
const THRESHOLD_MS: &str = "200";

fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

struct Client(TcpStream);

impl Client {
    fn new(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client(stream)
    }

    fn send(&mut self, words: &[&str]) {
        self.0.write_all(&request(words)).expect("the server reads");
    }

    /// One line, with its end; none if the connection is closed.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            if self.0.read(&mut byte).ok()? == 0 {
                return None;
            }
            line.push(byte[0]);
        }
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    /// What the debugger says at a time: an array of lines.
    fn told(&mut self) -> Option<String> {
        let head = self.line()?;
        let count: usize = head[1..].trim_end().parse().ok()?;
        let lines: Option<Vec<String>> = (0..count).map(|_| self.line()).collect();
        Some(head + &lines?.concat())
    }

    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// A whole session: all that the client is told, and then how many keys there are.
fn session(port: u16, mode: &str, case: &Case) -> Vec<String> {
    let mut other = Client::new(port);
    other.send(&["FLUSHALL"]);
    other.line();
    let mut client = Client::new(port);
    client.send(&["SCRIPT", "DEBUG", mode]);
    let mut said = vec![client.line().expect("a reply")];
    client.send(&["EVAL", case.script, "1", "key", "one", "two"]);
    let mut commands = case.commands.iter();
    loop {
        let told = client.told().expect("the session goes on");
        let is_over = told.ends_with("+<endsession>\r\n");
        said.push(told);
        if is_over {
            break;
        }
        // Afterwards every line is a step.
        let command = commands.next().copied().unwrap_or("s");
        said.push(format!("> {command}"));
        client.send(&command.split(' ').collect::<Vec<_>>());
    }
    said.push(client.rest());
    other.send(&["DBSIZE"]);
    said.extend(other.line());
    said
}

struct Case {
    script: &'static str,
    /// Each a line of words.
    commands: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case { script: "local x=1\nlocal y=2\nreturn x+y", commands: &[] },
    Case {
        script: "local x=1\nlocal y='a\\n\\0b'\nlocal t={1,2,{3,'x'}}\nlocal m={a=1}\nlocal f=nil\nlocal b=true\nlocal n=1.5\nlocal big=1e100\nreturn 1",
        commands: &[
            "s",
            "s",
            "s",
            "s",
            "s",
            "s",
            "s",
            "s",
            "p",
            "print t",
            "p m",
            "p KEYS",
            "p ARGV",
            "p nope",
            "l",
            "list 3",
            "l 3 1",
            "l 0",
            "l -1",
            "w",
            "b",
            "b 2 4",
            "b",
            "b 99",
            "b x",
            "b -2",
            "b -2",
            "b 0",
            "t",
            "e 1+1",
            "e x",
            "eval return 5",
            "e ((",
            "e local z=1",
            "e error('boom')",
            "e redis.call('set','a','1')",
            "r set a 1",
            "r get a",
            "r nosuch",
            "r get",
            "redis keys *",
            "m",
            "m 10",
            "m 0",
            "m 100",
            "help",
            "h",
            "bogus",
            "r",
            "p a b",
            "A",
        ],
    },
    Case {
        script: "redis.call('set','k','v')\nlocal v=redis.call('get','k')\nredis.call('lpush','l','a','b','c')\nlocal l=redis.call('lrange','l',0,-1)\nlocal e=redis.pcall('incr','l')\nredis.call('mset','1','2','3','4','5','6','7','8','9','10','11','12')\nreturn redis.call('get','nokey')",
        commands: &[],
    },
    Case {
        script: "local function f(a)\n  local b=a*2\n  return b\nend\nlocal x=f(1)\nlocal y=f(x) + f(x)\nfor i=1,3 do\n  x=x+i\nend\nreturn x",
        commands: &["s", "s", "s", "t", "p", "p x", "p a"],
    },
    Case {
        script: "local a=1\nredis.breakpoint()\nredis.debug('x',1,{1,2},nil,true)\nlocal b=2\nreturn {a,b}",
        commands: &["c", "c"],
    },
    Case { script: "local a=1\nlocal b=2\nlocal c=3\nreturn c", commands: &["b 3", "c", "l", "w", "c"] },
    Case { script: "redis.call('incr','a')\nredis.call('nosuch')\nreturn 1", commands: &[] },
    Case { script: "local a = 1\nerror('xx')\nreturn 1", commands: &[] },
    Case { script: "local a = (\nreturn", commands: &[] },
    Case { script: "local t = {}\nt[1] = t\nreturn 1", commands: &["s", "s", "p t"] },
    Case {
        script: "local s = string.rep('x',1000)\nlocal u = s\nreturn redis.call('echo',s)",
        commands: &["s", "p s", "s", "p u", "m 0", "p s"],
    },
    Case {
        script: "redis.setresp(3)\nredis.call('hset','h','f','v')\nlocal h=redis.call('hgetall','h')\nredis.call('sadd','st','x')\nlocal m=redis.call('smembers','st')\nredis.call('zadd','z',1.5,'m')\nlocal z=redis.call('zscore','z','m')\nlocal n=redis.call('get','no')\nreturn 1",
        commands: &[],
    },
    Case {
        script: "table.sort({3,1,2},function(a,b)\n  return a<b\nend)\nlocal ok=pcall(function()\n  error('x')\nend)\nlocal co=coroutine.create(function()\n  coroutine.yield(1)\n  return 2\nend)\ncoroutine.resume(co)\ncoroutine.resume(co)\nreturn 1",
        commands: &[],
    },
    Case { script: "local n=0\nwhile true do n=n+1 end", commands: &["c", "b", "a"] },
    Case {
        script: "local function fact(n)\n  if n<=1 then return 1 end\n  return n*fact(n-1)\nend\nreturn fact(3)",
        commands: &[],
    },
    Case {
        script: "local r = redis.pcall('set','x')\nlocal e = redis.error_reply('MY err')\nlocal s = redis.status_reply(1)\nlocal w = redis.pcall('lpush','str')\nreturn w",
        commands: &[],
    },
    Case {
        script: "local a = redis.call('incr','x') + 1\nlocal s = string.format('%d',a) .. tostring(a)\nlocal t={} for i=1,3 do\n t[i]=i end\nif a==2 then s='b' end\nlocal function g(...) return select('#',...) end\nlocal n=g(1,2,3)\nreturn {s,n}",
        commands: &[],
    },
    Case {
        script: "local f = function() error({err='MY own'}) end\nlocal ok, e = pcall(f)\nlocal a =\n  1 +\n  2\nf()",
        commands: &[],
    },
    Case { script: "", commands: &[] },
    Case { script: "-- only\n-- comments", commands: &[] },
    Case { script: "\n\nlocal a=1\n-- comment\n\nlocal b=a\nreturn b\n\n", commands: &["w"] },
];

#[test]
fn sessions_are_those_of_a_genuine_server() {
    let options = ["--busy-reply-threshold", THRESHOLD_MS];
    let Some(genuine) = Genuine::start("redis-server", &options) else {
        println!("SKIP: redis-server cannot be started");
        return;
    };
    let server = Server::start(&["--busy-reply-threshold", THRESHOLD_MS]);
    for case in CASES {
        for mode in ["yes", "sync"] {
            let expected = session(genuine.port, mode, case);
            let said = session(server.port, mode, case);
            for (said, expected) in said.iter().zip(&expected) {
                assert_eq!(said, expected, "{mode}: {}", case.script);
            }
            assert_eq!(said.len(), expected.len());
        }
    }
}

#[test]
fn redis_cli_debugs() {
    let server = Server::start(&[]);
    let script = server.folder.join("script.lua");
    let text = "local x = redis.call('set', KEYS[1], ARGV[1])\nreturn x";
    std::fs::write(&script, text).expect("the folder is writable");
    for (option, end, kept) in [
        ("--ldb", "dataset changes rolled back", "$-1\r\n"),
        ("--ldb-sync-mode", "(Lua debugging session ended)", "$5\r\nvalue\r\n"),
    ] {
        let spawned = Command::new("redis-cli")
            .args(["-p", &server.port.to_string(), option, "--eval"])
            .arg(&script)
            .args(["key", ",", "value"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            println!("SKIP: redis-cli cannot be started");
            return;
        };
        let mut input = child.stdin.take().expect("its input is piped");
        input.write_all(b"s\np x\nc\n").expect("it reads its input");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let shown = String::from_utf8_lossy(&output.stdout);
        for part in [
            "-> 1   local x = redis.call('set', KEYS[1], ARGV[1])",
            "<redis> set key value",
            "<reply> \"+OK\"",
            "<value> {[\"ok\"]=\"OK\"}",
            end,
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        let mut client = server.connect();
        client.ask("GET key", kept);
    }
}

/// Others are answered when a synchronous session is over, be it that its client has gone.
#[test]
fn others_wait_for_a_synchronous_session() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let mut client = Client::new(server.port);
    client.send(&["SCRIPT", "DEBUG", "SYNC"]);
    client.line();
    client.send(&["EVAL", "redis.call('set', 'k', 'v')\nreturn 1", "0"]);
    assert!(client.told().expect("it stops").contains("Stopped at 1"));
    other.send("GET k\r\n");
    client.send(&["s"]);
    assert!(client.told().expect("it stops").contains("Stopped at 2"));
    drop(client);
    other.expect("$1\r\nv\r\n");
}
