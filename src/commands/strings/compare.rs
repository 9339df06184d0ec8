//! Comparing a string before something is done to it: DIGEST, DELEX, DELIFEQ and the conditions of SET.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, KeyFlag, KeySpec, READ, REMOVE};
use crate::commands::key_finders;
use crate::engine::context::Context;
use crate::keyspace::Text;
use crate::resp::Args;
use crate::types::string::{DIGEST_LENGTH, digest as digest_of};

use super::text_of;

/// Commands that compare.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("digest", 2, Group::String, "8.4.0", digest)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) where N is the length of the string.")
        .summary("Gives the digest of the string at a key, as hexadecimal digits.")
        .arguments("key"),
    CommandSpec::new("delex", -2, Group::String, "8.4.0", delex)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Delete, KeyFlag::VariableFlags], 1)])
        .find_keys(key_finders::delex)
        .complexity("O(1) for IFEQ and IFNE, O(N) for IFDEQ and IFDNE where N is the length of the string.")
        .summary("Removes a key, if asked for only when its value meets a condition.")
        .arguments("key condition=[IFEQ ifeq-value|IFNE ifne-value|IFDEQ ifdeq-digest|IFDNE ifdne-digest]"),
    CommandSpec::new("delifeq", 3, Group::String, "9.0.0", delifeq)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(REMOVE, 1)])
        .summary("Removes a key if it holds exactly this string.")
        .arguments("key value"),
];

/// A condition on the string at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison<'a> {
    /// IFEQ.
    Equal(&'a [u8]),
    /// IFNE.
    NotEqual(&'a [u8]),
    /// IFDEQ.
    DigestEqual(&'a [u8]),
    /// IFDNE.
    DigestNotEqual(&'a [u8]),
}

impl<'a> Comparison<'a> {
    /// The comparison that this option asks for, if it is one of them.
    pub(super) fn of_option(option: &[u8], operand: &'a [u8]) -> Option<Comparison<'a>> {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("IFEQ") {
            Some(Comparison::Equal(operand))
        } else if is("IFNE") {
            Some(Comparison::NotEqual(operand))
        } else if is("IFDEQ") {
            Some(Comparison::DigestEqual(operand))
        } else if is("IFDNE") {
            Some(Comparison::DigestNotEqual(operand))
        } else {
            None
        }
    }

    /// Whether it holds for a string. Errors: the operand should be a digest and is none.
    pub(super) fn holds(self, text: Text<'_>) -> Result<bool, CommandError> {
        match self {
            Comparison::Equal(operand) => Ok(text.with_bytes(|bytes| bytes == operand)),
            Comparison::NotEqual(operand) => Ok(text.with_bytes(|bytes| bytes != operand)),
            Comparison::DigestEqual(operand) => digest_is(text, operand),
            Comparison::DigestNotEqual(operand) => digest_is(text, operand).map(|is| !is),
        }
    }

    /// Whether it holds for a key that does not exist: such a key equals nothing.
    pub(super) fn holds_for_absent(self) -> bool {
        matches!(self, Comparison::NotEqual(_) | Comparison::DigestNotEqual(_))
    }
}

fn digest_is(text: Text<'_>, operand: &[u8]) -> Result<bool, CommandError> {
    if operand.len() != DIGEST_LENGTH {
        return Err(CommandError::fixed("ERR must be exactly 16 hexadecimal characters"));
    }
    Ok(text.with_bytes(digest_of).eq_ignore_ascii_case(operand))
}

fn digest(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| {
        match record {
            None => reply.null(),
            Some(record) => reply.bulk(&text_of(record)?.with_bytes(digest_of)),
        }
        Ok(())
    })
}

fn delex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let key = args.at(1);
    let name = match args.len() {
        2 => return remove_and_count(context, key, true),
        4 => args.at(2),
        _ => return Err(CommandError::wrong_arity(context.command_name())),
    };
    let (keyspace, database, _) = context.parts();
    let Some(record) = keyspace.read(database, key) else {
        context.reply.integer(0);
        return Ok(());
    };
    let text = record
        .value()
        .text()
        .ok_or(CommandError::fixed("ERR Key should be of string type if conditions are specified"))?;
    let comparison = Comparison::of_option(name, args.at(3))
        .ok_or(CommandError::fixed("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"))?;
    let holds = comparison.holds(text)?;
    remove_and_count(context, key, holds)
}

fn delifeq(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, _) = context.parts();
    let key = args.at(1);
    let holds = match keyspace.lookup(database, key) {
        None => false,
        Some(record) => Comparison::Equal(args.at(2)).holds(text_of(record)?)?,
    };
    remove_and_count(context, key, holds)
}

/// Removes a key if it is to be, and replies with the number of keys removed.
fn remove_and_count(context: &mut Context<'_>, key: &[u8], wanted: bool) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let removed = wanted && keyspace.delete(database, key);
    keyspace.changes.propagation.replace(&[b"DEL", key]);
    reply.integer(i64::from(removed));
    Ok(())
}
