//! What the origin of a command decides: `engine/origin.rs`, by way of the commands themselves.

use std::rc::Rc;

use oneloop::command::error::CommandError;
use oneloop::engine::apply::{self, Flow};
use oneloop::engine::origin::Origin;
use oneloop::engine::session::{Session, Token};
use oneloop::keyspace::ExpiryMode;
use oneloop::net::address::Address;
use oneloop::resp::{Args, Reply};

use crate::support::Harness;

/// A session as the loader of the append-only file has one.
fn replaying(server: &Harness) -> Session {
    let user = Rc::clone(&server.state.default_user());
    let token = Token { slot: u32::MAX, generation: 0 };
    Session::new(0, token, Address::default(), 0, user, Origin::Replay)
}

/// Runs a command of a file that is replayed.
fn replay(server: &mut Harness, words: &str) -> Result<String, CommandError> {
    let mut session = replaying(server);
    let mut reply = Reply::default();
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let args = Args::from_slices(&words);
    let resolved = server.state.commands.resolve(args.at(0), args.get(1)).map(|command| command.id);
    let policy = session.policy;
    let applied =
        server.state.with_policy(policy, |state| apply::apply(state, &mut session, &mut reply, args, resolved));
    assert_ne!(applied, Ok(Flow::Paused));
    applied.map(|_| String::from_utf8_lossy(&reply.to_vec()).into_owned())
}

/// A server whose memory limit is reached.
fn full_server() -> Harness {
    let mut server = Harness::new();
    server.run("set other 1");
    server.expect("config set maxmemory 1", "+OK\r\n");
    server.expect("set key value", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    server
}

fn stats(server: &mut Harness) -> String {
    server.run("info commandstats") + &server.run("info errorstats")
}

#[test]
fn a_replayed_command_is_neither_refused_nor_counted() {
    let mut server = full_server();
    server.run("slowlog reset");
    server.run("config set slowlog-log-slower-than 0");
    let (commands, slow) = (server.state.stats.commands, server.state.command_logs.slow.len());
    assert_eq!(replay(&mut server, "set key value").as_deref(), Ok("+OK\r\n"));
    let failed = replay(&mut server, "lpush key element").expect("it was run");
    assert!(failed.starts_with("-WRONGTYPE"), "{failed}");
    assert_eq!(server.state.stats.commands, commands);
    assert_eq!(server.state.command_logs.slow.len(), slow);
    let after = stats(&mut server);
    assert!(!after.contains("cmdstat_lpush") && !after.contains("errorstat_WRONGTYPE"), "{after}");
}

/// A file of a server that passed scripts on as such has EVAL in it.
#[test]
fn what_a_replayed_script_calls_is_neither_refused_nor_counted() {
    let mut server = full_server();
    let script = ["eval", "return redis.call('set','key','value')", "0"].map(str::as_bytes);
    assert!(server.run_args(&script).starts_with("-OOM"));
    let mut session = replaying(&server);
    let mut reply = Reply::default();
    let command = server.state.commands.resolve(b"eval", None).map(|command| command.id);
    let applied = apply::apply(&mut server.state, &mut session, &mut reply, Args::from_slices(&script), command);
    assert_eq!((applied, reply.to_vec()), (Ok(Flow::Done), b"+OK\r\n".to_vec()));
    let counted = server.run("info commandstats");
    assert!(!counted.contains("cmdstat_set:calls=2,") && counted.contains("cmdstat_eval:calls=1,"), "{counted}");
    server.expect("get key", "$5\r\nvalue\r\n");
}

#[test]
fn a_replayed_command_must_be_one() {
    let mut server = Harness::new();
    assert!(replay(&mut server, "nonsense").is_err());
    assert!(replay(&mut server, "get").is_err());
    assert!(replay(&mut server, "get key").is_ok());
}

/// A command in a script is refused in words of its own; the reasons are counted.
#[test]
fn what_a_script_calls_is_checked_as_a_script_s() {
    let mut server = Harness::new();
    let mut call = |call: &str| server.run_args(&[b"eval", format!("return redis.{call}").as_bytes(), b"0"]);
    for (asked, refusal) in [
        ("call('nonsense')", "-ERR Unknown Redis command called from script"),
        ("call('get')", "-ERR Wrong number of args calling Redis command from script"),
        ("call('config','get','x')", "-ERR This Redis command is not allowed from script"),
    ] {
        let reply = call(asked);
        assert!(reply.starts_with(refusal), "{reply}");
    }
    let counted = server.run("info commandstats");
    assert!(counted.contains("cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1"), "{counted}");
}

#[test]
fn a_policy_is_in_force_for_its_scope_alone() {
    let mut server = Harness::new();
    server.run("set key value px 1");
    server.advance_ms(2);
    assert_eq!(replay(&mut server, "get key").as_deref(), Ok("$5\r\nvalue\r\n"));
    server.expect("get key", "$-1\r\n");
    server.propagate();
    for (origin, mode, propagates) in [
        (Origin::Client, ExpiryMode::Delete, true),
        (Origin::Script, ExpiryMode::Delete, true),
        (Origin::Replay, ExpiryMode::Ignore, false),
    ] {
        let within = server.state.with_policy(origin.policy(), |state| {
            (state.keyspace.expiry_mode(), state.keyspace.changes.propagation.is_on())
        });
        assert_eq!(within, (mode, propagates), "{origin:?}");
        assert_eq!(server.state.keyspace.expiry_mode(), ExpiryMode::Delete);
        assert!(server.state.keyspace.changes.propagation.is_on());
    }
}
