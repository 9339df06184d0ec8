//! What is passed on to the append-only file and to replicas: the commands of one unit, in the form that has their effect anywhere.
//!
//! A unit is what happens at once: a command, a transaction, a script, one client served that waited. Each of its commands that
//! changed something is gathered here as it came, unless its handler gives another form (`replace`), adds commands (`add`) or
//! wants none (`suppress`). A key found expired is gathered as its deletion, before the command that found it. While nobody
//! listens all of this costs one branch.

use smallvec::SmallVec;

/// In which form the present command is passed on, if it changed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    AsGiven,
    /// As it came, whether or not it changed anything.
    Forced,
    /// As `own` says.
    Replaced,
    /// Not at all.
    Nothing,
}

/// One gathered command.
#[derive(Clone, Copy, Debug)]
struct Operation {
    database: usize,
    /// Where its bytes end.
    end: usize,
}

/// The commands of the present unit, each in the form of a request.
pub struct Propagation {
    is_on: bool,
    /// How the deletion of an expired key is named.
    deletion: &'static [u8],
    /// Number of changes that are passed on or need not be.
    accounted: u64,
    form: Form,
    own: Vec<u8>,
    bytes: Vec<u8>,
    operations: SmallVec<[Operation; 4]>,
}

impl Default for Propagation {
    fn default() -> Propagation {
        Propagation {
            is_on: false,
            deletion: DELETE,
            accounted: 0,
            form: Form::AsGiven,
            own: Vec::new(),
            bytes: Vec::new(),
            operations: SmallVec::new(),
        }
    }
}

const DELETE: &[u8] = b"DEL";
const UNLINK: &[u8] = b"UNLINK";

/// Room that is kept for the next unit, in bytes.
const ROOM_MAX: usize = 64 * 1024;

/// What one argument takes beyond its own bytes at most.
const ARGUMENT_OVERHEAD: usize = 25;

impl Propagation {
    /// Whether changes are propagated. A handler that has to work for another form asks first.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Has commands gathered from now on, or no longer.
    pub fn set_on(&mut self, is_on: bool) {
        self.is_on = is_on;
        self.clear();
    }

    /// Whether an expired key is passed on as UNLINK rather than DEL.
    pub fn set_lazy(&mut self, is_lazy: bool) {
        self.deletion = if is_lazy { UNLINK } else { DELETE };
    }

    /// How the deletion of an expired key is named.
    pub fn deletion(&self) -> &'static [u8] {
        self.deletion
    }

    /// A command begins; `total` is the number of changes so far.
    #[inline]
    pub fn begin(&mut self, total: u64) {
        self.accounted = total;
    }

    /// The present command is passed on in this form.
    pub fn replace(&mut self, arguments: &[&[u8]]) {
        if self.is_on {
            self.form = Form::Replaced;
            self.own.clear();
            encode(&mut self.own, arguments.len(), arguments.iter().copied());
        }
    }

    /// The present command is passed on in this form, whose arguments come one by one.
    pub fn replace_with<'a>(&mut self, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
        if self.is_on {
            self.form = Form::Replaced;
            self.own.clear();
            encode(&mut self.own, count, arguments);
        }
    }

    /// This command is passed on before the present one.
    pub fn add(&mut self, database: usize, arguments: &[&[u8]]) {
        self.add_with(database, arguments.len(), arguments.iter().copied());
    }

    /// A command, whose arguments come one by one, is passed on before the present one.
    pub fn add_with<'a>(&mut self, database: usize, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
        if self.is_on {
            encode(&mut self.bytes, count, arguments);
            self.end_operation(database);
        }
    }

    /// The present command is not passed on: what was added stands for it, or it concerns nobody else.
    pub fn suppress(&mut self) {
        if self.is_on {
            self.form = Form::Nothing;
        }
    }

    /// The present command is passed on even if it changes nothing.
    pub fn force(&mut self) {
        if self.is_on {
            self.form = Form::Forced;
        }
    }

    /// A key is gone because its time was over, or to make room.
    #[inline]
    pub fn delete(&mut self, database: usize, key: &[u8]) {
        if self.is_on {
            self.add(database, &[self.deletion, key]);
        }
    }

    /// The present command is over: it is gathered if it changed something.
    pub fn finish<'a>(&mut self, total: u64, database: usize, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
        let has_changed = std::mem::replace(&mut self.accounted, total) != total;
        match std::mem::take(&mut self.form) {
            Form::AsGiven if !has_changed => {}
            Form::AsGiven | Form::Forced => {
                encode(&mut self.bytes, count, arguments);
                self.end_operation(database);
            }
            Form::Replaced if has_changed => {
                self.bytes.extend_from_slice(&self.own);
                self.end_operation(database);
            }
            Form::Replaced | Form::Nothing => {}
        }
    }

    /// The present command is over and is none to be passed on, whatever it changed.
    pub fn skip(&mut self, total: u64) {
        self.accounted = total;
        self.form = Form::AsGiven;
    }

    fn end_operation(&mut self, database: usize) {
        self.operations.push(Operation { database, end: self.bytes.len() });
    }

    /// Whether nothing is gathered.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Number of commands gathered.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// The commands gathered, each with its database.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.operations.iter().map(move |operation| {
            let bytes = &self.bytes[start..operation.end];
            start = operation.end;
            (operation.database, bytes)
        })
    }

    /// Forgets what was gathered: the unit is over.
    pub fn clear(&mut self) {
        self.operations.clear();
        self.bytes.clear();
        for room in [&mut self.bytes, &mut self.own] {
            if room.capacity() > ROOM_MAX {
                room.shrink_to(ROOM_MAX);
            }
        }
    }
}

/// Writes a command in the form of a request.
pub fn encode<'a>(into: &mut Vec<u8>, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
    let mut digits = itoa::Buffer::new();
    into.push(b'*');
    into.extend_from_slice(digits.format(count).as_bytes());
    into.extend_from_slice(b"\r\n");
    for argument in arguments {
        into.reserve(argument.len() + ARGUMENT_OVERHEAD);
        into.push(b'$');
        into.extend_from_slice(digits.format(argument.len()).as_bytes());
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(argument);
        into.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(propagation: &Propagation) -> String {
        let each = propagation.iter().map(|(database, bytes)| format!("{database}:{}", String::from_utf8_lossy(bytes)));
        each.collect::<Vec<_>>().join("|").replace("\r\n", " ")
    }

    fn finish(propagation: &mut Propagation, total: u64, words: &[&[u8]]) {
        propagation.finish(total, 3, words.len(), words.iter().copied());
    }

    #[test]
    fn a_command_is_gathered_if_it_changed_something() {
        let mut propagation = Propagation::default();
        propagation.set_on(true);
        propagation.begin(7);
        finish(&mut propagation, 7, &[b"get", b"a"]);
        assert!(propagation.is_empty());
        finish(&mut propagation, 8, &[b"set", b"a", b""]);
        assert_eq!(text(&propagation), "3:*3 $3 set $1 a $0  ");
        propagation.clear();
        propagation.force();
        finish(&mut propagation, 8, &[b"flushall"]);
        assert_eq!(text(&propagation), "3:*1 $8 flushall ");
    }

    #[test]
    fn handlers_give_other_forms() {
        let mut propagation = Propagation::default();
        propagation.set_on(true);
        propagation.delete(1, b"gone");
        propagation.replace(&[b"SET", b"k"]);
        finish(&mut propagation, 1, &[b"incrbyfloat"]);
        assert_eq!(text(&propagation), "1:*2 $3 DEL $4 gone |3:*2 $3 SET $1 k ");
        propagation.clear();
        propagation.replace(&[b"SET", b"k"]);
        finish(&mut propagation, 1, &[b"incrbyfloat"]);
        propagation.suppress();
        finish(&mut propagation, 2, &[b"xclaim"]);
        assert!(propagation.is_empty());
        propagation.set_lazy(true);
        propagation.delete(0, b"x");
        assert_eq!(text(&propagation), "0:*2 $6 UNLINK $1 x ");
    }

    #[test]
    fn nobody_listening_gathers_nothing() {
        let mut propagation = Propagation::default();
        propagation.delete(0, b"x");
        propagation.replace(&[b"SET"]);
        propagation.add(0, &[b"SET"]);
        assert!(propagation.is_empty() && propagation.own.is_empty());
    }
}
