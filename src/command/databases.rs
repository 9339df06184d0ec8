//! Which databases the requests of a command use, as it declares it.

use smallvec::SmallVec;

use crate::resp::Args;
use crate::resp::number::parse_i64;

/// Finds the arguments of a request that name databases. None where its syntax is wrong: the command itself then
/// replies with the error.
pub type DatabaseFinder = fn(Args<'_>) -> Option<SmallVec<[usize; 2]>>;

/// Which databases the requests of a command use.
#[derive(Clone, Copy)]
pub enum Databases {
    /// The selected one, if the command reads, writes or names keys; else none.
    Selected,
    /// Those that are named, and the selected one.
    NamedAndSelected(DatabaseFinder),
    /// Those that are named.
    Named(DatabaseFinder),
    /// The one that the first argument names: it is the selected one from then on.
    Chosen,
    /// All.
    All,
}

/// The database that a client has selected, among so many.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// The selected one.
    pub database: usize,
    /// How many there are.
    pub count: usize,
}

/// The number of a database that a text names, of so many. None if there is no such database.
pub fn parse_database(text: &[u8], count: usize) -> Option<usize> {
    let number = parse_i64(text).and_then(|number| usize::try_from(number).ok());
    number.filter(|number| *number < count)
}
