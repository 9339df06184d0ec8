//! Recordings of servers that encrypt: they hold the plain text, and need no keys to be replayed.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/encrypted.rs"]
mod encrypted;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::{Read, Write};

use certificates::Authority;
use encrypted::{BOTH, Encrypted, TlsServer, client_config, encrypted};
use recorded::{check, recording, redact, replay};
use server::free_port;

/// A recorded server with a TLS port.
fn start(name: &str, options: &[&str]) -> (TlsServer, std::path::PathBuf) {
    let path = recording(name);
    let text = path.to_str().expect("a name in UTF-8").to_string();
    (TlsServer::start(&[&["--record", &text], options].concat()), path)
}

/// Ends the server, throws its keys away, and replays its recording.
#[track_caller]
fn check_without_keys(server: TlsServer, path: &std::path::Path) -> String {
    let TlsServer { server, authority, identity, .. } = server;
    drop((authority, identity));
    check(server, path)
}

#[test]
fn clients_whose_certificates_name_them_are_replayed_without_keys() {
    let options = ["--tls-auth-clients", "optional", "--tls-auth-clients-user", "CN", "--requirepass", "secret"];
    let (server, path) = start("tls-users", &options);
    let mut admin = server.server.connect();
    admin.ask("AUTH secret", "+OK\r\n");
    admin.ask("ACL SETUSER alice on nopass +@all ~*", "+OK\r\n");
    let alice = server.authority.issue("alice");
    let mut clients: Vec<Encrypted> = Vec::new();
    for version in BOTH {
        let config = client_config(&server.authority, Some(&alice), &[version]);
        let mut client = encrypted(server.socket(), config);
        assert_eq!(client.text("ACL WHOAMI"), "alice");
        clients.push(client);
    }
    // One without a certificate, and one whose certificate nobody knows.
    let mut nobody = server.client(None);
    nobody.ask("PING", "-NOAUTH Authentication required.\r\n");
    let stranger = Authority::new("another").issue("alice");
    let mut stranger = server.client(Some(&stranger));
    // The write may come before the alert.
    let _ = stranger.stream.write_all(b"PING\r\n");
    assert!(stranger.stream.read(&mut [0; 100]).map_or(true, |count| count == 0));
    // One that does not speak TLS, and one that gives up in the middle of its handshake.
    let mut plain = server.socket();
    plain.write_all(b"PING\r\n").expect("sent");
    assert_eq!(plain.read(&mut [0; 100]).unwrap_or(0), 0);
    server.socket().write_all(&[22, 3, 1, 0, 200, 1]).expect("sent");
    // Replies and arguments that take many records, and some that no one reads at once.
    let large = "x".repeat(300_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${}\r\n{large}\r\n", large.len());
    clients[0].send(&set);
    clients[0].expect("+OK\r\n");
    clients[1].send("GET large\r\n".repeat(20));
    for number in 0..200 {
        clients[0].ask(&format!("SET key:{number} {number}"), "+OK\r\n");
    }
    let reply = format!("${}\r\n{large}\r\n", large.len());
    clients[1].expect(reply.repeat(20));
    clients[0].ask("BLPOP none 0.01", "*-1\r\n");
    clients[0].ask("QUIT", "+OK\r\n");
    clients[0].expect_end();
    drop(clients);
    admin.wait_for_clients(|list| list.lines().count() <= 2);
    check_without_keys(server, &path);
    let bytes = fs::read(&path).expect("it is there");
    assert!(memchr::memmem::find(&bytes, b"SET key:199 199").is_some(), "plain text is recorded");
    let (status, text) = replay(&path, &["--run", "GET key:7"]);
    assert_eq!((status, text.contains("$1\r\n7")), (0, true), "{text}");
    // The name in a certificate is replaced as it is in the rules of its user.
    let redacted: std::path::PathBuf = format!("{}-redacted", path.display()).into();
    let (status, text) = redact(&path, &redacted);
    assert_eq!(status, 0, "{text}");
    let bytes = fs::read(&redacted).expect("it is there");
    assert!(["alice", "secret"].iter().all(|word| memchr::memmem::find(&bytes, word.as_bytes()).is_none()));
    let (status, text) = replay(&redacted, &["--run", "ACL LOG", "--run", "DBSIZE"]);
    assert_eq!((status, text.contains("DBSIZE\n:201")), (0, true), "{text}");
    fs::remove_file(redacted).expect("it is there");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn an_encrypted_link_to_a_primary_and_an_encrypted_page_are_replayed() {
    let (primary, above) = start("tls-primary", &["--tls-auth-clients", "no", "--repl-diskless-sync-delay", "0"]);
    let mut client = primary.server.connect();
    for number in 0..500 {
        client.ask(&format!("SET key:{number} {}", "x".repeat(200)), "+OK\r\n");
    }
    let (below, port, http) = (recording("tls-replica"), primary.port.to_string(), free_port());
    let name = below.to_str().expect("a name in UTF-8").to_string();
    let options = ["--replicaof", "127.0.0.1", &port, "--tls-replication", "yes", "--tls-ca-cert-file"];
    let page = ["--http-port", &http.to_string(), "--http-tls", "yes", "--tls-auth-clients", "no"];
    let keys = [
        &primary.authority.certificate_file,
        "--tls-cert-file",
        &primary.identity.certificate_file,
        "--tls-key-file",
        &primary.identity.key_file,
    ];
    let replica = server::Server::start(&[&["--record", &name], &options[..], &keys, &page].concat());
    client.ask("SET last 1", "+OK\r\n");
    let mut reader = replica.connect();
    while !reader.text("INFO replication").contains("master_link_status:up") {}
    client.ask("WAIT 1 20000", ":1\r\n");
    reader.ask("GET last", "$1\r\n1\r\n");
    let config = client_config(&primary.authority, None, BOTH);
    let socket = std::net::TcpStream::connect(("127.0.0.1", http)).expect("it listens");
    let mut browser = encrypted(socket, config);
    browser.send("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(browser.line().starts_with("HTTP/1.1 200"));
    drop(browser);
    check(replica, &below);
    check_without_keys(primary, &above);
    fs::remove_file(above).expect("it is there");
    fs::remove_file(below).expect("it is there");
}
