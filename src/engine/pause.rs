//! Pauses: until when clients wait, and with which commands. Clients ask for one (CLIENT PAUSE), and the server itself
//! needs one while its replicas catch up.

use crate::command::spec::{Flag, FlagSet};

/// Commands that a pause of writes holds back.
const PAUSED_BY_WRITE: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate]);

/// What the server itself holds writes back for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// FAILOVER: a replica is to reach the end of the stream.
    Failover,
    /// SHUTDOWN: the replicas are to have everything.
    Shutdown,
    /// CLUSTER FAILOVER at a replica: it is to reach the end of the stream.
    ManualFailover,
}

/// The pause that is on, if one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// Until when, in ms since the epoch; 0: no pause.
    pub until_ms: i64,
    /// All commands, or those that write alone.
    pub all: bool,
    /// What clients have asked for.
    asked_until_ms: i64,
    asks_for_all: bool,
    /// What the server holds writes back for.
    reasons: [bool; 3],
}

impl Pause {
    /// Whether a pause was called for that is not over as far as is known.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.until_ms != 0
    }

    /// When what clients have asked for is over, else when the pause is, in ms since the epoch.
    #[inline]
    pub fn due_ms(&self) -> i64 {
        if self.asked_until_ms > 0 { self.asked_until_ms } else { self.until_ms }
    }

    /// Whether a command with these flags has to wait.
    pub fn holds(&self, flags: FlagSet, now_ms: i64) -> bool {
        let concerned = self.all || flags.intersects(PAUSED_BY_WRITE);
        now_ms < self.until_ms && concerned
    }

    /// A client asks for a pause. One that is on already is at most made longer and stricter.
    pub fn ask(&mut self, until_ms: i64, all: bool, now_ms: i64) {
        self.asks_for_all = all || (self.asked_until_ms > now_ms && self.asks_for_all);
        self.asked_until_ms = self.asked_until_ms.max(until_ms);
        self.update();
    }

    /// What clients have asked for is over.
    pub fn end_asked(&mut self) {
        self.asked_until_ms = 0;
        self.asks_for_all = false;
        self.update();
    }

    /// The server holds writes back, or does so no longer.
    pub fn set_reason(&mut self, reason: PauseReason, is_on: bool) {
        self.reasons[reason as usize] = is_on;
        self.update();
    }

    /// Whether writes wait for a failover.
    pub fn is_for_failover(&self) -> bool {
        self.reasons[PauseReason::Failover as usize] || self.reasons[PauseReason::ManualFailover as usize]
    }

    fn update(&mut self) {
        self.all = self.asks_for_all;
        self.until_ms = if self.reasons.contains(&true) { i64::MAX } else { self.asked_until_ms };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_s_own_pause_outlasts_that_of_clients() {
        let mut pause = Pause::default();
        pause.ask(500, true, 100);
        pause.set_reason(PauseReason::Failover, true);
        assert_eq!((pause.until_ms, pause.due_ms(), pause.all), (i64::MAX, 500, true));
        pause.end_asked();
        assert_eq!((pause.until_ms, pause.all, pause.is_active()), (i64::MAX, false, true));
        assert_eq!(pause.due_ms(), i64::MAX);
        pause.set_reason(PauseReason::Failover, false);
        assert_eq!(pause, Pause::default());
    }
}
