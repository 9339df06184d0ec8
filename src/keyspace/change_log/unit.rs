//! The commands of one unit, each in the form of a request, with its database and its targets.

use smallvec::SmallVec;

use super::targets::Targets;

/// One command of a unit.
#[derive(Clone, Copy, Debug)]
struct Operation {
    database: usize,
    targets: Targets,
    /// Where its bytes end.
    end: usize,
}

/// The commands of a unit: a command, a transaction or a script, in the form that has its effect anywhere.
#[derive(Default)]
pub struct Unit {
    bytes: Vec<u8>,
    operations: SmallVec<[Operation; 4]>,
}

/// Capacity that is kept for the next unit, in bytes.
const CAPACITY_KEPT_BYTES: usize = 64 * 1024;

/// What one argument takes beyond its own bytes at most.
const ARGUMENT_OVERHEAD: usize = 25;

impl Unit {
    /// Adds a command whose arguments come one by one.
    pub fn add<'a>(
        &mut self,
        targets: Targets,
        database: usize,
        count: usize,
        arguments: impl Iterator<Item = &'a [u8]>,
    ) {
        encode(&mut self.bytes, count, arguments);
        self.operations.push(Operation { database, targets, end: self.bytes.len() });
    }

    /// Adds a command that is encoded already.
    pub fn add_encoded(&mut self, targets: Targets, database: usize, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.operations.push(Operation { database, targets, end: self.bytes.len() });
    }

    /// Whether there are no commands.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// The commands, each with its targets and its database.
    pub fn iter(&self) -> impl Iterator<Item = (Targets, usize, &[u8])> {
        let mut start = 0;
        self.operations.iter().map(move |operation| {
            let bytes = &self.bytes[start..operation.end];
            start = operation.end;
            (operation.targets, operation.database, bytes)
        })
    }

    /// The commands for nodes that slots move to, each with its database.
    pub fn moves(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.iter().filter(|(targets, ..)| targets.has_moves()).map(|(_, database, command)| (database, command))
    }

    /// The targets that get any of the commands.
    pub fn targets(&self) -> Targets {
        self.operations.iter().fold(Targets::NONE, |all, operation| all | operation.targets)
    }

    /// The targets that get more than one of the commands.
    pub fn targets_of_several(&self) -> Targets {
        let (mut one, mut several) = (Targets::NONE, Targets::NONE);
        for operation in &self.operations {
            several = several | (one & operation.targets);
            one = one | operation.targets;
        }
        several
    }

    /// Forgets the commands: the unit is over.
    pub fn clear(&mut self) {
        self.operations.clear();
        self.bytes.clear();
        shrink(&mut self.bytes);
    }
}

/// Gives back what an unusually large command has left behind.
pub(in crate::keyspace) fn shrink(buffer: &mut Vec<u8>) {
    if buffer.capacity() > CAPACITY_KEPT_BYTES {
        buffer.shrink_to(CAPACITY_KEPT_BYTES);
    }
}

/// Writes a command in the form of a request.
pub fn encode<'a>(into: &mut Vec<u8>, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
    encode_header(into, b'*', count);
    for argument in arguments {
        into.reserve(argument.len() + ARGUMENT_OVERHEAD);
        encode_header(into, b'$', argument.len());
        into.extend_from_slice(argument);
        into.extend_from_slice(b"\r\n");
    }
}

/// Writes a number with what it is the number of. Most are short, and pieces of fixed length cost no call.
#[inline]
fn encode_header(into: &mut Vec<u8>, kind: u8, number: usize) {
    match number {
        0..10 => into.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']),
        10..100 => {
            let number = number as u8;
            into.extend_from_slice(&[kind, b'0' + number / 10, b'0' + number % 10, b'\r', b'\n']);
        }
        _ => {
            into.push(kind);
            into.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            into.extend_from_slice(b"\r\n");
        }
    }
}

/// The arguments of a command that `encode` has written.
pub fn decode(mut command: &[u8]) -> SmallVec<[&[u8]; 8]> {
    fn line<'a>(rest: &mut &'a [u8]) -> Option<usize> {
        let end = rest.iter().position(|byte| *byte == b'\r')?;
        let digits: &'a [u8] = rest.get(1..end)?;
        *rest = rest.get(end + 2..)?;
        Some(digits.iter().fold(0, |number: usize, digit| number * 10 + usize::from(digit - b'0')))
    }
    let mut arguments = SmallVec::new();
    for _ in 0..line(&mut command).unwrap_or_default() {
        let Some((argument, rest)) = line(&mut command).and_then(|length| command.split_at_checked(length)) else {
            break;
        };
        arguments.push(argument);
        command = rest.get(2..).unwrap_or_default();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let words: [&[u8]; 4] = [b"SET", b"a\r\nb", b"", &[b'x'; 1234]];
        let mut bytes = Vec::new();
        encode(&mut bytes, words.len(), words.into_iter());
        assert_eq!(decode(&bytes).as_slice(), words);
    }

    #[test]
    fn numbers_of_any_length_are_written() {
        let mut bytes = Vec::new();
        for number in [0, 9, 10, 42, 99, 100, 65_536, usize::MAX] {
            encode_header(&mut bytes, b'$', number);
        }
        assert_eq!(bytes, b"$0\r\n$9\r\n$10\r\n$42\r\n$99\r\n$100\r\n$65536\r\n$18446744073709551615\r\n");
    }
}
