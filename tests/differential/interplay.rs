//! What is passed on where commands, transactions, scripts, functions and clients that wait meet: the append-only files
//! must be the same, to the byte but for times.

use std::time::Duration;

use oneloop::engine::session::Token;

use super::oracle::{Connection, Oracle};
use super::support::Harness;
use super::{Words, appended, config, line, shown};

/// Steps, one a line: the number of a client, then its command in which `_` stands for a space. `1>` is a command that
/// waits, `1<` the reply to it; `sleep` lets some milliseconds pass.
const SCENES: &[(&str, &str)] = &[
    (
        "keys expire within a transaction, a script, and while they are read",
        "0 PSETEX a 1 x\n0 PSETEX b 1 x\n0 PSETEX c 1 x\n0 PSETEX d 1 x\nsleep\n0 MULTI\n0 GET a\n0 INCR n\n0 EXISTS b\n\
         0 EXEC\n0 EVAL return_redis.call('exists','c') 0\n0 EVAL redis.call('incr','n')_redis.call('append','d','y') 0\n\
         0 GET d",
    ),
    (
        "a transaction with a single effect, with none, with errors",
        "0 MULTI\n0 SET a 1\n0 GET a\n0 EXEC\n0 MULTI\n0 GET a\n0 EXEC\n0 MULTI\n0 INCR a\n0 LPUSH a x\n0 INCR a\n0 EXEC\n\
         0 MULTI\n0 SELECT 2\n0 SET a 1\n0 SELECT 0\n0 SET a 2\n0 EXEC",
    ),
    (
        "scripts: none, one and several effects, errors after effects, other databases, expiry by now",
        "0 EVAL return_1 0\n0 EVAL redis.call('set','a',1) 0\n\
         0 EVAL redis.call('set','a',1)_redis.call('incr','a')_redis.call('expire','a',100) 0\n\
         0 EVAL redis.call('set','b',1)_redis.call('incr','nolist')_redis.call('lpush','nolist','x') 0\n\
         0 EVAL redis.call('select',3)_redis.call('set','c',1)_return_redis.call('dbsize') 0\n\
         0 EVAL redis.call('sadd','s','1','2','3')_return_#redis.call('spop','s',5) 0\n\
         0 EVAL redis.call('sadd','s','1')_redis.pcall('spop','s')_redis.pcall('incrbyfloat','f','1.5')_redis.pcall('getex','a','persist') 0\n\
         0 MULTI\n0 EVAL redis.call('set','a',1)_redis.call('set','b',1) 0\n0 EVAL return_1 0\n0 SET c 2\n0 EXEC\n\
         0 EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
    ),
    (
        "functions are loaded, replaced, deleted, restored and flushed",
        "0 FUNCTION LOAD #!lua_name=one\\nredis.register_function('f',function(keys)_redis.call('set',keys[1],'v')_return_redis.call('incr','n')_end)\n\
         0 FCALL f 1 k\n0 FUNCTION LOAD #!lua_name=one\\nredis.register_function('f',function()_end)\n\
         0 FUNCTION LOAD REPLACE #!lua_name=one\\nredis.register_function('f',function(keys)_return_redis.call('incr','n')_end)\n\
         0 FCALL f 0\n0 MULTI\n0 FCALL f 0\n0 FCALL f 0\n0 EXEC\n0 FUNCTION DELETE one\n0 FUNCTION DELETE one\n\
         0 FUNCTION LOAD #!lua_name=two\\nredis.register_function('g',function()_end)\n0 FUNCTION FLUSH\n0 FUNCTION FLUSH ASYNC",
    ),
    (
        "users and settings are not passed on",
        "0 ACL SETUSER u on nopass ~* +@all\n0 CONFIG SET maxmemory 0\n0 CLIENT NO-EVICT on\n0 SET a 1\n0 ACL DELUSER u\n0 PUBLISH c m\n\
         0 SCRIPT LOAD return_1\n0 SCRIPT FLUSH",
    ),
    (
        "results are stored",
        "0 RPUSH l 3 1 2\n0 SORT l STORE sorted\n0 SORT nothing STORE sorted\n0 SORT nothing STORE sorted\n\
         0 GEOADD g 13.361389 38.115556 P 15.087269 37.502669 C\n\
         0 GEORADIUS g 15 37 200 km STORE near\n0 GEOSEARCHSTORE far g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST\n\
         0 GEOSEARCHSTORE far nothing FROMLONLAT 15 37 BYRADIUS 200 km\n\
         0 SADD s 1 2 3\n0 SADD t 3 4\n0 SINTERSTORE u s t\n0 SDIFFSTORE u nothing s\n0 SUNIONSTORE u s t\n\
         0 ZADD z 1 a 2 b\n0 ZRANGESTORE zz z 0 -1\n0 ZUNIONSTORE zu 1 z\n0 ZINTERSTORE zu 2 z nothing\n0 BITOP AND bits n1 n2\n\
         0 SET n1 abc\n0 BITOP NOT bits n1\n0 PFADD h a\n0 PFMERGE hh h\n0 PFCOUNT h\n0 LMPOP 1 l LEFT COUNT 2\n0 ZMPOP 1 z MIN\n\
         0 LMPOP 2 nothing l LEFT COUNT 10\n0 ZMPOP 2 nothing z MAX COUNT 9\n0 SMOVE s t 1\n0 COPY s s2\n0 COPY s s2\n\
         0 COPY s s3 DB 2 REPLACE\n0 MOVE s 3\n0 MOVE s 3\n0 RENAMENX t u2\n0 RENAME u2 t\n0 GETDEL n1\n0 GETDEL n1",
    ),
    (
        "databases change places and are emptied",
        "0 SET a 1\n0 SWAPDB 0 1\n0 SWAPDB 0 0\n0 SELECT 1\n0 GET a\n0 FLUSHDB\n0 FLUSHDB\n0 SET a 1\n0 MULTI\n0 SET b 1\n0 FLUSHALL ASYNC\n0 SET c 1\n\
         0 EXEC\n0 FLUSHALL SYNC\n0 FLUSHALL\n0 SELECT 0\n0 SET d 1\n0 EVAL redis.call('flushdb')_redis.call('swapdb',0,2) 0",
    ),
    (
        "clients that waited are served: lists",
        "1> BLPOP q 0\n2> BRPOP none q 0\n0 RPUSH q a b c\n1<\n2<\n0 DEL q\n1> BLMOVE q r LEFT RIGHT 0\n2> BLPOP r 0\n\
         0 RPUSH q x\n1<\n2<\n1> BLPOP q 0\n0 MULTI\n0 RPUSH q a\n0 DEL q\n0 RPUSH q b\n0 SET other 1\n0 EXEC\n1<\n\
         1> BLMPOP 0 2 none q LEFT COUNT 5\n0 EVAL redis.call('rpush','q','a','b') 0\n1<\n1> BRPOPLPUSH q s 0\n\
         0 RENAME r q\n0 RPUSH l 1\n0 RENAME l q\n1<\n1> BLPOP q 0\n0 RPUSH unsorted 2 1\n0 SORT unsorted STORE q\n1<",
    ),
    (
        "clients that waited are served: sorted sets",
        "1> BZPOPMIN z 0\n0 ZADD z 1 a 2 b\n1<\n1> BZPOPMAX y z 0\n1<\n1> BZMPOP 0 1 z MAX COUNT 3\n0 MULTI\n0 ZADD z 1 x\n0 ZADD z 2 y\n\
         0 EXEC\n1<\n1> BZPOPMIN z 0\n0 ZADD src 4 m\n0 ZUNIONSTORE z 1 src\n1<",
    ),
    (
        "one who waited in another database, and finds a key expired",
        "1 SELECT 2\n1> BLPOP q 0\n0 RPUSH q no\n0 SELECT 2\n0 PSETEX q2 1 x\nsleep\n0 RPUSH q yes\n1<\n0 GET q2\n0 SELECT 0\n0 SET a 1",
    ),
    (
        "times become absolute, and changes that change nothing are left out",
        "0 SET a 1 EX 100\n0 SETEX a 100 x\n0 EXPIRE a 100\n0 EXPIRE a 100 NX\n0 PEXPIRE a 1000000 GT\n0 EXPIREAT a 9999999999\n\
         0 PERSIST a\n0 PERSIST a\n0 GETEX a EX 100\n0 GETEX a\n0 GETEX a PERSIST\n0 EXPIRE a -1\n0 EXPIRE a -1\n0 SET b 1 GET\n\
         0 SET b 2 XX KEEPTTL\n0 SET none 1 XX\n0 GETSET b 3\n0 INCRBYFLOAT b 0.5\n0 HINCRBYFLOAT h f 1.25\n0 HSETNX h f 2\n\
         0 SETRANGE b 0 \n0 APPEND b \n0 SETBIT bit 1 0\n0 BITFIELD bit SET u8 0 1 GET u8 0\n0 BITFIELD bit GET u8 0\n0 DEL none\n\
         0 UNLINK b none\n0 LREM l 0 x\n0 LTRIM l 0 -1\n0 LPUSHX l x\n0 SREM s x\n0 ZADD z NX 1 a\n0 ZADD z NX 2 a\n0 ZADD z GT 1 a\n\
         0 ZINCRBY z 0 a\n0 ZREMRANGEBYRANK z 5 6\n0 HDEL h none\n0 XADD x 1-1 a b\n0 XADD x NOMKSTREAM 1-2 a b\n0 XTRIM x MAXLEN 5\n0 XDEL x 9-9\n\
         0 XSETID x 5-5\n0 RESTORE r 0 \n0 SPOP none\n0 SPOP z",
    ),
    (
        "consumer groups",
        "0 XADD x 1-1 a b\n0 XADD x 1-2 a b\n0 XGROUP CREATE x g 0\n0 XGROUP CREATECONSUMER x g c\n0 XGROUP CREATECONSUMER x g c\n\
         0 XACK x g 9-9\n0 XGROUP SETID x g 1-1\n0 XGROUP DELCONSUMER x g c\n0 XGROUP DELCONSUMER x g c\n0 XGROUP DESTROY x g\n\
         0 XGROUP DESTROY x g\n0 XADD x MAXLEN = 1 3-1 a b\n0 XADD x MAXLEN ~ 100 3-2 a b\n0 XTRIM x MINID 3-2",
    ),
];

#[test]
fn what_meets_is_passed_on_as_by_redis() {
    let Some(mut oracle) = Oracle::start("redis-server") else {
        eprintln!("SKIPPED: redis-server is not on the PATH, nothing was compared");
        return;
    };
    for (name, text) in SCENES {
        if let Err(difference) = Scene::new(&mut oracle).play(text) {
            panic!("{name}: {difference}");
        }
    }
}

struct Scene<'a> {
    oracle: &'a mut Oracle,
    server: Harness,
    clients: Vec<(Connection, Token)>,
    /// Which of them wait for a reply.
    waits: [bool; 3],
}

impl Scene<'_> {
    fn new(oracle: &mut Oracle) -> Scene<'_> {
        let mut server = Harness::with_config(config());
        server.set_clock_to_now();
        let mut scene = Scene { clients: Vec::new(), waits: [false; 3], server, oracle };
        for _ in 0..3 {
            let client = (scene.oracle.connect(), scene.server.connect());
            scene.clients.push(client);
        }
        let begin = ["FLUSHALL", "FUNCTION FLUSH", "SCRIPT FLUSH", "DEBUG SET-ACTIVE-EXPIRE 0"];
        scene.oracle.run(&begin.map(super::words));
        // Both begin with the database that they append to.
        for text in ["SELECT 9", "SET a b", "DEL a", "SELECT 0"] {
            scene.clients[0].0.ask(&super::words(text));
        }
        scene.oracle.take_appended();
        scene.server.propagate();
        for text in ["SELECT 9", "SET a b", "DEL a", "SELECT 0"] {
            let client = scene.clients[0].1;
            let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            scene.server.run_as(client, &words);
        }
        scene.server.take_propagated();
        scene
    }

    fn play(&mut self, text: &str) -> Result<(), String> {
        for step in text.split('\n') {
            let (who, command) = step.split_once(' ').unwrap_or((step, ""));
            if who == "sleep" {
                std::thread::sleep(Duration::from_millis(5));
                self.server.advance_ms(5);
                continue;
            }
            if std::env::var("DIFFERENTIAL_STEPS").is_ok() {
                eprintln!("{step}");
            }
            let number = usize::from(who.as_bytes()[0] - b'0');
            let words: Words =
                command.split(' ').map(|word| word.replace('_', " ").replace("\\n", "\n").into_bytes()).collect();
            let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let (connection, token) = &mut self.clients[number];
            let (theirs, ours) = match &who[1..] {
                ">" => {
                    connection.send(&words);
                    let ours = self.server.run_as(*token, &args);
                    if ours.is_empty() {
                        let clients = self.server.state.clients.iter();
                        let count = clients.filter(|one| one.waiting.is_some()).count();
                        self.waits[number] = true;
                        assert!(self.oracle.wait_until_blocked(count), "{step}");
                        continue;
                    }
                    (connection.receive(), ours)
                }
                "<" if !std::mem::take(&mut self.waits[number]) => continue,
                "<" => (connection.receive(), self.server.pushed(*token)),
                _ => (connection.ask(&words), self.server.run_as(*token, &args)),
            };
            if theirs != ours && !is_random(&words) {
                return Err(format!("{step}\nRedis:   {}\nOneloop: {}", shown(&theirs), shown(&ours)));
            }
            // Each step by itself, so that it is known which one differs.
            self.compare(step)?;
        }
        Ok(())
    }

    fn compare(&mut self, step: &str) -> Result<(), String> {
        let now_ms = self.server.state.now_ms();
        let [theirs, ours] = [self.oracle.take_appended(), self.server.take_propagated()].map(|bytes| {
            let commands = appended::parse(&bytes).into_iter();
            let lines = commands.map(|words| line(&appended::usual(words, now_ms)));
            let mut lines: Vec<String> = lines.collect();
            // From 7.2 on the database is chosen within the transaction.
            for at in 1..lines.len() {
                if lines[at] == "MULTI" && lines[at - 1].starts_with("SELECT") {
                    lines.swap(at - 1, at);
                }
            }
            lines.join("\n")
        });
        match theirs == ours {
            true => Ok(()),
            false => Err(format!("{step}\nRedis:\n{theirs}\nOneloop:\n{ours}")),
        }
    }
}

/// Whether which elements are taken is up to chance.
fn is_random(words: &Words) -> bool {
    words[0] == b"SPOP"
}
