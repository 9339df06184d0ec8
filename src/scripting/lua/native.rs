//! Native functions for scripts: the one place where an error is raised in Lua.

use std::ffi::c_int;

use mlua_sys::{
    lua_State, lua_error, lua_insert, lua_pushcclosure, lua_pushlightuserdata, lua_pushvalue, lua_touserdata,
    lua_upvalueindex,
};

use super::control::control_of;
use super::raise::raise;
use super::stack::Stack;

pub use super::raise::{Outcome, Raise};

/// A native function: gets its arguments as the only values on the stack.
pub type Native = fn(&mut Stack) -> Outcome;

/// What a function in steps does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It returns so many results, all on top of the stack.
    Done(i32),
    /// It calls the function below so many arguments, all on top, which its one result replaces.
    Call(i32),
    /// It reads the field that is named on top of the table at a place, metamethods included; the value replaces the
    /// name.
    Read(i32),
}

/// What a function in steps keeps from one to the next; all zero at the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saved {
    pub stage: u32,
    pub numbers: [usize; 7],
}

/// A native function that calls functions of the script between its steps: so none of its own is under way when one
/// fails.
pub type Stepped = fn(&mut Stack, &mut Saved) -> Result<Step, Raise>;

/// What the trampolines below return in place of a number of results when an error is to be raised.
const RAISED: c_int = -1;

impl Stack {
    /// Pushes a native function.
    pub fn push_native(&self, native: Native) {
        // SAFETY: there is room: every caller that pushes ensures it; the address of a function fits a light userdata.
        unsafe {
            lua_pushlightuserdata(self.raw(), native as *mut std::ffi::c_void);
            lua_pushcclosure(self.raw(), call_native, 1);
        }
    }

    /// Pushes a native function in steps.
    pub fn push_stepped(&self, stepped: Stepped) {
        // SAFETY: as above.
        unsafe {
            lua_pushlightuserdata(self.raw(), stepped as *mut std::ffi::c_void);
            lua_pushcclosure(self.raw(), call_stepped, 1);
        }
    }

    /// Pushes a native function in steps that keeps the value on top, which is taken off, as its state.
    pub fn push_stepped_with_state(&mut self, stepped: Stepped) {
        // SAFETY: as above; the state is its second value.
        unsafe {
            lua_pushlightuserdata(self.raw(), stepped as *mut std::ffi::c_void);
            lua_insert(self.raw(), -2);
            lua_pushcclosure(self.raw(), call_stepped, 2);
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
        run_native(raw, native)
    }
}

/// Runs a native function as the one that Lua has called.
///
/// # Safety
/// Lua has called a function, and runs this in its place.
pub(super) unsafe fn run_native(raw: *mut lua_State, native: Native) -> c_int {
    // SAFETY: nothing with a destructor is alive when the error is raised.
    unsafe {
        let count = guard(raw, native);
        if count == RAISED {
            lua_error(raw);
        }
        count
    }
}

unsafe extern "C-unwind" fn call_stepped(raw: *mut lua_State) -> c_int {
    // SAFETY: only `push_stepped` makes closures of this. What calls leave behind when they fail has no destructor.
    unsafe {
        let stepped: Stepped = std::mem::transmute(lua_touserdata(raw, lua_upvalueindex(1)));
        let mut saved = Saved::default();
        loop {
            let mut step = Step::Done(0);
            let count = guard(raw, |stack| {
                step = stepped(stack, &mut saved)?;
                Ok(0)
            });
            if count == RAISED {
                lua_error(raw);
            }
            match step {
                Step::Done(results) => return results,
                Step::Call(arguments) => mlua_sys::lua_call(raw, arguments, 1),
                Step::Read(table) => mlua_sys::lua_gettable_(raw, table),
            }
        }
    }
}

/// For functions that take long and are no natives: lets the script stand still if its time is up, or raises what is to
/// end it.
///
/// # Safety
/// Lua has called a function, nothing of which has a destructor.
pub(super) unsafe fn breathe_or_raise(raw: *mut lua_State) {
    // SAFETY: as the caller promises; what `guard` works with is gone when the error is raised.
    unsafe {
        if guard(raw, |stack| stack.breathe().map(|()| 0)) == RAISED {
            lua_error(raw);
        }
    }
}

unsafe extern "C-unwind" fn call_service(raw: *mut lua_State) -> c_int {
    // SAFETY: only `push_service` makes closures of this, with a number as their one value.
    unsafe {
        let service = lua_touserdata(raw, lua_upvalueindex(1)) as usize as u32;
        let count = guard(raw, |stack| match control_of(raw).host.get() {
            // SAFETY: the host lives while the script runs, and has no other user meanwhile: it called the fiber.
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
            stack.truncate(0);
            stack.push_bytes(b"not enough memory");
            RAISED
        }
        Ok(count) => count,
        Err(error) => {
            // It may have filled the stack.
            if error != Raise::Value {
                stack.truncate(0);
            }
            raise(&stack, error);
            RAISED
        }
    };
    control.exempt.set(was_exempt);
    count
}
