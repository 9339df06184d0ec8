//! Passwords, known by their digests only, and the source of new ones.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Bytes of a digest.
const DIGEST_BYTES: usize = 32;

/// The SHA-256 digest of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password([u8; DIGEST_BYTES]);

impl Password {
    /// The digest of a password in clear.
    pub fn of(clear: &[u8]) -> Password {
        Password(Sha256::digest(clear).into())
    }

    /// The digest that 64 lower-case hexadecimal digits stand for, if they are that.
    pub fn from_hex(digits: &[u8]) -> Option<Password> {
        if digits.len() != 2 * DIGEST_BYTES {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut digest = [0; DIGEST_BYTES];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Password(digest))
    }

    /// Whether it is one of these. Takes as long whichever it is, and whether or not it is one: time tells nothing.
    pub fn is_among(self, known: &[Password]) -> bool {
        let mut found = Choice::from(0);
        for password in known {
            found |= self.0.ct_eq(&password.0);
        }
        found.into()
    }
}

impl fmt::Display for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

/// Even in a debug print the digest stays unseen.
impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

fn write_hex(bytes: &[u8], formatter: &mut impl fmt::Write) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

/// Where new passwords come from: digests of a secret and a count, which tell nothing about one another.
pub struct PasswordSource {
    secret: [u8; DIGEST_BYTES],
    count: u64,
}

impl PasswordSource {
    /// A source whose output cannot be guessed without the secret.
    pub fn new(secret: [u8; DIGEST_BYTES]) -> PasswordSource {
        PasswordSource { secret, count: 0 }
    }

    /// So many unguessable hexadecimal digits. O(digits).
    pub fn hex_digits(&mut self, count: usize) -> String {
        let mut digits = String::with_capacity(count + 2 * DIGEST_BYTES);
        while digits.len() < count {
            self.count += 1;
            let mut hasher = Sha256::new();
            hasher.update(self.secret);
            hasher.update(self.count.to_le_bytes());
            // INVARIANT: writing to a string does not fail.
            let _ = write_hex(&hasher.finalize(), &mut digits);
        }
        digits.truncate(count);
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc`, as the standard gives it.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_written_and_read() {
        assert_eq!(Password::of(b"abc").to_string(), ABC);
        assert!(Password::from_hex(ABC.as_bytes()) == Some(Password::of(b"abc")));
        for wrong in [&ABC[1..], "", &ABC.to_uppercase(), &ABC.replace('b', "g")] {
            assert!(Password::from_hex(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert_eq!(format!("{:?}", Password::of(b"abc")), "Password");
    }

    #[test]
    fn finds_a_password_among_others() {
        let known = [Password::of(b"a"), Password::of(b"b")];
        assert!(Password::of(b"a").is_among(&known));
        assert!(Password::of(b"b").is_among(&known));
        assert!(!Password::of(b"c").is_among(&known));
        assert!(!Password::of(b"").is_among(&[]));
    }

    #[test]
    fn new_passwords_have_the_length_asked_for_and_never_come_again() {
        let mut source = PasswordSource::new([7; 32]);
        let first = source.hex_digits(64);
        assert_eq!(first.len(), 64);
        assert_ne!(first, source.hex_digits(64));
        assert_eq!(source.hex_digits(1).len(), 1);
        assert_eq!(source.hex_digits(1024).len(), 1024);
        assert_ne!(first, PasswordSource::new([8; 32]).hex_digits(64));
    }
}
