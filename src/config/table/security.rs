//! Directives of the group "Security": users and what they may do.

use super::super::declare::{boolean, bytes, integer, text, word};
use super::super::directive::Directive;
use super::super::effect::Effect;
use super::super::values::{ProtectedAction, PubsubDefault};

/// Security: users and what they may do.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "aclfile",
        "",
        text!(aclfile, Value),
        "File that holds the users, one \"user ...\" line each. Empty: \"user\" lines of this \
         file are used. One of the two only.",
    )
    .immutable(),
    Directive::new("acllog-max-len", "128", integer!(acllog_max_len, 0, i64::MAX), "Entries kept by ACL LOG."),
    Directive::new(
        "acl-pubsub-default",
        "resetchannels",
        word!(acl_pubsub_default, PubsubDefault),
        "Channels that a new user may use: allchannels or resetchannels (none).",
    ),
    Directive::new(
        "requirepass",
        "",
        bytes!(requirepass),
        "Password of the default user. Empty: none is asked for. Users of the ACL are the \
         finer means.",
    )
    .effects(&[Effect::DefaultPassword])
    .sensitive(),
    Directive::new(
        "enable-protected-configs",
        "no",
        word!(enable_protected_configs, ProtectedAction),
        "Who may change the protected directives (dir, dbfilename) by CONFIG SET: no \
         (nobody), yes, or local (clients of the same machine).",
    )
    .immutable(),
    Directive::new(
        "enable-debug-command",
        "no",
        word!(enable_debug_command, ProtectedAction),
        "Who may use DEBUG: no (nobody), yes, or local (clients of the same machine).",
    )
    .immutable(),
    Directive::new(
        "lua-enable-deprecated-api",
        "no",
        boolean!(lua_enable_deprecated_api),
        "Let scripts use newproxy, getfenv and setfenv.",
    )
    .immutable()
    .hidden(),
    Directive::new(
        "enable-module-command",
        "no",
        word!(enable_module_command, ProtectedAction),
        "Who may use MODULE: no (nobody), yes, or local (clients of the same machine). \
         Modules cannot be loaded here.",
    )
    .immutable(),
];
