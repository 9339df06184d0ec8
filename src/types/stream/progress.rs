//! How far a group has come: how many of the entries that were ever added it has read, and how many it has not. Both
//! are known only as long as no entry was deleted where it counts.

use super::entries::Entries;
use super::group::Group;
use super::id::Id;

impl Entries {
    /// Whether an entry with this ID or a greater one was deleted, as far as that concerns those that are there.
    fn has_gaps_from(&self, start: Id) -> bool {
        !self.is_empty() && self.max_deleted_id != Id::MIN && start <= self.max_deleted_id
    }

    /// Whether nothing behind the first entry was deleted.
    fn is_whole(&self) -> bool {
        self.max_deleted_id == Id::MIN || self.max_deleted_id < self.first_id()
    }

    /// How many entries were ever added up to this ID, if that can be told: for the first and the last one, for what is
    /// before the first if nothing behind it was deleted, and for a stream without entries.
    pub fn distance_from_first_ever(&self, id: Id) -> Option<i64> {
        let added = self.added as i64;
        let length = self.len() as i64;
        if self.added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= self.last_id {
            return Some(added);
        }
        if id != Id::MIN && id < self.max_deleted_id {
            return None;
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(added);
        }
        if self.is_whole() && id < self.first_id() {
            Some(added.wrapping_sub(length))
        } else if self.is_whole() && id == self.first_id() {
            Some(added.wrapping_sub(length).wrapping_add(1))
        } else {
            None
        }
    }

    /// How many entries a group has yet to be given, if that is known. O(1).
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.added == 0 || self.is_empty() {
            return Some(0);
        }
        // A group that has not come to the first entry has all of them before it, however many were trimmed.
        if group.last_id < self.first_id() && self.max_deleted_id < self.first_id() {
            return Some(self.len() as i64);
        }
        let counted = group.entries_read.filter(|_| !self.has_gaps_from(group.last_id));
        let read = counted.or_else(|| self.distance_from_first_ever(group.last_id))?;
        Some((self.added as i64).wrapping_sub(read))
    }

    /// Notes that a group was given an entry, the next one behind the last. O(1).
    pub fn advance(&self, group: &mut Group, id: Id) {
        let is_countable = group.last_id >= self.first_id() && !self.has_gaps_from(group.last_id);
        group.entries_read = match group.entries_read {
            Some(read) if is_countable => Some(read.wrapping_add(1)),
            _ if self.added > 0 => self.distance_from_first_ever(id),
            read => read,
        };
        group.last_id = id;
    }
}
