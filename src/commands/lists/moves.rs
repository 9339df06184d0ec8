//! Moving elements from one list to another.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSERT, KeySpec, READ_AND_DELETE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Args;
use crate::types::list::{End, Given, Item, Limits, Taken};

use super::ends::pop_name;
use super::{
    Remainder, bounded_argument, create, edit, end_argument, length_at, limits, pop_event, push_event, reply_taken,
    taken_out,
};

/// Commands that move elements.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("lmove", 5, Group::List, "6.2.0", lmove)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .summary("Takes an element out at an end of a list, puts it in at an end of another one, and gives it.")
        .arguments("source#0 destination#1 wherefrom=(LEFT|RIGHT) whereto=(LEFT|RIGHT)"),
    CommandSpec::new("rpoplpush", 3, Group::List, "1.2.0", rpoplpush)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .summary("Takes the last element of a list out, puts it in at the front of another one, and gives it.")
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")
        .arguments("source#0 destination#1"),
    CommandSpec::new("lmovem", -5, Group::List, "8.10.0", lmovem)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .complexity("O(N) where N is the number of elements moved.")
        .summary("Takes elements out at an end of a list, puts them in at an end of another one, and gives them.")
        .arguments(
            "source#0 destination#1 wherefrom=(LEFT|RIGHT) whereto=(LEFT|RIGHT) \
             how-many=[selector=(COUNT count:integer|EXACTLY exactly:integer) ordering=(OBO|BULK)]",
        ),
];

fn lmove(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ends = Ends::parse(args)?;
    if !move_one(context, args, ends)? {
        context.reply.null();
    }
    Ok(())
}

fn rpoplpush(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if !move_one(context, args, Ends::RIGHT_TO_LEFT)? {
        context.reply.null();
    }
    Ok(())
}

fn lmovem(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ends = Ends::parse(args)?;
    let amount = Amount::parse(args, 5)?;
    if !move_several(context, args, ends, amount)? {
        context.reply.null_array();
    }
    Ok(())
}

/// At which ends elements are taken out and put in.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    from: End,
    to: End,
}

impl Ends {
    /// Those of RPOPLPUSH.
    pub const RIGHT_TO_LEFT: Ends = Ends { from: End::Back, to: End::Front };

    /// Those that LMOVE and its kin name. Errors: other words.
    pub fn parse(args: Args<'_>) -> Result<Ends, CommandError> {
        Ok(Ends { from: end_argument(args.at(3))?, to: end_argument(args.at(4))? })
    }
}

/// How many elements LMOVEM moves.
#[derive(Clone, Copy)]
pub(super) struct Amount {
    count: usize,
    /// Whether fewer will not do.
    exactly: bool,
    /// Whether they keep the order that they have in the source, else they are moved one by one.
    in_bulk: bool,
}

impl Amount {
    /// Takes the words from a place on apart: all of them or none. Errors: something else.
    pub fn parse(args: Args<'_>, at: usize) -> Result<Amount, CommandError> {
        let is = |place: usize, word: &str| args.at(place).eq_ignore_ascii_case(word.as_bytes());
        if args.len() == at {
            return Ok(Amount { count: 1, exactly: false, in_bulk: true });
        }
        if args.len() != at + 3 || !(is(at, "count") || is(at, "exactly")) || !(is(at + 2, "obo") || is(at + 2, "bulk"))
        {
            return Err(CommandError::SYNTAX);
        }
        Ok(Amount {
            count: bounded_argument(args, at + 1, 1, "ERR count should be greater than 0")?,
            exactly: is(at, "exactly"),
            in_bulk: is(at + 2, "bulk"),
        })
    }

    /// How many of a list of that length are moved; none if there are not enough.
    fn of(self, length: usize) -> usize {
        if self.exactly && length < self.count {
            return 0;
        }
        self.count.min(length)
    }
}

/// Elements between two lists.
type Moved = SmallVec<[Taken; 1]>;

/// Moves an element and replies with it; says whether there was one. Errors: one of the keys is not a list.
pub(super) fn move_one(context: &mut Context<'_>, args: Args<'_>, ends: Ends) -> Result<bool, CommandError> {
    let amount = Amount { count: 1, exactly: false, in_bulk: true };
    let moved = move_elements(context, args, ends, amount)?;
    for element in &moved {
        reply_taken(context.reply, element);
    }
    Ok(!moved.is_empty())
}

/// Moves elements and replies with them; says whether there were enough. Errors: one of the keys is not a list.
pub(super) fn move_several(
    context: &mut Context<'_>,
    args: Args<'_>,
    ends: Ends,
    amount: Amount,
) -> Result<bool, CommandError> {
    let moved = move_elements(context, args, ends, amount)?;
    if !moved.is_empty() {
        propagate_moves(context, args, ends, amount, &moved);
        context.reply.array(moved.len());
    }
    for element in &moved {
        reply_taken(context.reply, element);
    }
    Ok(!moved.is_empty())
}

/// Has the move of several elements passed on in commands that older servers know. The elements are in the order in
/// which they lie at the destination.
fn propagate_moves(context: &mut Context<'_>, args: Args<'_>, ends: Ends, amount: Amount, moved: &[Taken]) {
    let (keyspace, database, _) = context.parts();
    let (source, destination) = (args.at(1), args.at(2));
    if !keyspace.changes.propagation.is_on() {
        return;
    }
    if source == destination && ends.from != ends.to {
        // The list must not be empty in between: it would lose its expiry time.
        let word = |end: End| if end == End::Front { b"LEFT".as_slice() } else { b"RIGHT" };
        let words: [&[u8]; 5] = [b"LMOVE", source, source, word(ends.from), word(ends.to)];
        let propagation = &mut keyspace.changes.propagation;
        (1..moved.len()).for_each(|_| propagation.add(database, &words));
        return propagation.replace(&words);
    }
    if source == destination && (amount.in_bulk || moved.len() == 1) {
        return keyspace.changes.propagation.suppress();
    }
    let is_all_of_itself = source == destination && length_at(keyspace, database, source) == Ok(Some(moved.len()));
    let propagation = &mut keyspace.changes.propagation;
    let (command, texts) = push_of(ends.to, moved);
    let push = [command, destination].into_iter().chain(texts);
    if is_all_of_itself {
        // The same: what is new is put in first, and then the rest goes.
        propagation.add_with(database, 2 + moved.len(), push);
        let range = match ends.to {
            End::Front => ["0".to_string(), (moved.len() - 1).to_string()],
            End::Back => [format!("-{}", moved.len()), "-1".to_string()],
        };
        return propagation.replace(&[b"LTRIM", source, range[0].as_bytes(), range[1].as_bytes()]);
    }
    let count = moved.len().to_string();
    propagation.add(database, &[pop_name(ends.from), source, count.as_bytes()]);
    propagation.replace_with(2 + moved.len(), push);
}

/// The command that puts elements in at an end, and their texts in the order in which it takes them, so that they lie
/// there in the order given.
fn push_of(end: End, elements: &[Taken]) -> (&'static [u8], SmallVec<[&[u8]; 8]>) {
    let mut texts: SmallVec<[&[u8]; 8]> = elements.iter().map(Given::text).collect();
    match end {
        End::Back => (b"RPUSH", texts),
        End::Front => {
            texts.reverse();
            (b"LPUSH", texts)
        }
    }
}

/// Moves elements from the list at the first key to that at the second one; gives them in the order in which they lie
/// there. Errors: one of the keys is not a list.
fn move_elements(context: &mut Context<'_>, args: Args<'_>, ends: Ends, amount: Amount) -> Result<Moved, CommandError> {
    let limits = limits(context.state);
    let (keyspace, database, _) = context.parts();
    let (source, destination) = (args.at(1), args.at(2));
    let Some(length) = length_at(keyspace, database, source)? else {
        return Ok(Moved::new());
    };
    let count = amount.of(length);
    if count == 0 {
        return Ok(Moved::new());
    }
    length_at(keyspace, database, destination)?;
    let mut moved = Moved::new();
    edit(keyspace, database, source, &limits, |list| {
        list.pop(ends.from, count, |item: Item<'_>| moved.push(item.take()));
    })?;
    if amount.in_bulk && ends.from == ends.to {
        moved.reverse();
    }
    put_in(keyspace, database, destination, &limits, ends.to, &moved);
    // A list that was moved within itself has its elements again by now.
    let left = edit(keyspace, database, source, &limits, |list| {
        if !list.is_empty() {
            list.shrink();
        }
        list.len()
    })?;
    let remainder = if left == Some(0) { Remainder::Nothing } else { Remainder::Elements };
    taken_out(keyspace, database, source, pop_event(ends.from), count, remainder);
    if ends.to == End::Front {
        moved.reverse();
    }
    Ok(moved)
}

/// Puts elements in at an end, one after the other. They count as changes of the list that they come from.
fn put_in(keyspace: &mut Keyspace, database: usize, key: &[u8], limits: &Limits, end: End, elements: &[Taken]) {
    let elements = elements.iter();
    let pushed = edit(keyspace, database, key, limits, |list| list.push(end, elements.clone()));
    // The caller has seen that it is a list, if there is one.
    if let Ok(None) = pushed {
        create(keyspace, database, key, limits, end, elements);
    }
    keyspace.touched(database, key);
    keyspace.changes.notify(EventClass::List, push_event(end), database, key);
}
