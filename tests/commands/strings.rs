//! Strings.

use crate::support::Harness;

#[test]
fn set_then_get() {
    let mut server = Harness::new();
    server.expect("get a", "$-1\r\n");
    server.expect("set a hello", "+OK\r\n");
    server.expect("get a", "$5\r\nhello\r\n");
}
