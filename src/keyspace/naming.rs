//! What TYPE and OBJECT ENCODING call a value.

use super::Value;

impl Value<'_> {
    /// The name of the type, as TYPE gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Integer(_) | Value::Embedded(_) | Value::Raw(_) | Value::Large(_) => "string",
            Value::Packed(form, _) => form.type_name(),
            Value::Object(object) => object.type_name(),
        }
    }

    /// The name of the representation, as OBJECT ENCODING gives it.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Value::Integer(_) => "int",
            Value::Embedded(_) => "embstr",
            Value::Raw(_) | Value::Large(_) => "raw",
            Value::Packed(form, _) => form.encoding_name(),
            Value::Object(object) => object.encoding_name(),
        }
    }
}
