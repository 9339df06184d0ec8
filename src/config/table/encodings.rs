//! Directives of the group "Encodings": up to which size a value is kept compact.

use super::super::declare::integer;
use super::super::directive::Directive;

/// Encodings: up to which size a value is kept compact.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "hash-max-listpack-entries",
        "512",
        integer!(hash_max_listpack_entries, 0, i64::MAX),
        "Most fields of a hash that is kept as one compact block.",
    )
    .alias("hash-max-ziplist-entries"),
    Directive::new(
        "hash-max-listpack-value",
        "64",
        integer!(hash_max_listpack_value, 0, i64::MAX, Memory),
        "Longest field or value in such a hash.",
    )
    .alias("hash-max-ziplist-value"),
    Directive::new(
        "list-max-listpack-size",
        "-2",
        integer!(list_max_listpack_size, i32::MIN, i32::MAX),
        "Size of a list's blocks: so many entries if positive; -1 to -5 mean 4, 8, 16, 32 and \
         64 KB.",
    )
    .alias("list-max-ziplist-size"),
    Directive::new(
        "list-compress-depth",
        "0",
        integer!(list_compress_depth, 0, i32::MAX),
        "Blocks at each end of a list that are not compressed; those between are. 0 \
         compresses none.",
    ),
    Directive::new(
        "set-max-intset-entries",
        "512",
        integer!(set_max_intset_entries, 0, i64::MAX),
        "Most members of a set of integers that is kept as a sorted array.",
    ),
    Directive::new(
        "set-max-listpack-entries",
        "128",
        integer!(set_max_listpack_entries, 0, i64::MAX),
        "Most members of a set that is kept as one compact block.",
    ),
    Directive::new(
        "set-max-listpack-value",
        "64",
        integer!(set_max_listpack_value, 0, i64::MAX, Memory),
        "Longest member in such a set.",
    ),
    Directive::new(
        "zset-max-listpack-entries",
        "128",
        integer!(zset_max_listpack_entries, 0, i64::MAX),
        "Most members of a sorted set that is kept as one compact block.",
    )
    .alias("zset-max-ziplist-entries"),
    Directive::new(
        "zset-max-listpack-value",
        "64",
        integer!(zset_max_listpack_value, 0, i64::MAX, Memory),
        "Longest member in such a sorted set.",
    )
    .alias("zset-max-ziplist-value"),
    Directive::new(
        "hll-sparse-max-bytes",
        "3000",
        integer!(hll_sparse_max_bytes, 0, i64::MAX, Memory),
        "Largest HyperLogLog that is kept sparse. Beyond 16000 the dense form is smaller.",
    ),
    Directive::new(
        "stream-node-max-bytes",
        "4096",
        integer!(stream_node_max_bytes, 0, i64::MAX, Memory),
        "Most bytes in a block of a stream; 0 sets no limit.",
    ),
    Directive::new(
        "stream-node-max-entries",
        "100",
        integer!(stream_node_max_entries, 0, i64::MAX),
        "Most entries in a block of a stream; 0 sets no limit.",
    ),
    Directive::new(
        "stream-idmp-duration",
        "100",
        integer!(stream_idmp_duration, 1, 86_400),
        "How many seconds a stream knows the messages of idempotent producers, unless XCFGSET says otherwise.",
    ),
    Directive::new(
        "stream-idmp-maxsize",
        "100",
        integer!(stream_idmp_maxsize, 1, 10_000),
        "How many messages of each idempotent producer a stream knows, unless XCFGSET says otherwise.",
    ),
];
