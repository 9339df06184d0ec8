//! Directives of the group "Clients and requests": limits of what one client may use.

use super::super::declare::{integer, special};
use super::super::directive::Directive;
use super::super::effect::Effect;

/// Clients and requests: limits of what one client may use.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "client-query-buffer-limit",
        "1073741824",
        integer!(client_query_buffer_limit, 1 << 20, i64::MAX, Memory),
        "Most unprocessed input of a client. Beyond it the client is closed.",
    ),
    Directive::new(
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        special!(Many, client_output_buffer_limit),
        "Limits of replies that wait for a slow reader, for each class (normal, replica, \
         pubsub): hard limit, soft limit, seconds. The client is closed beyond the hard \
         limit, or when beyond the soft limit for so many seconds; 0 sets no limit.",
    )
    .effects(&[Effect::OutputLimits]),
    Directive::new(
        "proto-max-bulk-len",
        "536870912",
        integer!(proto_max_bulk_len, 1 << 20, i64::MAX, Memory),
        "Longest single argument of a request, and so longest string.",
    ),
    Directive::new(
        "tracking-table-max-keys",
        "1000000",
        integer!(tracking_table_max_keys, 0, i64::MAX),
        "Keys remembered on behalf of client-side caching. Beyond it clients are told to \
         forget some; 0 sets no limit.",
    ),
    Directive::new(
        "busy-reply-threshold",
        "5000",
        integer!(busy_reply_threshold, 0, i64::MAX),
        "Milliseconds after which a running script or function is slow: other clients then \
         get BUSY and may end it. 0 never does that.",
    )
    .alias("lua-time-limit"),
    Directive::new(
        "notify-keyspace-events",
        "",
        special!(One, notify_keyspace_events),
        "Events to publish, as letters: K (by key) and E (by event) choose the channels; g \
         (general commands) $ (strings) l (lists) s (sets) h (hashes) z (sorted sets) t \
         (streams) x (expired) e (evicted) d (modules) n (new key) m (missed key) choose the \
         events; A stands for g$lshztxed. Empty: none.",
    )
    .effects(&[Effect::KeyspaceEvents]),
];
