//! Functions of `table` that call functions, where Lua's own could not be stopped: `sort` where it compares many values
//! by itself or by a function of C, and `foreach`. They look at the clock as they go.
//!
//! The sort is the same quicksort, by the median of three: values that compare as equal end up in the same order.

use std::ffi::c_int;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::behind::{FEW, go_on, look_behind};
use super::native::breathe_or_raise;

/// Comparisons, or calls, between two looks at the clock.
const CALLS_PER_LOOK: u32 = 4096;

/// `table.foreach`: calls a function with each key and value until it gives something.
pub(super) unsafe extern "C-unwind" fn foreach(raw: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this, with room for more values than are pushed here. Nothing has a destructor where an error
    // is raised, as in all functions below.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        ffi::luaL_checktype(raw, 2, ffi::LUA_TFUNCTION);
        look_behind(raw);
        let mut calls = 0u32;
        ffi::lua_pushnil(raw);
        while ffi::lua_next(raw, 1) != 0 {
            ffi::lua_pushvalue(raw, 2);
            ffi::lua_pushvalue(raw, -3);
            ffi::lua_pushvalue(raw, -3);
            if is_given(raw, &mut calls) {
                return 1;
            }
            ffi::lua_settop(raw, -3);
        }
        0
    }
}

/// `table.foreachi`: the same with the elements up to the length.
pub(super) unsafe extern "C-unwind" fn foreachi(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        let count = ffi::lua_objlen(raw, 1) as c_int;
        ffi::luaL_checktype(raw, 2, ffi::LUA_TFUNCTION);
        let mut calls = 0u32;
        for index in 1..=count {
            ffi::lua_pushvalue(raw, 2);
            ffi::lua_pushinteger(raw, i64::from(index));
            ffi::lua_rawgeti_(raw, 1, index);
            if is_given(raw, &mut calls) {
                return 1;
            }
            ffi::lua_settop(raw, -2);
        }
        0
    }
}

/// Calls the function below the two arguments on top, which its result replaces; tells whether that is not nil.
unsafe fn is_given(raw: *mut lua_State, calls: &mut u32) -> bool {
    // SAFETY: as above.
    unsafe {
        *calls = calls.wrapping_add(1);
        if calls.is_multiple_of(CALLS_PER_LOOK) {
            breathe_or_raise(raw);
        }
        ffi::lua_call(raw, 2, 1);
        ffi::lua_isnil(raw, -1) == 0
    }
}

/// `table.sort`.
pub(super) unsafe extern "C-unwind" fn sort(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let is_table = ffi::lua_type(raw, 1) == ffi::LUA_TTABLE;
        let is_slow = match ffi::lua_type(raw, 2) {
            ffi::LUA_TNONE | ffi::LUA_TNIL => true,
            ffi::LUA_TFUNCTION => ffi::lua_iscfunction(raw, 2) != 0,
            _ => false,
        };
        if !is_table || !is_slow || ffi::lua_objlen(raw, 1) as i64 <= FEW {
            return go_on(raw);
        }
        let count = ffi::lua_objlen(raw, 1) as c_int;
        ffi::lua_settop(raw, 2);
        let mut sorter = Sorter { raw, comparisons: 0 };
        sorter.sort(1, count);
        0
    }
}

struct Sorter {
    raw: *mut lua_State,
    comparisons: u32,
}

impl Sorter {
    unsafe fn push(&self, index: c_int) {
        // SAFETY: the first argument is a table.
        unsafe { ffi::lua_rawgeti_(self.raw, 1, index) }
    }

    unsafe fn pop(&self, count: c_int) {
        // SAFETY: there are so many.
        unsafe { ffi::lua_settop(self.raw, -count - 1) }
    }

    /// Puts the top into one place and what is below it into the other.
    unsafe fn put(&self, first: c_int, second: c_int) {
        // SAFETY: as above.
        unsafe {
            ffi::lua_rawseti_(self.raw, 1, first);
            ffi::lua_rawseti_(self.raw, 1, second);
        }
    }

    /// Whether one value on the stack belongs before another.
    unsafe fn is_less(&mut self, left: c_int, right: c_int) -> bool {
        self.comparisons += 1;
        // SAFETY: as for `sort`.
        unsafe {
            if self.comparisons.is_multiple_of(CALLS_PER_LOOK) {
                breathe_or_raise(self.raw);
            }
            if ffi::lua_isnil(self.raw, 2) != 0 {
                return ffi::lua_lessthan(self.raw, left, right) != 0;
            }
            ffi::lua_pushvalue(self.raw, 2);
            ffi::lua_pushvalue(self.raw, left - 1);
            ffi::lua_pushvalue(self.raw, right - 2);
            ffi::lua_call(self.raw, 2, 1);
            let is_less = ffi::lua_toboolean(self.raw, -1) != 0;
            self.pop(1);
            is_less
        }
    }

    unsafe fn sort(&mut self, mut low: c_int, mut high: c_int) {
        // SAFETY: as for `sort`; what is pushed is taken off again.
        unsafe {
            while low < high {
                let Some(middle) = self.order_three(low, high) else {
                    return;
                };
                let place = self.part(low, middle, high);
                // The smaller part by another call, so that there are few within each other.
                if place - low < high - place {
                    self.sort(low, place - 1);
                    low = place + 1;
                } else {
                    self.sort(place + 1, high);
                    high = place - 1;
                }
            }
        }
    }

    /// Brings the ends and the middle into order; gives the middle, or nothing if that was all.
    unsafe fn order_three(&mut self, low: c_int, high: c_int) -> Option<c_int> {
        // SAFETY: as above.
        unsafe {
            self.push(low);
            self.push(high);
            if self.is_less(-1, -2) {
                self.put(low, high);
            } else {
                self.pop(2);
            }
            if high - low == 1 {
                return None;
            }
            let middle = (low + high) / 2;
            self.push(middle);
            self.push(low);
            if self.is_less(-2, -1) {
                self.put(middle, low);
            } else {
                self.pop(1);
                self.push(high);
                if self.is_less(-1, -2) {
                    self.put(middle, high);
                } else {
                    self.pop(2);
                }
            }
            (high - low > 2).then_some(middle)
        }
    }

    /// Parts what is between the ends in two around the value in the middle; gives where that comes to lie.
    unsafe fn part(&mut self, low: c_int, middle: c_int, high: c_int) -> c_int {
        // SAFETY: as above.
        unsafe {
            self.push(middle);
            ffi::lua_pushvalue(self.raw, -1);
            self.push(high - 1);
            self.put(middle, high - 1);
            let (mut left, mut right) = (low, high - 1);
            loop {
                loop {
                    left += 1;
                    self.push(left);
                    if !self.is_less(-1, -2) {
                        break;
                    }
                    if left > high {
                        self.complain();
                    }
                    self.pop(1);
                }
                loop {
                    right -= 1;
                    self.push(right);
                    if !self.is_less(-3, -1) {
                        break;
                    }
                    if right < low {
                        self.complain();
                    }
                    self.pop(1);
                }
                if right < left {
                    self.pop(3);
                    break;
                }
                self.put(left, right);
            }
            self.push(high - 1);
            self.push(left);
            self.put(high - 1, left);
            left
        }
    }

    unsafe fn complain(&self) {
        // SAFETY: as above.
        unsafe {
            ffi::luaL_error(self.raw, c"invalid order function for sorting".as_ptr());
        }
    }
}
