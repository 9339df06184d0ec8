//! What is appended: the commands of one unit after the other, with SELECT where the database changes, MULTI and EXEC around
//! those that belong together, and, if wanted, the time.

use crate::keyspace::propagation::{Propagation, encode};

/// Room that is kept when what was appended has been written, in bytes.
const ROOM_MAX: usize = 256 * 1024;

/// Gathers the bytes to be written next.
#[derive(Default)]
pub struct Feeder {
    bytes: Vec<u8>,
    selected: Option<usize>,
    /// The last time told, in s since the epoch.
    told_s: i64,
}

impl Feeder {
    /// Appends a unit. `now_s` is told before it if times are wanted and it is not what was told last.
    pub fn append(&mut self, unit: &Propagation, belong_together: bool, now_s: Option<i64>) {
        if let Some(now_s) = now_s.filter(|now_s| *now_s != self.told_s) {
            self.told_s = now_s;
            self.bytes.extend_from_slice(b"#TS:");
            self.bytes.extend_from_slice(itoa::Buffer::new().format(now_s).as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        }
        let is_transaction = belong_together && unit.len() > 1;
        if is_transaction {
            self.bytes.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
        }
        for (database, command) in unit.iter() {
            self.select(database);
            self.bytes.extend_from_slice(command);
        }
        if is_transaction {
            self.bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        }
    }

    fn select(&mut self, database: usize) {
        if self.selected != Some(database) {
            self.selected = Some(database);
            let mut digits = itoa::Buffer::new();
            let words: [&[u8]; 2] = [b"SELECT", digits.format(database).as_bytes()];
            encode(&mut self.bytes, words.len(), words.into_iter());
        }
    }

    /// Another file begins: its first command says which database it is for, and when.
    pub fn begin_file(&mut self) {
        self.selected = None;
        self.told_s = 0;
    }

    /// Appends a line that is no command.
    pub fn annotate(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
    }

    /// What is to be written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing is to be written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// So many of the first bytes are written.
    pub fn written(&mut self, count: usize) {
        if count < self.bytes.len() {
            self.bytes.drain(..count);
            return;
        }
        self.bytes.clear();
        if self.bytes.capacity() > ROOM_MAX {
            self.bytes.shrink_to(ROOM_MAX);
        }
    }

    /// Takes everything that is to be written.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(commands: &[(usize, &[&[u8]])]) -> Propagation {
        let mut unit = Propagation::default();
        unit.set_on(true);
        commands.iter().for_each(|(database, words)| unit.add(*database, words));
        unit
    }

    fn text(feeder: &mut Feeder) -> String {
        String::from_utf8_lossy(&feeder.take()).replace("\r\n", " ")
    }

    #[test]
    fn units_select_their_databases_and_become_transactions() {
        let mut feeder = Feeder::default();
        feeder.append(&unit(&[(0, &[b"a"])]), true, None);
        feeder.append(&unit(&[(0, &[b"b"]), (2, &[b"c"])]), true, None);
        assert_eq!(
            text(&mut feeder),
            "*2 $6 SELECT $1 0 *1 $1 a *1 $5 MULTI *1 $1 b *2 $6 SELECT $1 2 *1 $1 c *1 $4 EXEC "
        );
        feeder.append(&unit(&[(2, &[b"d"]), (2, &[b"e"])]), false, None);
        assert_eq!(text(&mut feeder), "*1 $1 d *1 $1 e ");
        feeder.begin_file();
        feeder.append(&unit(&[(2, &[b"f"])]), true, None);
        assert_eq!(text(&mut feeder), "*2 $6 SELECT $1 2 *1 $1 f ");
    }

    #[test]
    fn the_time_is_told_once_a_second() {
        let mut feeder = Feeder::default();
        for now_s in [7, 7, 8] {
            feeder.append(&unit(&[(0, &[b"a"])]), true, Some(now_s));
        }
        assert_eq!(text(&mut feeder), "#TS:7 *2 $6 SELECT $1 0 *1 $1 a *1 $1 a #TS:8 *1 $1 a ");
    }
}
