//! Scopes of the state: what is in force from their beginning to their end.

use super::ServerState;
use crate::engine::nesting::NestingReason;
use crate::engine::origin::Policy;
use crate::keyspace::ExpiryMode;

impl ServerState {
    /// Whether a unit of work is under way, whose effects are passed on when it is over.
    #[inline]
    pub fn is_amid_unit(&self) -> bool {
        self.nesting.is_open()
    }

    /// Runs something as a unit of work.
    pub fn within<R>(&mut self, reason: NestingReason, run: impl FnOnce(&mut ServerState) -> R) -> R {
        let unit = self.nesting.begin(reason);
        let result = run(self);
        self.nesting.end(unit);
        result
    }

    /// Runs commands of an origin under its expiry mode, propagating their changes or not, as the origin decides.
    pub fn with_policy<R>(&mut self, policy: Policy, run: impl FnOnce(&mut ServerState) -> R) -> R {
        let outer = policy.expiry.map(|mode| self.keyspace.enter_expiry_mode(mode));
        let pending = (!policy.is_propagated).then(|| self.keyspace.changes.propagation.set_aside());
        let result = run(self);
        if let Some(pending) = pending {
            self.keyspace.changes.propagation.resume(pending);
        }
        if let Some(outer) = outer {
            self.keyspace.leave_expiry_mode(outer);
        }
        result
    }

    /// In import mode the client whose request begins finds expired keys, or does not.
    #[cold]
    pub fn begin_request_in_import_mode(&mut self, imports: bool) {
        if !self.replication.is_replica() {
            self.keyspace.set_expiry_mode(if imports { ExpiryMode::Ignore } else { ExpiryMode::HideFromReads });
        }
    }

    /// Sets the expiry mode outside of every scope: on a replica expired keys are the primary's to remove, in import
    /// mode the source's, and as long as clients are paused they are hidden.
    pub fn update_expiry_mode(&mut self) {
        let is_paused = self.now_ms() < self.pause.until_ms;
        self.keyspace.set_expiry_mode(match is_paused {
            _ if self.replication.is_replica() || self.config.import_mode => ExpiryMode::HideFromReads,
            true => ExpiryMode::Hide,
            false => ExpiryMode::Delete,
        });
    }
}
