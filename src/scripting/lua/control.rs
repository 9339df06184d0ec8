//! What a Lua state shares with the native code that it calls: the memory it may use, its host, and when to stop.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use corosensei::Yielder;
use mlua_sys::{lua_Debug, lua_State, lua_error, lua_getallocf, lua_gethookcount, lua_gethookmask, lua_sethook};

use crate::base::clock::Ticks;

use super::pace::Pace;
use super::progress::Progress;
use super::raise::{Outcome, Raise, raise};
use super::stack::Stack;

/// What the pause and the steps of Lua's collector are to begin with, in percent.
const COLLECTOR_PERCENT: c_int = 200;

/// Alignment of Lua's blocks, in bytes.
const ALIGNMENT: usize = 16;

/// What serves a script while it runs.
pub trait Host {
    /// Carries out one of the services that were given to scripts as functions. Its arguments are on the stack.
    ///
    /// Errors: what is to be raised in the script.
    fn serve(&mut self, service: u32, stack: &mut Stack) -> Outcome;

    /// Where lines are followed: asks what is to be done at this moment. What is pushed is taken off again, but for
    /// what a call takes; the values below are the script's.
    ///
    /// Errors: what is to be raised in the script.
    fn follow(&mut self, _stack: &mut Stack, _moment: Moment) -> Result<HookAction, Raise> {
        Ok(HookAction::No)
    }
}

/// When a host that follows lines is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Another line begins, of the function that runs.
    Line(i32),
    /// Some thousand instructions have passed.
    Passed,
    /// The script stood still, and the loop lets it go on.
    Resumed,
    /// The function that was to be called has returned, or failed; its result or error is on top of the stack.
    Called(Progress),
}

/// What a script is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookAction {
    /// Go on.
    No,
    /// Stand still.
    Yes,
    /// Call the function below so many arguments, all on top of the stack, then ask again.
    Call(i32),
}

/// What the loop says to a fiber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Call the function that lies on the stack with so many arguments.
    Call(i32),
    /// Go on.
    Continue,
}

/// What a fiber says to the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Returned,
    Failed,
    Paused,
}

/// The state that Lua's allocator, its hooks and its native functions work with.
pub(super) struct Control {
    /// Bytes allocated, and the most there may be.
    pub used_bytes: Cell<usize>,
    pub limit_bytes: Cell<usize>,
    /// Whether the limit does not apply: native code runs.
    pub exempt: Cell<bool>,
    pub host: Cell<Option<NonNull<dyn Host>>>,
    pub yielder: Cell<Option<NonNull<Yielder<Order, Event>>>>,
    pub ticks: RefCell<Option<Ticks>>,
    /// When the script is to stand still; `u64::MAX` if never.
    pub deadline: Cell<u64>,
    /// How often the clock may yet be looked at before the script stands still, whatever it says.
    pub step_budget: Cell<u64>,
    /// How many instructions pass between two looks at the clock.
    pub pace: Pace,
    /// With which message the script is to end, wherever it is.
    pub killed: RefCell<Option<String>>,
    /// What scripts have set the pause and the steps of the collector to, which has no effect. In percent.
    pub collector: [Cell<c_int>; 2],
    /// Values of which an address was shown.
    pub shown_values: Cell<usize>,
    /// Whether a function that the host has asked for runs within the hook: its lines are not followed.
    pub is_within_hook: Cell<bool>,
}

impl Control {
    pub fn new(limit_bytes: usize) -> Box<Control> {
        Box::new(Control {
            used_bytes: Cell::new(0),
            limit_bytes: Cell::new(limit_bytes),
            exempt: Cell::new(true),
            host: Cell::new(None),
            yielder: Cell::new(None),
            ticks: RefCell::new(None),
            deadline: Cell::new(u64::MAX),
            step_budget: Cell::new(u64::MAX),
            pace: Pace::new(),
            killed: RefCell::new(None),
            collector: [Cell::new(COLLECTOR_PERCENT), Cell::new(COLLECTOR_PERCENT)],
            shown_values: Cell::new(0),
            is_within_hook: Cell::new(false),
        })
    }

    /// Whether more is allocated than may be.
    pub fn is_over_limit(&self) -> bool {
        self.used_bytes.get() > self.limit_bytes.get()
    }

    /// Whether the script has run for as long as it may for now.
    pub fn is_time_up(&self) -> bool {
        let step_budget = self.step_budget.get();
        self.step_budget.set(step_budget.saturating_sub(1));
        if step_budget == 0 {
            return true;
        }
        let ticks = self.ticks.borrow();
        let Some(ticks) = ticks.as_ref() else {
            return false;
        };
        let now = ticks.now();
        self.pace.look(ticks, now);
        let deadline = self.deadline.get();
        deadline != u64::MAX && now >= deadline
    }

    /// Switches to the loop; returns when the script is to go on.
    pub fn pause(&self) {
        if let Some(yielder) = self.yielder.get() {
            // SAFETY: the fiber sets the pointer before it calls Lua, and its yielder lives as long as the fiber. A
            // hook runs on the fiber, since Lua code runs nowhere else.
            unsafe { yielder.as_ref() }.suspend(Event::Paused);
        }
        self.pace.rest();
    }
}

/// The control of a state.
///
/// # Safety
/// The state was made by `Lua::new`, whose control outlives it.
#[inline]
pub(super) unsafe fn control_of<'a>(raw: *mut lua_State) -> &'a Control {
    let mut user: *mut c_void = ptr::null_mut();
    // SAFETY: the allocator's argument is the address of the control, as the caller promises.
    unsafe {
        lua_getallocf(raw, &mut user);
        &*user.cast::<Control>()
    }
}

/// Lua's allocator: that of the program, counted and limited.
pub(super) unsafe extern "C" fn allocate(
    user: *mut c_void,
    block: *mut c_void,
    old_bytes: usize,
    new_bytes: usize,
) -> *mut c_void {
    // SAFETY: `user` is the control (see `Lua::new`); Lua gives blocks back with the size they were asked for.
    unsafe {
        let control = &*user.cast::<Control>();
        let old_bytes = if block.is_null() { 0 } else { old_bytes };
        let used = control.used_bytes.get() - old_bytes + new_bytes;
        let layout = |bytes| Layout::from_size_align_unchecked(bytes, ALIGNMENT);
        if new_bytes == 0 {
            if !block.is_null() {
                dealloc(block.cast(), layout(old_bytes));
            }
            control.used_bytes.set(used);
            return ptr::null_mut();
        }
        let too_much = used > control.limit_bytes.get() && !control.exempt.get();
        if new_bytes > old_bytes && too_much || new_bytes > isize::MAX as usize / 2 {
            return ptr::null_mut();
        }
        let moved = if block.is_null() {
            alloc(layout(new_bytes))
        } else {
            realloc(block.cast(), layout(old_bytes), new_bytes)
        };
        if !moved.is_null() {
            control.used_bytes.set(used);
        }
        moved.cast()
    }
}

/// The hook that Lua calls every so many instructions, and at each line where lines are followed.
pub(super) unsafe extern "C-unwind" fn hook(raw: *mut lua_State, debug: *mut lua_Debug) {
    // SAFETY: Lua calls this with its own state, within a function of it and with room on the stack. `look` has
    // returned, and so dropped all it had, when an error is raised.
    unsafe {
        if look(raw, &*debug) {
            lua_error(raw);
        }
    }
}

/// What the hook does; tells whether the error on the stack is to be raised.
unsafe fn look(raw: *mut lua_State, debug: &lua_Debug) -> bool {
    // SAFETY: as for `hook`.
    let (control, mut stack) = unsafe { (control_of(raw), Stack::new(raw)) };
    let was_exempt = control.exempt.replace(true);
    let is_count = debug.event == mlua_sys::LUA_HOOKCOUNT;
    if is_count && control.killed.borrow().is_none() && control.is_time_up() {
        control.pause();
    }
    let mut raised = false;
    // SAFETY: as for `hook`.
    if unsafe { lua_gethookmask(raw) } & mlua_sys::LUA_MASKLINE != 0 && !control.is_within_hook.get() {
        let moment = match is_count {
            true => Moment::Passed,
            false => Moment::Line(debug.currentline),
        };
        raised = follow(control, &mut stack, moment);
    }
    if !raised && let Some(message) = &*control.killed.borrow() {
        stack.push_bytes(message.as_bytes());
        raised = true;
    }
    if is_count || raised {
        // A script that is to end is stopped at each instruction, so that nothing can catch that for good.
        let instructions = match &*control.killed.borrow() {
            Some(_) => 1,
            None => control.pace.instructions(),
        };
        // SAFETY: as for `hook`.
        unsafe {
            if lua_gethookcount(raw) != instructions {
                lua_sethook(raw, Some(hook), lua_gethookmask(raw), instructions);
            }
        }
    }
    control.exempt.set(was_exempt);
    raised
}

/// Does what the host says until the script is to go on; tells whether an error is to be raised.
fn follow(control: &Control, stack: &mut Stack, mut moment: Moment) -> bool {
    loop {
        if control.killed.borrow().is_some() {
            return false;
        }
        let Some(mut host) = control.host.get() else {
            return false;
        };
        // SAFETY: the host is the one of the run that is on, which changes while the script stands still; natives,
        // which use it too, are called only between two questions.
        let answer = unsafe { host.as_mut() }.follow(stack, moment);
        moment = match answer {
            Ok(HookAction::No) => return false,
            Ok(HookAction::Yes) => {
                control.pause();
                Moment::Resumed
            }
            Ok(HookAction::Call(arguments)) => {
                control.is_within_hook.set(true);
                let progress = stack.call_within_hook(arguments);
                control.is_within_hook.set(false);
                Moment::Called(progress)
            }
            Err(error) => {
                raise(stack, error);
                // Nothing catches it for good: neither a script nor its handlers of errors.
                let message = stack.bytes(-1).map(|text| String::from_utf8_lossy(text).into_owned());
                *control.killed.borrow_mut() = message;
                return true;
            }
        };
    }
}
