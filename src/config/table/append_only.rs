//! Directives of the group "Append-only file": logging every write.

use super::super::checks;
use super::super::declare::{boolean, integer, text, word};
use super::super::directive::{Directive, Mutability};
use super::super::effect::Effect;
use super::super::values::AppendFsync;

/// Append-only file: logging every write.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "appendonly",
        "no",
        boolean!(appendonly),
        "Log every write, so that at most the last moment is lost in a crash. Where there is no \
         log yet, the snapshot is loaded and the log begins with its data.",
    )
    .effects(&[Effect::AppendOnly])
    .mutability(Mutability::MutableUnlessLoading),
    Directive::new(
        "appendfilename",
        "appendonly.aof",
        text!(appendfilename, Value, Some(checks::append_only_name)),
        "Base name of the log's files, without a path.",
    )
    .effects(&[Effect::AppendOnlySettings])
    .immutable(),
    Directive::new(
        "appenddirname",
        "appendonlydir",
        text!(appenddirname, Value, Some(checks::append_only_folder)),
        "Folder within dir that holds the log's files, without a path.",
    )
    .effects(&[Effect::AppendOnlySettings])
    .immutable(),
    Directive::new(
        "appendfsync",
        "everysec",
        word!(appendfsync, AppendFsync),
        "When the log is forced to the disk: always (before a reply; nothing acknowledged is \
         lost), everysec (at most about a second is lost) or no (when the system likes).",
    )
    .effects(&[Effect::AppendOnlySettings]),
    Directive::new(
        "no-appendfsync-on-rewrite",
        "no",
        boolean!(no_appendfsync_on_rewrite),
        "Do not force the log to the disk while a save or rewrite runs. Steadier, but more \
         may be lost.",
    ),
    Directive::new(
        "auto-aof-rewrite-percentage",
        "100",
        integer!(auto_aof_rewrite_percentage, 0, i32::MAX),
        "Rewrite the log when it has grown by so many percent since the last rewrite; 0 never \
         does.",
    ),
    Directive::new(
        "auto-aof-rewrite-min-size",
        "67108864",
        integer!(auto_aof_rewrite_min_size, 0, i64::MAX, Memory),
        "Least size of the log for a rewrite by itself.",
    ),
    Directive::new(
        "aof-load-truncated",
        "yes",
        boolean!(aof_load_truncated),
        "Load a log whose end is cut off, as after a power failure, up to that point. \
         Otherwise refuse to start.",
    ),
    Directive::new(
        "aof-use-rdb-preamble",
        "yes",
        boolean!(aof_use_rdb_preamble),
        "Rewrite the log as a snapshot, which is smaller and loads faster, rather than as \
         commands.",
    ),
    Directive::new(
        "aof-timestamp-enabled",
        "no",
        boolean!(aof_timestamp_enabled),
        "Write times into the log, so that it can be cut at a moment. Old readers may not \
         understand it.",
    )
    .effects(&[Effect::AppendOnlySettings]),
    Directive::new(
        "aof-rewrite-incremental-fsync",
        "yes",
        boolean!(aof_rewrite_incremental_fsync),
        "Sync a rewrite in pieces while it is written, rather than all at its end.",
    ),
    Directive::new(
        "aof-disable-auto-gc",
        "no",
        boolean!(aof_disable_auto_gc),
        "For tests: keep files of the log that are no longer needed.",
    )
    .effects(&[Effect::AppendOnlyHistory])
    .hidden(),
];
