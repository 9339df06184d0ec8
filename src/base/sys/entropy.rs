//! Randomness from the operating system, for secrets: it cannot be guessed and does not repeat.

use std::fs::File;
use std::io::{self, Read};

/// 32 unguessable bytes. Errors: the system's.
pub fn secret() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike() {
        let secrets = [(); 2].map(|()| secret().ok());
        assert!(secrets[0].is_some());
        assert_ne!(secrets[0], secrets[1]);
    }
}
