//! The program: arguments in, server out.

use std::ffi::OsString;
use std::process::ExitCode;

use oneloop::sys::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    oneloop::server::launch::main(&arguments)
}
