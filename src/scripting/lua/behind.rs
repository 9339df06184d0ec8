//! Calling Lua's own functions from those that stand before them, and what lies behind proxies.

use std::ffi::c_int;

use mlua_sys::{self as ffi, lua_CFunction, lua_State};

/// Where a metatable says what is behind its proxy, and what scripts see in its place. No script can name such keys.
pub(super) static BEHIND: u8 = 0;

/// Elements that are moved or joined by Lua itself; more than these take long.
pub(super) const FEW: i64 = 1000;

/// Pushes what a hidden field of a value's metatable holds, unless there is none.
pub(super) unsafe fn push_hidden(raw: *mut lua_State, index: c_int, key: *const u8) -> bool {
    // SAFETY: functions have room for some values more than their arguments.
    unsafe {
        if ffi::lua_getmetatable(raw, index) == 0 {
            return false;
        }
        ffi::lua_pushlightuserdata(raw, key.cast_mut().cast());
        ffi::lua_rawget_(raw, -2);
        ffi::lua_remove(raw, -2);
        if ffi::lua_isnil(raw, -1) != 0 {
            ffi::lua_settop(raw, -2);
            return false;
        }
        true
    }
}

/// Calls the function itself, in place of the one that runs.
pub(super) unsafe fn go_on(raw: *mut lua_State) -> c_int {
    // SAFETY: only `wrap` makes closures of the functions below, with the address of a function as their first value.
    unsafe {
        let address = ffi::lua_touserdata(raw, ffi::lua_upvalueindex(1));
        let function: lua_CFunction = std::mem::transmute(address);
        function(raw)
    }
}

/// Puts what is behind a proxy in the place of the first argument.
pub(super) unsafe fn look_behind(raw: *mut lua_State) {
    // SAFETY: as above.
    unsafe {
        if push_hidden(raw, 1, &raw const BEHIND) {
            ffi::lua_replace(raw, 1);
        }
    }
}
