//! The program: arguments in, server out.

use std::process::ExitCode;

use oneloop::sys::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    oneloop::server::launch::main(&arguments)
}
