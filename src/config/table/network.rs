//! Directives of the group "Network": where the server listens and how it treats connections.

use super::super::declare::{boolean, integer, special, text};
use super::super::directive::Directive;
use super::super::effect::Effect;

/// Network: where the server listens and how it treats connections.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "bind",
        "* -::*",
        special!(Many, bind),
        "Addresses to listen on. An address with a leading - may be missing on this machine \
         without an error; * and ::* stand for all IPv4 and all IPv6 addresses. Without any \
         address there is no TCP listener.",
    )
    .effects(&[Effect::ListenForClients]),
    Directive::new(
        "bind-source-addr",
        "",
        text!(bind_source_addr, Unset),
        "Local address that outgoing connections (to a primary, and those of MIGRATE) are made \
         from, where that is possible. Empty leaves the choice to the system.",
    )
    .effects(&[Effect::SourceAddress]),
    Directive::new("port", "6379", integer!(port, 0, u16::MAX), "TCP port to listen on; 0 turns the TCP listener off.")
        .effects(&[Effect::ListenPlain, Effect::ClusterMember]),
    Directive::new(
        "tcp-backlog",
        "511",
        integer!(tcp_backlog, 0, i32::MAX),
        "Length of the queue of connections that wait to be accepted. The kernel caps it at \
         net.core.somaxconn.",
    )
    .immutable(),
    Directive::new(
        "tcp-keepalive",
        "300",
        integer!(tcp_keepalive, 0, i32::MAX),
        "Seconds between keepalive probes on idle connections, so that dead peers are noticed \
         and firewalls keep the connection; 0 sends none.",
    ),
    Directive::new(
        "timeout",
        "0",
        integer!(timeout, 0, i32::MAX),
        "Close a client after so many seconds of silence; 0 never does. Replicas and \
         subscribed clients are spared.",
    ),
    Directive::new(
        "protected-mode",
        "yes",
        boolean!(protected_mode),
        "While the default user has no password, serve only clients of the same machine. It \
         guards a server that was put on a network by mistake.",
    ),
    Directive::new(
        "unixsocket",
        "",
        text!(unixsocket, Unset),
        "Path of a Unix socket to listen on as well. Empty: none.",
    )
    .immutable(),
    Directive::new(
        "unixsocketperm",
        "0",
        integer!(unixsocketperm, 0, 0o777, Octal),
        "Permissions of the Unix socket, in octal; 0 leaves them to the umask.",
    )
    .immutable(),
    Directive::new(
        "unixsocketgroup",
        "",
        text!(unixsocketgroup, Unset),
        "Group that the Unix socket belongs to. Empty: that of the process.",
    )
    // Tools that set again whatever a pattern shows know Redis's directives that cannot be set, but not this one.
    .hidden()
    .immutable(),
    Directive::new(
        "socket-mark-id",
        "0",
        integer!(socket_mark_id, 0, u32::MAX),
        "Mark (SO_MARK) put on the listening sockets for packet filters and routing; 0 puts \
         none.",
    )
    .immutable(),
    Directive::new(
        "socket-busy-poll-us",
        "0",
        integer!(socket_busy_poll_us, 0, 10_000),
        "Oneloop-specific: microseconds for which the kernel asks the network card for packets of a \
         client's connection before it waits for an interrupt (SO_BUSY_POLL); 0 leaves that to the \
         system. It needs net.core.busy_poll, or CAP_NET_ADMIN.",
    )
    // Tools that set again whatever a pattern shows know Redis's directives that cannot be set, but not this one.
    .hidden()
    .immutable(),
    Directive::new(
        "maxclients",
        "10000",
        integer!(maxclients, 1, u32::MAX),
        "Most clients at the same time. Further ones get an error and are closed. The limit \
         on open files has to allow for it.",
    )
    .effects(&[Effect::OpenFiles]),
    Directive::new(
        "max-new-connections-per-cycle",
        "256",
        integer!(max_new_connections_per_cycle, 1, 1000),
        "Most new connections that one turn of the loop accepts before it serves the others again. Redis \
         and Valkey accept 10 unless told otherwise.",
    ),
    Directive::new(
        "max-new-tls-connections-per-cycle",
        "256",
        integer!(max_new_tls_connections_per_cycle, 1, 1000),
        "Most new connections with TLS that one turn of the loop accepts. A turn takes at most four steps of \
         their handshakes besides. Redis and Valkey accept 1 unless told otherwise.",
    ),
    Directive::new(
        "availability-zone",
        "",
        text!(availability_zone, Value),
        "Name of the availability zone that the server runs in. Clients find it in the replies to HELLO \
         and INFO, so that they can prefer servers near by. Empty: none.",
    ),
];
