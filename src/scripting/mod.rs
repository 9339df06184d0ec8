//! Scripts and functions: what is loaded, what runs, and the Lua states that run it.
//!
//! ```text
//! EVAL, EVALSHA → cache (compiled scripts)   ┐
//! FCALL         → functions (libraries)      ├→ run::start → lua::Lua → bridge → command::call
//! SCRIPT DEBUG, then EVAL                    ┘  debugger::start
//! ```
//!
//! Scripts and functions have a state each. Never runs two scripts at a time, and never re-enters the loop: a script that takes too
//! long is suspended, and the loop's jobs take it further.

pub mod machine;

pub mod cache;
pub mod dialect;
pub mod failure;
pub mod flags;
pub mod functions;
pub mod into_lua;
pub mod into_reply;
pub mod libraries;
pub mod lua;
pub mod numbers;
pub mod service;

use crate::base::clock::Clock;
use crate::command::error::CommandError;
use crate::drive::script::debugger;
use crate::drive::script::run;
use crate::engine::session::Session;
use crate::engine::transactions::Rest;
use crate::resp::Reply;

use crate::drive::script::debugger::Sessions;
use crate::drive::script::run::Suspended;
use crate::scripting::machine::Engine;
use cache::{Script, ScriptCache};
use functions::Libraries;
use lua::Interruption;
use numbers::Random48;

/// The chunk name of scripts, as their error messages show it.
const SCRIPT_NAME: &str = "@user_script";

/// The two kinds of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For EVAL and EVALSHA.
    Script,
    /// Of a library, for FCALL.
    Function,
}

/// Everything about scripts.
#[derive(Default)]
pub struct Scripting {
    pub scripts: ScriptCache,
    pub functions: Libraries,
    /// The states by kind; none until the first use, nor while a script of that kind runs.
    pub(crate) engines: [Option<Box<Engine>>; 2],
    /// Memory of the states when they were last seen, in bytes.
    pub(crate) engine_bytes: [usize; 2],
    pub suspended: Option<Box<Suspended>>,
    pub debugged: Sessions,
    pub(crate) session: Option<Box<Session>>,
    pub(crate) reply: Reply,
    /// The random numbers of all scripts: the same after every start.
    pub(crate) random: Random48,
    /// Whether signals may interrupt scripts, as they may in a server's own process.
    pub uses_alarm: bool,
    /// Whether scripts may call what is not for them (DEBUG).
    pub allows_all: bool,
    /// Scripts that went as there were too many.
    pub evicted: u64,
    /// How often a script may look at the clock before it is suspended, whatever the clock says: for tests, whose clock
    /// stands still.
    pub(crate) step_budget: u64,
    /// What the scripts of one state may allocate, in bytes.
    pub memory_max_bytes: usize,
}

impl Scripting {
    /// Nothing loaded.
    pub fn new() -> Scripting {
        Scripting { step_budget: u64::MAX, memory_max_bytes: machine::MEMORY_MAX_BYTES, ..Scripting::default() }
    }

    /// Has scripts be suspended after so many looks at the clock.
    pub fn set_patience(&mut self, looks: u64) {
        self.step_budget = looks;
    }

    /// Has the rest of a transaction wait for the script of it that was just suspended.
    pub fn keep_rest(&mut self, mut rest: Box<Rest>) {
        if let Some(suspended) = &mut self.suspended {
            // The script's own time is added when it is over.
            rest.ticks = rest.ticks.saturating_sub(suspended.ticks());
            suspended.rest = Some(rest);
        }
    }

    /// The kind of the script that is suspended: the server is busy.
    #[inline]
    pub fn busy(&self) -> Option<Kind> {
        Some(self.suspended.as_ref()?.run.kind)
    }

    /// Takes the state for a kind of programs, made if it is not there.
    ///
    /// Errors: there is no memory for one.
    pub fn take_engine(&mut self, kind: Kind, clock: &Clock) -> Result<Box<Engine>, CommandError> {
        let made = || Engine::new(self.memory_max_bytes, clock.stopwatch()).map(Box::new);
        self.engines[kind as usize].take().or_else(made).ok_or(CommandError::fixed("ERR Can't create a Lua state"))
    }

    /// Gives it back.
    pub fn put_engine(&mut self, kind: Kind, engine: Box<Engine>) {
        self.engine_bytes[kind as usize] = engine.lua.used_bytes();
        self.engines[kind as usize] = Some(engine);
    }

    /// Memory of the state for a kind of programs, in bytes.
    pub fn engine_bytes(&self, kind: Kind) -> usize {
        self.engine_bytes[kind as usize]
    }

    /// Compiles a script, unless it is there; gives its place. With `stays` it is not among those that may go.
    ///
    /// Errors: its first line or its code is wrong.
    pub fn load(&mut self, clock: &Clock, text: &[u8], stays: bool) -> Result<usize, CommandError> {
        if let Some(place) = self.scripts.find_text(text) {
            if stays {
                self.scripts.retain(place);
            } else {
                self.scripts.note_use(place);
            }
            return Ok(place);
        }
        let (flags, code_start) = flags::of_script(text)?;
        let mut engine = self.take_engine(Kind::Script, clock)?;
        let compiled = engine.compile(&text[code_start..], SCRIPT_NAME);
        let place = compiled.map(|function| self.scripts.add(text, flags, function, stays));
        if let Some(Script { function, .. }) = self.scripts.take_excess() {
            engine.lua.release(function);
            self.evicted += 1;
        }
        self.put_engine(Kind::Script, engine);
        place.map_err(compile_error)
    }

    /// What may interrupt scripts, if `wanted` is what should.
    pub(crate) fn interruption(&self, wanted: Interruption) -> Interruption {
        if self.uses_alarm { wanted } else { Interruption::Counted }
    }

    /// Forgets all scripts, and the state that ran them.
    pub fn flush_scripts(&mut self) {
        self.scripts = ScriptCache::default();
        self.engines[Kind::Script as usize] = None;
        self.engine_bytes[Kind::Script as usize] = 0;
    }
}

/// A script cannot be compiled.
fn compile_error(message: String) -> CommandError {
    CommandError::new(format!("ERR Error compiling script (new function): {message}"))
}
