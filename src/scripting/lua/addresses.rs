//! The addresses that `tostring` shows of tables, functions and coroutines: numbers that are handed out in the order in
//! which values are first shown, in the form of addresses. A real one differs from run to run, and what a script makes
//! of it ends up in replies and in what is propagated.
//!
//! A table with weak keys in the registry keeps the numbers: a value that is shown twice is shown alike, and is
//! collected as ever. The table is made when the first value is shown.

use std::ffi::{c_int, c_void};

use mlua_sys::{self as ffi, lua_State};

use super::behind::go_on;
use super::control::control_of;
use super::stack::Stack;

/// The key of the table of numbers in the registry.
static NUMBERS: u8 = 2;

/// The first address, and the distance between two: they look like those of a program's heap.
const FIRST: usize = 0x5555_5575_0000;
const DISTANCE: usize = 32;

/// Pushes the table of numbers.
unsafe fn push_numbers(raw: *mut lua_State) {
    // SAFETY: the caller has made sure that there is room; keys of the registry are never nil.
    unsafe {
        ffi::lua_pushlightuserdata(raw, (&raw const NUMBERS).cast_mut().cast());
        ffi::lua_rawget_(raw, ffi::LUA_REGISTRYINDEX);
        if ffi::lua_isnil(raw, -1) == 0 {
            return;
        }
        ffi::lua_settop(raw, -2);
        ffi::lua_createtable(raw, 0, 0);
        ffi::lua_createtable(raw, 0, 1);
        ffi::lua_pushlstring_(raw, c"k".as_ptr(), 1);
        ffi::lua_setfield(raw, -2, c"__mode".as_ptr());
        ffi::lua_setmetatable(raw, -2);
        ffi::lua_pushlightuserdata(raw, (&raw const NUMBERS).cast_mut().cast());
        ffi::lua_pushvalue(raw, -2);
        ffi::lua_rawset(raw, ffi::LUA_REGISTRYINDEX);
    }
}

/// The address that is shown of the value at a place, counted from the bottom.
///
/// # Safety
/// There is such a value, and nothing with a destructor is alive that an error of Lua's would leave behind.
unsafe fn shown_address(raw: *mut lua_State, index: c_int) -> usize {
    // SAFETY: the caller vouches for the place; there is room for what is pushed.
    unsafe {
        ffi::luaL_checkstack_(raw, 6, c"too many values".as_ptr());
        push_numbers(raw);
        ffi::lua_pushvalue(raw, index);
        ffi::lua_rawget_(raw, -2);
        let mut number = ffi::lua_tonumber(raw, -1) as usize;
        ffi::lua_settop(raw, -2);
        if number == 0 {
            let shown = &control_of(raw).shown_values;
            shown.set(shown.get() + 1);
            number = shown.get();
            ffi::lua_pushvalue(raw, index);
            ffi::lua_pushnumber(raw, number as f64);
            ffi::lua_rawset(raw, -3);
        }
        ffi::lua_settop(raw, -2);
        FIRST + number * DISTANCE
    }
}

/// `tostring`: Lua's own, but for values that it shows by their addresses.
pub(super) unsafe extern "C-unwind" fn to_string(raw: *mut lua_State) -> c_int {
    // SAFETY: nothing here has a destructor. The text takes a C string and a pointer, as the format says.
    unsafe {
        let kind = ffi::lua_type(raw, 1);
        let is_by_address = matches!(kind, ffi::LUA_TTABLE | ffi::LUA_TFUNCTION | ffi::LUA_TTHREAD);
        if !is_by_address || ffi::luaL_getmetafield_(raw, 1, c"__tostring".as_ptr()) != 0 {
            ffi::lua_settop(raw, 1.min(ffi::lua_gettop(raw)));
            return go_on(raw);
        }
        let address = std::ptr::without_provenance::<c_void>(shown_address(raw, 1));
        ffi::lua_pushfstring(raw, c"%s: %p".as_ptr(), ffi::lua_typename(raw, kind), address);
        1
    }
}

impl Stack {
    /// The address that scripts are shown of the value at a place.
    pub fn shown_address(&self, index: i32) -> usize {
        let index = self.absolute(index);
        assert!((1..=self.len()).contains(&index), "there is such a value");
        // SAFETY: it is one of the stack's values. While native code runs no allocation fails, so nothing is raised.
        unsafe { shown_address(self.raw(), index) }
    }
}
