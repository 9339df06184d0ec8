//! Reading a command's options: the word of each, and how many arguments belong to it.
//!
//! A handler and the finder of its command's keys walk the options with the same table, so that an argument that is
//! spelled like an option is never taken for one by the first and for an operand by the second.

use crate::resp::Args;

use crate::command::error::CommandError;

/// An option that a command takes.
pub struct OptionWord<T: 'static> {
    /// In upper case.
    pub word: &'static str,
    pub operands: Operands,
    pub option: T,
}

/// The arguments that belong to an option.
#[derive(Clone, Copy)]
pub enum Operands {
    Exactly(usize),
    /// All that are left, and at least so many.
    Rest(usize),
}

impl<T> OptionWord<T> {
    /// An option with so many operands.
    pub const fn new(word: &'static str, operands: usize, option: T) -> OptionWord<T> {
        OptionWord { word, operands: Operands::Exactly(operands), option }
    }

    /// An option that all arguments behind it belong to; at least so many.
    pub const fn last(word: &'static str, operands: usize, option: T) -> OptionWord<T> {
        OptionWord { word, operands: Operands::Rest(operands), option }
    }
}

/// The options of a request in their order, each with the place of its word. Ends after the first syntax error: a word
/// that is none of the table's, or one that lacks operands.
pub struct OptionWalk<'a, T: 'static> {
    args: Args<'a>,
    table: &'static [OptionWord<T>],
    at: usize,
}

impl<'a, T: Copy> OptionWalk<'a, T> {
    /// The options from argument `first` on.
    pub fn new(args: Args<'a>, first: usize, table: &'static [OptionWord<T>]) -> OptionWalk<'a, T> {
        OptionWalk { args, table, at: first }
    }

    /// Leaves out so many more arguments: operands whose number another operand tells.
    pub fn skip_operands(&mut self, count: usize) {
        self.at += count;
    }

    fn read(&self, word: &[u8]) -> Option<(T, usize)> {
        let known = self.table.iter().find(|known| word.eq_ignore_ascii_case(known.word.as_bytes()))?;
        let left = self.args.len() - self.at - 1;
        let (needed, taken) = match known.operands {
            Operands::Exactly(operands) => (operands, operands),
            Operands::Rest(least) => (least, left),
        };
        (needed <= left).then_some((known.option, taken))
    }
}

impl<T: Copy> Iterator for OptionWalk<'_, T> {
    type Item = Result<(T, usize), CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        let word = self.args.get(self.at)?;
        let place = self.at;
        match self.read(word) {
            Some((option, operands)) => {
                self.at += 1 + operands;
                Some(Ok((option, place)))
            }
            None => {
                self.at = self.args.len();
                Some(Err(CommandError::SYNTAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: &[OptionWord<char>] =
        &[OptionWord::new("NONE", 0, 'n'), OptionWord::new("TWO", 2, 't'), OptionWord::last("REST", 1, 'r')];

    fn walk(request: &str) -> String {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let walk = OptionWalk::new(Args::from_slices(&words), 1, TABLE);
        let shown = walk.map(|found| match found {
            Ok((option, place)) => format!("{option}{place}"),
            Err(_) => "!".to_string(),
        });
        shown.collect()
    }

    #[test]
    fn operands_are_no_options() {
        assert_eq!(walk("x"), "");
        assert_eq!(walk("x none Two two none NONE"), "n1t2n5");
        assert_eq!(walk("x none rest none two"), "n1r2");
    }

    #[test]
    fn a_syntax_error_ends_the_walk() {
        assert_eq!(walk("x none what none"), "n1!");
        assert_eq!(walk("x two none"), "!");
        assert_eq!(walk("x none rest"), "n1!");
    }
}
