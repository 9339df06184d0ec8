//! How far a script has come when it gives the machine back.

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The function has returned; its one result is on the stack.
    Returned,
    /// It has failed; what the error handler made of the error is on the stack.
    Failed,
    /// Its time was up. It can go on.
    Paused,
}
