//! Connections: PING, ECHO, AUTH, HELLO, RESET, QUIT, MONITOR.

use oneloop::config::Config;
use oneloop::engine::session::{Close, Token};
use oneloop::resp::Protocol;

use crate::support::Harness;

fn with_password() -> Harness {
    Harness::with_config(Config { requirepass: b"secret".to_vec(), ..Config::default() })
}

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').map(str::as_bytes).collect()
}

fn ask(server: &mut Harness, client: Token, text: &str) -> String {
    String::from_utf8_lossy(&server.run_as(client, &words(text))).into_owned()
}

fn told(server: &mut Harness, client: Token) -> String {
    String::from_utf8_lossy(&server.pushed(client)).into_owned()
}

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const HELLO_2: &str = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.6\r\n$5\r\nproto\r\n:2\r\n\
                       $2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
                       $7\r\nmodules\r\n*0\r\n";
const HELLO_3: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.6\r\n$5\r\nproto\r\n:3\r\n\
                       $2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
                       $7\r\nmodules\r\n*0\r\n";
const HELLO_NOAUTH: &str = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                            HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
                            select the RESP protocol version at the same time\r\n";

#[test]
fn ping_and_echo() {
    let mut server = Harness::new();
    server.expect("ping", "+PONG\r\n");
    server.expect("ping hello", "$5\r\nhello\r\n");
    server.expect("ping a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    server.expect("echo hello", "$5\r\nhello\r\n");
    server.expect("echo", "-ERR wrong number of arguments for 'echo' command\r\n");
    server.expect("echo a b", "-ERR wrong number of arguments for 'echo' command\r\n");
}

#[test]
fn without_a_password_any_is_right_for_the_default_user() {
    let mut server = Harness::new();
    server.expect(
        "auth x",
        "-ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?\r\n",
    );
    server.expect("auth default x", "+OK\r\n");
    server.expect("auth nobody x", WRONGPASS);
    server.expect("auth a b c", "-ERR syntax error\r\n");
    server.expect("auth", "-ERR wrong number of arguments for 'auth' command\r\n");
}

#[test]
fn with_a_password_only_few_commands_run_before_it_is_given() {
    let mut server = with_password();
    server.expect("get a", NOAUTH);
    server.expect("ping", NOAUTH);
    server.expect("client id", NOAUTH);
    server.expect("get", "-ERR wrong number of arguments for 'get' command\r\n");
    server.expect("nosuch", "-ERR unknown command 'nosuch', with args beginning with: \r\n");
    server.expect("hello", HELLO_NOAUTH);
    server.expect("hello 3 setname a", HELLO_NOAUTH);
    server.expect("auth wrong", WRONGPASS);
    server.expect("auth secre", WRONGPASS);
    server.expect("auth secret2", WRONGPASS);
    server.expect("auth nobody secret", WRONGPASS);
    server.expect("hello 3 auth default wrong", WRONGPASS);
    server.expect("ping", NOAUTH);
    server.expect("auth secret", "+OK\r\n");
    server.expect("ping", "+PONG\r\n");
    server.expect("client getname", "$-1\r\n");
    server.expect("auth wrong", WRONGPASS);
    server.expect("ping", "+PONG\r\n");
    server.expect("reset", "+RESET\r\n");
    server.expect("ping", NOAUTH);
    server.expect("auth default secret", "+OK\r\n");
    server.expect("ping", "+PONG\r\n");
}

#[test]
fn a_password_taken_away_lets_everybody_in() {
    let mut server = with_password();
    server.expect("ping", NOAUTH);
    server.state.users.set_default_password(b"");
    server.expect("ping", "+PONG\r\n");
    server.expect("hello 3", HELLO_NOAUTH);
}

#[test]
fn hello_logs_in_names_and_switches() {
    let mut server = with_password();
    server.expect("hello 3 auth default secret setname me", HELLO_3);
    server.expect("client getname", "$2\r\nme\r\n");
    server.expect("get nothing", "_\r\n");
    server.expect("hello", HELLO_3);
    server.expect("hello 2", HELLO_2);
    server.expect("get nothing", "$-1\r\n");
    server.expect("hello", HELLO_2);
}

#[test]
fn hello_changes_nothing_when_it_fails() {
    let mut server = Harness::new();
    let bad_name = "-ERR Client names cannot contain spaces, newlines or special characters.\r\n";
    for (request, error) in [
        ("hello 1", "-NOPROTO unsupported protocol version\r\n"),
        ("hello 4", "-NOPROTO unsupported protocol version\r\n"),
        ("hello x", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("hello 99999999999999999999", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("hello 3 foo", "-ERR Syntax error in HELLO option 'foo'\r\n"),
        ("hello 3 AUTH", "-ERR Syntax error in HELLO option 'AUTH'\r\n"),
        ("hello 3 auth a", "-ERR Syntax error in HELLO option 'auth'\r\n"),
        ("hello 3 auth a b", WRONGPASS),
        ("hello 3 setname", "-ERR Syntax error in HELLO option 'setname'\r\n"),
        ("hello 3 setname x foo", "-ERR Syntax error in HELLO option 'foo'\r\n"),
        ("hello 3 setname \u{e9}", bad_name),
        ("hello 3 auth default x setname a\tb", bad_name),
    ] {
        server.expect(request, error);
    }
    server.expect("client getname", "$-1\r\n");
    server.expect("get nothing", "$-1\r\n");
}

#[test]
fn reset_goes_back_to_the_start() {
    let mut server = Harness::new();
    server.expect("hello 3 setname me", HELLO_3);
    server.expect("client no-evict on", "+OK\r\n");
    server.expect("client no-touch on", "+OK\r\n");
    server.expect("client setinfo lib-name lib", "+OK\r\n");
    server.expect("client reply off", "");
    server.expect("reset", "+RESET\r\n");
    server.expect("client getname", "$-1\r\n");
    let session = server.state.clients.get(server.client).expect("the client is there");
    assert_eq!(session.reply.protocol(), Protocol::Resp2);
    assert!(!session.no_evict && !session.no_touch);
    assert_eq!(session.library_name, b"lib");
    server.expect("reset x", "-ERR wrong number of arguments for 'reset' command\r\n");
}

#[test]
fn quit_closes_after_the_reply() {
    let mut server = Harness::new();
    server.expect("quit whatever", "+OK\r\n");
    let session = server.state.clients.get(server.client).expect("the client is there");
    assert_eq!(session.close, Close::AfterReply);
}

#[test]
fn a_monitor_sees_what_others_do() {
    let mut server = Harness::new();
    let monitor = server.connect();
    assert_eq!(ask(&mut server, monitor, "monitor"), "+OK\r\n");
    server.advance_ms(1234);
    server.expect("set a b", "+OK\r\n");
    let line = "+1700000001.234000 [0 127.0.0.1:50001] \"set\" \"a\" \"b\"\r\n";
    assert_eq!(told(&mut server, monitor), line);
    server.run_args(&[b"SET", b"a b", b"x\r\n\"\\\0\xff\x07\x08\t~"]);
    assert_eq!(
        told(&mut server, monitor),
        "+1700000001.234000 [0 127.0.0.1:50001] \"SET\" \"a b\" \"x\\r\\n\\\"\\\\\\x00\\xff\\a\\b\\t~\"\r\n"
    );
}

#[test]
fn a_monitor_does_not_see_secrets_refusals_or_administration() {
    let mut server = Harness::new();
    let monitor = server.connect();
    ask(&mut server, monitor, "monitor");
    for (request, seen) in [
        ("AUTH secret", "\"AUTH\" \"(redacted)\""),
        ("AUTH default secret", "\"AUTH\" \"(redacted)\" \"(redacted)\""),
        ("AUTH a b c", "\"AUTH\" \"a\" \"b\" \"c\""),
        (
            "HELLO 3 AUTH default pw SETNAME x",
            "\"HELLO\" \"3\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"x\"",
        ),
        ("ping", "\"ping\""),
        ("client list", ""),
        ("get", ""),
        ("nosuch", ""),
    ] {
        server.run(request);
        let line = match seen {
            "" => String::new(),
            seen => format!("+1700000000.000000 [0 127.0.0.1:50001] {seen}\r\n"),
        };
        assert_eq!(told(&mut server, monitor), line, "{request}");
    }
}

#[test]
fn what_a_monitor_may_do_itself() {
    let mut server = Harness::new();
    let client = server.client;
    server.expect("monitor", "+OK\r\n");
    let line = |words: &str| format!("+1700000000.000000 [0 127.0.0.1:50001] {words}\r\n");
    server.expect("ping", &format!("+PONG\r\n{}", line("\"ping\"")));
    server.expect("get a", "-ERR Replica can't interact with the keyspace\r\n");
    server.expect("set a b", "-ERR Replica can't interact with the keyspace\r\n");
    server.expect("monitor", "");
    server.expect("client reply off", "");
    let other = server.connect();
    ask(&mut server, other, "ping");
    assert_eq!(told(&mut server, client), "");
    let on = line("\"client\" \"reply\" \"on\"");
    server.expect("client reply on", &format!("+OK\r\n{on}"));
    server.expect("reset", "+RESET\r\n");
    server.expect("get a", "$-1\r\n");
    ask(&mut server, other, "ping");
    assert_eq!(told(&mut server, client), "");
}

#[test]
fn a_slow_login_does_not_leave_the_password_in_the_slow_log() {
    let mut server = Harness::with_config(Config { slowlog_log_slower_than: 0, ..Config::default() });
    server.run("hello 2 auth default secret");
    let entry = server.state.command_logs.slow.newest(1).next().expect("everything is slow");
    let shown: Vec<_> = entry.arguments.iter().map(|argument| String::from_utf8_lossy(argument)).collect();
    assert_eq!(shown, ["hello", "2", "auth", "(redacted)", "(redacted)"]);
}

#[test]
fn hello_and_info_name_the_availability_zone() {
    let mut server = Harness::new();
    assert!(server.run("hello").starts_with("*14\r\n"));
    assert!(server.run("info server").contains("\r\navailability_zone:\r\n"));
    server.run("config set availability-zone eu-1");
    let hello = server.run("hello");
    assert!(hello.starts_with("*16\r\n") && hello.ends_with("$17\r\navailability_zone\r\n$4\r\neu-1\r\n"), "{hello}");
    assert!(server.run("info server").contains("\r\navailability_zone:eu-1\r\n"));
}
