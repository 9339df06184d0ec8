//! Compiling texts. Compiled code is never taken: Redis's compiler knows texts alone, and so the first thing that it
//! gets here is a space.
//!
//! While Lua compiles, it keeps the chunk's name where its garbage collector does not see it. Here a copy of the name
//! lies on the stack, which is the same string to Lua, and so is marked; and where no function of a script can run
//! meanwhile, the collector rests.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::native::breathe_or_raise;
use super::stack::Stack;

/// Longest text that is compiled, in bytes: Lua counts the signs of a long bracket with 31 bits.
const TEXT_MAX_BYTES: usize = 1 << 30;
/// Bytes that are compiled between two looks at the clock.
const PIECE_BYTES: usize = 1 << 16;

/// A text that is read piece by piece. Nothing in it has a destructor.
struct Text {
    start: *const c_char,
    bytes: usize,
    has_begun: bool,
}

impl Text {
    /// The next piece: first the space that keeps compiled code out, then the text; null at the end.
    fn next(&mut self, bytes: *mut usize) -> *const c_char {
        let (start, len) = if !std::mem::replace(&mut self.has_begun, true) {
            (c" ".as_ptr(), 1)
        } else if self.bytes == 0 {
            (ptr::null(), 0)
        } else {
            let len = self.bytes.min(PIECE_BYTES);
            let start = self.start;
            // SAFETY: so many bytes are left of the text.
            self.start = unsafe { start.add(len) };
            self.bytes -= len;
            (start, len)
        };
        // SAFETY: the compiler gives the address of a variable of its own.
        unsafe { *bytes = len };
        start
    }
}

unsafe extern "C-unwind" fn read_text(_raw: *mut lua_State, data: *mut c_void, bytes: *mut usize) -> *const c_char {
    // SAFETY: the data is the `Text` of the one that compiles, which outlives the call.
    unsafe { (*data.cast::<Text>()).next(bytes) }
}

/// Compiles a script's text, which may take long.
unsafe extern "C-unwind" fn read_text_slowly(
    raw: *mut lua_State,
    data: *mut c_void,
    bytes: *mut usize,
) -> *const c_char {
    // SAFETY: as above; nothing here has a destructor when an error is raised.
    unsafe {
        breathe_or_raise(raw);
        (*data.cast::<Text>()).next(bytes)
    }
}

impl Stack {
    /// Compiles a text and pushes the function, or else the error message, which is told by false.
    pub fn load(&mut self, code: &[u8], name: &str) -> bool {
        if code.len() > TEXT_MAX_BYTES {
            self.push_bytes(b"not enough memory");
            return false;
        }
        let name = CString::new(name).unwrap_or_default();
        let mut text = Text { start: code.as_ptr().cast(), bytes: code.len(), has_begun: false };
        // SAFETY: the texts outlive the call, which catches all errors; no script's code runs meanwhile.
        unsafe {
            let raw = self.raw();
            ffi::lua_pushstring_(raw, name.as_ptr());
            ffi::lua_gc(raw, ffi::LUA_GCSTOP, 0);
            let status = ffi::lua_load(raw, read_text, (&raw mut text).cast(), name.as_ptr());
            ffi::lua_gc(raw, ffi::LUA_GCRESTART, 0);
            ffi::lua_remove(raw, -2);
            status == ffi::LUA_OK
        }
    }
}

/// `loadstring`.
pub(super) unsafe extern "C-unwind" fn loadstring(raw: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this, with room on the stack. What is raised crosses nothing with a destructor; what is raised
    // while the collector rests is caught by `lua_load`.
    unsafe {
        let mut bytes = 0;
        let start = ffi::luaL_checklstring(raw, 1, &mut bytes);
        let name = ffi::luaL_optlstring(raw, 2, start, ptr::null_mut());
        ffi::lua_settop(raw, 2);
        ffi::lua_pushstring_(raw, name);
        let mut text = Text { start, bytes, has_begun: false };
        ffi::lua_gc(raw, ffi::LUA_GCSTOP, 0);
        let status = ffi::lua_load(raw, read_text_slowly, (&raw mut text).cast(), name);
        ffi::lua_gc(raw, ffi::LUA_GCRESTART, 0);
        give_loaded(raw, status)
    }
}

/// `load`: the text comes from a function of the script.
pub(super) unsafe extern "C-unwind" fn load(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let name = ffi::luaL_optlstring(raw, 2, c"=(load)".as_ptr(), ptr::null_mut());
        ffi::luaL_checktype(raw, 1, ffi::LUA_TFUNCTION);
        ffi::lua_settop(raw, 3);
        ffi::lua_pushstring_(raw, name);
        let mut has_begun = false;
        let status = ffi::lua_load(raw, read_function, (&raw mut has_begun).cast(), name);
        give_loaded(raw, status)
    }
}

/// The next piece of what a function gives; the piece is kept in the third place of the stack.
unsafe extern "C-unwind" fn read_function(raw: *mut lua_State, data: *mut c_void, bytes: *mut usize) -> *const c_char {
    // SAFETY: as above; the data is a boolean of `load`'s.
    unsafe {
        if !std::mem::replace(&mut *data.cast::<bool>(), true) {
            *bytes = 1;
            return c" ".as_ptr();
        }
        ffi::luaL_checkstack_(raw, 2, c"too many nested functions".as_ptr());
        ffi::lua_pushvalue(raw, 1);
        ffi::lua_call(raw, 0, 1);
        if ffi::lua_isnil(raw, -1) != 0 {
            *bytes = 0;
            return ptr::null();
        }
        if ffi::lua_isstring(raw, -1) == 0 {
            ffi::luaL_error(raw, c"reader function must return a string".as_ptr());
        }
        ffi::lua_replace(raw, 3);
        ffi::lua_tolstring(raw, 3, bytes)
    }
}

/// What both give: the function, or nil and the message.
unsafe fn give_loaded(raw: *mut lua_State, status: c_int) -> c_int {
    // SAFETY: the function or the message is on top.
    unsafe {
        if status == ffi::LUA_OK {
            return 1;
        }
        ffi::lua_pushnil(raw);
        ffi::lua_insert(raw, -2);
        2
    }
}
