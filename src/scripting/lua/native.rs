//! Native functions for scripts: the one place where an error is raised in Lua.

use std::ffi::c_int;

use mlua_sys::{
    lua_State, lua_error, lua_pushcclosure, lua_pushlightuserdata, lua_touserdata,
    lua_upvalueindex,
};

use super::control::control_of;
use super::stack::Stack;

/// Why a native function fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raise {
    /// With the value on top of the stack.
    Value,
    /// With a message, put behind the place in the script that called.
    Text(String),
    /// The same, without the place.
    Bare(String),
}

impl Raise {
    /// The error of an argument that is wrong, as Lua's own functions word it.
    pub fn argument(index: i32, function: &str, reason: &str) -> Raise {
        Raise::Text(format!(
            "bad argument #{index} to '{function}' ({reason})"
        ))
    }
}

/// How many results lie on the stack, or what is to be raised.
pub type Outcome = Result<i32, Raise>;

/// A native function: gets its arguments as the only values on the stack.
pub type Native = fn(&mut Stack) -> Outcome;

/// What the trampolines below return in place of a number of results when an error is to be raised.
const RAISED: c_int = -1;

impl Stack {
    /// Pushes a native function.
    pub fn push_native(&self, native: Native) {
        // SAFETY: there is room, as everybody who pushes sees to; the address of a function fits a light userdata.
        unsafe {
            lua_pushlightuserdata(self.raw(), native as *mut std::ffi::c_void);
            lua_pushcclosure(self.raw(), call_native, 1);
        }
    }

    /// Pushes a function that asks the host for a service.
    pub fn push_service(&self, service: u32) {
        // SAFETY: as above; the number is never used as an address.
        unsafe {
            lua_pushlightuserdata(self.raw(), service as usize as *mut std::ffi::c_void);
            lua_pushcclosure(self.raw(), call_service, 1);
        }
    }
}

unsafe extern "C-unwind" fn call_native(raw: *mut lua_State) -> c_int {
    // SAFETY: only `push_native` makes closures of this, with a native function as their one value. Nothing with
    // a destructor is alive when the error is raised.
    unsafe {
        let native: Native = std::mem::transmute(lua_touserdata(raw, lua_upvalueindex(1)));
        let count = guard(raw, native);
        if count == RAISED {
            lua_error(raw);
        }
        count
    }
}

unsafe extern "C-unwind" fn call_service(raw: *mut lua_State) -> c_int {
    // SAFETY: only `push_service` makes closures of this, with a number as their one value.
    unsafe {
        let service = lua_touserdata(raw, lua_upvalueindex(1)) as usize as u32;
        let count = guard(raw, |stack| match control_of(raw).host.get() {
            // SAFETY: the host lives while the script runs, and nobody else uses it meanwhile: it called the fiber.
            Some(mut host) => host.as_mut().serve(service, stack),
            None => Err(Raise::Text("no script is running".to_string())),
        });
        if count == RAISED {
            lua_error(raw);
        }
        count
    }
}

/// Runs native code without the memory limit; looks at it, and pushes the error to be raised, afterwards.
#[inline]
unsafe fn guard(raw: *mut lua_State, native: impl FnOnce(&mut Stack) -> Outcome) -> c_int {
    // SAFETY: the state is one of `Lua::new`'s.
    let (control, mut stack) = unsafe { (control_of(raw), Stack::new(raw)) };
    let was_exempt = control.exempt.replace(true);
    let outcome = native(&mut stack);
    let count = match outcome {
        Ok(_) if control.is_over_limit() => {
            stack.push_bytes(b"not enough memory");
            RAISED
        }
        Ok(count) => count,
        Err(error) => {
            raise(&stack, error);
            RAISED
        }
    };
    control.exempt.set(was_exempt);
    count
}

/// Leaves the error value on top of the stack.
pub(super) fn raise(stack: &Stack, error: Raise) {
    match error {
        Raise::Value => {}
        Raise::Text(text) => {
            let place = stack.place(1).map(|place| place.prefix());
            stack.push_bytes(format!("{}{text}", place.unwrap_or_default()).as_bytes());
        }
        Raise::Bare(text) => stack.push_bytes(text.as_bytes()),
    }
}
