//! How a script is interrupted without counting its instructions, which takes LuaJIT's interpreter as long again: the signal of
//! `sys::alarm` sets the hook, as LuaJIT's own program does when it is interrupted, and the hook takes itself away.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{Ordering, compiler_fence};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::control::hook;

thread_local! {
    /// The state that a signal on this thread interrupts; none while its hooks are being set.
    static RUNNING: Cell<*mut lua_State> = const { Cell::new(ptr::null_mut()) };
}

/// From now on signals interrupt this state, or none.
pub(super) fn watch(raw: Option<*mut lua_State>) {
    compiler_fence(Ordering::SeqCst);
    RUNNING.set(raw.unwrap_or(ptr::null_mut()));
    compiler_fence(Ordering::SeqCst);
}

/// What is done at a signal: the next instruction of the script that runs calls the hook.
pub(super) fn ring() -> bool {
    let raw = RUNNING.get();
    if raw.is_null() {
        return false;
    }
    // SAFETY: the state is alive, and this thread is somewhere in `Lua::run`, but not where hooks are set. Setting one allocates nothing and
    // changes only what the interpreter reads anew at each instruction.
    unsafe {
        ffi::lua_sethook(raw, Some(hook), ffi::LUA_MASKCOUNT, 1);
    }
    true
}

/// Sets the hook of the state that runs anew: every so many instructions, or not at all if that is 0.
///
/// # Safety
/// The state, or the coroutine of one, is alive and runs on this thread.
pub(super) unsafe fn rehook(raw: *mut lua_State, instructions: c_int) {
    // Not this coroutine: it may be gone at the next signal.
    let watched = RUNNING.get();
    watch(None);
    // SAFETY: as the caller promises; no signal interferes.
    unsafe {
        if instructions == 0 {
            ffi::lua_sethook(raw, None, 0, 0);
        } else {
            ffi::lua_sethook(raw, Some(hook), ffi::LUA_MASKCOUNT, instructions);
        }
    }
    watch((!watched.is_null()).then_some(watched));
}
