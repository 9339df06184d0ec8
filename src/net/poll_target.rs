//! What an event of the poll is for: every kind of thing that is registered, and how its token is made and read.
//!
//! ```text
//! bit 63   62 … 56   55 … 32          31 … 0
//!   0      generation (31 bits)       slot        a client
//!   1      kind      generation       slot        all others
//! ```

use mio::Token as PollToken;

use super::token::Token;

/// Bits of a client's generation that its poll token holds.
const CLIENT_GENERATION: u32 = 0x7fff_ffff;
/// Bits of the generation of all others.
pub const OTHER_GENERATION: u32 = 0x00ff_ffff;
const OTHER: usize = 1 << 63;
const KIND_SHIFT: u32 = 56;

const LISTENER: usize = 0;
const HTTP_PEER: usize = 1;
const OUTBOUND: usize = 2;
const SIGNALS: usize = 3;
const WAKER: usize = 4;

/// What is registered with the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollTarget {
    Client(Token),
    /// A listening socket, by its number.
    Listener(u32),
    /// A connection to the HTTP port.
    HttpPeer(Token),
    /// A connection to another server.
    Outbound(Token),
    /// The socket to which the signal handlers write.
    Signals,
    /// Helper threads that have done something.
    Waker,
}

impl PollTarget {
    /// The token to register it under.
    #[inline]
    pub fn token(self) -> PollToken {
        let (kind, place) = match self {
            PollTarget::Client(token) => {
                return PollToken(((token.generation & CLIENT_GENERATION) as usize) << 32 | token.slot as usize);
            }
            PollTarget::Listener(number) => (LISTENER, number as usize),
            PollTarget::HttpPeer(token) => (HTTP_PEER, place_of(token)),
            PollTarget::Outbound(token) => (OUTBOUND, place_of(token)),
            PollTarget::Signals => (SIGNALS, 0),
            PollTarget::Waker => (WAKER, 0),
        };
        PollToken(OTHER | kind << KIND_SHIFT | place)
    }

    /// Its token as a number, for a tape.
    pub fn number(self) -> u64 {
        self.token().0 as u64
    }

    /// What has that number.
    pub fn of_number(number: u64) -> PollTarget {
        PollTarget::of(PollToken(number as usize))
    }

    /// What was registered under a token.
    #[inline]
    pub fn of(token: PollToken) -> PollTarget {
        let (slot, generation) = (token.0 as u32, (token.0 >> 32) as u32);
        if token.0 & OTHER == 0 {
            return PollTarget::Client(Token { slot, generation });
        }
        let other = Token { slot, generation: generation & OTHER_GENERATION };
        match (token.0 & !OTHER) >> KIND_SHIFT {
            LISTENER => PollTarget::Listener(slot),
            HTTP_PEER => PollTarget::HttpPeer(other),
            OUTBOUND => PollTarget::Outbound(other),
            SIGNALS => PollTarget::Signals,
            _ => PollTarget::Waker,
        }
    }
}

fn place_of(token: Token) -> usize {
    ((token.generation & OTHER_GENERATION) as usize) << 32 | token.slot as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_what_it_was_made_of() {
        let token = |slot, generation| Token { slot, generation };
        let targets = [
            PollTarget::Client(token(0, 0)),
            PollTarget::Client(token(u32::MAX, CLIENT_GENERATION)),
            PollTarget::Listener(3),
            PollTarget::HttpPeer(token(15, OTHER_GENERATION)),
            PollTarget::Outbound(token(u32::MAX, 7)),
            PollTarget::Signals,
            PollTarget::Waker,
        ];
        for target in targets {
            assert_eq!(PollTarget::of(target.token()), target);
        }
        let tokens: std::collections::HashSet<_> = targets.iter().map(|target| target.token().0).collect();
        assert_eq!(tokens.len(), targets.len(), "no two things share a token");
    }

    /// The token of a client holds 31 of its 32 bits of generation: `Clients` counts no further.
    #[test]
    fn a_generation_beyond_what_a_token_holds_wraps() {
        let target = PollTarget::Client(Token { slot: 1, generation: u32::MAX });
        assert_eq!(
            PollTarget::of(target.token()),
            PollTarget::Client(Token { slot: 1, generation: CLIENT_GENERATION })
        );
    }
}
