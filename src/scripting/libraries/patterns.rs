//! Lua's patterns: what `string.find` and its like search with. Lua's own cannot be stopped, and some patterns take for
//! ever; this one counts its steps and lets the script stand still.
//!
//! A recursive matcher, as Lua's is: an item that may be repeated tries the rest of the pattern behind each number of
//! repetitions.

use arrayvec::ArrayVec;

use crate::scripting::lua::{Raise, Stack};

/// Captures in a pattern.
const CAPTURES_MAX: usize = 32;
/// Items within each other; each takes some hundred bytes of the machine's stack.
const NESTING_MAX: usize = 4000;
/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u32 = 1 << 14;

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Its end is not reached.
    Open,
    /// Only where it is.
    Position,
    Len(usize),
}

/// A search for a pattern in a text.
pub struct Matcher<'a> {
    stack: &'a Stack,
    text: &'a [u8],
    pattern: &'a [u8],
    captures: ArrayVec<(usize, Extent), CAPTURES_MAX>,
    nesting: usize,
    steps: u32,
}

/// A part of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture<'a> {
    Text(&'a [u8]),
    /// Counted from one.
    Position(usize),
}

type Found = Result<Option<usize>, Raise>;

fn malformed<T>(text: &str) -> Result<T, Raise> {
    Err(Raise::Text(text.to_string()))
}

impl<'a> Matcher<'a> {
    /// A search on behalf of a native function with this stack.
    pub fn new(stack: &'a Stack, text: &'a [u8], pattern: &'a [u8]) -> Matcher<'a> {
        Matcher { stack, text, pattern, captures: ArrayVec::new(), nesting: 0, steps: 0 }
    }

    /// The end of the match that begins right there.
    ///
    /// Errors: the pattern is wrong, or the script is to end.
    pub fn match_at(&mut self, start: usize) -> Found {
        self.captures.clear();
        self.matches(start, 0)
    }

    /// The first match that begins there or, unless it must begin right there, later: its start and its end.
    ///
    /// Errors: those of `match_at`.
    pub fn search(&mut self, start: usize, is_anchored: bool) -> Result<Option<(usize, usize)>, Raise> {
        let last = if is_anchored { start } else { self.text.len() };
        for start in start..=last {
            if let Some(end) = self.match_at(start)? {
                return Ok(Some((start, end)));
            }
        }
        Ok(None)
    }

    /// Number of captures of the last match; without any the match itself is one.
    pub fn capture_count(&self) -> usize {
        self.captures.len().max(1)
    }

    /// Whether the pattern has captures.
    pub fn has_captures(&self) -> bool {
        !self.captures.is_empty()
    }

    /// The text of a match.
    pub fn whole(&self, start: usize, end: usize) -> &'a [u8] {
        &self.text[start..end]
    }

    /// A capture of the match from `start` to `end`.
    ///
    /// Errors: there is none of that number, or it is not closed.
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Capture<'a>, Raise> {
        if index >= self.captures.len() {
            if index == 0 {
                return Ok(Capture::Text(&self.text[start..end]));
            }
            return malformed("invalid capture index");
        }
        match self.captures[index] {
            (_, Extent::Open) => malformed("unfinished capture"),
            (start, Extent::Position) => Ok(Capture::Position(start + 1)),
            (start, Extent::Len(len)) => Ok(Capture::Text(&self.text[start..start + len])),
        }
    }

    fn step(&mut self) -> Result<(), Raise> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_LOOK) {
            return self.stack.breathe();
        }
        Ok(())
    }

    fn matches(&mut self, at: usize, item: usize) -> Found {
        if self.nesting == NESTING_MAX {
            return malformed("pattern too complex");
        }
        self.nesting += 1;
        let found = self.matches_here(at, item);
        self.nesting -= 1;
        found
    }

    /// Matches the pattern from an item on.
    fn matches_here(&mut self, mut at: usize, mut item: usize) -> Found {
        loop {
            self.step()?;
            let Some(letter) = self.pattern.get(item) else {
                return Ok(Some(at));
            };
            let next = self.pattern.get(item + 1);
            match (letter, next) {
                (b'(', Some(b')')) => return self.open(at, item + 2, Extent::Position),
                (b'(', _) => return self.open(at, item + 1, Extent::Open),
                (b')', _) => return self.close(at, item + 1),
                (b'$', None) => return Ok((at == self.text.len()).then_some(at)),
                (b'%', Some(b'b')) => match self.balanced(at, item + 2)? {
                    Some(end) => (at, item) = (end, item + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => match self.frontier(at, item + 2)? {
                    Some(end) => item = end,
                    None => return Ok(None),
                },
                (b'%', Some(digit @ b'0'..=b'9')) => match self.again(at, *digit)? {
                    Some(end) => (at, item) = (end, item + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.item_end(item)?;
                    let is_match = self.is_single(at, item, end);
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if is_match && let Some(found) = self.matches(at + 1, end + 1)? {
                                return Ok(Some(found));
                            }
                            item = end + 1;
                        }
                        Some(b'*') => return self.longest(at, item, end),
                        Some(b'+') if is_match => return self.longest(at + 1, item, end),
                        Some(b'+') => return Ok(None),
                        Some(b'-') => return self.shortest(at, item, end),
                        _ if !is_match => return Ok(None),
                        _ => (at, item) = (at + 1, end),
                    }
                }
            }
        }
    }

    fn open(&mut self, at: usize, item: usize, extent: Extent) -> Found {
        if self.captures.is_full() {
            return malformed("too many captures");
        }
        self.captures.push((at, extent));
        let found = self.matches(at, item)?;
        if found.is_none() {
            self.captures.pop();
        }
        Ok(found)
    }

    fn close(&mut self, at: usize, item: usize) -> Found {
        let captures = self.captures.iter();
        let Some(index) = captures.rev().position(|(_, extent)| *extent == Extent::Open) else {
            return malformed("invalid pattern capture");
        };
        let index = self.captures.len() - 1 - index;
        let start = self.captures[index].0;
        self.captures[index].1 = Extent::Len(at - start);
        let found = self.matches(at, item)?;
        if found.is_none() {
            self.captures[index].1 = Extent::Open;
        }
        Ok(found)
    }

    /// As many as there are, then fewer and fewer.
    fn longest(&mut self, at: usize, item: usize, end: usize) -> Found {
        let mut count = 0;
        while self.is_single(at + count, item, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if let Some(found) = self.matches(at + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// As few as may be, then more and more.
    fn shortest(&mut self, mut at: usize, item: usize, end: usize) -> Found {
        loop {
            if let Some(found) = self.matches(at, end + 1)? {
                return Ok(Some(found));
            }
            if !self.is_single(at, item, end) {
                return Ok(None);
            }
            at += 1;
        }
    }

    /// `%bxy`: from an x to the y that closes it.
    fn balanced(&mut self, at: usize, item: usize) -> Found {
        let &[open, close, ..] = &self.pattern[item..] else {
            return malformed("unbalanced pattern");
        };
        if self.text.get(at) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for (offset, byte) in self.text[at + 1..].iter().enumerate() {
            if *byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1 + offset + 1));
                }
            } else if *byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: the set holds the next byte and not the one before; gives the item behind.
    fn frontier(&mut self, at: usize, item: usize) -> Found {
        if self.pattern.get(item) != Some(&b'[') {
            return malformed("missing '[' after '%f' in pattern");
        }
        let end = self.item_end(item)?;
        let before = if at == 0 { 0 } else { self.text[at - 1] };
        let next = self.text.get(at).copied().unwrap_or(0);
        let is_frontier = !self.is_in_set(before, item, end - 1) && self.is_in_set(next, item, end - 1);
        Ok(is_frontier.then_some(end))
    }

    /// `%1`: what a capture holds, once more.
    fn again(&mut self, at: usize, digit: u8) -> Found {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        if index >= self.captures.len() {
            return malformed("invalid capture index");
        }
        let (start, len) = match self.captures[index] {
            (_, Extent::Open) => return malformed("invalid capture index"),
            // As in C: a length of no text.
            (_, Extent::Position) => return Ok(None),
            (start, Extent::Len(len)) => (start, len),
        };
        let held = &self.text[start..start + len];
        Ok(self.text[at..].starts_with(held).then_some(at + len))
    }

    /// Where a single item ends.
    fn item_end(&self, item: usize) -> Result<usize, Raise> {
        match self.pattern[item] {
            b'%' if item + 1 == self.pattern.len() => malformed("malformed pattern (ends with '%')"),
            b'%' => Ok(item + 2),
            b'[' => {
                let mut at = item + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                loop {
                    let Some(byte) = self.pattern.get(at) else {
                        return malformed("malformed pattern (missing ']')");
                    };
                    at += 1;
                    if *byte == b'%' && at < self.pattern.len() {
                        at += 1;
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(item + 1),
        }
    }

    /// Whether the byte there is one that the item stands for.
    #[inline]
    fn is_single(&self, at: usize, item: usize, end: usize) -> bool {
        let Some(byte) = self.text.get(at).copied() else {
            return false;
        };
        match self.pattern[item] {
            b'.' => true,
            b'%' => is_in_class(byte, self.pattern[item + 1]),
            b'[' => self.is_in_set(byte, item, end - 1),
            letter => letter == byte,
        }
    }

    /// Whether a byte is in the set from one bracket to the other.
    fn is_in_set(&self, byte: u8, open: usize, close: usize) -> bool {
        let set = &self.pattern[open + 1..close];
        let (is_in, set) = match set.split_first() {
            Some((b'^', set)) => (false, set),
            _ => (true, set),
        };
        let mut at = 0;
        while let Some(letter) = set.get(at).copied() {
            if letter == b'%' {
                at += 1;
                if set.get(at).is_some_and(|class| is_in_class(byte, *class)) {
                    return is_in;
                }
            } else if set.get(at + 1) == Some(&b'-') && at + 2 < set.len() {
                if (letter..=set[at + 2]).contains(&byte) {
                    return is_in;
                }
                at += 2;
            } else if letter == byte {
                return is_in;
            }
            at += 1;
        }
        !is_in
    }
}

/// Whether a byte is one that `%` with a letter stands for; an upper-case letter is for all others.
fn is_in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | b'\t'..=b'\r'),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}
