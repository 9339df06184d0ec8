//! What ACL and its subcommands declare.

use crate::command::spec::{Argument, ArgumentFlag, ArgumentKind, CommandSpec, Flag, Group};
use crate::engine::help;

use super::{log, reports, users};

const OPEN_TO_ALL: &[Flag] = &[Flag::NoScript, Flag::Loading, Flag::Stale];
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const OF_USERS: &str = "O(N) for N users";

const ACL: CommandSpec = CommandSpec { group: Group::Server, since: "6.0.0", ..CommandSpec::DEFAULT };

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "acl",
    arity: -2,
    complexity: "That of the subcommand.",
    summary: "Says and shows who may do what.",
    subcommands: &[
        CommandSpec {
            name: "cat",
            arity: -2,
            flags: OPEN_TO_ALL,
            complexity: "O(N) for N commands",
            summary: "Lists the categories of commands, or the commands of one.",
            arguments: &[Argument::new("category", ArgumentKind::String).optional()],
            handler: reports::cat,
            ..ACL
        },
        CommandSpec {
            name: "deluser",
            arity: -3,
            flags: ADMIN,
            tips: ALL_NODES,
            complexity: "O(N) for N clients",
            summary: "Removes users, and ends their connections.",
            arguments: &[Argument::new("username", ArgumentKind::String).multiple()],
            handler: users::deluser,
            ..ACL
        },
        CommandSpec {
            name: "dryrun",
            arity: -4,
            flags: ADMIN,
            since: "7.0.0",
            complexity: "O(N) for N keys and the patterns of the user",
            summary: "Tells whether a user may run a command, without running it.",
            arguments: &[
                Argument::new("username", ArgumentKind::String),
                Argument::new("command", ArgumentKind::String),
                Argument::new("arg", ArgumentKind::String).flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple]),
            ],
            handler: reports::dryrun,
            ..ACL
        },
        CommandSpec {
            name: "genpass",
            arity: -2,
            flags: OPEN_TO_ALL,
            summary: "Makes up a password: hexadecimal digits of so many random bits, 256 unless told.",
            arguments: &[Argument::new("bits", ArgumentKind::Integer).optional()],
            handler: reports::genpass,
            ..ACL
        },
        CommandSpec {
            name: "getuser",
            arity: 3,
            flags: ADMIN,
            complexity: "O(N) for N rules of the user",
            summary: "Shows a user's rules, one kind a field.",
            history: &[
                ("6.2.0", "Shows patterns of channels."),
                ("7.0.0", "Shows selectors; patterns are shown as the rules that add them."),
            ],
            arguments: &[Argument::new("username", ArgumentKind::String)],
            handler: reports::getuser,
            ..ACL
        },
        help::subcommand(Group::Server, "6.0.0", &[]),
        CommandSpec {
            name: "list",
            arity: 2,
            flags: ADMIN,
            complexity: OF_USERS,
            summary: "Shows every user as an ACL file holds it.",
            handler: reports::list,
            ..ACL
        },
        CommandSpec {
            name: "load",
            arity: 2,
            flags: ADMIN,
            complexity: OF_USERS,
            summary: "Replaces all users by those of the ACL file.",
            handler: users::load,
            ..ACL
        },
        CommandSpec {
            name: "log",
            arity: -2,
            flags: ADMIN,
            complexity: "O(N) for N entries in the reply",
            summary: "Shows the newest refusals, 10 unless told, or forgets all.",
            history: &[("7.2.0", "Entries have a number, and the times of the first and the last refusal.")],
            arguments: &[Argument::one_of(
                "operation",
                &[Argument::new("count", ArgumentKind::Integer), Argument::token("reset", "RESET")],
            )
            .optional()],
            handler: log::log,
            ..ACL
        },
        CommandSpec {
            name: "save",
            arity: 2,
            flags: ADMIN,
            tips: ALL_NODES,
            complexity: OF_USERS,
            summary: "Writes all users to the ACL file.",
            handler: users::save,
            ..ACL
        },
        CommandSpec {
            name: "setuser",
            arity: -3,
            flags: ADMIN,
            tips: ALL_NODES,
            complexity: "O(N) for N rules",
            summary: "Creates a user, or changes its rules.",
            history: &[
                ("6.2.0", "Takes patterns of channels."),
                ("7.0.0", "Takes selectors, and patterns of keys for reading or writing."),
            ],
            arguments: &[
                Argument::new("username", ArgumentKind::String),
                Argument::new("rule", ArgumentKind::String).flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple]),
            ],
            handler: users::setuser,
            ..ACL
        },
        CommandSpec {
            name: "users",
            arity: 2,
            flags: ADMIN,
            complexity: OF_USERS,
            summary: "Lists the names of all users.",
            handler: reports::users,
            ..ACL
        },
        CommandSpec {
            name: "whoami",
            arity: 2,
            flags: OPEN_TO_ALL,
            summary: "Gives the name of the user that the connection is logged in as.",
            handler: reports::whoami,
            ..ACL
        },
    ],
    ..ACL
}];
