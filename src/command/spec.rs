//! What a command declares about itself, once; everything else that speaks of commands derives from it.

use crate::instance::Instance;

use super::keys::KeyFinder;
use super::{Args, CommandResult, Context};

/// The function that carries a command out. Gets at least as many arguments as the arity asks for.
pub type Handler = fn(&mut Context<'_>, Args<'_>) -> CommandResult;

/// Everything about one command or subcommand. Declare with `..CommandSpec::DEFAULT`.
pub struct CommandSpec {
    /// Lower case; of a subcommand the second word alone.
    pub name: &'static str,
    /// Number of arguments including the name (and the container's); negative: at least that many.
    pub arity: i16,
    pub flags: &'static [Flag],
    /// ACL categories besides those that follow from the flags (see `registry`).
    pub categories: &'static [Category],
    /// Hints for clients, as COMMAND INFO shows them.
    pub tips: &'static [&'static str],
    pub keys: &'static [KeySpec],
    /// Finds the keys where `keys` cannot tell them in full (`Unknown`, `Incomplete`, keys behind the word of an option) or not
    /// what is done to them (`VariableFlags`): all such commands have it. It reads options with the handler's own parser.
    pub find_keys: Option<KeyFinder>,
    /// Which arguments name channels that a user must be allowed to use.
    pub channels: Channels,
    /// Which argument is looked up in the collection at the first key, for the look-ahead; 0: none.
    pub member: u8,
    /// Works the flags of one request out, where they depend on what it runs.
    pub flags_of: Option<fn(&Instance, Args<'_>, FlagSet) -> FlagSet>,
    pub group: Group,
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    pub deprecated: Option<Deprecation>,
    /// Version and what changed in it.
    pub history: &'static [(&'static str, &'static str)],
    pub arguments: &'static [Argument],
    pub subcommands: &'static [CommandSpec],
    pub handler: Handler,
}

impl CommandSpec {
    /// The values of a command that declares nothing.
    pub const DEFAULT: CommandSpec = CommandSpec {
        name: "",
        arity: 1,
        flags: &[],
        categories: &[],
        tips: &[],
        keys: &[],
        find_keys: None,
        channels: Channels::None,
        member: 0,
        flags_of: None,
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "",
        deprecated: None,
        history: &[],
        arguments: &[],
        subcommands: &[],
        handler: super::call::container,
    };
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
        let found = Category::ALL
            .iter()
            .find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
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
}

/// Where some of a command's keys stand and what is done to them.
pub struct KeySpec {
    pub flags: &'static [KeyFlag],
    pub begin: Begin,
    pub find: Find,
    pub notes: Option<&'static str>,
}

impl KeySpec {
    /// Keys from argument `first` to `last` (negative: counted from the end), every `step`th.
    pub const fn range(flags: &'static [KeyFlag], first: i32, last: i32, step: i32) -> KeySpec {
        let last = if last >= 0 { last - first } else { last };
        let find = Find::Range {
            last,
            step,
            limit: 0,
        };
        KeySpec {
            flags,
            begin: Begin::Index(first),
            find,
            notes: None,
        }
    }

    /// The one key at argument `index`.
    pub const fn one(flags: &'static [KeyFlag], index: i32) -> KeySpec {
        KeySpec::range(flags, index, index, 1)
    }

    /// Keys whose number stands at argument `index`, right before them.
    pub const fn counted(flags: &'static [KeyFlag], index: i32) -> KeySpec {
        let find = Find::Count {
            index: 0,
            first: 1,
            step: 1,
        };
        KeySpec {
            flags,
            begin: Begin::Index(index),
            find,
            notes: None,
        }
    }

    /// With a remark.
    pub const fn note(mut self, text: &'static str) -> KeySpec {
        self.notes = Some(text);
        self
    }
}

/// Which arguments of a command name channels that are listened to or written to. (Nobody is kept from ceasing to listen.)
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

/// What a command does to a key, named as COMMAND INFO names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyFlag {
    Ro,
    Rw,
    Ow,
    Rm,
    Access,
    Update,
    Insert,
    Delete,
    NotKey,
    Incomplete,
    VariableFlags,
}

impl KeyFlag {
    /// The name in COMMAND INFO and COMMAND GETKEYSANDFLAGS.
    pub fn name(self) -> &'static str {
        match self {
            KeyFlag::Ro => "RO",
            KeyFlag::Rw => "RW",
            KeyFlag::Ow => "OW",
            KeyFlag::Rm => "RM",
            KeyFlag::Access => "access",
            KeyFlag::Update => "update",
            KeyFlag::Insert => "insert",
            KeyFlag::Delete => "delete",
            KeyFlag::NotKey => "not_key",
            KeyFlag::Incomplete => "incomplete",
            KeyFlag::VariableFlags => "variable_flags",
        }
    }
}

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

/// One argument of a command, for COMMAND DOCS.
pub struct Argument {
    pub name: &'static str,
    pub kind: ArgumentKind,
    pub token: Option<&'static str>,
    /// Which key spec it belongs to, for keys.
    pub key_spec: Option<u8>,
    pub flags: &'static [ArgumentFlag],
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
    /// What to show in place of the name.
    pub display: Option<&'static str>,
    pub arguments: &'static [Argument],
}

impl Argument {
    /// An argument with nothing but a name and a kind; refine with the `const` methods below.
    pub const fn new(name: &'static str, kind: ArgumentKind) -> Argument {
        Argument {
            name,
            kind,
            token: None,
            key_spec: None,
            flags: &[],
            since: None,
            deprecated_since: None,
            display: None,
            arguments: &[],
        }
    }

    /// A key that belongs to the key spec of that number.
    pub const fn key(name: &'static str, spec: u8) -> Argument {
        Argument::new(name, ArgumentKind::Key).in_key_spec(spec)
    }

    /// Names keys of the key spec of that number, though it is no key itself (a pattern).
    pub const fn in_key_spec(mut self, spec: u8) -> Argument {
        self.key_spec = Some(spec);
        self
    }

    /// A bare word that is present or not.
    pub const fn token(name: &'static str, token: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::PureToken).after(token)
    }

    /// Alternatives, of which one is given.
    pub const fn one_of(name: &'static str, arguments: &'static [Argument]) -> Argument {
        let mut argument = Argument::new(name, ArgumentKind::OneOf);
        argument.arguments = arguments;
        argument
    }

    /// Arguments that go together.
    pub const fn block(name: &'static str, arguments: &'static [Argument]) -> Argument {
        let mut argument = Argument::new(name, ArgumentKind::Block);
        argument.arguments = arguments;
        argument
    }

    /// Preceded by this word.
    pub const fn after(mut self, token: &'static str) -> Argument {
        self.token = Some(token);
        self
    }

    /// With these flags.
    pub const fn flags(mut self, flags: &'static [ArgumentFlag]) -> Argument {
        self.flags = flags;
        self
    }

    /// May be left out.
    pub const fn optional(self) -> Argument {
        self.flags(&[ArgumentFlag::Optional])
    }

    /// May be repeated.
    pub const fn multiple(self) -> Argument {
        self.flags(&[ArgumentFlag::Multiple])
    }

    /// Came with this version.
    pub const fn since(mut self, version: &'static str) -> Argument {
        self.since = Some(version);
        self
    }

    /// Deprecated from this version on.
    pub const fn deprecated(mut self, version: &'static str) -> Argument {
        self.deprecated_since = Some(version);
        self
    }

    /// Shown under another name.
    pub const fn shown_as(mut self, display: &'static str) -> Argument {
        self.display = Some(display);
        self
    }
}

/// The kind of an argument, named as COMMAND DOCS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgumentKind {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key => "key",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }
}

/// How often an argument may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentFlag {
    Optional,
    Multiple,
    MultipleToken,
}

impl ArgumentFlag {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            ArgumentFlag::Optional => "optional",
            ArgumentFlag::Multiple => "multiple",
            ArgumentFlag::MultipleToken => "multiple_token",
        }
    }
}
