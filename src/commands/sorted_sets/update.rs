//! Elements put in, changed and taken out: ZADD, ZINCRBY and ZREM.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{DELETE, Flag, Group, KeySpec, READ_AND_UPDATE, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::EventClass;
use crate::resp::Args;
use crate::resp::number::parse_f64;
use crate::types::slot::{OwnedSlot, Slot};
use crate::types::sorted_set::{Change, SortedSetMut};

use super::{Removed, change, limits, settle_removal};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("zadd", -4, Group::SortedSet, "1.2.0", zadd)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(3)
        .complexity("O(log(N)) for each element, with N elements in the sorted set.")
        .summary("Adds members to a sorted set, or gives them other scores.")
        .history(&[
            ("2.4.0", "Takes several elements."),
            ("3.0.2", "`XX`, `NX`, `CH` and `INCR`."),
            ("6.2.0", "`GT` and `LT`."),
        ])
        .arguments(
            "key condition=[NX|XX]@3.0.2 comparison=[GT|LT]@6.2.0 [change=CH]@3.0.2 [increment=INCR]@3.0.2 \
             data={score:double member}...",
        ),
    CommandSpec::new("zincrby", 4, Group::SortedSet, "1.2.0", zincrby)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .member(3)
        .complexity("O(log(N)) with N elements in the sorted set.")
        .summary("Adds to the score of a member.")
        .arguments("key increment:integer member"),
    CommandSpec::new("zrem", -3, Group::SortedSet, "1.2.0", zrem)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(DELETE, 1)])
        .member(2)
        .complexity("O(M*log(N)) with N elements in the sorted set and M taken out.")
        .summary("Takes members out of a sorted set.")
        .history(&[("2.4.0", "Takes several members.")])
        .arguments("key member..."),
];

const NOT_A_NUMBER: CommandError = CommandError::fixed("ERR resulting score is not a number (NaN)");

/// What ZADD and ZINCRBY were told.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// NX: elements that are there stay as they are.
    pub only_new: bool,
    /// XX: no elements are added.
    pub only_present: bool,
    /// GT: scores only rise.
    only_greater: bool,
    /// LT: scores only fall.
    only_less: bool,
    /// CH: the reply counts changed elements as well.
    pub count_changes: bool,
    /// INCR: the score is an increment, and the reply is the new score.
    increment: bool,
}

impl Options {
    /// Reads the options in front of the first score; gives them and how many there are.
    fn parse(args: Args<'_>, increment: bool) -> (Options, usize) {
        let mut options = Options { increment, ..Options::default() };
        let words = args.iter().take_while(|word| options.take(word));
        let count = words.count();
        (options, count)
    }

    /// Takes a word in, if it is an option.
    fn take(&mut self, word: &[u8]) -> bool {
        // Scores are longer or begin otherwise, so that most words need no comparison.
        let option = match word {
            [_, _] if word.eq_ignore_ascii_case(b"nx") => &mut self.only_new,
            [_, _] if word.eq_ignore_ascii_case(b"xx") => &mut self.only_present,
            [_, _] if word.eq_ignore_ascii_case(b"gt") => &mut self.only_greater,
            [_, _] if word.eq_ignore_ascii_case(b"lt") => &mut self.only_less,
            [_, _] if word.eq_ignore_ascii_case(b"ch") => &mut self.count_changes,
            [_, _, _, _] if word.eq_ignore_ascii_case(b"incr") => &mut self.increment,
            _ => return false,
        };
        *option = true;
        true
    }

    fn check(&self, words: usize) -> CommandResult {
        if words == 0 || !words.is_multiple_of(2) {
            return Err(CommandError::SYNTAX);
        }
        if self.only_new && self.only_present {
            return Err(CommandError::fixed("ERR XX and NX options at the same time are not compatible"));
        }
        let one_way = self.only_greater || self.only_less;
        if self.only_new && one_way || self.only_greater && self.only_less {
            return Err(CommandError::fixed("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.increment && words > 2 {
            return Err(CommandError::fixed("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that an element is to have, if the options allow it. It may be NaN.
    #[inline]
    fn decide(&self, current: Option<f64>, given: f64) -> Option<f64> {
        let Some(current) = current else {
            return (!self.only_present).then_some(given);
        };
        if self.only_new {
            return None;
        }
        let score = if self.increment { current + given } else { given };
        let refused = self.only_less && score >= current || self.only_greater && score <= current;
        (!refused).then_some(score)
    }
}

/// What adding elements has come to.
#[derive(Default)]
struct Outcome {
    added: usize,
    updated: usize,
    /// The score that the last element has now, unless the options left it alone.
    score: Option<f64>,
}

/// Elements to be added, one or more.
#[derive(Clone, Copy)]
pub struct Additions<'a> {
    pub options: Options,
    pub scores: &'a [f64],
    /// The arguments that the elements come from: as many for each, the last one its member.
    pub words: Args<'a>,
    pub words_each: usize,
}

impl<'a> Additions<'a> {
    fn member(&self, index: usize) -> &'a [u8] {
        self.words.at(self.words_each * (index + 1) - 1)
    }

    #[inline]
    fn add_to<S: Slot>(&self, sorted_set: &mut SortedSetMut<'_, S>) -> Outcome {
        let mut outcome = Outcome::default();
        sorted_set.prepare_for(self.scores.len());
        let Outcome { added, updated, score: decided } = &mut outcome;
        sorted_set.upsert_many(
            self.scores.len(),
            |index| self.member(index),
            |index, current| {
                *decided = self.options.decide(current, self.scores[index]);
                decided.filter(|score| !score.is_nan())
            },
            |change| match change {
                Change::Added => *added += 1,
                Change::Updated => *updated += 1,
                Change::None => {}
            },
        );
        outcome
    }
}

fn zadd(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args, false)
}

fn zincrby(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args, true)
}

fn add(context: &mut Context<'_>, args: Args<'_>, increment: bool) -> CommandResult {
    let (options, option_count) = Options::parse(args.slice_from(2), increment);
    let pairs = args.slice_from(2 + option_count);
    options.check(pairs.len())?;
    let mut scores: SmallVec<[f64; 16]> = SmallVec::with_capacity(pairs.len() / 2);
    for index in (0..pairs.len()).step_by(2) {
        scores.push(parse_f64(pairs.at(index)).ok_or(CommandError::NOT_A_FLOAT)?);
    }
    let additions = Additions { options, scores: &scores, words: pairs, words_each: 2 };
    add_elements(context, args.at(1), additions)
}

/// Adds elements to the sorted set at a key, which is created if need be, and replies how many. Errors: the value there
/// is of another type; a score would not be a number.
pub fn add_elements(context: &mut Context<'_>, key: &[u8], additions: Additions<'_>) -> CommandResult {
    let options = additions.options;
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let changed = change(keyspace, database, key, limits, |sorted_set| additions.add_to(sorted_set))?;
    let outcome = match changed {
        Some(outcome) => outcome,
        None if options.only_present => Outcome::default(),
        None => {
            let (count, length) = (additions.scores.len(), additions.member(0).len());
            let value = limits.empty_for(count, length, keyspace.seed());
            let mut slot = OwnedSlot::new(value, keyspace.seed());
            let outcome = SortedSetMut::of(&mut slot, limits).map(|mut sorted_set| additions.add_to(&mut sorted_set));
            keyspace.create(database, key, slot.value);
            outcome.unwrap_or_default()
        }
    };
    let changes = outcome.added + outcome.updated;
    if changes > 0 {
        keyspace.modified_times(database, key, changes as u64);
        let event = if options.increment { "zincr" } else { "zadd" };
        keyspace.changes.notify(EventClass::SortedSet, event, database, key);
    }
    match outcome.score {
        Some(score) if score.is_nan() => return Err(NOT_A_NUMBER),
        Some(score) if options.increment => reply.double(score),
        None if options.increment => reply.null(),
        _ if options.count_changes => reply.integer(changes as i64),
        _ => reply.integer(outcome.added as i64),
    }
    Ok(())
}

fn zrem(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let removed = change(keyspace, database, key, limits, |sorted_set| Removed {
        count: sorted_set.remove_many(args.len() - 2, |index| args.at(2 + index)),
        is_empty: sorted_set.view().is_empty(),
    })?;
    let count = removed.as_ref().map_or(0, |removed| removed.count);
    if let Some(removed) = removed {
        settle_removal(keyspace, database, key, &removed, "zrem");
    }
    reply.integer(count as i64);
    Ok(())
}
