//! The subcommands of DEBUG that look into lists, or say how they are stored.

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::keyspace::{Record, Value};
use crate::resp::Args;
use crate::text::memory_size;
use crate::types::list::{BlockRef, ListRef};
use crate::types::object::Object;

/// The most that an element may have before it gets a block of its own, whatever is asked for: a bit below 4 GiB.
const LARGE_BYTES_MAX: u64 = (1 << 32) - (1 << 20);

/// What DEBUG OBJECT shows of a list besides what it shows of every value: nothing if it is packed. O(blocks).
pub(super) fn details(record: &Record) -> String {
    let Value::Object(Object::List(list)) = record.value() else {
        return String::new();
    };
    if list.encoding_name() != "quicklist" {
        return String::new();
    }
    let limits = list.limits();
    let (nodes, bytes) =
        ListRef::Large(list).blocks().fold((0, 0), |(count, bytes), block| (count + 1, bytes + plain_bytes(block)));
    format!(
        " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{bytes}",
        list.len() as f64 / nodes as f64,
        limits.max_listpack_size,
        i32::from(limits.compress_depth > 0),
    )
}

fn plain_bytes(block: BlockRef<'_>) -> usize {
    match block {
        BlockRef::Run(listpack) => listpack.byte_len(),
        BlockRef::Large(bytes) => bytes.len(),
        BlockRef::Compressed { plain_length, .. } => plain_length,
    }
}

/// From how many bytes on an element has a block of its own; 0: as if nothing had been said.
pub(super) fn set_large_bytes(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let bytes = memory_size::parse(args.at(2)).ok_or(CommandError::fixed("ERR argument must be a memory value"))?;
    if bytes > LARGE_BYTES_MAX {
        return Err(CommandError::fixed("ERR argument must be between 1 and 4gb"));
    }
    context.state.debug.list_large_bytes = (bytes > 0).then_some(bytes as usize);
    context.reply.ok();
    Ok(())
}
