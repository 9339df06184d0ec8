//! The table of all commands: built once from the families' slices, looked up for every request.

use ahash::AHashMap;

use super::spec::{Category, CommandSpec, Find, Flag, FlagSet, KeyFlag};
use super::spec::{Begin, KeySpec};

/// The longest command name that can be; longer words are unknown without a look.
const NAME_MAX: usize = 64;

/// Which command: an index into the registry, stable for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(u16);

impl CommandId {
    /// The place in tables that run parallel to the registry.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The same as a number of two bytes.
    #[inline]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// A command with what is derived from its declaration.
pub struct Command {
    pub id: CommandId,
    pub spec: &'static CommandSpec,
    /// `get`, or `config|set` for a subcommand.
    pub full_name: String,
    pub flags: FlagSet,
    /// One bit for each category, numbered as `Category`.
    pub categories: u32,
    pub parent: Option<CommandId>,
    pub subcommands: Vec<CommandId>,
    /// First key, last key, step: the old way to tell where keys are.
    pub legacy_keys: (i32, i32, i32),
    /// The argument that holds the first key, if that is fixed (for prefetching); 0 for none.
    pub first_key: u8,
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

/// All commands of the server by id and by name.
pub struct Registry {
    commands: Vec<Command>,
    names: AHashMap<Box<[u8]>, CommandId>,
    subcommand_names: AHashMap<(CommandId, Box<[u8]>), CommandId>,
}

impl Registry {
    /// Builds the table from the families' declarations.
    pub fn new(families: &[&'static [CommandSpec]]) -> Registry {
        let mut registry = Registry {
            commands: Vec::new(),
            names: AHashMap::new(),
            subcommand_names: AHashMap::new(),
        };
        for spec in families.iter().flat_map(|family| family.iter()) {
            let id = registry.add(spec, None);
            registry.names.insert(spec.name.as_bytes().into(), id);
        }
        registry
    }

    fn add(&mut self, spec: &'static CommandSpec, parent: Option<CommandId>) -> CommandId {
        // The families declare a few hundred commands; tests/commands checks that they fit.
        let id = CommandId(self.commands.len() as u16);
        let full_name = match parent {
            Some(parent) => format!("{}|{}", self.get(parent).spec.name, spec.name),
            None => spec.name.to_string(),
        };
        let flags = effective_flags(spec);
        let legacy_keys = legacy_keys(spec.keys);
        self.commands.push(Command {
            id,
            spec,
            full_name,
            flags,
            categories: categories(spec, flags),
            parent,
            subcommands: Vec::new(),
            legacy_keys,
            first_key: u8::try_from(legacy_keys.0).unwrap_or(0),
        });
        for subcommand in spec.subcommands {
            let sub_id = self.add(subcommand, Some(id));
            self.commands[id.index()].subcommands.push(sub_id);
            self.subcommand_names.insert((id, subcommand.name.as_bytes().into()), sub_id);
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

    /// The names that requests may use at present (`rename-command` changes them) with their commands.
    pub fn names(&self) -> impl Iterator<Item = (&[u8], CommandId)> {
        self.names.iter().map(|(name, id)| (&**name, *id))
    }

    /// The command of that name, whatever the case. O(1).
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let mut lower = [0; NAME_MAX];
        let lower = lower_case(name, &mut lower)?;
        Some(self.get(*self.names.get(lower)?))
    }

    /// The subcommand of that name.
    pub fn find_subcommand(&self, container: CommandId, name: &[u8]) -> Option<&Command> {
        let mut lower = [0; NAME_MAX];
        let lower = lower_case(name, &mut lower)?;
        Some(self.get(*self.subcommand_names.get(&(container, Box::from(lower)))?))
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

    /// Gives a command another name, or none. Errors: whether the old name is unknown or the new
    /// one taken is told by the variant.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let old = old.to_ascii_lowercase();
        let id = *self.names.get(&*old).ok_or(RenameError::NoSuchCommand)?;
        if !new.is_empty() {
            let new = new.to_ascii_lowercase().into_boxed_slice();
            if self.names.contains_key(&new) {
                return Err(RenameError::NameTaken);
            }
            self.names.insert(new, id);
        }
        self.names.remove(&*old);
        Ok(())
    }
}

/// Why a command could not be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    NoSuchCommand,
    NameTaken,
}

fn lower_case<'a>(name: &[u8], buffer: &'a mut [u8; NAME_MAX]) -> Option<&'a [u8]> {
    let target = buffer.get_mut(..name.len())?;
    for (to, from) in target.iter_mut().zip(name) {
        *to = from.to_ascii_lowercase();
    }
    Some(target)
}

fn effective_flags(spec: &CommandSpec) -> FlagSet {
    let flags = FlagSet::of(spec.flags);
    let movable = spec.keys.iter().any(|key| {
        let complete = matches!(key.begin, Begin::Index(_)) && matches!(key.find, Find::Range { .. });
        !complete || key.flags.contains(&KeyFlag::Incomplete)
    });
    if movable { flags.with(Flag::MovableKeys) } else { flags }
}

/// A command's declared categories and those that follow from its flags.
fn categories(spec: &CommandSpec, flags: FlagSet) -> u32 {
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

/// First key, last key and step as COMMAND INFO shows them: of the first range, stretched over the
/// ranges that follow it without a gap.
fn legacy_keys(keys: &[KeySpec]) -> (i32, i32, i32) {
    let mut found = (0, 0, 0);
    for key in keys {
        let (Begin::Index(begin), Find::Range { last, step, .. }) = (key.begin, key.find) else {
            continue;
        };
        let end = if last >= 0 { begin + last } else { last };
        if found.0 == 0 {
            found = (begin, end, step);
        } else if found.1 == begin - 1 && step == found.2 {
            found.1 = end;
        }
    }
    found
}
