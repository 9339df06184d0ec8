//! Appending marks of the history (see `history`). Never decides what the history is.

use crate::keyspace::{ChangeLog, Target, Targets};

use super::append_only::AppendOnly;
use super::history::HistoryMark;

impl AppendOnly {
    /// Appends a mark, unless the last one says the same and nothing was appended since.
    pub fn mark_history(&mut self, changes: &mut ChangeLog, id: &str, offset: u64, database: usize) {
        if self.reader.is_none() {
            return;
        }
        let is_known = self.marked.as_ref().is_some_and(|marked| marked.id.as_deref() == Some(id));
        if is_known
            && let Some(marked) = &self.marked
            && (marked.offset, marked.database) == (offset, database)
            && self.marked_at == self.appended
        {
            return;
        }
        let mark = HistoryMark { id: (!is_known).then(|| id.to_string()), offset, database };
        let mut line = Vec::new();
        mark.append_to(&mut line);
        changes.append_raw(Targets::FILE, &line);
        self.note_appended(changes.end_of(Target::File));
        self.marked_at = self.appended;
        self.marked = Some(HistoryMark { id: Some(id.to_string()), offset, database });
    }
}
