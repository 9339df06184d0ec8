//! A server with a TLS port, and clients that encrypt.
#![allow(dead_code)] // Each test program uses a part of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};

use super::certificates::{Authority, Identity};
use super::server::{PATIENCE, Raw, Server, free_port};

/// A client that encrypts.
pub type Encrypted<S = TcpStream> = Raw<StreamOwned<ClientConnection, S>>;

/// A server with a plain port and a TLS port, and the authority of its certificate.
pub struct TlsServer {
    pub server: Server,
    pub port: u16,
    pub authority: Authority,
    /// The directory is removed with the server.
    pub identity: Identity,
}

impl TlsServer {
    /// One whose certificate, `server`, comes from an authority of its own.
    pub fn start(options: &[&str]) -> TlsServer {
        let authority = Authority::new("authority");
        let identity = authority.issue("server");
        TlsServer::start_with(authority, identity, options)
    }

    /// One with this certificate.
    pub fn start_with(authority: Authority, identity: Identity, options: &[&str]) -> TlsServer {
        for _ in 0..5 {
            let port = free_port();
            let mut all = vec!["--tls-port".to_string(), port.to_string()];
            all.extend(identity.options(&authority));
            all.extend(options.iter().map(|option| option.to_string()));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let mut server = Server::launch(free_port(), &all);
            let line = server.wait_for_any(&["Ready to accept connections tls", "Failed listening"]);
            if line.contains("Ready") {
                return TlsServer { server, port, authority, identity };
            }
        }
        panic!("no port could be had");
    }

    /// A connection on which nothing was said.
    pub fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    /// A client that trusts the server's authority and shows this certificate, if any.
    pub fn client(&self, identity: Option<&Identity>) -> Encrypted {
        encrypted(self.socket(), client_config(&self.authority, identity, BOTH))
    }

    /// A client that the server accepts.
    pub fn friend(&self) -> Encrypted {
        self.client(Some(&self.authority.issue("client")))
    }

    /// Changes a setting, through the plain port.
    pub fn set(&self, pairs: &str) {
        self.server.connect().ask(&format!("CONFIG SET {pairs}"), "+OK\r\n");
    }
}

/// The versions of TLS.
pub const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// What a client trusts and shows.
pub fn client_config(
    authority: &Authority,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from(authority.der.clone());
    roots.add(certificate).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("suites for them")
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from(identity.der.clone())];
            let key = PrivateKeyDer::try_from(identity.key_der.clone()).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("they belong together")
        }
    }
}

/// A session over that socket.
pub fn encrypted<S: Read + Write>(socket: S, config: impl Into<Arc<ClientConfig>>) -> Encrypted<S> {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(config.into(), name).expect("a session");
    Raw { stream: StreamOwned::new(connection, socket) }
}
