//! TLS, over real sockets, with certificates made for the occasion.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/encrypted.rs"]
mod encrypted;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certificates::{Authority, Identity};
use encrypted::{BOTH, Encrypted, TlsServer, client_config, encrypted};
use rustls::{ClientConnection, HandshakeKind, SupportedProtocolVersion, version};
use server::{PATIENCE, Raw, Server, free_port};

/// Whether the server does what it is asked, or ends the connection.
fn is_served(client: &mut Encrypted) -> bool {
    let mut reply = [0; 7];
    let asked = client.stream.write_all(b"PING\r\n");
    let answered = asked.and_then(|()| client.stream.read_exact(&mut reply));
    answered.is_ok_and(|()| &reply == b"+PONG\r\n")
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[test]
fn both_versions_beside_a_plain_port() {
    let server = TlsServer::start(&[]);
    let friend = server.authority.issue("client");
    let mut plain = server.server.connect();
    for wanted in BOTH {
        let config = client_config(&server.authority, Some(&friend), &[wanted]);
        let mut client = encrypted(server.socket(), config);
        client.ask("PING", "+PONG\r\n");
        assert_eq!(client.stream.conn.protocol_version(), Some(wanted.version));
        let key = format!("{:?}", wanted.version);
        client.ask(&format!("SET {key} encrypted"), "+OK\r\n");
        plain.ask(&format!("GET {key}"), "$9\r\nencrypted\r\n");
        plain.ask(&format!("SET {key} plain"), "+OK\r\n");
        client.ask(&format!("GET {key}"), "$5\r\nplain\r\n");
        let list = client.text("CLIENT LIST");
        assert!(list.contains(&format!("laddr=127.0.0.1:{} ", server.port)), "{list}");
        client.ask("QUIT", "+OK\r\n");
        client.expect_end();
    }
    let info = plain.text("INFO server");
    let listeners = format!(
        "listener0:name=tcp,bind=127.0.0.1,port={}\r\nlistener2:name=tls,bind=127.0.0.1,port={}\r\n",
        server.server.port, server.port
    );
    assert!(info.contains(&listeners), "{info}");
}

#[test]
fn certificates_of_clients() {
    let server = TlsServer::start(&[]);
    let friend = server.authority.issue("client");
    let stranger = Authority::new("another").issue("client");
    for (setting, none, right, wrong) in
        [("yes", false, true, false), ("optional", true, true, false), ("no", true, true, true)]
    {
        server.set(&format!("tls-auth-clients {setting}"));
        assert_eq!(is_served(&mut server.client(None)), none, "{setting}, none");
        let mut client = server.client(Some(&friend));
        assert_eq!(is_served(&mut client), right, "{setting}, the right one");
        let mut client = server.client(Some(&stranger));
        assert_eq!(is_served(&mut client), wrong, "{setting}, a wrong one");
    }
}

#[test]
fn a_client_is_the_user_whom_its_certificate_names() {
    let server = TlsServer::start(&["--tls-auth-clients", "optional"]);
    let mut admin = server.server.connect();
    admin.ask("ACL SETUSER alice on >secret +@all ~*", "+OK\r\n");
    admin.ask("ACL SETUSER bob >secret +@all ~*", "+OK\r\n");
    let mut library = server.server.client();
    let certificates = ["alice", "bob", "carol"].map(|name| server.authority.issue(name));
    let who = |identity| server.client(identity).text("ACL WHOAMI");
    assert_eq!(who(Some(&certificates[0])), "default");
    server.set("tls-auth-clients-user CN requirepass password");
    assert_eq!(who(Some(&certificates[0])), "alice");
    // With a session that is resumed it is the same.
    let config = Arc::new(client_config(&server.authority, Some(&certificates[0]), BOTH));
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = encrypted(server.socket(), config.clone());
        assert_eq!(client.text("ACL WHOAMI"), "alice");
        assert_eq!(client.stream.conn.handshake_kind(), Some(kind));
    }
    for certificate in [None, Some(&certificates[1]), Some(&certificates[2])] {
        let mut client = server.client(certificate);
        client.ask("ACL WHOAMI", "-NOAUTH Authentication required.\r\n");
        client.ask("AUTH alice secret", "+OK\r\n");
    }
    let log: Vec<Vec<redis::Value>> = redis::cmd("ACL").arg("LOG").query(&mut library).expect("it");
    let text = |text: &str| redis::Value::BulkString(text.into());
    let shown: Vec<_> = log.iter().map(|entry| &entry[3..10]).collect();
    let expected =
        ["carol", "bob"].map(|name| ["tls-cert", "context", "toplevel", "object", "", "username", name].map(text));
    assert_eq!(shown, expected);
    let stats = admin.text("INFO stats");
    assert!(stats.contains("acl_access_denied_tls_cert:2\r\n"), "{stats}");
}

#[test]
fn authorities_from_a_folder() {
    let authority = Authority::new("authority");
    let identity = authority.issue("server");
    let folder = authority.folder();
    let options = ["--tls-ca-cert-file", "", "--tls-ca-cert-dir", &folder];
    let server = TlsServer::start_with(authority, identity, &options);
    assert!(is_served(&mut server.friend()));
    assert!(!is_served(&mut server.client(None)));
}

#[test]
fn a_server_with_a_tls_port_alone() {
    let server = TlsServer::start(&["--port", "0"]);
    let mut client = server.friend();
    let info = client.text("INFO server");
    assert!(info.contains(&format!("\r\ntcp_port:{}\r\n", server.port)), "{info}");
    assert!(!info.contains("name=tcp"), "{info}");
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let server = TlsServer::start(&[]);
    let mut client = server.friend();
    for round in 0..20 {
        let (mut requests, mut replies) = (Vec::new(), String::new());
        for number in 0..500 {
            let (key, value) = (format!("key:{}", number % 100), (round * number).to_string());
            requests.extend(request(&[b"SET", key.as_bytes(), value.as_bytes()]));
            requests.extend(request(&[b"GET", key.as_bytes()]));
            replies.push_str(&format!("+OK\r\n${}\r\n{value}\r\n", value.len()));
        }
        client.send(requests);
        client.expect(replies);
    }
}

/// Values of all sizes around the limits of records, of buffers, and of what is received into a buffer of its own.
#[test]
fn large_values_there_and_back() {
    let server = TlsServer::start(&[]);
    let friend = server.authority.issue("client");
    for wanted in BOTH {
        let config = client_config(&server.authority, Some(&friend), &[wanted]);
        let mut client = encrypted(server.socket(), config);
        for len in [1000, 16_383, 16_384, 20_480, 32_768, 65_536, 100_000, 1 << 20, 9 << 20] {
            let value: Vec<u8> = (0..len).map(|index| (index ^ (index >> 8)) as u8).collect();
            client.send(request(&[b"SET", b"key", &value]));
            client.expect("+OK\r\n");
            let pipeline = ["GET key\r\n", "PING\r\n", "STRLEN key\r\n"].concat();
            client.send(pipeline);
            client.expect(format!("${len}\r\n"));
            client.expect(&value);
            client.expect(format!("\r\n+PONG\r\n:{len}\r\n"));
        }
    }
}

#[test]
fn requests_and_replies_of_many_megabytes_cross() {
    const VALUES: usize = 60;
    let server = TlsServer::start(&[]);
    let mut client = server.friend();
    let value = vec![b'v'; 300_000];
    client.send(request(&[b"SET", b"key", &value]));
    client.expect("+OK\r\n");
    for _ in 0..3 {
        client.send("GET key\r\n".repeat(VALUES));
        for _ in 0..VALUES {
            client.expect("$300000\r\n");
            client.expect(&value);
            client.expect("\r\n");
        }
        let sets = request(&[b"SET", b"key", &value]).repeat(VALUES);
        client.send(sets);
        client.expect("+OK\r\n".repeat(VALUES));
    }
}

/// A socket that takes and gives one byte at a time.
struct Trickle(TcpStream);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

impl Write for Trickle {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(&buffer[..buffer.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_client_that_sends_one_byte_at_a_time() {
    let server = TlsServer::start(&[]);
    let friend = server.authority.issue("client");
    for wanted in BOTH {
        let config = client_config(&server.authority, Some(&friend), &[wanted]);
        let mut client = encrypted(Trickle(server.socket()), config);
        let value = [b'x'; 300];
        client.send(request(&[b"SET", b"key", &value]));
        client.send("GET key\r\n");
        client.expect([b"+OK\r\n$300\r\n".as_slice(), &value, b"\r\n"].concat());
    }
}

#[test]
fn what_is_no_handshake_is_turned_away() {
    let mut server = TlsServer::start(&[]);
    let mut friend = server.friend();
    friend.ask("PING", "+PONG\r\n");
    let record_too_long = [22, 3, 1, 255, 255, 1, 2, 3, 4];
    let huge_hello = [22, 3, 1, 0, 4, 1, 255, 255, 255];
    // Whether an alert may come: only somebody who speaks TLS would understand it.
    let attacks: [(&[u8], bool); 5] = [
        (b"*1\r\n$4\r\nPING\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", false),
        (&[0; 100], false),
        (&record_too_long, true),
        (&huge_hello, true),
    ];
    for (attack, alert) in attacks {
        let mut raw = Raw { stream: server.socket() };
        raw.send(attack);
        let mut rest = Vec::new();
        // A reset may come behind it.
        let _ = raw.stream.read_to_end(&mut rest);
        let is_alert = alert && rest.first() == Some(&21);
        assert!(rest.is_empty() || is_alert, "{rest:?}");
    }
    friend.ask("PING", "+PONG\r\n");
    server.server.wait_for_any(&["Error accepting a client connection: "]);
}

/// The first bytes that a client sends of its own accord.
fn hello(server: &TlsServer) -> Vec<u8> {
    let mut client = encrypted(io::empty(), client_config(&server.authority, None, BOTH));
    let mut bytes = Vec::new();
    client.stream.conn.write_tls(&mut bytes).expect("a vector takes all");
    bytes
}

#[test]
fn clients_that_leave_in_the_middle() {
    let server = TlsServer::start(&[]);
    let hello = hello(&server);
    for cut in [1, 5, 100, hello.len()] {
        let mut raw = Raw { stream: server.socket() };
        raw.send(&hello[..cut]);
    }
    // In the middle of a record, and of a reply.
    for asked in [&b"*2\r\n$3\r\nGET\r\n"[..], b"DEBUG SLEEP 0\r\nPING\r\nPI"] {
        let mut client = server.friend();
        client.ask("PING", "+PONG\r\n");
        let TlsParts { connection, socket } = parts(&mut client);
        connection.writer().write_all(asked).expect("it is buffered");
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).expect("a vector takes all");
        socket.write_all(&bytes[..bytes.len() - 3]).expect("the server reads");
    }
    let mut client = server.friend();
    client.wait_for_clients(|list| list.lines().count() == 1);
}

struct TlsParts<'a> {
    connection: &'a mut ClientConnection,
    socket: &'a mut TcpStream,
}

fn parts(client: &mut Encrypted) -> TlsParts<'_> {
    TlsParts { connection: &mut client.stream.conn, socket: &mut client.stream.sock }
}

#[test]
fn a_half_closed_client_gets_all_its_replies() {
    let server = TlsServer::start(&[]);
    let value = vec![b'x'; 4 << 20];
    let mut client = server.friend();
    client.send(request(&[b"SET", b"big", &value]));
    client.expect("+OK\r\n");
    client.send("GET big\r\nGET big\r\nPING\r\n");
    client.stream.conn.send_close_notify();
    client.stream.flush().expect("the server reads");
    for _ in 0..2 {
        client.expect(format!("${}\r\n", value.len()));
        client.expect(&value);
        client.expect("\r\n");
    }
    client.expect("+PONG\r\n");
    client.expect_end();
}

#[test]
fn a_slow_reader_neither_holds_others_up_nor_fills_the_memory() {
    const REQUESTS: usize = 10_000;
    let server = TlsServer::start(&[]);
    let (mut slow, mut other) = (server.friend(), server.friend());
    let value = vec![b'x'; 8000];
    slow.send(request(&[b"SET", b"key", &value]));
    slow.expect("+OK\r\n");
    // 80 MB are asked for, by few bytes; no more is encrypted than the socket takes, and no more is run than
    // waits to be sent.
    slow.send("GET key\r\n".repeat(REQUESTS));
    other.wait_for_clients(|list| {
        let pending = list.split_once(" omem=").and_then(|(_, rest)| rest.split(' ').next());
        pending.and_then(|text| text.parse().ok()).is_some_and(|bytes: usize| bytes >= 16 << 20)
    });
    for _ in 0..100 {
        other.ask("PING", "+PONG\r\n");
    }
    let resident = server.server.resident_bytes();
    assert!(resident < 150 << 20, "{resident} bytes resident");
    let reply = [b"$8000\r\n".as_slice(), &value, b"\r\n"].concat();
    for _ in 0..REQUESTS {
        slow.expect(&reply);
    }
    slow.ask("PING", "+PONG\r\n");
}

/// The certificate that a server shows to a new client.
fn shown(server: &TlsServer) -> Vec<u8> {
    let mut client = server.friend();
    client.ask("PING", "+PONG\r\n");
    let shown = client.stream.conn.peer_certificates().expect("it shows some");
    shown[0].to_vec()
}

#[test]
fn certificates_are_reloaded_while_the_server_runs() {
    let server = TlsServer::start(&[]);
    let mut early = server.friend();
    early.ask("PING", "+PONG\r\n");
    assert_eq!(shown(&server), server.identity.der);
    let second = server.authority.issue("second");
    let (certificate, key) = (&second.certificate_file, &second.key_file);
    let failure = |name: &str| {
        format!(
            "-ERR CONFIG SET failed (possibly related to argument '{name}') - Unable to update TLS configuration. Check server logs.\r\n"
        )
    };
    let mut plain = server.server.connect();
    // A certificate that does not go with the key, and files that are none, change nothing.
    plain.ask(&format!("CONFIG SET tls-cert-file {certificate}"), &failure("tls-cert-file"));
    plain.ask("CONFIG SET tls-key-file /dev/null", &failure("tls-key-file"));
    plain.ask("CONFIG SET tls-ca-cert-file /none", &failure("tls-ca-cert-file"));
    plain.ask("CONFIG SET tls-protocols TLSv1.1", &failure("tls-protocols"));
    plain.ask("CONFIG SET tls-ciphers RC4-SHA", &failure("tls-ciphers"));
    let old = &server.identity.certificate_file;
    plain.ask("CONFIG GET tls-cert-file", &format!("*2\r\n$13\r\ntls-cert-file\r\n${}\r\n{old}\r\n", old.len()));
    assert_eq!(shown(&server), server.identity.der);
    server.set(&format!("tls-cert-file {certificate} tls-key-file {key}"));
    assert_eq!(shown(&server), second.der);
    // The same names again, with other files behind them.
    let third = server.authority.issue("third");
    fs::copy(&third.certificate_file, certificate).expect("copied");
    fs::copy(&third.key_file, key).expect("copied");
    assert_eq!(shown(&server), second.der);
    server.set(&format!("tls-cert-file {certificate}"));
    assert_eq!(shown(&server), third.der);
    early.ask("PING", "+PONG\r\n");
}

#[test]
fn certificates_are_reloaded_when_their_files_change() {
    let mut server = TlsServer::start(&["--tls-auto-reload-interval", "1"]);
    let mut early = server.friend();
    early.ask("PING", "+PONG\r\n");
    let first = server.identity.der.clone();
    let (certificate, key) = (server.identity.certificate_file.clone(), server.identity.key_file.clone());
    // A file that is none, and a certificate that does not go with the key, change nothing.
    fs::write(&certificate, "broken").expect("written");
    let refused = "The files of TLS have changed, and the old ones stay in use: Failed to load ";
    let line = server.server.wait_for_any(&[refused]);
    assert!(line.contains(&format!("certificate: {certificate}: it holds no certificate")), "{line}");
    assert_eq!(shown(&server), first);
    let second = server.authority.issue("second");
    fs::copy(&second.certificate_file, &certificate).expect("copied");
    let line = server.server.wait_for_any(&[refused]);
    assert!(line.contains(&format!("private key: {key}: ")), "{line}");
    assert_eq!(shown(&server), first);
    // Replaced by another file, as by a certificate manager. A look between the two would find them as before.
    fs::rename(&second.key_file, &key).expect("renamed");
    // The next line is no third refusal.
    let line = server.server.wait_for_any(&["The files of TLS have changed"]);
    assert!(line.contains("new connections use the new ones."), "{line}");
    assert_eq!(shown(&server), second.der);
    early.ask("PING", "+PONG\r\n");
    // Whom it trusts is read again too.
    let stranger = Authority::new("another");
    let friend = stranger.issue("client");
    fs::copy(&stranger.certificate_file, &server.authority.certificate_file).expect("copied");
    server.server.wait_for_any(&["new connections use the new ones."]);
    assert!(is_served(&mut server.client(Some(&friend))));
    assert!(!is_served(&mut server.friend()));
    early.ask("PING", "+PONG\r\n");
}

#[test]
fn a_pipe_in_the_place_of_a_key_is_not_waited_for() {
    let mut server = TlsServer::start(&["--tls-auto-reload-interval", "1"]);
    let key = server.identity.key_file.clone();
    fs::remove_file(&key).expect("removed");
    assert!(Command::new("mkfifo").arg(&key).status().expect("it runs").success());
    let line = server.server.wait_for_any(&["stay in use: "]);
    assert!(line.contains(&format!("Not a regular file: {key}")), "{line}");
    assert_eq!(shown(&server), server.identity.der);
}

#[test]
fn a_certificate_of_version_1_has_to_go_with_its_key_too() {
    let server = TlsServer::start(&[]);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/version-1");
    server.set(&format!("tls-cert-file {folder}/a.crt tls-key-file {folder}/a.key"));
    let mut plain = server.server.connect();
    plain.ask(
        &format!("CONFIG SET tls-cert-file {folder}/b.crt"),
        "-ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable to update TLS configuration. \
         Check server logs.\r\n",
    );
}

#[test]
fn the_port_moves_and_goes() {
    let mut server = TlsServer::start(&[]);
    let mut early = server.friend();
    early.ask("PING", "+PONG\r\n");
    let old = server.port;
    server.port = free_port();
    server.set(&format!("tls-port {}", server.port));
    assert!(is_served(&mut server.friend()));
    assert!(TcpStream::connect(("127.0.0.1", old)).is_err());
    server.set("bind 127.0.0.1");
    assert!(is_served(&mut server.friend()));
    server.server.connect().ask(
        &format!("CONFIG SET tls-port {}", server.server.port),
        "-ERR CONFIG SET failed (possibly related to argument 'tls-port') - Unable to listen on this port. Check server logs.\r\n",
    );
    assert!(is_served(&mut server.friend()));
    server.set("tls-port 0");
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
    early.ask("PING", "+PONG\r\n");
}

#[test]
fn protocols_and_ciphers_are_those_of_the_settings() {
    let server = TlsServer::start(&["--tls-protocols", "TLSv1.2"]);
    let friend = server.authority.issue("client");
    let agreed = |versions: &[&'static SupportedProtocolVersion]| {
        let config = client_config(&server.authority, Some(&friend), versions);
        let mut client = encrypted(server.socket(), config);
        is_served(&mut client).then(|| {
            let suite = client.stream.conn.negotiated_cipher_suite().expect("one");
            format!("{:?}", suite.suite())
        })
    };
    assert_eq!(agreed(&[&version::TLS13]), None);
    assert!(agreed(BOTH).is_some_and(|suite| suite.starts_with("TLS_ECDHE_")));
    server.set("tls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305");
    let chacha = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    assert_eq!(agreed(BOTH).as_deref(), Some(chacha));
    server.set("tls-protocols TLSv1.3 tls-ciphersuites TLS_AES_128_GCM_SHA256");
    assert_eq!(agreed(&[&version::TLS12]), None);
    assert_eq!(agreed(BOTH).as_deref(), Some("TLS13_AES_128_GCM_SHA256"));
    // The client's first choice, unless the server's goes before it.
    server.set("tls-ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
    assert_eq!(agreed(BOTH).as_deref(), Some("TLS13_AES_256_GCM_SHA384"));
    server.set("tls-prefer-server-ciphers yes");
    assert_eq!(agreed(BOTH).as_deref(), Some("TLS13_CHACHA20_POLY1305_SHA256"));
}

#[test]
fn sessions_are_resumed_as_the_settings_say() {
    let server = TlsServer::start(&[]);
    let friend = server.authority.issue("client");
    for wanted in BOTH {
        let config = Arc::new(client_config(&server.authority, Some(&friend), &[wanted]));
        let connect = || {
            let mut client = encrypted(server.socket(), config.clone());
            client.ask("PING", "+PONG\r\n");
            client.stream.conn.handshake_kind().expect("it is over")
        };
        assert_ne!(connect(), HandshakeKind::Resumed, "{wanted:?}");
        assert_eq!(connect(), HandshakeKind::Resumed, "{wanted:?}");
        // Another configuration does not know the sessions of the one before.
        server.set("tls-session-cache-size 100");
        assert_ne!(connect(), HandshakeKind::Resumed, "{wanted:?}");
        assert_eq!(connect(), HandshakeKind::Resumed, "{wanted:?}");
        server.set("tls-session-caching no");
        assert_ne!(connect(), HandshakeKind::Resumed, "{wanted:?}");
        assert_ne!(connect(), HandshakeKind::Resumed, "{wanted:?}");
        server.set("tls-session-caching yes tls-session-cache-size 20480");
    }
}

#[test]
fn a_key_with_a_passphrase() {
    let authority = Authority::new("authority");
    let mut identity = authority.issue("server");
    identity.encrypt_key("open sesame");
    let server = TlsServer::start_with(authority, identity, &["--tls-key-file-pass", "open sesame"]);
    assert!(is_served(&mut server.friend()));
    server.server.connect().ask(
        "CONFIG SET tls-key-file-pass wrong",
        "-ERR CONFIG SET failed (possibly related to argument 'tls-key-file-pass') - Unable to update TLS configuration. Check server logs.\r\n",
    );
    assert!(is_served(&mut server.friend()));
}

#[test]
fn settings_that_cannot_be_are_refused_at_the_start() {
    let authority = Authority::new("authority");
    let identity = authority.issue("server");
    let files = ["--tls-cert-file", &identity.certificate_file, "--tls-key-file", &identity.key_file];
    let no_authority = "Either tls-ca-cert-file or tls-ca-cert-dir must be specified";
    let cases: [(&[&str], &str); 6] = [
        (&[], "No tls-cert-file configured!"),
        (&files[..2], "No tls-key-file configured!"),
        (&files, no_authority),
        (
            &[&files[..], &["--tls-auth-clients", "no", "--tls-protocols", "SSLv3"]].concat(),
            "Invalid tls-protocols specified",
        ),
        (
            &[&files[..], &["--tls-auth-clients", "no", "--tls-ciphers", "AES128-SHA"]].concat(),
            "tls-ciphers: 'AES128-SHA' is not supported",
        ),
        (
            &[&files[..], &["--tls-ca-cert-file", "/none"]].concat(),
            "Failed to configure CA certificate(s) file/directory: /none: ",
        ),
    ];
    for (options, reason) in cases {
        let port = free_port().to_string();
        let mut server = Server::launch(free_port(), &[&["--tls-port", port.as_str()], options].concat());
        let line = server.wait_for_any(&["Failed to configure TLS: "]);
        assert!(line.contains(reason), "{line}");
        let (status, _) = server.wait();
        assert_eq!(status.code(), Some(1));
    }
}

/// Clients that shake hands all at once do not hold up one that is there.
#[test]
fn a_crowd_of_handshakes_is_served_to_the_last() {
    let server = TlsServer::start(&["--tls-auth-clients", "no"]);
    let config = Arc::new(client_config(&server.authority, None, BOTH));
    let hello = hello(&server);
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut raw = Raw { stream: server.socket() };
        raw.send(&hello);
        idle.push(raw);
    }
    let mut clients: Vec<_> = (0..50).map(|_| encrypted(server.socket(), config.clone())).collect();
    for client in &mut clients {
        client.send("PING\r\n");
    }
    for client in &mut clients {
        client.expect("+PONG\r\n");
    }
    for raw in &mut idle {
        let mut first = [0];
        raw.stream.read_exact(&mut first).expect("an answer");
        assert_eq!(first, [22], "the server's part of the handshake");
    }
}

/// What the encrypted HTTP port answers to one request, to its end; nothing if the handshake fails.
fn http_answer(server: &TlsServer, port: u16, identity: Option<&Identity>, request: &str) -> Option<String> {
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut client = encrypted(socket, client_config(&server.authority, identity, BOTH));
    client.stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    client.stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Opens the HTTP port with these settings besides; gives its number.
fn open_http(server: &TlsServer, settings: &str) -> u16 {
    let mut client = server.server.connect();
    loop {
        let port = free_port();
        client.send(format!("CONFIG SET http-port {port} {settings}\r\n"));
        if client.line() == "+OK" {
            return port;
        }
    }
}

#[test]
fn the_http_port_is_encrypted_too() {
    let server = TlsServer::start(&[]);
    let port = open_http(&server, "http-tls yes");
    let friend = server.authority.issue("client");
    let request = "GET /metrics HTTP/1.1\r\nHost: oneloop.example.com\r\nConnection: close\r\n\r\n";
    let answer = http_answer(&server, port, Some(&friend), request).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nredis_uptime_in_seconds "), "{answer}");
    // A request may come in pieces, and a connection serves several.
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut client = encrypted(socket, client_config(&server.authority, Some(&friend), BOTH));
    for _ in 0..3 {
        for piece in ["GET /health HT", "TP/1.1\r\nHost: localhost\r\n", "\r\n"] {
            client.stream.write_all(piece.as_bytes()).expect("it is taken");
        }
        assert_eq!(client.line(), "HTTP/1.1 200 OK");
        while !client.line().is_empty() {}
        let mut body = [0; 3];
        client.stream.read_exact(&mut body).expect("the body");
        assert_eq!(&body, b"ok\n");
    }
    let stranger = Authority::new("another").issue("client");
    for identity in [None, Some(&stranger)] {
        assert_eq!(http_answer(&server, port, identity, request), None);
    }
    server.set("tls-auth-clients no");
    assert!(http_answer(&server, port, None, request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200 OK")));
    let mut plain = Raw { stream: TcpStream::connect(("127.0.0.1", port)).expect("the port is open") };
    plain.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    plain.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut text = Vec::new();
    // It may end with a reset.
    let _ = plain.stream.read_to_end(&mut text);
    assert!(text.is_empty(), "{text:?}");
}

#[test]
fn beyond_this_machine_the_http_port_asks_for_certificates() {
    let server = TlsServer::start(&[]);
    open_http(&server, "http-tls yes http-bind 0.0.0.0");
    let mut client = server.server.connect();
    for setting in ["tls-auth-clients no", "tls-auth-clients optional", "http-tls no"] {
        let name = setting.split(' ').next().unwrap_or_default();
        client.ask(
            &format!("CONFIG SET {setting}"),
            &format!(
                "-ERR CONFIG SET failed (possibly related to argument '{name}') - http-bind names an address beyond the \
                 loopback interface: set http-token first, or http-tls with tls-auth-clients\r\n"
            ),
        );
    }
    client.ask("CONFIG SET http-bind localhost", "+OK\r\n");
    client.ask("CONFIG SET tls-auth-clients no", "+OK\r\n");
}

/// A node of a cluster that has these slots.
fn node(slots: &str) -> (TlsServer, u16) {
    let bus_port = free_port();
    let server = TlsServer::start(&["--cluster-enabled", "yes", "--cluster-port", &bus_port.to_string()]);
    server.server.connect().ask(&format!("CLUSTER ADDSLOTSRANGE {slots}"), "+OK\r\n");
    (server, bus_port)
}

#[test]
fn a_client_that_encrypts_is_sent_to_the_encrypted_port_of_another_node() {
    let ((first, _), (second, bus_port)) = (node("0 8191"), node("8192 16383"));
    let mut plain = first.server.connect();
    plain.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus_port}", second.server.port), "+OK\r\n");
    let deadline = Instant::now() + PATIENCE;
    while !plain.text("CLUSTER INFO").starts_with("cluster_state:ok") {
        assert!(Instant::now() < deadline, "the cluster does not come up");
        std::thread::sleep(Duration::from_millis(5));
    }
    plain.ask("GET a", &format!("-MOVED 15495 127.0.0.1:{}\r\n", second.server.port));
    first.friend().ask("GET a", &format!("-MOVED 15495 127.0.0.1:{}\r\n", second.port));
}
