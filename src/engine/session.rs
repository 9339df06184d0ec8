//! What one client is, whether or not a socket is behind it.

use std::rc::Rc;

use crate::acl::User;
use crate::base::clock::Clock;
use crate::base::usage::Usage;
use crate::command::registry::CommandId;
use crate::command::spec::{Flag, FlagSet};
use crate::engine::blocked_state::BlockedState;
use crate::engine::origin::{Admission, Origin, Policy, ScriptLimits};
use crate::engine::subscriptions::Subscriptions;
use crate::engine::transaction::Transaction;
use crate::net::address::Address;
use crate::observe::command_stats::CommandStats;
use crate::observe::recorder::LoopRecorder;
use crate::observe::turn::Part;
use crate::replication::replicas::Announced;
use crate::resp::{Protocol, Reply};

pub use crate::net::token::Token;

/// Bytes of pending replies beyond which a client that has not logged in is closed: anyone can open many such
/// connections.
pub const UNAUTHENTICATED_OUTPUT_MAX_BYTES: u64 = 64 * 1024;

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The next command's reply is left out.
    SkipNext,
    /// The present command's reply is left out.
    Skipping,
}

/// What a client does besides asking and being answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Normal,
    Monitor,
    /// It debugs a script: what it asks is for the debugger.
    Debugging,
    /// It is a replica of this server.
    Replica,
}

/// Whether the client's scripts are debugged (SCRIPT DEBUG).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Debugging {
    #[default]
    No,
    /// On a branch of the databases, which is forgotten.
    Forked,
    /// While all others wait.
    Sync,
}

/// Why a client waits instead of being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// CLIENT PAUSE holds its next command back.
    Paused,
    /// SHUTDOWN waits for what must be done first.
    Shutdown,
    /// Its command waits for a key.
    Keys,
    /// Its script is suspended.
    Script,
    /// Its keys are on their way to another server.
    Migration,
}

/// Whether ASKING holds: requests about a slot that moves to this node run here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    #[default]
    No,
    /// It was the last request.
    Fresh,
    /// The present request has taken it, and a transaction that it begins keeps it.
    Taken,
}

/// The types of clients that CLIENT LIST and CLIENT KILL tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    Normal,
    Replica,
    Pubsub,
    /// This server's primary, which it follows.
    Primary,
}

impl ClientKind {
    /// The kind that a word means, whatever its case.
    pub fn from_name(word: &[u8]) -> Option<ClientKind> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => Some(ClientKind::Normal),
            b"replica" | b"slave" => Some(ClientKind::Replica),
            b"pubsub" => Some(ClientKind::Pubsub),
            b"master" | b"primary" => Some(ClientKind::Primary),
            _ => None,
        }
    }
}

/// When a client's connection is to be closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Close {
    #[default]
    No,
    /// After the replies written so far have been sent.
    AfterReply,
    /// At once.
    Now,
}

/// Figures that the connection keeps up to date for CLIENT LIST and the limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub commands: u64,
    /// What `commands` was when a request was last refused, put off or queued instead of being run.
    pub passed_over_at: u64,
    /// Bytes of requests received but not run yet.
    pub query_bytes: usize,
    /// Room beyond them in the client's own query buffer.
    pub query_free_bytes: usize,
    /// Bytes of the arguments of a request that is not complete.
    pub argument_bytes: usize,
}

/// Replies that wait until the readers of the log of changes have acknowledged the changes that they reveal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldReplies {
    /// The offset of the log of changes that must be acknowledged; 0: nothing waits.
    pub required_offset: u64,
    /// Bytes of replies that wait for that; what comes behind them waits for more.
    pub bytes: usize,
    /// Whether the loop looks at the client whenever more is acknowledged.
    pub is_listed: bool,
}

/// The arguments that the last command with secrets marked as such.
#[derive(Debug, Default)]
pub struct LastRedacted {
    /// Which of the client's commands it was.
    command: u64,
    arguments: Vec<usize>,
}

/// One client's state.
pub struct Session {
    pub id: u64,
    /// The number of the client in whose name it acts: its own, but for a script's session.
    pub actor: u64,
    pub token: Token,
    pub database: usize,
    pub address: Address,
    /// File descriptor, for CLIENT LIST; -1 without a socket.
    pub descriptor: i32,
    pub name: Vec<u8>,
    pub library_name: Vec<u8>,
    pub library_version: Vec<u8>,
    /// Whose rights it has.
    pub user: Rc<User>,
    pub authenticated: bool,
    /// Whether the peer has yet to agree on how to encrypt; never on a plain connection.
    pub handshaking: bool,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    pub mode: Mode,
    pub debugging: Debugging,
    pub reply_mode: ReplyMode,
    pub close: Close,
    pub blocked: Option<Blocked>,
    /// The request that waits for a key; while it runs again, the one that did.
    pub waiting: Option<Box<BlockedState>>,
    /// Whether no command may wait: it is one of several that run as a unit.
    pub deny_blocking: bool,
    /// Where its commands come from.
    pub origin: Origin,
    /// What that decides.
    pub policy: Policy,
    /// What the script may do whose commands it runs.
    pub script: ScriptLimits,
    /// What it has queued since MULTI.
    pub transaction: Option<Box<Transaction>>,
    /// What it had queued, while EXEC runs it.
    pub executing: Option<Executing>,
    /// Its number among the clients that watch keys.
    pub watcher: Option<u32>,
    /// What it listens to, if it does to anything.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// Whether it is told when keys change that it has read (`Tracking` knows how).
    pub is_tracking: bool,
    /// Memory of the keys that it watches, and of the prefixes that it tracks, in bytes.
    pub watch_bytes: usize,
    pub tracking_bytes: usize,
    pub no_evict: bool,
    pub no_touch: bool,
    /// Whether it reads what a replica has (READONLY).
    pub is_readonly: bool,
    /// Whether it follows a replica's word that its primary is to be asked (CLIENT CAPA).
    pub follows_redirects: bool,
    /// Whether it brings keys of another server, and so finds those that have expired (CLIENT IMPORT-SOURCE).
    pub imports: bool,
    pub asking: Asking,
    pub created_ms: i64,
    pub last_interaction_ms: i64,
    pub last_command: Option<CommandId>,
    pub traffic: Traffic,
    /// What its requests took of the loop's time.
    pub usage: Usage,
    /// Since when its replies are ready to leave, in ticks; 0 if none are.
    pub leaving_since: u64,
    /// Which arguments of the present command are secret: MONITOR and the slow log leave them out.
    pub redacted: Vec<usize>,
    /// The same of the last command that had any.
    pub last_redacted: LastRedacted,
    /// Replies that wait to be sent.
    pub reply: Reply,
    /// What it was last counted with against the limit of all clients' memory, in bytes; 0 while there is no limit.
    pub counted_bytes: usize,
    /// Whether it might have been evicted then.
    pub counted_evictable: bool,
    /// Most bytes of replies that waited to be sent at once, of late.
    pub reply_peak_bytes: usize,
    /// How much of them may not leave yet, and until when.
    pub held: HeldReplies,
    /// Whether they may reveal what cannot be written at present.
    pub sees_unflushed: bool,
    /// Offset of the log of changes behind the last of its commands that was propagated to the append-only file.
    pub write_offset: u64,
    /// Replication offset behind the last of its commands that was propagated.
    pub replication_offset: u64,
    /// What it has said of itself as a replica, or as one that is about to become one.
    pub announced: Option<Box<Announced>>,
    /// Whether the loop knows that there is something to send.
    pub flush_queued: bool,
    /// Since when the replies have been over the soft limit, in ms; 0 if they are not.
    pub soft_limit_since_ms: i64,
}

/// The size of the transaction that EXEC runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executing {
    pub commands: usize,
    /// Memory of what was queued, in bytes.
    pub bytes: usize,
    /// The slot of its keys in a cluster.
    pub slot: Option<u16>,
}

impl Session {
    /// A request begins: ASKING holds for the one after it and for no other, but for a transaction as a whole. A
    /// request that waited goes on as it began.
    #[inline]
    pub fn begin_request(&mut self) {
        if self.asking != Asking::No && self.transaction.is_none() && self.waiting.is_none() {
            self.asking = match self.asking {
                Asking::Fresh => Asking::Taken,
                Asking::Taken | Asking::No => Asking::No,
            };
        }
    }

    /// The request that has begun is put off, and will begin again.
    pub fn put_request_off(&mut self) {
        if self.asking == Asking::Taken && self.transaction.is_none() && self.waiting.is_none() {
            self.asking = Asking::Fresh;
        }
    }

    /// Whether it is a script that runs commands.
    pub fn is_script(&self) -> bool {
        self.origin == Origin::Script
    }

    /// Whether an argument of the command that has just run is a secret, which logs and monitors must not show.
    pub fn hides_argument(&self, flags: FlagSet, index: usize) -> bool {
        self.redacted.contains(&index) || (index > 0 && flags.has(Flag::Secret))
    }

    /// The command that has run is over: its secrets are kept apart, for the logs of large requests and replies.
    #[cold]
    pub fn settle_redacted(&mut self) {
        self.last_redacted.command = self.traffic.commands;
        self.last_redacted.arguments.clear();
        std::mem::swap(&mut self.last_redacted.arguments, &mut self.redacted);
    }

    /// Whether an argument of the last command that was over is a secret.
    pub fn hid_argument(&self, flags: FlagSet, index: usize) -> bool {
        let last = &self.last_redacted;
        last.command == self.traffic.commands && last.arguments.contains(&index) || self.hides_argument(flags, index)
    }

    /// Its replies are ready to leave.
    #[inline]
    pub fn begin_leaving(&mut self, recorder: &LoopRecorder, clock: &Clock) {
        if self.leaving_since == 0 && recorder.is_on() {
            self.leaving_since = recorder.marked(clock);
        }
    }

    /// Its socket has taken some of its replies, or all.
    #[inline]
    pub fn note_sent(&mut self, recorder: &mut LoopRecorder, stats: &mut CommandStats, clock: &Clock) {
        if !recorder.is_on() {
            self.leaving_since = 0;
            return;
        }
        let now = clock.ticks();
        recorder.mark(Part::Write, now);
        if self.leaving_since > 0 && self.reply.is_empty() {
            recorder.note_sent(clock, self.id, self.leaving_since, now, self.last_command);
            if let Some(command) = self.last_command {
                stats.record_leaving(command, now.saturating_sub(self.leaving_since));
            }
            self.leaving_since = 0;
        }
    }

    /// The changes that its replies reveal are on the disk.
    pub fn note_on_disk(&mut self, recorder: &mut LoopRecorder, stats: &mut CommandStats, clock: &Clock) {
        if self.leaving_since > 0 {
            let now = clock.ticks();
            recorder.note_on_disk(clock, self.id, self.leaving_since, now, self.last_command);
            if let Some(command) = self.last_command {
                stats.record_disk(command, now.saturating_sub(self.leaving_since));
            }
            self.leaving_since = now;
        }
    }

    /// A client that has just come, or what stands for one where commands come from elsewhere.
    pub fn new(id: u64, token: Token, address: Address, now_ms: i64, user: Rc<User>, origin: Origin) -> Session {
        let policy = origin.policy();
        Session {
            id,
            actor: id,
            token,
            database: 0,
            address,
            descriptor: -1,
            name: Vec::new(),
            library_name: Vec::new(),
            library_version: Vec::new(),
            user,
            authenticated: policy.admission != Admission::Request,
            handshaking: false,
            is_encrypted: false,
            mode: Mode::Normal,
            debugging: Debugging::No,
            reply_mode: ReplyMode::On,
            close: Close::No,
            blocked: None,
            waiting: None,
            deny_blocking: !policy.may_wait,
            executing: None,
            origin,
            policy,
            script: ScriptLimits::default(),
            transaction: None,
            watcher: None,
            subscriptions: None,
            is_tracking: false,
            watch_bytes: 0,
            tracking_bytes: 0,
            no_evict: false,
            no_touch: false,
            is_readonly: false,
            follows_redirects: false,
            imports: false,
            asking: Asking::No,
            created_ms: now_ms,
            last_interaction_ms: now_ms,
            last_command: None,
            traffic: Traffic::default(),
            usage: Usage::default(),
            leaving_since: 0,
            redacted: Vec::new(),
            last_redacted: LastRedacted::default(),
            reply: Reply::new(Protocol::Resp2),
            counted_bytes: 0,
            counted_evictable: false,
            reply_peak_bytes: 0,
            held: HeldReplies::default(),
            sees_unflushed: false,
            write_offset: 0,
            replication_offset: 0,
            announced: None,
            flush_queued: false,
            soft_limit_since_ms: 0,
        }
    }

    /// Back to the state after connecting, but for the connection itself, the login and whom the
    /// server keeps in lists of its own (RESET). What the client said of its library stays true.
    pub fn reset(&mut self) {
        self.database = 0;
        self.name.clear();
        self.reply_mode = ReplyMode::On;
        self.debugging = Debugging::No;
        self.no_evict = false;
        self.no_touch = false;
        self.is_readonly = false;
        self.imports = false;
        self.asking = Asking::No;
    }

    /// The database that is selected when the next request runs: what waits in a transaction may select another one.
    #[inline]
    pub fn next_database(&self) -> usize {
        self.transaction.as_ref().and_then(|transaction| transaction.database()).unwrap_or(self.database)
    }

    /// The type of client. One that monitors is a normal client.
    pub fn kind(&self) -> ClientKind {
        match self.subscriptions {
            _ if self.origin == Origin::Primary => ClientKind::Primary,
            _ if self.mode == Mode::Replica => ClientKind::Replica,
            Some(_) => ClientKind::Pubsub,
            None => ClientKind::Normal,
        }
    }

    /// Seconds since the client came, by the calendar's seconds.
    pub fn age_s(&self, now_ms: i64) -> i64 {
        now_ms.div_euclid(1000) - self.created_ms.div_euclid(1000)
    }

    /// Seconds since the client was heard of, by the calendar's seconds.
    pub fn idle_s(&self, now_ms: i64) -> i64 {
        now_ms.div_euclid(1000) - self.last_interaction_ms.div_euclid(1000)
    }

    /// Memory held for the client, in bytes; values that its replies share with the keyspace count in full.
    pub fn total_memory(&self) -> usize {
        self.memory() + self.reply.memory()
    }

    /// The transaction that it queues, or that EXEC runs for it.
    pub fn unit(&self) -> Option<Executing> {
        let queued = self.transaction.as_ref().map(|transaction| Executing {
            commands: transaction.len(),
            bytes: transaction.memory(),
            slot: None,
        });
        queued.or(self.executing)
    }

    /// Memory held for the client but for its replies, in bytes.
    pub fn memory(&self) -> usize {
        let texts = [&self.name, &self.library_name, &self.library_version];
        size_of::<Session>()
            + texts.iter().map(|text| text.capacity()).sum::<usize>()
            + self.address.peer.capacity()
            + self.address.local.capacity()
            + (self.redacted.capacity() + self.last_redacted.arguments.capacity()) * size_of::<usize>()
            + self.subscriptions.as_ref().map_or(0, |subscriptions| subscriptions.memory())
            + self.unit().map_or(0, |unit| unit.bytes)
            + self.waiting.as_ref().map_or(0, |waiting| waiting.memory())
            + self.watch_bytes
            + self.tracking_bytes
            + self.traffic.query_bytes
            + self.traffic.query_free_bytes
            + self.traffic.argument_bytes
    }
}
