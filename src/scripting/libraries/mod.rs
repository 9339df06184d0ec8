//! The libraries that scripts have beside Lua's own: cjson, cmsgpack, struct and bit; and of Lua's own the functions
//! that could not be stopped, done anew. Never asks the server for anything.

pub mod arguments;
pub mod bits;
pub mod json;
pub mod json_decode;
pub mod json_encode;
mod json_settings;
pub mod message_pack;
pub mod patterns;
pub mod strings;
pub mod structs;
pub mod tables;
#[cfg(test)]
mod tests;

pub use tables::{concat, insert, remove};

use super::lua::{Native, Raise, Stack};

/// Sets the libraries' tables by name in the table on top.
pub fn set_tables(stack: &mut Stack) {
    json::push_table(stack);
    stack.set_field(-2, b"cjson");
    message_pack::push_table(stack);
    stack.set_field(-2, b"cmsgpack");
    structs::push_table(stack);
    stack.set_field(-2, b"struct");
    bits::push_table(stack);
    stack.set_field(-2, b"bit");
    strings::push_table(stack);
    stack.set_field(-2, b"string");
}

/// Sets functions of the table on top.
fn set_functions(stack: &mut Stack, functions: &[(&[u8], Native)]) {
    for (name, native) in functions {
        stack.push_native(*native);
        stack.set_field(-2, name);
    }
}

/// Values between two looks at the clock.
const VALUES_PER_LOOK: u32 = 2048;

/// Counts values, and lets the script stand still when its time is up.
#[derive(Default)]
struct Pace {
    values: u32,
}

impl Pace {
    /// One value more.
    ///
    /// Errors: the script is to end, or has taken too much memory.
    #[inline]
    fn step(&mut self, stack: &Stack) -> Result<(), Raise> {
        self.values += 1;
        if self.values.is_multiple_of(VALUES_PER_LOOK) {
            return stack.breathe();
        }
        Ok(())
    }
}

/// Whether what a library writes has outgrown the memory that the state may have.
#[inline]
fn check_len(stack: &Stack, out: &[u8]) -> Result<(), Raise> {
    if out.len() > stack.memory_limit_bytes() {
        return Err(Raise::Bare("not enough memory".to_string()));
    }
    Ok(())
}
