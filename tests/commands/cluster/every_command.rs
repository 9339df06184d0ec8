//! Every command of the table that names keys or sharded channels: with keys at another node it is sent there, and
//! with keys of two slots it is refused. The requests are made up from the declared arguments.

use oneloop::command::keys::routed_by;
use oneloop::command::registry::{Command, Registry};
use oneloop::commands::FAMILIES;
use oneloop::resp::Args;

use super::{CROSS_SLOT, MOVED};
use crate::support::Harness;
use crate::support::cluster::{Part, harness};
use crate::support::requests::{request_with, with_keys};

/// Requests made up for each command.
const TRIES: usize = 300;
const NUMBERS: &[&str] = &["1", "0", "2"];

fn run(server: &mut Harness, words: &[String]) -> String {
    let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    server.run_args(&slices)
}

fn count_keys(words: &[String], command: &Command) -> usize {
    let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    routed_by(command, Args::from_slices(&slices)).len()
}

#[test]
fn every_command_with_keys_is_sent_to_their_node() {
    let registry = Registry::new(FAMILIES);
    let mut random = fastrand::Rng::with_seed(17);
    let mut server = harness(Part::Half);
    server.run("config set maxmemory 0");
    server.state.config.enable_debug_command = oneloop::config::ProtectedAction::Yes;
    let (mut never, mut alone) = (Vec::new(), Vec::new());
    for command in registry.iter().filter(|command| !command.spec.keys.is_empty()) {
        let (mut found, mut several) = (0, 0);
        for _ in 0..TRIES {
            let words = request_with(command, &mut random, NUMBERS);
            let resolved = registry.resolve(words[0].as_bytes(), words.get(1).map(String::as_bytes));
            if resolved.is_none_or(|resolved| resolved.id != command.id) {
                continue;
            }
            let Some(elsewhere) = with_keys(&words, command, &["{a}1", "{a}2", "a"]) else { continue };
            assert_eq!(run(&mut server, &elsewhere), MOVED, "{elsewhere:?}");
            found += 1;
            if count_keys(&words, command) > 1
                && let Some(torn) = with_keys(&words, command, &["b", "a"])
            {
                assert_eq!(run(&mut server, &torn), CROSS_SLOT, "{torn:?}");
                several += 1;
            }
        }
        if found == 0 {
            never.push(command.full_name.clone());
        } else if several == 0 {
            alone.push(command);
        }
    }
    assert_eq!(never, [""; 0]);
    let may_have_more: Vec<&str> =
        alone.iter().filter(|command| command.lone_key.is_none()).map(|command| &*command.full_name).collect();
    assert_eq!(may_have_more, ["clusterscan", "spublish", "sort_ro"], "one key at most");
}
