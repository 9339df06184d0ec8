//! What a command is to the engine: its declaration and the function that runs it; and what that function works with.
//!
//! The commands stand above the engine, which reaches them through the pointers here alone.

use crate::command::databases::Databases;
use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::KeyFinder;
use crate::command::registry::{CommandId, Declares};
use crate::command::spec::{Category, Channels, Declaration, Deprecation, Flag, FlagSet, Group, KeySpec};
use crate::engine::session::{Session, Token};
use crate::resp::{Args, Reply};

use super::ServerState;

/// The function that carries a command out. Gets at least as many arguments as the arity asks for.
pub type Handler = fn(&mut Context<'_>, Args<'_>) -> CommandResult;

/// Works out the flags of one request from the command's own.
pub type FlagsOf = fn(&ServerState, Args<'_>, FlagSet) -> FlagSet;

/// The server, the calling client and where its reply goes, for the time of one command.
pub struct Context<'a> {
    pub state: &'a mut ServerState,
    pub session: &'a mut Session,
    pub reply: &'a mut Reply,
    /// The command that runs (the subcommand, not its container).
    pub command: CommandId,
}

/// One command or subcommand: made by `new` or `container`, completed by the methods named after the fields of its
/// declaration.
pub struct CommandSpec {
    pub declaration: Declaration,
    pub handler: Handler,
    /// Works the flags of one request out, where they depend on what it runs.
    pub flags_of: Option<FlagsOf>,
    pub subcommands: &'static [CommandSpec],
}

impl Declares for CommandSpec {
    fn declaration(&'static self) -> &'static Declaration {
        &self.declaration
    }

    fn subcommands(&'static self) -> &'static [CommandSpec] {
        self.subcommands
    }
}

impl CommandSpec {
    /// A command of that name, arity, group and first version.
    pub const fn new(
        name: &'static str,
        arity: i16,
        group: Group,
        since: &'static str,
        handler: Handler,
    ) -> CommandSpec {
        CommandSpec {
            declaration: Declaration::new(name, arity, group, since),
            handler,
            flags_of: None,
            subcommands: &[],
        }
    }

    /// A command that does nothing without a subcommand.
    pub const fn container(name: &'static str, group: Group, since: &'static str) -> CommandSpec {
        CommandSpec::new(name, -2, group, since, container).categories(&[]).complexity("See the subcommands.")
    }

    pub const fn flags(mut self, flags: &'static [Flag]) -> CommandSpec {
        self.declaration.flags = flags;
        self
    }

    pub const fn categories(mut self, categories: &'static [Category]) -> CommandSpec {
        self.declaration.categories = categories;
        self
    }

    pub const fn tips(mut self, tips: &'static [&'static str]) -> CommandSpec {
        self.declaration.tips = tips;
        self
    }

    pub const fn keys(mut self, keys: &'static [KeySpec]) -> CommandSpec {
        self.declaration.keys = keys;
        self
    }

    pub const fn find_keys(mut self, find_keys: KeyFinder) -> CommandSpec {
        self.declaration.find_keys = Some(find_keys);
        self
    }

    pub const fn databases(mut self, databases: Databases) -> CommandSpec {
        self.declaration.databases = databases;
        self
    }

    pub const fn channels(mut self, channels: Channels) -> CommandSpec {
        self.declaration.channels = channels;
        self
    }

    pub const fn member(mut self, argument: u8) -> CommandSpec {
        self.declaration.member = argument;
        self
    }

    pub const fn flags_of(mut self, flags_of: FlagsOf) -> CommandSpec {
        self.flags_of = Some(flags_of);
        self
    }

    pub const fn complexity(mut self, complexity: &'static str) -> CommandSpec {
        self.declaration.complexity = complexity;
        self
    }

    pub const fn summary(mut self, summary: &'static str) -> CommandSpec {
        self.declaration.summary = summary;
        self
    }

    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> CommandSpec {
        self.declaration.deprecated = Some(Deprecation { since, replaced_by });
        self
    }

    pub const fn history(mut self, history: &'static [(&'static str, &'static str)]) -> CommandSpec {
        self.declaration.history = history;
        self
    }

    pub const fn arguments(mut self, notation: &'static str) -> CommandSpec {
        self.declaration.arguments = notation;
        self
    }

    pub const fn subcommands(mut self, subcommands: &'static [CommandSpec]) -> CommandSpec {
        self.subcommands = subcommands;
        self
    }
}

/// The handler of a command that has only subcommands: the gate lets none through to it.
pub fn container(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    Err(CommandError::wrong_arity(context.command_name()))
}

/// How each command is run, by the numbers of the registry.
pub struct Runs(Vec<Run>);

/// How one command is run.
#[derive(Clone, Copy)]
pub struct Run {
    pub handler: Handler,
    pub flags_of: Option<FlagsOf>,
}

impl Runs {
    /// Those of all families, in the order in which the registry numbers their commands.
    pub fn new(families: &[&'static [CommandSpec]]) -> Runs {
        fn add(specs: &'static [CommandSpec], runs: &mut Vec<Run>) {
            for spec in specs {
                runs.push(Run { handler: spec.handler, flags_of: spec.flags_of });
                add(spec.subcommands, runs);
            }
        }
        let mut runs = Vec::new();
        families.iter().for_each(|family| add(family, &mut runs));
        Runs(runs)
    }

    /// How a command is run. O(1).
    #[inline]
    pub fn of(&self, command: CommandId) -> Run {
        self.0[command.index()]
    }
}

/// What the rooms above hand in: this room reaches them through these tables and pointers alone.
pub struct Program {
    /// The tables of all families of commands.
    pub families: &'static [&'static [CommandSpec]],
    /// Brings about what the settings ask of a state that has just been made.
    pub apply_settings: fn(&mut ServerState),
    /// Takes a request of a client that debugs a script.
    pub debugger_request: fn(&mut ServerState, &mut Session, &mut Reply, Args<'_>),
    /// A client that debugs a script has left.
    pub debugger_left: fn(&mut ServerState, Token),
}
