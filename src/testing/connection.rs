//! A client's connection without a port: a pair of sockets, of which the server has one end. It speaks RESP.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use super::error::TestError;

/// A reply.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Null, in any of its forms.
    Nil,
    Integer(i64),
    /// RESP3 only.
    Double(f64),
    /// RESP3 only.
    Boolean(bool),
    /// A text of any kind: a status, a string, a big number.
    Text(Vec<u8>),
    /// An error, without the `-` in front of it.
    Error(String),
    /// An array or a set.
    Array(Vec<Value>),
    /// RESP3 only: keys and values, in their order.
    Map(Vec<(Value, Value)>),
    /// RESP3 only: a message that no request has asked for.
    Push(Vec<Value>),
}

impl Value {
    /// The same as [`Value::Text`] of a text.
    ///
    /// ```
    /// use oneloop::testing::Value;
    /// assert_eq!(Value::text("PONG"), Value::Text(b"PONG".to_vec()));
    /// ```
    pub fn text(text: impl AsRef<[u8]>) -> Value {
        Value::Text(text.as_ref().to_vec())
    }
}

/// A connection of one client, by which requests are sent and replies received, one after the other. Dropping it
/// disconnects the client.
///
/// ```
/// use oneloop::testing::{TestServer, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = TestServer::builder().without_socket().start()?;
/// let mut client = server.connect()?;
/// assert_eq!(client.command(&["LPUSH", "jobs", "1", "2"])?, Value::Integer(2));
/// let jobs = client.command(&["LRANGE", "jobs", "0", "-1"])?;
/// assert_eq!(jobs, Value::Array(vec![Value::text("2"), Value::text("1")]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestConnection {
    socket: BufReader<UnixStream>,
}

impl TestConnection {
    pub(super) fn new(socket: UnixStream) -> TestConnection {
        TestConnection { socket: BufReader::new(socket) }
    }

    /// Sends a request and waits for the reply.
    ///
    /// # Errors
    ///
    /// The connection is broken. An error that the server replies is a [`Value::Error`].
    pub fn command<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Value, TestError> {
        self.send(words)?;
        self.receive()
    }

    /// Sends a request, and leaves its reply to [`TestConnection::receive`].
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub fn send<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<(), TestError> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.socket.get_mut().write_all(&request)?;
        Ok(())
    }

    /// Waits for the next reply or message.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub fn receive(&mut self) -> Result<Value, TestError> {
        Ok(self.read_value()?)
    }

    /// The socket itself, for a client library of any kind. What was received and not asked for is lost.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::{Read, Write};
    ///
    /// let server = oneloop::testing::TestServer::builder().without_socket().start()?;
    /// let mut socket = server.connect()?.into_stream();
    /// socket.write_all(b"PING\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// socket.read_to_string(&mut replies)?;
    /// assert_eq!(replies, "+PONG\r\n+OK\r\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_stream(self) -> UnixStream {
        self.socket.into_inner()
    }

    fn read_value(&mut self) -> io::Result<Value> {
        let line = self.read_line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed(&line))?;
        let count = || rest.parse::<i64>().map_err(|_| malformed(&line));
        Ok(match kind {
            "+" | "(" => Value::text(rest),
            "-" => Value::Error(rest.to_string()),
            ":" => Value::Integer(count()?),
            "," => Value::Double(rest.parse().map_err(|_| malformed(&line))?),
            "#" => Value::Boolean(rest == "t"),
            "_" => Value::Nil,
            "$" | "=" | "!" => match usize::try_from(count()?) {
                Err(_) => Value::Nil,
                Ok(length) => self.read_text(kind, length)?,
            },
            "*" | "~" | ">" | "%" => match usize::try_from(count()?) {
                Err(_) => Value::Nil,
                Ok(length) => self.read_elements(kind, length)?,
            },
            _ => return Err(malformed(&line)),
        })
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.socket.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn read_text(&mut self, kind: &str, length: usize) -> io::Result<Value> {
        let mut text = vec![0; length + b"\r\n".len()];
        self.socket.read_exact(&mut text)?;
        text.truncate(length);
        Ok(match kind {
            "!" => Value::Error(String::from_utf8_lossy(&text).into_owned()),
            // Behind the three letters of its format and a colon.
            "=" => Value::text(text.get(4..).unwrap_or_default()),
            _ => Value::Text(text),
        })
    }

    fn read_elements(&mut self, kind: &str, length: usize) -> io::Result<Value> {
        if kind == "%" {
            let pairs = (0..length).map(|_| Ok((self.read_value()?, self.read_value()?)));
            return Ok(Value::Map(pairs.collect::<io::Result<_>>()?));
        }
        let elements = (0..length).map(|_| self.read_value()).collect::<io::Result<_>>()?;
        Ok(if kind == ">" { Value::Push(elements) } else { Value::Array(elements) })
    }
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no reply begins with {line:?}"))
}
