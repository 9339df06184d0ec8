//! MODULE, and who may use it.

use oneloop::config::{Config, ProtectedAction};

use crate::support::Harness;

const NOT_ALLOWED: &str = "-ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can \
                           run it from a local connection, otherwise you need to set this option in the configuration \
                           file, and then restart the server.\r\n";

#[test]
fn there_are_no_modules() {
    let mut server = Harness::new();
    server.expect("module list", "*0\r\n");
    server.expect("module load /tmp/module.so", NOT_ALLOWED);
    server.expect("module unload x", NOT_ALLOWED);
    server.expect("module load", "-ERR wrong number of arguments for 'module|load' command\r\n");
    assert!(server.run("module help").starts_with("*1"));
}

#[test]
fn who_may_load_modules_is_told_that_it_fails() {
    let mut server = Harness::with_config(Config { enable_module_command: ProtectedAction::Yes, ..Config::default() });
    let failure = "-ERR Error loading the extension. Please check the server logs.\r\n";
    server.expect("module load /tmp/module.so a b", failure);
    server.expect("module loadex /tmp/module.so config a b args c", failure);
    server.expect("module unload x", "-ERR Error unloading module: no such module with that name\r\n");
    // DEBUG is guarded by a setting of its own.
    assert!(server.run("debug help").starts_with("-ERR DEBUG command not allowed"));
}
