//! Where a command comes from, and everything that follows from that. Never runs a command.
//!
//! A new origin is a variant of `Origin` and a row of `Origin::policy`.

use crate::keyspace::ExpiryMode;

/// Where a command comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's request, or what it has queued.
    Client,
    /// A script or function.
    Script,
    /// An append-only file that is being loaded.
    Replay,
    /// The stream of the primary that this server follows.
    Primary,
    /// A node of the cluster whose slots come to this one.
    SlotSource,
    /// A job of this server, which was allowed when it was asked for.
    Job,
}

/// Which reasons to refuse a command there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// All of them; room is made first.
    Request,
    /// The user's rights, and what the script may do.
    Script,
    /// There is no such command, or not with so many arguments: it was admitted when it was first run.
    Trusted,
    /// The same; what follows MULTI is queued.
    Stream,
    /// Whether it is about the slots that its node gives away, and whether its user may run it. Room is made first.
    Slots,
}

/// What an origin decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub admission: Admission,
    /// Whether a full memory limit or a disk that fails is a reason to refuse it.
    pub is_limited: bool,
    /// What becomes of expired keys, if not what the mode in force says.
    pub expiry: Option<ExpiryMode>,
    /// Whether its changes are propagated.
    pub is_propagated: bool,
    /// Whether statistics, slow log and monitors hear of it.
    pub is_counted: bool,
    /// Whether it may wait for keys or for the disk.
    pub may_wait: bool,
    /// Whether it has the form in which it was propagated: what it leaves open was decided then.
    pub is_exact: bool,
}

impl Origin {
    /// What this origin decides; a script stands for a client's here (see [`Policy::of_script`]).
    pub const fn policy(self) -> Policy {
        match self {
            Origin::Client => Policy {
                admission: Admission::Request,
                is_limited: true,
                expiry: None,
                is_propagated: true,
                is_counted: true,
                may_wait: true,
                is_exact: false,
            },
            Origin::Script => Origin::Client.policy().of_script(),
            Origin::Replay => Policy {
                admission: Admission::Trusted,
                is_limited: false,
                expiry: Some(ExpiryMode::Ignore),
                is_propagated: false,
                is_counted: false,
                may_wait: false,
                is_exact: true,
            },
            // The source alone decides what expires, and when: while its requests are served nothing expires.
            Origin::SlotSource => Policy {
                admission: Admission::Slots,
                is_limited: false,
                expiry: None,
                is_propagated: true,
                is_counted: true,
                may_wait: false,
                is_exact: true,
            },
            Origin::Job => Policy {
                admission: Admission::Trusted,
                is_limited: false,
                expiry: None,
                is_propagated: true,
                is_counted: false,
                may_wait: false,
                is_exact: false,
            },
            // The primary alone says what expires, and when.
            Origin::Primary => Policy {
                admission: Admission::Stream,
                is_limited: false,
                expiry: Some(ExpiryMode::Ignore),
                is_propagated: true,
                is_counted: true,
                may_wait: false,
                is_exact: true,
            },
        }
    }
}

impl Policy {
    /// What holds for the commands of a script that a command with this policy runs. They are written as the script has
    /// them, whatever form its own call has.
    pub const fn of_script(self) -> Policy {
        Policy { admission: Admission::Script, may_wait: false, is_exact: false, ..self }
    }
}

/// What a script may do, and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptLimits {
    pub is_read_only: bool,
    /// Whether it may take more memory than is allowed.
    pub allows_oom: bool,
    /// Whether it has called a command that writes. Then it is brought to its end, not stopped halfway.
    pub has_written: bool,
    /// Whether its commands may use keys of different slots.
    pub allows_cross_slot: bool,
    /// The slot of the keys that it has used in a cluster.
    pub slot: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_a_replayed_script_are_not_counted_or_propagated_but_are_the_script_s_own() {
        let replayed = Origin::Replay.policy().of_script();
        let expected = Policy { admission: Admission::Script, is_exact: false, ..Origin::Replay.policy() };
        assert_eq!(replayed, expected);
        assert_eq!(replayed.of_script(), replayed);
    }

    #[test]
    fn scripts_of_clients_differ_from_them_in_what_is_checked_and_never_wait() {
        let (client, script) = (Origin::Client.policy(), Origin::Script.policy());
        assert_eq!(script, Policy { admission: Admission::Script, may_wait: false, ..client });
    }
}
