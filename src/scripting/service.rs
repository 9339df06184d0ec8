//! The `redis` table: what scripts may ask of the server.

use super::cache;
use super::failure;
use super::lua::{Kind, Native, Outcome, Stack};

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

/// What the `redis` table holds.
enum Entry {
    Service(&'static [u8], Service),
    Native(&'static [u8], Native),
    /// The levels of the log.
    Levels,
    Version,
    /// Where to the effects of commands go.
    Targets,
}

const ENTRIES: &[Entry] = &[
    Entry::Service(b"call", Service::Call),
    Entry::Service(b"pcall", Service::ProtectedCall),
    Entry::Service(b"log", Service::Log),
    Entry::Levels,
    Entry::Version,
    Entry::Service(b"setresp", Service::SetProtocol),
    Entry::Native(b"sha1hex", sha1hex),
    Entry::Service(b"error_reply", Service::ErrorReply),
    Entry::Service(b"status_reply", Service::StatusReply),
    Entry::Service(b"set_repl", Service::SetReplication),
    Entry::Targets,
    Entry::Service(b"acl_check_cmd", Service::CheckAcl),
];

/// What functions do not have.
const OF_SCRIPTS: &[Entry] = &[
    Entry::Service(b"breakpoint", Service::Breakpoint),
    Entry::Service(b"debug", Service::Debug),
    Entry::Native(b"replicate_commands", replicate_commands),
];

const LEVELS: &[(&[u8], f64)] =
    &[(b"LOG_DEBUG", 0.0), (b"LOG_VERBOSE", 1.0), (b"LOG_NOTICE", 2.0), (b"LOG_WARNING", 3.0)];

const TARGETS: &[(&[u8], f64)] =
    &[(b"REPL_NONE", 0.0), (b"REPL_AOF", 1.0), (b"REPL_SLAVE", 2.0), (b"REPL_REPLICA", 2.0), (b"REPL_ALL", 3.0)];

/// Pushes the `redis` table, filled in the order in which Redis fills it.
pub fn push_table(stack: &mut Stack, kind: super::Kind) {
    stack.push_table(0, 0);
    let of_scripts = match kind {
        super::Kind::Script => OF_SCRIPTS,
        super::Kind::Function => &[],
    };
    for entry in ENTRIES.iter().chain(of_scripts) {
        match entry {
            Entry::Service(name, service) => {
                stack.push_service(*service as u32);
                stack.set_field(-2, name);
            }
            Entry::Native(name, native) => {
                stack.push_native(*native);
                stack.set_field(-2, name);
            }
            Entry::Levels => push_levels(stack),
            Entry::Version => push_version(stack),
            Entry::Targets => push_targets(stack),
        }
    }
}

/// Pushes the `redis` table that a library has while it is loaded.
pub fn push_loading_table(stack: &mut Stack) {
    stack.push_table(0, 0);
    stack.push_service(Service::RegisterFunction as u32);
    stack.set_field(-2, b"register_function");
    stack.push_service(Service::Log as u32);
    stack.set_field(-2, b"log");
    push_levels(stack);
    push_version(stack);
}

fn push_levels(stack: &mut Stack) {
    push_numbers(stack, LEVELS);
}

fn push_targets(stack: &mut Stack) {
    push_numbers(stack, TARGETS);
}

fn push_numbers(stack: &mut Stack, numbers: &[(&[u8], f64)]) {
    for (name, value) in numbers {
        stack.push_number(*value);
        stack.set_field(-2, name);
    }
}

fn push_version(stack: &mut Stack) {
    stack.push_number(f64::from(version_number()));
    stack.set_field(-2, b"REDIS_VERSION_NUM");
    stack.push_bytes(crate::REDIS_VERSION.as_bytes());
    stack.set_field(-2, b"REDIS_VERSION");
}

/// The version as a number, two hexadecimal digits a part.
fn version_number() -> u32 {
    let parts = crate::REDIS_VERSION.split('.');
    parts.fold(0, |number, part| number << 8 | part.parse().unwrap_or(0))
}

/// An error reply made of a text; one that begins with a dash has its code, any other gets the generic one.
pub fn error_reply(stack: &mut Stack) -> Outcome {
    let text = match stack.bytes(-1) {
        Some(text) if stack.len() == 1 => text.to_vec(),
        _ => {
            failure::push(stack, "ERR wrong number or type of arguments", false);
            return Ok(1);
        }
    };
    let text = text.strip_prefix(b"-").unwrap_or(&text);
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let text = &text[..end];
    let code: &[u8] = match text.contains(&b' ') {
        true => b"",
        false => b"ERR ",
    };
    failure::push(stack, [code, text].concat(), false);
    Ok(1)
}

/// A status reply made of a text.
pub fn status_reply(stack: &mut Stack) -> Outcome {
    if stack.len() != 1 || stack.kind(1) != Kind::String {
        failure::push(stack, "ERR wrong number or type of arguments", false);
        return Ok(1);
    }
    stack.push_table(0, 0);
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
