//! The `redis` table: what scripts may ask of the server.

use super::cache;
use super::failure;
use super::lua::{Kind, Outcome, Stack};

/// What a script may ask of the server, as a number that goes with the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Service {
    Call,
    ProtectedCall,
    Log,
    SetProtocol,
    SetReplication,
    CheckAcl,
    Breakpoint,
    Debug,
    Random,
    RandomSeed,
    RegisterFunction,
    ErrorReply,
    StatusReply,
}

impl Service {
    const ALL: [Service; 13] = [
        Service::Call,
        Service::ProtectedCall,
        Service::Log,
        Service::SetProtocol,
        Service::SetReplication,
        Service::CheckAcl,
        Service::Breakpoint,
        Service::Debug,
        Service::Random,
        Service::RandomSeed,
        Service::RegisterFunction,
        Service::ErrorReply,
        Service::StatusReply,
    ];

    /// The service of that number.
    #[inline]
    pub fn of(number: u32) -> Service {
        Service::ALL[number as usize % Service::ALL.len()]
    }
}

/// The functions that are services.
const SERVICES: &[(&[u8], Service)] = &[
    (b"call", Service::Call),
    (b"pcall", Service::ProtectedCall),
    (b"log", Service::Log),
    (b"setresp", Service::SetProtocol),
    (b"set_repl", Service::SetReplication),
    (b"acl_check_cmd", Service::CheckAcl),
    (b"breakpoint", Service::Breakpoint),
    (b"debug", Service::Debug),
    (b"error_reply", Service::ErrorReply),
    (b"status_reply", Service::StatusReply),
];

/// The numbers.
const CONSTANTS: &[(&[u8], f64)] = &[
    (b"LOG_DEBUG", 0.0),
    (b"LOG_VERBOSE", 1.0),
    (b"LOG_NOTICE", 2.0),
    (b"LOG_WARNING", 3.0),
    (b"REPL_NONE", 0.0),
    (b"REPL_AOF", 1.0),
    (b"REPL_SLAVE", 2.0),
    (b"REPL_REPLICA", 2.0),
    (b"REPL_ALL", 3.0),
];

/// Pushes the `redis` table.
pub fn push_table(stack: &mut Stack) {
    stack.push_table(0, 32);
    for (name, service) in SERVICES {
        stack.push_service(*service as u32);
        stack.set_field(-2, name);
    }
    push_constants(stack);
    stack.push_native(sha1hex);
    stack.set_field(-2, b"sha1hex");
    stack.push_native(replicate_commands);
    stack.set_field(-2, b"replicate_commands");
}

/// Pushes the `redis` table that a library has while it is loaded.
pub fn push_loading_table(stack: &mut Stack) {
    stack.push_table(0, 16);
    push_constants(stack);
    stack.push_service(Service::Log as u32);
    stack.set_field(-2, b"log");
    stack.push_service(Service::RegisterFunction as u32);
    stack.set_field(-2, b"register_function");
}

fn push_constants(stack: &mut Stack) {
    for (name, value) in CONSTANTS {
        stack.push_number(*value);
        stack.set_field(-2, name);
    }
    stack.push_bytes(crate::REDIS_VERSION.as_bytes());
    stack.set_field(-2, b"REDIS_VERSION");
    stack.push_number(f64::from(version_number()));
    stack.set_field(-2, b"REDIS_VERSION_NUM");
}

/// The version as a number, two hexadecimal digits a part.
fn version_number() -> u32 {
    let parts = crate::REDIS_VERSION.split('.');
    parts.fold(0, |number, part| number << 8 | part.parse().unwrap_or(0))
}

/// An error reply made of a text; one that begins with a dash has its code, any other gets the generic one.
pub fn error_reply(stack: &mut Stack) -> Outcome {
    let text = match stack.bytes(-1) {
        Some(text) if stack.len() == 1 => failure::lossy(text),
        _ => {
            failure::push(stack, "ERR wrong number or type of arguments", false);
            return Ok(1);
        }
    };
    let text = text.strip_prefix('-').unwrap_or(&text);
    let whole = match text.split_once(' ') {
        Some(_) => text.to_string(),
        None => format!("ERR {text}"),
    };
    failure::push(stack, &whole, false);
    Ok(1)
}

/// A status reply made of a text.
pub fn status_reply(stack: &mut Stack) -> Outcome {
    if stack.len() != 1 || stack.kind(1) != Kind::String {
        failure::push(stack, "ERR wrong number or type of arguments", false);
        return Ok(1);
    }
    stack.push_table(0, 1);
    stack.push_copy(1);
    stack.set_field(-2, b"ok");
    Ok(1)
}

fn sha1hex(stack: &mut Stack) -> Outcome {
    if stack.len() != 1 {
        return failure::misuse(stack, "wrong number of arguments");
    }
    let digest = match stack.number(1) {
        Some(number) => cache::digest(super::numbers::format_short(number).as_bytes()),
        None => cache::digest(stack.bytes(1).unwrap_or_default()),
    };
    stack.push_bytes(&digest);
    Ok(1)
}

/// Effects are always what is replicated.
fn replicate_commands(stack: &mut Stack) -> Outcome {
    stack.push_bool(true);
    Ok(1)
}
