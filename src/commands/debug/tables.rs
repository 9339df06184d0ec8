//! DEBUG HTSTATS and HTSTATS-KEY: how the tables of a database and of large values are filled, in Redis's form.

use crate::collections::table::Occupancy;
use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::number;

pub(super) fn of_database(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let number = number::parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let keyspace = &context.state.keyspace;
    let number = usize::try_from(number).ok().filter(|number| *number < keyspace.count());
    let Some(number) = number else {
        return Err(CommandError::fixed("ERR Out of range database"));
    };
    let database = keyspace.database(number);
    let is_full = is_full(args);
    let mut text = String::from("[Dictionary HT]\n");
    describe(&mut text, &database.records().occupancy(), is_full);
    text.push_str("[Expires HT]\n");
    describe(&mut text, &database.volatile().occupancy(), is_full);
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub(super) fn of_key(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let Some(record) = keyspace.peek(database, args.at(2)) else {
        return Err(CommandError::NO_SUCH_KEY);
    };
    let object = record.value().object();
    let Some(occupancy) = object.and_then(|object| object.occupancy()) else {
        return Err(CommandError::fixed(
            "ERR The value stored at the specified key is not represented using an hash table",
        ));
    };
    let mut text = String::new();
    describe(&mut text, &occupancy, is_full(args));
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn is_full(args: Args<'_>) -> bool {
    args.get(3).is_some_and(|word| word.eq_ignore_ascii_case(b"full"))
}

/// Describes a table. A chain is what a bucket is the home of. There is no second table that a table is moved to.
fn describe(text: &mut String, occupancy: &Occupancy, is_full: bool) {
    text.push_str("Hash table 0 stats (main hash table):\n");
    if occupancy.entries == 0 {
        text.push_str("No stats available for empty dictionaries\n");
        return;
    }
    let (entries, buckets) = (occupancy.entries, occupancy.buckets);
    text.push_str(&format!(" table size: {buckets}\n number of elements: {entries}\n"));
    if !is_full {
        return;
    }
    let chains = occupancy.chains.iter().enumerate();
    let used_chains = chains.filter(|(_, count)| **count > 0);
    let used = buckets - occupancy.chains[0];
    let longest = used_chains.clone().next_back().map_or(0, |(length, _)| length);
    let counted: usize = used_chains.clone().map(|(length, count)| length * count).sum();
    text.push_str(&format!(
        " different slots: {used}\n max chain length: {longest}\n avg chain length (counted): {:.2}\n \
         avg chain length (computed): {:.2}\n Chain length distribution:\n",
        counted as f64 / used as f64,
        entries as f64 / used as f64,
    ));
    for (length, count) in used_chains {
        let share = *count as f64 * 100.0 / buckets as f64;
        text.push_str(&format!("   {length}: {count} ({share:.2}%)\n"));
    }
}
