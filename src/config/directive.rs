//! What one directive is: its names, default, kind of value, accessors to its field, and its documentation.

use super::effect::Effect;
use super::fields::Config;
use super::notation::Notation;
use super::parse;
use super::values::Named;

/// Access to a yes/no field.
#[derive(Clone, Copy)]
pub struct BoolField {
    /// Reads the field.
    pub read: fn(&Config) -> bool,
    /// Writes the field.
    pub write: fn(&mut Config, bool),
}

/// Access to an integer field; the range lies within the field's type.
#[derive(Clone, Copy)]
pub struct IntegerField {
    /// How the value is written.
    pub notation: Notation,
    /// Least value.
    pub minimum: i128,
    /// Greatest value.
    pub maximum: i128,
    /// Reads the field.
    pub read: fn(&Config) -> i128,
    /// Writes a value of the range into the field.
    pub write: fn(&mut Config, i128),
}

/// Access to a field that takes one of a few words.
#[derive(Clone, Copy)]
pub struct EnumField {
    /// The words, in the order of the error message.
    pub words: fn() -> Vec<&'static str>,
    /// Reads the field as its word.
    pub read: fn(&Config) -> &'static str,
    /// Writes the field; false if the word is unknown.
    pub write: fn(&mut Config, &[u8]) -> bool,
}

/// Whether an empty text means that there is none; then CONFIG REWRITE leaves no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyText {
    /// It is a value like any other.
    Value,
    /// It means none.
    Unset,
}

/// Checks a text before it is stored; the error is the reason shown to the user.
pub type TextCheck = fn(&str) -> Result<(), &'static str>;

/// Access to a text field.
#[derive(Clone, Copy)]
pub struct TextField {
    /// What an empty text means.
    pub empty: EmptyText,
    /// Further validity.
    pub check: Option<TextCheck>,
    /// Reads the field.
    pub read: fn(&Config) -> &str,
    /// Writes the field.
    pub write: fn(&mut Config, String),
}

/// Access to a field of arbitrary bytes; empty means none.
#[derive(Clone, Copy)]
pub struct BytesField {
    /// Reads the field.
    pub read: fn(&Config) -> &[u8],
    /// Writes the field.
    pub write: fn(&mut Config, Vec<u8>),
}

/// How many arguments a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// Any number: several words in a file, one blank-separated text in CONFIG SET.
    Many,
}

/// A line for CONFIG REWRITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteLine {
    /// The text.
    pub text: String,
    /// Whether to append it if the file has no such line; otherwise it only replaces one.
    pub is_forced: bool,
}

/// Access to a field whose value has its own syntax.
#[derive(Clone, Copy)]
pub struct SpecialField {
    /// How many arguments the value has.
    pub arity: Arity,
    /// The value as CONFIG GET shows it.
    pub read: fn(&Config) -> String,
    /// Parses and stores the value; the error is the reason shown to the user. On an error the field may be
    /// half-changed.
    pub write: fn(&mut Config, &[&[u8]]) -> Result<(), String>,
    /// The lines for CONFIG REWRITE; none: the directive must not be in the file.
    pub lines: fn(&Config, &'static Directive) -> Vec<RewriteLine>,
}

/// The kind of a directive's value, with access to its field.
#[derive(Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Bool(BoolField),
    /// A whole number.
    Integer(IntegerField),
    /// One of a few words.
    Enum(EnumField),
    /// A text.
    Text(TextField),
    /// Bytes.
    Bytes(BytesField),
    /// Its own syntax.
    Special(SpecialField),
}

/// Whether CONFIG SET may change a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// Yes.
    Mutable,
    /// Yes, unless the data set is being loaded.
    MutableUnlessLoading,
    /// If `enable-protected-configs` lets the client.
    Protected,
    /// As protected, and not while the data set is being loaded.
    ProtectedUnlessLoading,
    /// No: only at the start.
    Immutable,
}

impl Mutability {
    /// Whether `enable-protected-configs` guards the directive.
    pub fn is_protected(self) -> bool {
        matches!(self, Self::Protected | Self::ProtectedUnlessLoading)
    }

    /// Whether the directive must not change while the data set is being loaded.
    pub fn is_denied_while_loading(self) -> bool {
        matches!(self, Self::MutableUnlessLoading | Self::ProtectedUnlessLoading)
    }
}

/// One entry of the table of directives; everything about a directive derives from it.
#[derive(Clone, Copy)]
pub struct Directive {
    /// The name.
    pub name: &'static str,
    /// An old name for the same.
    pub alias: Option<&'static str>,
    /// The default, written as in a configuration file.
    pub default: &'static str,
    /// Whether CONFIG SET may change it.
    pub mutability: Mutability,
    /// Whether its value must not show in logs and MONITOR.
    pub is_sensitive: bool,
    /// Whether its value names a file that is read: setting it again to the same has it read anew.
    pub is_file: bool,
    /// Whether only its exact name, not a pattern, shows it in CONFIG GET.
    pub is_hidden: bool,
    /// Whether it does what it says: else it is checked, kept and reported, but this design has no use for it.
    pub works: bool,
    /// What applying it does, in this order, beyond what is read where it matters.
    pub effects: &'static [Effect],
    /// The kind of its value, with access to its field.
    pub kind: Kind,
    /// One paragraph for `redis.conf.example`.
    pub documentation: &'static str,
}

impl Directive {
    /// Whether applying it changes the process as a whole, and not the server alone.
    pub fn is_of_process(&self) -> bool {
        self.effects.iter().any(|effect| effect.is_of_process())
    }

    /// An entry for a directive that CONFIG SET may change and that works; the methods below say otherwise.
    pub const fn new(name: &'static str, default: &'static str, kind: Kind, documentation: &'static str) -> Directive {
        Directive {
            name,
            alias: None,
            default,
            mutability: Mutability::Mutable,
            is_sensitive: false,
            is_file: false,
            is_hidden: false,
            works: true,
            effects: &[],
            kind,
            documentation,
        }
    }

    /// With an old name.
    pub const fn alias(mut self, alias: &'static str) -> Directive {
        self.alias = Some(alias);
        self
    }

    /// With another mutability.
    pub const fn mutability(mut self, mutability: Mutability) -> Directive {
        self.mutability = mutability;
        self
    }

    /// With something that is done when it is applied.
    pub const fn effects(mut self, effects: &'static [Effect]) -> Directive {
        self.effects = effects;
        self
    }

    /// Settable only at the start.
    pub const fn immutable(self) -> Directive {
        self.mutability(Mutability::Immutable)
    }

    /// With a value that logs must not show.
    pub const fn sensitive(mut self) -> Directive {
        self.is_sensitive = true;
        self
    }

    /// With a value that names a file, read whenever it is set.
    pub const fn file(mut self) -> Directive {
        self.is_file = true;
        self
    }

    /// Shown only under its exact name.
    pub const fn hidden(mut self) -> Directive {
        self.is_hidden = true;
        self
    }

    /// Accepted, but without effect here.
    pub const fn without_effect(mut self) -> Directive {
        self.works = false;
        self
    }

    /// Whether `name` is its name or old name, whatever the case.
    pub fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
            || self.alias.is_some_and(|alias| alias.as_bytes().eq_ignore_ascii_case(name))
    }

    /// How many arguments its value has.
    pub fn arity(&self) -> Arity {
        match &self.kind {
            Kind::Special(field) => field.arity,
            _ => Arity::One,
        }
    }

    /// The value as CONFIG GET shows it. O(length).
    pub fn value(&self, config: &Config) -> Vec<u8> {
        match &self.kind {
            Kind::Bool(field) => parse::yes_or_no((field.read)(config)).into(),
            Kind::Integer(field) if field.notation == Notation::Octal => format!("{:o}", (field.read)(config)).into(),
            Kind::Integer(field) => (field.read)(config).to_string().into(),
            Kind::Enum(field) => (field.read)(config).into(),
            Kind::Text(field) => (field.read)(config).into(),
            Kind::Bytes(field) => (field.read)(config).to_vec(),
            Kind::Special(field) => (field.read)(config).into(),
        }
    }

    /// Splits a value of CONFIG SET into the arguments that [`store`](Directive::store) takes. O(length).
    pub fn split<'value>(&self, value: &'value [u8]) -> Vec<&'value [u8]> {
        match self.arity() {
            Arity::One => vec![value],
            Arity::Many if value.is_empty() => Vec::new(),
            Arity::Many => value.split(|byte| *byte == b' ').collect(),
        }
    }

    /// Parses the arguments and stores the value. On an error, which is the reason in Redis's words, a directive with a
    /// syntax of its own may be half-changed: work on a clone. O(length).
    pub fn store(&self, config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let argument = match arguments {
            [one] => *one,
            _ if self.arity() == Arity::Many => b"",
            _ => return Err("wrong number of arguments".into()),
        };
        match &self.kind {
            Kind::Bool(field) => (field.write)(config, parse::boolean(argument)?),
            Kind::Integer(field) => {
                (field.write)(config, parse::integer(field.notation, field.minimum, field.maximum, argument)?);
            }
            Kind::Enum(field) => {
                if !(field.write)(config, argument) {
                    return Err(parse::unknown_word(&(field.words)()));
                }
            }
            Kind::Text(field) => {
                let text = parse::text(argument)?;
                if let Some(check) = field.check {
                    check(&text)?;
                }
                (field.write)(config, text);
            }
            Kind::Bytes(field) => (field.write)(config, argument.to_vec()),
            Kind::Special(field) => (field.write)(config, arguments)?,
        }
        Ok(())
    }
}

/// The words of a type, for [`EnumField::words`].
pub(super) fn words_of<Value: Named>() -> Vec<&'static str> {
    Value::NAMES.iter().map(|(word, _)| *word).collect()
}
