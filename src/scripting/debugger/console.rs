//! What the debugging client asks for, and what it is told. Every line is a status reply, and what there is to say at a
//! time is one array of them.

use crate::resp::OwnedArgs;
use crate::scripting::failure;
use crate::scripting::lua::{HookAction, Moment, Progress, Raise, Reference, Stack};

use super::show;

/// Breakpoints at a time.
const BREAKPOINTS_MAX: usize = 64;
/// Longest reply or value that is shown whole, in bytes, until the client says otherwise; and the least that it may
/// say.
const LIMIT_BYTES: usize = 256;
const LIMIT_MIN_BYTES: usize = 60;
/// Arguments of a command that are shown.
const ARGUMENTS_SHOWN: usize = 10;
/// The chunk name of what the client has evaluated.
const EVALUATED: &str = "@ldb_eval";

/// What is called within the hook, and so what its result is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Called {
    Evaluated,
    /// A command of the server, whose reply is shown as it comes.
    Redis,
}

/// Why a script stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Step,
    Breakpoint,
    Asked,
    Overdue,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Reason::Step => "step over",
            Reason::Breakpoint => "break point",
            Reason::Asked => "redis.breakpoint() called",
            Reason::Overdue => "timeout reached, infinite loop?",
        }
    }
}

/// One client's debugger.
pub struct Console {
    lines: Vec<Vec<u8>>,
    breakpoints: Vec<i64>,
    /// Whether it stops at the next line, wherever that is; and whether the commands that the script runs are shown.
    steps: bool,
    /// Whether the script has asked to stop at its next line.
    is_asked: bool,
    line: i64,
    limit_bytes: usize,
    has_hinted: bool,
    log: Vec<Vec<u8>>,
    output: Vec<u8>,
    command: Option<OwnedArgs>,
    called: Option<Called>,
    is_halted: bool,
    /// Whether it stopped as it took too long.
    was_overdue: bool,
    /// Whether the client has gone.
    is_alone: bool,
    /// The table of globals, where KEYS and ARGV are.
    globals: Reference,
}

impl Console {
    /// Before the first line of a script.
    pub fn new(script: &[u8], globals: Reference) -> Console {
        let end = script.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let lines = match &script[..end] {
            [] => Vec::new(),
            text => text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
        };
        Console {
            lines,
            breakpoints: Vec::new(),
            steps: true,
            is_asked: false,
            line: 0,
            limit_bytes: LIMIT_BYTES,
            has_hinted: false,
            log: Vec::new(),
            output: Vec::new(),
            command: None,
            called: None,
            is_halted: false,
            was_overdue: false,
            is_alone: false,
            globals,
        }
    }

    /// Whether the script stands still until the client says how to go on.
    pub fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// Whether it runs what the client has had evaluated.
    pub fn is_evaluating(&self) -> bool {
        self.called.is_some()
    }

    /// Whether the client has gone.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// What the client wants next.
    pub fn give(&mut self, command: OwnedArgs) {
        self.command = Some(command);
        self.is_halted = false;
    }

    /// The client has gone: the script runs to its end.
    pub fn leave(&mut self) {
        self.is_alone = true;
        self.is_halted = false;
        self.steps = false;
        self.is_asked = false;
        self.breakpoints.clear();
    }

    /// What is to be sent, encoded.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The script is over: what is left to be said.
    pub fn end(&mut self) {
        self.say("<endsession>");
        self.send();
    }
}

/// What the script does.
impl Console {
    /// Whether what the script runs is shown.
    pub fn shows_commands(&self) -> bool {
        self.steps
    }

    /// A command that the script runs.
    pub fn show_command(&mut self, arguments: &[&[u8]]) {
        let mut text = b"<redis>".to_vec();
        for (index, argument) in arguments.iter().enumerate() {
            text.push(b' ');
            if index == ARGUMENTS_SHOWN {
                text.extend_from_slice(format!("... ({} more)", arguments.len() - index - 1).as_bytes());
                break;
            }
            text.extend_from_slice(argument);
        }
        self.log.push(text);
    }

    /// What it replied.
    pub fn show_reply(&mut self, encoded: &[u8]) {
        if let [b'-', ..] = encoded {
            let end = memchr::memchr(b'\r', encoded).unwrap_or(encoded.len());
            self.show_error(&encoded[..end]);
        }
        let mut text = b"<reply> ".to_vec();
        show::reply(encoded, &mut text, self.limit_bytes);
        self.say_within_limit(text);
    }

    /// An error that one of the functions of `redis` has made.
    pub fn show_error(&mut self, text: &[u8]) {
        self.log.push([b"<error> ", text].concat());
    }

    /// `redis.breakpoint`.
    pub fn ask(&mut self) {
        self.is_asked = true;
    }

    /// `redis.debug`: its arguments.
    pub fn show_values(&mut self, stack: &mut Stack) {
        let mut text = format!("<debug> line {}: ", self.line).into_bytes();
        for index in 1..=stack.len() {
            if index > 1 {
                text.extend_from_slice(b", ");
            }
            stack.push_copy(index);
            show::value(stack, &mut text, 0);
            stack.pop(1);
        }
        self.log.push(text);
    }

    /// What is to be done at this moment; `is_overdue`: the script has run for too long since it stopped last.
    ///
    /// Errors: what the script is to end with.
    pub fn follow(&mut self, stack: &mut Stack, moment: Moment, is_overdue: bool) -> Result<HookAction, Raise> {
        match moment {
            Moment::Line(_) => Ok(self.reach(stack, false)),
            Moment::Passed if is_overdue && !self.steps => Ok(self.reach(stack, true)),
            Moment::Passed => Ok(HookAction::No),
            Moment::Resumed => self.obey(stack),
            Moment::Called(progress) => {
                self.show_called(stack, progress);
                stack.pop(1);
                self.send();
                // The client is gone: no more input will come.
                if self.is_alone {
                    return self.obey(stack);
                }
                Ok(self.halt())
            }
        }
    }

    /// The script has come to a line.
    fn reach(&mut self, stack: &Stack, is_overdue: bool) -> HookAction {
        let Some(place) = stack.place(0) else {
            return HookAction::No;
        };
        self.line = i64::from(place.line);
        if !place.source.contains("user_script") {
            return HookAction::No;
        }
        let is_breakpoint = self.breakpoints.contains(&self.line);
        let reason = match (is_overdue, self.is_asked, is_breakpoint, self.steps) {
            (true, ..) => Reason::Overdue,
            (false, true, ..) => Reason::Asked,
            (false, false, true, _) => Reason::Breakpoint,
            (false, false, false, true) => Reason::Step,
            (false, false, false, false) => return HookAction::No,
        };
        self.steps = false;
        self.is_asked = false;
        self.was_overdue = is_overdue;
        self.say(format!("* Stopped at {}, stop reason = {}", self.line, reason.text()));
        self.say_line(self.line);
        self.send();
        if self.is_alone {
            return HookAction::Yes;
        }
        self.halt()
    }

    fn halt(&mut self) -> HookAction {
        self.is_halted = true;
        HookAction::Yes
    }
}

/// What the client wants.
impl Console {
    fn obey(&mut self, stack: &mut Stack) -> Result<HookAction, Raise> {
        let Some(command) = self.command.take() else {
            if self.is_alone && self.was_overdue {
                let text = "timeout during Lua debugging with client closing connection";
                return Err(Raise::Bare(text.to_string()));
            }
            return Ok(HookAction::No);
        };
        let words: Vec<&[u8]> = command.as_args().iter().collect();
        // As in Redis, where a word ends at a NUL for these.
        let name = words[0].split(|byte| *byte == 0).next().unwrap_or_default();
        match (name.to_ascii_lowercase().as_slice(), words.len()) {
            (b"s" | b"step" | b"n" | b"next", _) => {
                self.steps = true;
                return Ok(HookAction::No);
            }
            (b"c" | b"continue", _) => return Ok(HookAction::No),
            (b"a" | b"abort", _) => {
                let text = "script aborted for user request";
                return Err(Raise::Bare(text.to_string()));
            }
            (b"e" | b"eval", _) => {
                if let Some(call) = self.evaluate(stack, &words[1..].join(&b' ')) {
                    return Ok(call);
                }
            }
            (b"r" | b"redis", 2..) => {
                if let Some(call) = self.call_redis(stack, &words[1..]) {
                    return Ok(call);
                }
            }
            (b"h" | b"help", _) => HELP.iter().for_each(|line| self.say(line)),
            (b"t" | b"trace", _) => self.trace(stack),
            (b"m" | b"maxlen", _) => self.set_limit(words.get(1)),
            (b"b" | b"break", _) => self.change_breakpoints(&words[1..]),
            (b"p" | b"print", 2) => self.print(stack, words[1]),
            (b"p" | b"print", _) => self.print_all(stack),
            (b"l" | b"list", _) => {
                let around = words.get(1).map_or(0, |word| leading_number(word));
                let around = if around > 0 { around } else { self.line };
                let context = words.get(2).map_or(5, |word| leading_number(word));
                self.list(around, context);
            }
            (b"w" | b"whole", _) => self.list(1, 1_000_000),
            _ => self.say("<error> Unknown Redis Lua debugger command or wrong number of arguments."),
        }
        self.send();
        Ok(self.halt())
    }

    /// Compiles what is to be evaluated, as an expression if it is one, and has it called.
    fn evaluate(&mut self, stack: &mut Stack, code: &[u8]) -> Option<HookAction> {
        if !stack.reserve(8) || !stack.load(&[b"return ", code].concat(), EVALUATED) {
            stack.pop(1);
            if !stack.load(code, EVALUATED) {
                let message = stack.bytes(-1).unwrap_or_default().to_vec();
                stack.pop(1);
                self.show_error(&message);
                return None;
            }
        }
        self.called = Some(Called::Evaluated);
        Some(HookAction::Call(0))
    }

    fn call_redis(&mut self, stack: &mut Stack, words: &[&[u8]]) -> Option<HookAction> {
        if !stack.reserve(words.len() as i32 + 8) {
            self.say_within_limit(b"<reply> ".to_vec());
            return None;
        }
        let is_loaded = stack.load(b"return (redis.call(...))", EVALUATED);
        debug_assert!(is_loaded, "it compiles");
        words.iter().for_each(|word| stack.push_bytes(word));
        self.called = Some(Called::Redis);
        // Has the command and its reply be shown.
        self.steps = true;
        Some(HookAction::Call(words.len() as i32))
    }

    /// What was called is over; its result is on top.
    fn show_called(&mut self, stack: &mut Stack, progress: Progress) {
        match (self.called.take(), progress) {
            (Some(Called::Evaluated), Progress::Failed) => {
                let text = match stack.bytes(-1) {
                    Some(text) => text.to_vec(),
                    None => failure::read(stack, -1).text,
                };
                self.show_error(&text);
            }
            (Some(Called::Evaluated), _) => self.say_value(stack, "<retval> "),
            (Some(Called::Redis), _) => self.steps = false,
            (None, _) => {}
        }
    }

    fn trace(&mut self, stack: &Stack) {
        let mut level = 0;
        while let Some(place) = stack.place(level) {
            if place.source.contains("user_script") {
                let how = if level == 0 { "In" } else { "From" };
                let name = stack.name_of_level(level);
                let name = name.as_deref().unwrap_or("top level");
                self.say(format!("{how} {name}:"));
                self.say_line(i64::from(place.line));
            }
            level += 1;
        }
    }

    /// The variable of that name, of the innermost function that has one.
    fn print(&mut self, stack: &mut Stack, name: &[u8]) {
        let mut level = 0;
        while stack.reserve(8) && stack.place(level).is_some() {
            let mut number = 1;
            while let Some(found) = stack.push_variable(level, number) {
                if found.as_bytes() == name {
                    self.say_value(stack, "<value> ");
                    return stack.pop(1);
                }
                stack.pop(1);
                number += 1;
            }
            level += 1;
        }
        if !matches!(name, b"KEYS" | b"ARGV") {
            return self.say("No such variable.");
        }
        stack.push_kept(&self.globals);
        stack.push_field(-1, name);
        self.say_value(stack, "<value> ");
        stack.pop(2);
    }

    /// Every variable of the function that runs.
    fn print_all(&mut self, stack: &mut Stack) {
        let (mut number, mut found) = (1, false);
        while stack.reserve(8)
            && let Some(name) = stack.push_variable(0, number)
        {
            if !name.contains("(*temporary)") {
                self.say_value(stack, &format!("<value> {name} = "));
                found = true;
            }
            stack.pop(1);
            number += 1;
        }
        if !found {
            self.say("No local variables in the current context.");
        }
    }

    fn change_breakpoints(&mut self, words: &[&[u8]]) {
        if words.is_empty() {
            if self.breakpoints.is_empty() {
                return self.say("No breakpoints set. Use 'b <line>' to add one.");
            }
            self.say(format!("{} breakpoints set:", self.breakpoints.len()));
            for line in self.breakpoints.clone() {
                self.say_line(line);
            }
        }
        for word in words {
            match crate::resp::number::parse_i64(word) {
                None => self.say(format!("Invalid argument:'{}'", failure::lossy(word))),
                Some(0) => {
                    self.breakpoints.clear();
                    self.say("All breakpoints removed.");
                }
                Some(line @ 1..) => self.add_breakpoint(line),
                Some(line) => self.remove_breakpoint(line.wrapping_neg()),
            }
        }
    }

    fn add_breakpoint(&mut self, line: i64) {
        let is_line = line <= self.lines.len() as i64;
        if self.breakpoints.len() == BREAKPOINTS_MAX {
            self.say("Too many breakpoints set.");
        } else if is_line && !self.breakpoints.contains(&line) {
            self.breakpoints.push(line);
            self.list(line, 1);
        } else {
            self.say("Wrong line number.");
        }
    }

    fn remove_breakpoint(&mut self, line: i64) {
        let place = self.breakpoints.iter().position(|found| *found == line);
        match place {
            Some(place) => {
                self.breakpoints.remove(place);
                self.say("Breakpoint removed.");
            }
            None => self.say("No breakpoint in the specified line."),
        }
    }

    fn set_limit(&mut self, limit: Option<&&[u8]>) {
        if let Some(limit) = limit {
            // The client has asked for it.
            self.has_hinted = true;
            self.limit_bytes = match leading_number(limit) {
                0 => 0,
                limit => usize::try_from(limit).unwrap_or(0).max(LIMIT_MIN_BYTES),
            };
        }
        match self.limit_bytes {
            0 => self.say("<value> replies are unlimited."),
            limit => self.say(format!("<value> replies are truncated at {limit} bytes.")),
        }
    }
}

/// What is said.
impl Console {
    fn say(&mut self, text: impl AsRef<str>) {
        self.log.push(text.as_ref().as_bytes().to_vec());
    }

    /// The value on top of the stack.
    fn say_value(&mut self, stack: &mut Stack, prefix: &str) {
        let mut text = prefix.as_bytes().to_vec();
        show::value(stack, &mut text, self.limit_bytes);
        self.say_within_limit(text);
    }

    fn say_within_limit(&mut self, mut text: Vec<u8>) {
        let is_cut = self.limit_bytes > 0 && text.len() > self.limit_bytes;
        if is_cut {
            text.truncate(self.limit_bytes);
            text.extend_from_slice(b" ...");
        }
        self.log.push(text);
        if is_cut && !std::mem::replace(&mut self.has_hinted, true) {
            self.say("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
        }
    }

    fn say_line(&mut self, line: i64) {
        let prefix = match (line == self.line, self.breakpoints.contains(&line)) {
            (true, true) => "->#",
            (true, false) => "-> ",
            (false, true) => "  #",
            (false, false) => "   ",
        };
        let found = usize::try_from(line - 1).ok().and_then(|index| self.lines.get(index));
        let text = found.map_or(&b"<out of range source code line>"[..], Vec::as_slice);
        let text = [format!("{prefix}{line:<3} ").as_bytes(), text].concat();
        self.log.push(text);
    }

    fn list(&mut self, around: i64, context: i64) {
        for line in 1..=self.lines.len() as i64 {
            if (around - line).abs() <= context {
                self.say_line(line);
            }
        }
    }

    /// Puts all that was said into one reply.
    fn send(&mut self) {
        let head = format!("*{}\r\n", self.log.len());
        self.output.extend_from_slice(head.as_bytes());
        for line in self.log.drain(..) {
            self.output.push(b'+');
            let safe = line.iter().map(|byte| match byte {
                b'\r' | b'\n' => b' ',
                byte => *byte,
            });
            self.output.extend(safe);
            self.output.extend_from_slice(b"\r\n");
        }
    }
}

/// The number that a word begins with, as C's `atoi` reads it.
fn leading_number(word: &[u8]) -> i64 {
    let text = word.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    sign * number.min(i64::from(i32::MAX))
}

/// The client, redis-cli, shows this as it is.
static HELP: &[&str] = &[
    "Redis Lua debugger help:",
    "[h]elp               Show this help.",
    "[s]tep               Run current line and stop again.",
    "[n]ext               Alias for step.",
    "[c]ontinue           Run till next breakpoint.",
    "[l]ist               List source code around current line.",
    "[l]ist [line]        List source code around [line].",
    "                     line = 0 means: current position.",
    "[l]ist [line] [ctx]  In this form [ctx] specifies how many lines",
    "                     to show before/after [line].",
    "[w]hole              List all source code. Alias for 'list 1 1000000'.",
    "[p]rint              Show all the local variables.",
    "[p]rint <var>        Show the value of the specified variable.",
    "                     Can also show global vars KEYS and ARGV.",
    "[b]reak              Show all breakpoints.",
    "[b]reak <line>       Add a breakpoint to the specified line.",
    "[b]reak -<line>      Remove breakpoint from the specified line.",
    "[b]reak 0            Remove all breakpoints.",
    "[t]race              Show a backtrace.",
    "[e]val <code>        Execute some Lua code (in a different callframe).",
    "[r]edis <cmd>        Execute a Redis command.",
    "[m]axlen [len]       Trim logged Redis replies and Lua var dumps to len.",
    "                     Specifying zero as <len> means unlimited.",
    "[a]bort              Stop the execution of the script. In sync",
    "                     mode dataset changes will be retained.",
    "",
    "Debugger functions you can call from Lua scripts:",
    "redis.debug()        Produce logs in the debugger console.",
    "redis.breakpoint()   Stop execution like if there was a breakpoint in the",
    "                     next line of code.",
];
