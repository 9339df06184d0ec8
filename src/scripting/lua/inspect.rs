//! What a debugger needs of a script that stands within the hook: its variables, its functions' names, and to call a
//! function there.

use std::ffi::CStr;

use mlua_sys as ffi;

use super::control::control_of;
use super::stack::{Reference, Stack};
use super::state::Progress;

impl Stack {
    /// Pushes a value that was kept.
    pub fn push_kept(&self, reference: &Reference) {
        // SAFETY: the caller has made sure that there is room.
        unsafe { ffi::lua_rawgeti_(self.raw(), ffi::LUA_REGISTRYINDEX, reference.0) }
    }

    /// Pushes the variable of that number (from 1) of the function so many levels up the call stack; gives its name, in
    /// brackets if it has none in the script. None, and nothing is pushed, if there is no such level or variable.
    pub fn push_variable(&self, level: i32, number: i32) -> Option<String> {
        // SAFETY: `lua_getstack` has filled the structure that `lua_getlocal` reads; the name ends with a zero byte.
        unsafe {
            let mut debug: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.raw(), level, &mut debug) == 0 {
                return None;
            }
            let name = ffi::lua_getlocal(self.raw(), &debug, number);
            (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
        }
    }

    /// The name under which the function so many levels up was called, if it has one.
    pub fn name_of_level(&self, level: i32) -> Option<String> {
        // SAFETY: as above.
        unsafe {
            let mut debug: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.raw(), level, &mut debug) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.raw(), c"n".as_ptr(), &mut debug);
            let name = debug.name;
            (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
        }
    }

    /// Within the hook: calls the function below so many arguments, which are replaced by its result or error.
    ///
    /// Lua does not call the hook for what runs within it, so that could never be stopped: it runs as a coroutine,
    /// which has a hook of its own.
    pub(super) fn call_within_hook(&mut self, arguments: i32) -> Progress {
        let raw = self.raw();
        // SAFETY: the function and its arguments are moved to the new coroutine, which stays on the stack while it
        // runs; there is room for all, as the caller has made sure. Resuming catches what is raised.
        unsafe {
            let control = control_of(raw);
            let coroutine = ffi::lua_newthread(raw);
            ffi::lua_insert(raw, -arguments - 2);
            if ffi::lua_checkstack(coroutine, arguments + 8) == 0 {
                ffi::lua_settop(raw, -arguments - 3);
                self.push_bytes(b"stack overflow");
                return Progress::Failed;
            }
            ffi::lua_xmove(raw, coroutine, arguments + 1);
            control.exempt.set(false);
            let status = ffi::lua_resume_(coroutine, arguments);
            control.exempt.set(true);
            match status {
                ffi::LUA_OK => {
                    ffi::lua_settop(coroutine, 1);
                    ffi::lua_xmove(coroutine, raw, 1);
                }
                ffi::LUA_YIELD => self.push_bytes(NO_YIELD),
                _ => ffi::lua_xmove(coroutine, raw, 1),
            }
            ffi::lua_remove(raw, -2);
            match status {
                ffi::LUA_OK => Progress::Returned,
                _ => Progress::Failed,
            }
        }
    }
}

/// What Lua says of yielding where it is not possible.
const NO_YIELD: &[u8] = b"attempt to yield across metamethod/C-call boundary";
