//! The table of all commands: built once from the families' slices, looked up for every request.

use super::lone_key::LoneKey;

pub use super::id::CommandId;
use super::names::Names;
use super::spec::{Begin, Category, Declaration, Find, Flag, FlagSet, KeyFlag, KeySpec};

/// A command with what is derived from its declaration.
pub struct Command {
    pub id: CommandId,
    pub spec: &'static Declaration,
    /// `get`, or `config|set` for a subcommand.
    pub full_name: String,
    pub flags: FlagSet,
    /// One bit for each category, numbered as `Category`.
    pub categories: u32,
    pub parent: Option<CommandId>,
    pub subcommands: Vec<CommandId>,
    /// The old way to tell where keys are.
    pub legacy_keys: LegacyKeys,
    /// The argument that holds the first key, if that is fixed (for prefetching); 0 for none.
    pub first_key: u8,
    /// The only key, if there is always exactly one at a fixed place.
    pub lone_key: Option<LoneKey>,
}

impl Command {
    /// Whether a request of so many arguments (name included) fits.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = i64::from(self.spec.arity);
        let count = count as i64;
        if arity >= 0 { count == arity } else { count >= -arity }
    }
}

/// Where the keys are as far as one range can tell: first argument, last argument (negative: counted
/// from the end) and step; all 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegacyKeys {
    pub first: i32,
    pub last: i32,
    pub step: i32,
}

/// An entry of a table of commands: a command or subcommand with what it declares.
pub trait Declares: Sized + 'static {
    /// What it says of itself.
    fn declaration(&'static self) -> &'static Declaration;

    /// Its subcommands.
    fn subcommands(&'static self) -> &'static [Self];
}

/// All commands of the server by id and by name.
pub struct Registry {
    commands: Vec<Command>,
    names: Names,
}

impl Registry {
    /// Builds the table from the families' declarations.
    pub fn new<D: Declares>(families: &[&'static [D]]) -> Registry {
        let mut registry = Registry { commands: Vec::new(), names: Names::default() };
        for spec in families.iter().flat_map(|family| family.iter()) {
            registry.add(spec, None);
        }
        registry
    }

    fn add<D: Declares>(&mut self, entry: &'static D, parent: Option<CommandId>) -> CommandId {
        let spec = entry.declaration();
        let id = CommandId::at(self.commands.len());
        let full_name = match parent {
            Some(parent) => format!("{}|{}", self.get(parent).spec.name, spec.name),
            None => spec.name.to_string(),
        };
        let (legacy_keys, is_complete) = legacy_keys(spec.keys);
        let flags = FlagSet::of(spec.flags);
        let flags = if is_complete { flags } else { flags.with(Flag::MovableKeys) };
        self.commands.push(Command {
            id,
            spec,
            full_name,
            flags,
            categories: categories(spec, flags),
            parent,
            subcommands: Vec::new(),
            legacy_keys,
            first_key: u8::try_from(legacy_keys.first).unwrap_or(0),
            lone_key: LoneKey::of(spec),
        });
        self.names.insert(parent, spec.name.as_bytes(), id);
        for subcommand in entry.subcommands() {
            let sub_id = self.add(subcommand, Some(id));
            self.commands[id.index()].subcommands.push(sub_id);
        }
        id
    }

    /// The command with that id.
    #[inline]
    pub fn get(&self, id: CommandId) -> &Command {
        &self.commands[id.index()]
    }

    /// Every command and subcommand, in order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    /// Number of commands and subcommands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is no command at all.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The names that requests may use at present (`rename-command` changes them) with their
    /// commands, subcommands left out; in order of declaration, renamed ones last.
    pub fn names(&self) -> impl Iterator<Item = (&[u8], CommandId)> {
        let commands = self.names.iter().filter(|name| name.scope.is_none());
        commands.map(|name| (&*name.text, name.command))
    }

    /// The command of that name, whatever the case. O(1).
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        self.names.find(None, name).map(|id| self.get(id))
    }

    /// The subcommand of that name, whatever the case. O(1).
    pub fn find_subcommand(&self, container: CommandId, name: &[u8]) -> Option<&Command> {
        self.names.find(Some(container), name).map(|id| self.get(id))
    }

    /// The command `name` or the subcommand `container|name`.
    pub fn find_full(&self, full_name: &[u8]) -> Option<&Command> {
        match full_name.iter().position(|byte| *byte == b'|') {
            None => self.find(full_name),
            Some(bar) => {
                let container = self.find(&full_name[..bar])?;
                self.find_subcommand(container.id, &full_name[bar + 1..])
            }
        }
    }

    /// The same by the names that commands were declared with, whatever they are called at present. O(commands).
    pub fn find_declared(&self, full_name: &[u8]) -> Option<&Command> {
        self.commands.iter().find(|command| command.full_name.as_bytes().eq_ignore_ascii_case(full_name))
    }

    /// The command that a request asks for: the subcommand, where its container has that one.
    #[inline]
    pub fn resolve(&self, name: &[u8], second: Option<&[u8]>) -> Option<&Command> {
        let command = self.find(name)?;
        if command.subcommands.is_empty() {
            return Some(command);
        }
        match second {
            Some(second) => Some(self.find_subcommand(command.id, second).unwrap_or(command)),
            None => Some(command),
        }
    }

    /// The command whose words these are, to the letter: a container with a second word that is none
    /// of its subcommands is no command. For COMMAND GETKEYS and the like.
    pub fn resolve_strictly(&self, name: &[u8], second: Option<&[u8]>) -> Option<&Command> {
        let command = self.find(name)?;
        match second {
            Some(second) if !command.subcommands.is_empty() => self.find_subcommand(command.id, second),
            _ => Some(command),
        }
    }

    /// Gives a command another name, or none (an empty one). Errors: whether the old name is unknown
    /// or the new one taken is told by the variant.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let id = self.names.find(None, old).ok_or(RenameError::NoSuchCommand)?;
        if self.names.find(None, new).is_some_and(|other| other != id) {
            return Err(RenameError::NameTaken);
        }
        self.names.remove(None, old);
        if !new.is_empty() {
            self.names.insert(None, new, id);
        }
        Ok(())
    }
}

/// Why a command could not be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    NoSuchCommand,
    NameTaken,
}

/// A command's declared categories and those that follow from its flags.
fn categories(spec: &Declaration, flags: FlagSet) -> u32 {
    let mut set = spec.categories.iter().fold(0, |set, category| set | 1u32 << *category as u32);
    let mut imply = |condition: bool, category: Category| {
        if condition {
            set |= 1 << category as u32;
        }
    };
    let scripting = spec.categories.contains(&Category::Scripting);
    imply(flags.has(Flag::Write), Category::Write);
    imply(flags.has(Flag::ReadOnly) && !scripting, Category::Read);
    imply(flags.has(Flag::Admin), Category::Admin);
    imply(flags.has(Flag::Admin), Category::Dangerous);
    imply(flags.has(Flag::PubSub), Category::PubSub);
    imply(flags.has(Flag::Fast), Category::Fast);
    imply(!flags.has(Flag::Fast), Category::Slow);
    imply(flags.has(Flag::Blocking), Category::Blocking);
    set
}

/// The ranges of a command's keys joined to one, and whether that one tells all of its keys: ranges
/// with another step than 1 or with a gap before them are left out, as are keys found by a word or a
/// count.
fn legacy_keys(keys: &[KeySpec]) -> (LegacyKeys, bool) {
    let mut joined = LegacyKeys::default();
    let mut is_complete = true;
    for key in keys {
        is_complete &= !key.flags.contains(&KeyFlag::Incomplete);
        let (Begin::Index(first), Find::Range { last, step, .. }) = (key.begin, key.find) else {
            is_complete = false;
            continue;
        };
        let last = if last >= 0 { first + last } else { last };
        if keys.len() == 1 {
            joined = LegacyKeys { first, last, step };
        } else if step != 1 || (joined.last != 0 && joined.last != first - 1) {
            is_complete = false;
        } else {
            // A negative last argument lies beyond all positive ones.
            let last = if joined.last < 0 { joined.last } else { last };
            let first = if joined.first == 0 { first } else { joined.first };
            joined = LegacyKeys { first, last, step };
        }
    }
    (joined, is_complete)
}
