//! CLIENT.

use oneloop::engine::apply::Flow;
use oneloop::engine::execute;
use oneloop::engine::session::{Blocked, Close, Token};
use oneloop::resp::Args;

use crate::support::Harness;

fn ask(server: &mut Harness, client: Token, text: &str) -> String {
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &words)).into_owned()
}

/// Whether a request is run, or held back by a pause.
fn flow(server: &mut Harness, client: Token, text: &str) -> Flow {
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    let mut session = server.state.clients.checkout(client).expect("the client is there");
    let mut reply = std::mem::take(&mut session.reply);
    let flow = execute::execute(&mut server.state, &mut session, &mut reply, Args::from_slices(&words));
    reply.clear();
    session.reply = reply;
    server.state.clients.checkin(session);
    flow
}

fn close_of(server: &Harness, client: Token) -> Close {
    server.state.clients.get(client).expect("the client is there").close
}

#[test]
fn names() {
    let mut server = Harness::new();
    let bad = "-ERR Client names cannot contain spaces, newlines or special characters.\r\n";
    server.expect("client getname", "$-1\r\n");
    server.expect("client setname me", "+OK\r\n");
    server.expect("client getname", "$2\r\nme\r\n");
    assert_eq!(server.run_args(&[b"client", b"setname", b"a b"]), bad);
    assert_eq!(server.run_args(&[b"client", b"setname", b"a\n"]), bad);
    assert_eq!(server.run_args(&[b"client", b"setname", b"\xe9"]), bad);
    server.expect("client getname", "$2\r\nme\r\n");
    assert_eq!(server.run_args(&[b"client", b"setname", b""]), "+OK\r\n");
    server.expect("client getname", "$-1\r\n");
    server.expect("hello 3", &server_hello());
    server.expect("client getname", "_\r\n");
}

fn server_hello() -> String {
    Harness::new().run("hello 3")
}

#[test]
fn library_names() {
    let mut server = Harness::new();
    server.expect("client setinfo lib-name redis-py(x;v1)", "+OK\r\n");
    server.expect("client setinfo LIB-VER 1.2.3", "+OK\r\n");
    assert!(server.run("client info").ends_with(" lib-name=redis-py(x;v1) lib-ver=1.2.3\n\r\n"));
    server.expect("client setinfo foo bar", "-ERR Unrecognized option 'foo'\r\n");
    assert_eq!(
        server.run_args(&[b"client", b"setinfo", b"LIB-ver", b"a b"]),
        "-ERR LIB-ver cannot contain spaces, newlines or special characters.\r\n"
    );
    assert_eq!(server.run_args(&[b"client", b"setinfo", b"lib-ver", b""]), "+OK\r\n");
    assert!(server.run("client info").ends_with(" lib-name=redis-py(x;v1) lib-ver=\n\r\n"));
    server.expect("client setinfo lib-name", "-ERR wrong number of arguments for 'client|setinfo' command\r\n");
}

#[test]
fn a_line_tells_everything() {
    let mut server = Harness::new();
    server.advance_ms(2500);
    let line = server.run("client list");
    let line = line.split_once("\r\n").expect("a header").1.trim_end().to_string();
    let fields: Vec<_> = line.split(' ').map(|field| field.split_once('=').expect("name=value")).collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names.join(" "),
        "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs \
         rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver"
    );
    let start = "id=1 addr=127.0.0.1:50001 laddr=127.0.0.1:6379 fd=-1 name= age=2 idle=2 flags=N db=0 sub=0 \
                 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=10 multi-mem=0 rbs=";
    assert!(line.starts_with(start), "{line}");
    assert!(line.contains(" obl=0 oll=0 omem=0 "), "{line}");
    let end = " events=r cmd=client|list user=default redir=-1 resp=2 lib-name= lib-ver=";
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn the_last_command_of_the_others() {
    let mut server = Harness::new();
    let other = server.connect();
    assert!(server.run("client list id 2").contains(" cmd=NULL "));
    ask(&mut server, other, "get a");
    assert!(server.run("client list id 2").contains(" argv-mem=0 "));
    assert!(server.run("client list id 2").contains(" cmd=get "));
    ask(&mut server, other, "set a");
    assert!(server.run("client list id 2").contains(" cmd=set "));
    ask(&mut server, other, "nosuch");
    assert!(server.run("client list id 2").contains(" cmd=NULL "));
}

#[test]
fn flags() {
    let mut server = Harness::new();
    let other = server.connect();
    let flags = |server: &mut Harness| {
        let line = server.run("client list id 2");
        let from = line.find("flags=").expect("flags") + 6;
        line[from..].split(' ').next().unwrap_or_default().to_string()
    };
    assert_eq!(flags(&mut server), "N");
    ask(&mut server, other, "client no-evict on");
    ask(&mut server, other, "client no-touch on");
    assert_eq!(flags(&mut server), "eT");
    let session = server.state.clients.get_mut(other).expect("the client is there");
    session.blocked = Some(Blocked::Paused);
    session.address.unix = true;
    assert_eq!(flags(&mut server), "bUeT");
    ask(&mut server, other, "monitor");
    ask(&mut server, other, "quit");
    assert_eq!(flags(&mut server), "ObcUeT");
}

#[test]
fn list_chooses() {
    let mut server = Harness::new();
    let second = server.connect();
    server.connect();
    let ids = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("id="));
        lines.map(|line| line[3..].split(' ').next().unwrap_or_default().to_string()).collect()
    };
    assert_eq!(ids(server.run("client list")), ["1", "2", "3"]);
    assert_eq!(ids(ask(&mut server, second, "client list")), ["1", "2", "3"]);
    assert_eq!(ids(server.run("client list type NORMAL")), ["1", "2", "3"]);
    assert_eq!(ids(server.run("client list id 3 1 99 3 0 -1")), ["3", "1", "3"]);
    for kind in ["master", "replica", "slave", "pubsub"] {
        server.expect(&format!("client list type {kind}"), "$0\r\n\r\n");
    }
    for (request, error) in [
        ("client list foo", "-ERR syntax error\r\n"),
        ("client list type", "-ERR syntax error\r\n"),
        ("client list id", "-ERR syntax error\r\n"),
        ("client list type normal extra", "-ERR syntax error\r\n"),
        ("client list type foo", "-ERR Unknown client type 'foo'\r\n"),
        ("client list id x", "-ERR Invalid client ID\r\n"),
        ("client list id 1 x", "-ERR Invalid client ID\r\n"),
        ("client", "-ERR wrong number of arguments for 'client' command\r\n"),
        ("client foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"),
        ("client info x", "-ERR wrong number of arguments for 'client|info' command\r\n"),
    ] {
        server.expect(request, error);
    }
    server.run("hello 3");
    assert!(server.run("client list").starts_with('='));
    server.expect("client list id 99", "=4\r\ntxt:\r\n");
    assert!(server.run("client info").contains("\r\ntxt:id=1 "));
    assert!(server.run("client info").contains(" cmd=client|info "));
}

#[test]
fn kill_by_address() {
    let mut server = Harness::new();
    let other = server.connect();
    server.expect("client kill 1.1.1.1:1", "-ERR No such client\r\n");
    server.expect("client kill 127.0.0.1:50002", "+OK\r\n");
    assert_eq!(close_of(&server, other), Close::Now);
    server.expect("client kill 127.0.0.1:50002", "-ERR No such client\r\n");
    assert!(!server.run("client list").contains("id=2 "));
    server.expect("client kill 127.0.0.1:50001", "+OK\r\n");
    assert_eq!(close_of(&server, server.client), Close::AfterReply);
}

#[test]
fn kill_by_filters() {
    let mut server = Harness::new();
    for _ in 0..4 {
        server.connect();
    }
    server.expect("client kill id 3 type pubsub", ":0\r\n");
    server.expect("client kill id 3 addr 127.0.0.1:50003", ":1\r\n");
    server.expect("client kill id 3", ":0\r\n");
    server.expect("client kill id 1", ":0\r\n");
    server.expect("client kill laddr 127.0.0.1:1", ":0\r\n");
    server.expect("client kill laddr 127.0.0.1:6379 addr 127.0.0.1:50002 user default type normal", ":1\r\n");
    server.expect("client kill maxage 1", ":0\r\n");
    server.advance_ms(1000);
    server.expect("client kill maxage 1", ":2\r\n");
    assert_eq!(close_of(&server, server.client), Close::No);
    server.expect("client kill skipme no id 1", ":1\r\n");
    assert_eq!(close_of(&server, server.client), Close::AfterReply);
}

#[test]
fn kill_errors() {
    let mut server = Harness::new();
    for (request, error) in [
        ("client kill", "-ERR wrong number of arguments for 'client|kill' command\r\n"),
        ("client kill id", "-ERR No such client\r\n"),
        ("client kill foo bar", "-ERR syntax error\r\n"),
        ("client kill id 1 type", "-ERR syntax error\r\n"),
        ("client kill id x", "-ERR client-id should be greater than 0\r\n"),
        ("client kill id 0", "-ERR client-id should be greater than 0\r\n"),
        ("client kill id -1", "-ERR client-id should be greater than 0\r\n"),
        ("client kill type foo", "-ERR Unknown client type 'foo'\r\n"),
        ("client kill user foo", "-ERR No such user 'foo'\r\n"),
        ("client kill skipme maybe", "-ERR syntax error\r\n"),
        ("client kill maxage x", "-ERR maxage is not an integer or out of range\r\n"),
        ("client kill maxage 0", "-ERR maxage should be greater than 0\r\n"),
    ] {
        server.expect(request, error);
    }
}

#[test]
fn reply_modes() {
    let mut server = Harness::new();
    server.expect("client reply foo", "-ERR syntax error\r\n");
    server.expect("client reply on", "+OK\r\n");
    server.expect("client reply skip", "");
    server.expect("ping", "");
    server.expect("ping", "+PONG\r\n");
    server.expect("client reply skip", "");
    server.expect("client reply skip", "");
    server.expect("get", "");
    server.expect("ping", "+PONG\r\n");
    server.expect("client reply off", "");
    server.expect("ping", "");
    server.expect("nosuch", "");
    server.expect("client reply skip", "");
    server.expect("ping", "");
    server.expect("ping", "");
    server.expect("client reply on", "+OK\r\n");
    server.expect("ping", "+PONG\r\n");
}

#[test]
fn pause_arguments() {
    let mut server = Harness::new();
    let form = "-ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP.\r\n";
    for (request, reply) in [
        ("client pause", "-ERR wrong number of arguments for 'client|pause' command\r\n"),
        ("client pause x", "-ERR timeout is not an integer or out of range\r\n"),
        ("client pause 1.5", "-ERR timeout is not an integer or out of range\r\n"),
        ("client pause -1", "-ERR timeout is negative\r\n"),
        ("client pause 9223372036854775807", "-ERR timeout is out of range\r\n"),
        ("client pause x foo", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"),
        ("client pause 1 all extra", form),
        ("client pause 0", "+OK\r\n"),
    ] {
        server.expect(request, reply);
    }
    assert!(!server.state.keyspace_paused());
    server.expect("client unpause x", "-ERR wrong number of arguments for 'client|unpause' command\r\n");
    server.expect("client unpause", "+OK\r\n");
}

#[test]
fn a_pause_of_writes_lets_reads_through() {
    let mut server = Harness::new();
    server.expect("client pause 1000 write", "+OK\r\n");
    assert!(server.state.keyspace_paused());
    let client = server.client;
    assert_eq!(flow(&mut server, client, "set a b"), Flow::Paused);
    assert_eq!(flow(&mut server, client, "get a"), Flow::Done);
    assert_eq!(flow(&mut server, client, "ping"), Flow::Done);
    server.advance_ms(999);
    assert_eq!(flow(&mut server, client, "set a b"), Flow::Paused);
    server.advance_ms(1);
    assert_eq!(flow(&mut server, client, "set a b"), Flow::Done);
}

#[test]
fn a_pause_of_all_holds_everybody_but_monitors() {
    let mut server = Harness::new();
    let monitor = server.connect();
    ask(&mut server, monitor, "monitor");
    server.expect("client pause 1000", "+OK\r\n");
    let client = server.client;
    assert_eq!(flow(&mut server, client, "ping"), Flow::Paused);
    assert_eq!(flow(&mut server, client, "client unpause"), Flow::Paused);
    assert_eq!(flow(&mut server, monitor, "ping"), Flow::Done);
    server.state.unpause();
    assert_eq!(flow(&mut server, client, "ping"), Flow::Done);
}

#[test]
fn a_pause_is_only_made_longer_and_stricter() {
    let mut server = Harness::new();
    let client = server.client;
    let monitor = server.connect();
    ask(&mut server, monitor, "monitor");
    server.expect("client pause 1000 write", "+OK\r\n");
    server.expect("client pause 10 write", "+OK\r\n");
    server.advance_ms(500);
    assert_eq!(flow(&mut server, client, "set a b"), Flow::Paused);
    server.expect("client pause 10 all", "+OK\r\n");
    server.advance_ms(400);
    assert_eq!(flow(&mut server, client, "ping"), Flow::Paused);
    ask(&mut server, monitor, "client pause 1000 write");
    server.advance_ms(200);
    assert_eq!(flow(&mut server, client, "ping"), Flow::Paused);
    server.advance_ms(800);
    assert_eq!(flow(&mut server, client, "set a b"), Flow::Done);
    server.expect("client pause 1000 write", "+OK\r\n");
    assert_eq!(flow(&mut server, client, "ping"), Flow::Done);
}

#[test]
fn a_command_put_off_keeps_its_skipped_reply() {
    let mut server = Harness::new();
    let client = server.client;
    server.expect("client pause 1000 write", "+OK\r\n");
    server.expect("client reply skip", "");
    assert_eq!(flow(&mut server, client, "set a b"), Flow::Paused);
    server.state.unpause();
    server.expect("set a b", "");
    server.expect("ping", "+PONG\r\n");
}

#[test]
fn unblock_finds_nobody() {
    let mut server = Harness::new();
    server.expect("client unblock 1", ":0\r\n");
    server.expect("client unblock 1 timeout", ":0\r\n");
    server.expect("client unblock 99 ERROR", ":0\r\n");
    server.expect("client unblock x", "-ERR value is not an integer or out of range\r\n");
    server.expect("client unblock x foo", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
    server.expect(
        "client unblock 1 error x",
        "-ERR unknown subcommand or wrong number of arguments for 'unblock'. Try CLIENT HELP.\r\n",
    );
}

#[test]
fn switches_and_small_answers() {
    let mut server = Harness::new();
    for option in ["no-evict", "no-touch"] {
        server.expect(&format!("client {option} on"), "+OK\r\n");
        server.expect(&format!("client {option} OFF"), "+OK\r\n");
        server.expect(&format!("client {option} foo"), "-ERR syntax error\r\n");
    }
    server.expect("client id", ":1\r\n");
    server.expect("client getredir", ":-1\r\n");
    let second = server.connect();
    assert_eq!(ask(&mut server, second, "client id"), ":2\r\n");
    let help = server.run("client help");
    assert!(help.contains("+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"));
    assert!(help.ends_with("+HELP\r\n+    Prints this help.\r\n"));
    server.expect("client help x", "-ERR wrong number of arguments for 'client|help' command\r\n");
}

#[test]
fn no_touch_leaves_the_access_time_alone() {
    let mut server = Harness::new();
    server.run("set a b");
    server.advance_ms(5000);
    let idle_seconds = |server: &Harness| {
        let keyspace = &server.state.keyspace;
        let record = keyspace.database(0).get(keyspace.hash(b"a"), b"a").expect("the key is there");
        keyspace.access.idle_seconds(record)
    };
    server.run("client no-touch on");
    server.run("get a");
    assert_eq!(idle_seconds(&server), 5);
    server.run("client no-touch off");
    server.run("get a");
    assert_eq!(idle_seconds(&server), 0);
}
