//! The patterns of keys and channels that a user may use.

use crate::command::keys::KeyAccess;
use crate::text::glob::{Case, glob_match};

/// A glob pattern. Most are a name, or a beginning of names: those need no search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing in it is special.
    Name,
    /// A name and one `*` behind it.
    Beginning,
    Glob,
}

impl Pattern {
    /// The pattern of that text.
    pub fn new(text: &[u8]) -> Pattern {
        let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        let shape = match text.iter().position(special) {
            None => Shape::Name,
            Some(at) if text[at] == b'*' && at + 1 == text.len() => Shape::Beginning,
            Some(_) => Shape::Glob,
        };
        Pattern { text: text.into(), shape }
    }

    /// The text that it was made of.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether a name matches. As everywhere, an empty name matches nothing but an empty pattern.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        match self.shape {
            Shape::Name => *self.text == *name,
            Shape::Beginning => !name.is_empty() && name.starts_with(&self.text[..self.text.len() - 1]),
            Shape::Glob => glob_match(&self.text, name, Case::Sensitive),
        }
    }

    /// Whether each name that begins with `prefix` matches, as far as that is seen without a search: the pattern is a
    /// beginning of the prefix, or of all names.
    pub fn covers_prefix(&self, prefix: &[u8]) -> bool {
        self.shape == Shape::Beginning && prefix.starts_with(&self.text[..self.text.len() - 1])
    }
}

/// A pattern of keys, with what may be done to those that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    pub pattern: Pattern,
    pub access: KeyAccess,
}

/// What rules are written down for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown, as Redis shows them.
    Show,
    /// To be read again, in any case.
    Keep,
}

impl KeyPattern {
    /// What stands before the pattern in a rule.
    pub fn prefix(&self, purpose: Purpose) -> &'static str {
        match self.access {
            KeyAccess::READ => "%R~",
            KeyAccess::WRITE => "%W~",
            // `~*` is another rule: others after it would be refused.
            _ if self.pattern.text() == b"*" && purpose == Purpose::Keep => "%RW~",
            // A rule without letters is none, so there is no pattern that allows nothing.
            _ => "~",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_and_a_beginning_need_no_search() {
        let shape = |text: &[u8]| Pattern::new(text).shape;
        assert_eq!(shape(b"key"), Shape::Name);
        assert_eq!(shape(b""), Shape::Name);
        assert_eq!(shape(b"key:*"), Shape::Beginning);
        assert_eq!(shape(b"*"), Shape::Beginning);
        for glob in [&b"k*y"[..], b"k**", b"k?*", b"k\\*", b"[k]", b"*k"] {
            assert_eq!(shape(glob), Shape::Glob, "{glob:?}");
        }
    }

    proptest! {
        #[test]
        fn matches_as_a_glob_does(pattern in "[ab*?\\[\\]\\\\]{0,4}", name in "[ab*\\\\]{0,4}") {
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            let expected = glob_match(pattern, name, Case::Sensitive);
            prop_assert_eq!(Pattern::new(pattern).matches(name), expected);
        }
    }
}
