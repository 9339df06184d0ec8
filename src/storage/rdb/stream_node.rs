//! Checks a block of a stream's entries: a listpack with a structure of its own.
//!
//! ```text
//! entries │ deleted │ number of fields │ field … │ 0          the master entry; then each entry:
//! flags │ ms │ sequence │ [number of fields] │ [field] value … │ elements before this one
//! ```
//!
//! `ms` and `sequence` are relative to the block's ID. With flag 2 an entry has the master entry's fields, and only the
//! values follow; with flag 1 it is deleted.

use crate::collections::listpack::{self, Iter, Listpack};

use super::blocks::listpack_fault;
use super::error::{Checked, Fault, ensure};

/// An ID: milliseconds and sequence number.
pub type StreamId = (u64, u64);

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

const TOO_SHORT: Fault = Fault::Corrupt("a stream's block ends within an entry");
const NO_NUMBER: Fault = Fault::Corrupt("a stream's block has no number where one must be");

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// Entries that are not deleted.
    pub live: u64,
    /// The ID of the last entry, deleted or not.
    pub last: StreamId,
}

/// Checks every element of a block whose entries come behind `after`. O(n).
pub(crate) fn check(id: StreamId, bytes: &[u8], after: Option<StreamId>) -> Checked<Node> {
    listpack::validate(bytes, true).map_err(listpack_fault)?;
    let mut elements = Elements(Listpack::new(bytes).iter());
    let live = elements.number()?;
    let deleted = elements.number()?;
    let master_fields = elements.count()?;
    elements.skip(master_fields)?;
    ensure(elements.number()? == 0, "a stream's block has a master entry without end")?;
    let (mut found_live, mut found_deleted, mut last) = (0, 0, after);
    while !elements.is_at_end() {
        let flags = elements.number()?;
        ensure((0..4).contains(&flags), "a stream's entry has unknown flags")?;
        let entry = (id.0.wrapping_add_signed(elements.number()?), id.1.wrapping_add_signed(elements.number()?));
        let ordered = entry >= id && last.is_none_or(|last| entry > last);
        ensure(ordered, "a stream's entries are not in order")?;
        last = Some(entry);
        let mut before = 3;
        if flags & SAME_FIELDS != 0 {
            elements.skip(master_fields)?;
            before += master_fields;
        } else {
            let fields = elements.count()?;
            elements.skip(fields)?;
            elements.skip(fields)?;
            before += 1 + 2 * fields;
        }
        ensure(
            u64::try_from(elements.number()?) == Ok(before),
            "a stream's entry has another number of elements than it says",
        )?;
        if flags & DELETED == 0 {
            found_live += 1;
        } else {
            found_deleted += 1;
        }
    }
    ensure(
        (live, deleted) == (found_live, found_deleted),
        "a stream's block has another number of entries than it says",
    )?;
    // All may be deleted: XTRIM leaves such a block where its last entry, deleted before, is beyond the limit.
    match last {
        Some(last) if found_live + found_deleted > 0 => Ok(Node { live: found_live as u64, last }),
        _ => Err(Fault::Corrupt("a stream's block without entries")),
    }
}

/// The elements of a block, one after the other.
struct Elements<'a>(Iter<'a>);

impl Elements<'_> {
    fn is_at_end(&self) -> bool {
        self.0.clone().next().is_none()
    }

    fn number(&mut self) -> Checked<i64> {
        let element = self.0.next().ok_or(TOO_SHORT)?;
        element.integer().ok_or(NO_NUMBER)
    }

    /// A number that counts elements.
    fn count(&mut self) -> Checked<u64> {
        u64::try_from(self.number()?).map_err(|_| NO_NUMBER)
    }

    fn skip(&mut self, count: u64) -> Checked {
        for _ in 0..count {
            self.0.next().ok_or(TOO_SHORT)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::block;
    use super::*;

    fn checked(elements: &str) -> Result<Node, &'static str> {
        check((1000, 5), &block(elements), Some((999, 99))).map_err(|fault| match fault {
            Fault::Corrupt(reason) => reason,
            _ => "another fault",
        })
    }

    /// One entry with the master's fields, one deleted, one with a field of its own.
    const GOOD: &str = "2 1 2 f g 0  2 0 0 x y 5  3 0 1 x y 5  0 7 -5 1 h z 6";

    #[test]
    fn entries_are_counted() {
        let node = Node { live: 2, last: (1007, 0) };
        assert_eq!(checked(GOOD), Ok(node));
    }

    #[test]
    fn each_damage_is_told_apart() {
        let with = |from: &str, to: &str| checked(&GOOD.replacen(from, to, 1));
        let number = Err("a stream's block has no number where one must be");
        assert_eq!(with("2 1 2", "x 1 2"), number);
        assert_eq!(with("2 1 2", "2 1 -2"), number);
        assert_eq!(with("g 0", "g 1"), Err("a stream's block has a master entry without end"));
        assert_eq!(with("2 0 0", "4 0 0"), Err("a stream's entry has unknown flags"));
        let order = Err("a stream's entries are not in order");
        assert_eq!(with("0 1 x", "0 0 x"), order);
        assert_eq!(with("2 0 0", "2 -1 0"), order);
        assert_eq!(with("2 0 0", "2 -9223372036854775808 0"), Ok(Node { live: 2, last: (1007, 0) }).and(order));
        let elements = Err("a stream's entry has another number of elements than it says");
        assert_eq!(with("z 6", "z 5"), elements);
        let count = Err("a stream's block has another number of entries than it says");
        assert_eq!(with("2 1 2", "1 2 2"), count);
        assert_eq!(with("2 1 2", "3 1 2"), count);
        let short = Err("a stream's block ends within an entry");
        assert_eq!(with(" 6", ""), short);
        assert_eq!(with("1 h z 6", "9223372036854775807 h z 6"), short);
        assert_eq!(checked("1 0"), short);
        assert_eq!(checked("0 0 0 0"), Err("a stream's block without entries"));
        assert_eq!(checked("0 1 0 0 3 0 0 3"), Ok(Node { live: 0, last: (1000, 5) }));
        let same = check((1000, 5), &block(GOOD), Some((1000, 5)));
        assert_eq!(same, Err(Fault::Corrupt("a stream's entries are not in order")));
        assert!(check((1000, 5), b"", None).is_err());
    }
}
