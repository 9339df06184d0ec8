//! Libraries of functions: loading them, and finding a function by name.

use std::collections::BTreeMap;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::base::clock::Clock;
use crate::collections::hash::{HashSeed, SeededMap};
use crate::command::error::CommandError;

use super::failure::{self, lossy};
use super::flags::{ScriptFlags, shebang};
use super::lua::{Host, Kind as ValueKind, Order, Outcome, Progress, Raise, Reference, Stack};
use super::numbers::{self, Random48};
use super::service::Service;
use crate::scripting::machine::Engine;
use crate::scripting::natives;

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
pub struct Libraries {
    pub(crate) libraries: BTreeMap<Rc<[u8]>, Library>,
    /// By name in lower case: a function is called in whatever case.
    functions: SeededMap<Rc<[u8]>, Function>,
}

impl Libraries {
    /// None yet.
    pub fn new(seed: &HashSeed) -> Libraries {
        Libraries { libraries: BTreeMap::new(), functions: seed.map() }
    }

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
    pub(crate) fn take(&mut self, name: &[u8]) -> Option<Taken> {
        let (name, library) = self.libraries.remove_entry(name)?;
        let functions = library.functions.iter();
        let functions = functions.filter_map(|name| self.functions.remove_entry(&name.to_ascii_lowercase()[..]));
        Some(Taken { functions: functions.collect(), name, library })
    }

    pub(crate) fn put(&mut self, taken: Taken) {
        self.libraries.insert(taken.name, taken.library);
        self.functions.extend(taken.functions);
    }
}

/// A library that is not among those that can be called.
pub(crate) struct Taken {
    pub(crate) name: Rc<[u8]>,
    pub(crate) library: Library,
    pub(crate) functions: Vec<(Rc<[u8]>, Function)>,
}

pub(crate) fn error<T>(text: String) -> Result<T, CommandError> {
    Err(CommandError::new(format!("ERR {text}")))
}

/// Whether this may be the name of a library or function.
fn is_name(name: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(is_part)
}

/// The name that a library's first line gives it, and where its code begins.
pub(crate) fn metadata(code: &[u8]) -> Result<(Vec<u8>, usize), CommandError> {
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
pub(crate) struct Registration {
    pub(crate) name: Vec<u8>,
    pub(crate) function: Function,
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
            Service::Log => natives::log(stack),
            Service::Random => natives::random(&mut self.random, stack),
            Service::RandomSeed => natives::random_seed(&mut self.random, stack),
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
pub(crate) fn run_library(
    engine: &mut Engine,
    clock: &Clock,
    library: Rc<[u8]>,
    code: &[u8],
) -> Result<Vec<Registration>, CommandError> {
    let function = engine
        .compile(code, LIBRARY_CHUNK)
        .map_err(|message| CommandError::of_bytes([b"ERR Error compiling function: ", &message[..]].concat()))?;
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
        Some(text) => [b"ERR Error registering functions: ", &text[..]].concat(),
        None if loading.registered.is_empty() => b"ERR No functions registered".to_vec(),
        None => return Ok(loading.registered),
    };
    for registration in loading.registered {
        engine.lua.release(registration.function.reference);
    }
    Err(CommandError::of_bytes(failed))
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
