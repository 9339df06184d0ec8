//! Whether the gate has to look at a request more closely than it does otherwise. Never decides about one.

/// Whether requests are looked at more closely before they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Whether they are: some commands are restricted, this server is a node of a cluster, or in import mode. One flag
    /// for all, so that a request pays for one branch.
    pub is_on: bool,
    /// Whether some commands are refused, or held back, that would be run else: data are being loaded, saving fails,
    /// keys move. Or each request is counted for its slot.
    pub is_restricted: bool,
}
