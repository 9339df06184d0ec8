//! `oneloop ping`: asks a server whether it serves, for probes where there is no other client.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub(super) const USAGE: &str = "\
Usage: oneloop ping [HOST:PORT | SOCKET]

Sends PING to a server (by default to 127.0.0.1:6379) and prints its answer. The exit status is 0 if the server serves,
or asks for a password first; 1 if it does not answer in time, still loads its data, or waits for its primary.
";

const DEFAULT_ADDRESS: &str = "127.0.0.1:6379";
const TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 512;

/// Does what `arguments`, without the program's name and the tool's, ask for; gives the exit status.
pub fn main(arguments: &[String], out: &mut dyn Write) -> u8 {
    let (text, status) = match arguments {
        [] => asked(DEFAULT_ADDRESS),
        [address] if !address.starts_with('-') => asked(address),
        _ => (USAGE.to_string(), 2),
    };
    // A reader that has gone wants to hear nothing.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    status
}

/// The answer of a server, and the exit status.
fn asked(address: &str) -> (String, u8) {
    match answer(address) {
        Ok(line) => {
            let serves = line == "+PONG" || line.starts_with("-NOAUTH");
            (format!("{}\n", line.trim_start_matches(['+', '-'])), u8::from(!serves))
        }
        Err(error) => (format!("{address}: {error}\n"), 1),
    }
}

fn answer(address: &str) -> io::Result<String> {
    if address.contains('/') {
        let socket = UnixStream::connect(address)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        return exchange(socket);
    }
    let found = address.to_socket_addrs()?.next();
    let found = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let socket = TcpStream::connect_timeout(&found, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    exchange(socket)
}

/// Sends PING and reads the first line of the answer, without its end.
fn exchange(mut socket: impl Read + Write) -> io::Result<String> {
    socket.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    let mut received = Vec::new();
    while !received.contains(&b'\n') && received.len() < ANSWER_BYTES_MAX {
        let mut piece = [0; 128];
        match socket.read(&mut piece)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed the connection")),
            count => received.extend_from_slice(&piece[..count]),
        }
    }
    let line = received.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim_end().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What is printed and the exit status when a server answers with these bytes and closes.
    fn ping(reply: &'static [u8]) -> (String, u8) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has one").to_string();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("it connects");
            let mut request = [0; 14];
            socket.read_exact(&mut request).expect("it asks");
            assert_eq!(&request, b"*1\r\n$4\r\nPING\r\n");
            socket.write_all(reply).expect("it listens");
        });
        let mut out = Vec::new();
        let status = main(&[address], &mut out);
        server.join().expect("it ends");
        (String::from_utf8(out).expect("it is text"), status)
    }

    #[test]
    fn a_server_that_serves_is_told_from_one_that_does_not() {
        assert_eq!(ping(b"+PONG\r\n"), ("PONG\n".to_string(), 0));
        assert_eq!(ping(b"-NOAUTH Authentication required.\r\n"), ("NOAUTH Authentication required.\n".to_string(), 0));
        let loading = "LOADING Oneloop is loading the dataset in memory\n".to_string();
        assert_eq!(ping(b"-LOADING Oneloop is loading the dataset in memory\r\n"), (loading, 1));
        let (text, status) = ping(b"");
        assert!(text.contains("closed the connection") && status == 1, "{text}");
    }

    #[test]
    fn nobody_there_and_arguments_that_are_none_end_with_a_status() {
        let mut out = Vec::new();
        assert_eq!(main(&["/nowhere/socket".to_string()], &mut out), 1);
        assert_eq!(main(&["--wrong".to_string()], &mut out), 2);
    }
}
