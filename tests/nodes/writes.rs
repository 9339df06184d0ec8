//! What clients write: every type of value, with and without expiry times, in transactions and scripts, in several
//! databases.

/// Keys of each type.
const KEYS: u8 = 4;
/// So long a value alone fills the smallest backlog.
const BIG_BYTES: usize = 17_000;

const SCRIPT: &str = "redis.call('SELECT', ARGV[1]); redis.call('SET', KEYS[1], ARGV[2]); redis.call('INCR', 'n:s') \
                      local gone = redis.call('SPOP', 'set:0'); if gone then redis.call('RPUSH', 'list:0', gone) end; \
                      redis.call('PEXPIRE', KEYS[1], 50 + math.random(2000)); return redis.call('TIME')[1]";
const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function(keys, args) redis.call('SET', keys[1], args[1]) \
                       return redis.call('LPUSH', 'list:1', args[1]) end)";

/// Makes requests at random.
pub struct Writes<'a> {
    pub random: &'a mut fastrand::Rng,
    pub requests: Vec<Vec<String>>,
}

impl Writes<'_> {
    fn key(&mut self, kind: &str) -> String {
        format!("{kind}:{}", self.random.u8(0..KEYS))
    }

    fn number(&mut self) -> String {
        self.random.u16(0..1000).to_string()
    }

    /// A time to live, in ms.
    fn ttl(&mut self) -> String {
        self.random.u32(1..3000).to_string()
    }

    fn push(&mut self, words: &[&str]) {
        self.requests.push(words.iter().map(|word| word.to_string()).collect());
    }

    /// Any request, or a few that belong together.
    pub fn any(&mut self) {
        match self.random.u8(0..42) {
            40..=41 => self.transaction(),
            0..=7 => self.string(),
            8..=11 => self.list(),
            12..=15 => self.hash(),
            16..=18 => self.sorted_set(),
            19..=21 => self.set(),
            22..=25 => self.stream(),
            26..=29 => self.expiry(),
            30..=31 => self.bits(),
            32..=33 => self.whole_keys(),
            34 => self.transaction(),
            35 => self.script(),
            36 => self.databases(),
            37 => self.big(),
            38 => self.push(&["PUBLISH", "channel", "message"]),
            _ => {
                let database = self.random.u8(0..3).to_string();
                self.push(&["SELECT", &database]);
            }
        }
    }

    fn string(&mut self) {
        let (key, value, ttl) = (self.key("string"), self.number(), self.ttl());
        match self.random.u8(0..13) {
            0 => self.push(&["SET", &key, &value]),
            1 => self.push(&["SET", &key, &value, "PX", &ttl]),
            2 => self.push(&["SET", &key, &value, "KEEPTTL"]),
            3 => self.push(&["SET", &key, &value, "NX", "PX", &ttl, "GET"]),
            4 => self.push(&["APPEND", &key, &value]),
            5 => self.push(&["INCRBY", "n:0", &value]),
            6 => self.push(&["INCRBYFLOAT", "n:1", "0.1"]),
            7 => self.push(&["SETRANGE", &key, "5", &value]),
            8 => self.push(&["GETEX", &key, "PX", &ttl]),
            9 => self.push(&["GETDEL", &key]),
            10 => {
                let other = self.key("string");
                self.push(&["MSET", &key, &value, &other, "x"]);
            }
            11 => self.push(&["PSETEX", &key, &ttl, &value]),
            _ => self.push(&["GET", &key]),
        }
    }

    fn list(&mut self) {
        let (key, other, value) = (self.key("list"), self.key("list"), self.number());
        match self.random.u8(0..8) {
            0 => self.push(&["LPUSH", &key, &value, "a"]),
            1 => self.push(&["RPUSH", &key, &value, "b", "c"]),
            2 => self.push(&["LPOP", &key, "2"]),
            3 => self.push(&["LMOVE", &key, &other, "LEFT", "RIGHT"]),
            4 => self.push(&["LTRIM", &key, "0", "10"]),
            5 => self.push(&["LINSERT", &key, "BEFORE", "b", &value]),
            6 => self.push(&["LMPOP", "2", &key, &other, "RIGHT", "COUNT", "2"]),
            _ => self.push(&["LSET", &key, "0", &value]),
        }
    }

    fn hash(&mut self) {
        let (key, value, ttl) = (self.key("hash"), self.number(), self.ttl());
        let field = format!("f{}", self.random.u8(0..6));
        match self.random.u8(0..7) {
            0..=1 => self.push(&["HSET", &key, &field, &value, "g", "1"]),
            2 => self.push(&["HINCRBYFLOAT", &key, "number", "1.5"]),
            3 => self.push(&["HDEL", &key, &field]),
            4 => self.push(&["HPEXPIRE", &key, &ttl, "FIELDS", "2", &field, "g"]),
            5 => self.push(&["HPERSIST", &key, "FIELDS", "1", &field]),
            _ => self.push(&["HGETALL", &key]),
        }
    }

    fn sorted_set(&mut self) {
        let (key, other, value) = (self.key("sorted"), self.key("sorted"), self.number());
        match self.random.u8(0..6) {
            0..=1 => self.push(&["ZADD", &key, &value, &format!("m{value}"), "1.5", "a"]),
            2 => self.push(&["ZINCRBY", &key, "0.3", "a"]),
            3 => self.push(&["ZPOPMIN", &key, "2"]),
            4 => self.push(&["ZUNIONSTORE", &key, "2", &key, &other]),
            _ => self.push(&["ZRANGESTORE", &key, &other, "0", "5"]),
        }
    }

    fn set(&mut self) {
        let (key, other, value) = (self.key("set"), self.key("set"), self.number());
        match self.random.u8(0..6) {
            0..=1 => self.push(&["SADD", &key, &value, "a", "1"]),
            2 => self.push(&["SPOP", &key]),
            3 => self.push(&["SPOP", &key, "2"]),
            4 => self.push(&["SMOVE", &key, &other, "a"]),
            _ => self.push(&["SINTERSTORE", &key, &key, &other]),
        }
    }

    fn stream(&mut self) {
        let (key, value) = (self.key("stream"), self.number());
        let consumer = format!("c{}", self.random.u8(0..3));
        match self.random.u8(0..10) {
            0..=2 => self.push(&["XADD", &key, "*", "field", &value]),
            3 => self.push(&["XADD", &key, "MAXLEN", "~", "8", "*", "field", &value]),
            4 => self.push(&["XGROUP", "CREATE", &key, "group", "0", "MKSTREAM"]),
            5..=6 => {
                self.push(&["XREADGROUP", "GROUP", "group", &consumer, "COUNT", "2", "STREAMS", &key, ">"]);
            }
            7 => self.push(&["XAUTOCLAIM", &key, "group", &consumer, "0", "0", "COUNT", "2"]),
            8 => self.push(&["XTRIM", &key, "MAXLEN", "5"]),
            _ => self.push(&["XGROUP", "SETID", &key, "group", "$"]),
        }
    }

    fn expiry(&mut self) {
        let kinds = ["string", "list", "hash", "sorted", "set", "stream"];
        let kind = kinds[self.random.usize(0..kinds.len())];
        let (key, ttl) = (self.key(kind), self.ttl());
        match self.random.u8(0..5) {
            0..=2 => self.push(&["PEXPIRE", &key, &ttl]),
            3 => self.push(&["PERSIST", &key]),
            _ => self.push(&["EXPIRE", &key, "-1"]),
        }
    }

    fn bits(&mut self) {
        let (key, value) = (self.key("bits"), self.number());
        match self.random.u8(0..6) {
            0 => self.push(&["SETBIT", &key, &value, "1"]),
            1 => self.push(&["BITOP", "NOT", "bits:0", &key]),
            2 => self.push(&["BITFIELD", &key, "INCRBY", "u8", "#1", "7"]),
            3 => self.push(&["PFADD", "hll:0", &value]),
            4 => self.push(&["PFMERGE", "hll:1", "hll:0"]),
            _ => self.push(&["GEOADD", "geo:0", "13.4", "52.5", &value]),
        }
    }

    fn whole_keys(&mut self) {
        let kinds = ["string", "list", "hash", "sorted", "set", "stream"];
        let kind = kinds[self.random.usize(0..kinds.len())];
        let (key, other) = (self.key(kind), self.key(kind));
        let database = self.random.u8(0..3).to_string();
        match self.random.u8(0..7) {
            0 => self.push(&["DEL", &key]),
            1 => self.push(&["UNLINK", &key, &other]),
            2 => self.push(&["RENAME", &key, &other]),
            3 => self.push(&["COPY", &key, &other, "DB", &database, "REPLACE"]),
            4 => self.push(&["MOVE", &key, &database]),
            5 => self.push(&["SORT", "set:0", "ALPHA", "STORE", "list:2"]),
            _ => self.push(&["TOUCH", &key]),
        }
    }

    fn transaction(&mut self) {
        self.push(&["MULTI"]);
        for _ in 0..self.random.u8(1..5) {
            match self.random.u8(0..6) {
                0 => self.list(),
                1 => self.hash(),
                2 => self.expiry(),
                3 => {
                    let database = self.random.u8(0..3).to_string();
                    self.push(&["SELECT", &database]);
                }
                _ => self.string(),
            }
        }
        self.push(&["EXEC"]);
    }

    fn script(&mut self) {
        let (key, value) = (self.key("string"), self.number());
        let database = self.random.u8(0..3).to_string();
        match self.random.u8(0..4) {
            0 => self.push(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]),
            1 => self.push(&["FCALL", "f", "1", &key, &value]),
            2 => self.push(&["FUNCTION", "DELETE", "lib"]),
            _ => self.push(&["EVAL", SCRIPT, "1", &key, &database, &value]),
        }
    }

    fn databases(&mut self) {
        match self.random.u8(0..8) {
            0 => self.push(&["FLUSHDB"]),
            1 => self.push(&["FLUSHALL", "ASYNC"]),
            _ => {
                let (one, other) = (self.random.u8(0..3).to_string(), self.random.u8(0..3).to_string());
                self.push(&["SWAPDB", &one, &other]);
            }
        }
    }

    fn big(&mut self) {
        let (key, value) = (self.key("big"), "x".repeat(self.random.usize(1..BIG_BYTES)));
        self.push(&["SET", &key, &value, "PX", "1500"]);
    }
}
