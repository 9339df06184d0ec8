//! Native functions for scripts: the one place where an error is raised in Lua.

use std::ffi::c_int;

use mlua_sys::{
    lua_State, lua_error, lua_insert, lua_pushcclosure, lua_pushlightuserdata, lua_pushvalue, lua_touserdata,
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
    /// An argument is wrong: its number and why, worded as Lua's own functions do.
    Argument(i32, String),
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

/// What natives share with all else that runs on the fiber.
impl Stack {
    /// Pushes a native function that keeps the value on top, which is taken off, as its state.
    pub fn push_native_with_state(&mut self, native: Native) {
        // SAFETY: as for `push_native`; the state is its second value.
        unsafe {
            lua_pushlightuserdata(self.raw(), native as *mut std::ffi::c_void);
            lua_insert(self.raw(), -2);
            lua_pushcclosure(self.raw(), call_native, 2);
        }
    }

    /// Pushes the state of the native function that runs, nil if it has none.
    #[inline]
    pub fn push_state(&self) {
        // SAFETY: a place of values beyond those of the function is none, which is pushed as nil.
        unsafe { lua_pushvalue(self.raw(), lua_upvalueindex(2)) }
    }

    /// For natives that take long, now and then: lets the script stand still if its time is up.
    ///
    /// Errors: it is to end, or has taken too much memory.
    pub fn breathe(&self) -> Result<(), Raise> {
        // SAFETY: the state is one of `Lua::new`'s.
        let control = unsafe { control_of(self.raw()) };
        if control.killed.borrow().is_none() && control.is_time_up() {
            control.pause();
        }
        if let Some(message) = &*control.killed.borrow() {
            return Err(Raise::Bare(message.clone()));
        }
        if control.is_over_limit() {
            return Err(Raise::Bare("not enough memory".to_string()));
        }
        Ok(())
    }

    /// The most that the state may allocate, in bytes.
    pub fn memory_limit_bytes(&self) -> usize {
        // SAFETY: as above.
        unsafe { control_of(self.raw()) }.limit_bytes.get()
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
            let mut places = (1..3).map_while(|level| stack.place(level));
            let place = places.find(|place| place.source != super::INTERNAL).map(|place| place.prefix());
            stack.push_bytes(format!("{}{text}", place.unwrap_or_default()).as_bytes());
        }
        Raise::Bare(text) => stack.push_bytes(text.as_bytes()),
        Raise::Argument(index, reason) => {
            let text = argument_error(stack, index, &reason);
            raise(stack, Raise::Text(text));
        }
    }
}

/// The message about an argument of the native function that runs.
fn argument_error(stack: &Stack, index: i32, reason: &str) -> String {
    let (name, is_method) = stack.called_as();
    match (index, is_method) {
        (1, true) => format!("calling '{name}' on bad self ({reason})"),
        (index, true) => format!("bad argument #{} to '{name}' ({reason})", index - 1),
        (index, false) => format!("bad argument #{index} to '{name}' ({reason})"),
    }
}
