//! What the server knows of scripts: what is loaded, what is suspended, what is debugged, and the Lua states.

use crate::base::clock::Clock;
use crate::collections::hash::HashSeed;
use crate::command::error::CommandError;
use crate::command::registry::CommandId;
use crate::engine::nesting::OpenUnit;
use crate::engine::session::{Session, Token};
use crate::engine::transaction::Rest;
use crate::keyspace::{ExpiryMode, KeyspaceFork, Targets};
use crate::resp::reply::Protocol;
use crate::resp::{OwnedArgs, Reply};
use crate::scripting::cache::{Script, ScriptCache};
use crate::scripting::debugger::Console;
use crate::scripting::flags;
use crate::scripting::functions::Libraries;
use crate::scripting::lua::Order;
use crate::scripting::machine::{Engine, MEMORY_MAX_BYTES};
use crate::scripting::numbers::Random48;
use crate::scripting::{Kind, SCRIPT_NAME, compile_error};

/// Everything about scripts.
pub struct Scripting {
    pub(crate) seed: HashSeed,
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
    pub fn new(seed: &HashSeed) -> Scripting {
        Scripting {
            seed: seed.clone(),
            scripts: ScriptCache::new(seed),
            functions: Libraries::new(seed),
            engines: [const { None }; 2],
            engine_bytes: [0; 2],
            suspended: None,
            debugged: Sessions::default(),
            session: None,
            reply: Reply::default(),
            random: Random48::default(),
            allows_all: false,
            evicted: 0,
            step_budget: u64::MAX,
            memory_max_bytes: MEMORY_MAX_BYTES,
        }
    }

    /// Has scripts be suspended after so many looks at the clock.
    pub fn set_step_budget(&mut self, looks: u64) {
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
        let made = || Engine::new(kind, self.memory_max_bytes, clock.stopwatch()).map(Box::new);
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

    /// Forgets all scripts, and the state that ran them.
    pub fn flush_scripts(&mut self) {
        self.scripts = ScriptCache::new(&self.seed);
        self.engines[Kind::Script as usize] = None;
        self.engine_bytes[Kind::Script as usize] = 0;
    }
}

/// A script under way.
pub struct Run {
    pub kind: Kind,
    pub name: String,
    /// To whom the effects of its commands go (`redis.set_repl`).
    pub targets: Targets,
    /// The form in which its commands reply to it.
    pub protocol: Protocol,
    pub random: Random48,
    /// When it began: for its commands time stands still. In ms since the epoch.
    pub now_ms: i64,
    /// What became of expired keys then. A script that is suspended goes on with it.
    pub expiry_mode: ExpiryMode,
    /// The same as `now_ms`, in ticks.
    pub started: u64,
}

/// A script that stands still, with everything that it needs to go on.
pub struct Suspended {
    pub(crate) engine: Box<Engine>,
    pub(crate) session: Box<Session>,
    pub(crate) reply: Reply,
    pub run: Run,
    pub(crate) caller: Token,
    /// What it is debugged with, if it is.
    pub(crate) console: Option<Box<Console>>,
    pub(crate) command: CommandId,
    pub request: OwnedArgs,
    pub(crate) ticks: u64,
    /// The unit that all its commands are; none while it is debugged, where the session has it.
    pub(crate) unit: Option<OpenUnit>,
    /// The transaction that it is part of.
    pub rest: Option<Box<Rest>>,
}

impl Suspended {
    /// Time that it has run for.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }
}

impl Suspended {
    /// The same, but for the state that it ran in.
    pub(crate) fn put_parts_away(mut self, scripting: &mut Scripting) -> Box<Engine> {
        self.reply.clear();
        self.reply.shrink();
        scripting.reply = self.reply;
        scripting.session = Some(self.session);
        self.engine
    }
}

/// All that is being debugged.
#[derive(Default)]
pub struct Sessions {
    pub(crate) list: Vec<Debugged>,
    /// Whether all others wait for a session that works on what they use.
    pub(crate) is_exclusive: bool,
}

/// One session.
pub struct Debugged {
    pub(crate) suspended: Box<Suspended>,
    /// What it changes, if that is for it alone.
    pub(crate) fork: Option<KeyspaceFork>,
    /// The unit that all of a session is which works on what all clients use.
    pub(crate) unit: Option<OpenUnit>,
    /// How it goes on.
    pub(crate) order: Order,
}

impl Sessions {
    /// Whether all clients but one wait.
    #[inline]
    pub fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a job has a script to take further.
    pub fn has_running(&self) -> bool {
        self.list.iter().any(|debugged| !debugged.is_halted())
    }

    pub(crate) fn take_of(&mut self, client: Token) -> Option<Debugged> {
        let is_its = |debugged: &Debugged| debugged.suspended.caller == client;
        let place = self.list.iter().position(is_its)?;
        Some(self.list.remove(place))
    }

    /// One that runs; it goes to the end of the list when it comes back.
    pub(crate) fn take_running(&mut self) -> Option<Debugged> {
        let place = self.list.iter().position(|debugged| !debugged.is_halted())?;
        Some(self.list.remove(place))
    }
}

impl Debugged {
    pub(crate) fn console(&mut self) -> Option<&mut Console> {
        self.suspended.console.as_deref_mut()
    }

    pub(crate) fn is_halted(&self) -> bool {
        let console = self.suspended.console.as_deref();
        console.is_some_and(Console::is_halted)
    }
}
