//! One set of rules: which commands may be run, in which databases, on which keys and channels. A user may do what any
//! of its selectors allows.

use crate::command::databases::Selection;
use crate::command::keys::{KeyAccess, channels_of, keys_of};
use crate::command::registry::{Command, CommandId, Registry};
use crate::command::spec::{Category, Channels, Flag};
use crate::resp::Args;

use super::databases;
use super::pattern::{KeyPattern, Pattern, Purpose};
use crate::acl::error::AclError;

/// A set of commands, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct CommandSet {
    /// Without zeros at the end.
    words: Vec<u64>,
}

impl CommandSet {
    #[inline]
    fn has(&self, command: CommandId) -> bool {
        let index = command.index();
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    fn put(&mut self, command: CommandId, present: bool) {
        let (word, bit) = (command.index() / 64, 1 << (command.index() % 64));
        if present {
            self.words.resize(self.words.len().max(word + 1), 0);
            self.words[word] |= bit;
        } else if word < self.words.len() {
            self.words[word] &= !bit;
            while self.words.pop_if(|last| *last == 0).is_some() {}
        }
    }
}

/// A rule about commands as it was given, for showing: the bits alone would not tell which rules made them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CommandRule {
    allows: bool,
    /// A command, a command and a subcommand or first argument, or a category with its `@`; in lower case.
    subject: Vec<u8>,
}

/// A first argument with which a command may be run that may not be run otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FirstArgument {
    command: CommandId,
    word: Vec<u8>,
}

/// What one set of rules allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    commands: CommandSet,
    /// Whether every command is among them.
    all_commands: bool,
    /// Whether the rules start from all commands rather than from none.
    starts_from_all: bool,
    first_arguments: Vec<FirstArgument>,
    command_rules: Vec<CommandRule>,
    all_keys: bool,
    keys: Vec<KeyPattern>,
    all_channels: bool,
    channels: Vec<Pattern>,
    /// The databases that may be used, in order; none: all of them.
    databases: Option<Vec<u32>>,
}

impl Selector {
    /// One that allows no command and no key, all databases, and all channels or none.
    pub fn new(all_channels: bool) -> Selector {
        Selector {
            commands: CommandSet::default(),
            all_commands: false,
            starts_from_all: false,
            first_arguments: Vec::new(),
            command_rules: Vec::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels,
            channels: Vec::new(),
            databases: None,
        }
    }

    /// Whether nothing can be refused.
    pub fn is_unrestricted(&self) -> bool {
        self.all_commands && self.all_keys && self.all_channels && self.databases.is_none()
    }

    /// Whether the request may run.
    ///
    /// Errors: what it has no permission for.
    #[inline]
    pub fn check(&self, command: &Command, args: Args<'_>, selection: Selection) -> Result<(), AclError> {
        if let Some(databases) = &self.databases {
            databases::check(databases, command, args, selection)?;
        }
        if !self.all_commands && !self.allows_command(command, args) {
            return Err(AclError::Command);
        }
        if !self.all_keys {
            self.check_keys(command, args)?;
        }
        if !self.all_channels && command.spec.channels != Channels::None {
            self.check_channels(command, args)?;
        }
        Ok(())
    }

    #[inline]
    fn allows_command(&self, command: &Command, args: Args<'_>) -> bool {
        self.commands.has(command.id) || command.flags.has(Flag::NoAuth) || self.allows_first_argument(command, args)
    }

    fn allows_first_argument(&self, command: &Command, args: Args<'_>) -> bool {
        let Some(given) = args.get(1) else {
            return false;
        };
        self.first_arguments
            .iter()
            .any(|allowed| allowed.command == command.id && allowed.word.eq_ignore_ascii_case(given))
    }

    #[inline]
    fn check_keys(&self, command: &Command, args: Args<'_>) -> Result<(), AclError> {
        if let Some(lone) = command.lone_key {
            let index = usize::from(lone.index);
            if args.get(index).is_none_or(|key| self.allows_key(key, lone.access)) {
                return Ok(());
            }
            if lone.is_certain {
                return Err(AclError::Key { index });
            }
        }
        for key in keys_of(command, args) {
            let access = KeyAccess::of(key.flags);
            if !self.allows_key(args.at(key.index), access) {
                return Err(AclError::Key { index: key.index });
            }
        }
        Ok(())
    }

    #[inline]
    fn allows_key(&self, key: &[u8], access: KeyAccess) -> bool {
        self.keys.iter().any(|allowed| allowed.access.includes(access) && allowed.pattern.matches(key))
    }

    fn check_channels(&self, command: &Command, args: Args<'_>) -> Result<(), AclError> {
        let check = |index: usize, is_pattern| {
            if allows_channel(&self.channels, args.at(index), is_pattern) {
                Ok(())
            } else {
                Err(AclError::Channel { index })
            }
        };
        match command.spec.channels {
            Channels::None => Ok(()),
            Channels::First => check(1, false),
            Channels::All => (1..args.len()).try_for_each(|index| check(index, false)),
            Channels::AllPatterns => (1..args.len()).try_for_each(|index| check(index, true)),
            Channels::Declared => channels_of(command, args).iter().try_for_each(|channel| check(channel.index, false)),
        }
    }

    /// Whether all databases may be used.
    pub fn allows_all_databases(&self) -> bool {
        self.databases.is_none()
    }

    /// Allows these databases alone, or all.
    pub(super) fn set_databases(&mut self, databases: Option<Vec<u32>>) {
        self.databases = databases;
        if let Some(databases) = &mut self.databases {
            databases.sort_unstable();
            databases.dedup();
        }
    }

    /// The rule about databases, empty if none may be used.
    pub fn describe_databases(&self) -> Vec<u8> {
        let Some(databases) = &self.databases else { return b"alldbs".to_vec() };
        let numbers: Vec<String> = databases.iter().map(u32::to_string).collect();
        if numbers.is_empty() { Vec::new() } else { format!("db={}", numbers.join(",")).into_bytes() }
    }

    /// Whether all keys may be used this way.
    pub fn allows_all_keys(&self, access: KeyAccess) -> bool {
        let allows_all = |key: &KeyPattern| key.access.includes(access) && key.pattern.text() == b"*";
        self.all_keys || self.keys.iter().any(allows_all)
    }

    /// Whether all keys that begin with `prefix` may be used this way: one pattern covers them.
    pub fn allows_keys_with_prefix(&self, prefix: &[u8], access: KeyAccess) -> bool {
        let covers = |key: &KeyPattern| key.access.includes(access) && key.pattern.covers_prefix(prefix);
        self.all_keys || self.keys.iter().any(covers)
    }

    /// Whether all channels may be used.
    pub fn allows_all_channels(&self) -> bool {
        self.all_channels
    }

    /// The patterns of channels that may be used, where not all may be.
    pub fn channels(&self) -> &[Pattern] {
        &self.channels
    }

    /// Allows all keys, or forgets what was allowed.
    pub(super) fn set_all_keys(&mut self, all: bool) {
        self.all_keys = all;
        self.keys.clear();
    }

    /// Whether all keys are allowed, by that rule and not by a pattern.
    pub(super) fn has_all_keys(&self) -> bool {
        self.all_keys
    }

    /// Allows keys that match; where the pattern is there already, more may be done to them.
    pub(super) fn add_keys(&mut self, text: &[u8], access: KeyAccess) {
        match self.keys.iter_mut().find(|key| key.pattern.text() == text) {
            Some(known) => known.access = known.access.union(access),
            None => self.keys.push(KeyPattern { pattern: Pattern::new(text), access }),
        }
    }

    /// Allows all channels, or forgets what was allowed.
    pub(super) fn set_all_channels(&mut self, all: bool) {
        self.all_channels = all;
        self.channels.clear();
    }

    /// Allows channels that match.
    pub(super) fn add_channels(&mut self, text: &[u8]) {
        if !self.channels.iter().any(|known| known.text() == text) {
            self.channels.push(Pattern::new(text));
        }
    }

    /// Allows all commands, or none.
    pub(super) fn set_all_commands(&mut self, registry: &Registry, all: bool) {
        for command in registry.iter() {
            self.commands.put(command.id, all);
        }
        self.all_commands = all;
        self.starts_from_all = all;
        self.first_arguments.clear();
        self.command_rules.clear();
    }

    /// Allows a command with its subcommands, or forbids them.
    pub(super) fn set_command(&mut self, registry: &Registry, command: &Command, allows: bool) {
        self.note_rule(command.full_name.as_bytes(), allows);
        self.put(command, allows);
        self.count(registry);
    }

    /// Allows all commands of a category, or forbids them.
    pub(super) fn set_category(&mut self, registry: &Registry, category: Category, allows: bool) {
        let name = Category::ALL.iter().find(|(known, _)| *known == category);
        self.note_rule(format!("@{}", name.map_or("", |(_, name)| name)).as_bytes(), allows);
        let bit = 1 << category as u32;
        let members = registry.iter().filter(|command| command.categories & bit != 0);
        members.for_each(|command| self.put(command, allows));
        self.count(registry);
    }

    /// Allows a command with a certain first argument.
    pub(super) fn add_first_argument(&mut self, command: &Command, word: &[u8]) {
        let rule = [command.full_name.as_bytes(), word].join(&b'|');
        self.note_rule(&rule, true);
        let first = FirstArgument { command: command.id, word: word.to_ascii_lowercase() };
        // In an order of their own: users with the same rights are equal.
        if let Err(place) = self.first_arguments.binary_search(&first) {
            self.first_arguments.insert(place, first);
        }
    }

    fn put(&mut self, command: &Command, allows: bool) {
        self.commands.put(command.id, allows);
        self.first_arguments.retain(|first| first.command != command.id);
        for subcommand in &command.subcommands {
            self.commands.put(*subcommand, allows);
        }
    }

    fn count(&mut self, registry: &Registry) {
        self.all_commands = registry.iter().all(|command| self.commands.has(command.id));
    }

    /// Notes a rule, in place of earlier ones about the same, or about a part of it.
    fn note_rule(&mut self, subject: &[u8], allows: bool) {
        let subject = subject.to_ascii_lowercase();
        self.command_rules.retain(|rule| {
            let rest = rule.subject.strip_prefix(subject.as_slice());
            !rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'|')
        });
        self.command_rules.push(CommandRule { allows, subject });
    }

    /// The rules about commands, as ACL GETUSER shows them.
    pub fn describe_commands(&self) -> Vec<u8> {
        let mut text = if self.starts_from_all { b"+@all".to_vec() } else { b"-@all".to_vec() };
        for rule in &self.command_rules {
            text.extend_from_slice(if rule.allows { b" +" } else { b" -" });
            text.extend_from_slice(&rule.subject);
        }
        text
    }

    /// The rules about keys.
    pub fn describe_keys(&self) -> Vec<u8> {
        self.write_keys(Purpose::Show)
    }

    fn write_keys(&self, purpose: Purpose) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let rule = |key: &KeyPattern| [key.prefix(purpose).as_bytes(), key.pattern.text()].concat();
        self.keys.iter().map(rule).collect::<Vec<_>>().join(&b' ')
    }

    /// The rules about channels.
    pub fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let rule = |channel: &Pattern| [b"&", channel.text()].concat();
        self.channels.iter().map(rule).collect::<Vec<_>>().join(&b' ')
    }

    /// All words that make this selector of an empty one, in the order in which ACL LIST shows them.
    pub(super) fn words(&self, purpose: Purpose) -> Vec<Vec<u8>> {
        let split = |text: Vec<u8>| -> Vec<Vec<u8>> {
            let words = text.split(|byte| *byte == b' ').filter(|w| !w.is_empty());
            words.map(<[u8]>::to_vec).collect()
        };
        let mut words = split(self.write_keys(purpose));
        if !self.all_channels {
            words.push(b"resetchannels".to_vec());
        }
        words.extend(split(self.describe_channels()));
        match &self.databases {
            None => {}
            Some(databases) if databases.is_empty() => words.push(b"resetdbs".to_vec()),
            Some(_) => words.push(self.describe_databases()),
        }
        words.extend(split(self.describe_commands()));
        words
    }
}

/// Whether one of the patterns allows a channel. A pattern of channels must be one of them to the letter: what it will
/// match is not known.
pub fn allows_channel(allowed: &[Pattern], channel: &[u8], is_pattern: bool) -> bool {
    allowed.iter().any(|pattern| if is_pattern { pattern.text() == channel } else { pattern.matches(channel) })
}
