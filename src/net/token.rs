//! How everything that names a client names it: its slot, and which of the slot's tenants is meant.

/// A client's place in the slab, good only for as long as that client lives: the generation tells
/// a successor in the same place apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub slot: u32,
    pub generation: u32,
}

impl Token {
    /// That of the session in whose name scripts run commands, which is no client's.
    pub const SCRIPT: Token = Token { slot: u32::MAX, generation: u32::MAX };
}
