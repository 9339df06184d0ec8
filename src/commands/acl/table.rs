//! What ACL and its subcommands declare.

use crate::command::spec::{Flag, Group};
use crate::engine::help;
use crate::engine::state::program::CommandSpec;

use super::{log, reports, users};

const OPEN_TO_ALL: &[Flag] = &[Flag::NoScript, Flag::Loading, Flag::Stale];
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const OF_USERS: &str = "O(N) for N users";

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("acl", Group::Server, "6.0.0")
    .complexity("That of the subcommand.")
    .summary("Says and shows who may do what.")
    .subcommands(&[
        CommandSpec::new("cat", -2, Group::Server, "6.0.0", reports::cat)
            .flags(OPEN_TO_ALL)
            .complexity("O(N) for N commands")
            .summary("Lists the categories of commands, or the commands of one.")
            .arguments("[category]"),
        CommandSpec::new("deluser", -3, Group::Server, "6.0.0", users::deluser)
            .flags(ADMIN)
            .tips(ALL_NODES)
            .complexity("O(N) for N clients")
            .summary("Removes users, and ends their connections.")
            .arguments("username..."),
        CommandSpec::new("dryrun", -4, Group::Server, "7.0.0", reports::dryrun)
            .flags(ADMIN)
            .complexity("O(N) for N keys and the patterns of the user")
            .summary("Tells whether a user may run a command, without running it.")
            .arguments("username command [arg...]"),
        CommandSpec::new("genpass", -2, Group::Server, "6.0.0", reports::genpass)
            .flags(OPEN_TO_ALL)
            .summary("Makes up a password: hexadecimal digits of so many random bits, 256 unless told.")
            .arguments("[bits:integer]"),
        CommandSpec::new("getuser", 3, Group::Server, "6.0.0", reports::getuser)
            .flags(ADMIN)
            .complexity("O(N) for N rules of the user")
            .summary("Shows a user's rules, one kind a field.")
            .history(&[
                ("6.2.0", "Shows patterns of channels."),
                ("7.0.0", "Shows selectors; patterns are shown as the rules that add them."),
            ])
            .arguments("username"),
        help::subcommand(Group::Server, "6.0.0"),
        CommandSpec::new("list", 2, Group::Server, "6.0.0", reports::list)
            .flags(ADMIN)
            .complexity(OF_USERS)
            .summary("Shows every user as an ACL file holds it."),
        CommandSpec::new("load", 2, Group::Server, "6.0.0", users::load)
            .flags(ADMIN)
            .complexity(OF_USERS)
            .summary("Replaces all users by those of the ACL file."),
        CommandSpec::new("log", -2, Group::Server, "6.0.0", log::log)
            .flags(ADMIN)
            .complexity("O(N) for N entries in the reply")
            .summary("Shows the newest refusals, 10 unless told, or forgets all.")
            .history(&[("7.2.0", "Entries have a number, and the times of the first and the last refusal.")])
            .arguments("operation=[count:integer|RESET]"),
        CommandSpec::new("save", 2, Group::Server, "6.0.0", users::save)
            .flags(ADMIN)
            .tips(ALL_NODES)
            .complexity(OF_USERS)
            .summary("Writes all users to the ACL file."),
        CommandSpec::new("setuser", -3, Group::Server, "6.0.0", users::setuser)
            .flags(ADMIN)
            .tips(ALL_NODES)
            .complexity("O(N) for N rules")
            .summary("Creates a user, or changes its rules.")
            .history(&[
                ("6.2.0", "Takes patterns of channels."),
                ("7.0.0", "Takes selectors, and patterns of keys for reading or writing."),
                ("9.1.0", "Takes rules about databases."),
            ])
            .arguments("username [rule...]"),
        CommandSpec::new("users", 2, Group::Server, "6.0.0", reports::users)
            .flags(ADMIN)
            .complexity(OF_USERS)
            .summary("Lists the names of all users."),
        CommandSpec::new("whoami", 2, Group::Server, "6.0.0", reports::whoami)
            .flags(OPEN_TO_ALL)
            .summary("Gives the name of the user that the connection is logged in as."),
    ])];
