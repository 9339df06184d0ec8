//! Which lines are new. LuaJIT's hook says so of a line also when a function that it called has come back; Lua 5.1's does not, and scripts
//! are debugged line by line as there.

/// One call of a function: the state that runs it, a coroutine's perhaps, and its place on that state's stack. A later call may have the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub state: usize,
    pub place: i32,
}

struct Seen {
    frame: Frame,
    line: i32,
    /// Whether another function has begun since.
    has_called: bool,
}

/// The line to which each call has come that is under way.
#[derive(Default)]
pub(super) struct Lines {
    seen: Vec<Seen>,
    /// The state that ran last.
    state: usize,
}

impl Lines {
    /// A function is called, be it native.
    pub fn enter(&mut self, frame: Frame) {
        self.forget_from(frame, frame.place);
        if let Some(seen) = self.seen.last_mut() {
            seen.has_called = true;
        }
        self.state = frame.state;
    }

    /// The hook speaks of a line of a call: tells whether it begins, be it for another time.
    pub fn is_new(&mut self, frame: Frame, line: i32) -> bool {
        self.forget_from(frame, frame.place + 1);
        let comes_back = std::mem::replace(&mut self.state, frame.state) != frame.state;
        let before = self.seen.iter_mut().rev().find(|seen| seen.frame == frame);
        let Some(before) = before else {
            self.seen.push(Seen { frame, line, has_called: false });
            return true;
        };
        let comes_back = std::mem::take(&mut before.has_called) || comes_back;
        std::mem::replace(&mut before.line, line) != line || !comes_back
    }

    /// What was called from there on, on that state, is over.
    fn forget_from(&mut self, frame: Frame, place: i32) {
        while let Some(last) = self.seen.last()
            && last.frame.state == frame.state
            && last.frame.place >= place
        {
            self.seen.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn frame(state: usize, place: i32) -> Frame {
        Frame { state, place }
    }

    #[test]
    fn a_line_is_not_new_when_what_it_called_is_back() {
        let (main, called, coroutine) = (frame(1, 3), frame(1, 9), frame(2, 3));
        let mut lines = Lines::default();
        assert!(lines.is_new(main, 1));
        for _ in 0..2 {
            lines.enter(called);
            assert!(lines.is_new(called, 7));
        }
        assert!(!lines.is_new(main, 1), "it is back");
        assert!(lines.is_new(main, 1), "the line begins again");
        lines.enter(coroutine);
        assert!(lines.is_new(coroutine, 1));
        assert!(lines.is_new(main, 2), "another line");
        assert!(!lines.is_new(coroutine, 1), "it goes on where it has yielded");
        assert!(!lines.is_new(main, 2));
    }
}
