//! TIME, LOLWUT and SHUTDOWN.

use oneloop::engine::loop_request::{LoopRequest, ShutdownOptions};

use crate::support::Harness;

#[test]
fn time_is_the_clocks() {
    let mut server = Harness::new();
    server.advance_ms(1);
    server.expect("time", "*2\r\n$10\r\n1700000000\r\n$4\r\n1000\r\n");
    server.expect("time x", "-ERR wrong number of arguments for 'time' command\r\n");
}

#[test]
fn lolwut_ends_with_the_version() {
    let mut server = Harness::new();
    for request in ["lolwut", "lolwut version 5", "lolwut version 6 80 3", "lolwut foo bar"] {
        let reply = server.run(request);
        assert!(reply.ends_with("\nRedis ver. 7.2.6\n\r\n") && reply.contains(">>"), "{reply}");
    }
    server.expect("lolwut version 99", "$17\r\nRedis ver. 7.2.6\n\r\n");
    server.expect("lolwut version x", "-ERR value is not an integer or out of range\r\n");
    server.run("hello 3");
    server.expect("lolwut version 99", "=21\r\ntxt:Redis ver. 7.2.6\n\r\n");
}

#[test]
fn shutdown_asks_the_loop() {
    let mut server = Harness::new();
    server.expect("shutdown nosave now force", "");
    let options = ShutdownOptions { no_save: true, now: true, force: true, ..ShutdownOptions::default() };
    assert_eq!(server.state.requests, [LoopRequest::Shutdown { options, requester: Some(server.client) }]);
}

#[test]
fn shutdown_refuses_what_does_not_go_together() {
    let mut server = Harness::new();
    for request in [
        "shutdown foo",
        "shutdown save nosave",
        "shutdown nosave abort",
        "shutdown abort now",
        "shutdown safe abort",
        "shutdown failover abort",
    ] {
        server.expect(request, "-ERR syntax error\r\n");
    }
    server.expect("shutdown failover", "-ERR SHUTDOWN FAILOVER is only supported in cluster mode.\r\n");
    server.expect("shutdown abort", "-ERR No shutdown in progress.\r\n");
    assert!(server.state.requests.is_empty());
}
