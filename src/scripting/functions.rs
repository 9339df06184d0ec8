//! Libraries of functions: loading them, and finding a function by name.

use std::collections::BTreeMap;
use std::rc::Rc;

use ahash::AHashMap;
use smallvec::SmallVec;

use crate::base::clock::Clock;
use crate::command::error::CommandError;

use super::failure::{self, lossy};
use super::flags::{ScriptFlags, shebang};
use super::lua::{Host, Interruption, Kind as ValueKind, Order, Outcome, Progress, Raise, Reference, Stack};
use super::numbers::{self, Random48};
use super::service::Service;
use super::{Kind, Scripting};
use crate::drive::script::bridge;
use crate::scripting::machine::Engine;

/// The chunk name of libraries, as their error messages show it.
const LIBRARY_CHUNK: &str = "@user_function";
/// The time that loading a library may take, in ns.
const LOAD_NS: u64 = 500_000_000;

/// What names of libraries and functions may be.
const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                        character long";

/// A function that can be called.
pub struct Function {
    pub reference: Reference,
    pub flags: ScriptFlags,
    pub description: Option<Vec<u8>>,
    /// The name of its library.
    pub library: Rc<[u8]>,
}

/// A library.
pub struct Library {
    pub code: Rc<[u8]>,
    /// The names of its functions, in order.
    pub functions: Vec<Rc<[u8]>>,
}

/// All libraries.
#[derive(Default)]
pub struct Libraries {
    libraries: BTreeMap<Rc<[u8]>, Library>,
    /// By name in lower case: a function is called in whatever case.
    functions: AHashMap<Rc<[u8]>, Function>,
}

impl Libraries {
    /// The function of that name.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Function> {
        let mut lower: SmallVec<[u8; 64]> = SmallVec::from_slice(name);
        lower.make_ascii_lowercase();
        self.functions.get(&lower[..])
    }

    /// Every library with its name, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Library)> {
        let libraries = self.libraries.iter();
        libraries.map(|(name, library)| (&**name, library))
    }

    /// Number of libraries.
    pub fn len(&self) -> usize {
        self.libraries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    /// Number of functions.
    pub fn functions(&self) -> usize {
        self.functions.len()
    }

    /// Memory that they take outside their state, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let code: usize = self.libraries.values().map(|library| library.code.len()).sum();
        code + self.functions.len() * (size_of::<Function>() + 64) + self.libraries.len() * 128
    }

    /// Takes a library out with its functions.
    fn take(&mut self, name: &[u8]) -> Option<Taken> {
        let (name, library) = self.libraries.remove_entry(name)?;
        let functions = library.functions.iter();
        let functions = functions.filter_map(|name| self.functions.remove_entry(&name.to_ascii_lowercase()[..]));
        Some(Taken { functions: functions.collect(), name, library })
    }

    fn put(&mut self, taken: Taken) {
        self.libraries.insert(taken.name, taken.library);
        self.functions.extend(taken.functions);
    }
}

/// A library that is not among those that can be called.
struct Taken {
    name: Rc<[u8]>,
    library: Library,
    functions: Vec<(Rc<[u8]>, Function)>,
}

fn error<T>(text: String) -> Result<T, CommandError> {
    Err(CommandError::new(format!("ERR {text}")))
}

/// Whether this may be the name of a library or function.
fn is_name(name: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(is_part)
}

/// The name that a library's first line gives it, and where its code begins.
fn metadata(code: &[u8]) -> Result<(Vec<u8>, usize), CommandError> {
    let fixed = |text| Err(CommandError::fixed(text));
    let Ok(found) = shebang(code) else {
        return fixed("ERR Invalid library metadata");
    };
    let Some(found) = found else {
        return fixed("ERR Missing library metadata");
    };
    let mut name = None;
    for option in found.options {
        // Of the options only the name's prefix may be in any case.
        match option.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case(b"name=") && name.is_some() => {
                return fixed("ERR Invalid metadata value, name argument was given multiple times");
            }
            Some(prefix) if prefix.eq_ignore_ascii_case(b"name=") => {
                name = Some(option[5..].to_vec());
            }
            _ => return error(format!("Invalid metadata value given: {}", lossy(&option))),
        }
    }
    let Some(name) = name else {
        return fixed("ERR Library name was not given");
    };
    if !is_name(&name) {
        return error(BAD_NAME.to_string());
    }
    let engine = &found.engine[2..];
    if !engine.eq_ignore_ascii_case(b"lua") {
        return error(format!("Engine '{}' not found", lossy(engine)));
    }
    Ok((name, found.code_start))
}

/// What a library registers while it is loaded.
struct Registration {
    name: Vec<u8>,
    function: Function,
}

/// What serves a library while it is loaded.
struct Loading {
    library: Rc<[u8]>,
    registered: Vec<Registration>,
    random: Random48,
}

impl Host for Loading {
    fn serve(&mut self, service: u32, stack: &mut Stack) -> Outcome {
        match Service::of(service) {
            Service::RegisterFunction => self.register(stack),
            Service::Log => bridge::log(stack),
            Service::Random => bridge::random(&mut self.random, stack),
            Service::RandomSeed => bridge::random_seed(&mut self.random, stack),
            _ => failure::misuse(stack, "not possible while a library is loaded"),
        }
    }
}

/// The text of a value that may stand where a string must: numbers may.
fn text_at(stack: &Stack, index: i32) -> Option<Vec<u8>> {
    match (stack.bytes(index), stack.number(index)) {
        (Some(bytes), _) => Some(bytes.to_vec()),
        (None, Some(number)) => Some(numbers::format_short(number).into_bytes()),
        (None, None) => None,
    }
}

/// The arguments of `redis.register_function`; the function itself is pushed.
#[derive(Default)]
struct Named {
    name: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    has_callback: bool,
    flags: ScriptFlags,
}

impl Loading {
    fn register(&mut self, stack: &mut Stack) -> Outcome {
        let arguments = match stack.len() {
            1 => read_named(stack)?,
            2 => read_plain(stack)?,
            _ => {
                return failure::misuse(stack, "wrong number of arguments to redis.register_function");
            }
        };
        let Some(name) = arguments.name else {
            return failure::misuse(stack, "redis.register_function must get a function name argument");
        };
        if !arguments.has_callback {
            return failure::misuse(stack, "redis.register_function must get a callback argument");
        }
        if !is_name(&name) {
            return failure::misuse(stack, BAD_NAME);
        }
        if self.registered.iter().any(|known| known.name == name) {
            return failure::misuse(stack, "Function already exists in the library");
        }
        self.registered.push(Registration {
            name,
            function: Function {
                reference: stack.keep(),
                flags: arguments.flags,
                description: arguments.description,
                library: self.library.clone(),
            },
        });
        Ok(0)
    }
}

fn read_plain(stack: &mut Stack) -> Result<Named, Raise> {
    let Some(name) = text_at(stack, 1) else {
        return failure::misuse(stack, "first argument to redis.register_function must be a string");
    };
    if stack.kind(2) != ValueKind::Function {
        return failure::misuse(stack, "second argument to redis.register_function must be a function");
    }
    Ok(Named { name: Some(name), has_callback: true, ..Named::default() })
}

fn read_named(stack: &mut Stack) -> Result<Named, Raise> {
    const UNKNOWN: &str = "unknown argument given to redis.register_function";
    if stack.kind(1) != ValueKind::Table {
        return failure::misuse(
            stack,
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        );
    }
    let mut named = Named::default();
    stack.push_nil();
    while stack.next(1) {
        let Some(key) = stack.bytes(-2) else {
            return failure::misuse(stack, UNKNOWN);
        };
        match key {
            b"function_name" => match text_at(stack, -1) {
                Some(name) => named.name = Some(name),
                None => {
                    return failure::misuse(
                        stack,
                        "function_name argument given to redis.register_function must be a string",
                    );
                }
            },
            b"description" => match text_at(stack, -1) {
                Some(description) => named.description = Some(description),
                None => {
                    return failure::misuse(
                        stack,
                        "description argument given to redis.register_function must be a string",
                    );
                }
            },
            b"callback" if stack.kind(-1) == ValueKind::Function => named.has_callback = true,
            b"callback" => {
                return failure::misuse(stack, "callback argument given to redis.register_function must be a function");
            }
            b"flags" => named.flags = read_flags(stack)?,
            _ => return failure::misuse(stack, UNKNOWN),
        }
        stack.pop(1);
    }
    if named.has_callback {
        stack.push_field(1, b"callback");
    }
    Ok(named)
}

fn read_flags(stack: &mut Stack) -> Result<ScriptFlags, Raise> {
    if stack.kind(-1) != ValueKind::Table {
        return failure::misuse(
            stack,
            "flags argument to redis.register_function must be a table representing function flags",
        );
    }
    let mut flags = ScriptFlags::default();
    for number in 1.. {
        stack.push_element(-1, number);
        if stack.kind(-1) == ValueKind::Nil {
            stack.pop(1);
            break;
        }
        let is_known = stack.bytes(-1).is_some_and(|name| flags.set(name));
        if !is_known {
            return failure::misuse(stack, "unknown flag given");
        }
        stack.pop(1);
    }
    Ok(flags)
}

/// Runs a library's code, which registers its functions.
fn run_library(
    engine: &mut Engine,
    clock: &Clock,
    library: Rc<[u8]>,
    code: &[u8],
) -> Result<Vec<Registration>, CommandError> {
    let function = engine
        .compile(code, LIBRARY_CHUNK)
        .map_err(|message| CommandError::new(format!("ERR Error compiling function: {message}")))?;
    engine.push_call(&function);
    engine.lua.release(function);
    engine.set_loading(true);
    let mut loading = Loading { library, registered: Vec::new(), random: Random48::new(0) };
    let deadline = clock.ticks().saturating_add(clock.nanos_as_ticks(LOAD_NS));
    engine.lua.set_deadline(deadline, u64::MAX);
    let mut progress = engine.lua.run(&mut loading, Order::Call(0));
    while progress == Progress::Paused {
        engine.lua.kill("FUNCTION LOAD timeout");
        progress = engine.lua.run(&mut loading, Order::Continue);
    }
    engine.set_loading(false);
    let stack = engine.lua.stack();
    let failed = match progress {
        Progress::Returned => None,
        _ => Some(failure::read(stack, -1).text),
    };
    stack.truncate(0);
    let failed = match failed {
        Some(text) => format!("Error registering functions: {text}"),
        None if loading.registered.is_empty() => "No functions registered".to_string(),
        None => return Ok(loading.registered),
    };
    for registration in loading.registered {
        engine.lua.release(registration.function.reference);
    }
    error(failed)
}

impl Scripting {
    /// Loads a library; gives its name. With `replaces` it takes the place of one of the same name.
    ///
    /// Errors: its metadata or its code is wrong, or one of the names is taken.
    pub fn load_library(&mut self, clock: &Clock, code: &[u8], replaces: bool) -> Result<Rc<[u8]>, CommandError> {
        let (name, code_start) = metadata(code)?;
        let name: Rc<[u8]> = name.into();
        let old = self.functions.take(&name);
        if let Some(old) = old {
            if !replaces {
                self.functions.put(old);
                return error(format!("Library '{}' already exists", lossy(&name)));
            }
            let loaded = self.add_library(clock, name.clone(), code, code_start);
            match loaded {
                Ok(()) => self.release(old),
                Err(_) => self.functions.put(old),
            }
            return loaded.map(|()| name);
        }
        self.add_library(clock, name.clone(), code, code_start)?;
        Ok(name)
    }

    fn add_library(
        &mut self,
        clock: &Clock,
        name: Rc<[u8]>,
        code: &[u8],
        code_start: usize,
    ) -> Result<(), CommandError> {
        let interruption = self.interruption(Interruption::Both);
        let mut engine = self.take_engine(Kind::Function, clock)?;
        engine.lua.set_interruption(interruption);
        let registered = run_library(&mut engine, clock, name.clone(), &code[code_start..]);
        self.put_engine(Kind::Function, engine);
        let registered = registered?;
        let taken = registered.iter().find(|registration| self.functions.find(&registration.name).is_some());
        let text = taken.map(|taken| format!("Function {} already exists", lossy(&taken.name)));
        let names = registered.iter().map(|registration| registration.name.clone().into());
        let library = Library { code: code.into(), functions: names.collect() };
        let functions: Vec<(Rc<[u8]>, Function)> = registered
            .into_iter()
            .map(|registration| (registration.name.to_ascii_lowercase().into(), registration.function))
            .collect();
        let loaded = Taken { name, library, functions };
        match text {
            None => self.functions.put(loaded),
            Some(text) => {
                self.release(loaded);
                return error(text);
            }
        }
        Ok(())
    }

    /// Lets go of a library's functions in their state.
    fn release(&mut self, library: Taken) {
        if let Some(engine) = &mut self.engines[Kind::Function as usize] {
            for (_, function) in library.functions {
                engine.lua.release(function.reference);
            }
        }
    }

    /// Removes a library; tells whether it was there.
    pub fn delete_library(&mut self, name: &[u8]) -> bool {
        let taken = self.functions.take(name);
        let found = taken.is_some();
        if let Some(taken) = taken {
            self.release(taken);
        }
        found
    }

    /// Removes all libraries, and the state that ran them.
    pub fn flush_functions(&mut self) {
        self.functions = Libraries::default();
        self.engines[Kind::Function as usize] = None;
        self.engine_bytes[Kind::Function as usize] = 0;
    }

    /// Loads several libraries, or none of them.
    ///
    /// Errors: those of `load_library`.
    pub fn restore_libraries(
        &mut self,
        clock: &Clock,
        codes: &[Vec<u8>],
        policy: RestorePolicy,
    ) -> Result<(), CommandError> {
        let mut before = Vec::new();
        let mut added = Vec::new();
        if policy == RestorePolicy::Flush {
            let names: Vec<Rc<[u8]>> = self.functions.libraries.keys().cloned().collect();
            before.extend(names.iter().filter_map(|name| self.functions.take(name)));
        }
        let mut result = Ok(());
        for code in codes {
            result = self.restore_one(clock, code, policy, &mut before, &mut added);
            if result.is_err() {
                break;
            }
        }
        if result.is_err() {
            for name in added {
                self.delete_library(&name);
            }
            before.drain(..).for_each(|old| self.functions.put(old));
        }
        before.into_iter().for_each(|old| self.release(old));
        result
    }

    fn restore_one(
        &mut self,
        clock: &Clock,
        code: &[u8],
        policy: RestorePolicy,
        before: &mut Vec<Taken>,
        added: &mut Vec<Rc<[u8]>>,
    ) -> Result<(), CommandError> {
        let (name, code_start) = metadata(code)?;
        let name: Rc<[u8]> = name.into();
        if self.functions.libraries.contains_key(&name) {
            if policy == RestorePolicy::Append || added.contains(&name) {
                return error(format!("Library {} already exists", lossy(&name)));
            }
            before.extend(self.functions.take(&name));
        }
        self.add_library(clock, name.clone(), code, code_start)?;
        added.push(name);
        Ok(())
    }
}

/// What becomes of the libraries that are there when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestorePolicy {
    Flush,
    /// They stay; a name that is taken is an error.
    Append,
    /// Those of the same names go.
    Replace,
}
