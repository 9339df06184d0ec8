//! Lua values into replies: what a script returns.

use crate::resp::Reply;
use crate::resp::reply::{Deferred, Protocol};

use super::failure;
use super::lua::{Kind, Stack};
use super::numbers::truncate;

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
    let mut writer = Writer { reply, script, open: Vec::new(), errors: Errors::default() };
    writer.write(stack);
    while let Some(container) = writer.open.pop() {
        writer.go_on(stack, container);
    }
    writer.errors
}

/// A table whose elements are being written. It lies on the stack, a map or set in the table that holds it.
struct Container {
    form: Form,
    place: Deferred,
    count: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    /// Below the top is the key that comes before the next.
    Map,
    /// A map whose value on top is to be written next.
    MapValue,
    Set,
}

struct Writer<'a> {
    reply: &'a mut Reply,
    script: Protocol,
    /// The tables within each other. As many may be as Lua's stack has room for, which is more than the machine's has.
    open: Vec<Container>,
    errors: Errors,
}

impl Writer<'_> {
    /// Writes the value on top and takes it off, unless it is a table with elements, which is opened.
    fn write(&mut self, stack: &mut Stack) {
        if !stack.reserve(4) {
            self.add_error(b"ERR reached lua stack limit", false);
            return stack.pop(1);
        }
        match stack.kind(-1) {
            Kind::String => self.reply.bulk(stack.bytes(-1).unwrap_or_default()),
            Kind::Number => self.reply.integer(truncate(stack.number(-1).unwrap_or_default())),
            Kind::Boolean => self.write_bool(stack.truth(-1)),
            Kind::Table => return self.write_table(stack),
            _ => self.reply.null(),
        }
        stack.pop(1);
    }

    fn open(&mut self, form: Form) {
        let place = self.reply.begin_deferred();
        self.open.push(Container { form, place, count: 0 });
    }

    /// Writes the next element of the innermost table, or closes it.
    fn go_on(&mut self, stack: &mut Stack, mut container: Container) {
        let has_more = match container.form {
            Form::Array => {
                stack.push_element(-1, container.count as i32 + 1);
                let has_more = stack.kind(-1) != Kind::Nil;
                if !has_more {
                    stack.pop(1);
                }
                container.count += usize::from(has_more);
                has_more
            }
            Form::MapValue => {
                container.form = Form::Map;
                container.count += 1;
                true
            }
            Form::Map | Form::Set => {
                let has_more = stack.next(-2);
                if has_more && container.form == Form::Set {
                    stack.pop(1);
                    stack.push_copy(-1);
                    container.count += 1;
                } else if has_more {
                    // The value waits below a copy of the key.
                    stack.push_copy(-2);
                    container.form = Form::MapValue;
                }
                has_more
            }
        };
        if has_more {
            self.open.push(container);
            return self.write(stack);
        }
        let Container { form, place, count } = container;
        match form {
            Form::Array => self.reply.end_deferred_array(place, count),
            Form::Set => self.reply.end_deferred_set(place, count),
            Form::Map | Form::MapValue => self.reply.end_deferred_map(place, count),
        }
        stack.pop(if form == Form::Array { 1 } else { 2 });
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
        for (name, kind, write) in SIMPLE {
            stack.push_field(-1, name);
            if stack.kind(-1) == *kind && write(self, stack) {
                return stack.pop(2);
            }
            stack.pop(1);
        }
        for (name, form) in [(b"map", Form::Map), (b"set", Form::Set)] {
            stack.push_field(-1, name);
            if stack.kind(-1) == Kind::Table {
                stack.push_nil();
                return self.open(form);
            }
            stack.pop(1);
        }
        self.open(Form::Array);
    }

    fn write_error(&mut self, stack: &mut Stack) -> bool {
        // The table lies below its field.
        let failure = failure::read(stack, -2);
        self.add_error(&failure.text, failure.is_counted);
        true
    }

    fn add_error(&mut self, text: &[u8], is_counted: bool) {
        self.reply.error(text);
        self.errors.has_any = true;
        if !is_counted {
            self.errors.uncounted.push(failure::lossy(text));
        }
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

type Simple = (&'static [u8], Kind, fn(&mut Writer<'_>, &mut Stack) -> bool);

/// The fields that say what a table without elements is, the first to be found counts; each with the kind of value that
/// it must have.
static SIMPLE: &[Simple] = &[
    (b"err", Kind::String, |writer, stack| writer.write_error(stack)),
    (b"ok", Kind::String, |writer, stack| {
        let text = stack.bytes(-1).unwrap_or_default();
        writer.reply.simple(failure::c_text(text));
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
];
