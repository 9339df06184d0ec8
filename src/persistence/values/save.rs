//! Writes values in the form that Redis 7.2 gives them.

use crate::keyspace::Value;
use crate::persistence::rdb::{VERSION, ValueKind, Writer};

/// Writes a value with its type in front; gives the version of the format that it takes. O(bytes).
pub fn save(value: Value<'_>, writer: &mut Writer<'_>) -> u16 {
    match value {
        Value::Integer(number) => {
            writer.kind(ValueKind::String);
            writer.integer(number);
        }
        Value::Embedded(text) | Value::Raw(text) => save_text(text, writer),
        Value::Large(text) => save_text(text, writer),
        Value::Packed(..) | Value::Object(_) => {}
    }
    VERSION
}

fn save_text(text: &[u8], writer: &mut Writer<'_>) {
    writer.kind(ValueKind::String);
    writer.string(text);
}
