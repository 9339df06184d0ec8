//! A Lua state ready for scripts: sandbox, libraries, error handler.

use crate::base::clock::Ticks;

use super::failure;
use super::libraries;
use super::lua::{Kind, Lua, Native, Outcome, Raise, Reference, Stack, Wrapped};
use super::numbers::format_short;
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
    /// Programs compiled since garbage was last collected for their sake.
    compiled: i32,
}

/// After so many compiled programs garbage is collected, a KiB for each: what the compiler leaves behind would
/// otherwise pile up, since programs that are only loaded allocate nothing.
const COMPILED_MAX: i32 = 50;

impl Engine {
    /// A state for programs of a kind, which may allocate so much; none if there is no memory for it.
    pub fn new(kind: super::Kind, memory_max_bytes: usize, ticks: Ticks) -> Option<Engine> {
        let mut lua = Lua::new(memory_max_bytes, ticks)?;
        let (handler, shown_handler) = make_handlers(&mut lua);
        let is_loaded = lua.load(SANDBOX.as_bytes(), "=sandbox");
        debug_assert!(is_loaded, "the sandbox compiles");
        let stack = lua.stack();
        push_natives(stack, kind);
        if kind == super::Kind::Script {
            stack.push_kept(&shown_handler);
            stack.set_field(-2, b"handler");
        }
        lua.call_setup();
        let loading = lua.keep();
        let globals = lua.keep();
        lua.set_globals();
        lua.release(shown_handler);
        lua.collect();
        Some(Engine { lua, globals, loading, handler, compiled: 0 })
    }

    /// Compiles a script or library and keeps its function.
    ///
    /// Errors: the compiler's message.
    pub fn compile(&mut self, code: &[u8], name: &str) -> Result<Reference, Vec<u8>> {
        self.compiled += 1;
        if self.compiled == COMPILED_MAX {
            self.compiled = 0;
            self.lua.collect_some(COMPILED_MAX);
        }
        if self.lua.load(code, name) {
            return Ok(self.lua.keep());
        }
        let stack = self.lua.stack();
        let message = stack.bytes(-1).unwrap_or_default().to_vec();
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

/// The handler of errors, and the one that scripts find: theirs leaves the table as it is.
fn make_handlers(lua: &mut Lua) -> (Reference, Reference) {
    let is_loaded = lua.load(failure::HANDLER.as_bytes(), "@err_handler_def");
    debug_assert!(is_loaded, "the handler compiles");
    lua.stack().push_nil();
    lua.call_setup();
    let stack = lua.stack();
    stack.pop(1);
    stack.push_stepped_with_state(failure::handle);
    let handler = stack.keep();
    stack.push_stepped_with_state(failure::handle);
    let shown_handler = stack.keep();
    (handler, shown_handler)
}

/// Pushes a table of strings, made as Redis makes it: without room.
pub fn push_list<'a>(stack: &mut Stack, strings: impl ExactSizeIterator<Item = &'a [u8]>) {
    stack.push_table(0, 0);
    let table = stack.len();
    for (index, string) in strings.enumerate() {
        stack.push_bytes(string);
        stack.set_element(table, index as i32 + 1);
    }
}

/// Pushes the table of native functions and libraries that the sandbox takes.
fn push_natives(stack: &mut Stack, kind: super::Kind) {
    const NATIVES: &[(&[u8], Native)] = &[
        (b"wrap", wrap),
        (b"protect", protect),
        (b"show", show),
        (b"set_metatable", set_metatable),
        (b"missing", missing),
        (b"null_text", null_text),
    ];
    stack.push_table(0, 16);
    for (name, native) in NATIVES {
        stack.push_native(*native);
        stack.set_field(-2, name);
    }
    stack.push_service(service::Service::Random as u32);
    stack.set_field(-2, b"random");
    stack.push_service(service::Service::RandomSeed as u32);
    stack.set_field(-2, b"randomseed");
    stack.push_table(0, 2);
    stack.set_field(-2, b"globals");
    service::push_table(stack, kind);
    stack.set_field(-2, b"redis");
    service::push_loading_table(stack);
    stack.set_field(-2, b"loading");
    libraries::set_tables(stack);
    debug_assert_eq!(stack.kind(-1), Kind::Table);
}

/// A function of Lua's own with what goes before it, chosen by its name.
fn wrap(stack: &mut Stack) -> Outcome {
    let wrapped = match stack.bytes(1).unwrap_or_default() {
        b"pairs" => Wrapped::Pairs,
        b"rawset" => Wrapped::RawSet,
        b"setmetatable" => Wrapped::SetMetatable,
        b"getmetatable" => Wrapped::GetMetatable,
        b"unpack" => Wrapped::Unpack,
        b"collectgarbage" => Wrapped::Collect,
        b"pcall" => Wrapped::ProtectedCall,
        b"xpcall" => Wrapped::ProtectedCallHandled,
        b"load" => Wrapped::Load,
        b"loadstring" => Wrapped::LoadString,
        b"tostring" => Wrapped::ToString,
        b"insert" => Wrapped::Insert(libraries::insert),
        b"remove" => Wrapped::Remove(libraries::remove),
        b"concat" => Wrapped::Concat(libraries::concat),
        b"sort" => Wrapped::Sort,
        b"foreach" => Wrapped::ForEach,
        b"foreachi" => Wrapped::ForEachI,
        _ => Wrapped::Read,
    };
    stack.truncate(2);
    stack.wrap(wrapped);
    Ok(1)
}

/// The proxy of a table.
fn protect(stack: &mut Stack) -> Outcome {
    stack.truncate(1);
    stack.protect();
    Ok(1)
}

/// Has scripts see the second argument as the metatable of the first.
fn show(stack: &mut Stack) -> Outcome {
    stack.truncate(2);
    stack.show_as_metatable(1);
    Ok(0)
}

fn set_metatable(stack: &mut Stack) -> Outcome {
    stack.truncate(2);
    stack.set_metatable();
    Ok(0)
}

/// A global that is not there is an error, not nil.
fn missing(stack: &mut Stack) -> Outcome {
    if stack.len() != 2 {
        let text = "Wrong number of arguments to luaProtectedTableError";
        return Err(Raise::Text(text.to_string()));
    }
    let name = match (stack.bytes(2), stack.number(2)) {
        (Some(name), _) => name.to_vec(),
        (None, Some(number)) => format_short(number).into_bytes(),
        (None, None) => {
            let text = "Second argument to luaProtectedTableError must be a string or number";
            return Err(Raise::Text(text.to_string()));
        }
    };
    let place = stack.place(1).map(|place| place.prefix());
    let place = place.unwrap_or_default();
    let text = [
        place.as_bytes(),
        b"Script attempted to access nonexistent global variable '",
        name.split(|byte| *byte == 0).next().unwrap_or_default(),
        b"'",
    ];
    stack.push_bytes(&text.concat());
    Err(Raise::Value)
}

fn null_text(stack: &mut Stack) -> Outcome {
    stack.push_bytes(b"userdata: (nil)");
    Ok(1)
}
