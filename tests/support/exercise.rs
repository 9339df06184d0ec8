//! Serialized values of every kind, and the use of what they become in every way that its type offers: whatever bytes
//! it came from, nothing may break.

use oneloop::storage::rdb::Checksum;

use super::Harness;

/// Values without their footers: small ones of each kind.
pub const VALUES: &[&[u8]] = &[
    b"\0\x03foo",
    b"\0\xc3\x09\x1e\x01aa\xe0\x11\0\x01aa",
    b"\x0a\x11\x11\0\0\0\x0d\0\0\0\x02\0\0\x01a\x03\x01b\xff",
    b"\x12\x02\x02\x0e\x0e\0\0\0\x02\0\x83abc\x04\x02\x01\xff\x02\x09\x09\0\0\0\x01\0\x03\x01\xff",
    b"\x12\x01\x01\x05large",
    b"\x01\x02\x01a\x01b",
    b"\x0b\x14\x04\0\0\0\x03\0\0\0\xfd\xff\xff\xff\x05\0\0\0\x70\x11\x01\0",
    b"\x02\x03\xc0\x4d\x01b\x01a",
    b"\x14\x0f\x0f\0\0\0\x03\0\x81a\x02\x81b\x02\x4d\x01\xff",
    b"\x10\x1a\x1a\0\0\0\x04\0\x81a\x02\x81v\x02\x81n\x02\xf4\x35\x1c\xdc\xdf\x02\0\0\0\x09\xff",
    b"\x04\x02\x01a\x01v\x01b\xc0\x05",
    b"\x09\x0f\x02\x01a\x01\0v\x01n\x02\x0217zz\xff",
    b"\x19\xff\x1f\x4a\xa9\xd1\x01\0\0\x1f\x1f\0\0\0\x06\0\x81g\x02\x81w\x02\xf4\xff\x1f\x4a\xa9\xd1\x01\0\0\x09\x81a\x02\x81v\x02\0\x01\xff",
    b"\x18\xf6\x1f\x4a\xa9\xd1\x01\0\0\x02\x01\x01a\x01u\0\x01f\x01v",
    b"\x11\x1d\x1d\0\0\0\x06\0\x81c\x02\xdf\xfe\x02\x81a\x02\x831.5\x04\x81b\x02\x83inf\x04\xff",
    b"\x05\x02\x01b\0\0\0\0\0\0\xf0\x7f\x01a\0\0\0\0\0\0\xf8\x3f",
    b"\x15\x01\x10\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\x1d\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81f\x02\
      \0\x01\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff\x01\x05\x01\x05\x01\0\0\x01\x01\x02g1\x05\x01\x01\x01\
      \0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\0\x68\xe5\xcf\x8b\x01\0\0\x03\x01\x03bob\
      \x64\x0d\xac\x07\xa2\x01\0\0\x64\x0d\xac\x07\xa2\x01\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01",
];

/// A value with the footer of this version.
pub fn payload(value: &[u8], version: u16) -> Vec<u8> {
    let mut bytes = value.to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    let checksum = Checksum::of(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Commands on the key `key`, by the type that TYPE gives.
const USES: &[(&str, &[&str])] = &[
    (
        "string",
        &[
            "get key",
            "strlen key",
            "append key more",
            "setrange key 3 x",
            "getrange key -5 -1",
            "pfcount key",
            "pfadd key a",
            "incr key",
            "bitcount key",
        ],
    ),
    (
        "list",
        &[
            "lrange key 0 -1",
            "lindex key -1",
            "lpos key a rank -1",
            "linsert key before a b",
            "lset key 0 new",
            "lpush key 1 2 3",
            "rpush key x",
            "lrem key 0 a",
            "ltrim key 1 -2",
            "lpop key 2",
            "rpop key",
        ],
    ),
    (
        "set",
        &[
            "smembers key",
            "sismember key a",
            "srandmember key -5",
            "sscan key 0 count 1000",
            "sadd key new 17 -99999999999",
            "srem key a 1",
            "sinter key key",
            "spop key",
        ],
    ),
    (
        "hash",
        &[
            "hgetall key",
            "hget key a",
            "hrandfield key -5 withvalues",
            "hscan key 0 count 1000",
            "hset key a 1 new 2",
            "hincrby key count 5",
            "hpexpire key 1000 fields 1 a",
            "httl key fields 1 a",
            "hdel key a b",
        ],
    ),
    (
        "zset",
        &[
            "zrange key 0 -1 withscores",
            "zrangebyscore key -inf +inf",
            "zrank key a",
            "zscore key a",
            "zadd key 1.5 a 2 new",
            "zincrby key -7 a",
            "zscan key 0 count 1000",
            "zcount key (0 5",
            "zrandmember key -5",
            "zunion 1 key",
            "zrem key a",
            "zpopmin key",
            "zpopmax key",
        ],
    ),
    (
        "stream",
        &[
            "xrange key - +",
            "xrevrange key + -",
            "xlen key",
            "xinfo stream key full",
            "xinfo groups key",
            "xinfo consumers key g1",
            "xpending key g1",
            "xpending key g1 - + 10",
            "xreadgroup group g1 bob count 5 streams key >",
            "xautoclaim key g1 alice 0 0",
            "xack key g1 5-1",
            "xadd key * f v",
            "xdel key 5-1",
            "xtrim key maxlen 1",
            "xgroup delconsumer key g1 bob",
            "xgroup destroy key g1",
            "xsetid key 18446744073709551615-18446744073709551615",
        ],
    ),
];

/// Commands on a key of any type.
const ANY: &[&str] = &[
    "object encoding key",
    "memory usage key samples 0",
    "debug digest-value key",
    "copy key copy replace",
    "sort key alpha",
];

/// Commands that make a packed collection a large one, by the word that follows.
const GROWTH: &[&str] = &["rpush key", "sadd key", "hset key f", "zadd key 3", "xadd key * f"];

/// Uses the value at the key `key`, which is gone afterwards. A command that is not there, or that the value is not fit
/// for, replies with an error, and that is all right.
pub fn exercise(server: &mut Harness) {
    let kind = server.run("type key");
    for command in ANY {
        server.run(command);
    }
    // The copy is used in its large form.
    let long = "x".repeat(9000);
    for command in GROWTH {
        server.run(&format!("{command} {long}").replace(" key ", " copy "));
    }
    for (_, commands) in USES.iter().filter(|(name, _)| kind == format!("+{name}\r\n")) {
        for command in *commands {
            server.run(&command.replace("key", "copy"));
            server.run(command);
        }
    }
    for key in ["key", "copy"] {
        // What has become of it can be written and read again.
        let dumped = server.run_as(server.client, &[b"dump", key.as_bytes()]);
        if let Some(start) = dumped.iter().position(|byte| *byte == b'\n')
            && dumped.len() > start + 3
        {
            let payload = &dumped[start + 1..dumped.len() - 2];
            let reply = server.run_args(&[b"restore", b"again", b"0", payload, b"replace"]);
            assert_eq!(reply, "+OK\r\n", "{}", payload.escape_ascii());
        }
    }
    server.run("del key copy again");
    while server.state.keyspace.reclaim_step(1000) {}
}
