//! What SORT is asked for. Never looks at keys.

use crate::command::error::CommandError;
use crate::resp::Args;
use crate::resp::number;

use super::patterns::{Pattern, Subject};

/// The options of SORT.
pub(super) struct Options<'a> {
    /// What to sort by instead of the elements themselves.
    pub by: Option<Pattern<'a>>,
    pub get: Vec<Pattern<'a>>,
    pub descending: bool,
    pub alpha: bool,
    /// Whether to leave the elements in the order in which they are.
    pub unsorted: bool,
    pub offset: i64,
    /// How many to give; negative: all.
    pub count: i64,
    pub destination: Option<&'a [u8]>,
}

/// What may be asked for.
#[derive(Clone, Copy)]
pub(super) struct Permissions {
    pub may_store: bool,
    /// Whether all keys may be read: those that BY and GET make up are not known beforehand.
    pub may_read_all: bool,
}

const BY_DENIED: CommandError =
    CommandError::fixed("ERR BY option of SORT denied due to insufficient ACL permissions.");
const GET_DENIED: CommandError =
    CommandError::fixed("ERR GET option of SORT denied due to insufficient ACL permissions.");

impl<'a> Options<'a> {
    /// Reads the options behind the key. Errors: as Redis's.
    pub fn parse(args: Args<'a>, permissions: Permissions) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            by: None,
            get: Vec::new(),
            descending: false,
            alpha: false,
            unsorted: false,
            offset: 0,
            count: -1,
            destination: None,
        };
        let integer = |index| number::parse_i64(args.at(index)).ok_or(CommandError::NOT_AN_INTEGER);
        let mut at = 0;
        while at < args.len() {
            let left = args.len() - at - 1;
            let is = |word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
            if is("ASC") {
                options.descending = false;
            } else if is("DESC") {
                options.descending = true;
            } else if is("ALPHA") {
                options.alpha = true;
            } else if is("LIMIT") && left >= 2 {
                options.offset = integer(at + 1)?;
                options.count = integer(at + 2)?;
                at += 2;
            } else if permissions.may_store && is("STORE") && left >= 1 {
                options.destination = Some(args.at(at + 1));
                at += 1;
            } else if is("BY") && left >= 1 {
                let pattern = Pattern::of(args.at(at + 1));
                // A name without a `*` is the same for all elements: there is nothing to sort by.
                options.unsorted |= pattern.is_constant();
                if !pattern.is_constant() && !permissions.may_read_all {
                    return Err(BY_DENIED);
                }
                options.by = Some(pattern);
                at += 1;
            } else if is("GET") && left >= 1 {
                if !permissions.may_read_all {
                    return Err(GET_DENIED);
                }
                options.get.push(Pattern::of(args.at(at + 1)));
                at += 1;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }

    /// The order of a set is nobody's business; what is stored, or given to a script, must be the same on every replica, so it is
    /// sorted after all.
    pub fn settle_order_of(&mut self, subject: Option<&Subject<'_>>, is_script: bool) {
        let matters = is_script || self.destination.is_some();
        if self.unsorted && matters && matches!(subject, Some(Subject::Set(_))) {
            self.unsorted = false;
            self.alpha = true;
            self.by = None;
        }
    }
}
