//! Directives of the group "Snapshots": saving the data set to a file.

use super::super::checks;
use super::super::declare::{boolean, integer, special, text, word};
use super::super::directive::{Directive, Mutability};
use super::super::effect::Effect;
use super::super::values::{DumpSanitizing, RdbVersionCheck};

/// Snapshots: saving the data set to a file.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "save",
        "3600 1 300 100 60 10000",
        special!(Many, save),
        "When to save by itself: pairs of seconds and number of changes; a save starts when \
         both have been reached since the last one. Several lines add up; an empty value \
         (\"\") saves never.",
    )
    .effects(&[Effect::WriteRestrictions]),
    Directive::new(
        "stop-writes-on-bgsave-error",
        "yes",
        boolean!(stop_writes_on_bgsave_error),
        "Refuse writes after a save by itself has failed, so that the fault is noticed.",
    )
    .effects(&[Effect::WriteRestrictions]),
    Directive::new("rdbcompression", "yes", boolean!(rdbcompression), "Compress longer strings in snapshots."),
    Directive::new(
        "rdbchecksum",
        "yes",
        boolean!(rdbchecksum),
        "Put a checksum at the end of snapshots and check it when loading.",
    )
    .immutable(),
    Directive::new(
        "sanitize-dump-payload",
        "no",
        word!(sanitize_dump_payload, DumpSanitizing),
        "Check every entry of compact values that come by RESTORE or from a snapshot: no, \
         yes, or clients (only what clients send).",
    ),
    Directive::new(
        "rdb-version-check",
        "strict",
        word!(rdb_version_check, RdbVersionCheck),
        "Which versions of the format are read of snapshots and DUMP payloads: strict (those known to this server), or \
         relaxed (newer ones too, until something in them is not understood).",
    ),
    Directive::new(
        "dbfilename",
        "dump.rdb",
        text!(dbfilename, Value, Some(checks::snapshot_name)),
        "Name of the snapshot file, without a path.",
    )
    .mutability(Mutability::Protected),
    Directive::new(
        "rdb-del-sync-files",
        "no",
        boolean!(rdb_del_sync_files),
        "Delete snapshots that were only made or received for replication, if neither saving \
         nor appendonly is on.",
    ),
    Directive::new(
        "dir",
        "./",
        special!(One, dir),
        "Working folder. Snapshots and the append-only files are put there.",
    )
    .effects(&[Effect::WorkingFolder])
    .mutability(Mutability::ProtectedUnlessLoading),
    Directive::new(
        "rdb-save-incremental-fsync",
        "yes",
        boolean!(rdb_save_incremental_fsync),
        "Bring a snapshot to the disk in pieces of 4 MB while it is written, not all at its end.",
    ),
    Directive::new(
        "snapshot-loop-share",
        "50",
        integer!(snapshot_loop_share, 1, 99),
        "How much of the loop's time the writing of snapshots may take while clients are \
         served, in percent: BGSAVE, rewriting the append-only file, and what is made for \
         replicas. It may also use otherwise idle time.",
    ),
    Directive::new(
        "rdb-key-save-delay",
        "0",
        integer!(rdb_key_save_delay, i32::MIN, i32::MAX),
        "For tests: microseconds to wait after each key saved; a negative number saves so \
         many keys for each microsecond.",
    )
    .hidden(),
    Directive::new(
        "key-load-delay",
        "0",
        integer!(key_load_delay, i32::MIN, i32::MAX),
        "For tests: microseconds to wait after each key loaded; a negative number loads so \
         many keys for each microsecond.",
    )
    .hidden(),
    Directive::new(
        "loading-process-events-interval-bytes",
        "2097152",
        integer!(loading_process_events_interval_bytes, 1024, i32::MAX),
        "Bytes to load before clients are looked at again.",
    )
    .hidden(),
];
