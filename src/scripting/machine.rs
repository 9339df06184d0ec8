//! A Lua state ready for scripts: sandbox, libraries, error handler.

use crate::base::clock::Ticks;

use super::dialect;
use super::failure;
use super::libraries;
use super::lua::{INTERNAL, Kind, Lua, Reference, Stack};
use super::service;

/// What the scripts of one state may allocate, in bytes, unless something else is said.
pub const MEMORY_MAX_BYTES: usize = 1 << 30;

/// The text that makes the sandbox.
const SANDBOX: &str = include_str!("sandbox.lua");

/// A state with its sandbox.
pub struct Engine {
    pub lua: Lua,
    /// The table of globals behind the proxy.
    globals: Reference,
    /// The one that is there while a library is loaded.
    loading: Reference,
    handler: Reference,
}

impl Engine {
    /// A state for scripts, which may allocate so much; none if there is no memory for it.
    pub fn new(memory_max_bytes: usize, ticks: Ticks) -> Option<Engine> {
        let mut lua = Lua::new(memory_max_bytes, ticks)?;
        let is_loaded = lua.load(SANDBOX.as_bytes(), INTERNAL);
        debug_assert!(is_loaded, "the sandbox compiles");
        let stack = lua.stack();
        push_natives(stack);
        lua.call_sandbox();
        let loading = lua.keep();
        let globals = lua.keep();
        lua.set_globals();
        lua.stack().push_native(failure::handle);
        let handler = lua.keep();
        lua.collect();
        Some(Engine { lua, globals, loading, handler })
    }

    /// Compiles a script or library and keeps its function.
    ///
    /// Errors: the compiler's message.
    pub fn compile(&mut self, code: &[u8], name: &str) -> Result<Reference, String> {
        let code = dialect::translate(code).map_err(|(line, message)| {
            let name = name.trim_start_matches('@');
            format!("{name}:{line}: {message}")
        })?;
        if self.lua.load(&code, name) {
            return Ok(self.lua.keep());
        }
        let stack = self.lua.stack();
        let message = stack.bytes(-1).map(failure::lossy).unwrap_or_default();
        stack.pop(1);
        Err(message)
    }

    /// Sets a global to a table of strings.
    pub fn set_global_list<'a>(&mut self, name: &[u8], strings: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.lua.push_kept(&self.globals);
        let stack = self.lua.stack();
        push_list(stack, strings);
        stack.set_field(-2, name);
        stack.pop(1);
    }

    /// Whether what is read of the globals is what a library has while it is loaded.
    pub fn set_loading(&mut self, is_loading: bool) {
        let behind = if is_loading { self.loading } else { self.globals };
        self.lua.push_globals();
        let has_metatable = self.lua.stack().push_metatable(-1);
        debug_assert!(has_metatable, "the globals are behind a proxy");
        self.lua.push_kept(&behind);
        let stack = self.lua.stack();
        stack.set_field(-2, b"__index");
        stack.pop(2);
    }

    /// The table of globals that scripts see.
    pub fn globals(&self) -> Reference {
        self.globals
    }

    /// Pushes the error handler and above it a function, as a call wants them.
    pub fn push_call(&mut self, function: &Reference) {
        self.lua.stack().truncate(0);
        self.lua.push_kept(&self.handler);
        self.lua.push_kept(function);
    }
}

/// Pushes a table of strings.
pub fn push_list<'a>(stack: &mut Stack, strings: impl ExactSizeIterator<Item = &'a [u8]>) {
    stack.push_table(strings.len(), 0);
    let table = stack.len();
    for (index, string) in strings.enumerate() {
        stack.push_bytes(string);
        stack.set_element(table, index as i32 + 1);
    }
}

/// Pushes the table of native functions and libraries that the sandbox takes.
fn push_natives(stack: &mut Stack) {
    stack.push_table(0, 3);
    stack.push_service(service::Service::Random as u32);
    stack.set_field(-2, b"random");
    stack.push_service(service::Service::RandomSeed as u32);
    stack.set_field(-2, b"randomseed");
    stack.push_table(0, 4);
    service::push_table(stack);
    stack.set_field(-2, b"redis");
    libraries::set_tables(stack);
    stack.set_field(-2, b"libraries");
    libraries::push_searches(stack);
    stack.set_field(-2, b"searches");
    service::push_loading_table(stack);
    stack.set_field(-2, b"loading");
    debug_assert_eq!(stack.kind(-1), Kind::Table);
}
