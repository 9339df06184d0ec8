//! SUBSCRIBE, PUBLISH and their kin, and keyspace events.

use oneloop::engine::removal;
use oneloop::engine::session::Token;
use oneloop::resp::Protocol;

use crate::support::Harness;

fn say(server: &mut Harness, client: Token, words: &str) -> String {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &args)).into_owned()
}

fn pushed(server: &mut Harness, client: Token) -> String {
    String::from_utf8_lossy(&server.pushed(client)).into_owned()
}

/// An array of bulk strings, or a push.
fn message(marker: char, words: &[&str]) -> String {
    let parts = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("{marker}{}\r\n{}", words.len(), parts.collect::<String>())
}

#[test]
fn messages_reach_who_listens_to_the_channel() {
    let mut server = Harness::new();
    let (one, two) = (server.connect(), server.connect());
    server.expect("publish news hello", ":0\r\n");
    assert_eq!(
        say(&mut server, one, "subscribe news art news"),
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$3\r\nart\r\n:2\r\n\
         *3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:2\r\n"
    );
    say(&mut server, two, "hello 3");
    assert_eq!(say(&mut server, two, "subscribe news"), ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    server.expect("publish news hello", ":2\r\n");
    server.expect("publish art hello", ":1\r\n");
    server.expect("publish new hello", ":0\r\n");
    let news = ["message", "news", "hello"];
    assert_eq!(pushed(&mut server, one), message('*', &news) + &message('*', &["message", "art", "hello"]));
    assert_eq!(pushed(&mut server, two), message('>', &news));
    say(&mut server, one, "unsubscribe news");
    server.expect("publish news hello", ":1\r\n");
    server.state.remove_client(two);
    server.expect("publish news hello", ":0\r\n");
    server.expect("pubsub channels", "*1\r\n$3\r\nart\r\n");
}

#[test]
fn patterns_get_messages_of_all_channels_that_match() {
    let mut server = Harness::new();
    let one = server.connect();
    say(&mut server, one, "psubscribe news.* n?ws.* *");
    say(&mut server, one, "subscribe news.art");
    server.expect("publish news.art x", ":4\r\n");
    let mut messages = vec![message('*', &["message", "news.art", "x"])];
    for pattern in ["*", "n?ws.*", "news.*"] {
        messages.push(message('*', &["pmessage", pattern, "news.art", "x"]));
    }
    assert_eq!(pushed(&mut server, one), messages.concat());
    server.expect("publish other x", ":1\r\n");
    server.expect("pubsub numpat", ":3\r\n");
    assert_eq!(say(&mut server, one, "punsubscribe").matches("punsubscribe").count(), 3);
    server.expect("publish news.art x", ":1\r\n");
    server.expect("pubsub numpat", ":0\r\n");
}

#[test]
fn shard_channels_are_apart() {
    let mut server = Harness::new();
    let one = server.connect();
    assert_eq!(say(&mut server, one, "ssubscribe a"), "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    assert_eq!(say(&mut server, one, "subscribe a"), "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    server.expect("spublish a x", ":1\r\n");
    assert_eq!(pushed(&mut server, one), message('*', &["smessage", "a", "x"]));
    server.expect("publish a x", ":1\r\n");
    server.expect("pubsub shardchannels", "*1\r\n$1\r\na\r\n");
    server.expect("pubsub shardnumsub a b", "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n");
    assert_eq!(
        say(&mut server, one, "sunsubscribe").replace(&message('*', &["message", "a", "x"]), ""),
        "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n"
    );
    server.expect("spublish a x", ":0\r\n");
}

#[test]
fn the_counts_that_replies_tell() {
    let mut server = Harness::new();
    server.expect("unsubscribe", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    server.expect("punsubscribe a", "*3\r\n$12\r\npunsubscribe\r\n$1\r\na\r\n:0\r\n");
    server.expect("sunsubscribe", "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
    server.run("subscribe a b");
    server.expect("psubscribe a*", "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:3\r\n");
    server.expect(
        "unsubscribe",
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n",
    );
    server.set_protocol(Protocol::Resp3);
    server.expect("unsubscribe", ">3\r\n$11\r\nunsubscribe\r\n_\r\n:1\r\n");
}

#[test]
fn in_resp2_a_subscriber_may_do_little() {
    let mut server = Harness::new();
    server.run("subscribe a");
    server.expect(
        "get x",
        "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
    );
    server.expect(
        "client info",
        "-ERR Can't execute 'client|info': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
    );
    server.expect("ping", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    server.expect("ping x", "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
    server.expect("ping x y", "-ERR wrong number of arguments for 'ping' command\r\n");
    server.run("unsubscribe");
    server.expect("ping", "+PONG\r\n");
    server.run("ssubscribe a");
    server.expect("reset", "+RESET\r\n");
    server.expect("ping", "+PONG\r\n");
    server.expect("pubsub shardchannels", "*0\r\n");
    server.set_protocol(Protocol::Resp3);
    server.run("subscribe a");
    server.expect("ping", "+PONG\r\n");
    server.expect("get x", "_\r\n");
}

#[test]
fn pubsub_tells_what_is_listened_to() {
    let mut server = Harness::new();
    let one = server.connect();
    say(&mut server, one, "subscribe aa ab b");
    server.expect("pubsub numsub", "*0\r\n");
    server.expect("pubsub numsub aa c", "*4\r\n$2\r\naa\r\n:1\r\n$1\r\nc\r\n:0\r\n");
    server.expect("pubsub channels aa", "*1\r\n$2\r\naa\r\n");
    assert!(server.run("pubsub channels a*").starts_with("*2\r\n"));
    server.expect("pubsub channels x*", "*0\r\n");
    server.expect(
        "pubsub channels a b",
        "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP.\r\n",
    );
    server.expect("pubsub nosuch", "-ERR unknown subcommand 'nosuch'. Try PUBSUB HELP.\r\n");
    assert!(server.run("pubsub help").contains("+SHARDNUMSUB [<shardchannel> ...]"));
    let info = server.run("info stats");
    assert!(info.contains("pubsub_channels:3\r\n") && info.contains("pubsub_patterns:0\r\n"));
    let line = server.run("client list type pubsub");
    assert!(line.contains(" flags=P ") && line.contains(" sub=3 psub=0 ssub=0 "), "{line}");
    server.expect("client kill type pubsub", ":1\r\n");
}

/// To oneself one can publish in RESP3: the reply comes first.
#[test]
fn what_a_client_tells_itself_follows_its_reply() {
    let mut server = Harness::new();
    server.set_protocol(Protocol::Resp3);
    server.run("subscribe a");
    let told = message('>', &["message", "a", "x"]);
    server.expect("publish a x", &format!(":1\r\n{told}"));
    server.run("multi");
    server.run("ping 1");
    server.run("publish a x");
    server.run("ping 2");
    server.expect("exec", &format!("*3\r\n$1\r\n1\r\n:1\r\n$1\r\n2\r\n{told}"));
    server.expect("client reply off", "");
    server.expect("publish a x", &told);
    server.expect("subscribe b", ">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
    server.expect("ping", "");
    server.expect("client reply on", "+OK\r\n");
}

#[test]
fn messages_of_any_size_reach_many() {
    let mut server = Harness::new();
    let clients: Vec<Token> = (0..100).map(|_| server.connect()).collect();
    for (number, client) in clients.iter().enumerate() {
        if number % 2 > 0 {
            say(&mut server, *client, "hello 3");
        }
        say(&mut server, *client, "subscribe a");
    }
    for size in [0, 10, 20_000] {
        let text = "x".repeat(size);
        server.expect(&format!("publish a {text}"), ":100\r\n");
        for (number, client) in clients.iter().enumerate() {
            let marker = if number % 2 > 0 { '>' } else { '*' };
            let expected = message(marker, &["message", "a", &text]);
            assert_eq!(pushed(&mut server, *client), expected);
        }
    }
}

#[test]
fn ten_thousand_patterns_are_not_all_tried() {
    let mut server = Harness::new();
    let one = server.connect();
    for number in 0..10_000 {
        say(&mut server, one, &format!("psubscribe user:{number}:*"));
    }
    server.pushed(one);
    server.expect("publish user:77:x hello", ":1\r\n");
    assert_eq!(pushed(&mut server, one), message('*', &["pmessage", "user:77:*", "user:77:x", "hello"]));
}

/// Who reads nothing is given up at the limit, though the publisher never pauses.
#[test]
fn a_subscriber_that_does_not_read_is_closed() {
    let mut server = Harness::new();
    server.run_args(&[b"config", b"set", b"client-output-buffer-limit", b"pubsub 1mb 0 0"]);
    let one = server.connect();
    say(&mut server, one, "subscribe a");
    let text = "x".repeat(100_000);
    let told = (0..30).take_while(|_| server.run(&format!("publish a {text}")) == ":1\r\n");
    assert_eq!(told.count(), 30, "until the loop closes it, it counts");
    let session = server.state.clients.get(one).expect("it is there");
    assert_eq!(session.close, oneloop::engine::session::Close::Now);
    assert!(session.reply.is_empty());
    assert_eq!(server.state.stats.client_output_buffer_limit_disconnections, 1);
}

fn listening(classes: &str) -> (Harness, Token) {
    let mut server = Harness::new();
    server.run(&format!("config set notify-keyspace-events {classes}"));
    let listener = server.connect();
    say(&mut server, listener, "psubscribe __key*");
    (server, listener)
}

/// The events that were told, as `channel message`, the channels without their beginnings.
fn events(server: &mut Harness, listener: Token) -> Vec<String> {
    let text = pushed(server, listener);
    let lines: Vec<&str> = text.split("\r\n").collect();
    let told = lines.chunks(9).filter(|lines| lines.len() == 9);
    told.map(|lines| format!("{} {}", &lines[6][5..], lines[8])).collect()
}

#[test]
fn keyspace_events_are_told_by_key_and_by_event() {
    let (mut server, listener) = listening("KEA");
    server.run("set a 1");
    assert_eq!(events(&mut server, listener), ["space@0__:a set", "event@0__:set a"]);
    server.run("select 3");
    server.run("lpush l x");
    server.run("expire l 100");
    assert_eq!(
        events(&mut server, listener),
        ["space@3__:l lpush", "event@3__:lpush l", "space@3__:l expire", "event@3__:expire l"]
    );
    server.advance_ms(100_001);
    server.run("get l");
    assert_eq!(events(&mut server, listener), ["space@3__:l expired", "event@3__:expired l"]);
    server.run("set a 1 px 1");
    events(&mut server, listener);
    server.advance_ms(2);
    removal::expire_slice(&mut server.state, u64::MAX);
    assert_eq!(events(&mut server, listener), ["space@3__:a expired", "event@3__:expired a"]);
}

#[test]
fn only_the_classes_asked_for_are_told() {
    let told = |classes: &str, commands: &[&str]| {
        let (mut server, listener) = listening(classes);
        commands.iter().for_each(|command| drop(server.run(command)));
        events(&mut server, listener)
    };
    let commands = ["set a 1", "sadd s 1", "hset h f 1", "zadd z 1 m", "del a", "get nosuch", "rpush l 1"];
    for (classes, expected) in [
        ("K$", &["space@0__:a set"][..]),
        ("Es", &["event@0__:sadd s"]),
        ("Eh", &["event@0__:hset h"]),
        ("Ez", &["event@0__:zadd z"]),
        ("El", &["event@0__:rpush l"]),
        ("Eg", &["event@0__:del a"]),
        ("Em", &["event@0__:keymiss nosuch"]),
        ("En", &["event@0__:new a", "event@0__:new s", "event@0__:new h", "event@0__:new z", "event@0__:new l"]),
        ("Exe", &[]),
        ("A", &[]),
    ] {
        assert_eq!(told(classes, &commands), expected, "{classes}");
    }
}

#[test]
fn events_within_a_transaction_stay_in_order() {
    let (mut server, listener) = listening("K$");
    say(&mut server, listener, "subscribe m");
    server.run("multi");
    server.run("set a 1");
    server.run("publish m x");
    server.run("set b 1");
    server.run("exec");
    let text = pushed(&mut server, listener);
    let at = |part: &str| text.find(part).expect("it was told");
    assert!(at("@0__:a") < at("$1\r\nm\r\n") && at("$1\r\nm\r\n") < at("@0__:b"));
}
