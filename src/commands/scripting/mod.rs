//! Scripts and functions: EVAL and FCALL with their variants; SCRIPT and FUNCTION, which manage what they run. Never
//! runs a line of Lua itself.

mod function_dump;
pub mod functions;
pub mod scripts;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, FlagSet, Group, KeySpec, READ, READ_AND_UPDATE};
use crate::drive::script::debugger;
use crate::drive::script::run;
use crate::drive::script::run::{Program, count_keys};
use crate::engine::context::Context;
use crate::engine::session::Debugging;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::scripting::Kind;
use crate::scripting::cache::Digest;

const WRITES: &[Flag] = &[Flag::NoScript, Flag::Stale, Flag::SkipMonitor, Flag::MayReplicate, Flag::NoMandatoryKeys];
const READS: &[Flag] = &[Flag::ReadOnly, Flag::NoScript, Flag::Stale, Flag::SkipMonitor, Flag::NoMandatoryKeys];

const WRITE_KEYS_NOTED: &[KeySpec] =
    &[KeySpec::counted(READ_AND_UPDATE, 2).note("What a script does to its keys is not known: taken for the most.")];

const READ_KEYS_NOTED: &[KeySpec] =
    &[KeySpec::counted(READ, 2).note("What a script does to its keys is not known: taken for the most.")];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("eval", -3, Group::Scripting, "2.6.0", eval)
        .flags(WRITES)
        .keys(WRITE_KEYS_NOTED)
        .flags_of(flags_of)
        .complexity("That of what it runs.")
        .summary("Runs a Lua script.")
        .arguments("script numkeys:integer [key...] [arg...]"),
    CommandSpec::new("evalsha", -3, Group::Scripting, "2.6.0", evalsha)
        .flags(WRITES)
        .keys(&[KeySpec::counted(READ_AND_UPDATE, 2)])
        .flags_of(flags_of)
        .complexity("That of what it runs.")
        .summary("Runs a Lua script that is loaded, by its digest.")
        .arguments("sha1 numkeys:integer [key...] [arg...]"),
    CommandSpec::new("evalsha_ro", -3, Group::Scripting, "7.0.0", evalsha)
        .flags(READS)
        .keys(&[KeySpec::counted(READ, 2)])
        .flags_of(flags_of)
        .complexity("That of what it runs.")
        .summary("Runs a Lua script that is loaded and may not write, by its digest.")
        .arguments("sha1 numkeys:integer [key...] [arg...]"),
    CommandSpec::new("eval_ro", -3, Group::Scripting, "7.0.0", eval)
        .flags(READS)
        .keys(READ_KEYS_NOTED)
        .flags_of(flags_of)
        .complexity("That of what it runs.")
        .summary("Runs a Lua script that may not write.")
        .arguments("script numkeys:integer [key...] [arg...]"),
    CommandSpec::new("fcall", -3, Group::Scripting, "7.0.0", fcall)
        .flags(WRITES)
        .keys(WRITE_KEYS_NOTED)
        .flags_of(flags_of)
        .complexity("That of what it runs.")
        .summary("Calls a function of a library.")
        .arguments("function numkeys:integer [key...] [arg...]"),
    CommandSpec::new("fcall_ro", -3, Group::Scripting, "7.0.0", fcall)
        .flags(READS)
        .keys(READ_KEYS_NOTED)
        .flags_of(flags_of)
        .complexity("That of what it runs.")
        .summary("Calls a function of a library that may not write.")
        .arguments("function numkeys:integer [key...] [arg...]"),
];

fn eval(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.session.debugging != Debugging::No {
        let is_read_only = is_read_only(context);
        return debugger::start(context, args, is_read_only);
    }
    let keys = count_keys(args)?;
    let state = &mut *context.state;
    let place = state.scripting.load(&state.clock, args.at(1), false)?;
    run_script(context, args, place, keys)
}

fn evalsha(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let digest = digest_of(args.at(1));
    if digest.is_none() {
        return Err(NO_SCRIPT);
    }
    if context.session.debugging != Debugging::No {
        return Err(CommandError::fixed("ERR Please use EVAL instead of EVALSHA for debugging"));
    }
    let keys = count_keys(args)?;
    let scripts = &mut context.state.scripting.scripts;
    let place = digest.and_then(|digest| scripts.find(&digest)).ok_or(NO_SCRIPT)?;
    scripts.note_use(place);
    run_script(context, args, place, keys)
}

const NO_SCRIPT: CommandError = CommandError::fixed("NOSCRIPT No matching script. Please use EVAL.");

/// A digest as it is written, in whatever case.
fn digest_of(text: &[u8]) -> Option<Digest> {
    let mut digest: Digest = text.try_into().ok()?;
    digest.make_ascii_lowercase();
    Some(digest)
}

fn run_script(context: &mut Context<'_>, args: Args<'_>, place: usize, keys: usize) -> CommandResult {
    let is_read_only = is_read_only(context);
    let state = &mut *context.state;
    let engine = state.scripting.take_engine(Kind::Script, &state.clock)?;
    let script = state.scripting.scripts.get(place);
    let name = script.digest;
    let program = Program {
        kind: Kind::Script,
        name: str::from_utf8(&name).unwrap_or_default(),
        flags: script.flags,
        is_read_only,
        function: script.function,
        keys,
    };
    run::start(context, args, &program, engine)
}

fn is_read_only(context: &Context<'_>) -> bool {
    let flags = context.state.commands.get(context.command).flags;
    flags.has(Flag::ReadOnly)
}

fn fcall(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let is_read_only = is_read_only(context);
    let libraries = &context.state.scripting.functions;
    let function = libraries.find(args.at(1)).ok_or(CommandError::fixed("ERR Function not found"))?;
    let (function, flags) = (function.reference, function.flags);
    let keys = count_function_keys(args)?;
    let state = &mut *context.state;
    let engine = state.scripting.take_engine(Kind::Function, &state.clock)?;
    let name = String::from_utf8_lossy(args.at(1));
    let program = Program { kind: Kind::Function, name: &name, flags, is_read_only, function, keys };
    run::start(context, args, &program, engine)
}

/// As `count_keys`, but for the error of what is no number.
fn count_function_keys(args: Args<'_>) -> Result<usize, CommandError> {
    count_keys(args).map_err(|error| {
        if error == CommandError::NOT_AN_INTEGER {
            return CommandError::fixed("ERR Bad number of keys provided");
        }
        error
    })
}

/// The flags of a request that runs a script or function: what the program says it does counts for more than what
/// the command says.
fn flags_of(state: &ServerState, args: Args<'_>, flags: FlagSet) -> FlagSet {
    let scripting = &state.scripting;
    let program = args.at(1);
    let is_call = args.at(0).first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'f'));
    if is_call {
        return match scripting.functions.find(program) {
            Some(function) => function.flags.applied_to(flags),
            None => flags,
        };
    }
    let by_digest = digest_of(program).and_then(|digest| scripting.scripts.find(&digest));
    match by_digest.or_else(|| scripting.scripts.find_text(program)) {
        Some(place) => scripting.scripts.get(place).flags.applied_to(flags),
        None => match crate::scripting::flags::of_script(program) {
            Ok((script, _)) => script.applied_to(flags),
            Err(_) => flags,
        },
    }
}
