//! A replica of which every byte is the test's own: it speaks the protocol by hand.
#![allow(dead_code)] // Each test program uses a part of it.

use std::io::Read;
use std::net::TcpStream;

use crate::server::Raw;

/// A connection that has asked for synchronization.
pub struct FakeReplica {
    pub link: Raw<TcpStream>,
    /// The history that the primary has named, and the offset after the data.
    pub id: String,
    pub offset: u64,
}

/// A request in the protocol's form.
pub fn request(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    text
}

impl FakeReplica {
    /// Introduces itself with these capabilities, and asks for all data.
    pub fn begin(mut link: Raw<TcpStream>, introduction: &[&str]) -> FakeReplica {
        for line in introduction {
            link.ask(line, "+OK\r\n");
        }
        link.send("PSYNC ? -1\r\n");
        FakeReplica::begun(link)
    }

    /// A replica that has asked for all data: reads the reply.
    pub fn begun(mut link: Raw<TcpStream>) -> FakeReplica {
        let line = line_after_signs_of_life(&mut link);
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("+FULLRESYNC"), "{line}");
        let id = words.next().expect("an id").to_string();
        let offset = words.next().and_then(|word| word.parse().ok()).expect("an offset");
        FakeReplica { link, id, offset }
    }

    /// The same as genuine replicas do: it takes the form with a mark, and reads all data.
    pub fn attach(link: Raw<TcpStream>) -> (FakeReplica, Vec<u8>) {
        let mut replica = FakeReplica::begin(link, &["REPLCONF listening-port 4321", "REPLCONF capa eof capa psync2"]);
        let data = replica.marked_data();
        replica.acknowledge();
        (replica, data)
    }

    /// Asks to go on behind a byte; gives the reply.
    pub fn resume(mut link: Raw<TcpStream>, id: &str, offset: u64) -> (FakeReplica, String) {
        link.ask("REPLCONF listening-port 4321", "+OK\r\n");
        link.ask("REPLCONF capa eof capa psync2", "+OK\r\n");
        link.send(format!("PSYNC {id} {}\r\n", offset + 1));
        let line = line_after_signs_of_life(&mut link);
        let id = line.split(' ').nth(1).unwrap_or_default().to_string();
        (FakeReplica { link, id, offset }, line)
    }

    /// Reads the data in the form with a mark.
    pub fn marked_data(&mut self) -> Vec<u8> {
        let line = line_after_signs_of_life(&mut self.link);
        let mark = line.strip_prefix("$EOF:").expect("the form with a mark").as_bytes().to_vec();
        assert_eq!(mark.len(), 40);
        let mut data = Vec::new();
        while !data.ends_with(&mark) {
            let mut byte = [0];
            self.link.stream.read_exact(&mut byte).expect("the whole payload");
            data.push(byte[0]);
        }
        data.truncate(data.len() - mark.len());
        data
    }

    /// Reads the data in the form with a length.
    pub fn counted_data(&mut self) -> Vec<u8> {
        let line = line_after_signs_of_life(&mut self.link);
        let length = line.strip_prefix('$').and_then(|text| text.parse().ok()).expect("the form with a length");
        let mut data = vec![0; length];
        self.link.stream.read_exact(&mut data).expect("the whole payload");
        data
    }

    /// Acknowledges what it has read.
    pub fn acknowledge(&mut self) {
        let offset = self.offset.to_string();
        self.link.send(request(&["REPLCONF", "ACK", &offset]));
    }

    /// The next command of the stream, its words parted by blanks.
    #[track_caller]
    pub fn next(&mut self) -> String {
        let line = self.link.line();
        let count: usize = line.strip_prefix('*').and_then(|text| text.parse().ok()).expect("an array");
        let mut bytes = line.len() + 2;
        let mut words = Vec::new();
        for _ in 0..count {
            let line = self.link.line();
            let length: usize = line.strip_prefix('$').and_then(|text| text.parse().ok()).expect("a string");
            let mut word = vec![0; length];
            self.link.stream.read_exact(&mut word).expect("the whole word");
            self.link.expect("\r\n");
            bytes += line.len() + 2 + length + 2;
            words.push(String::from_utf8_lossy(&word).into_owned());
        }
        self.offset += bytes as u64;
        words.join(" ")
    }

    /// Checks the next commands of the stream.
    #[track_caller]
    pub fn expect(&mut self, commands: &[&str]) {
        for command in commands {
            assert_eq!(self.next(), *command);
        }
    }
}

/// The next line that is not empty. Lines end with CRLF, signs of life are a lone LF.
fn line_after_signs_of_life(link: &mut Raw<TcpStream>) -> String {
    let mut byte = [0];
    loop {
        link.stream.read_exact(&mut byte).expect("a line");
        if byte[0] != b'\n' {
            break;
        }
    }
    let mut line = String::from(byte[0] as char);
    line.push_str(&link.line());
    line
}
