//! A server with an HTTP port, and connections to that port.

use std::net::TcpStream;

use super::server::{PATIENCE, Raw, Server, free_port};

/// A server with an HTTP port, and the port.
pub fn start(options: &[&str]) -> (Server, u16) {
    loop {
        let port = free_port();
        let text = port.to_string();
        let options = [&["--http-port", text.as_str()], options].concat();
        let mut server = Server::launch(free_port(), &options);
        if server.wait_for_any(&["Ready to accept", "Failed listening on port"]).contains("Ready") {
            return (server, port);
        }
    }
}

/// A connection to the port.
pub fn connect(port: u16) -> Raw<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    Raw { stream }
}
