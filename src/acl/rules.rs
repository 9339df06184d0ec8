//! The language of rules: words that change a user, and the words that describe one.

use crate::command::keys::KeyAccess;
use crate::command::registry::{Command, Registry};
use crate::command::spec::Category;
use crate::config::{Config, PubsubDefault};
use crate::text::quoting::{quote, split_arguments};

use super::password::Password;
use super::pattern::Purpose;
use super::selector::Selector;
use super::user::{Rights, User};

/// What the meaning of a rule depends on besides the user.
#[derive(Clone, Copy)]
pub struct AclContext<'a> {
    pub commands: &'a Registry,
    /// Whether new users and selectors may use all channels (`acl-pubsub-default`).
    pub all_channels: bool,
}

impl<'a> AclContext<'a> {
    /// What the meaning of rules depends on under these settings.
    pub fn new(commands: &'a Registry, config: &Config) -> AclContext<'a> {
        AclContext { commands, all_channels: config.acl_pubsub_default == PubsubDefault::AllChannels }
    }
}

/// Why a rule was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// Not a rule, or a pattern with blanks.
    Syntax,
    /// No such command or category.
    UnknownCommand,
    /// All keys are allowed already.
    KeysAfterAll,
    /// All channels are allowed already.
    ChannelsAfterAll,
    /// The password to be removed is none of the user's.
    NoSuchPassword,
    BadDigest,
    /// A number of a database that none can have.
    DatabaseOutOfRange,
    /// A first argument of a subcommand.
    NestedFirstArgument,
}

impl RuleError {
    /// The reason, in Redis's words.
    pub fn text(self) -> &'static str {
        match self {
            RuleError::Syntax => "Syntax error",
            RuleError::UnknownCommand => "Unknown command or category name in ACL",
            RuleError::KeysAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                 effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::ChannelsAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadDigest => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::DatabaseOutOfRange => "The provided database ID is out of range",
            RuleError::NestedFirstArgument => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// Why a list of rules was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesError {
    /// A selector's parenthesis is not closed; the word that opens it.
    Unmatched(Vec<u8>),
    /// A rule was refused.
    Rule { rule: Vec<u8>, error: RuleError },
}

/// Joins the words of each selector to one rule: it may be given as one word or as several.
///
/// Errors: a parenthesis that is not closed.
pub fn merge_selectors(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, RulesError> {
    let mut merged: Vec<Vec<u8>> = Vec::with_capacity(words.len());
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        let closes = word.last() == Some(&b')');
        match &mut open {
            Some((_, selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(word);
                if closes && let Some((_, selector)) = open.take() {
                    merged.push(selector);
                }
            }
            None if word.first() == Some(&b'(') && !closes => open = Some((word, word.to_vec())),
            None => merged.push(word.to_vec()),
        }
    }
    match open {
        Some((first, _)) => Err(RulesError::Unmatched(first.to_vec())),
        None => Ok(merged),
    }
}

impl Rights {
    /// Changes them by rules, one after the other. On an error they are changed in part.
    pub fn apply_all(&mut self, words: &[&[u8]], book: AclContext<'_>) -> Result<(), RulesError> {
        for rule in merge_selectors(words)? {
            if let Err(error) = self.apply(&rule, book) {
                return Err(RulesError::Rule { rule, error });
            }
        }
        Ok(())
    }

    /// Changes them by one rule; an empty one changes nothing. On an error they are as before.
    pub fn apply(&mut self, rule: &[u8], book: AclContext<'_>) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.is_enabled = true,
            b"off" => self.is_enabled = false,
            b"skip-sanitize-payload" => self.skips_sanitizing = true,
            b"sanitize-payload" => self.skips_sanitizing = false,
            b"nopass" => {
                self.needs_no_password = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.needs_no_password = false;
                self.passwords.clear();
            }
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = Rights::new(book.all_channels),
            _ => return self.apply_longer(rule, book),
        }
        Ok(())
    }

    fn apply_longer(&mut self, rule: &[u8], book: AclContext<'_>) -> Result<(), RuleError> {
        match rule {
            [b'>', clear @ ..] => self.add_password(Password::of(clear)),
            [b'#', digits @ ..] => self.add_password(digest(digits)?),
            [b'<', clear @ ..] => self.remove_password(Password::of(clear))?,
            [b'!', digits @ ..] => self.remove_password(digest(digits)?)?,
            [b'(', inner @ .., b')'] => {
                let mut selector = Selector::new(book.all_channels);
                // As in Redis, quotes that are not closed make an empty selector.
                for word in split_arguments(inner).unwrap_or_default() {
                    selector.apply(&word, book)?;
                }
                self.selectors.push(selector);
            }
            _ => self.root.apply(rule, book)?,
        }
        Ok(())
    }

    fn add_password(&mut self, password: Password) {
        self.needs_no_password = false;
        if !self.passwords.contains(&password) {
            self.passwords.push(password);
        }
    }

    fn remove_password(&mut self, password: Password) -> Result<(), RuleError> {
        let place = self.passwords.iter().position(|known| *known == password);
        self.passwords.remove(place.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// The words that make these rights of those of a new user.
    fn words(&self, purpose: Purpose) -> Vec<Vec<u8>> {
        let flags = self.flags().into_iter().map(|flag| flag.as_bytes().to_vec());
        let digests = self.passwords.iter();
        let digests = digests.map(|password| format!("#{password}").into_bytes());
        let mut words: Vec<Vec<u8>> = flags.chain(digests).collect();
        words.extend(self.root.words(purpose));
        let selectors = self.selectors.iter();
        words.extend(selectors.map(|selector| parenthesized(selector, purpose)));
        words
    }
}

/// A selector as one rule. Its words are split again when the rule is applied, so that quotes must be quoted; and none
/// may seem to close the parenthesis.
fn parenthesized(selector: &Selector, purpose: Purpose) -> Vec<u8> {
    let words: Vec<Vec<u8>> = selector
        .words(purpose)
        .iter()
        .map(|word| {
            let has_quotes = word.iter().any(|byte| b"\"'".contains(byte));
            if has_quotes || word.ends_with(b")") { quote(word).into_bytes() } else { word.clone() }
        })
        .collect();
    [b"(", words.join(&b' ').as_slice(), b")"].concat()
}

impl User {
    /// The user as ACL LIST shows it: `user`, the name, and the rules that make it of a new user.
    pub fn describe(&self) -> Vec<u8> {
        self.line(Purpose::Show)
    }

    /// The same as an ACL file holds it.
    pub fn file_line(&self) -> Vec<u8> {
        self.line(Purpose::Keep)
    }

    fn line(&self, purpose: Purpose) -> Vec<u8> {
        let mut words = vec![b"user".to_vec(), self.name().to_vec()];
        words.extend(self.rights().words(purpose));
        words.join(&b' ')
    }

    /// The same as a line of the configuration file, where words with quotes and the like must be quoted.
    pub fn config_line(&self) -> String {
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
        let mut line = String::from("user");
        let words = std::iter::once(self.name().to_vec()).chain(self.rights().words(Purpose::Keep));
        for word in words {
            for word in word.split(|byte| *byte == b' ') {
                line.push(' ');
                if !word.is_empty() && word.iter().all(is_plain) {
                    line.push_str(&String::from_utf8_lossy(word));
                } else {
                    line.push_str(&quote(word));
                }
            }
        }
        line
    }
}

fn digest(digits: &[u8]) -> Result<Password, RuleError> {
    Password::from_hex(digits).ok_or(RuleError::BadDigest)
}

/// Whether a name or pattern holds what would break the lines that describe users.
pub fn has_blanks(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0))
}

impl Selector {
    /// Changes it by one rule. On an error it is as before.
    fn apply(&mut self, rule: &[u8], book: AclContext<'_>) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.set_all_keys(true),
            b"resetkeys" => self.set_all_keys(false),
            b"allchannels" | b"&*" => self.set_all_channels(true),
            b"resetchannels" => self.set_all_channels(false),
            b"alldbs" => self.set_databases(None),
            b"resetdbs" => self.set_databases(Some(Vec::new())),
            [b'd', b'b', b'=', numbers @ ..] => self.set_databases(Some(parse_databases(numbers)?)),
            b"allcommands" | b"+@all" => self.set_all_commands(book.commands, true),
            b"nocommands" | b"-@all" => self.set_all_commands(book.commands, false),
            _ => match rule {
                [b'~' | b'%', ..] => self.apply_keys(rule)?,
                [b'&', pattern @ ..] => {
                    if self.allows_all_channels() {
                        return Err(RuleError::ChannelsAfterAll);
                    }
                    self.add_channels(without_blanks(pattern)?);
                }
                [sign @ (b'+' | b'-'), subject @ ..] => {
                    self.apply_commands(book.commands, subject, *sign == b'+')?;
                }
                _ => return Err(RuleError::Syntax),
            },
        }
        Ok(())
    }

    fn apply_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.has_all_keys() {
            return Err(RuleError::KeysAfterAll);
        }
        let (access, pattern) = match rule {
            [b'~', pattern @ ..] => (KeyAccess::ALL, pattern),
            _ => parse_access(&rule[1..])?,
        };
        self.add_keys(without_blanks(pattern)?, access);
        Ok(())
    }

    fn apply_commands(&mut self, commands: &Registry, subject: &[u8], allows: bool) -> Result<(), RuleError> {
        if let [b'@', name @ ..] = subject {
            let category = Category::from_name(name).ok_or(RuleError::UnknownCommand)?;
            self.set_category(commands, category, allows);
            return Ok(());
        }
        match subject.iter().rposition(|byte| *byte == b'|') {
            Some(bar) if allows => self.allow_part(commands, subject, &subject[..bar], &subject[bar + 1..]),
            _ => {
                let command = declared(commands, subject)?;
                self.set_command(commands, command, allows);
                Ok(())
            }
        }
    }

    /// Allows a subcommand, or a command with a certain first argument if it has no subcommands.
    fn allow_part(&mut self, commands: &Registry, whole: &[u8], name: &[u8], part: &[u8]) -> Result<(), RuleError> {
        let command = declared(commands, name)?;
        if command.parent.is_some() {
            return Err(RuleError::NestedFirstArgument);
        }
        if part.is_empty() {
            return Err(RuleError::Syntax);
        }
        if !command.subcommands.is_empty() {
            let subcommand = declared(commands, whole)?;
            self.set_command(commands, subcommand, true);
            return Ok(());
        }
        log::warn!(
            "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may get \
             disabled in the future (offender: +{})",
            String::from_utf8_lossy(whole)
        );
        self.add_first_argument(command, without_blanks(part)?);
        Ok(())
    }
}

/// The command of that name, whatever `rename-command` calls it: rules hold through that.
fn declared<'a>(commands: &'a Registry, full_name: &[u8]) -> Result<&'a Command, RuleError> {
    commands.find_declared(full_name).ok_or(RuleError::UnknownCommand)
}

/// What stands between `%` and `~`, and the pattern behind it. Without a `~` the pattern is empty, as in Redis.
fn parse_access(letters: &[u8]) -> Result<(KeyAccess, &[u8]), RuleError> {
    let mut access = KeyAccess::NONE;
    for (index, letter) in letters.iter().enumerate() {
        let more = match letter.to_ascii_uppercase() {
            b'R' => KeyAccess::READ,
            b'W' => KeyAccess::WRITE,
            b'~' if access != KeyAccess::NONE => return Ok((access, &letters[index + 1..])),
            _ => return Err(RuleError::Syntax),
        };
        if access.includes(more) {
            return Err(RuleError::Syntax);
        }
        access = access.union(more);
    }
    if access == KeyAccess::NONE {
        return Err(RuleError::Syntax);
    }
    Ok((access, &[]))
}

/// Numbers of databases, whether there are so many databases or not.
fn parse_databases(list: &[u8]) -> Result<Vec<u32>, RuleError> {
    list.split(|byte| *byte == b',').map(parse_database).collect()
}

fn parse_database(text: &[u8]) -> Result<u32, RuleError> {
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RuleError::Syntax);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i32>().ok());
    let number = number.filter(|number| !is_negative || *number == 0).and_then(|number| u32::try_from(number).ok());
    number.ok_or(RuleError::DatabaseOutOfRange)
}

fn without_blanks(pattern: &[u8]) -> Result<&[u8], RuleError> {
    if has_blanks(pattern) { Err(RuleError::Syntax) } else { Ok(pattern) }
}
