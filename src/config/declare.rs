//! How the table of directives declares access to a field: a macro for each kind of value.

/// Access to a yes/no field.
macro_rules! boolean {
    ($field:ident) => {
        $crate::config::directive::Kind::Bool($crate::config::directive::BoolField {
            read: |config| config.$field,
            write: |config, value| config.$field = value,
        })
    };
}

/// Access to an integer field of any integer type.
macro_rules! integer {
    ($field:ident, $minimum:expr, $maximum:expr) => {
        integer!($field, $minimum, $maximum, Decimal)
    };
    ($field:ident, $minimum:expr, $maximum:expr, $notation:ident) => {
        $crate::config::directive::Kind::Integer($crate::config::directive::IntegerField {
            notation: $crate::config::notation::Notation::$notation,
            minimum: $minimum as i128,
            maximum: $maximum as i128,
            read: |config| config.$field.into(),
            write: |config, value| config.$field = value as _,
        })
    };
}

/// Access to a field that takes one of a few words.
macro_rules! word {
    ($field:ident, $kind:ty) => {
        $crate::config::directive::Kind::Enum($crate::config::directive::EnumField {
            words: $crate::config::directive::words_of::<$kind>,
            read: |config| $crate::config::values::Named::name(config.$field),
            write: |config, word| match <$kind as $crate::config::values::Named>::from_name(word) {
                Some(value) => {
                    config.$field = value;
                    true
                }
                None => false,
            },
        })
    };
}

/// Access to a text field: `text!(field, Value or Unset)`, with an optional check.
macro_rules! text {
    ($field:ident, $empty:ident) => {
        text!($field, $empty, None)
    };
    ($field:ident, $empty:ident, $check:expr) => {
        $crate::config::directive::Kind::Text($crate::config::directive::TextField {
            empty: $crate::config::directive::EmptyText::$empty,
            check: $check,
            read: |config| &config.$field,
            write: |config, value| config.$field = value,
        })
    };
}

/// Access to a field of bytes.
macro_rules! bytes {
    ($field:ident) => {
        $crate::config::directive::Kind::Bytes($crate::config::directive::BytesField {
            read: |config| &config.$field,
            write: |config, value| config.$field = value,
        })
    };
}

/// Access to a field with a syntax of its own: the module of `special` that holds its functions.
macro_rules! special {
    ($arity:ident, $module:ident) => {
        $crate::config::directive::Kind::Special($crate::config::directive::SpecialField {
            arity: $crate::config::directive::Arity::$arity,
            read: $crate::config::special::$module::read,
            write: $crate::config::special::$module::write,
            lines: $crate::config::special::$module::lines,
        })
    };
}

pub(super) use {boolean, bytes, integer, special, text, word};
