//! What one client is, whether or not a socket is behind it.

use crate::command::CommandId;
use crate::net::address::Address;
use crate::resp::{Protocol, Reply};

/// A client's place in the slab, good only for as long as that client lives: the generation tells
/// a successor in the same place apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub slot: u32,
    pub generation: u32,
}

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
}

/// Why a client waits instead of being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// CLIENT PAUSE holds its next command back.
    Postponed,
    /// SHUTDOWN waits for what must be done first.
    Shutdown,
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
    /// Bytes of requests received but not run yet.
    pub query_bytes: usize,
    /// Room beyond them in the client's own query buffer.
    pub query_free_bytes: usize,
    /// Bytes of the arguments of a request that is not complete.
    pub argument_bytes: usize,
}

/// One client's state.
pub struct Session {
    pub id: u64,
    pub token: Token,
    pub database: usize,
    pub address: Address,
    /// File descriptor, for CLIENT LIST; -1 without a socket.
    pub descriptor: i32,
    pub name: Vec<u8>,
    pub library_name: Vec<u8>,
    pub library_version: Vec<u8>,
    pub user: String,
    pub authenticated: bool,
    pub mode: Mode,
    pub reply_mode: ReplyMode,
    pub close: Close,
    pub blocked: Option<Blocked>,
    pub no_evict: bool,
    pub no_touch: bool,
    pub created_ms: i64,
    pub last_interaction_ms: i64,
    pub last_command: Option<CommandId>,
    pub traffic: Traffic,
    /// Replies that wait to be sent.
    pub reply: Reply,
    /// Whether the loop knows that there is something to send.
    pub flush_queued: bool,
    /// Since when the replies have been over the soft limit, in ms; 0 if they are not.
    pub soft_limit_since_ms: i64,
}

impl Session {
    /// A client that has just come.
    pub fn new(id: u64, token: Token, address: Address, now_ms: i64) -> Session {
        Session {
            id,
            token,
            database: 0,
            address,
            descriptor: -1,
            name: Vec::new(),
            library_name: Vec::new(),
            library_version: Vec::new(),
            user: "default".to_string(),
            authenticated: false,
            mode: Mode::Normal,
            reply_mode: ReplyMode::On,
            close: Close::No,
            blocked: None,
            no_evict: false,
            no_touch: false,
            created_ms: now_ms,
            last_interaction_ms: now_ms,
            last_command: None,
            traffic: Traffic::default(),
            reply: Reply::new(Protocol::Resp2),
            flush_queued: false,
            soft_limit_since_ms: 0,
        }
    }

    /// Back to the state after connecting, but for the connection itself (RESET).
    pub fn reset(&mut self) {
        self.database = 0;
        self.reply.set_protocol(Protocol::Resp2);
        self.name.clear();
        self.mode = Mode::Normal;
        self.reply_mode = ReplyMode::On;
        self.no_evict = false;
        self.no_touch = false;
    }
}
