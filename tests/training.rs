//! A training instance over TCP: who may give orders, what becomes of bodies that are none, and that nothing of the
//! server itself is touched. What the lessons show is tested in `src/reactor/training/tests.rs`.

#[path = "support/http_port.rs"]
mod http_port;
#[path = "support/json.rs"]
mod json;
#[path = "support/server.rs"]
mod server;

use std::io::Read;
use std::net::TcpStream;

use http_port::{connect, start};
use json::Json;
use server::{Raw, Server, free_port};

const HTTP_TOKEN: &str = "0123456789abcdef";

fn start_training() -> (Server, u16) {
    start(&["--training", "yes"])
}

/// The status, the header lines, and the body.
#[derive(Debug)]
struct Answer {
    status: String,
    headers: Vec<String>,
    body: String,
}

#[track_caller]
fn read_answer(client: &mut Raw<TcpStream>) -> Answer {
    let status = client.line().replace("HTTP/1.1 ", "");
    let mut headers = Vec::new();
    loop {
        match client.line() {
            line if line.is_empty() => break,
            line => headers.push(line),
        }
    }
    let length = headers.iter().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    client.stream.read_exact(&mut body).expect("the whole body");
    Answer { status, headers, body: String::from_utf8(body).expect("text") }
}

#[track_caller]
fn ask(port: u16, request: &str) -> Answer {
    let mut client = connect(port);
    client.send(request);
    read_answer(&mut client)
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

const QUESTION: &str = "GET /training HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The header line with the token that the page gets.
fn token_of(port: u16) -> String {
    let answer = ask(port, QUESTION);
    assert_eq!(answer.status, "200 OK");
    let token = Json::parse(&answer.body).member("token").text().to_string();
    assert!(token.len() == 32 && token.bytes().all(|digit| digit.is_ascii_hexdigit()), "{token}");
    format!("X-Training-Token: {token}\r\n")
}

/// Turns that the loop of the lessons has taken.
fn turns(answer: &Answer) -> u64 {
    assert_eq!(answer.status, "200 OK", "{}", answer.body);
    let state = Json::parse(&answer.body);
    match state.member("state").member("turns") {
        Json::Number(digits) => digits.parse().expect("a number"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_servers_have_no_lessons() {
    let (server, port) = start(&[]);
    assert_eq!(ask(port, QUESTION).status, "404 Not Found");
    for headers in ["", "X-Training-Token: \r\n", "X-Training-Token: 0123456789abcdef0123456789abcdef\r\n"] {
        assert_eq!(ask(port, &post("/training", headers, "turn")).status, "404 Not Found");
    }
    assert_eq!(ask(port, &post("/", "", "turn")).status, "405 Method Not Allowed");
    assert_eq!(ask(port, &post("/metrics", "", "turn")).status, "405 Method Not Allowed");
    let source = "GET /source/scripts/echo.rs HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(ask(port, source).status, "404 Not Found");
    let page = ask(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!page.body.contains("lessons"));
    server.connect().ask(
        "CONFIG SET training yes",
        "-ERR CONFIG SET failed (possibly related to argument 'training') - can't set immutable config\r\n",
    );
}

#[test]
fn an_order_steps_the_loop_of_the_lessons() {
    let (_server, port) = start_training();
    let token = token_of(port);
    assert!(ask(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").body.contains("id=\"lessons\""));
    let mut client = connect(port);
    let mut order = |line: &str| {
        client.send(post("/training", &token, line));
        read_answer(&mut client)
    };
    assert_eq!(turns(&order("reset fairness")), 0);
    assert!(order("next").body.contains("\"due\":[\"A\",\"B\",\"C\"]"));
    let first = order("turn");
    assert_eq!(turns(&first), 1);
    assert!(first.body.contains("\"ready\":[\"A\"]"), "{}", first.body);
    assert_eq!(turns(&order("turn 5")), 6);
    // Another connection sees the same scene.
    assert_eq!(turns(&ask(port, QUESTION)), 6);
    let head = QUESTION.replace("GET", "HEAD") + QUESTION;
    client.send(head);
    assert_eq!(client.line(), "HTTP/1.1 200 OK");
    while !client.line().is_empty() {}
    assert_eq!(turns(&read_answer(&mut client)), 6);
    let source = ask(port, "GET /source/scripts/echo.rs HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(source.body, include_str!("../scripts/echo.rs"));
    for path in ["/source/", "/source/Cargo.toml", "/source/../Cargo.toml", "/source//etc/passwd", "/source"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(ask(port, &request).status, "404 Not Found", "{path}");
    }
}

#[test]
fn an_order_without_the_token_or_from_elsewhere_is_refused() {
    let (_server, port) = start_training();
    let token = token_of(port);
    let wrong = token.replace(|digit: char| digit.is_ascii_digit(), "x");
    for headers in [
        String::new(),
        wrong,
        "X-Training-Token: \r\n".to_string(),
        format!("{token}Origin: http://example.com\r\n"),
        format!("{token}Origin: null\r\n"),
        format!("{token}Sec-Fetch-Site: cross-site\r\n"),
        format!("{token}Sec-Fetch-Site: same-site\r\n"),
    ] {
        assert_eq!(ask(port, &post("/training", &headers, "turn")).status, "403 Forbidden", "{headers}");
    }
    // A name that was made to lead here: neither an order nor the token.
    let rebound = post("/training", &token, "turn").replace("localhost", "example.com");
    assert_eq!(ask(port, &rebound).status, "403 Forbidden");
    assert_eq!(ask(port, &QUESTION.replace("localhost", "example.com")).status, "403 Forbidden");
    let foreign = QUESTION.replace("\r\n\r\n", "\r\nOrigin: http://example.com\r\n\r\n");
    assert_eq!(ask(port, &foreign).status, "403 Forbidden");
    assert_eq!(turns(&ask(port, QUESTION)), 0);
    let own = format!("{token}Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(turns(&ask(port, &post("/training", &own, "turn"))), 1);
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = format!("{method} /training HTTP/1.1\r\nHost: localhost\r\n{token}\r\n");
        let answer = ask(port, &request);
        assert_eq!(answer.status, "405 Method Not Allowed", "{method}");
        assert!(answer.headers.contains(&"Allow: GET, HEAD, POST".to_string()), "{:?}", answer.headers);
    }
    let (_other, other_port) = start_training();
    assert_ne!(token_of(other_port), token, "no two instances have the same");
    assert_eq!(ask(other_port, &post("/training", &token, "turn")).status, "403 Forbidden");
}

#[test]
fn where_an_http_token_is_asked_for_both_have_to_be_shown() {
    let (_server, port) = start(&["--training", "yes", "--http-token", HTTP_TOKEN]);
    let login = format!("Authorization: Bearer {HTTP_TOKEN}\r\n");
    assert_eq!(ask(port, QUESTION).status, "401 Unauthorized");
    let answer = ask(port, &QUESTION.replace("\r\n\r\n", &format!("\r\n{login}\r\n")));
    let token = Json::parse(&answer.body).member("token").text().to_string();
    let token = format!("X-Training-Token: {token}\r\n");
    assert_eq!(ask(port, &post("/training", &token, "turn")).status, "401 Unauthorized");
    assert_eq!(ask(port, &post("/training", &login, "turn")).status, "403 Forbidden");
    assert_eq!(turns(&ask(port, &post("/training", &(login + &token), "turn"))), 1);
}

#[test]
fn what_is_no_order_changes_nothing() {
    let (_server, port) = start_training();
    let token = token_of(port);
    let mut client = connect(port);
    for body in ["", "turn 0", "jump", "{\"a\": [1,2", "set share", "reset \"", "\u{0}\u{1}", &"turn ".repeat(800)] {
        client.send(post("/training", &token, body));
        let answer = read_answer(&mut client);
        assert_eq!(answer.status, "400 Bad Request", "{body:.40}");
        assert!(answer.headers.contains(&"Content-Type: text/plain; charset=utf-8".to_string()));
    }
    // Those after which nobody knows where the next request begins.
    let long = "x".repeat(4097);
    let chunked = format!(
        "POST /training HTTP/1.1\r\nHost: localhost\r\n{token}Transfer-Encoding: chunked\r\n\r\n4\r\nturn\r\n0\r\n\r\n"
    );
    for (request, status) in [
        (post("/training", &token, &long), "413 Content Too Large"),
        (post("/training", &token, "turn").replace("Length: 4", "Length: 999999999"), "413 Content Too Large"),
        (post("/training", &token, "turn").replace("Length: 4", "Length: 99999999999999999999"), "400 Bad Request"),
        (post("/training", &token, "turn").replace("Length: 4", "Length: +4"), "400 Bad Request"),
        (post("/training", &format!("{token}Content-Length: 4\r\n"), "turn"), "400 Bad Request"),
        (chunked, "400 Bad Request"),
        (post("/training", "", &long), "403 Forbidden"),
        (post("/nothing", &token, &long), "404 Not Found"),
    ] {
        let mut client = connect(port);
        client.send(&request);
        let answer = read_answer(&mut client);
        assert_eq!(answer.status, status, "{request:.200}");
        assert!(answer.headers.contains(&"Connection: close".to_string()), "{request:.200}");
    }
    assert_eq!(turns(&ask(port, QUESTION)), 0);
}

#[test]
fn orders_may_come_in_pieces_and_one_behind_the_other() {
    let (_server, port) = start_training();
    let token = token_of(port);
    let order = post("/training", &token, "turn");
    let mut client = connect(port);
    for byte in order.bytes() {
        client.send([byte]);
    }
    assert_eq!(turns(&read_answer(&mut client)), 1);
    client.send(order.repeat(20));
    for turn in 2..=21 {
        assert_eq!(turns(&read_answer(&mut client)), turn);
    }
    // One that never sends its body takes no place for ever, and nothing from others.
    let mut slow = connect(port);
    slow.send(&order[..order.len() - 2]);
    assert_eq!(turns(&ask(port, &order)), 22);
}

#[test]
fn the_server_itself_is_not_touched() {
    let (mut server, port) = start(&["--training", "yes", "--maxclients", "1"]);
    let token = token_of(port);
    let mut client = server.connect();
    client.ask("SET key value", "+OK\r\n");
    for line in
        ["reset jobs", "next", "turn 200", "reset commit", "next", "turn", "send A \"SET key other\\r\\n\"", "turn 9"]
    {
        assert_eq!(ask(port, &post("/training", &token, line)).status, "200 OK", "{line}");
        client.ask("GET key", "$5\r\nvalue\r\n");
        client.ask("DBSIZE", ":1\r\n");
    }
    client.ask("CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
    assert!(client.text("INFO clients").contains("connected_clients:1\r\n"));
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success());
    let told = ["connected at the end", "AOF"];
    assert!(!log.iter().any(|line| told.iter().any(|words| line.contains(words))), "{log:?}");
}

#[test]
fn it_needs_the_http_port_and_cannot_be_recorded() {
    let mut refused = Server::launch(free_port(), &["--training", "yes"]);
    refused.wait_for_any(&["A training instance shows its lessons on the HTTP port: set http-port."]);
    let (status, _) = refused.wait();
    assert!(!status.success());
    let path = std::env::temp_dir().join(format!("oneloop-training-{}", std::process::id()));
    let (name, port) = (path.display().to_string(), free_port().to_string());
    let mut refused = Server::launch(free_port(), &["--record", &name, "--training", "yes", "--http-port", &port]);
    refused.wait_for_any(&["A training instance cannot be recorded: leave out --record, or training."]);
    let (status, _) = refused.wait();
    assert!(!status.success());
    let _ = std::fs::remove_file(path);
}
