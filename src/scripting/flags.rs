//! What a script says of itself in its first line: `#!lua name=… flags=…`.

use crate::command::error::CommandError;
use crate::command::spec::{Flag, FlagSet};

use crate::text::quoting;

use super::failure::lossy;

/// What a script may do, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFlags {
    pub no_writes: bool,
    pub allow_oom: bool,
    pub allow_stale: bool,
    pub no_cluster: bool,
    pub allow_cross_slot_keys: bool,
    /// It says nothing: as before there were flags, each of its commands is judged by itself.
    pub is_compatible: bool,
}

/// The flags by name, in the order in which FUNCTION LIST gives them.
type FlagName = (&'static str, fn(&mut ScriptFlags) -> &mut bool);
const NAMES: &[FlagName] = &[
    ("no-writes", |flags| &mut flags.no_writes),
    ("allow-oom", |flags| &mut flags.allow_oom),
    ("allow-stale", |flags| &mut flags.allow_stale),
    ("no-cluster", |flags| &mut flags.no_cluster),
    ("allow-cross-slot-keys", |flags| &mut flags.allow_cross_slot_keys),
];

impl ScriptFlags {
    /// A script without a first line of that kind.
    pub const COMPATIBLE: ScriptFlags = ScriptFlags {
        no_writes: false,
        allow_oom: false,
        allow_stale: false,
        no_cluster: false,
        allow_cross_slot_keys: false,
        is_compatible: true,
    };

    /// Sets a flag by its name; tells whether there is one of that name.
    pub fn set(&mut self, name: &[u8]) -> bool {
        let found = NAMES.iter().find(|(known, _)| name == known.as_bytes());
        if let Some((_, flag)) = found {
            *flag(self) = true;
        }
        found.is_some()
    }

    /// The names of the flags that are set.
    pub fn names(&self) -> Vec<&'static str> {
        let mut flags = *self;
        let set = NAMES.iter().filter(|(_, flag)| *flag(&mut flags));
        set.map(|(name, _)| *name).collect()
    }

    /// The flags of a command that runs this script.
    pub fn applied_to(&self, flags: FlagSet) -> FlagSet {
        if self.is_compatible {
            return flags.without(Flag::Stale);
        }
        let mut flags =
            flags.without(Flag::Stale).without(Flag::DenyOom).without(Flag::Write).without(Flag::MayReplicate);
        if !self.allow_oom && !self.no_writes {
            flags = flags.with(Flag::DenyOom);
        }
        if !self.no_writes {
            flags = flags.with(Flag::Write);
        }
        if self.allow_stale {
            flags = flags.with(Flag::Stale);
        }
        flags
    }
}

/// The first line of a script or library, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shebang {
    /// Its first word, `#!lua`.
    pub engine: Vec<u8>,
    pub options: Vec<Vec<u8>>,
    /// Where the code begins: at the end of that line, so that lines are counted from there.
    pub code_start: usize,
}

/// A first line that cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Takes the first line apart, if it is of that kind.
///
/// Errors: the line has no end, or a quote in it has none.
pub fn shebang(text: &[u8]) -> Result<Option<Shebang>, Malformed> {
    if !text.starts_with(b"#!") {
        return Ok(None);
    }
    let end = memchr::memchr(b'\n', text).ok_or(Malformed)?;
    let mut words = quoting::split_arguments(&text[..end]).ok_or(Malformed)?.into_iter();
    Ok(Some(Shebang { engine: words.next().unwrap_or_default(), options: words.collect(), code_start: end }))
}

/// The flags of a script for EVAL, and where its code begins.
///
/// Errors: the first line is not in order.
pub fn of_script(text: &[u8]) -> Result<(ScriptFlags, usize), CommandError> {
    let Ok(shebang) = shebang(text) else {
        return Err(CommandError::fixed("ERR Invalid script shebang"));
    };
    let Some(shebang) = shebang else {
        return Ok((ScriptFlags::COMPATIBLE, 0));
    };
    if shebang.engine != b"#!lua" {
        return error("Unexpected engine in script shebang: ", &shebang.engine);
    }
    let mut flags = ScriptFlags::default();
    for option in &shebang.options {
        let Some(value) = option.strip_prefix(b"flags=") else {
            return error("Unknown lua shebang option: ", option);
        };
        for flag in value.split(|byte| *byte == b',') {
            if !value.is_empty() && !flags.set(flag) {
                return error("Unexpected flag in script shebang: ", flag);
            }
        }
    }
    Ok((flags, shebang.code_start))
}

fn error<T>(text: &str, shown: &[u8]) -> Result<T, CommandError> {
    let shown = &shown[..shown.len().min(128)];
    Err(CommandError::new(format!("ERR {text}{}", lossy(shown))))
}
