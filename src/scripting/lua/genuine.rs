//! Functions of Lua's own libraries with something in front of them. Lua 5.1 knows no tables that cannot be changed, of
//! which Redis's copy makes much: here what scripts share lies behind proxies, empty tables whose metatables read what
//! is behind them and refuse to write; what goes around metatables is taught about them. And some functions would take
//! too long, or too much, where nothing could stop them.
//!
//! What is called in the end is Lua's own function, with the script's own arguments and in the place of this one: so
//! results, messages and the places in them are Lua's.

use super::behind::{BEHIND, FEW, go_on, look_behind, push_hidden};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::{lua_CFunction, lua_State};

use crate::base::tape;

use super::control::control_of;
use super::native::run_native;
use super::stack::{Kind, Stack};
use super::{Native, addresses, load, tables};

/// What an attempt to change a proxy, or what is behind it, ends with.
const READ_ONLY: &CStr = c"Attempt to modify a readonly table";

static SHOWN: u8 = 1;

/// What goes before a function of Lua's.
#[derive(Clone, Copy, Debug)]
pub enum Wrapped {
    /// Reads a table: reads what is behind a proxy.
    Read,
    /// Takes the place of `next`.
    Pairs,
    RawSet,
    SetMetatable,
    GetMetatable,
    Insert(Native),
    Remove(Native),
    Concat(Native),
    Sort,
    ForEach,
    ForEachI,
    Unpack,
    Collect,
    ProtectedCall,
    ProtectedCallHandled,
    Load,
    LoadString,
    ToString,
}

impl Stack {
    /// Replaces the function on top, one of Lua's own, by one with this before it.
    pub fn wrap(&mut self, wrapped: Wrapped) {
        debug_assert_eq!(self.kind(-1), Kind::Function);
        let raw = self.raw();
        let function: lua_CFunction = match wrapped {
            Wrapped::Read => read,
            Wrapped::Pairs => pairs,
            Wrapped::RawSet => raw_set,
            Wrapped::SetMetatable => set_metatable,
            Wrapped::GetMetatable => get_metatable,
            Wrapped::Insert(_) => insert,
            Wrapped::Remove(_) => remove,
            Wrapped::Concat(_) => concat,
            Wrapped::Sort => tables::sort,
            Wrapped::ForEach => tables::foreach,
            Wrapped::ForEachI => tables::foreachi,
            Wrapped::Unpack => unpack,
            Wrapped::Collect => collect,
            Wrapped::ProtectedCall => protected_call,
            Wrapped::ProtectedCallHandled => protected_call_handled,
            Wrapped::Load => load::load,
            Wrapped::LoadString => load::loadstring,
            Wrapped::ToString => addresses::to_string,
        };
        let native = match wrapped {
            Wrapped::Insert(native) | Wrapped::Remove(native) | Wrapped::Concat(native) => native as *mut c_void,
            _ => ptr::null_mut(),
        };
        // SAFETY: the top is a function of C, whose address fits a light userdata, as a native's does.
        unsafe {
            let genuine = ffi::lua_tocfunction(raw, -1).map_or(ptr::null_mut(), |function| function as *mut c_void);
            if matches!(wrapped, Wrapped::Pairs) {
                // In its place `next`, as it is, and as it reads proxies.
                self.push_copy(-1);
                self.wrap(Wrapped::Read);
            } else {
                ffi::lua_settop(raw, -2);
                ffi::lua_pushlightuserdata(raw, genuine);
                ffi::lua_pushlightuserdata(raw, native);
            }
            ffi::lua_pushcclosure(raw, function, 2);
        }
    }

    /// Replaces the table on top by its proxy. Scripts see no metatable of it.
    pub fn protect(&mut self) {
        let raw = self.raw();
        // SAFETY: there is room: every caller that pushes ensures it. The top is a table, and no key is nil.
        unsafe {
            ffi::lua_createtable(raw, 0, 0);
            ffi::lua_createtable(raw, 0, 4);
            self.push_copy(-3);
            self.set_field(-2, b"__index");
            ffi::lua_pushcclosure(raw, refuse, 0);
            self.set_field(-2, b"__newindex");
            ffi::lua_pushlightuserdata(raw, (&raw const BEHIND).cast_mut().cast());
            self.push_copy(-4);
            ffi::lua_rawset(raw, -3);
            ffi::lua_pushlightuserdata(raw, (&raw const SHOWN).cast_mut().cast());
            self.push_bool(false);
            ffi::lua_rawset(raw, -3);
            ffi::lua_setmetatable(raw, -2);
            ffi::lua_remove(raw, -2);
        }
    }

    /// Scripts see the value on top, which is taken off, as the metatable of the value at a place.
    pub fn show_as_metatable(&mut self, index: i32) {
        let index = self.absolute(index);
        let has_metatable = self.push_metatable(index);
        debug_assert!(has_metatable);
        // SAFETY: the top is the metatable, and below it is what is to be seen.
        unsafe {
            let raw = self.raw();
            ffi::lua_insert(raw, -2);
            ffi::lua_pushlightuserdata(raw, (&raw const SHOWN).cast_mut().cast());
            ffi::lua_insert(raw, -2);
            ffi::lua_rawset(raw, -3);
            ffi::lua_settop(raw, -2);
        }
    }

    /// Takes the table on top off and makes it the metatable of the value below it.
    pub fn set_metatable(&mut self) {
        debug_assert_eq!(self.kind(-1), Kind::Table);
        // SAFETY: the top is a table, below it is a value.
        unsafe {
            ffi::lua_setmetatable(self.raw(), -2);
        }
    }
}

/// Whether the first argument is a proxy.
unsafe fn is_proxy(raw: *mut lua_State) -> bool {
    // SAFETY: as for `push_hidden`.
    unsafe {
        let is_proxy = push_hidden(raw, 1, &raw const BEHIND);
        if is_proxy {
            ffi::lua_settop(raw, -2);
        }
        is_proxy
    }
}

/// Calls the native function that stands for it where it would take long.
unsafe fn go_slowly(raw: *mut lua_State) -> c_int {
    // SAFETY: as above; the second value of these is a native function.
    unsafe {
        let address = ffi::lua_touserdata(raw, ffi::lua_upvalueindex(2));
        run_native(raw, std::mem::transmute::<*mut c_void, Native>(address))
    }
}

/// What changes a proxy.
unsafe extern "C-unwind" fn refuse(raw: *mut lua_State) -> c_int {
    // SAFETY: nothing here has a destructor, as in all functions below.
    unsafe { ffi::luaL_error(raw, c"%s".as_ptr(), READ_ONLY.as_ptr()) }
}

/// The same within a function of Lua's, of which messages do not name the place.
unsafe fn refuse_within(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::lua_pushstring_(raw, READ_ONLY.as_ptr());
        ffi::lua_error(raw)
    }
}

unsafe extern "C-unwind" fn read(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        look_behind(raw);
        go_on(raw)
    }
}

/// As Lua's own, whose first value is `next`; what is behind a proxy is never given to scripts.
unsafe extern "C-unwind" fn pairs(raw: *mut lua_State) -> c_int {
    // SAFETY: as above; the two functions named `next` are its values.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        let next = if is_proxy(raw) { 2 } else { 1 };
        ffi::lua_pushvalue(raw, ffi::lua_upvalueindex(next));
        ffi::lua_pushvalue(raw, 1);
        ffi::lua_pushnil(raw);
        3
    }
}

unsafe extern "C-unwind" fn raw_set(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_gettop(raw) >= 3 && is_proxy(raw) {
            return refuse_within(raw);
        }
        go_on(raw)
    }
}

unsafe extern "C-unwind" fn set_metatable(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let is_fit = matches!(ffi::lua_type(raw, 2), ffi::LUA_TNIL | ffi::LUA_TTABLE);
        if is_fit && is_proxy(raw) {
            return refuse_within(raw);
        }
        go_on(raw)
    }
}

unsafe extern "C-unwind" fn get_metatable(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::lua_checkstack(raw, 3);
        if ffi::lua_gettop(raw) > 0 && push_hidden(raw, 1, &raw const SHOWN) {
            if ffi::lua_toboolean(raw, -1) == 0 {
                ffi::lua_pushnil(raw);
            }
            return 1;
        }
        go_on(raw)
    }
}

/// An argument as C's `int`, as Lua cuts it down.
unsafe fn integer(raw: *mut lua_State, index: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { ffi::luaL_checkinteger(raw, index) as c_int }
}

unsafe extern "C-unwind" fn insert(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let count = ffi::lua_gettop(raw);
        if !matches!(count, 2 | 3) || ffi::lua_type(raw, 1) != ffi::LUA_TTABLE {
            return go_on(raw);
        }
        if count == 3 {
            let position = i64::from(integer(raw, 2));
            if ffi::lua_objlen(raw, 1) as i64 - position > FEW {
                return go_slowly(raw);
            }
        }
        if is_proxy(raw) {
            return refuse_within(raw);
        }
        go_on(raw)
    }
}

unsafe extern "C-unwind" fn remove(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let is_fit = ffi::lua_type(raw, 1) == ffi::LUA_TTABLE && ffi::lua_isnumber(raw, 2) != 0;
        if is_fit && ffi::lua_objlen(raw, 1) as i64 - i64::from(integer(raw, 2)) > FEW {
            return go_slowly(raw);
        }
        go_on(raw)
    }
}

unsafe extern "C-unwind" fn concat(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let is_fit = ffi::lua_type(raw, 1) == ffi::LUA_TTABLE;
        if is_fit && ffi::lua_objlen(raw, 1) as i64 > FEW {
            return go_slowly(raw);
        }
        go_on(raw)
    }
}

/// Counts the values without running over (CVE-2025-46817).
unsafe extern "C-unwind" fn unpack(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        let first = ffi::luaL_optinteger(raw, 2, 1) as c_int;
        let last = match ffi::lua_type(raw, 3) {
            ffi::LUA_TNIL | ffi::LUA_TNONE => ffi::lua_objlen(raw, 1) as c_int,
            _ => integer(raw, 3),
        };
        if first <= last && i64::from(last) - i64::from(first) >= i64::from(c_int::MAX) {
            return ffi::luaL_error(raw, c"too many results to unpack".as_ptr());
        }
        go_on(raw)
    }
}

/// The pace of the collection is the server's own matter: what would change it only says what it was set to before.
unsafe extern "C-unwind" fn collect(raw: *mut lua_State) -> c_int {
    const OPTIONS: [*const c_char; 8] = [
        c"stop".as_ptr(),
        c"restart".as_ptr(),
        c"setpause".as_ptr(),
        c"setstepmul".as_ptr(),
        c"collect".as_ptr(),
        c"count".as_ptr(),
        c"step".as_ptr(),
        ptr::null(),
    ];
    // SAFETY: as above; the list ends with null.
    unsafe {
        let option = ffi::luaL_checkoption(raw, 1, c"collect".as_ptr(), OPTIONS.as_ptr().cast());
        let number = ffi::luaL_optinteger(raw, 2, 0) as c_int;
        let before = match option {
            0 | 1 => 0,
            2 | 3 => control_of(raw).collector[option as usize - 2].replace(number),
            5 => {
                ffi::lua_pushnumber(raw, counted_bytes(raw) as f64 / 1024.0);
                return 1;
            }
            6 => {
                let is_cycle_over = ffi::lua_gc(raw, ffi::LUA_GCSTEP, number) != 0;
                ffi::lua_pushboolean(raw, tape::pass(tape::Kind::Memory, || is_cycle_over).into());
                return 1;
            }
            _ => return go_on(raw),
        };
        ffi::lua_pushnumber(raw, f64::from(before));
        1
    }
}

/// What the collector counts, in bytes. A recording holds it, as it holds `Lua::used_bytes`.
unsafe fn counted_bytes(raw: *mut lua_State) -> usize {
    // SAFETY: the caller's state; asking raises nothing.
    let (kilobytes, rest) = unsafe { (ffi::lua_gc(raw, ffi::LUA_GCCOUNT, 0), ffi::lua_gc(raw, ffi::LUA_GCCOUNTB, 0)) };
    tape::pass(tape::Kind::Memory, || kilobytes as usize * 1024 + rest as usize)
}

/// `pcall`. An error reply that is raised is a table; a script that catches one gets its text.
unsafe extern "C-unwind" fn protected_call(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let count = ffi::lua_gettop(raw);
        ffi::lua_pushboolean(raw, 1);
        ffi::lua_insert(raw, 1);
        let status = match count {
            // Redis calls what it has pushed itself then.
            0 => {
                ffi::lua_pushboolean(raw, 1);
                ffi::lua_pcall(raw, 0, ffi::LUA_MULTRET, 0)
            }
            _ => ffi::lua_pcall(raw, count - 1, ffi::LUA_MULTRET, 0),
        };
        if status != ffi::LUA_OK {
            ffi::luaL_checkstack_(raw, 2, c"too many arguments".as_ptr());
            ffi::lua_remove(raw, 1);
            if ffi::lua_type(raw, -1) == ffi::LUA_TTABLE {
                ffi::lua_getfield_(raw, -1, c"err".as_ptr());
                if ffi::lua_isstring(raw, -1) != 0 {
                    ffi::lua_replace(raw, -2);
                }
            }
            ffi::lua_pushboolean(raw, 0);
            ffi::lua_insert(raw, 1);
        }
        ffi::lua_gettop(raw)
    }
}

/// `xpcall`. What the hook raises, which ends the script, is not for its handler: no hook could stop that.
unsafe extern "C-unwind" fn protected_call_handled(raw: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::luaL_checkany(raw, 2);
        ffi::lua_settop(raw, 2);
        if ffi::lua_type(raw, 2) == ffi::LUA_TFUNCTION {
            ffi::lua_pushcclosure(raw, handle, 1);
        }
        ffi::lua_insert(raw, 1);
        let status = ffi::lua_pcall(raw, 0, ffi::LUA_MULTRET, 1);
        // The results may have left no room, of which Lua's own takes no care.
        ffi::luaL_checkstack_(raw, 1, c"too many results".as_ptr());
        ffi::lua_pushboolean(raw, c_int::from(status == ffi::LUA_OK));
        ffi::lua_replace(raw, 1);
        ffi::lua_gettop(raw)
    }
}

unsafe extern "C-unwind" fn handle(raw: *mut lua_State) -> c_int {
    // SAFETY: as above; the one value of this closure is the script's handler.
    unsafe {
        if control_of(raw).killed.borrow().is_some() {
            return 1;
        }
        ffi::lua_pushvalue(raw, ffi::lua_upvalueindex(1));
        ffi::lua_insert(raw, 1);
        ffi::lua_call(raw, 1, 1);
        1
    }
}
