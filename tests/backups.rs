//! Backups: whole or not there, whatever the disk does; and a server that starts on one.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::config::Config;
use oneloop::drive::save::backup;
use oneloop::engine::saving::BackupEnd;
use oneloop::engine::state::ServerState;
use oneloop::keyspace::{Expiry, NewValue};
use oneloop::storage::backup::{DATA_NAME, MANIFEST_NAME, Manifest};
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::simulated::{Operation, PowerCut, SimulatedDisk};
use server::{Raw, Server};
use sha2::{Digest, Sha256};

const KEYS: u64 = 500;

/// A server on a disk of its own.
struct World {
    state: ServerState,
    disk: SimulatedDisk,
    folder: PathBuf,
}

impl World {
    fn new(seed: u64) -> World {
        let disk = SimulatedDisk::new(seed);
        let entropy = Entropy::Seeded(seed);
        let clock = Clock::virtual_at(1_700_000_000_000);
        let mut state = ServerState::new(&oneloop::commands::PROGRAM, Config::default(), clock, &entropy);
        state.disk = Disk::Simulated(disk.clone());
        for number in 0..KEYS {
            state.keyspace.set(0, format!("key:{number}").as_bytes(), NewValue::Integer(number as i64), Expiry::Clear);
        }
        let folder = std::env::current_dir().expect("a folder").join("night");
        World { state, disk, folder }
    }

    /// Lets the loop and the threads go on until the backup is over, or nothing moves any more.
    fn finish(&mut self) {
        for _ in 0..100_000 {
            let moves = backup::step(&mut self.state);
            let helpers = self.disk.busy_helpers();
            let is_stuck = !moves && helpers.is_empty();
            helpers.into_iter().for_each(|helper| {
                self.disk.run_helper(helper);
            });
            if is_stuck {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    fn end(&self) -> Option<BackupEnd> {
        self.state.saving.last_backup.as_ref().and_then(|report| report.end.clone())
    }

    fn has_folder(&self) -> bool {
        Disk::Simulated(self.disk.clone()).files().exists(&self.folder)
    }

    /// What is on the disk: the manifest, if there is one, with data that are as it says.
    #[track_caller]
    fn found(&self) -> Option<Manifest> {
        let disk = Disk::Simulated(self.disk.clone());
        let text = disk.read(&self.folder.join(MANIFEST_NAME)).ok()?;
        let text = String::from_utf8(text).expect("a text");
        let manifest = Manifest::of_text(&text).expect("a whole manifest");
        let data = disk.read(&self.folder.join(DATA_NAME)).expect("the data are there before the manifest");
        assert_eq!(data.len() as u64, manifest.data_bytes);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&data)), manifest.data_sha256);
        assert_eq!(manifest.keys, KEYS);
        Some(manifest)
    }
}

#[test]
fn a_backup_is_of_the_moment_at_which_it_was_asked_for() {
    let mut world = World::new(1);
    backup::begin(&mut world.state, "night", false).expect("it begins");
    assert_eq!(backup::begin(&mut world.state, "other", false), Err("A backup is already in progress".into()));
    world.state.keyspace.flush(0);
    world.finish();
    assert_eq!(world.end(), Some(BackupEnd::Done));
    assert!(world.found().is_some());
    assert_eq!(backup::begin(&mut world.state, "night", false), Err("'night' exists already".into()));
}

#[test]
fn names_lead_nowhere_else() {
    let mut world = World::new(1);
    for name in ["", "..", "../x", "/tmp/x", "a/../../b", "./a/..", "a\0b"] {
        assert!(backup::begin(&mut world.state, name, false).is_err(), "{name:?}");
    }
    assert!(backup::begin(&mut world.state, "", true).is_err());
    backup::begin(&mut world.state, "/elsewhere", true).expect("where it is allowed");
}

#[test]
fn what_fails_or_is_cancelled_leaves_nothing() {
    for operation in [Operation::Write, Operation::Sync, Operation::Rename] {
        let mut world = World::new(2);
        backup::begin(&mut world.state, "night", false).expect("it begins");
        world.disk.set_fault(operation, 100);
        world.finish();
        assert!(matches!(world.end(), Some(BackupEnd::Failed(_))), "{operation:?}: {:?}", world.end());
        assert_eq!(world.found(), None, "{operation:?}");
        assert!(!world.has_folder(), "{operation:?}");
    }
    let mut world = World::new(3);
    assert!(!backup::cancel(&mut world.state), "there is none");
    backup::begin(&mut world.state, "night", false).expect("it begins");
    backup::step(&mut world.state);
    assert!(backup::cancel(&mut world.state));
    world.finish();
    assert_eq!(world.end(), Some(BackupEnd::Cancelled));
    assert!(!world.has_folder());
}

#[test]
fn after_a_power_cut_a_backup_with_a_manifest_is_whole() {
    for kept in [PowerCut::KeepsNothing, PowerCut::KeepsSome] {
        let (mut whole, mut missing) = (0, 0);
        for seed in 0..60 {
            let mut world = World::new(seed);
            backup::begin(&mut world.state, "night", false).expect("it begins");
            world.disk.cut_off_after(seed / 2);
            world.finish();
            world.disk.begin_process(Some(kept));
            match world.found() {
                Some(_) => whole += 1,
                None => missing += 1,
            }
        }
        assert!(whole > 0 && missing > 0, "{kept:?}: {whole} {missing}");
    }
}

/// What is said to be done outlives the cut, in all its parts.
#[test]
fn a_backup_that_is_done_outlives_a_power_cut() {
    let mut world = World::new(4);
    backup::begin(&mut world.state, "night", false).expect("it begins");
    world.finish();
    assert_eq!(world.end(), Some(BackupEnd::Done));
    world.disk.begin_process(Some(PowerCut::KeepsNothing));
    assert!(world.found().is_some());
    assert!(world.has_folder());
}

/// The lines of BACKUP STATUS.
fn status(client: &mut Raw<TcpStream>) -> Vec<String> {
    client.send("BACKUP STATUS\r\nPING\r\n");
    let mut lines = Vec::new();
    while lines.last().map(String::as_str) != Some("+PONG") {
        lines.push(client.line());
    }
    lines
}

#[test]
fn a_server_starts_on_a_backup() {
    let server = Server::start(&["--save", ""]);
    let mut client = server.connect();
    client.ask("MSET a 1 b 2", "+OK\r\n");
    client.ask("PEXPIRE b 1000000", ":1\r\n");
    client.ask("BACKUP STATUS", "*2\r\n$5\r\nstate\r\n$4\r\nnone\r\n");
    client.ask("BACKUP TO night", "+Backup started\r\n");
    let deadline = std::time::Instant::now() + server::PATIENCE;
    while !status(&mut client).contains(&"done".to_string()) {
        assert!(std::time::Instant::now() < deadline, "{:?}", status(&mut client));
    }
    client.ask("BACKUP TO night", "-ERR 'night' exists already\r\n");
    client.ask("BACKUP CANCEL", "-ERR no backup is in progress\r\n");
    let outside = "-ERR the name of a backup is relative to dir, unless protected configurations are enabled\r\n";
    client.ask("BACKUP TO ../night", outside);
    let folder: PathBuf = Path::new(&server.folder).join("night");
    let check = |folder: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_oneloop")).arg("check-backup").arg(folder).output();
        let output = output.expect("the program starts");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (is_sound, text) = check(&folder);
    assert!(is_sound && text.contains("2 keys"), "{text}");
    let other = folder.with_file_name("other");
    fs::create_dir(&other).expect("a folder");
    assert_eq!(
        check(&other),
        (
            false,
            "This is no sound backup: there is no backup.manifest; it was given up, or is still being made\n".into()
        )
    );
    fs::copy(folder.join(MANIFEST_NAME), other.join(MANIFEST_NAME)).expect("a copy");
    let mut data = fs::read(folder.join(DATA_NAME)).expect("the data");
    data[20] ^= 1;
    fs::write(other.join(DATA_NAME), &data).expect("a damaged copy");
    assert!(check(&other).1.contains("dump.rdb has the SHA-256 sum"), "{}", check(&other).1);
    data.pop();
    fs::write(other.join(DATA_NAME), &data).expect("a short copy");
    assert!(check(&other).1.contains("bytes, the manifest says"), "{}", check(&other).1);
    let restored = Server::start(&["--save", "", "--dir", folder.to_str().expect("a plain name")]);
    let mut client = restored.connect();
    client.ask("MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    client.ask("DBSIZE", ":2\r\n");
}
