//! Random stories of a server with an append-only file, and what was promised in them.
//!
//! Clients append numbers to a list (odd ones in a transaction that also counts them), so what is found after a crash
//! must be a prefix of what the server had, and nothing may be there twice. Meanwhile the file is turned on and off and
//! written anew, the disk fails, helper threads come late, clients leave their replies unread, and the process is
//! killed or the power is cut, often amid an operation.
//!
//! Stories differ by what their users do most (`Users`), and by whether the disk may fail at all: where it may not, no
//! rewrite may.
//!
//! It was tried with faults put back. The answer to an order of an attempt that was given up, taken for that of the
//! next one, fails story 4, also where the increments of all attempts have one name. A list without history that is
//! written while a newer list is on its way fails none of 200 stories; `faults` has a story of that.
//!
//! `ONELOOP_STORIES` sets how many stories are played (200 by default), `ONELOOP_STORY` plays that one alone and tells
//! it.

use oneloop::config::{AppendFsync, Config};
use oneloop::storage::aof::append_only::State;
use oneloop::storage::file::operations::simulated::{Operation, PowerCut};

use crate::world::{World, settings};

/// Steps of one story.
const STEPS: usize = 250;
const CLIENTS: usize = 3;
/// What may fail.
const OPERATIONS: [Operation; 8] = [
    Operation::Create,
    Operation::Open,
    Operation::Write,
    Operation::SetLength,
    Operation::Sync,
    Operation::SyncFolder,
    Operation::Rename,
    Operation::Remove,
];

/// What the users of a story do most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Users {
    /// A little of everything.
    Any,
    /// They turn the file on and off, often before the disk has done what the time before had asked of it.
    Undecided,
    /// They write the file anew, and keep or remove history meanwhile.
    Tidy,
}

/// What must be found after a crash, as numbers of the list.
#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    after_kill: usize,
    after_power_cut: usize,
}

struct Story {
    seed: u64,
    random: fastrand::Rng,
    world: World,
    config: Config,
    promised: Promised,
    state: State,
    /// Whether all replies have waited for the disk ever since the file was turned on.
    was_strict: bool,
    is_told: bool,
    users: Users,
    /// Whether the disk may fail.
    may_fail: bool,
    /// A helper thread that does nothing until this step.
    late: Option<(usize, usize)>,
}

fn policy_of(random: &mut fastrand::Rng) -> AppendFsync {
    match random.u8(0..4) {
        0 => AppendFsync::EverySec,
        1 => AppendFsync::No,
        _ => AppendFsync::Always,
    }
}

impl Story {
    fn new(seed: u64, is_told: bool) -> Story {
        let mut random = fastrand::Rng::with_seed(seed);
        let policy = policy_of(&mut random);
        let begins_on = random.bool();
        let mut config = settings(begins_on, policy);
        config.aof_use_rdb_preamble = random.bool();
        let users = [Users::Any, Users::Undecided, Users::Tidy][(seed % 3) as usize];
        let may_fail = users == Users::Any || random.u8(0..3) == 0;
        let mut world = World::new(seed, &config, CLIENTS);
        // From then on a crash is followed by a start with the file.
        config.appendonly = true;
        world.look(&["SETRANGE", "much", "60000", "x"]);
        let state = world.state();
        Story {
            seed,
            random,
            world,
            config,
            promised: Promised::default(),
            state,
            was_strict: false,
            is_told,
            users,
            may_fail,
            late: None,
        }
    }

    fn tell(&self, text: impl FnOnce() -> String) {
        if self.is_told {
            println!("{}", text());
        }
    }

    fn play(mut self) {
        for step in 0..STEPS {
            self.late.take_if(|(_, until)| *until <= step);
            let kind = self.random.u8(0..100);
            self.tell(|| format!("{step}: {kind}"));
            if kind >= 97 {
                self.end_process(step);
            }
            match self.users {
                Users::Undecided if self.random.u8(0..100) < 15 => self.change_mind(step),
                Users::Tidy if self.random.u8(0..100) < 3 => self.tidy_amid_rewrite(step),
                Users::Tidy if self.random.u8(0..100) < 20 => self.tidy(step),
                _ => self.act(kind),
            }
            self.world.turn();
            if self.world.disk.is_cut_off() {
                self.end_process(step);
                continue;
            }
            self.note_promises();
        }
        self.rest();
        self.end_process(STEPS);
    }

    fn act(&mut self, kind: u8) {
        let client = self.random.usize(0..CLIENTS);
        match kind {
            0..=25 => self.world.append(client),
            26..=29 => self.world.clients[client].ask_much(),
            30..=44 => self.world.clients[client].read(),
            45..=64 => self.run_helper(),
            65..=72 => self.world.advance_ms(self.random.u64(1..700)),
            73 => {
                for word in ["yes", "no", "yes"] {
                    self.ask(client, &format!("CONFIG SET appendonly {word}"));
                }
            }
            74..=75 => self.ask(client, "CONFIG SET appendonly yes"),
            76..=78 => self.ask(client, "CONFIG SET appendonly no"),
            79..=82 => self.ask(client, "BGREWRITEAOF"),
            83..=84 => self.ask(client, "BGSAVE"),
            85..=86 if self.may_fail => {
                let operation = OPERATIONS[self.random.usize(0..OPERATIONS.len())];
                let percent = [10, 50, 100][self.random.usize(0..3)];
                self.tell(|| format!("  {operation:?} fails, {percent} %"));
                self.world.disk.set_fault(operation, percent);
            }
            87..=89 => self.world.disk.mend(),
            90 => self.change_policy(client),
            91 => {
                let word = if self.random.bool() { "yes" } else { "no" };
                self.ask(client, &format!("CONFIG SET no-appendfsync-on-rewrite {word}"));
            }
            92 => {
                let word = if self.random.bool() { "yes" } else { "no" };
                self.ask(client, &format!("CONFIG SET aof-disable-auto-gc {word}"));
            }
            93..=95 => {
                let operations = self.random.u64(0..30);
                self.tell(|| format!("  ends after {operations}"));
                self.world.disk.cut_off_after(operations);
            }
            96 => self.rest(),
            _ => {}
        }
    }

    /// Some helper thread does the next thing that it has to do.
    fn run_helper(&mut self) {
        let late = self.late.map(|(helper, _)| helper);
        let mut busy = self.world.disk.busy_helpers();
        busy.retain(|helper| Some(*helper) != late);
        if !busy.is_empty() {
            let helper = busy[self.random.usize(0..busy.len())];
            self.world.disk.run_helper(helper);
        }
    }

    /// Often something has just been done that the loop has not heard of, or is not done for long.
    fn move_disk(&mut self, step: usize) {
        match self.random.u8(0..4) {
            0..=1 => self.run_helper(),
            2 => {
                let busy = self.world.disk.busy_helpers();
                if !busy.is_empty() {
                    let helper = busy[self.random.usize(0..busy.len())];
                    self.late = Some((helper, step + self.random.usize(2..20)));
                }
            }
            _ => {}
        }
    }

    fn change_mind(&mut self, step: usize) {
        self.move_disk(step);
        let client = self.random.usize(0..CLIENTS);
        let words: &[&str] = match self.random.u8(0..6) {
            0..=1 => &["yes", "no", "yes"],
            2..=3 => &["no", "yes"],
            4 => &["no"],
            _ => &["yes"],
        };
        for word in words {
            self.ask(client, &format!("CONFIG SET appendonly {word}"));
        }
        self.world.append(client);
    }

    /// History is there, another rewrite is somewhere on its way, and then history is to go; often the process ends
    /// soon after.
    fn tidy_amid_rewrite(&mut self, step: usize) {
        let client = self.random.usize(0..CLIENTS);
        for request in ["CONFIG SET aof-disable-auto-gc yes", "BGREWRITEAOF"] {
            self.ask(client, request);
            self.go_on(20);
        }
        self.world.append(client);
        self.ask(client, "BGREWRITEAOF");
        let steps = self.random.usize(0..16);
        self.go_on(steps);
        self.ask(client, "CONFIG SET aof-disable-auto-gc no");
        self.world.append(client);
        self.go_on(20);
        if self.random.bool() {
            self.end_process(step);
        }
    }

    /// The loop turns, and helper threads do one thing each time.
    fn go_on(&mut self, steps: usize) {
        for _ in 0..steps {
            self.world.turn();
            self.run_helper();
        }
    }

    fn tidy(&mut self, step: usize) {
        const KEEP: &str = "CONFIG SET aof-disable-auto-gc yes";
        const REMOVE: &str = "CONFIG SET aof-disable-auto-gc no";
        const REWRITE: &str = "BGREWRITEAOF";
        self.move_disk(step);
        let client = self.random.usize(0..CLIENTS);
        let requests: &[&str] = match self.random.u8(0..6) {
            0 => &[KEEP],
            1 => &[REMOVE],
            2 => &[REWRITE],
            3 => &[KEEP, REWRITE],
            4 => &[REWRITE, REMOVE],
            _ => &[REWRITE, REMOVE, KEEP],
        };
        for request in requests {
            self.ask(client, request);
        }
        self.world.append(client);
    }

    fn ask(&mut self, client: usize, request: &str) {
        self.tell(|| format!("  {request}"));
        self.world.clients[client].ask(request);
    }

    fn change_policy(&mut self, client: usize) {
        let word = match policy_of(&mut self.random) {
            AppendFsync::Always => "always",
            AppendFsync::EverySec => "everysec",
            AppendFsync::No => "no",
        };
        self.ask(client, &format!("CONFIG SET appendfsync {word}"));
    }

    /// Whether replies wait for the disk, whatever else is going on.
    fn is_strict(&mut self) -> bool {
        let config = &self.world.server.state().config;
        config.appendfsync == AppendFsync::Always && !config.no_appendfsync_on_rewrite
    }

    /// The clients read what has come.
    fn take_in(&mut self) {
        for client in &mut self.world.clients {
            client.read();
        }
    }

    /// What has been acknowledged by now is promised, as the settings say.
    fn note_promises(&mut self) {
        let (state, is_strict) = (self.world.state(), self.is_strict());
        let was_strict = self.was_strict || state == State::Starting && self.state == State::Off;
        self.was_strict = was_strict && is_strict;
        self.state = state;
        self.check_log();
        let acknowledged = self.world.clients.iter().map(|client| client.acknowledged);
        let acknowledged = acknowledged.max().unwrap_or(0);
        if state != State::On {
            return;
        }
        let promised = &mut self.promised;
        promised.after_kill = promised.after_kill.max(acknowledged);
        if self.was_strict {
            promised.after_power_cut = promised.after_power_cut.max(acknowledged);
        }
    }

    /// What is on is appended to, and nothing fails by itself.
    fn check_log(&mut self) {
        let seed = self.seed;
        let aof = &self.world.server.state().aof;
        assert!(aof.state() != State::On || aof.has_log(), "story {seed}: on, and appended to nothing");
        assert!(self.may_fail || !aof.rewrites.last_failed, "story {seed}: a rewrite failed on a sound disk");
    }

    /// Everything comes to rest, with a disk that works: each reply has come, and the file is what INFO says it is.
    fn rest(&mut self) {
        self.tell(|| "  rest".into());
        self.world.rest();
        if self.world.disk.is_cut_off() {
            return;
        }
        let seed = self.seed;
        let told = self.world.look(&["INFO", "persistence"]).join(" ");
        for client in &self.world.clients {
            let waits = client.waits_for();
            assert!(client.is_answered(), "story {seed}: {waits} does not come: {told}");
        }
        let state = self.world.state();
        let is_wanted = self.world.server.state().config.appendonly;
        let wanted = if is_wanted { State::On } else { State::Off };
        let told = self.world.look(&["INFO", "persistence"]).join(" ");
        assert_eq!(state, wanted, "story {seed}: the file is what was asked for: {told}");
        let aof = &self.world.server.state().aof;
        assert!(!aof.is_rewriting(), "story {seed}: the rewrite is over");
        assert_eq!(aof.buffered_bytes(), 0, "story {seed}: all is written");
        let has_log = aof.has_log();
        let gathers = self.world.server.state().keyspace.changes.propagation.is_on();
        assert_eq!(gathers, has_log, "story {seed}: gathered for nobody");
        self.state = state;
        if state == State::On {
            let length = self.world.numbers().len();
            self.promised.after_kill = length;
            let config = &self.world.server.state().config;
            if config.appendfsync != AppendFsync::No {
                self.promised.after_power_cut = length;
            }
        }
        let files = self.world.files();
        let is_left = |name: &&String| name.starts_with("temp-");
        let left: Vec<_> = files.iter().filter(is_left).collect();
        assert!(left.is_empty() || self.world.disk.has_kept_file(), "story {seed}: {left:?} are left behind");
    }

    /// The process or the whole machine ends, and another one begins.
    fn end_process(&mut self, step: usize) {
        if !self.world.disk.is_cut_off() {
            self.take_in();
            self.note_promises();
        }
        let before = self.world.numbers();
        self.config.appendfsync = self.world.server.state().config.appendfsync;
        let kept = [None, None, Some(PowerCut::KeepsSome), Some(PowerCut::KeepsSome), Some(PowerCut::KeepsNothing)];
        let power_cut = kept[self.random.usize(0..kept.len())];
        self.tell(|| format!("  {power_cut:?}, {:?}", self.promised));
        if self.is_told {
            println!("{:?}\n{}", self.world.disk, self.world.manifest());
        }
        let seed = self.seed;
        let crashed = self.world.crash(power_cut, &self.config);
        if let Err(error) = crashed {
            panic!("story {seed}, step {step}: {error}");
        }
        let found = self.world.numbers();
        assert!(before.starts_with(&found), "story {seed}, step {step}: {found:?} is no beginning of {before:?}");
        let promised = match power_cut {
            None => self.promised.after_kill,
            Some(_) => self.promised.after_power_cut,
        };
        assert!(
            found.len() >= promised,
            "story {seed}, step {step}: {promised} were promised after {power_cut:?}, {} are there",
            found.len()
        );
        let odd = found.iter().filter(|number| *number % 2 == 1).count();
        let counted = self.world.look(&["GET", "count"]);
        let counted = counted.first().map_or(0, |count| count.parse().unwrap());
        assert_eq!(counted, odd, "story {seed}, step {step}: applied twice");
        self.late = None;
        self.promised = Promised { after_kill: found.len(), after_power_cut: found.len() };
        self.was_strict = self.is_strict();
        self.state = self.world.state();
        assert_eq!(self.state, State::On);
        self.world.look(&["SETRANGE", "much", "60000", "x"]);
    }
}

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_was_promised_is_there_after_every_story() {
    if let Some(seed) = number_of("ONELOOP_STORY") {
        return Story::new(seed, true).play();
    }
    for seed in 0..number_of("ONELOOP_STORIES").unwrap_or(200) {
        Story::new(seed, false).play();
    }
}
