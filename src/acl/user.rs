//! A user: a name, and what clients logged in under it may do.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;

use crate::base::usage::Usage;
use crate::command::databases::Selection;
use crate::command::keys::KeyAccess;
use crate::command::registry::Command;
use crate::resp::Args;

use super::password::Password;
use super::selector::{Selector, allows_channel};
use crate::acl::error::AclError;

/// What makes a user: how one logs in, and what one may do then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Whether one may log in as this user.
    pub(super) is_enabled: bool,
    /// Whether any password will do.
    pub(super) needs_no_password: bool,
    pub(super) skips_sanitizing: bool,
    pub(super) passwords: Vec<Password>,
    /// The user's own rules, then the selectors proper.
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
}

impl Rights {
    /// Those of a new user: none, but for the channels where `acl-pubsub-default` says so.
    pub fn new(all_channels: bool) -> Rights {
        Rights {
            is_enabled: false,
            needs_no_password: false,
            skips_sanitizing: false,
            passwords: Vec::new(),
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// Whether one may log in as this user.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Whether any password will do.
    pub fn needs_no_password(&self) -> bool {
        self.needs_no_password
    }

    /// The digests of the passwords.
    pub fn passwords(&self) -> &[Password] {
        &self.passwords
    }

    /// The user's own rules.
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// The other sets of rules.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether this password lets one log in. Takes as long either way.
    pub(super) fn accepts(&self, password: Password) -> bool {
        let is_known = password.is_among(&self.passwords);
        self.is_enabled && (self.needs_no_password || is_known)
    }

    /// The words for what is switched on or off, in the order in which they are shown.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_enabled { "on" } else { "off" }];
        if self.needs_no_password {
            flags.push("nopass");
        }
        flags.push(if self.skips_sanitizing { "skip-sanitize-payload" } else { "sanitize-payload" });
        flags
    }

    /// Every selector, the user's own rules first.
    fn all(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Whether some databases are out of reach by one of the sets of rules.
    pub fn restricts_databases(&self) -> bool {
        !self.all().all(Selector::allows_all_databases)
    }

    /// The channels that are still allowed, if some that were are not: who listens to others must go.
    pub(super) fn channels_left_of(&self, before: &Rights) -> Option<ChannelsLeft> {
        if self.all().any(Selector::allows_all_channels) {
            return None;
        }
        let left: Vec<_> = self.all().flat_map(Selector::channels).cloned().collect();
        let keeps_all = before.all().all(|selector| {
            let channels = selector.channels();
            !selector.allows_all_channels() && channels.iter().all(|channel| left.contains(channel))
        });
        (!keeps_all).then_some(ChannelsLeft(left))
    }
}

/// The channels that a user may still use, after it has lost others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelsLeft(Vec<super::pattern::Pattern>);

impl ChannelsLeft {
    /// Whether one may go on to listen to a channel, or to a pattern of channels.
    pub fn allow(&self, channel: &[u8], is_pattern: bool) -> bool {
        allows_channel(&self.0, channel, is_pattern)
    }
}

/// A user. Sessions share it, so that a change of its rights holds from their next request on.
pub struct User {
    name: Box<[u8]>,
    rights: RefCell<Rights>,
    /// Whether nothing can be refused.
    is_unrestricted: Cell<bool>,
    /// What its clients' requests took of the loop's time.
    usage: Cell<Usage>,
}

impl User {
    /// A user of that name.
    pub fn new(name: &[u8], rights: Rights) -> User {
        let user = User {
            name: name.into(),
            is_unrestricted: Cell::new(false),
            rights: RefCell::new(rights),
            usage: Cell::default(),
        };
        user.note_change();
        user
    }

    /// What its clients' requests took.
    pub fn usage(&self) -> Usage {
        self.usage.get()
    }

    /// Adds what a batch of its clients' requests took, in ticks.
    #[inline]
    pub fn note_usage(&self, requests: u64, ticks: u64, longest_ticks: u64) {
        let mut usage = self.usage.get();
        usage.add(requests, ticks, longest_ticks);
        self.usage.set(usage);
    }

    /// What its clients' requests took counts from zero again.
    pub(super) fn reset_usage(&self) {
        self.usage.take();
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What it may do at present.
    pub fn rights(&self) -> Ref<'_, Rights> {
        self.rights.borrow()
    }

    /// Gives it other rights.
    pub(super) fn set_rights(&self, rights: Rights) {
        self.rights.replace(rights);
        self.note_change();
    }

    fn note_change(&self) {
        let rights = self.rights.borrow();
        let is_unrestricted = rights.all().any(Selector::is_unrestricted);
        self.is_unrestricted.set(is_unrestricted);
    }

    /// Whether nothing can be refused: all that is asked for most requests.
    #[inline]
    pub fn is_unrestricted(&self) -> bool {
        self.is_unrestricted.get()
    }

    /// Whether the request may run. O(keys × patterns) for a user that may not do all.
    ///
    /// Errors: what the user has no permission for; of several selectors' reasons the nearest to a yes.
    #[inline(always)]
    pub fn check(&self, command: &Command, args: Args<'_>, selection: Selection) -> Result<(), AclError> {
        match self.is_unrestricted() {
            true => Ok(()),
            false => self.check_rules(command, args, selection),
        }
    }

    // Out of line: most requests are of users that may do all.
    #[inline(never)]
    fn check_rules(&self, command: &Command, args: Args<'_>, selection: Selection) -> Result<(), AclError> {
        let rights = self.rights.borrow();
        let mut refused = match rights.root.check(command, args, selection) {
            Ok(()) => return Ok(()),
            Err(denial) => denial,
        };
        for selector in &rights.selectors {
            match selector.check(command, args, selection) {
                Ok(()) => return Ok(()),
                Err(denial) => refused = refused.max(denial),
            }
        }
        Err(refused)
    }

    /// Whether the request may run and use, besides the keys it names, any others this way: for those that are made up
    /// of values (SORT's BY and GET).
    pub fn may_use_all_keys(&self, command: &Command, args: Args<'_>, selection: Selection, access: KeyAccess) -> bool {
        let covers = |selector: &Selector| selector.allows_all_keys(access);
        self.is_unrestricted() || self.may_run_by(command, args, selection, covers)
    }

    /// Whether one selector of those of which `holds` is true allows the request.
    fn may_run_by(
        &self,
        command: &Command,
        args: Args<'_>,
        selection: Selection,
        holds: impl Fn(&Selector) -> bool,
    ) -> bool {
        let rights = self.rights.borrow();
        rights.all().any(|selector| holds(selector) && selector.check(command, args, selection).is_ok())
    }

    /// Whether the request may run and use all keys that begin with `prefix` this way.
    pub fn may_use_keys_with_prefix(
        &self,
        command: &Command,
        args: Args<'_>,
        selection: Selection,
        prefix: &[u8],
        access: KeyAccess,
    ) -> bool {
        let covers = |selector: &Selector| selector.allows_keys_with_prefix(prefix, access);
        self.is_unrestricted() || self.may_run_by(command, args, selection, covers)
    }

    /// Whether a channel may be used, or a pattern of channels listened to.
    pub fn may_use_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.is_unrestricted()
            || self.rights.borrow().all().any(|selector| {
                selector.allows_all_channels() || allows_channel(selector.channels(), channel, is_pattern)
            })
    }

    /// Whether what it restores is trusted to be sound.
    pub fn skips_sanitizing(&self) -> bool {
        self.rights.borrow().skips_sanitizing
    }

    /// Memory held, in bytes, as far as it grows with the name.
    pub fn memory(&self) -> usize {
        size_of::<User>() + self.name.len()
    }
}

/// Two users are the same only if they are one: another of the same name may have come later.
impl PartialEq for User {
    fn eq(&self, other: &User) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for User {}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.name))
    }
}
