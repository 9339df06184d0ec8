//! Single stories, each named after what once went wrong.

use std::path::Path;

use oneloop::base::sys::signals::Signal;
use oneloop::config::AppendFsync;
use oneloop::storage::aof::append_only::State;
use oneloop::storage::file::operations::simulated::{Operation, PowerCut};
use oneloop::storage::file::operations::{DiskOperations as _, FileOperations as _};

use crate::world::{World, settings};

/// The AOF worker is the first one that is started where nothing was synced before.
const CHORES: usize = 0;

fn world(appendonly: bool, policy: AppendFsync) -> World {
    World::new(7, &settings(appendonly, policy), 2)
}

/// All helper threads but one do what they have to do, turn by turn.
fn run_all_but(world: &mut World, late: Option<usize>) {
    for _ in 0..100 {
        for helper in world.disk.busy_helpers() {
            if Some(helper) != late {
                world.disk.run_helper(helper);
            }
        }
        world.turn();
    }
}

/// The process is killed: everything that was acknowledged is there, and once.
fn assert_all_is_there(world: &mut World, power_cut: Option<PowerCut>) {
    let before = world.numbers();
    let on = settings(true, AppendFsync::Always);
    world.crash(power_cut, &on).expect("the file is loaded");
    assert_eq!(world.numbers(), before);
    let odd = before.iter().filter(|number| *number % 2 == 1).count();
    let counted = world.look(&["GET", "count"]);
    let counted: usize = counted[0].parse().expect("a number");
    assert_eq!(counted, odd, "applied once each");
}

/// A folder stood where the temporary base was to be made: no reply left any more, and what was done meanwhile was
/// applied twice.
#[test]
fn a_first_base_that_cannot_be_written_hangs_nobody_and_doubles_nothing() {
    let mut world = world(false, AppendFsync::EverySec);
    let folder = Path::new("appendonlydir");
    world.disk.create_folder(folder).expect("a folder");
    let name = folder.join("temp-appendonly.aof.1.base");
    world.disk.create_folder(&name).expect("a folder");
    assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
    for number in 1..=40 {
        world.append(0);
        world.run_helpers();
        world.advance_ms(10);
        world.turn();
        world.clients[0].read();
        assert_eq!(world.clients[0].acknowledged, number, "a reply leaves");
        assert_eq!(world.ask(1, "PING"), "+PONG");
    }
    for _ in 0..50 {
        world.run_helpers();
        world.advance_ms(100);
        world.turn();
    }
    assert_eq!(world.state(), State::On, "the next attempt has another name");
    assert_all_is_there(&mut world, None);
}

/// The thread that wrote the base of a rewrite that had been given up went on, into the base that the next one had
/// published.
#[test]
fn a_rewrite_that_was_given_up_does_not_touch_the_base_of_the_next() {
    let mut world = world(false, AppendFsync::EverySec);
    for _ in 0..5 {
        world.append(0);
    }
    assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
    world.disk.run_helper(CHORES);
    world.turn();
    world.turn();
    let late = *world.disk.busy_helpers().last().expect("it writes a base");
    // The thread has made its file, and has the rest before it.
    world.disk.run_helper(late);
    assert_eq!(world.ask(0, "CONFIG SET appendonly no"), "+OK");
    world.append(0);
    assert_eq!(world.ask(1, "CONFIG SET appendonly yes"), "+OK");
    run_all_but(&mut world, Some(late));
    assert_eq!(world.state(), State::On);
    world.append(0);
    world.turn();
    while world.disk.run_helper(late) {}
    run_all_but(&mut world, None);
    let files = world.files();
    assert!(!files.iter().any(|name| name.starts_with("temp-")), "{files:?}");
    assert_all_is_there(&mut world, None);
}

/// Yes, no, yes while the disk is slow: the answers to the first wish were taken for those to the second, and the file
/// was never on.
#[test]
fn the_file_is_on_when_it_says_so_however_late_the_disk_is() {
    for steps_between in 0..6 {
        let mut world = world(false, AppendFsync::EverySec);
        world.append(0);
        assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
        for _ in 0..steps_between {
            if let Some(helper) = world.disk.busy_helpers().first() {
                world.disk.run_helper(*helper);
            }
            world.turn();
        }
        assert_eq!(world.ask(0, "CONFIG SET appendonly no"), "+OK");
        world.append(0);
        assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
        while world.state() != State::On {
            let busy = world.disk.busy_helpers();
            world.disk.run_helper(*busy.first().expect("something goes on"));
            world.turn();
        }
        world.append(0);
        world.turn();
        world.clients[0].read();
        assert!(world.clients[0].is_answered());
        assert_all_is_there(&mut world, None);
    }
}

/// A client whose socket had been full got all that was ready on its next writable event, also the reply to a write of
/// the same turn.
#[test]
fn no_reply_leaves_before_its_write_is_synced_though_the_socket_was_full() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new(seed, &settings(true, AppendFsync::Always), 2);
        world.look(&["SETRANGE", "much", "60000", "x"]);
        for _ in 0..80 {
            let client = random.usize(0..2);
            match random.u8(0..10) {
                0..=2 => world.append(client),
                3..=5 => world.clients[client].ask_much(),
                _ => world.clients[client].read(),
            }
            world.turn();
            // No thread has synced anything.
            let acknowledged = world.clients.iter().map(|client| client.acknowledged);
            assert_eq!(acknowledged.max(), Some(0), "seed {seed}");
        }
        world.rest();
        assert!(world.clients.iter().all(|client| client.is_answered()));
        assert_all_is_there(&mut world, Some(PowerCut::KeepsNothing));
    }
}

/// Replies that wait for a file that is turned off wait for nothing.
#[test]
fn replies_that_wait_leave_when_the_file_is_turned_off() {
    let mut world = world(true, AppendFsync::Always);
    world.append(0);
    world.clients[1].ask("CONFIG SET appendonly no");
    world.turn();
    world.turn();
    world.clients[0].read();
    assert_eq!(world.clients[0].acknowledged, 1);
}

/// A reply had left in part while less was asked of the disk; when more was asked again nobody looked at the rest any
/// more.
#[test]
fn the_rest_of_a_reply_leaves_though_the_policy_has_changed_meanwhile() {
    let mut world = world(true, AppendFsync::Always);
    world.look(&["SETRANGE", "much", "60000", "x"]);
    world.append(0);
    world.clients[0].ask_much();
    world.turn();
    for policy in ["everysec", "always"] {
        world.clients[1].ask(&format!("CONFIG SET appendfsync {policy}"));
        world.turn();
        world.turn();
    }
    // There is room in the socket, and the thread has synced nothing.
    world.clients[0].read();
    world.turn();
    world.rest();
    assert!(world.clients[0].is_answered());
}

/// The list without history was written by the loop, while the thread might have written a newer one under the same
/// temporary name.
#[test]
fn history_that_goes_amid_a_rewrite_undoes_no_newer_list() {
    for steps in 0..12 {
        let mut world = world(true, AppendFsync::EverySec);
        world.append(0);
        assert_eq!(world.ask(0, "CONFIG SET aof-disable-auto-gc yes"), "+OK");
        world.ask(0, "BGREWRITEAOF");
        run_all_but(&mut world, None);
        assert!(world.manifest().contains("type h"));
        world.append(0);
        world.ask(0, "BGREWRITEAOF");
        for _ in 0..steps {
            if let Some(helper) = world.disk.busy_helpers().first() {
                world.disk.run_helper(*helper);
            }
            world.turn();
        }
        assert_eq!(world.ask(0, "CONFIG SET aof-disable-auto-gc no"), "+OK");
        world.append(0);
        run_all_but(&mut world, None);
        let text = world.manifest();
        assert!(text.contains("appendonly.aof.3.base.rdb seq 3 type b"), "{text}");
        assert!(!text.contains("type h"), "{text}");
        assert_eq!(world.files().len(), 3, "a base, an increment, the list");
        assert_all_is_there(&mut world, None);
    }
}

/// With nothing else going on the history is no longer listed when the reply leaves.
#[test]
fn history_is_gone_from_the_list_when_its_removal_is_acknowledged() {
    let mut world = world(true, AppendFsync::EverySec);
    assert_eq!(world.ask(0, "CONFIG SET aof-disable-auto-gc yes"), "+OK");
    world.ask(0, "BGREWRITEAOF");
    run_all_but(&mut world, None);
    assert!(world.manifest().contains("type h"));
    assert_eq!(world.ask(0, "CONFIG SET aof-disable-auto-gc no"), "+OK");
    assert!(!world.manifest().contains("type h"));
}

/// What the first wish had ordered emptied the file that the second was appending to already.
#[test]
fn an_order_that_comes_late_does_not_empty_the_file_that_is_appended_to() {
    let mut world = world(false, AppendFsync::EverySec);
    for _ in 0..3 {
        assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
        world.append(0);
        assert_eq!(world.ask(0, "CONFIG SET appendonly no"), "+OK");
    }
    assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
    for _ in 0..60 {
        if let Some(helper) = world.disk.busy_helpers().first() {
            world.disk.run_helper(*helper);
        }
        world.append(0);
        world.turn();
    }
    assert_eq!(world.state(), State::On);
    assert_all_is_there(&mut world, None);
}

/// A crash between the list that names the next increment and the first write to it: the increment before is the last
/// with anything in it, and may be torn.
#[test]
fn a_torn_increment_is_loaded_though_an_empty_one_is_listed_behind_it() {
    let mut world = world(true, AppendFsync::No);
    world.append(0);
    world.turn();
    world.ask(0, "BGREWRITEAOF");
    for _ in 0..3 {
        world.run_helpers();
    }
    let text = world.manifest();
    assert!(text.contains("appendonly.aof.2.incr.aof"), "{text}");
    let torn = Path::new("appendonlydir/appendonly.aof.1.incr.aof");
    let torn = world.disk.open_to_append(torn).expect("the increment");
    torn.write(b"*3\r\n$5\r\nRPUSH\r\n").expect("it takes it");
    assert_all_is_there(&mut world, None);
    world.append(0);
    world.rest();
    assert_all_is_there(&mut world, Some(PowerCut::KeepsNothing));
}

/// The system had brought the next increment to the disk and not yet the end of the one before: what was found had a
/// hole.
#[test]
fn nothing_is_loaded_behind_what_a_power_cut_has_taken() {
    let mut world = world(true, AppendFsync::No);
    world.append(0);
    world.append(0);
    world.turn();
    world.ask(0, "BGREWRITEAOF");
    world.disk.run_helper(1);
    world.turn();
    world.append(0);
    world.turn();
    let next = Path::new("appendonlydir/appendonly.aof.2.incr.aof");
    let next = world.disk.open_to_append(next).expect("the next increment");
    assert!(next.length().expect("a length") > 0, "it is appended to");
    next.sync().expect("a sync");
    let on = settings(true, AppendFsync::No);
    let cut = Some(PowerCut::KeepsNothing);
    world.crash(cut, &on).expect("it is loaded");
    let found = world.numbers();
    assert!([0, 1, 2, 3].map(|end| (1..=end).collect()).contains(&found), "{found:?}");
    assert!(found.len() < 3, "a part of it was lost");
}

/// What a killed process has left in the system's cache was served, and lost by a power cut afterwards.
#[test]
fn what_was_loaded_is_on_the_disk() {
    let mut world = world(true, AppendFsync::No);
    world.append(0);
    world.turn();
    assert_all_is_there(&mut world, None);
    assert_all_is_there(&mut world, Some(PowerCut::KeepsNothing));
}

/// An increment that was history, and not removed, had the name of the next one: its commands came back.
#[test]
fn what_is_history_is_not_appended_to() {
    let mut world = world(true, AppendFsync::EverySec);
    world.append(0);
    assert_eq!(world.ask(0, "CONFIG SET aof-disable-auto-gc yes"), "+OK");
    assert_eq!(world.ask(0, "CONFIG SET appendonly no"), "+OK");
    world.ask(0, "BGREWRITEAOF");
    run_all_but(&mut world, None);
    let text = world.manifest();
    assert!(!text.contains("type i") && text.contains("incr.aof seq 1 type h"), "{text}");
    assert_all_is_there(&mut world, None);
    world.append(0);
    world.rest();
    assert_all_is_there(&mut world, None);
}

/// The list that was written with its predecessor's temporary name failed for as long as something had that name.
#[test]
fn a_temporary_list_that_cannot_be_removed_keeps_no_later_list_from_being_written() {
    let mut world = world(true, AppendFsync::EverySec);
    world.append(0);
    for operation in [Operation::Rename, Operation::Sync] {
        world.disk.set_fault(operation, 100);
        world.disk.set_fault(Operation::Remove, 100);
        world.look(&["BGREWRITEAOF"]);
        world.run_helpers();
        world.turn();
        assert!(world.server.state().aof.rewrites.last_failed, "{operation:?}");
        world.disk.mend();
        world.look(&["BGREWRITEAOF"]);
        run_all_but(&mut world, None);
        assert!(!world.server.state().aof.rewrites.last_failed, "after {operation:?}");
    }
    assert_all_is_there(&mut world, None);
}

/// INFO showed nothing of a rewrite, and what it had pinned was to be released by the job that was over.
#[test]
fn a_rewrite_is_shown_while_it_goes_on_and_leaves_nothing_pinned() {
    let mut config = settings(true, AppendFsync::EverySec);
    config.rdb_key_save_delay = 1000;
    let mut world = World::new(7, &config, 1);
    let all: String = (0..2000).map(|number| format!(" key:{number} {number}")).collect();
    world.ask(0, &format!("MSET{all}"));
    let shown = |world: &mut World| -> Vec<String> {
        let info = world.look(&["INFO", "persistence"]);
        let wanted = ["current_save_keys_total:", "current_save_keys_processed:", "rdb_current_bgsave_time_sec:"];
        info.into_iter().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect()
    };
    let nothing = ["current_save_keys_processed:0", "current_save_keys_total:0", "rdb_current_bgsave_time_sec:-1"];
    assert_eq!(shown(&mut world), nothing);
    world.ask(0, "BGREWRITEAOF");
    world.run_helpers();
    world.turn();
    world.run_helpers();
    while shown(&mut world)[0] != "current_save_keys_processed:5" {
        world.advance_ms(1);
        world.turn();
    }
    assert_eq!(shown(&mut world)[1..], ["current_save_keys_total:2000", "rdb_current_bgsave_time_sec:-1"]);
    world.ask(0, &format!("MSET{all}"));
    let cow = world.look(&["INFO", "persistence"]).into_iter().find(|line| line.starts_with("current_cow_size:"));
    assert_ne!(cow.as_deref(), Some("current_cow_size:0"));
    world.server.state().config.rdb_key_save_delay = 0;
    while world.server.state().aof.is_rewriting() {
        world.run_helpers();
        world.advance_ms(1);
        world.turn();
    }
    assert_eq!(shown(&mut world), nothing);
    assert!(!world.server.state().saving.has_abandoned());
    let cow = world.look(&["INFO", "persistence"]).into_iter().find(|line| line.starts_with("aof_last_cow_size:"));
    assert_ne!(cow.as_deref(), Some("aof_last_cow_size:0"));
}

/// Commands that removed no entry, but references to entries that had been deleted before, were not in the file: the
/// references came back.
#[test]
fn references_that_go_without_an_entry_do_not_come_back() {
    // In one line each, requests and replies.
    let scripted = |words: &str| {
        let words: Vec<String> = words.split(' ').map(|word| format!("'{word}'")).collect();
        format!("EVAL \"redis.call({}) return 1\" 0", words.join(","))
    };
    // Entries of a block, what is deleted, what lets references go, and how many.
    let requests = [
        (100, "XDEL s 1-0 2-0", "XTRIM s MINID 3 DELREF", 2),
        (100, "XDEL s 1-0 2-0 3-0", "XTRIM s MINID 4 DELREF", 3),
        (100, "XDEL s 1-0 2-0", "XADD s MINID 4 DELREF 9-0 f v", 3),
        (100, "XDEL s 1-0", "XDELEX s DELREF IDS 1 1-0", 1),
        (100, "XDEL s 1-0", "XACKDEL s g DELREF IDS 1 1-0", 1),
        (2, "XDEL s 2-0", "XTRIM s MAXLEN ~ 2 DELREF", 1),
        (2, "XDEL s 2-0", "XADD s MAXLEN ~ 2 DELREF 9-0 f v", 2),
        (2, "XDEL s 3-0", "XTRIM s MINID ~ 4 DELREF", 2),
        (2, "XDEL s 1-0", "XADD s MINID ~ 4 DELREF 9-0 f v", 2),
    ];
    for (entries, deletion, request, gone) in requests {
        let mut world = world(true, AppendFsync::No);
        world.ask(0, &format!("CONFIG SET stream-node-max-entries {entries}"));
        for number in 1..=4 {
            world.ask(0, &scripted(&format!("XADD s {number}-0 f v")));
        }
        world.ask(0, "XGROUP CREATE s g 0");
        world.ask(0, &scripted("XREADGROUP GROUP g c STREAMS s >"));
        assert_eq!(world.look(&["XPENDING", "s", "g"])[0], ":4");
        for asked in [deletion, request] {
            assert_eq!(world.ask(0, &scripted(asked)), ":1", "{asked}");
        }
        world.run_helpers();
        let questions: [&[&str]; 2] = [&["XPENDING", "s", "g", "-", "+", "10"], &["XRANGE", "s", "-", "+"]];
        let before = questions.map(|question| world.look(question));
        assert_eq!(world.look(&["XPENDING", "s", "g"])[0], format!(":{}", 4 - gone), "{deletion}, {request}");
        let on = settings(true, AppendFsync::No);
        world.crash(None, &on).expect("the file is loaded");
        let after = questions.map(|question| world.look(question));
        // Times since the delivery differ.
        let without_times = |answers: &[Vec<String>; 2]| {
            let lines = answers.iter().flatten().filter(|line| !line.starts_with(':'));
            lines.cloned().collect::<Vec<_>>()
        };
        assert_eq!(without_times(&after), without_times(&before), "{deletion}, {request}");
    }
}

/// How a script that has written is met while the first base is written: its client, and the server where it stands
/// still.
fn world_with_suspended_script(script: &str, is_log_begun: bool) -> World {
    let mut world = world(false, AppendFsync::EverySec);
    // No time goes by by itself: a script stands still when it has looked at the clock so often.
    world.server.state().scripting.set_step_budget(10);
    world.append(0);
    assert_eq!(world.ask(0, "CONFIG SET appendonly yes"), "+OK");
    if is_log_begun {
        world.disk.run_helper(CHORES);
        world.turn();
    }
    world.clients[1].ask(&format!("EVAL \"redis.call('set', 'half', '1') {script}\" 0"));
    world.turn();
    assert!(world.server.state().scripting.busy().is_some());
    world
}

/// The rewrite could not go on while a script ran: a script without an end made a server that nothing could end.
#[test]
fn the_first_base_is_written_while_a_script_stands_still() {
    let mut world = world_with_suspended_script("while true do end", true);
    run_all_but(&mut world, None);
    assert_eq!(world.state(), State::On, "the base is listed");
    assert!(world.server.state().scripting.busy().is_some());
    world.clients[0].ask("SHUTDOWN NOSAVE");
    world.turn();
    assert!(world.server.is_over());
    let on = settings(true, AppendFsync::EverySec);
    world.crash(None, &on).expect("the file is loaded");
    assert_eq!(world.numbers(), [1]);
    assert_eq!(world.look(&["EXISTS", "half"]), [":0"], "half a script is in no file");
}

/// Where the file had not begun before the script, there is nothing to be on before its end; who wants nothing saved is
/// heard.
#[test]
fn a_server_without_its_first_base_ends_though_a_script_does_not() {
    let mut world = world_with_suspended_script("while true do end", false);
    run_all_but(&mut world, None);
    assert_eq!(world.state(), State::Starting);
    world.clients[0].ask("SHUTDOWN NOSAVE");
    world.turn();
    assert!(world.server.is_over());
}

/// As in Redis a signal is obeyed when the script is over: what it has done is saved as a whole.
#[test]
fn a_signal_ends_the_server_as_soon_as_the_script_is_over() {
    for is_log_begun in [false, true] {
        let mut world = world_with_suspended_script("for i = 1, 1e6 do end", is_log_begun);
        world.server.world().signal(Signal::Terminate);
        let mut turns = 0;
        while world.server.state().scripting.busy().is_some() {
            assert!(!world.server.is_over());
            world.run_helpers();
            world.turn();
            turns += 1;
            assert!(turns < 100_000, "the script comes to its end");
        }
        // The first base, which would be lost, comes before the end.
        for _ in 0..100 {
            if world.server.is_over() {
                break;
            }
            world.server.world().signal(Signal::Terminate);
            world.advance_ms(100);
            world.run_helpers();
            world.turn();
        }
        assert!(world.server.is_over());
        let on = settings(true, AppendFsync::EverySec);
        world.crash(None, &on).expect("the file is loaded");
        assert_eq!(world.look(&["GET", "half"]), ["1"]);
        assert_eq!(world.numbers(), [1]);
    }
}
