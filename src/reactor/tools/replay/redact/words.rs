//! Words by a keyed permutation: each is replaced by another one of the same length and form, the same one everywhere,
//! and no two by the same one. Without the key, which is thrown away, there is no way back.
//!
//! ```text
//! user:1000:name        a run of letters is permuted, what is a number stays, so does what stands between
//! xbsq:1000:kqpe
//! ```
//!
//! The permutation is a Feistel network over the characters of a run: a letter is replaced by a letter of the same
//! case, a digit by a digit, another character by one that takes as many bytes. Each round adds to one half what
//! SHA-256 makes of the key and the other half.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

const ROUNDS: u8 = 8;
/// Replaced runs that are remembered.
const CACHE_MAX: usize = 100_000;
const CACHED_MAX_BYTES: usize = 64;

/// What a permutation is for: the same run becomes another one in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Text,
    Binary,
    Secret,
    Address,
}

/// A character as a number below that of its class.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: u32,
    size: u32,
    value: u32,
}

/// Replaces words.
pub struct Words {
    key: [u8; 32],
    /// Runs of letters that stay, in lower case.
    reserved: BTreeSet<Vec<u8>>,
    cache: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Words {
    /// A permutation by that key, in which the reserved runs stay as they are.
    pub fn new(key: [u8; 32], reserved: BTreeSet<Vec<u8>>) -> Words {
        Words { key, reserved, cache: BTreeMap::new() }
    }

    /// Replaces a word.
    pub fn replace(&mut self, word: &mut [u8]) {
        self.replace_text(word, false);
    }

    /// Replaces the words of a script, in which what `%` and `\` begin has a meaning.
    pub fn replace_script(&mut self, script: &mut [u8]) {
        self.replace_text(script, true);
    }

    /// Replaces a secret: it keeps nothing but its length and which of its characters are letters or digits.
    pub fn replace_secret(&self, secret: &mut [u8]) {
        self.permute(Purpose::Secret, secret, |character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' => Some((0, 62)),
            _ => class_of_letter(character),
        });
    }

    /// 32 bytes in place of 32 others.
    pub fn replace_seed(&self, seed: [u8; 32]) -> [u8; 32] {
        Sha256::new().chain_update(self.key).chain_update(seed).finalize().into()
    }

    fn replace_text(&mut self, text: &mut [u8], is_script: bool) {
        if is_binary(text) {
            return self.replace_binary(text);
        }
        self.replace_addresses(text);
        let mut at = 0;
        while at < text.len() {
            let length = run_length(&text[at..]);
            if length > 0 {
                if !(is_script && text[at].is_ascii_digit()) {
                    self.replace_run(&mut text[at..at + length]);
                }
                at += length;
            } else if is_script && matches!(text[at], b'%' | b'\\') {
                at += escape_length(&text[at..]);
            } else {
                at += 1;
            }
        }
    }

    fn replace_run(&mut self, run: &mut [u8]) {
        if self.stays(run) {
            return;
        }
        if let Some(known) = self.cache.get(run) {
            return run.copy_from_slice(known);
        }
        let original = run.to_vec();
        loop {
            self.permute(Purpose::Text, run, class_of_letter);
            // What is not replaced may be no replacement either. The permutation comes back to the run sooner or later.
            if !self.stays(run) {
                break;
            }
        }
        if original.len() <= CACHED_MAX_BYTES && self.cache.len() < CACHE_MAX {
            self.cache.insert(original, run.to_vec());
        }
    }

    /// Whether a run is a number, a size, or reserved.
    fn stays(&self, run: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(run) else { return false };
        let digits = run.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let unit = text.get(digits..).unwrap_or_default().to_ascii_lowercase();
        let is_size = digits > 0 && matches!(unit.as_str(), "" | "b" | "k" | "kb" | "m" | "mb" | "g" | "gb");
        let is_type =
            matches!(run.first(), Some(b'i' | b'u')) && run.len() <= 3 && run[1..].iter().all(u8::is_ascii_digit);
        is_size
            || is_type
            || text.parse::<f64>().is_ok()
            || self.reserved.contains(text.to_ascii_lowercase().as_bytes())
    }

    fn replace_binary(&self, bytes: &mut [u8]) {
        let mut places: Vec<Place> =
            bytes.iter().map(|byte| Place { first: 0, size: 256, value: u32::from(*byte) }).collect();
        loop {
            self.shuffle(Purpose::Binary, &mut places);
            for (byte, place) in bytes.iter_mut().zip(&places) {
                *byte = place.value as u8;
            }
            if is_binary(bytes) {
                return;
            }
        }
    }

    /// Replaces addresses of IPv4, but for those of this machine.
    pub fn replace_addresses(&self, text: &mut [u8]) {
        let mut at = 0;
        while at < text.len() {
            let is_inside = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'.');
            match address_length(&text[at..]) {
                Some(length) if !is_inside => {
                    self.replace_address(&mut text[at..at + length]);
                    at += length;
                }
                _ => at += 1,
            }
        }
    }

    fn replace_address(&self, address: &mut [u8]) {
        if address.starts_with(b"127.") || address == b"0.0.0.0" {
            return;
        }
        let numbers = String::from_utf8_lossy(address).into_owned();
        let mut places: Vec<Place> = numbers
            .split('.')
            .map(|number| {
                let (first, size) = match number.len() {
                    1 => (0, 10),
                    2 => (10, 90),
                    _ => (100, 156),
                };
                Place { first, size, value: number.parse::<u32>().unwrap_or(first).saturating_sub(first) % size }
            })
            .collect();
        loop {
            self.shuffle(Purpose::Address, &mut places);
            let numbers: Vec<String> = places.iter().map(|place| (place.first + place.value).to_string()).collect();
            let text = numbers.join(".");
            if !text.starts_with("127.") && text != "0.0.0.0" && text.len() == address.len() {
                return address.copy_from_slice(text.as_bytes());
            }
        }
    }

    /// Permutes the characters that have a class: where it begins and how many there are in it.
    fn permute(&self, purpose: Purpose, run: &mut [u8], class_of: impl Fn(char) -> Option<(u32, u32)>) {
        let Ok(text) = std::str::from_utf8(run) else { return self.replace_binary(run) };
        let characters: Vec<char> = text.chars().collect();
        let mut places: Vec<Place> = characters
            .iter()
            .filter_map(|character| {
                let (first, size) = class_of(*character)?;
                Some(Place { first, size, value: number_of(*character, first, size) })
            })
            .collect();
        self.shuffle(purpose, &mut places);
        let mut places = places.iter();
        let replaced: String = characters
            .iter()
            .map(|character| match class_of(*character).and_then(|_| places.next()) {
                Some(place) => character_of(place),
                None => *character,
            })
            .collect();
        run.copy_from_slice(replaced.as_bytes());
    }

    /// The Feistel network.
    fn shuffle(&self, purpose: Purpose, places: &mut [Place]) {
        let half = places.len() / 2;
        for round in 0..ROUNDS {
            let (left, right) = places.split_at_mut(half);
            match round % 2 {
                0 => self.add(purpose, round, left, right),
                _ => self.add(purpose, round, right, left),
            }
        }
    }

    fn add(&self, purpose: Purpose, round: u8, changed: &mut [Place], other: &[Place]) {
        let start = Sha256::new().chain_update(self.key).chain_update([purpose as u8, round]);
        let start = other.iter().fold(start, |sum, place| sum.chain_update((place.first + place.value).to_le_bytes()));
        let start: [u8; 32] = start.chain_update((changed.len() as u64).to_le_bytes()).finalize().into();
        for (number, piece) in changed.chunks_mut(8).enumerate() {
            let block: [u8; 32] =
                Sha256::new().chain_update(start).chain_update(number.to_le_bytes()).finalize().into();
            for (place, bytes) in piece.iter_mut().zip(block.chunks_exact(4)) {
                let added = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                place.value = ((u64::from(place.value) + added) % u64::from(place.size)) as u32;
            }
        }
    }
}

/// Letters and digits of the secret's class come in this order.
fn number_of(character: char, first: u32, size: u32) -> u32 {
    if (first, size) == (0, 62) {
        return match character {
            'a'..='z' => character as u32 - 'a' as u32,
            'A'..='Z' => character as u32 - 'A' as u32 + 26,
            _ => character as u32 - '0' as u32 + 52,
        };
    }
    // The surrogates are no characters.
    let number = character as u32;
    let number = if first == 0x800 && number >= 0xe000 { number - 0x800 } else { number };
    number - first
}

fn character_of(place: &Place) -> char {
    let number = match (place.first, place.size, place.value) {
        (0, 62, value @ 0..26) => 'a' as u32 + value,
        (0, 62, value @ 26..52) => 'A' as u32 + value - 26,
        (0, 62, value) => '0' as u32 + value - 52,
        (0x800, _, value) if value + 0x800 >= 0xd800 => value + 0x1000,
        (first, _, value) => first + value,
    };
    char::from_u32(number).unwrap_or('x')
}

/// The class of a character of a run; none of those between runs.
fn class_of_letter(character: char) -> Option<(u32, u32)> {
    match character {
        'a'..='z' => Some(('a' as u32, 26)),
        'A'..='Z' => Some(('A' as u32, 26)),
        '0'..='9' => Some(('0' as u32, 10)),
        '\u{80}'..='\u{7ff}' => Some((0x80, 0x780)),
        '\u{800}'..='\u{ffff}' => Some((0x800, 0xf800 - 0x800)),
        '\u{10000}'.. => Some((0x1_0000, 0x10_0000)),
        _ => None,
    }
}

/// Whether bytes are no text.
fn is_binary(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n')) || *byte == 0x7f;
    bytes.iter().any(is_control) || std::str::from_utf8(bytes).is_err()
}

/// How many bytes of letters and digits begin the text.
fn run_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()).count()
}

/// How long what `%` or `\` begins is.
fn escape_length(text: &[u8]) -> usize {
    let flags = |rest: &[u8]| rest.iter().take_while(|byte| b"-+ #.0123456789".contains(byte)).count();
    match (text[0], text.get(1)) {
        (b'\\', Some(b'x')) => text.len().min(4),
        (b'\\', Some(byte)) if byte.is_ascii_digit() => {
            1 + text[1..].iter().take(3).take_while(|byte| byte.is_ascii_digit()).count()
        }
        (b'%', Some(_)) => {
            let length = 1 + flags(&text[1..]);
            length + usize::from(text.get(length).is_some_and(u8::is_ascii_alphabetic))
        }
        (_, Some(byte)) if byte.is_ascii() => 2,
        _ => 1,
    }
}

/// How long the address is that begins the text, if one does.
fn address_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for number in 0..4 {
        if number > 0 {
            at += usize::from(text.get(at) == Some(&b'.')).checked_sub(0).filter(|found| *found == 1)?;
        }
        let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value: u32 = std::str::from_utf8(&text[at..at + digits]).ok()?.parse().ok()?;
        let is_plain = digits == value.to_string().len();
        (value <= 255 && is_plain).then_some(())?;
        at += digits;
    }
    let goes_on = text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric())
        || text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit);
    (!goes_on).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words::new([7; 32], ["get", "nx"].iter().map(|word| word.as_bytes().to_vec()).collect())
    }

    fn replaced(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        words().replace(&mut bytes);
        String::from_utf8(bytes).expect("text stays text")
    }

    #[test]
    fn runs_are_replaced_and_numbers_stay() {
        let key = replaced("user:1000:Name");
        assert_eq!(key.len(), 14);
        assert!(key[4..].starts_with(":1000:") && !key.contains("user") && !key.contains("Name"), "{key}");
        // A pattern fits what it fitted.
        assert_eq!(replaced("user:*"), format!("{}:*", &key[..4]));
        for same in ["1000", "-3.5", "1e10", "inf", "NX", "get", "100mb", "u8", "5-0", "127.0.0.1", "", ":*"] {
            assert_eq!(replaced(same), same);
        }
        let name = replaced("Müller 北京 😀");
        assert_eq!(name.len(), "Müller 北京 😀".len());
        assert!(!name.contains('ü') && !name.contains('北'), "{name}");
    }

    #[test]
    fn addresses_keep_their_length() {
        let address = replaced("10.20.130.4:6379");
        assert_eq!(address.len(), 16);
        assert!(address.ends_with(":6379") && !address.starts_with("10.20"), "{address}");
        assert_eq!(replaced("1.5"), "1.5");
    }

    #[test]
    fn no_two_words_become_the_same() {
        let mut words = words();
        let mut seen = BTreeSet::new();
        for number in 0..26_u32 * 26 {
            let mut word = [b'a' + (number / 26) as u8, b'a' + (number % 26) as u8];
            words.replace(&mut word);
            assert!(seen.insert(word));
        }
        let mut seen = BTreeSet::new();
        for number in 0..=255_u8 {
            let mut word = [number, 0];
            words.replace(&mut word);
            assert!(seen.insert(word) && is_binary(&word));
        }
    }

    #[test]
    fn what_has_a_meaning_in_scripts_stays() {
        let mut script = br#"return string.format('%5.2f %s\n\065', x)"#.to_vec();
        words().replace_script(&mut script);
        let text = String::from_utf8(script).expect("text");
        assert!(text.contains("%5.2f %s\\n\\065"), "{text}");
        let mut secret = b"12345".to_vec();
        words().replace_secret(&mut secret);
        assert_ne!(secret, b"12345");
    }
}
