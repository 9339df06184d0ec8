//! Where everything random comes from. It is drawn once, when the server starts: what a run does by chance follows from
//! that alone. Never draws again.

use std::fs::File;
use std::io::{self, Read};

use fastrand::Rng;

use super::tape::{self, Kind};

/// What one server draws its random numbers and secrets from.
#[derive(Clone, Debug)]
pub enum Entropy {
    /// Drawn from the operating system: it cannot be guessed and does not repeat.
    System { seed: u64, secret: [u8; 32] },
    /// Everything follows from this number, for repeatable runs.
    Seeded(u64),
}

impl Entropy {
    /// Draws from the operating system.
    ///
    /// Errors: the system's.
    pub fn system() -> io::Result<Entropy> {
        let drawn = tape::pass(Kind::Entropy, || {
            let mut source = File::open("/dev/urandom")?;
            let (mut seed, mut secret) = ([0; 8], [0; 32]);
            source.read_exact(&mut seed)?;
            source.read_exact(&mut secret)?;
            Ok::<_, io::Error>((u64::from_ne_bytes(seed), secret))
        });
        drawn.map(|(seed, secret)| Entropy::System { seed, secret })
    }

    /// The generator of the server's random numbers. Its output does not tell the secret.
    pub fn generator(&self) -> Rng {
        match self {
            Entropy::System { seed, .. } | Entropy::Seeded(seed) => Rng::with_seed(*seed),
        }
    }

    /// 32 bytes from which passwords are made.
    pub fn secret(&self) -> [u8; 32] {
        match self {
            Entropy::System { secret, .. } => *secret,
            Entropy::Seeded(seed) => {
                let mut generator = Rng::with_seed(!seed);
                std::array::from_fn(|_| generator.u8(..))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_draws_of_the_system_are_alike() {
        let drawn = [(); 2].map(|()| Entropy::system().unwrap());
        assert_ne!(drawn[0].secret(), drawn[1].secret());
        assert_ne!(drawn[0].generator().u64(..), drawn[1].generator().u64(..));
    }

    #[test]
    fn the_seed_alone_decides() {
        let drawn = |seed| (Entropy::Seeded(seed).secret(), Entropy::Seeded(seed).generator().u64(..));
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7).0, drawn(8).0);
        assert_ne!(drawn(7).1, drawn(8).1);
    }
}
