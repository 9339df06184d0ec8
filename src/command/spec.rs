//! What a command declares about itself, once; everything else that speaks of commands derives from it.

use super::arguments::{self, Argument};
use super::databases::Databases;
use super::key_list::KeyFinder;

pub use super::key_list::KeyFlag;

/// Everything that one command or subcommand says of itself, but for the function that runs it.
pub struct Declaration {
    /// Lower case; of a subcommand the second word alone.
    pub name: &'static str,
    /// Number of arguments including the name (and the container's); negative: at least that many.
    pub arity: i16,
    pub flags: &'static [Flag],
    /// ACL categories besides those that follow from the flags (see `registry`): by default the group's.
    pub categories: &'static [Category],
    /// Hints for clients, as COMMAND INFO shows them.
    pub tips: &'static [&'static str],
    pub keys: &'static [KeySpec],
    /// Finds the keys where `keys` cannot tell them in full (`Unknown`, `Incomplete`, keys behind the word of an
    /// option) or not what is done to them (`VariableFlags`): all such commands have it. It reads options with the
    /// handler's own parser.
    pub find_keys: Option<KeyFinder>,
    /// Which arguments name channels that a user must be allowed to use.
    pub channels: Channels,
    /// Which databases a user must be allowed to use.
    pub databases: Databases,
    /// Which argument is looked up in the collection at the first key, for the look-ahead; 0: none.
    pub member: u8,
    pub group: Group,
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    pub deprecated: Option<Deprecation>,
    /// Version and what changed in it.
    pub history: &'static [(&'static str, &'static str)],
    /// In the notation of `arguments`, which COMMAND DOCS and HELP parse when they are asked for.
    pub arguments: &'static str,
}

impl Declaration {
    /// A command of that name, arity, group and first version; all else as most commands have it.
    pub const fn new(name: &'static str, arity: i16, group: Group, since: &'static str) -> Declaration {
        Declaration {
            name,
            arity,
            flags: &[],
            categories: group.categories(),
            tips: &[],
            keys: &[],
            find_keys: None,
            channels: Channels::None,
            databases: Databases::Selected,
            member: 0,
            group,
            since,
            complexity: "O(1)",
            summary: "",
            deprecated: None,
            history: &[],
            arguments: "",
        }
    }

    /// The arguments, one by one.
    pub fn argument_list(&self) -> Vec<Argument> {
        // INVARIANT: a test of the table parses the arguments of every command.
        arguments::parse(self.arguments).expect("the arguments are in the notation")
    }
}

/// Since when a command is deprecated and what to use instead.
pub struct Deprecation {
    pub since: &'static str,
    pub replaced_by: &'static str,
}

/// Properties of a command, named as COMMAND INFO names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    Write,
    ReadOnly,
    DenyOom,
    Admin,
    PubSub,
    NoScript,
    Blocking,
    Loading,
    Stale,
    SkipMonitor,
    SkipSlowlog,
    Asking,
    Fast,
    NoAuth,
    /// May feed the replicas although it is no write. COMMAND INFO does not show it.
    MayReplicate,
    /// Its key specs may well find no key, and that is no error.
    NoMandatoryKeys,
    NoAsyncLoading,
    NoMulti,
    MovableKeys,
    AllowBusy,
    /// The command's arguments may hold passwords: kept out of the slow log and MONITOR.
    Secret,
    /// Behind `enable-debug-command`.
    Debug,
    /// Behind `enable-module-command`.
    Modules,
    /// Its time is mostly waiting on purpose: left out of latency figures.
    NoLatency,
    /// For the server's own use: COMMAND DOCS marks it `syscmd`.
    System,
    /// Looks at keys that it does not name: those that it finds expired are passed on one by one.
    TouchesArbitraryKeys,
    /// Runs at once, even after MULTI.
    NotQueued,
    /// Runs what its client has queued, and is let through or held back as that would be.
    RunsQueue,
    /// May be called in RESP2 by a client that is subscribed to something.
    WhileSubscribed,
    /// Replicas are sent the command itself, or another one that Redis 7.2 does not know either: no command of that
    /// version has its effect. A replica of that version logs an error and lacks the change.
    NoOlderForm,
    /// Moves keys between the nodes of a cluster: it runs where a slot is open, whether or not its keys are there.
    MovesKeys,
}

impl Flag {
    /// Every flag that COMMAND INFO reports, in its order, with its name there.
    pub const REPORTED: &'static [(Flag, &'static str)] = &[
        (Flag::Write, "write"),
        (Flag::ReadOnly, "readonly"),
        (Flag::DenyOom, "denyoom"),
        (Flag::Admin, "admin"),
        (Flag::PubSub, "pubsub"),
        (Flag::NoScript, "noscript"),
        (Flag::Blocking, "blocking"),
        (Flag::Loading, "loading"),
        (Flag::Stale, "stale"),
        (Flag::SkipMonitor, "skip_monitor"),
        (Flag::SkipSlowlog, "skip_slowlog"),
        (Flag::Asking, "asking"),
        (Flag::Fast, "fast"),
        (Flag::NoAuth, "no_auth"),
        (Flag::NoMandatoryKeys, "no_mandatory_keys"),
        (Flag::NoAsyncLoading, "no_async_loading"),
        (Flag::NoMulti, "no_multi"),
        (Flag::MovableKeys, "movablekeys"),
        (Flag::AllowBusy, "allow_busy"),
    ];
}

/// A set of flags, one bit each: tested several times for every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagSet(u32);

impl FlagSet {
    /// The set of the flags listed.
    pub const fn of(flags: &[Flag]) -> FlagSet {
        let mut bits = 0;
        let mut index = 0;
        while index < flags.len() {
            bits |= 1 << flags[index] as u32;
            index += 1;
        }
        FlagSet(bits)
    }

    /// Whether the flag is in the set.
    #[inline]
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    /// Whether any flag is in both sets.
    #[inline]
    pub const fn intersects(self, other: FlagSet) -> bool {
        self.0 & other.0 != 0
    }

    /// The flags of both sets.
    pub const fn union(self, other: FlagSet) -> FlagSet {
        FlagSet(self.0 | other.0)
    }

    /// This set with one more flag.
    pub const fn with(self, flag: Flag) -> FlagSet {
        FlagSet(self.0 | 1 << flag as u32)
    }

    /// This set without a flag.
    pub const fn without(self, flag: Flag) -> FlagSet {
        FlagSet(self.0 & !(1 << flag as u32))
    }
}

/// The ACL categories, in the order in which ACL CAT lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Category {
    Keyspace,
    Read,
    Write,
    Set,
    SortedSet,
    List,
    Hash,
    String,
    Bitmap,
    HyperLogLog,
    Geo,
    Stream,
    PubSub,
    Admin,
    Fast,
    Slow,
    Blocking,
    Dangerous,
    Connection,
    Transaction,
    Scripting,
}

impl Category {
    /// Every category with its name (without the `@`).
    pub const ALL: &'static [(Category, &'static str)] = &[
        (Category::Keyspace, "keyspace"),
        (Category::Read, "read"),
        (Category::Write, "write"),
        (Category::Set, "set"),
        (Category::SortedSet, "sortedset"),
        (Category::List, "list"),
        (Category::Hash, "hash"),
        (Category::String, "string"),
        (Category::Bitmap, "bitmap"),
        (Category::HyperLogLog, "hyperloglog"),
        (Category::Geo, "geo"),
        (Category::Stream, "stream"),
        (Category::PubSub, "pubsub"),
        (Category::Admin, "admin"),
        (Category::Fast, "fast"),
        (Category::Slow, "slow"),
        (Category::Blocking, "blocking"),
        (Category::Dangerous, "dangerous"),
        (Category::Connection, "connection"),
        (Category::Transaction, "transaction"),
        (Category::Scripting, "scripting"),
    ];

    /// The category of that name, whatever its case.
    pub fn from_name(name: &[u8]) -> Option<Category> {
        let found = Category::ALL.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(category, _)| *category)
    }
}

/// The group under which COMMAND DOCS lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    HyperLogLog,
    List,
    PubSub,
    Scripting,
    Sentinel,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
}

impl Group {
    /// The group's name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Cluster => "cluster",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Sentinel => "sentinel",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }

    /// The ACL categories of its commands, unless they state others.
    const fn categories(self) -> &'static [Category] {
        match self {
            Group::Bitmap => &[Category::Bitmap],
            Group::Connection => &[Category::Connection],
            Group::Generic => &[Category::Keyspace],
            Group::Geo => &[Category::Geo],
            Group::Hash => &[Category::Hash],
            Group::HyperLogLog => &[Category::HyperLogLog],
            Group::List => &[Category::List],
            Group::Scripting => &[Category::Scripting],
            Group::Set => &[Category::Set],
            Group::SortedSet => &[Category::SortedSet],
            Group::Stream => &[Category::Stream],
            Group::String => &[Category::String],
            Group::Transactions => &[Category::Transaction],
            Group::Cluster | Group::PubSub | Group::Sentinel | Group::Server => &[],
        }
    }
}

/// Where some of a command's keys stand and what is done to them.
pub struct KeySpec {
    pub flags: &'static [KeyFlag],
    pub begin: Begin,
    pub find: Find,
    pub notes: Option<&'static str>,
}

impl KeySpec {
    pub const fn new(flags: &'static [KeyFlag], begin: Begin, find: Find) -> KeySpec {
        KeySpec { flags, begin, find, notes: None }
    }

    /// Keys from argument `first` to `last` (negative: counted from the end), every `step`th.
    pub const fn range(flags: &'static [KeyFlag], first: i32, last: i32, step: i32) -> KeySpec {
        let last = if last >= 0 { last - first } else { last };
        KeySpec::new(flags, Begin::Index(first), Find::Range { last, step, limit: 0 })
    }

    /// The one key at argument `index`.
    pub const fn one(flags: &'static [KeyFlag], index: i32) -> KeySpec {
        KeySpec::range(flags, index, index, 1)
    }

    /// Keys whose number stands at argument `index`, right before them.
    pub const fn counted(flags: &'static [KeyFlag], index: i32) -> KeySpec {
        KeySpec::new(flags, Begin::Index(index), Find::Count { index: 0, first: 1, step: 1 })
    }

    /// Keys after a word, which is looked for from an argument on (negative: backwards from the end).
    pub const fn after(flags: &'static [KeyFlag], word: &'static str, from: i32, find: Find) -> KeySpec {
        KeySpec::new(flags, Begin::Keyword { word, from }, find)
    }

    /// Keys that only the command itself can find.
    pub const fn unknown(flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec::new(flags, Begin::Unknown, Find::Unknown)
    }

    /// With a remark.
    pub const fn note(mut self, text: &'static str) -> KeySpec {
        self.notes = Some(text);
        self
    }
}

/// Which arguments of a command name channels that are listened to or written to. (Unsubscribing is never refused.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    None,
    /// The first.
    First,
    /// All of them.
    All,
    /// All of them, and they are patterns.
    AllPatterns,
    /// Those that are declared as keys that are none (`NotKey`).
    Declared,
}

// What commands usually do to a key.
pub const INSPECT: &[KeyFlag] = &[KeyFlag::Ro];
pub const READ: &[KeyFlag] = &[KeyFlag::Ro, KeyFlag::Access];
pub const UPDATE: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Update];
pub const READ_AND_UPDATE: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update];
pub const INSERT: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Insert];
pub const DELETE: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Delete];
pub const READ_AND_DELETE: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete];
pub const OVERWRITE: &[KeyFlag] = &[KeyFlag::Ow, KeyFlag::Update];
pub const CREATE: &[KeyFlag] = &[KeyFlag::Ow, KeyFlag::Insert];
pub const REMOVE: &[KeyFlag] = &[KeyFlag::Rm, KeyFlag::Delete];
pub const NO_KEY: &[KeyFlag] = &[KeyFlag::NotKey];

/// Where the search for keys begins.
#[derive(Clone, Copy)]
pub enum Begin {
    /// At this argument.
    Index(i32),
    /// After this word, looked for from an argument on (negative: backwards from the end).
    Keyword {
        word: &'static str,
        from: i32,
    },
    Unknown,
}

/// How the keys are found from there.
#[derive(Clone, Copy)]
pub enum Find {
    /// `last` is relative to the begin; negative: from the end. `limit` n: stop after 1/n of the rest.
    Range {
        last: i32,
        step: i32,
        limit: i32,
    },
    /// A count stands at `index` (relative), the first key at `first`.
    Count {
        index: i32,
        first: i32,
        step: i32,
    },
    Unknown,
}

impl Find {
    /// The one argument there.
    pub const ONE: Find = Find::Range { last: 0, step: 1, limit: 0 };
}
