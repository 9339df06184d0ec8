//! FAILOVER: a primary gives its place to one of its replicas, with nothing lost.
//!
//! ```text
//!               FAILOVER               a replica has all            its primary has given way
//! None ───────────────────► WaitingForSync ───────────► InProgress ────────────────────────────► None (now a replica)
//!  ▲                             │   │                      │
//!  │ ABORT, timed out            │   │ timed out, FORCE     │ ABORT, rejected: a primary again
//!  └─────────────────────────────┘   └──► InProgress        └──────────────────► None
//! ```
//!
//! While it waits no client writes, so that the offset stands still and a replica can reach it. Nothing is asked of the
//! replicas: they acknowledge each second by themselves.

use std::fmt;

/// A replica's address and port, as it has announced them.
pub type Address = (String, u16);

/// What FAILOVER was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailoverRequest {
    /// The replica that is to take over; any that is in sync if none is named.
    pub target: Option<Address>,
    /// When the time is over, the named replica takes over even if it lacks something.
    pub is_forced: bool,
    /// How long to wait for a replica, in ms; as long as it takes if none is given.
    pub timeout_ms: Option<i64>,
}

/// Why a failover cannot begin, in the words of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverError {
    InProgress,
    NotAPrimary,
    NoReplicas,
    ForceNeedsTargetAndTimeout,
    UnknownTarget,
    TargetNotOnline,
    NothingToAbort,
}

impl fmt::Display for FailoverError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            FailoverError::InProgress => "FAILOVER already in progress.",
            FailoverError::NotAPrimary => "FAILOVER is not valid when server is a replica.",
            FailoverError::NoReplicas => "FAILOVER requires connected replicas.",
            FailoverError::ForceNeedsTargetAndTimeout => {
                "FAILOVER with force option requires both a timeout and target HOST and IP."
            }
            FailoverError::UnknownTarget => "FAILOVER target HOST and PORT is not a replica.",
            FailoverError::TargetNotOnline => "FAILOVER target replica is not online.",
            FailoverError::NothingToAbort => "No failover in progress.",
        })
    }
}

/// What the machine sees of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub address: Address,
    pub is_online: bool,
    /// It has applied the stream up to this byte.
    pub acked_offset: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// No client writes from now on.
    PauseWrites,
    /// Clients write again.
    ResumeWrites,
    /// Become a replica of that server, which is asked to take over.
    Follow(Address),
    /// Become a primary again: nobody has taken over.
    StayPrimary,
    /// The log is to say this.
    Log(String),
}

/// How far a failover is, in the words of INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverState {
    None,
    WaitingForSync,
    InProgress,
}

impl fmt::Display for FailoverState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            FailoverState::None => "no-failover",
            FailoverState::WaitingForSync => "waiting-for-sync",
            FailoverState::InProgress => "failover-in-progress",
        })
    }
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    None,
    Waiting {
        request: FailoverRequest,
        until_ms: Option<i64>,
    },
    InProgress,
}

/// The failover of a server, at most one at a time.
#[derive(Debug, Default)]
pub struct Failover {
    phase: Phase,
}

impl Failover {
    /// How far it is.
    pub fn state(&self) -> FailoverState {
        match self.phase {
            Phase::None => FailoverState::None,
            Phase::Waiting { .. } => FailoverState::WaitingForSync,
            Phase::InProgress => FailoverState::InProgress,
        }
    }

    /// Begins a failover.
    ///
    /// Errors: it is not possible; nothing has changed.
    pub fn begin(
        &mut self,
        request: FailoverRequest,
        is_primary: bool,
        candidates: &[Candidate],
        now_ms: i64,
    ) -> Result<Vec<Action>, FailoverError> {
        if !matches!(self.phase, Phase::None) {
            return Err(FailoverError::InProgress);
        }
        if !is_primary {
            return Err(FailoverError::NotAPrimary);
        }
        if candidates.is_empty() {
            return Err(FailoverError::NoReplicas);
        }
        if request.is_forced && (request.timeout_ms.is_none() || request.target.is_none()) {
            return Err(FailoverError::ForceNeedsTargetAndTimeout);
        }
        if let Some(target) = &request.target {
            let target = candidates.iter().find(|candidate| candidate.address == *target);
            if !target.ok_or(FailoverError::UnknownTarget)?.is_online {
                return Err(FailoverError::TargetNotOnline);
            }
        }
        let until_ms = request.timeout_ms.map(|timeout_ms| now_ms.saturating_add(timeout_ms));
        let text = match &request.target {
            Some((host, port)) => format!("FAILOVER requested to {host}:{port}."),
            None => "FAILOVER requested.".to_string(),
        };
        self.phase = Phase::Waiting { request, until_ms };
        Ok(vec![Action::Log(text), Action::PauseWrites])
    }

    /// Looks whether a replica has all, or the time is over; to be called in each turn of the loop while a failover is
    /// under way. O(replicas).
    pub fn on_turn(&mut self, offset: u64, candidates: &[Candidate], now_ms: i64) -> Vec<Action> {
        let Phase::Waiting { request, until_ms } = &self.phase else { return Vec::new() };
        let is_wanted = |candidate: &&Candidate| {
            let is_named = request.target.as_ref().is_none_or(|target| candidate.address == *target);
            is_named && candidate.is_online && candidate.acked_offset == offset
        };
        if let Some(synced) = candidates.iter().find(is_wanted) {
            let (host, port) = &synced.address;
            let text = format!("Failover target {host}:{port} is synced, failing over.");
            return self.follow(synced.address.clone(), text);
        }
        if until_ms.is_none_or(|until_ms| now_ms < until_ms) {
            return Vec::new();
        }
        if let (true, Some(target)) = (request.is_forced, request.target.clone()) {
            let text = format!("Failover to {}:{} time out exceeded, failing over.", target.0, target.1);
            return self.follow(target, text);
        }
        self.phase = Phase::None;
        vec![
            Action::Log("Failover aborted: timed out waiting for a replica to be in sync.".into()),
            Action::ResumeWrites,
        ]
    }

    fn follow(&mut self, target: Address, text: String) -> Vec<Action> {
        self.phase = Phase::InProgress;
        vec![Action::Log(text), Action::Follow(target)]
    }

    /// The failover is no longer wanted.
    ///
    /// Errors: there is none.
    pub fn abort(&mut self) -> Result<Vec<Action>, FailoverError> {
        let mut actions = self.give_up();
        if actions.is_empty() {
            return Err(FailoverError::NothingToAbort);
        }
        actions.insert(0, Action::Log("Failover manually aborted".into()));
        Ok(actions)
    }

    /// The server that was to take over does not; the link has logged it.
    pub fn on_rejected(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::InProgress => self.give_up(),
            Phase::None | Phase::Waiting { .. } => Vec::new(),
        }
    }

    fn give_up(&mut self) -> Vec<Action> {
        match std::mem::take(&mut self.phase) {
            Phase::None => Vec::new(),
            Phase::Waiting { .. } => vec![Action::ResumeWrites],
            Phase::InProgress => vec![Action::StayPrimary, Action::ResumeWrites],
        }
    }

    /// The other server has taken over: this one follows it.
    pub fn on_done(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::InProgress => {
                self.phase = Phase::None;
                vec![Action::ResumeWrites]
            }
            Phase::None | Phase::Waiting { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(port: u16, is_online: bool, acked_offset: u64) -> Candidate {
        Candidate { address: ("h".into(), port), is_online, acked_offset }
    }

    fn to(port: u16) -> FailoverRequest {
        FailoverRequest { target: Some(("h".into(), port)), ..FailoverRequest::default() }
    }

    fn without_log(actions: Vec<Action>) -> Vec<Action> {
        actions.into_iter().filter(|action| !matches!(action, Action::Log(_))).collect()
    }

    fn begun(request: FailoverRequest, candidates: &[Candidate]) -> Failover {
        let mut failover = Failover::default();
        let actions = failover.begin(request, true, candidates, 1000).expect("it is possible");
        assert_eq!(without_log(actions), [Action::PauseWrites]);
        assert_eq!(failover.state(), FailoverState::WaitingForSync);
        failover
    }

    #[test]
    fn the_first_replica_that_has_all_takes_over() {
        let mut failover = begun(FailoverRequest::default(), &[candidate(1, true, 5)]);
        let late = [candidate(1, true, 9), candidate(2, false, 10), candidate(3, true, 11)];
        assert_eq!(failover.on_turn(10, &late, 99_000), []);
        let synced = [candidate(1, true, 9), candidate(2, true, 10)];
        assert_eq!(without_log(failover.on_turn(10, &synced, 99_001)), [Action::Follow(("h".into(), 2))]);
        assert_eq!(failover.state(), FailoverState::InProgress);
        assert_eq!(failover.on_turn(10, &synced, 99_002), []);
        assert_eq!(failover.on_done(), [Action::ResumeWrites]);
        assert_eq!(failover.state(), FailoverState::None);
    }

    #[test]
    fn only_the_named_replica_takes_over() {
        let candidates = [candidate(1, true, 10), candidate(2, true, 9)];
        let mut failover = begun(to(2), &candidates);
        assert_eq!(failover.on_turn(10, &candidates, 1001), []);
        let actions = failover.on_turn(9, &candidates, 1002);
        assert_eq!(without_log(actions), [Action::Follow(("h".into(), 2))]);
    }

    #[test]
    fn a_failover_that_takes_too_long_is_given_up_unless_it_is_forced() {
        let candidates = [candidate(2, true, 9)];
        let request = FailoverRequest { timeout_ms: Some(100), ..to(2) };
        let mut failover = begun(request.clone(), &candidates);
        assert_eq!(failover.on_turn(10, &candidates, 1099), []);
        assert_eq!(without_log(failover.on_turn(10, &candidates, 1100)), [Action::ResumeWrites]);
        assert_eq!(failover.state(), FailoverState::None);
        let mut forced = begun(FailoverRequest { is_forced: true, ..request }, &candidates);
        assert_eq!(without_log(forced.on_turn(10, &candidates, 1100)), [Action::Follow(("h".into(), 2))]);
    }

    #[test]
    fn a_failover_can_be_given_up_in_each_phase() {
        let candidates = [candidate(2, true, 10)];
        assert_eq!(Failover::default().abort(), Err(FailoverError::NothingToAbort));
        let mut failover = begun(to(2), &candidates);
        assert_eq!(failover.abort().map(without_log), Ok(vec![Action::ResumeWrites]));
        let mut failover = begun(to(2), &candidates);
        assert_eq!(failover.on_rejected(), [], "nobody was asked yet");
        failover.on_turn(10, &candidates, 1001);
        assert_eq!(without_log(failover.on_rejected()), [Action::StayPrimary, Action::ResumeWrites]);
        assert_eq!(failover.on_done(), []);
    }

    #[test]
    fn what_is_not_possible_is_refused() {
        let replicas = [candidate(1, false, 0), candidate(2, true, 0)];
        let begin = |request: FailoverRequest, is_primary, replicas: &[Candidate]| {
            let mut failover = Failover::default();
            let error = failover.begin(request, is_primary, replicas, 0).expect_err("it is refused");
            assert_eq!(failover.state(), FailoverState::None);
            error
        };
        let forced = FailoverRequest { is_forced: true, ..to(2) };
        let unnamed = FailoverRequest { is_forced: true, timeout_ms: Some(1), target: None };
        assert_eq!(begin(to(2), false, &replicas), FailoverError::NotAPrimary);
        assert_eq!(begin(to(2), true, &[]), FailoverError::NoReplicas);
        assert_eq!(begin(forced, true, &replicas), FailoverError::ForceNeedsTargetAndTimeout);
        assert_eq!(begin(unnamed, true, &replicas), FailoverError::ForceNeedsTargetAndTimeout);
        assert_eq!(begin(to(3), true, &replicas), FailoverError::UnknownTarget);
        assert_eq!(begin(to(1), true, &replicas), FailoverError::TargetNotOnline);
        let mut failover = begun(to(2), &replicas);
        assert_eq!(failover.begin(to(2), true, &replicas, 0), Err(FailoverError::InProgress));
    }
}
