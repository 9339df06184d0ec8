//! Lua values into replies: what a script returns.

use crate::resp::Reply;
use crate::resp::reply::Protocol;

use super::failure;
use super::lua::{Kind, Stack};

/// The errors in a reply.
#[derive(Default)]
pub struct Errors {
    pub has_any: bool,
    /// Those that the statistics lack.
    pub uncounted: Vec<String>,
}

/// Writes the value on top of the stack as a reply and takes it off; gives the errors in it.
///
/// `script` is the protocol that the script has chosen for itself: with RESP3 its booleans are booleans.
pub fn write(stack: &mut Stack, reply: &mut Reply, script: Protocol) -> Errors {
    let mut writer = Writer { reply, nesting: 0, script, errors: Errors::default() };
    writer.write(stack);
    writer.errors
}

/// Nesting of replies; what is deeper is replaced by an error. Few clients take that many levels.
const NESTING_MAX: usize = 1000;

struct Writer<'a> {
    reply: &'a mut Reply,
    nesting: usize,
    script: Protocol,
    errors: Errors,
}

impl Writer<'_> {
    fn write(&mut self, stack: &mut Stack) {
        if self.nesting == NESTING_MAX || !stack.reserve(4) {
            self.add_error("ERR reached lua stack limit".to_string(), false);
            return stack.pop(1);
        }
        match stack.kind(-1) {
            Kind::String => self.reply.bulk(stack.bytes(-1).unwrap_or_default()),
            Kind::Number => self.reply.integer(truncate(stack.number(-1).unwrap_or_default())),
            Kind::Boolean => self.write_bool(stack.truth(-1)),
            Kind::Table => {
                self.nesting += 1;
                self.write_table(stack);
                self.nesting -= 1;
                return;
            }
            _ => self.reply.null(),
        }
        stack.pop(1);
    }

    fn write_bool(&mut self, value: bool) {
        match (self.script, value) {
            (Protocol::Resp3, _) => self.reply.bool(value),
            (Protocol::Resp2, true) => self.reply.integer(1),
            (Protocol::Resp2, false) => self.reply.null(),
        }
    }

    /// A table is an array unless one of these fields says what it is.
    fn write_table(&mut self, stack: &mut Stack) {
        for (name, kind, write) in FORMS {
            stack.push_field(-1, name);
            if stack.kind(-1) == *kind && write(self, stack) {
                return stack.pop(2);
            }
            stack.pop(1);
        }
        self.write_array(stack);
        stack.pop(1);
    }

    fn write_array(&mut self, stack: &mut Stack) {
        let place = self.reply.begin_deferred();
        let mut count = 0;
        loop {
            stack.push_element(-1, count + 1);
            if stack.kind(-1) == Kind::Nil {
                stack.pop(1);
                break;
            }
            self.write(stack);
            count += 1;
        }
        self.reply.end_deferred_array(place, count as usize);
    }

    fn write_error(&mut self, stack: &mut Stack) -> bool {
        // The table lies below its field.
        let failure = failure::read(stack, -2);
        self.add_error(failure.text, failure.is_counted);
        true
    }

    fn add_error(&mut self, text: String, is_counted: bool) {
        self.reply.error(&text);
        self.errors.has_any = true;
        if !is_counted {
            self.errors.uncounted.push(text);
        }
    }

    fn write_map(&mut self, stack: &mut Stack) -> bool {
        let place = self.reply.begin_deferred();
        let mut count = 0;
        stack.push_nil();
        while stack.next(-2) {
            // The value waits below a copy of the key.
            stack.push_copy(-2);
            self.write(stack);
            self.write(stack);
            count += 1;
        }
        self.reply.end_deferred_map(place, count);
        true
    }

    fn write_set(&mut self, stack: &mut Stack) -> bool {
        let place = self.reply.begin_deferred();
        let mut count = 0;
        stack.push_nil();
        while stack.next(-2) {
            stack.pop(1);
            stack.push_copy(-1);
            self.write(stack);
            count += 1;
        }
        self.reply.end_deferred_set(place, count);
        true
    }

    fn write_verbatim(&mut self, stack: &mut Stack) -> bool {
        stack.push_field(-1, b"format");
        stack.push_field(-2, b"string");
        let is_whole = match (stack.bytes(-2), stack.bytes(-1)) {
            (Some(format), Some(text)) => {
                // As in Redis the format is cut or filled to three letters.
                let padded: String = failure::lossy(format).chars().chain("   ".chars()).take(3).collect();
                self.reply.verbatim(&padded, text);
                true
            }
            _ => false,
        };
        stack.pop(2);
        is_whole
    }
}

type Form = (&'static [u8], Kind, fn(&mut Writer<'_>, &mut Stack) -> bool);

/// The fields that say what a table is, the first to be found counts; each with the kind of value that it must have.
static FORMS: &[Form] = &[
    (b"err", Kind::String, |writer, stack| writer.write_error(stack)),
    (b"ok", Kind::String, |writer, stack| {
        writer.reply.simple(stack.bytes(-1).unwrap_or_default());
        true
    }),
    (b"double", Kind::Number, |writer, stack| {
        writer.reply.double(stack.number(-1).unwrap_or_default());
        true
    }),
    (b"big_number", Kind::String, |writer, stack| {
        let digits = failure::lossy(stack.bytes(-1).unwrap_or_default());
        writer.reply.big_number(&digits.replace(['\r', '\n'], " "));
        true
    }),
    (b"verbatim_string", Kind::Table, |writer, stack| writer.write_verbatim(stack)),
    (b"map", Kind::Table, |writer, stack| writer.write_map(stack)),
    (b"set", Kind::Table, |writer, stack| writer.write_set(stack)),
];

/// A number as an integer: its fraction cut off; what does not fit becomes the smallest integer, as processors have it.
fn truncate(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) { value as i64 } else { i64::MIN }
}
