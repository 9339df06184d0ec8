//! Ranges of elements by rank, score or member: ZRANGE and its kin, and ZRANGESTORE. Their declarations are in
//! `range_table`.

use std::ops::Range;

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::Reply;
use crate::resp::number::parse_i64;
use crate::types::sorted_set::{self, MemberInterval, ScoreInterval, SortedSetRef};

use super::{begin_elements, limits, parse_members, parse_scores, read, reply_element, store};

/// What the two bounds of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ranks,
    Scores,
    Members,
}

/// What a command's name says already, and what its options may still say.
#[derive(Clone, Copy)]
struct Form {
    kind: Option<Kind>,
    reverse: Option<bool>,
    stores: bool,
}

impl Form {
    const fn fixed(kind: Kind, reverse: bool) -> Form {
        Form { kind: Some(kind), reverse: Some(reverse), stores: false }
    }
}

/// The bounds of a range.
#[derive(Clone, Copy)]
enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(ScoreInterval),
    Members(MemberInterval<'a>),
}

/// What is asked for.
struct Request<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative for all.
    limit: i64,
}

/// The options as they are read.
struct Options {
    form: Form,
    with_scores: bool,
    offset: i64,
    limit: i64,
}

fn integer(text: &[u8]) -> Result<i64, CommandError> {
    parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)
}

impl Options {
    fn parse(words: Args<'_>, form: Form) -> Result<Options, CommandError> {
        let mut options = Options { form, with_scores: false, offset: 0, limit: -1 };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
            if !form.stores && is("withscores") {
                options.with_scores = true;
            } else if is("limit") && at + 2 < words.len() {
                options.offset = integer(words.at(at + 1))?;
                options.limit = integer(words.at(at + 2))?;
                at += 2;
            } else if options.form.reverse.is_none() && is("rev") {
                options.form.reverse = Some(true);
            } else if options.form.kind.is_none() && is("bylex") {
                options.form.kind = Some(Kind::Members);
            } else if options.form.kind.is_none() && is("byscore") {
                options.form.kind = Some(Kind::Scores);
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

impl<'a> Request<'a> {
    /// Reads the two bounds and the options behind them.
    fn parse(words: Args<'a>, form: Form) -> Result<Request<'a>, CommandError> {
        let options = Options::parse(words.slice_from(2), form)?;
        let kind = options.form.kind.unwrap_or(Kind::Ranks);
        let reverse = options.form.reverse == Some(true);
        if kind == Kind::Ranks && options.limit != -1 {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if kind == Kind::Members && options.with_scores {
            return Err(CommandError::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (first, second) = (words.at(0), words.at(1));
        let (minimum, maximum) = if reverse { (second, first) } else { (first, second) };
        let bounds = match kind {
            Kind::Ranks => Bounds::Ranks(integer(first)?, integer(second)?),
            Kind::Scores => Bounds::Scores(parse_scores(minimum, maximum)?),
            Kind::Members => Bounds::Members(parse_members(minimum, maximum)?),
        };
        Ok(Request { bounds, reverse, with_scores: options.with_scores, offset: options.offset, limit: options.limit })
    }

    /// The ranks of what is asked for, counted from the lowest score.
    fn ranks(&self, sorted_set: SortedSetRef<'_>) -> Range<usize> {
        let found = match &self.bounds {
            Bounds::Ranks(first, last) => {
                let length = sorted_set.len();
                let ranks = ranks_within(*first, *last, length);
                return if self.reverse { length - ranks.end..length - ranks.start } else { ranks };
            }
            Bounds::Scores(interval) => sorted_set.ranks_of(interval),
            Bounds::Members(interval) => sorted_set.ranks_of(interval),
        };
        // A negative offset finds nothing.
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let skipped = skipped.min(found.len());
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let count = limit.min(found.len() - skipped);
        if self.reverse {
            let end = found.end - skipped;
            end - count..end
        } else {
            let start = found.start + skipped;
            start..start + count
        }
    }

    fn reply(&self, reply: &mut Reply, sorted_set: SortedSetRef<'_>) {
        let elements = sorted_set.range(self.ranks(sorted_set));
        begin_elements(reply, elements.len(), self.with_scores);
        let with_scores = self.with_scores;
        if self.reverse {
            for (member, score) in elements.rev() {
                reply_element(reply, member, score, with_scores);
            }
        } else {
            for (member, score) in elements {
                reply_element(reply, member, score, with_scores);
            }
        }
    }
}

/// The ranks from the first to the last, both included and counted from the end if they are negative.
pub(super) fn ranks_within(first: i64, last: i64, length: usize) -> Range<usize> {
    let count = length as i64;
    let from_start = |rank: i64| {
        if rank < 0 { rank.saturating_add(count) } else { rank }
    };
    let first = from_start(first).max(0);
    let last = from_start(last).min(count - 1);
    if first > last {
        return 0..0;
    }
    // 0 <= first <= last < length holds.
    first as usize..last as usize + 1
}

fn reply_range(context: &mut Context<'_>, args: Args<'_>, form: Form) -> CommandResult {
    let request = Request::parse(args.slice_from(2), form)?;
    let (keyspace, database, reply) = context.parts();
    let found = read(keyspace, database, args.at(1), |sorted_set| {
        request.reply(reply, sorted_set);
    })?;
    if found.is_none() {
        reply.empty_array();
    }
    Ok(())
}

pub(super) fn zrange(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let form = Form { kind: None, reverse: None, stores: false };
    reply_range(context, args, form)
}

pub(super) fn zrangebylex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, Form::fixed(Kind::Members, false))
}

pub(super) fn zrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, Form::fixed(Kind::Scores, false))
}

pub(super) fn zrangestore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let form = Form { kind: None, reverse: None, stores: true };
    let request = Request::parse(args.slice_from(3), form)?;
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let seed = keyspace.seed().clone();
    let found = read(keyspace, database, args.at(2), |sorted_set| {
        sorted_set::part(sorted_set, request.ranks(sorted_set), &seed)
    })?;
    let found = found.filter(|found| !found.is_empty());
    let count = found.as_ref().map_or(0, |found| found.len());
    let value = found.map(|found| found.finish(limits));
    store(keyspace, database, args.at(1), value, "zrangestore");
    reply.integer(count as i64);
    Ok(())
}

pub(super) fn zrevrange(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, Form::fixed(Kind::Ranks, true))
}

pub(super) fn zrevrangebylex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, Form::fixed(Kind::Members, true))
}

pub(super) fn zrevrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, Form::fixed(Kind::Scores, true))
}

#[cfg(test)]
mod tests {
    use super::ranks_within;

    #[test]
    fn ranks_are_counted_from_either_end() {
        for (first, last, ranks) in [
            (0, -1, 0..5),
            (1, 2, 1..3),
            (-2, -1, 3..5),
            (-100, 1, 0..2),
            (3, 100, 3..5),
            (5, 9, 0..0),
            (2, 1, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(ranks_within(first, last, 5), ranks, "{first} {last}");
        }
        assert_eq!(ranks_within(0, -1, 0), 0..0);
    }
}
