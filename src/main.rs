//! The program: arguments in, server out.

use std::ffi::OsString;
use std::process::ExitCode;

use oneloop::base::sys::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    oneloop::reactor::launch::main(&arguments)
}
