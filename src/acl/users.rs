//! All users by their names, and the ACL file's text.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::password::Password;
use super::rules::{AclContext, RuleError, RulesError, has_blanks};
use super::user::{ChannelsLeft, Rights, User};

/// The name of the user that clients are before they log in.
pub const DEFAULT_USER: &[u8] = b"default";

/// A user that has lost channels, with those it has left.
pub type Restricted = (Rc<User>, ChannelsLeft);

/// The users, in the order of their names. There always is a default user.
pub struct Users {
    by_name: BTreeMap<Box<[u8]>, Rc<User>>,
    default: Rc<User>,
}

impl Users {
    /// Only the default user, with all rights and no password.
    pub fn new(book: AclContext<'_>) -> Users {
        let default = Users::unrestricted(book);
        Users { by_name: BTreeMap::from([(DEFAULT_USER.into(), Rc::clone(&default))]), default }
    }

    /// A user with all rights: the default user of a new server, and the user as which the server itself runs commands.
    pub fn unrestricted(book: AclContext<'_>) -> Rc<User> {
        Rc::new(User::new(DEFAULT_USER, default_rights(book)))
    }

    /// The user of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Rc<User>> {
        self.by_name.get(name)
    }

    /// The user that clients are before they log in.
    pub fn default_user(&self) -> &Rc<User> {
        &self.default
    }

    /// Every user, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Rc<User>> {
        self.by_name.values()
    }

    /// What the users' clients took of the loop's time counts from zero again.
    pub fn reset_usage(&self) {
        self.by_name.values().for_each(|user| user.reset_usage());
    }

    /// Whether clients must log in: the default user needs a password, or is disabled.
    pub fn need_login(&self) -> bool {
        let rights = self.default.rights();
        !rights.needs_no_password() || !rights.is_enabled()
    }

    /// Whether the default user needs no password.
    pub fn default_is_open(&self) -> bool {
        self.default.rights().needs_no_password()
    }

    /// The user who logs in with that name and password, if that is right. How long it takes does not tell what was
    /// wrong.
    pub fn log_in(&self, name: &[u8], password: &[u8]) -> Option<&Rc<User>> {
        let password = Password::of(password);
        let user = self.get(name)?;
        user.rights().accepts(password).then_some(user)
    }

    /// Gives the default user this password as its only one, or removes its need for one (`requirepass`).
    pub fn set_default_password(&mut self, password: &[u8]) {
        let mut rights = self.default.rights().clone();
        rights.needs_no_password = password.is_empty();
        rights.passwords.clear();
        if !password.is_empty() {
            rights.passwords.push(Password::of(password));
        }
        self.default.set_rights(rights);
    }

    /// Creates or changes a user by rules, all of them or none. Tells if the user has lost channels.
    ///
    /// Errors: the rule that is none.
    pub fn set(
        &mut self,
        name: &[u8],
        rules: &[&[u8]],
        book: AclContext<'_>,
    ) -> Result<Option<Restricted>, RulesError> {
        let known = self.get(name).cloned();
        let mut rights = match &known {
            Some(user) => user.rights().clone(),
            None => Rights::new(book.all_channels),
        };
        rights.apply_all(rules, book)?;
        let Some(user) = known else {
            self.insert(name, rights);
            return Ok(None);
        };
        let left = rights.channels_left_of(&user.rights());
        user.set_rights(rights);
        Ok(left.map(|left| (user, left)))
    }

    fn insert(&mut self, name: &[u8], rights: Rights) {
        let user = Rc::new(User::new(name, rights));
        self.by_name.insert(name.into(), user);
    }

    /// Removes a user other than the default one.
    pub fn remove(&mut self, name: &[u8]) -> Option<Rc<User>> {
        if name == DEFAULT_USER {
            return None;
        }
        self.by_name.remove(name)
    }

    /// Sets a user as a line of the configuration file declares it: the default user from the ground up.
    ///
    /// Errors: the reason, in Redis's words.
    pub fn declare(&mut self, words: &[&[u8]], book: AclContext<'_>) -> Result<(), String> {
        let Some((name, rules)) = words.split_first() else {
            return Ok(());
        };
        let shown = String::from_utf8_lossy(name);
        if has_blanks(name) {
            return Err("Spaces not allowed in ACL usernames".to_string());
        }
        let mut rights = Rights::new(book.all_channels);
        rights.apply_all(rules, book).map_err(|error| {
            let (word, reason) = match &error {
                RulesError::Unmatched(word) => (word, RuleError::Syntax),
                RulesError::Rule { rule, error } => (rule, *error),
            };
            let word = String::from_utf8_lossy(word);
            format!("Error in user declaration '{word}': {}", reason.text())
        })?;
        if !rights.is_enabled() {
            log::info!(
                "The user '{shown}' is disabled (there is no 'on' modifier in the user description). Make sure this is \
                 not a configuration error."
            );
        }
        if *name == DEFAULT_USER {
            self.default.set_rights(rights);
        } else {
            self.insert(name, rights);
        }
        Ok(())
    }

    /// Replaces all users by those of an ACL file, all or nothing. Gives the users that were there before, but for the
    /// default one, which stays, with other rights; and that one, if it has lost channels.
    ///
    /// Errors: all that is wrong with the file, in one line. `file_name` is for that.
    pub fn load(
        &mut self,
        text: &[u8],
        file_name: &str,
        book: AclContext<'_>,
    ) -> Result<(Vec<Rc<User>>, Option<Restricted>), String> {
        let mut loading = Loading { file_name, users: BTreeMap::new(), errors: String::new() };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            loading.line(index + 1, trim(line, b" \t\r\n"), book);
        }
        if !loading.errors.is_empty() {
            return Err(format!(
                "{}WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
                loading.errors
            ));
        }
        let default = loading.users.remove(DEFAULT_USER);
        let rights = default.unwrap_or_else(|| default_rights(book));
        let left = rights.channels_left_of(&self.default.rights());
        self.default.set_rights(rights);
        let mut before = std::mem::take(&mut self.by_name);
        before.remove(DEFAULT_USER);
        self.by_name.insert(DEFAULT_USER.into(), Rc::clone(&self.default));
        for (name, rights) in loading.users {
            self.insert(&name, rights);
        }
        let restricted = left.map(|left| (Rc::clone(&self.default), left));
        Ok((before.into_values().collect(), restricted))
    }

    /// The text of an ACL file with all users.
    pub fn file_text(&self) -> Vec<u8> {
        let lines = self.iter().map(|user| [user.file_line().as_slice(), b"\n"].concat());
        lines.collect::<Vec<_>>().concat()
    }

    /// The lines of the configuration file for all users.
    pub fn config_lines(&self) -> Vec<String> {
        self.iter().map(|user| user.config_line()).collect()
    }
}

/// Those of the default user of a new server.
fn default_rights(book: AclContext<'_>) -> Rights {
    let mut rights = Rights::new(true);
    rights.is_enabled = true;
    rights.needs_no_password = true;
    rights.root.set_all_commands(book.commands, true);
    rights.root.set_all_keys(true);
    rights
}

/// An ACL file that is being read, line by line.
struct Loading<'a> {
    file_name: &'a str,
    users: BTreeMap<Box<[u8]>, Rights>,
    /// All that was wrong so far.
    errors: String,
}

impl Loading<'_> {
    fn line(&mut self, number: usize, line: &[u8], book: AclContext<'_>) {
        if line.is_empty() {
            return;
        }
        let file = self.file_name;
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [b"user", name, rules @ ..] = words.as_slice() else {
            self.errors += &format!("{file}:{number} should start with user keyword followed by the username. ");
            return;
        };
        let shown = String::from_utf8_lossy(name);
        if has_blanks(name) {
            self.errors += &format!("'{file}:{number}: username '{shown}' contains invalid characters. ");
            return;
        }
        if self.users.contains_key(*name) {
            self.errors += &format!("WARNING: Duplicate user '{shown}' found on line {number}. ");
            return;
        }
        let rights = self.rights(number, rules, book);
        self.users.insert((*name).into(), rights);
    }

    fn rights(&mut self, number: usize, rules: &[&[u8]], book: AclContext<'_>) -> Rights {
        let file = self.file_name;
        let mut rights = Rights::new(book.all_channels);
        let Ok(rules) = super::rules::merge_selectors(rules) else {
            self.errors += &format!("{file}:{number}: Unmatched parenthesis in selector definition.");
            return rights;
        };
        let mut has_error = false;
        for rule in rules {
            let rule = trim(&rule, b"\t\r\n");
            match rights.apply(rule, book) {
                Ok(()) => {}
                // A command's name is no secret, as a password with a slip would be.
                Err(error @ RuleError::UnknownCommand) => {
                    let rule = String::from_utf8_lossy(rule);
                    self.errors +=
                        &format!("{file}:{number}: Error in applying operation '{rule}': {}. ", error.text());
                }
                // What follows the first error may be its consequence.
                Err(_) if has_error => {}
                Err(error) => {
                    self.errors += &format!("{file}:{number}: {}. ", error.text());
                    has_error = true;
                }
            }
        }
        rights
    }
}

/// Strips bytes from both ends.
fn trim<'a>(text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    let is_blank = |byte: &u8| bytes.contains(byte);
    let start = text.iter().take_while(|byte| is_blank(byte)).count();
    let rest = &text[start..];
    let end = rest.iter().rev().take_while(|byte| is_blank(byte)).count();
    &rest[..rest.len() - end]
}
