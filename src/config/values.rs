//! The value types of settings: enumerations with their names, and the few structured values.

use std::fmt;

use crate::base::logging::{LineFormat, TimestampFormat};

/// A setting that takes one of a few words.
pub trait Named: Copy + PartialEq + 'static {
    /// The words, in the order that error messages list them, each with its value; the first of a value is its name.
    const NAMES: &'static [(&'static str, Self)];

    /// The value that `word` names, whatever its case. O(number of words).
    fn from_name(word: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)).map(|(_, value)| *value)
    }

    /// The word for this value. O(number of words).
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("unknown", |(name, _)| name)
    }
}

/// Declares an enumeration with the words for its values.
macro_rules! named {
    ($(#[$attribute:meta])* $kind:ident { $($(#[$note:meta])* $value:ident,)* } words { $($word:literal => $named:ident,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $kind {
            $($(#[$note])* $value,)*
        }

        impl Named for $kind {
            const NAMES: &'static [(&'static str, Self)] = &[$(($word, $kind::$named),)*];
        }
    };
}

named! {
    /// Supervisor to notify (`supervised`).
    Supervision {
        /// None.
        #[default]
        No,
        /// Upstart: stop by SIGSTOP when ready.
        Upstart,
        /// systemd: send READY=1 to its socket.
        Systemd,
        /// Whichever the environment shows.
        Auto,
    } words { "upstart" => Upstart, "systemd" => Systemd, "auto" => Auto, "no" => No, }
}

impl Named for LineFormat {
    const NAMES: &'static [(&'static str, LineFormat)] =
        &[("legacy", LineFormat::Legacy), ("logfmt", LineFormat::Logfmt), ("json", LineFormat::Json)];
}

impl Named for TimestampFormat {
    const NAMES: &'static [(&'static str, TimestampFormat)] = &[
        ("legacy", TimestampFormat::Legacy),
        ("iso8601", TimestampFormat::Iso8601),
        ("milliseconds", TimestampFormat::Milliseconds),
    ];
}

named! {
    /// Facility of syslog messages (`syslog-facility`).
    SyslogFacility {
        /// LOG_USER.
        User,
        /// LOG_LOCAL0.
        #[default]
        Local0,
        /// LOG_LOCAL1.
        Local1,
        /// LOG_LOCAL2.
        Local2,
        /// LOG_LOCAL3.
        Local3,
        /// LOG_LOCAL4.
        Local4,
        /// LOG_LOCAL5.
        Local5,
        /// LOG_LOCAL6.
        Local6,
        /// LOG_LOCAL7.
        Local7,
    } words {
        "user" => User, "local0" => Local0, "local1" => Local1, "local2" => Local2, "local3" => Local3,
        "local4" => Local4, "local5" => Local5, "local6" => Local6, "local7" => Local7,
    }
}

named! {
    /// Severity of log messages (`loglevel`).
    LogLevel {
        /// Everything.
        Debug,
        /// Much.
        Verbose,
        /// What an operator wants to know.
        #[default]
        Notice,
        /// Only what needs attention.
        Warning,
        /// Nothing at all.
        Nothing,
    } words {
        "debug" => Debug, "verbose" => Verbose, "notice" => Notice, "warning" => Warning, "nothing" => Nothing,
    }
}

named! {
    /// Which keys make room at the memory limit (`maxmemory-policy`).
    MaxmemoryPolicy {
        /// Least recently used of the keys with a time to live.
        VolatileLru,
        /// Least frequently used of the keys with a time to live.
        VolatileLfu,
        /// Any key with a time to live.
        VolatileRandom,
        /// The key that expires soonest.
        VolatileTtl,
        /// Least recently used of all keys.
        AllkeysLru,
        /// Least frequently used of all keys.
        AllkeysLfu,
        /// Any key.
        AllkeysRandom,
        /// Least recently modified of the keys with a time to live.
        VolatileLrm,
        /// Least recently modified of all keys.
        AllkeysLrm,
        /// None: writes are refused.
        #[default]
        Noeviction,
    } words {
        "volatile-lru" => VolatileLru, "volatile-lfu" => VolatileLfu, "volatile-random" => VolatileRandom,
        "volatile-ttl" => VolatileTtl, "allkeys-lru" => AllkeysLru, "allkeys-lfu" => AllkeysLfu,
        "allkeys-random" => AllkeysRandom, "noeviction" => Noeviction, "volatile-lrm" => VolatileLrm,
        "allkeys-lrm" => AllkeysLrm,
    }
}

impl MaxmemoryPolicy {
    /// Whether the policy uses the LFU counter.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }

    /// Whether the policy uses the time of last access.
    pub fn is_lru(self) -> bool {
        matches!(self, Self::VolatileLru | Self::AllkeysLru)
    }

    /// Whether the policy uses the time of the last change.
    pub fn is_lrm(self) -> bool {
        matches!(self, Self::VolatileLrm | Self::AllkeysLrm)
    }

    /// Whether the policy may take keys without a time to live.
    pub fn is_allkeys(self) -> bool {
        matches!(self, Self::AllkeysLru | Self::AllkeysLfu | Self::AllkeysLrm | Self::AllkeysRandom)
    }
}

named! {
    /// When the append-only file is synced (`appendfsync`).
    AppendFsync {
        /// Once a second, by another thread.
        #[default]
        EverySec,
        /// Before each reply.
        Always,
        /// When the system likes.
        No,
    } words { "everysec" => EverySec, "always" => Always, "no" => No, }
}

named! {
    /// Whether a replica loads a snapshot straight from the link (`repl-diskless-load`).
    ReplicaDisklessLoad {
        /// Never: by way of a file.
        #[default]
        Disabled,
        /// Only into an empty data set.
        OnEmptyDatabase,
        /// Beside the old data, which is then replaced at once.
        SwapDatabase,
    } words { "disabled" => Disabled, "on-empty-db" => OnEmptyDatabase, "swapdb" => SwapDatabase, }
}

named! {
    /// Whether TLS clients need a certificate (`tls-auth-clients`).
    AuthClients {
        /// None is asked for.
        No,
        /// A valid one is needed.
        #[default]
        Yes,
        /// If there is one it must be valid.
        Optional,
    } words { "no" => No, "yes" => Yes, "optional" => Optional, }
}

named! {
    /// Which user a TLS client is by its certificate (`tls-auth-clients-user`).
    CertificateUser {
        /// None: it must log in.
        #[default]
        Off,
        /// The one that is called as the certificate's first common name.
        CommonName,
    } words { "off" => Off, "CN" => CommonName, }
}

named! {
    /// How the kernel's OOM score is changed (`oom-score-adj`).
    OomScoreAdjust {
        /// Not at all.
        #[default]
        No,
        /// By the values, relative to the score at the start.
        Relative,
        /// To the values.
        Absolute,
    } words { "no" => No, "yes" => Relative, "relative" => Relative, "absolute" => Absolute, }
}

named! {
    /// Channels of a new ACL user (`acl-pubsub-default`).
    PubsubDefault {
        /// All.
        AllChannels,
        /// None.
        #[default]
        ResetChannels,
    } words { "allchannels" => AllChannels, "resetchannels" => ResetChannels, }
}

named! {
    /// Which versions of the format of snapshots are read (`rdb-version-check`).
    RdbVersionCheck {
        /// Those that are known.
        #[default]
        Strict,
        /// Newer ones too, up to the first item that is not understood.
        Relaxed,
    } words { "strict" => Strict, "relaxed" => Relaxed, }
}

named! {
    /// How thoroughly loaded values are checked (`sanitize-dump-payload`).
    DumpSanitizing {
        /// Only their frame.
        #[default]
        No,
        /// Every entry.
        Yes,
        /// Every entry if it came by RESTORE from a client.
        Clients,
    } words { "no" => No, "yes" => Yes, "clients" => Clients, }
}

named! {
    /// Who may do a dangerous thing (`enable-protected-configs` and its kin).
    ProtectedAction {
        /// No client.
        #[default]
        No,
        /// Every client.
        Yes,
        /// Clients of the same machine.
        Local,
    } words { "no" => No, "yes" => Yes, "local" => Local, }
}

impl ProtectedAction {
    /// Whether a client may act; `is_local` tells whether it is on the same machine.
    pub fn allows(self, is_local: bool) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Local => is_local,
        }
    }
}

named! {
    /// What cluster clients are told to connect to (`cluster-preferred-endpoint-type`).
    EndpointType {
        /// The address.
        #[default]
        Ip,
        /// The host name.
        Hostname,
        /// Whatever they are connected to now.
        Unknown,
    } words { "ip" => Ip, "hostname" => Hostname, "unknown-endpoint" => Unknown, }
}

named! {
    /// What to do when a command from the primary or the log fails (`propagation-error-behavior`).
    PropagationErrorBehavior {
        /// Go on.
        #[default]
        Ignore,
        /// End the server.
        Panic,
        /// End the server if it is a replica.
        PanicOnReplicas,
    } words { "ignore" => Ignore, "panic" => Panic, "panic-on-replicas" => PanicOnReplicas, }
}

/// What a signal does besides a plain shutdown (`shutdown-on-sigint`, `shutdown-on-sigterm`); none set: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags {
    /// Save even without save points.
    pub save: bool,
    /// Do not save.
    pub nosave: bool,
    /// Do not wait for replicas.
    pub now: bool,
    /// Go on even if saving fails.
    pub force: bool,
    /// Stay while this is a primary with slots of a cluster.
    pub safe: bool,
    /// In a cluster, let a replica take over.
    pub failover: bool,
}

/// Save when at least `changes` writes happened in `seconds` (`save`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Time since the last save, in seconds; at least 1.
    pub seconds: u64,
    /// Number of changes.
    pub changes: u64,
}

/// Limits of one kind of client's pending output; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputBufferLimit {
    /// Close at once beyond this, in bytes.
    pub hard_bytes: u64,
    /// Close when beyond this for `soft_seconds`, in bytes.
    pub soft_bytes: u64,
    /// How long the soft limit may be exceeded, in seconds.
    pub soft_seconds: u64,
}

/// Limits of pending output for each kind of client (`client-output-buffer-limit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputBufferLimits {
    /// Ordinary clients.
    pub normal: OutputBufferLimit,
    /// Replicas.
    pub replica: OutputBufferLimit,
    /// Clients with subscriptions.
    pub pubsub: OutputBufferLimit,
}

/// Limit of all clients' memory together (`maxmemory-clients`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMemoryLimit {
    /// So many bytes (0: no limit).
    Bytes(u64),
    /// So many percent of `maxmemory`; no limit while that has none.
    Percent(u8),
}

impl Default for ClientMemoryLimit {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl ClientMemoryLimit {
    /// The limit in bytes under this `maxmemory`; 0: no limit.
    pub fn bytes(self, maxmemory: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => (u128::from(maxmemory) * u128::from(percent) / 100) as u64,
        }
    }
}

/// How long the loop may stay awake before it sleeps (`loop-spin-us`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpinLimit {
    /// So many microseconds (0: not at all).
    Micros(u32),
    /// As long as the server finds worth it.
    Auto,
}

impl Default for SpinLimit {
    fn default() -> Self {
        Self::Micros(0)
    }
}

/// The primary to follow (`replicaof`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for PrimaryAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.host, self.port)
    }
}

/// One class of keyspace events (`notify-keyspace-events`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// `g`: commands of all types, such as DEL and EXPIRE.
    Generic,
    /// `$`: string commands.
    String,
    /// `l`: list commands.
    List,
    /// `s`: set commands.
    Set,
    /// `h`: hash commands.
    Hash,
    /// `z`: sorted set commands.
    SortedSet,
    /// `x`: a key expired.
    Expired,
    /// `e`: a key was evicted.
    Evicted,
    /// `t`: stream commands.
    Stream,
    /// `d`: events of modules.
    Module,
    /// `K`: publish by key, on `__keyspace@N__`.
    Keyspace,
    /// `E`: publish by event, on `__keyevent@N__`.
    Keyevent,
    /// `m`: a key was looked up in vain.
    KeyMiss,
    /// `n`: a key was made.
    New,
}

/// The set of event classes to publish. One word, since every write asks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceEvents(u16);

impl KeyspaceEvents {
    /// Letters in the order in which the set is shown.
    const LETTERS: [(u8, EventClass); 14] = [
        (b'g', EventClass::Generic),
        (b'$', EventClass::String),
        (b'l', EventClass::List),
        (b's', EventClass::Set),
        (b'h', EventClass::Hash),
        (b'z', EventClass::SortedSet),
        (b'x', EventClass::Expired),
        (b'e', EventClass::Evicted),
        (b't', EventClass::Stream),
        (b'd', EventClass::Module),
        (b'n', EventClass::New),
        (b'K', EventClass::Keyspace),
        (b'E', EventClass::Keyevent),
        (b'm', EventClass::KeyMiss),
    ];
    /// What the letter `A` stands for: the first ten classes of [`EventClass`].
    const ALL: u16 = (1 << 10) - 1;

    /// Whether nothing is to be published.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the class is in the set. O(1).
    pub fn contains(self, class: EventClass) -> bool {
        self.0 & (1 << class as u16) != 0
    }

    /// Parses a string of letters; `None` if one is unknown.
    pub fn parse(letters: &[u8]) -> Option<KeyspaceEvents> {
        let mut bits = 0;
        for letter in letters {
            bits |= match Self::LETTERS.iter().find(|(known, _)| known == letter) {
                Some((_, class)) => 1 << *class as u16,
                None if *letter == b'A' => Self::ALL,
                None => return None,
            };
        }
        Some(KeyspaceEvents(bits))
    }
}

/// Shown as Redis does: `A` for its ten classes, and then `n` is not shown either.
impl fmt::Display for KeyspaceEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_all = self.0 & Self::ALL == Self::ALL;
        if is_all {
            formatter.write_str("A")?;
        }
        for (letter, class) in Self::LETTERS {
            let in_all = (1 << class as u16) & Self::ALL != 0 || class == EventClass::New;
            if self.contains(class) && !(is_all && in_all) {
                write!(formatter, "{}", letter as char)?;
            }
        }
        Ok(())
    }
}

/// How long a replica waits for others to share its snapshot (`repl-diskless-sync-delay`). Two delays
/// compare equal if they are as long, whether or not one of them is the default.
#[derive(Clone, Copy, Debug, Default)]
pub enum SyncDelay {
    /// No default was written yet.
    #[default]
    Blank,
    /// The default, in seconds: nobody has asked for it.
    Implied(u32),
    /// In seconds.
    Asked(u32),
}

impl PartialEq for SyncDelay {
    fn eq(&self, other: &SyncDelay) -> bool {
        self.seconds() == other.seconds()
    }
}

impl SyncDelay {
    /// The number of seconds that is reported.
    pub fn seconds(self) -> u32 {
        match self {
            SyncDelay::Blank => 0,
            SyncDelay::Implied(seconds) | SyncDelay::Asked(seconds) => seconds,
        }
    }

    /// How long a replica waits, in ms: not at all unless somebody has asked for it.
    pub fn asked_for_ms(self) -> i64 {
        match self {
            SyncDelay::Asked(seconds) => i64::from(seconds) * 1000,
            SyncDelay::Blank | SyncDelay::Implied(_) => 0,
        }
    }
}
