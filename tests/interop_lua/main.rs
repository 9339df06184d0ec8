//! Lua against a genuine redis-server: the one-liners of `tests/data/lua/`, and random scripts, reply for reply.
//!
//! Both servers get every script over TCP, once by RESP2 and once by RESP3, in a fresh Lua state (SCRIPT FLUSH) and an
//! empty keyspace (FLUSHALL); the raw bytes of the replies are compared. With `redis-server` on the PATH, or its path
//! in `ORACLE_REDIS_SERVER`; the binary under test may be named by `ONELOOP_BINARY`, as for the other interop tests.

#[path = "../support/server.rs"]
mod server;

mod corpus;
mod generator;
mod servers;

use std::collections::BTreeMap;
use std::fmt::Write;

use corpus::{Case, shown};
use servers::{Answer, Pair};

/// Random scripts in one run; `ONELOOP_LUA_SCRIPTS` sets another number.
const RANDOM_SCRIPTS: usize = 2000;

/// The seed of the random scripts; `ONELOOP_LUA_SEED` sets another one.
const SEED: u64 = 11;

/// The differences that one test has found.
#[derive(Default)]
struct Differences {
    by_origin: BTreeMap<String, Vec<String>>,
    compared: usize,
}

impl Differences {
    /// Compares the replies of one protocol, and keeps a description if they are not the same.
    fn compare(&mut self, origin: &str, label: &str, expected: &Answer, got: &Answer) {
        self.compared += 1;
        if expected == got {
            return;
        }
        let text = format!("{label}\n    expected {}\n    got      {}", shown_answer(expected), shown_answer(got));
        self.by_origin.entry(origin.to_string()).or_default().push(text);
    }

    /// Fails with every difference at once.
    #[track_caller]
    fn report(self) {
        let count: usize = self.by_origin.values().map(Vec::len).sum();
        if count == 0 {
            println!("{} replies compared, all the same", self.compared);
            return;
        }
        let mut text = format!("{count} of {} replies differ\n", self.compared);
        for (origin, differences) in &self.by_origin {
            let _ = writeln!(text, "{origin}: {} differences", differences.len());
            for difference in differences {
                let _ = writeln!(text, "  {difference}");
            }
        }
        panic!("{text}");
    }
}

fn shown_answer(answer: &Answer) -> String {
    match answer {
        Answer::Reply(bytes) => shown(bytes),
        Answer::Ended => "the server ended or closed the connection".into(),
    }
}

/// Asks ours, and the genuine server where the case does not name 7.2's reply itself.
fn compare(pair: &mut Pair, case: &Case, differences: &mut Differences) {
    for resp3 in [false, true] {
        let expected = match case.expected(resp3) {
            Some(reply) => Answer::Reply(reply.to_vec()),
            None => pair.genuine(resp3).run(case).masked(),
        };
        let got = pair.ours(resp3).run(case).masked();
        let label = format!("{} (RESP{})", case.label(), if resp3 { 3 } else { 2 });
        differences.compare(&case.origin, &label, &expected, &got);
        if got == Answer::Ended {
            pair.restart_ours();
        }
        if expected == Answer::Ended {
            pair.restart_genuine();
        }
    }
}

#[test]
fn one_liners_reply_as_on_redis() {
    let cases = corpus::read();
    assert!(cases.len() > 2500, "only {} one-liners were found", cases.len());
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let mut differences = Differences::default();
    for case in &cases {
        compare(&mut pair, case, &mut differences);
    }
    differences.report();
}

#[test]
fn random_scripts_reply_as_on_redis() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let seed = number("ONELOOP_LUA_SEED").unwrap_or(SEED);
    let count = number("ONELOOP_LUA_SCRIPTS").map_or(RANDOM_SCRIPTS, |count| count as usize);
    let mut differences = Differences::default();
    for index in 0..count {
        // Each script has a seed of its own, so that one script can be had again alone.
        let script_seed = seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let script = generator::script(script_seed);
        let case = Case::of_script(&format!("seed {seed}, script {index}"), script);
        compare(&mut pair, &case, &mut differences);
    }
    println!("seed {seed}, {count} scripts");
    differences.report();
}
