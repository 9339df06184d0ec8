//! What happens to keys and fields whose expiry time has passed: one mode at a time.

use super::Keyspace;

/// What happens to a key or a field whose expiry time has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryMode {
    /// The first command that looks it up removes it, and the removal is logged as a change.
    #[default]
    Delete,
    /// Reads do not find it, and changes remove it; nothing else does: a replica leaves that to its primary.
    HideFromReads,
    /// Reads do not find it, changes find it as it stands, and nothing removes it: while CLIENT PAUSE holds changes
    /// back.
    Hide,
    /// No expiry time has passed: an append-only file is replayed, in which every removal is a command of its own.
    Ignore,
}

/// The mode in force, and what it follows from.
#[derive(Debug, Default)]
pub(super) struct ExpiryModes {
    pub(super) in_force: ExpiryMode,
    outermost: ExpiryMode,
    /// That of the innermost scope.
    scoped: Option<ExpiryMode>,
}

impl ExpiryModes {
    fn update(&mut self) {
        self.in_force = self.scoped.unwrap_or(self.outermost);
    }
}

/// What was in force outside of a scope. It is given back with `Keyspace::leave_expiry_mode`.
#[derive(Debug)]
#[must_use = "the scope lasts until `leave_expiry_mode`"]
pub struct OuterExpiryMode(Option<ExpiryMode>);

impl Keyspace {
    /// The mode in force.
    #[inline]
    pub fn expiry_mode(&self) -> ExpiryMode {
        self.expiry_modes.in_force
    }

    /// Sets the mode that is in force outside of every scope. Within one it comes into force at the scope's end.
    #[inline]
    pub fn set_expiry_mode(&mut self, mode: ExpiryMode) {
        self.expiry_modes.outermost = mode;
        self.expiry_modes.update();
    }

    /// Begins a scope with a mode of its own. Scopes nest.
    #[inline]
    pub fn enter_expiry_mode(&mut self, mode: ExpiryMode) -> OuterExpiryMode {
        let outer = self.expiry_modes.scoped.replace(mode);
        self.expiry_modes.update();
        OuterExpiryMode(outer)
    }

    /// Ends the innermost scope: the mode outside of it is in force again.
    #[inline]
    pub fn leave_expiry_mode(&mut self, outer: OuterExpiryMode) {
        self.expiry_modes.scoped = outer.0;
        self.expiry_modes.update();
    }

    /// Reads do not find what was due to expire before this time, in ms since the epoch.
    #[inline]
    pub fn read_horizon_ms(&self) -> i64 {
        if self.expiry_mode() == ExpiryMode::Ignore { i64::MIN } else { self.now_ms }
    }

    /// What was due to expire before this time, in ms since the epoch, is removed by a change that meets it.
    #[inline]
    pub fn removal_horizon_ms(&self) -> i64 {
        match self.expiry_mode() {
            ExpiryMode::Delete | ExpiryMode::HideFromReads => self.now_ms,
            ExpiryMode::Hide | ExpiryMode::Ignore => i64::MIN,
        }
    }

    /// Whether a new expiry time has passed already, so that the key or field is removed instead.
    #[inline]
    pub fn is_past(&self, time_ms: i64) -> bool {
        matches!(self.expiry_mode(), ExpiryMode::Delete | ExpiryMode::Hide) && time_ms <= self.now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::keyspace::{Expiry, NewValue};

    const KEY: &[u8] = b"key";
    const EXPIRY_MS: i64 = 1000;

    /// A keyspace whose only key expired a millisecond ago.
    fn with_expired_key(mode: ExpiryMode) -> Keyspace {
        let mut keyspace = Keyspace::new(1, HashSeed::from_seed(1));
        keyspace.set(0, KEY, NewValue::Integer(1), Expiry::At(EXPIRY_MS));
        keyspace.now_ms = EXPIRY_MS + 1;
        keyspace.set_expiry_mode(mode);
        keyspace
    }

    /// Whether each way to look a key up finds it, and whether the key is in the table afterwards.
    fn lookups(mode: ExpiryMode) -> Vec<(&'static str, bool, bool)> {
        type Lookup = (&'static str, fn(&mut Keyspace) -> bool);
        let ways: [Lookup; 10] = [
            ("read", |keyspace| keyspace.read(0, KEY).is_some()),
            ("read_with", |keyspace| keyspace.read_with(0, KEY, |record| record.is_some())),
            ("peek", |keyspace| keyspace.peek(0, KEY).is_some()),
            ("inspect", |keyspace| keyspace.inspect(0, KEY).is_some()),
            ("exists", |keyspace| keyspace.exists(0, KEY)),
            ("lookup", |keyspace| keyspace.lookup(0, KEY).is_some()),
            ("edit", |keyspace| keyspace.edit(0, KEY).is_some()),
            ("set_expiry", |keyspace| keyspace.set_expiry(0, KEY, Some(EXPIRY_MS))),
            ("set", |keyspace| {
                keyspace.set(0, KEY, NewValue::Integer(2), Expiry::Keep);
                keyspace.database(0).get(keyspace.hash(KEY), KEY).is_some_and(|record| record.expiry_ms().is_some())
            }),
            ("take", |keyspace| keyspace.take(0, KEY).is_some()),
        ];
        let outcome = |(name, way): Lookup| {
            let mut keyspace = with_expired_key(mode);
            let is_found = way(&mut keyspace);
            (name, is_found, keyspace.database(0).len() == 1)
        };
        ways.into_iter().map(outcome).collect()
    }

    #[test]
    fn deleted_keys_are_not_found_and_are_removed() {
        for (name, is_found, is_there) in lookups(ExpiryMode::Delete) {
            // SET puts a key there that does not expire.
            assert_eq!((is_found, is_there), (false, name == "set"), "{name}");
        }
    }

    #[test]
    fn hidden_keys_are_found_by_changes_alone_and_stay() {
        let reads = ["read", "read_with", "peek", "inspect", "exists"];
        for (name, is_found, is_there) in lookups(ExpiryMode::Hide) {
            assert_eq!((is_found, is_there), (!reads.contains(&name), name != "take"), "{name}");
        }
    }

    #[test]
    fn keys_that_are_hidden_from_reads_are_removed_by_changes() {
        let reads = ["read", "read_with", "peek", "inspect", "exists"];
        for (name, is_found, is_there) in lookups(ExpiryMode::HideFromReads) {
            // SET puts another key there; a new expiry time comes too late, and removes nothing.
            let stays = reads.contains(&name) || ["set", "set_expiry"].contains(&name);
            assert_eq!((is_found, is_there), (false, stays), "{name}");
        }
    }

    #[test]
    fn ignored_expiry_times_hide_nothing() {
        for (name, is_found, is_there) in lookups(ExpiryMode::Ignore) {
            assert_eq!((is_found, is_there), (true, name != "take"), "{name}");
        }
    }

    #[test]
    fn random_key_may_be_an_expired_one_unless_those_are_deleted() {
        let random = |mode| with_expired_key(mode).random_key(0, &mut fastrand::Rng::with_seed(1)).is_some();
        let modes = [ExpiryMode::Delete, ExpiryMode::Hide, ExpiryMode::Ignore];
        assert_eq!(modes.map(random), [false, true, true]);
    }

    #[test]
    fn new_times_are_past_unless_times_are_ignored() {
        let is_past = |mode| [EXPIRY_MS, EXPIRY_MS + 1, EXPIRY_MS + 2].map(|at| with_expired_key(mode).is_past(at));
        assert_eq!(is_past(ExpiryMode::Delete), [true, true, false]);
        assert_eq!(is_past(ExpiryMode::Hide), [true, true, false]);
        assert_eq!(is_past(ExpiryMode::HideFromReads), [false; 3]);
        assert_eq!(is_past(ExpiryMode::Ignore), [false; 3]);
    }

    /// A pause that begins or ends within a scope counts after it.
    #[test]
    fn scopes_nest_and_restore_the_mode_before() {
        let mut keyspace = with_expired_key(ExpiryMode::Delete);
        let outer = keyspace.enter_expiry_mode(ExpiryMode::Ignore);
        let inner = keyspace.enter_expiry_mode(ExpiryMode::Hide);
        assert_eq!(keyspace.expiry_mode(), ExpiryMode::Hide);
        keyspace.leave_expiry_mode(inner);
        assert_eq!(keyspace.expiry_mode(), ExpiryMode::Ignore);
        keyspace.set_expiry_mode(ExpiryMode::Hide);
        assert_eq!(keyspace.expiry_mode(), ExpiryMode::Ignore);
        keyspace.leave_expiry_mode(outer);
        assert_eq!(keyspace.expiry_mode(), ExpiryMode::Hide);
    }
}
