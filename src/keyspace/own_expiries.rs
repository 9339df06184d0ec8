//! Keys whose expiry times were set here though another server says what expires: by clients of a replica that may be
//! written to. Nobody else would remove them.

use std::collections::{BTreeMap, BTreeSet};

use super::{ExpiryMode, Keyspace};

type Place = (usize, Box<[u8]>);

/// These keys, by the time that was set.
#[derive(Default)]
pub(super) struct OwnExpiries {
    times_ms: BTreeMap<Place, i64>,
    order: BTreeSet<(i64, Place)>,
}

impl OwnExpiries {
    fn note(&mut self, place: Place, time_ms: i64) {
        if let Some(before_ms) = self.times_ms.insert(place.clone(), time_ms) {
            self.order.remove(&(before_ms, place.clone()));
        }
        self.order.insert((time_ms, place));
    }

    /// The first key whose time is over, which is forgotten.
    fn take_due(&mut self, now_ms: i64) -> Option<Place> {
        self.order.first().filter(|(time_ms, _)| *time_ms < now_ms)?;
        let (_, place) = self.order.pop_first()?;
        self.times_ms.remove(&place);
        Some(place)
    }
}

impl Keyspace {
    /// A key's expiry time was set. O(log keys) on a replica, where it was a client that set it.
    #[inline]
    pub(super) fn note_own_expiry(&mut self, database: usize, key: &[u8], time_ms: i64) {
        if self.expiry_mode() == ExpiryMode::HideFromReads {
            self.own_expiries.note((database, key.into()), time_ms);
        }
    }

    /// Removes the next of these keys whose time is over, if there is one; tells whether there was. O(log keys).
    pub fn expire_own(&mut self) -> bool {
        let Some((database, key)) = self.own_expiries.take_due(self.now_ms) else { return false };
        let outer = self.enter_expiry_mode(ExpiryMode::Delete);
        // Whatever its time is now: a lookup removes what is due.
        let record = self.peek(database, &key);
        let time_ms = record.and_then(|record| record.expiry_ms());
        self.leave_expiry_mode(outer);
        if let Some(time_ms) = time_ms {
            self.note_own_expiry(database, &key, time_ms);
        }
        true
    }

    /// Number of these keys.
    pub fn own_expiries(&self) -> usize {
        self.own_expiries.times_ms.len()
    }

    /// Forgets them: the data are others, or expire in the ordinary way from now on.
    pub fn forget_own_expiries(&mut self) {
        self.own_expiries = OwnExpiries::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::keyspace::{Expiry, NewValue};

    #[test]
    fn keys_go_when_the_time_is_over_that_they_have_by_then() {
        let mut keyspace = Keyspace::new(1, HashSeed::from_seed(1));
        let set = |keyspace: &mut Keyspace, key: &str, time_ms| {
            keyspace.set(0, key.as_bytes(), NewValue::Integer(1), Expiry::At(time_ms));
        };
        // What the primary sets is its own to remove.
        let outer = keyspace.enter_expiry_mode(ExpiryMode::Ignore);
        set(&mut keyspace, "primary's", 10);
        keyspace.leave_expiry_mode(outer);
        keyspace.set_expiry_mode(ExpiryMode::HideFromReads);
        for key in ["early", "kept", "moved"] {
            set(&mut keyspace, key, 10);
        }
        set(&mut keyspace, "late", 100);
        keyspace.set_expiry(0, b"kept", None);
        keyspace.set_expiry(0, b"moved", Some(50));
        assert_eq!(keyspace.own_expiries(), 4);
        let mut expire_at = |now_ms| {
            keyspace.now_ms = now_ms;
            while keyspace.expire_own() {}
            (keyspace.database(0).len(), keyspace.own_expiries())
        };
        assert_eq!(expire_at(10), (5, 4));
        assert_eq!(expire_at(11), (4, 2));
        assert_eq!(expire_at(51), (3, 1));
        assert_eq!(expire_at(101), (2, 0));
        assert_eq!(keyspace.stats.expired_keys, 3);
    }
}
