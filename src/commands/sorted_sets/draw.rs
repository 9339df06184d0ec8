//! Elements drawn at random and walks: ZRANDMEMBER and ZSCAN.

use crate::engine::output_limits;

use smallvec::SmallVec;

use crate::collections::hash::{NumberHash, NumberSet};
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ};
use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::Reply;
use crate::resp::number::parse_i64;
use crate::text::double;
use crate::types::sorted_set::{SharedElement, SortedSet, SortedSetRef};

use super::{begin_elements, read, reply_element, reply_member};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("zrandmember", -2, Group::SortedSet, "6.2.0", zrandmember)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(M*log(N)) with N elements in the sorted set and M drawn.")
        .summary("Draws members of a sorted set.")
        .arguments("key options=[count:integer [WITHSCORES]]"),
    CommandSpec::new("zscan", -3, Group::SortedSet, "2.8.0", zscan)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1) for a call, O(N) for a whole walk, with N elements in the sorted set.")
        .summary("Walks through the elements of a sorted set, a few at each call.")
        .arguments("key cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [NOSCORES]@8.0.0"),
];

fn zrandmember(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let Some(count) = args.get(2) else {
        return draw_one(context, args.at(1));
    };
    let count = parse_i64(count).ok_or(CommandError::NOT_AN_INTEGER)?;
    if count == i64::MIN {
        return Err(CommandError::fixed(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let with_scores = match args.get(3) {
        None => false,
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withscores") => true,
        Some(_) => return Err(CommandError::SYNTAX),
    };
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::fixed("ERR value is out of range"));
    }
    let limit_bytes = output_limits::reply_limit_bytes(context.state, context.session);
    let random = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let (database, reply) = (context.session.database, &mut *context.reply);
    let found = read(keyspace, database, args.at(1), |sorted_set| {
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count < 0 {
            begin_elements(reply, wanted, with_scores);
            for _ in 0..wanted {
                if reply.len() >= limit_bytes {
                    // The client is closed, whatever else it is to be told.
                    break;
                }
                let rank = random.usize(..sorted_set.len());
                reply_drawn(reply, sorted_set, rank, with_scores);
            }
        } else {
            reply_distinct(reply, sorted_set, wanted, with_scores, random);
        }
    })?;
    if found.is_none() {
        reply.empty_array();
    }
    Ok(())
}

fn draw_one(context: &mut Context<'_>, key: &[u8]) -> CommandResult {
    let random = &mut context.state.random;
    let keyspace = &mut context.state.keyspace;
    let (database, reply) = (context.session.database, &mut *context.reply);
    let found = read(keyspace, database, key, |sorted_set| {
        let rank = random.usize(..sorted_set.len());
        reply_drawn(reply, sorted_set, rank, false);
    })?;
    if found.is_none() {
        reply.null();
    }
    Ok(())
}

fn reply_drawn(reply: &mut Reply, sorted_set: SortedSetRef<'_>, rank: usize, with_score: bool) {
    if let Some((member, score)) = sorted_set.at(rank) {
        reply_element(reply, member, score, with_score);
    }
}

/// Replies with so many different elements, or all there are.
fn reply_distinct(
    reply: &mut Reply,
    sorted_set: SortedSetRef<'_>,
    wanted: usize,
    with_scores: bool,
    random: &mut fastrand::Rng,
) {
    let length = sorted_set.len();
    let wanted = wanted.min(length);
    begin_elements(reply, wanted, with_scores);
    if wanted == length {
        for (member, score) in sorted_set.iter() {
            reply_element(reply, member, score, with_scores);
        }
    } else if wanted > length / 3 {
        // Most are wanted: a part of all ranks, shuffled.
        let mut ranks: Vec<usize> = (0..length).collect();
        for place in 0..wanted {
            ranks.swap(place, random.usize(place..length));
            reply_drawn(reply, sorted_set, ranks[place], with_scores);
        }
    } else {
        // Few are wanted: those that were drawn already are drawn again.
        let mut drawn = NumberSet::with_capacity_and_hasher(wanted, NumberHash::default());
        while drawn.len() < wanted {
            let rank = random.usize(..length);
            if drawn.insert(rank) {
                reply_drawn(reply, sorted_set, rank, with_scores);
            }
        }
    }
}

fn zscan(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.at(2))?;
    let (keyspace, database, reply) = context.parts();
    let shown = read(keyspace, database, args.at(1), |sorted_set| {
        // Not before: of a key that is absent or of another type the options do not matter.
        let words = args.slice_from(3);
        let (options, members_only) = ScanOptions::parse_with_flag(words, false, Some("noscores"))?;
        let show = Show { options, members_only };
        match sorted_set {
            SortedSetRef::Large(large) => show.some(reply, large, cursor),
            SortedSetRef::Packed(_) => show.all(reply, sorted_set),
        }
        Ok(())
    })?;
    shown.unwrap_or_else(|| {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        Ok(())
    })
}

/// Which elements a walk shows, and what of them.
struct Show<'a> {
    options: ScanOptions<'a>,
    members_only: bool,
}

impl Show<'_> {
    fn per_element(&self) -> usize {
        if self.members_only { 1 } else { 2 }
    }

    /// A packed sorted set is shown whole at any cursor.
    fn all(&self, reply: &mut Reply, sorted_set: SortedSetRef<'_>) {
        reply.array(2);
        reply.bulk(b"0");
        let place = reply.begin_deferred();
        let mut count = 0;
        for (member, score) in sorted_set.iter() {
            if member.with_bytes(|member| self.options.matches(member)) {
                count += self.per_element();
                reply_member(reply, member);
                if !self.members_only {
                    reply.bulk(&double::text(score));
                }
            }
        }
        reply.end_deferred_array(place, count);
    }

    fn some(&self, reply: &mut Reply, large: &SortedSet, mut cursor: u64) {
        // References to the elements, not copies of them.
        let mut found: SmallVec<[SharedElement; 32]> = SmallVec::new();
        let mut looked_at = 0;
        let mut steps_left = self.options.count.saturating_mul(10);
        loop {
            cursor = large.scan(cursor, |element| {
                looked_at += 1;
                if self.options.matches(element.key()) {
                    found.push(element.clone());
                }
            });
            if cursor == 0 || steps_left == 0 || looked_at >= self.options.count {
                break;
            }
            steps_left -= 1;
        }
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
        reply.array(found.len() * self.per_element());
        for element in &found {
            reply.bulk(element.key());
            if !self.members_only {
                // The large form's scores have 17 digits here, as in Redis.
                reply.bulk(&double::precise_text(element.score()));
            }
        }
    }
}
