//! A Lua state with the fiber on which its code runs.

use std::ffi::c_int;
use std::ptr::NonNull;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use mlua_sys as ffi;
use mlua_sys::lua_State;

use crate::base::clock::Ticks;
use crate::base::tape::{self, Kind};

use super::control::{Control, Event, Host, Order, allocate, hook};
use super::pace;
use super::stack::{Reference, Stack};

pub use super::progress::Progress;

/// Size of the machine stack that scripts run on, in bytes. Native functions call Lua functions, which call natives;
/// Lua's own stack bounds that to some thousand levels, each of which may need some thousand bytes. What the libraries
/// take apart may have as many levels. Only what is used takes memory.
const MACHINE_STACK_BYTES: usize = 64 << 20;

type Fiber = Coroutine<Order, Event, (), DefaultStack>;

/// A Lua state.
pub struct Lua {
    fiber: Fiber,
    is_paused: bool,
    stack: Stack,
    control: Box<Control>,
}

impl Lua {
    /// A state that may use so much memory, with the libraries that scripts may use: nothing that reaches files,
    /// processes, native code or the machine's insides. None if there is no memory.
    pub fn new(limit_bytes: usize, ticks: Ticks) -> Option<Lua> {
        let control = Control::new(limit_bytes);
        *control.ticks.borrow_mut() = Some(ticks);
        let user = (&raw const *control).cast_mut().cast();
        let machine_stack = DefaultStack::new(MACHINE_STACK_BYTES).ok()?;
        // SAFETY: the control is in a box, so its address stays, and it is dropped after the state (see `drop`). The
        // libraries are opened as Lua wants it, by calls; nothing fails for want of memory, as the limit does not
        // apply.
        let stack = unsafe {
            let raw = ffi::lua_newstate(allocate, user);
            if raw.is_null() {
                return None;
            }
            for (name, open) in LIBRARIES {
                ffi::lua_pushcclosure(raw, *open, 0);
                ffi::lua_pushlstring_(raw, name.as_ptr().cast(), name.len());
                ffi::lua_call(raw, 1, 0);
            }
            ffi::lua_settop(raw, 0);
            Stack::new(raw)
        };
        let mut lua = Lua {
            fiber: fiber(machine_stack, stack.raw(), NonNull::from(&*control)),
            is_paused: false,
            stack,
            control,
        };
        lua.follow_lines(false);
        Some(lua)
    }

    /// The stack, on which a function and its arguments are put before a call and results are found after it.
    pub fn stack(&mut self) -> &mut Stack {
        assert!(!self.is_paused, "the stack is the script's own while one is under way");
        &mut self.stack
    }

    /// Bytes that the state uses. They are not a function of the scripts alone: tables whose keys are other tables grow
    /// when these collide, by their addresses, which differ from run to run. So a recording holds them.
    pub fn used_bytes(&self) -> usize {
        tape::pass(Kind::Memory, || self.control.used_bytes.get())
    }

    /// Whether a script stands still.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Until when (in ticks) a call may take, and how often the clock may be looked at meanwhile.
    pub fn set_deadline(&mut self, deadline: u64, step_budget: u64) {
        self.control.deadline.set(deadline);
        self.control.step_budget.set(step_budget);
    }

    /// Has the script end with this message at its next instruction, wherever it is and whatever it catches.
    pub fn kill(&mut self, message: &str) {
        *self.control.killed.borrow_mut() = Some(message.to_string());
        // SAFETY: setting a hook is possible at any time, also while a hook stands still on the fiber.
        unsafe {
            ffi::lua_sethook(self.stack.raw(), Some(hook), ffi::LUA_MASKCOUNT, 1);
        }
    }

    /// Whether the host is to be asked at each line.
    pub fn follow_lines(&mut self, follows: bool) {
        let lines = if follows { ffi::LUA_MASKLINE } else { 0 };
        // SAFETY: as above.
        unsafe {
            ffi::lua_sethook(self.stack.raw(), Some(hook), ffi::LUA_MASKCOUNT | lines, pace::BEGIN);
        }
    }

    /// Runs the fiber: `Order::Call` calls the function below its arguments on top of the stack, with the error handler
    /// right below it; `Order::Continue` goes on with one that was paused. Afterwards, unless it is paused again, its
    /// result or error has taken the place of the function and its arguments.
    pub fn run(&mut self, host: &mut dyn Host, order: Order) -> Progress {
        assert_eq!(self.is_paused, order == Order::Continue, "a call goes on when it was paused");
        let host: NonNull<dyn Host + '_> = NonNull::from(host);
        // SAFETY: only the lifetime is changed. The pointer is used by natives that run within this function, and taken
        // back before it returns.
        let host: NonNull<dyn Host + 'static> = unsafe { std::mem::transmute(host) };
        self.control.host.set(Some(host));
        self.control.pace.rest();
        let result = self.fiber.resume(order);
        self.control.host.set(None);
        let event = match result {
            CoroutineResult::Yield(event) => event,
            CoroutineResult::Return(()) => Event::Failed,
        };
        self.is_paused = event == Event::Paused;
        match event {
            Event::Paused => Progress::Paused,
            Event::Returned => self.finished(Progress::Returned),
            Event::Failed => self.finished(Progress::Failed),
        }
    }

    fn finished(&mut self, progress: Progress) -> Progress {
        if self.control.killed.take().is_some() {
            self.follow_lines(false);
        }
        progress
    }

    /// Calls the function below the value on top, both put there by the program itself: leaves its three results. For
    /// what sets a new state up; it cannot fail.
    pub fn call_setup(&mut self) {
        // SAFETY: the function and its argument lie on the stack, and the call catches whatever is raised.
        let status = unsafe { ffi::lua_pcall(self.stack.raw(), 1, 3, 0) };
        let message = self.stack.bytes(-1).unwrap_or_default();
        assert!(status == ffi::LUA_OK, "{}", String::from_utf8_lossy(message));
    }

    /// As [`Stack::load`].
    pub fn load(&mut self, code: &[u8], name: &str) -> bool {
        self.stack.load(code, name)
    }

    /// Takes the top off and keeps it.
    pub fn keep(&mut self) -> Reference {
        self.stack.keep()
    }

    /// As [`Stack::push_kept`].
    pub fn push_kept(&self, reference: &Reference) {
        self.stack.push_kept(reference);
    }

    /// Keeps a value no longer.
    pub fn release(&mut self, reference: Reference) {
        // SAFETY: as above.
        unsafe { ffi::luaL_unref(self.stack.raw(), ffi::LUA_REGISTRYINDEX, reference.0) }
    }

    /// Pushes the table of globals.
    pub fn push_globals(&self) {
        // SAFETY: the globals are always there.
        unsafe { ffi::lua_pushvalue(self.stack.raw(), ffi::LUA_GLOBALSINDEX) }
    }

    /// Takes the table on top off and makes it that of the globals.
    pub fn set_globals(&mut self) {
        assert_eq!(self.stack.kind(-1), super::Kind::Table);
        // SAFETY: the top is a table.
        unsafe { ffi::lua_replace(self.stack.raw(), ffi::LUA_GLOBALSINDEX) }
    }

    /// Takes the collection of garbage on by so many KiB.
    pub fn collect_some(&mut self, kib: i32) {
        // SAFETY: as below.
        unsafe {
            ffi::lua_gc(self.stack.raw(), ffi::LUA_GCSTEP, kib);
        }
    }

    /// Frees what is not in use. O(values in use).
    pub fn collect(&mut self) {
        // SAFETY: no script code runs when garbage is collected.
        unsafe {
            ffi::lua_gc(self.stack.raw(), ffi::LUA_GCCOLLECT, 0);
        }
    }
}

impl Drop for Lua {
    fn drop(&mut self) {
        // SAFETY: the frames on the fiber are Lua's and those of the bindings, of which none has a destructor where the
        // fiber can stand; then nothing runs in the state any more and it can be closed. The control goes after it.
        unsafe {
            self.fiber.force_reset();
            ffi::lua_close(self.stack.raw());
        }
    }
}

type Open = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;

/// The libraries that are opened.
static LIBRARIES: &[(&str, Open)] =
    &[("", open_base), ("table", open_table), ("string", open_string), ("math", open_math)];

macro_rules! opener {
    ($name:ident, $library:ident) => {
        unsafe extern "C-unwind" fn $name(raw: *mut lua_State) -> c_int {
            // SAFETY: Lua calls this as it wants libraries to be opened.
            unsafe { ffi::$library(raw) }
        }
    };
}
opener!(open_base, luaopen_base);
opener!(open_table, luaopen_table);
opener!(open_string, luaopen_string);
opener!(open_math, luaopen_math);

/// The fiber of a state: waits for a call, makes it, and so on.
fn fiber(machine_stack: DefaultStack, raw: *mut lua_State, control: NonNull<Control>) -> Fiber {
    Coroutine::with_stack(machine_stack, move |yielder, mut order| {
        // SAFETY: the control outlives the fiber (see `Lua::drop`), and so does the state. The yielder lives as long as
        // this function. `lua_pcall` catches whatever is raised.
        unsafe {
            let control = control.as_ref();
            control.yielder.set(Some(NonNull::from(yielder)));
            loop {
                let Order::Call(arguments) = order else {
                    order = yielder.suspend(Event::Failed);
                    continue;
                };
                let handler = ffi::lua_gettop(raw) - arguments - 1;
                control.exempt.set(false);
                let status = ffi::lua_pcall(raw, arguments, 1, handler);
                control.exempt.set(true);
                order = yielder.suspend(match status {
                    ffi::LUA_OK => Event::Returned,
                    _ => Event::Failed,
                });
            }
        }
    })
}
