//! Scripts are written for Lua 5.1, and LuaJIT's language is a little larger. A script's text is put into the form in which LuaJIT
//! takes it as 5.1 does, line by line the same:
//!
//! - `return f(x)` becomes `return (f(x))` where nothing but the place in error messages changes: LuaJIT forgets the caller of a
//!   function called last, and with it the line;
//! - `"\x41"` is `x41`, `10LL` and `goto` statements are errors;
//! - a function with `...` has a local `arg`, if the text speaks of one.

use std::borrow::Cow;
use std::ops::Range;

/// Functions, or tables of functions, of which each call gives one result (or none, or never returns).
const SINGLE: &[&[u8]] = &[
    b"redis",
    b"server",
    b"cjson",
    b"bit",
    b"error",
    b"tonumber",
    b"tostring",
    b"type",
    b"setmetatable",
    b"rawget",
    b"rawset",
];
/// The same, field by field.
const SINGLE_FIELDS: &[(&[u8], &[&[u8]])] = &[
    (b"string", &[b"rep", b"format", b"sub", b"len", b"lower", b"upper", b"reverse", b"char"]),
    (b"math", &[b"random", b"floor", b"ceil", b"abs", b"max", b"min", b"sqrt", b"fmod", b"pow"]),
    (b"table", &[b"concat", b"getn", b"maxn", b"setn"]),
    (b"cmsgpack", &[b"pack"]),
    (b"struct", &[b"pack", b"size"]),
];

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Number,
    String,
    /// A single character, `..` and `...` aside.
    Symbol,
    Dots,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

/// The text as LuaJIT is to compile it.
///
/// Errors: what LuaJIT would take and Lua 5.1 does not, as 5.1 words it after the line.
pub fn translate(text: &[u8]) -> Result<Cow<'_, [u8]>, (usize, String)> {
    if text.first() == Some(&b'#') {
        // LuaJIT passes over such a line.
        return Err((1, "unexpected symbol near '#'".to_string()));
    }
    // What cannot be taken apart is for the compiler to complain of.
    let Some(tokens) = tokenize(text) else {
        return Ok(Cow::Borrowed(text));
    };
    let translation = Translation { text, tokens, edits: Vec::new() };
    translation.run()
}

/// Replaces a range of the text.
struct Edit {
    range: Range<usize>,
    with: Vec<u8>,
}

struct Translation<'a> {
    text: &'a [u8],
    tokens: Vec<Token>,
    edits: Vec<Edit>,
}

impl<'a> Translation<'a> {
    fn run(mut self) -> Result<Cow<'a, [u8]>, (usize, String)> {
        let speaks_of_arg = (0..self.tokens.len()).any(|at| self.is(at, b"arg"));
        // Which blocks are open: true for a function's.
        let mut blocks: Vec<bool> = Vec::new();
        for at in 0..self.tokens.len() {
            let token = self.tokens[at];
            match token.kind {
                Kind::Number => self.check_number(token)?,
                Kind::String => self.edit_string(token),
                Kind::Name => {
                    self.check_goto(at)?;
                    match self.bytes(token) {
                        b"function" => {
                            blocks.push(true);
                            if speaks_of_arg {
                                self.declare_arg(at);
                            }
                        }
                        // `while` and `for` open theirs with `do`.
                        b"do" | b"if" | b"repeat" => blocks.push(false),
                        b"end" | b"until" => {
                            blocks.pop();
                        }
                        b"return" => self.keep_place(at, !blocks.contains(&true)),
                        _ => {}
                    }
                }
                Kind::Symbol => self.check_operator(at)?,
                Kind::Dots => {}
            }
        }
        Ok(self.apply())
    }

    fn apply(mut self) -> Cow<'a, [u8]> {
        if self.edits.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let mut out = Vec::with_capacity(self.text.len() + 16 * self.edits.len());
        let mut done = 0;
        for edit in self.edits {
            out.extend_from_slice(&self.text[done..edit.range.start]);
            out.extend_from_slice(&edit.with);
            done = edit.range.end;
        }
        out.extend_from_slice(&self.text[done..]);
        Cow::Owned(out)
    }

    fn bytes(&self, token: Token) -> &'a [u8] {
        &self.text[token.start..token.end]
    }

    fn at(&self, at: usize) -> &'a [u8] {
        self.tokens.get(at).map_or(&b""[..], |token| self.bytes(*token))
    }

    fn is(&self, at: usize, text: &[u8]) -> bool {
        self.at(at) == text
    }

    fn line_of(&self, place: usize) -> usize {
        1 + memchr::memchr_iter(b'\n', &self.text[..place]).count()
    }

    fn insert(&mut self, at: usize, text: &[u8]) {
        self.edits.push(Edit { range: at..at, with: text.to_vec() });
    }

    /// LuaJIT's numbers of 64 bits and complex ones are none.
    fn check_number(&self, token: Token) -> Result<(), (usize, String)> {
        let bytes = self.bytes(token);
        let is_hexadecimal = bytes.len() > 1 && matches!(bytes[1], b'x' | b'X');
        let has_suffix = match bytes.last() {
            Some(b'l' | b'L' | b'i' | b'I' | b'u' | b'U') => true,
            Some(b'b' | b'B') => !is_hexadecimal,
            _ => false,
        };
        let is_binary = bytes.len() > 1 && matches!(bytes[1], b'b' | b'B');
        if has_suffix || is_binary {
            let shown = String::from_utf8_lossy(bytes);
            let message = format!("malformed number near '{shown}'");
            return Err((self.line_of(token.start), message));
        }
        Ok(())
    }

    /// The operators on bits came after 5.1.
    fn check_operator(&self, at: usize) -> Result<(), (usize, String)> {
        let token = self.tokens[at];
        let next = self.text.get(token.end);
        let is_later = match self.text[token.start] {
            b'&' | b'|' => true,
            b'~' => next != Some(&b'='),
            first @ (b'<' | b'>') => next == Some(&first),
            _ => false,
        };
        if !is_later {
            return Ok(());
        }
        let shown = char::from(self.text[token.start]);
        let line = self.line_of(token.start);
        Err((line, format!("unexpected symbol near '{shown}'")))
    }

    fn check_goto(&self, at: usize) -> Result<(), (usize, String)> {
        let is_goto = self.is(at, b"goto")
            && self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Name)
            && !is_keyword(self.at(at + 1));
        // After these it is a name.
        let is_name = at > 0 && matches!(self.at(at - 1), b"." | b":" | b"local" | b"function");
        if is_goto && !is_name {
            let next = String::from_utf8_lossy(self.at(at + 1));
            let line = self.line_of(self.tokens[at + 1].start);
            return Err((line, format!("'=' expected near '{next}'")));
        }
        Ok(())
    }

    /// Takes the backslash from escapes that 5.1 does not know: there the letter stands for itself.
    fn edit_string(&mut self, token: Token) {
        if self.text[token.start] == b'[' {
            return;
        }
        let mut at = token.start;
        while at < token.end {
            if self.text[at] == b'\\' {
                if matches!(self.text.get(at + 1), Some(b'x' | b'z' | b'u')) {
                    self.edits.push(Edit { range: at..at + 1, with: Vec::new() });
                }
                at += 1;
            }
            at += 1;
        }
    }

    /// Gives a function with variable arguments the table of them.
    fn declare_arg(&mut self, function: usize) {
        let Some(open) = (function..self.tokens.len()).find(|at| self.is(*at, b"(")) else {
            return;
        };
        let Some(close) = (open..self.tokens.len()).find(|at| self.is(*at, b")")) else {
            return;
        };
        if self.is(close - 1, b"...") {
            let place = self.tokens[close].end;
            self.insert(place, b" local arg={n=select('#',...),...} ");
        }
    }

    /// Puts brackets around a call that is all that is returned. `is_outermost`: of the script itself, of which one result counts.
    fn keep_place(&mut self, at: usize, is_outermost: bool) {
        let first = at + 1;
        let Some(end) = self.call_end(first) else {
            return;
        };
        let behind = self.at(end);
        let ends = matches!(behind, b"" | b";" | b"end" | b"else" | b"elseif" | b"until");
        if ends && (is_outermost || self.gives_one(first, end)) {
            self.insert(self.tokens[first].start, b"(");
            self.insert(self.tokens[end - 1].end, b")");
        }
    }

    fn gives_one(&self, first: usize, end: usize) -> bool {
        let calls = (first..end).filter(|at| self.is(*at, b"(") && self.depth_is_zero(first, *at));
        // `redis.call(x)(y)` gives what some function gives.
        if calls.count() > 1 {
            return false;
        }
        let (name, dot, field) = (self.at(first), self.is(first + 1, b"."), self.at(first + 2));
        if SINGLE.contains(&name) {
            return true;
        }
        let fields = SINGLE_FIELDS.iter().find(|(table, _)| *table == name);
        dot && fields.is_some_and(|(_, fields)| fields.contains(&field))
    }

    fn depth_is_zero(&self, first: usize, at: usize) -> bool {
        let mut depth = 0;
        for token in &self.tokens[first..at] {
            match self.bytes(*token) {
                b"(" | b"[" | b"{" if token.kind == Kind::Symbol => depth += 1,
                b")" | b"]" | b"}" if token.kind == Kind::Symbol => depth -= 1,
                _ => {}
            }
        }
        depth == 0
    }

    /// The token behind an expression that begins there, if it is a call: a name or something in brackets, then fields,
    /// indexes and calls, of which a call is the last.
    fn call_end(&self, first: usize) -> Option<usize> {
        let token = *self.tokens.get(first)?;
        let mut at = match token.kind {
            Kind::Name if !is_keyword(self.bytes(token)) => first + 1,
            Kind::Symbol if self.is(first, b"(") => self.closing(first)? + 1,
            _ => return None,
        };
        let mut is_call = false;
        loop {
            match self.at(at) {
                b"." => {
                    is_call = false;
                    at += 2;
                }
                b"[" => {
                    is_call = false;
                    at = self.closing(at)? + 1;
                }
                b":" => {
                    is_call = true;
                    at = self.arguments_end(at + 2)?;
                }
                _ => match self.arguments_end(at) {
                    Some(end) => {
                        is_call = true;
                        at = end;
                    }
                    None => return is_call.then_some(at),
                },
            }
        }
    }

    /// The token behind the arguments of a call that begin there.
    fn arguments_end(&self, at: usize) -> Option<usize> {
        match self.tokens.get(at)?.kind {
            Kind::String => Some(at + 1),
            Kind::Symbol if self.is(at, b"(") || self.is(at, b"{") => Some(self.closing(at)? + 1),
            _ => None,
        }
    }

    /// The bracket that closes the one there.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            if token.kind != Kind::Symbol {
                continue;
            }
            match self.text[token.start] {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }
}

fn is_keyword(name: &[u8]) -> bool {
    matches!(
        name,
        b"and"
            | b"break"
            | b"do"
            | b"else"
            | b"elseif"
            | b"end"
            | b"false"
            | b"for"
            | b"function"
            | b"if"
            | b"in"
            | b"local"
            | b"nil"
            | b"not"
            | b"or"
            | b"repeat"
            | b"return"
            | b"then"
            | b"true"
            | b"until"
            | b"while"
    )
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The tokens of a text, without comments; none if a string or comment does not end. O(length).
fn tokenize(text: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let rest = &text[at..];
        let (kind, len) = match byte {
            b' ' | b'\t'..=b'\r' => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with(b"--") => {
                at += 2 + comment_len(&rest[2..])?;
                continue;
            }
            b'"' | b'\'' => (Kind::String, quoted_len(rest)?),
            b'[' if long_bracket(rest).is_some() => (Kind::String, long_len(rest)?),
            b'0'..=b'9' => (Kind::Number, number_len(rest)),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => (Kind::Number, number_len(rest)),
            b'.' if rest.starts_with(b"...") => (Kind::Dots, 3),
            b'.' if rest.starts_with(b"..") => (Kind::Symbol, 2),
            byte if is_name_byte(byte) => {
                let len = rest.iter().take_while(|byte| is_name_byte(**byte)).count();
                (Kind::Name, len)
            }
            _ => (Kind::Symbol, 1),
        };
        tokens.push(Token { kind, start: at, end: at + len });
        at += len;
    }
    Some(tokens)
}

/// Length of a comment behind its dashes.
fn comment_len(rest: &[u8]) -> Option<usize> {
    if long_bracket(rest).is_some() {
        return long_len(rest);
    }
    Some(memchr::memchr(b'\n', rest).unwrap_or(rest.len()))
}

/// The level of the long bracket that begins there: `[[` has 0, `[==[` has 2.
fn long_bracket(rest: &[u8]) -> Option<usize> {
    let level = rest.get(1..)?.iter().take_while(|byte| **byte == b'=').count();
    (rest[0] == b'[' && rest.get(level + 1) == Some(&b'[')).then_some(level)
}

fn long_len(rest: &[u8]) -> Option<usize> {
    let level = long_bracket(rest)?;
    let mut close = vec![b'='; level + 2];
    close[0] = b']';
    close[level + 1] = b']';
    let body = memchr::memmem::find(&rest[level + 2..], &close)?;
    Some(level + 2 + body + close.len())
}

fn quoted_len(rest: &[u8]) -> Option<usize> {
    let quote = rest[0];
    let mut at = 1;
    loop {
        match rest.get(at)? {
            b'\\' => at += 2,
            b'\n' => return None,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// As Lua 5.1 reads one: digits and points, an exponent with its sign, and all letters behind.
fn number_len(rest: &[u8]) -> usize {
    let digits = |from: usize| {
        let bytes = rest[from..].iter();
        bytes.take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count()
    };
    let mut len = digits(0);
    if matches!(rest.get(len), Some(b'e' | b'E')) {
        len += 1;
        if matches!(rest.get(len), Some(b'+' | b'-')) {
            len += 1;
        }
    }
    let tail = rest[len..].iter();
    len + tail.take_while(|byte| is_name_byte(**byte) || **byte == b'.').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let translated = translate(text.as_bytes()).expect("it is Lua 5.1");
        assert_eq!(String::from_utf8_lossy(&translated), expected);
    }

    #[test]
    fn calls_that_are_returned_keep_their_place() {
        check("return redis.call('GET', KEYS[1])", "return (redis.call('GET', KEYS[1]))");
        check("return f{1}", "return (f{1})");
        check("return a.b[c]:d'x'", "return (a.b[c]:d'x')");
        check("return f(x)[1]", "return f(x)[1]");
        check("return f(x) + 1", "return f(x) + 1");
        check("return f(x), 1", "return f(x), 1");
        check("return (f)(x);", "return ((f)(x));");
        check("return x", "return x");
        check("return", "return");
        check("return not f(x)", "return not f(x)");
        check("if a then return f(x) else return g(y) end", "if a then return (f(x)) else return (g(y)) end");
        check("return f(x) -- end", "return (f(x)) -- end");
        check("return f[[x]]", "return (f[[x]])");
    }

    /// There the number of results matters, and that recursion needs no stack.
    #[test]
    fn functions_still_call_last() {
        check(
            "local function f(n) return f(n - 1) end return f(1)",
            "local function f(n) return f(n - 1) end return (f(1))",
        );
        check(
            "local f = function() while x do end return redis.call('x') end",
            "local f = function() while x do end return (redis.call('x')) end",
        );
        check("local f = function() return redis.call('x')() end", "local f = function() return redis.call('x')() end");
        check("local f = function() return string.find(a, b) end", "local f = function() return string.find(a, b) end");
        check(
            "local f = function() repeat local x until y return string.rep(a, b) end",
            "local f = function() repeat local x until y return (string.rep(a, b)) end",
        );
    }

    #[test]
    fn strings_and_numbers_are_those_of_lua_5_1() {
        check(r#"return "\x41\\x41\n""#, r#"return "x41\\x41\n""#);
        check(r"return [[\x41]]", r"return [[\x41]]");
        check("-- \"\\x41\n", "-- \"\\x41\n");
        check("x = 0x1b + 1e5 + .5 + 3..4", "x = 0x1b + 1e5 + .5 + 3..4");
        for (text, line, message) in [
            ("return 10LL", 1, "malformed number near '10LL'"),
            ("\nreturn 0x10ULL", 2, "malformed number near '0x10ULL'"),
            ("return 5i", 1, "malformed number near '5i'"),
            ("return 0b1", 1, "malformed number near '0b1'"),
            ("goto done", 1, "'=' expected near 'done'"),
            ("return 1 & 2", 1, "unexpected symbol near '&'"),
            ("return 1 << 2", 1, "unexpected symbol near '<'"),
            ("return ~1", 1, "unexpected symbol near '~'"),
        ] {
            let error = translate(text.as_bytes()).expect_err("it is no Lua 5.1");
            assert_eq!(error, (line, message.to_string()));
        }
        check("return 1 ~= 2, 1 < 2", "return 1 ~= 2, 1 < 2");
        check("local goto = 1", "local goto = 1");
        check("t.goto = x", "t.goto = x");
    }

    #[test]
    fn arguments_are_in_a_table() {
        check(
            "local f = function(a, ...) return arg.n end",
            "local f = function(a, ...) local arg={n=select('#',...),...}  return arg.n end",
        );
        check("local f = function(...) return #{...} end", "local f = function(...) return #{...} end");
    }

    #[test]
    fn what_does_not_end_is_left_to_the_compiler() {
        for text in ["return 'x", "return [[x", "--[[x", "return (", "function", "end end", "return f("] {
            check(text, text);
        }
    }
}
