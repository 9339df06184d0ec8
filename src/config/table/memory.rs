//! Directives of the group "Memory": how much is used and what gives way.

use super::super::declare::{boolean, integer, special, word};
use super::super::directive::Directive;
use super::super::effect::Effect;
use super::super::values::MaxmemoryPolicy;

/// Memory: how much is used and what gives way.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "maxmemory",
        "0",
        integer!(maxmemory, 0, u64::MAX, Memory),
        "Limit of memory for data. When it is reached, maxmemory-policy decides what happens; \
         0 sets no limit.",
    )
    .effects(&[Effect::MemoryLimit, Effect::ClientMemoryLimit, Effect::SmallLimitWarning]),
    Directive::new(
        "maxmemory-policy",
        "noeviction",
        word!(maxmemory_policy, MaxmemoryPolicy),
        "What to evict at the limit: volatile-lru, volatile-lfu, volatile-lrm, volatile-random and \
         volatile-ttl choose among keys with a time to live; allkeys-lru, allkeys-lfu, allkeys-lrm and \
         allkeys-random among all; noeviction refuses writes instead. lru takes the least recently used, lfu \
         the least frequently used, lrm the least recently modified: reads do not count there.",
    )
    .effects(&[Effect::Eviction]),
    Directive::new(
        "maxmemory-samples",
        "5",
        integer!(maxmemory_samples, 1, i32::MAX),
        "Keys looked at to find one to evict. More come closer to true LRU or LFU and cost \
         more time.",
    )
    .effects(&[Effect::Eviction]),
    Directive::new(
        "maxmemory-eviction-tenacity",
        "10",
        integer!(maxmemory_eviction_tenacity, 0, 100),
        "How long eviction may hold up clients between two polls: 0 is the shortest, 10 half \
         a millisecond, 100 sets no limit.",
    )
    .effects(&[Effect::MemoryLimit]),
    Directive::new(
        "maxmemory-clients",
        "0",
        special!(One, maxmemory_clients),
        "Limit of the memory of all clients together; the largest are closed when it is \
         passed. An amount, or a percentage of maxmemory; 0 sets no limit.",
    )
    .effects(&[Effect::ClientMemoryLimit]),
    Directive::new(
        "replica-ignore-maxmemory",
        "yes",
        boolean!(replica_ignore_maxmemory),
        "On a replica, evict nothing by itself and follow what the primary evicts.",
    )
    .alias("slave-ignore-maxmemory")
    .effects(&[Effect::MemoryLimit]),
    Directive::new(
        "active-expire-effort",
        "1",
        integer!(active_expire_effort, 1, 10),
        "How much effort the search for expired keys takes: 1 is the least, 10 the most \
         CPU time and the least leftover.",
    ),
    Directive::new(
        "lfu-log-factor",
        "10",
        integer!(lfu_log_factor, 0, i32::MAX),
        "How slowly the frequency counter of a key grows: the larger, the more uses it takes.",
    )
    .effects(&[Effect::Eviction]),
    Directive::new(
        "lfu-decay-time",
        "1",
        integer!(lfu_decay_time, 0, i32::MAX),
        "Minutes without a use after which the frequency counter falls by one; 0 lets it \
         never fall.",
    )
    .effects(&[Effect::Eviction]),
    Directive::new(
        "lazyfree-lazy-eviction",
        "no",
        boolean!(lazyfree_lazy_eviction),
        "Free evicted values piece by piece in the background. Here that is always so.",
    )
    .without_effect(),
    Directive::new(
        "lazyfree-lazy-expire",
        "no",
        boolean!(lazyfree_lazy_expire),
        "Free expired values piece by piece in the background. Here that is always so.",
    )
    .effects(&[Effect::DeletionForm])
    .without_effect(),
    Directive::new(
        "lazyfree-lazy-server-del",
        "no",
        boolean!(lazyfree_lazy_server_del),
        "Free values that a command replaces (as RENAME does) piece by piece in the \
         background. Here that is always so.",
    )
    .effects(&[Effect::DeletionForm])
    .without_effect(),
    Directive::new(
        "lazyfree-lazy-user-del",
        "no",
        boolean!(lazyfree_lazy_user_del),
        "Let DEL free as UNLINK does. Here that is always so.",
    )
    .without_effect(),
    Directive::new(
        "lazyfree-lazy-user-flush",
        "no",
        boolean!(lazyfree_lazy_user_flush),
        "Let FLUSHALL, FLUSHDB, SCRIPT FLUSH and FUNCTION FLUSH work as with ASYNC unless \
         told otherwise. Here the keys are gone at once in either case, and their memory \
         is freed piece by piece.",
    )
    .without_effect(),
    Directive::new(
        "activerehashing",
        "yes",
        boolean!(activerehashing),
        "Give memory of tables that became sparse back between requests.",
    ),
    Directive::new(
        "activedefrag",
        "no",
        boolean!(activedefrag),
        "Move data to undo fragmentation. Here the allocator is left to deal with it.",
    )
    .without_effect(),
    Directive::new(
        "active-defrag-ignore-bytes",
        "104857600",
        integer!(active_defrag_ignore_bytes, 1, i64::MAX, Memory),
        "Fragmentation waste from which activedefrag would start.",
    )
    .without_effect(),
    Directive::new(
        "active-defrag-threshold-lower",
        "10",
        integer!(active_defrag_threshold_lower, 0, 1000),
        "Percentage of fragmentation from which activedefrag would start.",
    )
    .without_effect(),
    Directive::new(
        "active-defrag-threshold-upper",
        "100",
        integer!(active_defrag_threshold_upper, 0, 1000),
        "Percentage of fragmentation at which activedefrag would work hardest.",
    )
    .without_effect(),
    Directive::new(
        "active-defrag-cycle-min",
        "1",
        integer!(active_defrag_cycle_min, 1, 99),
        "Least CPU time of activedefrag, in percent.",
    )
    .without_effect(),
    Directive::new(
        "active-defrag-cycle-max",
        "25",
        integer!(active_defrag_cycle_max, 1, 99),
        "Most CPU time of activedefrag, in percent.",
    )
    .without_effect(),
    Directive::new(
        "active-defrag-max-scan-fields",
        "1000",
        integer!(active_defrag_max_scan_fields, 1, i64::MAX),
        "Largest collection that activedefrag would handle at once.",
    )
    .without_effect(),
    Directive::new(
        "jemalloc-bg-thread",
        "yes",
        boolean!(jemalloc_bg_thread),
        "Let jemalloc purge memory in a thread. Here another allocator is used.",
    )
    .without_effect(),
];
