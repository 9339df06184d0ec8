//! What a debugger needs of a script that stands within the hook: its variables, its functions' names, and to call a function there.

use std::ffi::{CStr, CString, c_int};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::control::control_of;
use super::stack::{Reference, Stack};
use super::state::Progress;

/// The first byte of compiled code.
const SIGNATURE: u8 = 0x1b;

impl Stack {
    /// Compiles a text and pushes the function, or else the error message, which is told by false. Compiled code is refused.
    pub fn load(&mut self, code: &[u8], name: &str) -> bool {
        let name = CString::new(name).unwrap_or_default();
        if code.first() == Some(&SIGNATURE) {
            self.push_bytes(b"bytecode is not allowed");
            return false;
        }
        // SAFETY: the texts outlive the call, which catches all errors.
        unsafe {
            let (start, len) = (code.as_ptr().cast(), code.len());
            ffi::luaL_loadbuffer(self.raw(), start, len, name.as_ptr()) == ffi::LUA_OK
        }
    }

    /// Pushes a value that was kept.
    pub fn push_kept(&self, reference: &Reference) {
        // SAFETY: there is room, as whoever pushes sees to.
        unsafe { ffi::lua_rawgeti_(self.raw(), ffi::LUA_REGISTRYINDEX, reference.0) }
    }

    /// Pushes the variable of that number (from 1) of the function so many levels up the call stack; gives its name, in brackets if it
    /// has none in the script. None, and nothing is pushed, if there is no such level or variable.
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
    /// Lua does not call the hook for what runs within it, so that could never be stopped. LuaJIT takes the hook for left when a coroutine
    /// fails within it; and when a protected call fails, all is again as it was before that.
    pub(super) fn call_within_hook(&mut self, arguments: i32) -> Progress {
        // SAFETY: the hook has a Lua function below it, so calls may be made; this one catches what is raised and leaves one value.
        unsafe {
            let control = control_of(self.raw());
            control.has_returned.set(false);
            ffi::lua_pushcclosure(self.raw(), call_and_fail, 0);
            ffi::lua_insert(self.raw(), -arguments - 2);
            ffi::lua_pcall(self.raw(), arguments + 1, 1, 0);
            match control.has_returned.get() {
                true => Progress::Returned,
                false => Progress::Failed,
            }
        }
    }
}

/// Calls its first argument with the others, hooks and all, then fails with the result.
unsafe extern "C-unwind" fn call_and_fail(raw: *mut lua_State) -> c_int {
    // SAFETY: the coroutine is new and on the stack while it runs; resuming catches what is raised in it, and so does the call. Nothing
    // here has a destructor.
    unsafe {
        let coroutine = ffi::lua_newthread(raw);
        ffi::lua_pushcclosure(coroutine, fail, 0);
        ffi::lua_resume_(coroutine, 0);
        ffi::lua_settop(raw, -2);
        let arguments = ffi::lua_gettop(raw) - 1;
        let status = ffi::lua_pcall(raw, arguments, 1, 0);
        control_of(raw).has_returned.set(status == ffi::LUA_OK);
        ffi::lua_error(raw)
    }
}

unsafe extern "C-unwind" fn fail(raw: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this, with room on the stack; nothing here has a destructor.
    unsafe {
        ffi::lua_pushnil(raw);
        ffi::lua_error(raw)
    }
}
