//! ACL, and what users may do.

use std::fs;
use std::path::PathBuf;

use oneloop::config::{Config, PubsubDefault};
use oneloop::engine::session::{Close, Token};
use oneloop::resp::Protocol;

use crate::support::Harness;

const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const NO_KEY: &str = "-NOPERM No permissions to access a key\r\n";
const DIGEST_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn ask(server: &mut Harness, client: Token, text: &str) -> String {
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &words)).into_owned()
}

#[track_caller]
fn check(server: &mut Harness, client: Token, text: &str, reply: &str) {
    assert_eq!(ask(server, client, text), reply, "{text}");
}

fn bulks(texts: &[&str]) -> String {
    let bulks = texts.iter().map(|text| bulk(text));
    format!("*{}\r\n{}", texts.len(), bulks.collect::<String>())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn no_command(user: &str, command: &str) -> String {
    format!("-NOPERM User {user} has no permissions to run the '{command}' command\r\n")
}

/// A client that has logged in as a user with these rules, without a password.
fn log_in(server: &mut Harness, name: &str, rules: &str) -> Token {
    server.expect(&format!("acl setuser {name} on nopass {rules}"), "+OK\r\n");
    let client = server.connect();
    check(server, client, &format!("auth {name} x"), "+OK\r\n");
    client
}

fn closing(server: &mut Harness, client: Token) -> Close {
    let session = server.state.clients.get_mut(client);
    session.expect("the client is there").close
}

#[test]
fn there_is_a_default_user_who_may_do_everything() {
    let mut server = Harness::new();
    server.expect("acl whoami", "$7\r\ndefault\r\n");
    server.expect("acl users", &bulks(&["default"]));
    server.expect("acl list", &bulks(&["user default on nopass sanitize-payload ~* &* +@all"]));
    server.expect(
        "acl getuser default",
        "*12\r\n$5\r\nflags\r\n*3\r\n$2\r\non\r\n$6\r\nnopass\r\n$16\r\nsanitize-payload\r\n\
         $9\r\npasswords\r\n*0\r\n$8\r\ncommands\r\n$5\r\n+@all\r\n$4\r\nkeys\r\n$2\r\n~*\r\n\
         $8\r\nchannels\r\n$2\r\n&*\r\n$9\r\nselectors\r\n*0\r\n",
    );
}

#[test]
fn users_are_created_changed_and_shown() {
    let mut server = Harness::new();
    server.expect("acl setuser b", "+OK\r\n");
    server.expect("acl setuser a >abc on ~x:* %R~r &c +get (+set ~y)", "+OK\r\n");
    server.expect("acl users", &bulks(&["a", "b", "default"]));
    let shown = format!(
        "user a on sanitize-payload #{DIGEST_OF_ABC} ~x:* %R~r resetchannels &c -@all +get \
         (~y resetchannels -@all +set)"
    );
    server.expect(
        "acl list",
        &bulks(&[
            &shown,
            "user b off sanitize-payload resetchannels -@all",
            "user default on nopass sanitize-payload ~* &* +@all",
        ]),
    );
    server.set_protocol(Protocol::Resp3);
    let described = format!(
        "%6\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$16\r\nsanitize-payload\r\n\
         $9\r\npasswords\r\n*1\r\n$64\r\n{DIGEST_OF_ABC}\r\n$8\r\ncommands\r\n$10\r\n-@all +get\r\n\
         $4\r\nkeys\r\n$9\r\n~x:* %R~r\r\n$8\r\nchannels\r\n$2\r\n&c\r\n$9\r\nselectors\r\n*1\r\n\
         %3\r\n$8\r\ncommands\r\n$10\r\n-@all +set\r\n$4\r\nkeys\r\n$2\r\n~y\r\n$8\r\nchannels\r\n$0\r\n\r\n"
    );
    server.expect("acl getuser a", &described);
    server.expect("acl getuser nobody", "_\r\n");
    server.expect("acl setuser a reset", "+OK\r\n");
    server.expect("acl setuser A allkeys +@all -@all allchannels resetkeys nopass skip-sanitize-payload", "+OK\r\n");
    server.expect(
        "acl list",
        &bulks(&[
            "user A off nopass skip-sanitize-payload &* -@all",
            "user a off sanitize-payload resetchannels -@all",
            "user b off sanitize-payload resetchannels -@all",
            "user default on nopass sanitize-payload ~* &* +@all",
        ]),
    );
}

#[test]
fn wrong_rules_are_refused_and_nothing_is_changed() {
    let mut server = Harness::new();
    let prefix = "-ERR Error in ACL SETUSER modifier";
    for (rules, error) in [
        ("+get foo", format!("{prefix} 'foo': Syntax error\r\n")),
        ("+foo", format!("{prefix} '+foo': Unknown command or category name in ACL\r\n")),
        ("+config|get|x", format!("{prefix} '+config|get|x': Allowing first-arg of a subcommand is not supported\r\n")),
        (
            "~* ~a",
            format!(
                "{prefix} '~a': Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does \
                 not have any effect. Try 'resetkeys' to start with an empty list of patterns\r\n"
            ),
        ),
        (
            "&* &a",
            format!(
                "{prefix} '&a': Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                 does not have any effect. Try 'resetchannels' to start with an empty list of channels\r\n"
            ),
        ),
        ("<x", format!("{prefix} '<x': The password you are trying to remove from the user does not exist\r\n")),
        (
            "#abc",
            format!(
                "{prefix} '#abc': The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters\r\n"
            ),
        ),
        ("on (+get ~a", "-ERR Unmatched parenthesis in acl selector starting at '(+get'.\r\n".to_string()),
        ("(+get x)", format!("{prefix} '(+get x)': Syntax error\r\n")),
    ] {
        server.expect(&format!("acl setuser u {rules}"), &error);
    }
    let refused = "-ERR Usernames can't contain spaces or null characters\r\n";
    assert_eq!(server.run_args(&[b"acl", b"setuser", b"a b"]), refused);
    assert_eq!(server.run_args(&[b"acl", b"setuser", b"a\0"]), refused);
    server.expect("acl users", &bulks(&["default"]));
}

#[test]
fn clients_log_in_with_the_passwords_of_their_user() {
    let mut server = Harness::new();
    server.run(&format!("acl setuser u on >one #{DIGEST_OF_ABC} +acl +ping"));
    let client = server.connect();
    check(&mut server, client, "auth u two", WRONGPASS);
    check(&mut server, client, "acl whoami", "$7\r\ndefault\r\n");
    check(&mut server, client, "auth u abc", "+OK\r\n");
    check(&mut server, client, "acl whoami", "$1\r\nu\r\n");
    server.run("acl setuser u <one");
    check(&mut server, client, "auth u one", WRONGPASS);
    server.run("acl setuser u off");
    check(&mut server, client, "auth u abc", WRONGPASS);
    // Who has logged in before stays, as in Redis.
    check(&mut server, client, "ping", "+PONG\r\n");
    server.run(&format!("acl setuser u on !{DIGEST_OF_ABC}"));
    check(&mut server, client, "auth u abc", WRONGPASS);
    server.run("acl setuser u nopass");
    check(&mut server, client, "auth u whatever", "+OK\r\n");
    server.run("acl setuser u resetpass");
    check(&mut server, client, "auth u whatever", WRONGPASS);
    check(&mut server, client, "auth nobody x", WRONGPASS);
    check(&mut server, client, "reset", "+RESET\r\n");
    check(&mut server, client, "acl whoami", "$7\r\ndefault\r\n");
    server.run("acl setuser u >new");
    let hello = ask(&mut server, client, "hello 3 auth u new");
    assert!(hello.starts_with("%7\r\n"), "{hello}");
    check(&mut server, client, "acl whoami", "$1\r\nu\r\n");
}

#[test]
fn the_default_user_decides_whether_one_must_log_in() {
    const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
    let mut server = Harness::new();
    let early = server.connect();
    server.run("acl setuser admin on nopass allkeys +@all");
    server.expect("auth admin x", "+OK\r\n");
    server.run("acl setuser default off");
    check(&mut server, early, "ping", "+PONG\r\n");
    let late = server.connect();
    check(&mut server, late, "ping", NOAUTH);
    check(&mut server, late, "auth default x", WRONGPASS);
    server.run("acl setuser default on resetpass >pass");
    check(&mut server, late, "ping", NOAUTH);
    check(&mut server, late, "auth pass", "+OK\r\n");
    server.run("config set requirepass other");
    check(&mut server, late, "auth pass", WRONGPASS);
    check(&mut server, late, "auth other", "+OK\r\n");
    server.run_args(&[b"config", b"set", b"requirepass", b""]);
    let last = server.connect();
    check(&mut server, last, "ping", "+PONG\r\n");
}

#[test]
fn requests_beyond_the_rights_are_refused() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+@all -del -config|set ~a* %R~r* %W~w*");
    for (request, reply) in [
        ("set a 1", "+OK\r\n"),
        ("get r", "$-1\r\n"),
        ("get w", NO_KEY),
        ("set r 1", NO_KEY),
        ("mget a b", NO_KEY),
        ("rename a b", NO_KEY),
        ("del a", &no_command("u", "del")),
        ("DEL", "-ERR wrong number of arguments for 'del' command\r\n"),
        ("config set a b", &no_command("u", "config|set")),
        ("config nosuch", "-ERR unknown subcommand 'nosuch'. Try CONFIG HELP.\r\n"),
        ("nosuch", "-ERR unknown command 'nosuch', with args beginning with: \r\n"),
    ] {
        check(&mut server, client, request, reply);
    }
    server.run("acl setuser u +del ~b");
    check(&mut server, client, "del a b", ":1\r\n");
    let info = server.run("info stats");
    for figure in [
        "acl_access_denied_auth:0",
        "acl_access_denied_cmd:2",
        "acl_access_denied_key:4",
        "acl_access_denied_channel:0",
    ] {
        assert!(info.contains(figure), "{figure} in {info}");
    }
    let errors = server.run("info errorstats");
    assert!(errors.contains("errorstat_NOPERM:count=6"), "{errors}");
    let commands = server.run("info commandstats");
    assert!(commands.contains("cmdstat_mget:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1"), "{commands}");
}

#[test]
fn sorting_by_other_keys_needs_the_right_to_read_all() {
    let mut server = Harness::new();
    server.run("rpush a 2 1");
    let client = log_in(&mut server, "u", "+@all ~a");
    let by = "-ERR BY option of SORT denied due to insufficient ACL permissions.\r\n";
    let get = "-ERR GET option of SORT denied due to insufficient ACL permissions.\r\n";
    check(&mut server, client, "sort a", &bulks(&["1", "2"]));
    check(&mut server, client, "sort a by nosort", &bulks(&["2", "1"]));
    check(&mut server, client, "sort a by w*", by);
    check(&mut server, client, "sort_ro a by w*->f get x*", by);
    check(&mut server, client, "sort a get #", get);
    check(&mut server, client, "sort a store b", NO_KEY);
    server.run("acl setuser u %R~*");
    check(&mut server, client, "sort a by w* get #", &bulks(&["1", "2"]));
}

#[test]
fn a_removed_user_is_gone_with_its_connections() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+@all ~*");
    let other = log_in(&mut server, "v", "+@all ~*");
    server.expect("acl deluser u default", "-ERR The 'default' user cannot be removed\r\n");
    server.expect("acl deluser u nobody", ":1\r\n");
    assert_eq!(closing(&mut server, client), Close::Now);
    assert_eq!(closing(&mut server, other), Close::No);
    check(&mut server, other, "acl deluser v v", ":1\r\n");
    assert_eq!(closing(&mut server, other), Close::AfterReply);
    server.expect("acl users", &bulks(&["default"]));
    server.expect("acl deluser u", ":0\r\n");
}

#[test]
fn a_new_user_of_the_same_name_is_another() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+ping");
    server.run("acl deluser u");
    server.run("acl setuser u on nopass +@all ~*");
    assert_eq!(closing(&mut server, client), Close::Now);
    server.run("acl setuser default -@all +auth +acl");
    check(&mut server, client, "ping", &no_command("default", "ping"));
}

#[test]
fn a_wait_is_over_when_the_right_is_gone() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+blpop ~k");
    assert_eq!(ask(&mut server, client, "blpop k 0"), "");
    server.run("acl setuser u resetkeys ~other");
    server.run("rpush k a");
    assert_eq!(server.pushed(client), NO_KEY.as_bytes());
    server.expect("llen k", ":1\r\n");
}

#[test]
fn connections_are_told_apart_by_their_user() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+ping");
    let list = server.run("client list");
    assert!(list.contains(" user=u "), "{list}");
    server.expect("client kill user nobody", "-ERR No such user 'nobody'\r\n");
    server.expect("client kill user u", ":1\r\n");
    assert_eq!(closing(&mut server, client), Close::Now);
}

#[test]
fn categories_and_their_commands_are_listed() {
    let mut server = Harness::new();
    let all = server.run("acl cat");
    assert!(all.starts_with("*21\r\n$8\r\nkeyspace\r\n$4\r\nread\r\n"), "{all}");
    let hashes = server.run("acl cat HASH");
    assert!(hashes.contains("$4\r\nhset\r\n") && !hashes.contains("$3\r\nset\r\n"));
    let slow = server.run("acl cat slow");
    assert!(slow.contains("$3\r\nacl\r\n") && slow.contains("$11\r\nacl|setuser\r\n"));
    server.expect("acl cat nosuch", "-ERR Unknown category 'nosuch'\r\n");
    server.expect("acl cat a b", "-ERR unknown subcommand or wrong number of arguments for 'cat'. Try ACL HELP.\r\n");
}

#[test]
fn a_dry_run_tells_what_would_be_refused() {
    let mut server = Harness::new();
    server.run("acl setuser u +get +config|get ~a");
    for (request, reply) in [
        ("u get a", "+OK\r\n".to_string()),
        ("u get b", bulk("User u has no permissions to access the 'b' key")),
        ("u del b", bulk("User u has no permissions to run the 'del' command")),
        ("u config get x", "+OK\r\n".into()),
        ("u config foo", "-ERR Command 'config' not found\r\n".into()),
        ("u nosuch", "-ERR Command 'nosuch' not found\r\n".into()),
        ("nobody get a", "-ERR User 'nobody' not found\r\n".into()),
        ("u get", "-ERR wrong number of arguments for 'get' command\r\n".into()),
        ("u config get", "-ERR wrong number of arguments for 'config|get' command\r\n".into()),
        ("default flushall", "+OK\r\n".into()),
    ] {
        server.expect(&format!("acl dryrun {request}"), &reply);
    }
    server.expect("acl log", "*0\r\n");
    server.expect("acl dryrun u", "-ERR wrong number of arguments for 'acl|dryrun' command\r\n");
}

#[test]
fn passwords_are_made_up() {
    let mut server = Harness::new();
    let first = server.run("acl genpass");
    assert!(first.starts_with("$64\r\n") && first.len() == 71, "{first}");
    assert_ne!(first, server.run("acl genpass"));
    assert!(server.run("acl genpass 5").starts_with("$2\r\n"));
    assert!(server.run("acl genpass 4096").starts_with("$1024\r\n"));
    let error = "-ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up \
                 to 4096\r\n";
    server.expect("acl genpass 0", error);
    server.expect("acl genpass 4097", error);
    server.expect("acl genpass x", "-ERR value is not an integer or out of range\r\n");
}

#[test]
fn refusals_are_logged() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+get +@connection ~a");
    ask(&mut server, client, "get b");
    server.advance_ms(1500);
    ask(&mut server, client, "get b");
    ask(&mut server, client, "SET a b");
    ask(&mut server, client, "Auth nobody x");
    ask(&mut server, client, "hello 2 auth u2 x");
    server.advance_ms(250);
    let log = server.run("acl log");
    let start = "*4\r\n*20\r\n$5\r\ncount\r\n:1\r\n$6\r\nreason\r\n$4\r\nauth\r\n$7\r\ncontext\r\n$8\r\ntoplevel\r\n\
                 $6\r\nobject\r\n$5\r\nhello\r\n$8\r\nusername\r\n$2\r\nu2\r\n$11\r\nage-seconds\r\n$4\r\n0.25\r\n\
                 $11\r\nclient-info\r\n";
    assert!(log.starts_with(start), "{log}");
    assert!(log.contains("object\r\n$4\r\nAuth\r\n$8\r\nusername\r\n$6\r\nnobody\r\n"), "{log}");
    assert!(log.contains("object\r\n$3\r\nset\r\n$8\r\nusername\r\n$1\r\nu\r\n"), "{log}");
    assert!(log.contains("id=2 addr=127.0.0.1:50002"), "{log}");
    let end = "$8\r\nentry-id\r\n:0\r\n$17\r\ntimestamp-created\r\n:1700000000000\r\n\
               $22\r\ntimestamp-last-updated\r\n:1700000001500\r\n";
    assert!(log.ends_with(end), "{log}");
    assert!(log.contains("count\r\n:2\r\n$6\r\nreason\r\n$3\r\nkey\r\n"), "{log}");
    assert!(server.run("acl log 1").starts_with("*1\r\n"));
    server.expect("acl log 0", "*0\r\n");
    server.expect("acl log -1", "*0\r\n");
    server.expect("acl log x", "-ERR value is not an integer or out of range\r\n");
    server.run("config set acllog-max-len 2");
    ask(&mut server, client, "get c");
    assert!(server.run("acl log").starts_with("*2\r\n"));
    server.expect("acl log reset", "+OK\r\n");
    server.expect("acl log", "*0\r\n");
}

#[test]
fn rules_stay_out_of_the_slow_log() {
    let mut server = Harness::new();
    server.run("config set slowlog-log-slower-than 0");
    server.run("acl setuser u >secret");
    let log = server.run("slowlog get 1");
    assert!(!log.contains("secret"), "{log}");
    assert_eq!(log.matches("(redacted)").count(), 2, "{log}");
}

#[test]
fn new_users_may_use_channels_where_the_settings_say_so() {
    let mut server =
        Harness::with_config(Config { acl_pubsub_default: PubsubDefault::AllChannels, ..Config::default() });
    server.run("acl setuser u");
    server.run("config set acl-pubsub-default resetchannels");
    server.run("acl setuser v (+get)");
    server.expect(
        "acl list",
        &bulks(&[
            "user default on nopass sanitize-payload ~* &* +@all",
            "user u off sanitize-payload &* -@all",
            "user v off sanitize-payload resetchannels -@all (resetchannels -@all +get)",
        ]),
    );
}

/// A folder of a test's own, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = format!("oneloop-acl-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn with_file(folder: &Folder) -> (Harness, PathBuf) {
    let path = folder.0.join("users.acl");
    let config = Config { aclfile: path.to_string_lossy().into_owned(), ..Config::default() };
    (Harness::with_config(config), path)
}

#[test]
fn the_file_of_users_is_written_and_read() {
    let folder = Folder::new("file");
    let (mut server, path) = with_file(&folder);
    let client = log_in(&mut server, "u", "+get ~a (+set ~b)");
    server.run("acl setuser u >abc");
    server.expect("acl save", "+OK\r\n");
    let text = fs::read_to_string(&path).expect("the file is there");
    assert_eq!(
        text,
        format!(
            "user default on nopass sanitize-payload ~* &* +@all\n\
             user u on sanitize-payload #{DIGEST_OF_ABC} ~a resetchannels -@all +get (~b resetchannels -@all +set)\n"
        )
    );
    server.run("acl setuser w");
    let before = server.run("acl list");
    server.expect("acl load", "+OK\r\n");
    assert_eq!(closing(&mut server, client), Close::Now);
    server.expect("acl users", &bulks(&["default", "u"]));
    assert_ne!(server.run("acl list"), before);
    fs::write(&path, "\n  user v on  +ping \r\n\n").expect("a file can be written");
    server.expect("acl load", "+OK\r\n");
    server.expect(
        "acl list",
        &bulks(&[
            "user default on nopass sanitize-payload ~* &* +@all",
            "user v on sanitize-payload resetchannels -@all +ping",
        ]),
    );
}

#[test]
fn a_file_with_errors_changes_nothing() {
    let folder = Folder::new("errors");
    let (mut server, path) = with_file(&folder);
    let name = path.to_string_lossy().into_owned();
    server.run("acl setuser u on");
    let before = server.run("acl list");
    let end = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed\r\n";
    for (text, errors) in [
        (
            "user a +foo\nuser b bar ~",
            format!(
                "{name}:1: Error in applying operation '+foo': Unknown command or category name in ACL. {name}:2: Syntax error. "
            ),
        ),
        ("user a on\nuser a off", "WARNING: Duplicate user 'a' found on line 2. ".into()),
        ("# mine", format!("{name}:1 should start with user keyword followed by the username. ")),
        ("\nuser", format!("{name}:2 should start with user keyword followed by the username. ")),
        ("user a\tb on", format!("'{name}:1: username 'a\tb' contains invalid characters. ")),
        ("user a (+get", format!("{name}:1: Unmatched parenthesis in selector definition.")),
        ("user a foo >x bar", format!("{name}:1: Syntax error. ")),
    ] {
        fs::write(&path, text).expect("a file can be written");
        server.expect("acl load", &format!("-ERR {errors}{end}"));
    }
    fs::remove_file(&path).expect("the file was there");
    server
        .expect("acl load", &format!("-ERR Error loading ACLs, opening file '{name}': No such file or directory\r\n"));
    assert_eq!(server.run("acl list"), before);
    drop(folder);
    server.expect(
        "acl save",
        "-ERR There was an error trying to save the ACLs. Please check the server logs for more information\r\n",
    );
}

#[test]
fn without_a_file_nothing_is_loaded_or_saved() {
    let mut server = Harness::new();
    let error = "-ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the \
                 ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file \
                 set) in order to store users in the Redis configuration.\r\n";
    server.expect("acl load", error);
    server.expect("acl save", error);
}

#[test]
fn the_configuration_file_keeps_the_users() {
    let folder = Folder::new("config");
    let mut server = Harness::new();
    let path = folder.0.join("a.conf");
    fs::write(&path, "user old on\nhz 15\n").expect("a file can be written");
    server.state.process.config_file = Some(path.clone());
    server.run("acl setuser u on ~a\"b (+get ~c)");
    server.expect("config rewrite", "+OK\r\n");
    let text = fs::read_to_string(&path).expect("the file is there");
    let users: Vec<&str> = text.lines().filter(|line| line.starts_with("user")).collect();
    assert_eq!(
        users,
        [
            "user default on nopass sanitize-payload ~* &* +@all",
            "user u on sanitize-payload \"~a\\\"b\" resetchannels -@all (~c resetchannels -@all +get)",
        ]
    );
}

#[test]
fn wrong_forms_are_refused() {
    let mut server = Harness::new();
    for (request, name) in [
        ("acl", "acl"),
        ("acl setuser", "acl|setuser"),
        ("acl deluser", "acl|deluser"),
        ("acl getuser", "acl|getuser"),
        ("acl list x", "acl|list"),
        ("acl load x", "acl|load"),
        ("acl whoami x", "acl|whoami"),
        ("acl help x", "acl|help"),
    ] {
        let error = format!("-ERR wrong number of arguments for '{name}' command\r\n");
        server.expect(request, &error);
    }
    for (request, name) in [("acl log 1 2", "log"), ("acl genpass 1 2", "genpass")] {
        let error = format!("-ERR unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP.\r\n");
        server.expect(request, &error);
    }
    server.expect("acl foo", "-ERR unknown subcommand 'foo'. Try ACL HELP.\r\n");
    let help = server.run("acl help");
    assert!(help.contains("+SETUSER <username> [<rule> ...]\r\n"), "{help}");
}

#[test]
fn scripts_run_in_the_name_of_their_callers() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "scripter", "+eval +get ~allowed");
    let eval = |server: &mut Harness, script: &str| {
        let reply = server.run_as(client, &[b"EVAL", script.as_bytes(), b"0"]);
        String::from_utf8_lossy(&reply).into_owned()
    };
    assert_eq!(eval(&mut server, "return redis.call('get','allowed')"), "$-1\r\n");
    let reply = eval(&mut server, "return redis.call('get','other')");
    assert!(reply.starts_with("-ERR ACL failure in script: No permissions to access a key"), "{reply}");
    let reply = eval(&mut server, "return redis.call('set','allowed','x')");
    let refused = "-ERR ACL failure in script: User scripter has no permissions to run the 'set' command";
    assert!(reply.starts_with(refused), "{reply}");
    let script = "return {redis.acl_check_cmd('get','allowed'), redis.acl_check_cmd('get','x')}";
    assert_eq!(eval(&mut server, script), "*2\r\n:1\r\n$-1\r\n");
    let log = server.run("acl log");
    assert!(log.contains("$3\r\nlua\r\n"), "{log}");
    // Of its caller, and not of the session that scripts have.
    assert_eq!(log.matches("id=2 addr=127.0.0.1:50002").count(), 2, "{log}");
    assert_eq!(log.matches("cmd=eval user=scripter").count(), 2, "{log}");
}

#[test]
fn what_is_queued_is_checked_when_it_runs() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "worker", "+@all ~*");
    check(&mut server, client, "multi", "+OK\r\n");
    check(&mut server, client, "set a 1", "+QUEUED\r\n");
    check(&mut server, client, "get a", "+QUEUED\r\n");
    server.run("acl setuser worker -set");
    check(
        &mut server,
        client,
        "exec",
        "*2\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command \
         is no longer allowed for the following reason: no permission to execute the command or subcommand\r\n$-1\r\n",
    );
    assert!(server.run("acl log").contains("$5\r\nmulti\r\n"));
}

#[test]
fn channels_are_checked_and_lost_ones_end_connections() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "listener", "+@all ~* resetchannels &news.*");
    let refused = "-NOPERM No permissions to access a channel\r\n";
    check(&mut server, client, "publish other x", refused);
    check(&mut server, client, "publish news.1 x", ":0\r\n");
    check(&mut server, client, "psubscribe news.1*", refused);
    check(&mut server, client, "subscribe news.1 other", refused);
    check(&mut server, client, "ssubscribe other", refused);
    assert!(ask(&mut server, client, "subscribe news.1").starts_with("*3\r\n$9\r\nsubscribe"));
    let is_closing = |server: &Harness| {
        let session = server.state.clients.get(client);
        session.is_none_or(|session| session.close != Close::No)
    };
    server.run("acl setuser listener &other");
    assert!(!is_closing(&server));
    server.run("acl setuser listener resetchannels &news.2");
    assert!(is_closing(&server));
}

#[test]
fn channels_need_a_right_of_their_own() {
    const NO_CHANNEL: &str = "-NOPERM No permissions to access a channel\r\n";
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+@all resetchannels &a:* &b");
    for (request, allowed) in [
        ("publish a:1 x", true),
        ("publish c x", false),
        ("spublish b x", true),
        ("spublish c x", false),
        ("subscribe a:1 b", true),
        ("subscribe a:1 c", false),
        ("ssubscribe a:2", true),
        ("ssubscribe c", false),
        ("psubscribe a:*", true),
        ("psubscribe a:1", false),
        ("psubscribe *", false),
        ("unsubscribe c", true),
        ("punsubscribe *", true),
        ("sunsubscribe c", true),
    ] {
        let reply = ask(&mut server, client, request);
        assert_eq!(reply != NO_CHANNEL, allowed, "{request}: {reply}");
    }
    let info = server.run("info stats");
    assert!(info.contains("acl_access_denied_channel:6"), "{info}");
    assert!(server.run("acl log 1").contains("$7\r\nchannel\r\n"));
    server.expect("acl dryrun u subscribe c", &bulk("User u has no permissions to access the 'c' channel"));
}

#[test]
fn who_listens_to_what_is_taken_away_is_disconnected() {
    for (before, listens, after, is_gone) in [
        ("&a &b", "subscribe a", "resetchannels &b", true),
        ("&a &b", "subscribe b", "resetchannels &b", false),
        ("&a &b", "ssubscribe a", "resetchannels &b", true),
        ("&a* &b", "psubscribe a*", "resetchannels &b", true),
        ("&a*", "psubscribe a*", "resetchannels &a* &b", false),
        ("&a*", "psubscribe a*", "allchannels", false),
        ("allchannels", "subscribe a", "resetchannels &a", false),
        ("allchannels", "psubscribe a*", "resetchannels &a", true),
        ("allchannels", "ping", "resetchannels", false),
    ] {
        let mut server = Harness::new();
        let client = log_in(&mut server, "u", &format!("+@all resetchannels {before}"));
        let other = log_in(&mut server, "v", &format!("+@all resetchannels {before}"));
        ask(&mut server, client, listens);
        ask(&mut server, other, listens);
        server.expect(&format!("acl setuser u {after}"), "+OK\r\n");
        let gone = closing(&mut server, client) == Close::Now;
        assert_eq!(gone, is_gone, "{before} {listens} {after}");
        assert_eq!(closing(&mut server, other), Close::No);
    }
}

#[test]
fn rights_count_when_a_command_is_queued_and_when_it_runs() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "u", "+@all -del ~a ~b");
    check(&mut server, client, "multi", "+OK\r\n");
    check(&mut server, client, "set a 1", "+QUEUED\r\n");
    check(&mut server, client, "del a", &no_command("u", "del"));
    check(&mut server, client, "exec", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert!(server.run("acl log 1").contains("$5\r\nmulti\r\n"));
    for request in ["multi", "set a 1", "set b 1", "config get nosuch"] {
        ask(&mut server, client, request);
    }
    server.run("acl setuser u resetkeys ~a -config");
    let reason = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
                  This command is no longer allowed for the following reason:";
    check(
        &mut server,
        client,
        "exec",
        &format!(
            "*3\r\n+OK\r\n{reason} no permission to touch the specified keys\r\n\
             {reason} no permission to execute the command or subcommand\r\n"
        ),
    );
    server.expect("get b", "$-1\r\n");
    assert!(server.run("acl log 1").contains("$5\r\nmulti\r\n"));
    for request in ["multi", "auth u2 x"] {
        ask(&mut server, client, request);
    }
    let reply = ask(&mut server, client, "exec");
    assert_eq!(reply, format!("*1\r\n{WRONGPASS}"));
    let log = server.run("acl log 1");
    assert!(log.contains("$4\r\nauth\r\n$7\r\ncontext\r\n$5\r\nmulti\r\n"), "{log}");
}
