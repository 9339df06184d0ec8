//! From a running script to the server and back.

use smallvec::SmallVec;

use crate::acl;
use crate::command::spec::Flag;
use crate::engine::apply;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::keyspace::Targets;
use crate::resp::Args;
use crate::resp::Reply;
use crate::resp::reply::Protocol;

use crate::engine::scripts::Run;
use crate::scripting::debugger::Console;
use crate::scripting::failure;
use crate::scripting::into_lua;
use crate::scripting::into_lua::Pushed;
use crate::scripting::lua::{HookAction, Host, Kind, Moment, Outcome, Raise, Stack};
use crate::scripting::natives;
use crate::scripting::numbers;
use crate::scripting::numbers::truncate;
use crate::scripting::service;
use crate::scripting::service::Service;

/// What a running script works with.
pub struct Bridge<'a> {
    pub state: &'a mut ServerState,
    /// The session in whose name the script's commands run.
    pub session: &'a mut Session,
    /// What they reply.
    pub reply: &'a mut Reply,
    pub run: &'a mut Run,
    /// What it is debugged with, if it is.
    pub console: Option<&'a mut Console>,
}

impl Host for Bridge<'_> {
    #[inline]
    fn serve(&mut self, service: u32, stack: &mut Stack) -> Outcome {
        let service = Service::of(service);
        if self.console.is_some() {
            return self.serve_and_show(service, stack);
        }
        self.serve_any(service, stack)
    }

    fn follow(&mut self, stack: &mut Stack, moment: Moment) -> Result<HookAction, Raise> {
        let is_overdue = moment == Moment::Passed && self.is_overdue();
        match &mut self.console {
            Some(console) => console.follow(stack, moment, is_overdue),
            None => Ok(HookAction::No),
        }
    }
}

impl Bridge<'_> {
    #[inline]
    fn serve_any(&mut self, service: Service, stack: &mut Stack) -> Outcome {
        match service {
            Service::Call => self.call(stack, true),
            Service::ProtectedCall => self.call(stack, false),
            Service::Log => natives::log(stack),
            Service::SetProtocol => self.set_protocol(stack),
            Service::SetReplication => self.set_replication(stack),
            Service::CheckAcl => self.check_acl(stack),
            Service::Breakpoint => {
                stack.push_bool(false);
                Ok(1)
            }
            Service::Debug => Ok(0),
            Service::ErrorReply => service::error_reply(stack),
            Service::StatusReply => service::status_reply(stack),
            Service::Random => natives::random(&mut self.run.random, stack),
            Service::RandomSeed => natives::random_seed(&mut self.run.random, stack),
            Service::RegisterFunction => {
                failure::misuse(stack, "redis.register_function can only be called on FUNCTION LOAD command")
            }
        }
    }
}

/// While the script is debugged.
impl Bridge<'_> {
    /// Does what a script asks for, and shows what is of interest.
    #[cold]
    fn serve_and_show(&mut self, service: Service, stack: &mut Stack) -> Outcome {
        let Some(console) = &mut self.console else {
            return self.serve_any(service, stack);
        };
        let is_call = matches!(service, Service::Call | Service::ProtectedCall);
        let shows = console.shows_commands();
        match service {
            Service::Breakpoint => {
                console.ask();
                stack.push_bool(true);
                return Ok(1);
            }
            Service::Debug => {
                console.show_values(stack);
                return Ok(0);
            }
            Service::Call | Service::ProtectedCall if shows => {
                // What cannot be a command is an error.
                let _ = with_arguments(stack, |arguments| console.show_command(arguments));
            }
            _ => {}
        }
        // As it was given: without the code that it may lack.
        let given =
            (service == Service::ErrorReply && stack.len() == 1).then(|| stack.bytes(1).map(<[u8]>::to_vec)).flatten();
        self.reply.clear();
        let outcome = self.serve_any(service, stack);
        let Some(console) = self.console.as_mut().filter(|_| shows) else {
            return outcome;
        };
        if is_call && !self.reply.is_empty() {
            console.show_reply(&self.reply.to_vec());
        } else if let Some(given) = given {
            let text = given.strip_prefix(b"-").unwrap_or(&given);
            console.show_error(&[b"-", text].concat());
        } else if is_call || outcome == Err(Raise::Value) || is_error(stack) {
            let text = failure::read(stack, -1).text;
            console.show_error(text.strip_prefix(b"ERR ").unwrap_or(&text));
        }
        outcome
    }

    /// Whether it has run for longer than a script should since it stopped last.
    fn is_overdue(&self) -> bool {
        /// In ms, where scripts may run as long as they like.
        const UNLIMITED_MS: u64 = 5000;
        let limit_ms = match self.state.config.busy_reply_threshold {
            0 => UNLIMITED_MS,
            limit_ms => limit_ms,
        };
        let clock = &self.state.clock;
        let elapsed = clock.ticks().saturating_sub(self.run.started);
        clock.ticks_as_nanos(elapsed) / 1_000_000 >= limit_ms
    }
}

/// Whether a table with a field `err` is on top.
fn is_error(stack: &mut Stack) -> bool {
    if stack.kind(-1) != Kind::Table {
        return false;
    }
    stack.push_field(-1, b"err");
    let is_error = stack.kind(-1) == Kind::String;
    stack.pop(1);
    is_error
}

/// The arguments of a command, as a script gives them: numbers become texts.
fn with_arguments<T>(stack: &Stack, work: impl FnOnce(&[&[u8]]) -> T) -> Result<T, &'static str> {
    let count = stack.len();
    if count == 0 {
        return Err("Please specify at least one argument for this redis lib call");
    }
    let mut numbers: SmallVec<[Vec<u8>; 4]> = SmallVec::new();
    for index in 1..=count {
        match stack.kind(index) {
            Kind::String => {}
            Kind::Number => {
                let mut text = Vec::new();
                numbers::write_argument(stack.number(index).unwrap_or_default(), &mut text);
                numbers.push(text);
            }
            _ => return Err("Lua redis lib command arguments must be strings or integers"),
        }
    }
    let mut numbers = numbers.iter();
    let arguments: SmallVec<[&[u8]; 16]> = (1..=count)
        .filter_map(|index| {
            let string = stack.bytes(index);
            string.or_else(|| numbers.next().map(Vec::as_slice))
        })
        .collect();
    Ok(work(&arguments))
}

impl Bridge<'_> {
    /// `redis.call` and `redis.pcall`: runs a command and pushes its reply as a value.
    fn call(&mut self, stack: &mut Stack, raises: bool) -> Outcome {
        self.reply.clear();
        let done = with_arguments(stack, |arguments| self.execute(Args::from_slices(arguments)));
        let pushed = match done {
            Ok(Ok(())) => self.push_reply(stack),
            Ok(Err(refusal)) => {
                failure::push(stack, refusal, true);
                Pushed::Error
            }
            Err(misuse) => {
                failure::push(stack, format!("ERR {misuse}"), false);
                Pushed::Error
            }
        };
        if pushed == Pushed::Error && raises {
            return Err(Raise::Value);
        }
        Ok(1)
    }

    fn push_reply(&mut self, stack: &mut Stack) -> Pushed {
        match self.reply.contiguous() {
            Some(encoded) => into_lua::push(stack, encoded),
            None => into_lua::push(stack, &self.reply.to_vec()),
        }
    }

    /// Runs a command, or says why not; what it replies is in `reply`.
    #[inline]
    fn execute(&mut self, args: Args<'_>) -> Result<(), String> {
        let resolved = self.state.commands.resolve(args.at(0), args.get(1)).map(|command| command.id);
        self.state.keyspace.forget_hash();
        self.state.keyspace.changes.propagation.set_targets(self.run.targets);
        let applied = apply::apply(self.state, self.session, self.reply, args, resolved);
        self.state.keyspace.changes.propagation.set_targets(Targets::ALL);
        // Whatever the command took to do: time stands still.
        self.state.keyspace.now_ms = self.run.now_ms;
        if let Err(error) = applied {
            if self.session.policy.is_counted {
                self.state.error_stats.record(error.text());
            }
            return Err(error.text().to_string());
        }
        let writes = resolved.is_some_and(|id| self.state.commands.get(id).flags.has(Flag::Write));
        self.session.script.has_written |= writes;
        Ok(())
    }

    fn set_protocol(&mut self, stack: &mut Stack) -> Outcome {
        if stack.len() != 1 {
            return failure::misuse(stack, "redis.setresp() requires one argument.");
        }
        let number = stack.to_number(1).unwrap_or_default();
        let protocol = match truncate(number) as i32 {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return failure::misuse(stack, "RESP version must be 2 or 3."),
        };
        self.run.protocol = protocol;
        self.reply.set_protocol(protocol);
        Ok(0)
    }

    fn set_replication(&mut self, stack: &mut Stack) -> Outcome {
        if stack.len() != 1 {
            return failure::misuse(stack, "redis.set_repl() requires one argument.");
        }
        let chosen = stack.to_number(1).unwrap_or_default();
        if !(0.0..=3.0).contains(&chosen) {
            return failure::misuse(
                stack,
                "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
            );
        }
        self.run.targets = match chosen as u8 {
            0 => Targets::NONE,
            1 => Targets::FILE,
            2 => Targets::REPLICAS,
            _ => Targets::ALL,
        };
        Ok(0)
    }

    fn check_acl(&mut self, stack: &mut Stack) -> Outcome {
        let allowed = with_arguments(stack, |arguments| {
            let (name, second) = (arguments[0], arguments.get(1).copied());
            let command = self.state.commands.resolve_strictly(name, second)?;
            let args = Args::from_slices(arguments);
            Some(acl::check(&self.session.user, command, args, self.state.selection(self.session.database)).is_ok())
        });
        match allowed {
            Ok(Some(allowed)) => {
                stack.push_bool(allowed);
                Ok(1)
            }
            Ok(None) => failure::misuse(stack, "Invalid command passed to redis.acl_check_cmd()"),
            Err(text) => failure::misuse(stack, text),
        }
    }
}
