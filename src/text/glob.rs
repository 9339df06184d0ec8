//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET use them.

/// Whether letters of different case match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Only the same case.
    Sensitive,
    /// ASCII letters of either case.
    Insensitive,
}

/// A pattern with more groups of stars than this, not counting one at its end, matches nothing: Redis limits its
/// recursion so.
const STAR_GROUPS_MAX: usize = 1000;

/// What one element of a pattern does to one byte of the text.
enum Step {
    /// Any number of bytes.
    Star,
    /// One byte, which matches or not; the element ends at this index of the pattern.
    Byte { is_match: bool, end: usize },
}

/// Whether the whole text matches the pattern: `*` any bytes, `?` one byte, `[a-z]` and `[^a-z]` classes, `\` takes the
/// next byte as it is. Both are bytes, not characters. A class without `]` ends with the pattern. As in Redis an empty
/// text matches the empty pattern only, not even `*` (KEYS and SCAN do not ask for `*`).
///
/// Only the latest `*` is ever tried again (a later one can always take over what an earlier one would), so the time is
/// O(pattern × text) at worst and the stack is flat: a hostile pattern cannot stall the loop as with plain recursion.
pub fn glob_match(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let mut pattern_at = 0;
    let mut text_at = 0;
    let mut retry: Option<(usize, usize)> = None;
    let mut star_groups = 0;
    while text_at < text.len() {
        match pattern_at < pattern.len() {
            true => match step(pattern, pattern_at, text[text_at], case) {
                Step::Star => {
                    let rest = &pattern[pattern_at..];
                    pattern_at += rest.iter().take_while(|byte| **byte == b'*').count();
                    star_groups += 1;
                    if star_groups > STAR_GROUPS_MAX && pattern_at < pattern.len() {
                        return false;
                    }
                    retry = Some((pattern_at, text_at));
                    continue;
                }
                Step::Byte { is_match: true, end } => {
                    pattern_at = end;
                    text_at += 1;
                    continue;
                }
                Step::Byte { is_match: false, .. } => {}
            },
            false if retry.is_some_and(|(after_star, _)| after_star == pattern.len()) => {
                return true;
            }
            false => {}
        }
        let Some((after_star, star_text)) = retry else {
            return false;
        };
        pattern_at = after_star;
        text_at = star_text + 1;
        retry = Some((after_star, text_at));
    }
    pattern[pattern_at..].iter().all(|byte| *byte == b'*')
}

/// Applies the element at `at` to `byte`.
fn step(pattern: &[u8], at: usize, byte: u8, case: Case) -> Step {
    match pattern[at] {
        b'*' => Step::Star,
        b'?' => Step::Byte { is_match: true, end: at + 1 },
        b'[' => class(pattern, at + 1, byte, case),
        b'\\' if at + 1 < pattern.len() => Step::Byte { is_match: is_same(pattern[at + 1], byte, case), end: at + 2 },
        literal => Step::Byte { is_match: is_same(literal, byte, case), end: at + 1 },
    }
}

/// Applies the class whose inside starts at `at` to `byte`.
fn class(pattern: &[u8], mut at: usize, byte: u8, case: Case) -> Step {
    let is_negated = pattern.get(at) == Some(&b'^');
    if is_negated {
        at += 1;
    }
    let mut is_member = false;
    loop {
        match pattern[at.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                is_member |= is_same(escaped, byte, case);
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => {
                is_member |= is_in_range(first, last, byte, case);
                at += 3;
            }
            [literal, ..] => {
                is_member |= is_same(literal, byte, case);
                at += 1;
            }
        }
    }
    Step::Byte { is_match: is_member != is_negated, end: at }
}

fn is_same(one: u8, other: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => one == other,
        Case::Insensitive => one.eq_ignore_ascii_case(&other),
    }
}

/// Whether the byte lies between two ends, which may be given in either order.
fn is_in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    let (low, high) = (first.min(last), first.max(last));
    match case {
        Case::Sensitive => (low..=high).contains(&byte),
        Case::Insensitive => {
            (low.to_ascii_lowercase()..=high.to_ascii_lowercase()).contains(&byte.to_ascii_lowercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXTS: &[&[u8]] = &[
        b"",
        b"a",
        b"b",
        b"ab",
        b"abc",
        b"aabb",
        b"hello",
        b"hallo",
        b"hxllo",
        b"a*b",
        b"a?b",
        b"[a]",
        b"a]",
        b"-",
        b"a-",
        b"^",
        b"\\",
        b"a\\",
        b"\xff\xfe",
        b"A",
        b"HELLO",
        b"foo:bar:baz",
        b"x[",
        b"x",
        b"]",
        b"az",
        b"a^",
    ];

    /// Patterns with those of `TEXTS` that a genuine server's KEYS answers.
    #[rustfmt::skip]
    const VECTORS: &[(&[u8], &[&[u8]])] = &[
        (b"**", &[b"-", b"A", b"HELLO", b"[a]", b"\\", b"]", b"^", b"a", b"a*b", b"a-", b"a?b", b"a\\", b"a]", b"a^", b"aabb", b"ab", b"abc", b"az", b"b", b"foo:bar:baz", b"hallo", b"hello", b"hxllo", b"x", b"x[", b"\xff\xfe"]),
        (b"", &[b""]),
        (b"a", &[b"a"]),
        (b"?", &[b"-", b"A", b"\\", b"]", b"^", b"a", b"b", b"x"]),
        (b"??", &[b"a-", b"a\\", b"a]", b"a^", b"ab", b"az", b"x[", b"\xff\xfe"]),
        (b"a*", &[b"a", b"a*b", b"a-", b"a?b", b"a\\", b"a]", b"a^", b"aabb", b"ab", b"abc", b"az"]),
        (b"*a", &[b"a"]),
        (b"*b*", &[b"a*b", b"a?b", b"aabb", b"ab", b"abc", b"b", b"foo:bar:baz"]),
        (b"h?llo", &[b"hallo", b"hello", b"hxllo"]),
        (b"h[ae]llo", &[b"hallo", b"hello"]),
        (b"h[^e]llo", &[b"hallo", b"hxllo"]),
        (b"h[a-e]llo", &[b"hallo", b"hello"]),
        (b"h[e-a]llo", &[b"hallo", b"hello"]),
        (b"a\\*b", &[b"a*b"]),
        (b"a\\?b", &[b"a?b"]),
        (b"\\[a\\]", &[b"[a]"]),
        (b"[", &[]),
        (b"[a", &[b"a"]),
        (b"[^", &[b"-", b"A", b"\\", b"]", b"^", b"a", b"b", b"x"]),
        (b"[^a", &[b"-", b"A", b"\\", b"]", b"^", b"b", b"x"]),
        (b"[]", &[]),
        (b"[]a", &[]),
        (b"[\\]]", &[b"]"]),
        (b"[a\\]]", &[b"]", b"a"]),
        (b"[-]", &[b"-"]),
        (b"[a-]", &[b"]", b"^", b"a"]),
        (b"[-a]", &[b"-", b"a"]),
        (b"a[-]", &[b"a-"]),
        (b"[^-]", &[b"A", b"\\", b"]", b"^", b"a", b"b", b"x"]),
        (b"\\", &[b"\\"]),
        (b"a\\", &[b"a\\"]),
        (b"\\\\", &[b"\\"]),
        (b"[\\", &[b"\\"]),
        (b"[a\\", &[b"\\", b"a"]),
        (b"*:*:*", &[b"foo:bar:baz"]),
        (b"*a*a*b*b*", &[b"aabb"]),
        (b"x\\[", &[b"x["]),
        (b"x[", &[]),
        (b"[a-z]", &[b"a", b"b", b"x"]),
        (b"[a-z][a-z]", &[b"ab", b"az"]),
        (b"[a-z", &[b"a", b"b", b"x"]),
        (b"[z-", &[b"-"]),
        (b"*[b]", &[b"a*b", b"a?b", b"aabb", b"ab", b"b"]),
        (b"[^]", &[b"-", b"A", b"\\", b"]", b"^", b"a", b"b", b"x"]),
        (b"[^]a", &[]),
        (b"\xff*", &[b"\xff\xfe"]),
        (b"[\xf0-\xff]*", &[b"\xff\xfe"]),
        (b"[^^]", &[b"-", b"A", b"\\", b"]", b"a", b"b", b"x"]),
        (b"[a^]", &[b"^", b"a"]),
        (b"\\a", &[b"a"]),
        (b"*\\", &[b"\\", b"a\\"]),
        (b"***a***", &[b"[a]", b"a", b"a*b", b"a-", b"a?b", b"a\\", b"a]", b"a^", b"aabb", b"ab", b"abc", b"az", b"foo:bar:baz", b"hallo"]),
        (b"?*?", &[b"HELLO", b"[a]", b"a*b", b"a-", b"a?b", b"a\\", b"a]", b"a^", b"aabb", b"ab", b"abc", b"az", b"foo:bar:baz", b"hallo", b"hello", b"hxllo", b"x[", b"\xff\xfe"]),
        (b"[!-~]", &[b"-", b"A", b"\\", b"]", b"^", b"a", b"b", b"x"]),
    ];

    #[test]
    fn matches_what_keys_answers() {
        for (pattern, expected) in VECTORS {
            for text in TEXTS {
                let is_match = glob_match(pattern, text, Case::Sensitive);
                assert_eq!(
                    is_match,
                    expected.contains(text),
                    "{:?} on {:?}",
                    pattern.escape_ascii(),
                    text.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn ignores_case_when_asked() {
        assert!(glob_match(b"HeL[K-m]o", b"hello", Case::Insensitive));
        assert!(glob_match(b"\\H*", b"hello", Case::Insensitive));
        assert!(!glob_match(b"HELLO", b"hello", Case::Sensitive));
    }

    /// As in Redis 7.2.6 and later.
    #[test]
    fn too_many_stars_match_nothing() {
        let text = b"a".repeat(5000);
        let is_match = |pattern: &[u8]| glob_match(pattern, &text, Case::Sensitive);
        assert!(is_match(&b"*?".repeat(1000)));
        assert!(!is_match(&b"*?".repeat(1001)));
        assert!(is_match(&[b"**?".repeat(1000), b"**".to_vec()].concat()));
        assert!(!is_match(&[b"**?".repeat(1001), b"**".to_vec()].concat()));
        assert!(is_match(&b"?*".repeat(1001)));
        assert!(!is_match(&b"?*".repeat(1002)));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = b"a*".repeat(900);
        let text = b"a".repeat(5000);
        assert!(glob_match(&pattern, &text, Case::Sensitive));
        let pattern = [pattern, b"b".to_vec()].concat();
        assert!(!glob_match(&pattern, &text, Case::Sensitive));
    }

    /// The plain definition: a star matches any prefix of what is left.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|count| defined(rest, &text[count..])),
            (_, []) => pattern.is_empty(),
            ([], _) => false,
            (_, [byte, text @ ..]) => match step(pattern, 0, *byte, Case::Sensitive) {
                Step::Byte { is_match, end } => is_match && defined(&pattern[end..], text),
                Step::Star => false,
            },
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_definition(pattern in "[ab*?\\[\\]^\\\\-]{0,10}", text in "[abc\\]^-]{1,8}") {
            let expected = defined(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(glob_match(pattern.as_bytes(), text.as_bytes(), Case::Sensitive), expected);
        }

        #[test]
        fn takes_any_bytes(pattern: Vec<u8>, text: Vec<u8>) {
            glob_match(&pattern, &text, Case::Sensitive);
            glob_match(&pattern, &text, Case::Insensitive);
        }
    }
}
