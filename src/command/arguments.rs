//! The arguments of a command, and the notation in which a declaration states them: that of the command pages, with a
//! few more marks.
//!
//! ```text
//! key value [NX] [COUNT count:integer] condition=[GT|LT]@6.2.0 [field...]
//!
//! field             a value of type string
//! count:integer     a value of another type, named as in COMMAND DOCS
//! key               the key that key spec 0 finds
//! source#1          the key that key spec 1 finds
//! by:pattern#1      belongs to key spec 1, but is no key
//! addr<ip:port>     a value shown under another name
//! WITHSCORES        a bare token, named withscores
//! change=CH         a bare token under another name
//! equal='='         a token in quotes, where it does not begin with a capital letter
//! LIMIT count       a value after its token; so for a one-of or a block
//! unit=(BYTE|BIT)   a one-of: alternatives
//! data={id value}   a block: arguments that go together
//! [count]           an optional argument
//! unit=[BYTE|BIT]   an optional one-of
//! range=[min max]   an optional block
//! field...          a value, one-of or block that may be repeated
//! [GET pattern]...  an optional argument that is repeated together with its token
//! id@6.2.0          an argument added in that version
//! id!2.8.12         an argument deprecated since that version
//! ```
//!
//! A one-of or block without a name has that of its token: `[LIMIT {offset count}]`. The order of the marks is
//! `name<shown>:type#spec...@since!deprecated`.

use std::fmt;

/// One argument of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub kind: ArgumentKind,
    pub token: Option<&'static str>,
    /// Which key spec it belongs to, for keys.
    pub key_spec: Option<u8>,
    pub is_optional: bool,
    pub is_multiple: bool,
    /// Whether the token is repeated together with the value.
    pub is_token_multiple: bool,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
    /// What to show in place of the name.
    pub display: Option<&'static str>,
    /// Of a one-of its alternatives, of a block its parts.
    pub arguments: Vec<Argument>,
}

impl Argument {
    fn new(name: String, kind: ArgumentKind) -> Argument {
        Argument {
            name,
            kind,
            token: None,
            key_spec: None,
            is_optional: false,
            is_multiple: false,
            is_token_multiple: false,
            since: None,
            deprecated_since: None,
            display: None,
            arguments: Vec::new(),
        }
    }

    /// How often it may stand, in the words of COMMAND DOCS.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let flags = [
            (self.is_optional, "optional"),
            (self.is_multiple, "multiple"),
            (self.is_token_multiple, "multiple_token"),
        ];
        flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name)
    }
}

/// The type of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgumentKind {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key => "key",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }

    /// The types that the notation names; the others follow from its brackets and capitals.
    const NAMED: [ArgumentKind; 6] = [
        ArgumentKind::String,
        ArgumentKind::Integer,
        ArgumentKind::Double,
        ArgumentKind::Key,
        ArgumentKind::Pattern,
        ArgumentKind::UnixTime,
    ];
}

/// A mistake in the notation: what was expected, and the text from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotationError {
    pub expected: &'static str,
    pub rest: &'static str,
}

impl fmt::Display for NotationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} expected at {:?}", self.expected, self.rest)
    }
}

/// Reads a list of arguments.
pub fn parse(notation: &'static str) -> Result<Vec<Argument>, NotationError> {
    let mut parser = Parser { rest: notation };
    let arguments = if notation.is_empty() { Vec::new() } else { parser.list()? };
    if parser.rest.is_empty() { Ok(arguments) } else { Err(parser.error("a blank or the end")) }
}

/// Recursive descent over what is left of the notation.
struct Parser {
    rest: &'static str,
}

impl Parser {
    fn error(&self, expected: &'static str) -> NotationError {
        NotationError { expected, rest: self.rest }
    }

    /// Takes the text if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn require(&mut self, text: &str, expected: &'static str) -> Result<(), NotationError> {
        if self.take(text) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Takes the characters up to the first that does not belong; at least one.
    fn take_while(
        &mut self,
        belongs: impl Fn(char) -> bool,
        expected: &'static str,
    ) -> Result<&'static str, NotationError> {
        let end = self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.error(expected));
        }
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(taken)
    }

    fn word(&mut self, expected: &'static str) -> Result<&'static str, NotationError> {
        self.take_while(|character| character.is_ascii_alphanumeric() || "-_".contains(character), expected)
    }

    fn version(&mut self) -> Result<&'static str, NotationError> {
        self.take_while(|character| character.is_ascii_digit() || character == '.', "a version")
    }

    /// Arguments with blanks between them.
    fn list(&mut self) -> Result<Vec<Argument>, NotationError> {
        let mut arguments = vec![self.argument()?];
        while self.take(" ") {
            arguments.push(self.argument()?);
        }
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument, NotationError> {
        let mut argument = if self.is_at_token() { self.after_token()? } else { self.value()? };
        if self.take("@") {
            argument.since = Some(self.version()?);
        }
        if self.take("!") {
            argument.deprecated_since = Some(self.version()?);
        }
        if argument.name.is_empty() { Err(self.error("a name before the group")) } else { Ok(argument) }
    }

    fn is_at_token(&self) -> bool {
        self.rest.starts_with(|character: char| character.is_ascii_uppercase() || character == '\'')
    }

    fn token(&mut self) -> Result<&'static str, NotationError> {
        if !self.take("'") {
            return self.word("a token");
        }
        let end = self.rest.find('\'').ok_or(self.error("a closing quote"))?;
        let token = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(token)
    }

    /// A token with the argument that follows it, or by itself.
    fn after_token(&mut self) -> Result<Argument, NotationError> {
        let token = self.token()?;
        let name = token.to_ascii_lowercase();
        let begins_value = |character: char| character.is_ascii_lowercase() || "({".contains(character);
        let value = self.rest.strip_prefix(' ').filter(|rest| rest.starts_with(begins_value));
        let mut argument = match value {
            Some(rest) => {
                self.rest = rest;
                self.value()?
            }
            None => Argument::new(name.clone(), ArgumentKind::PureToken),
        };
        if argument.token.replace(token).is_some() {
            return Err(self.error("a value"));
        }
        if argument.name.is_empty() {
            argument.name = name;
        }
        Ok(argument)
    }

    /// A value, a group, or a bare word under a name of its own.
    fn value(&mut self) -> Result<Argument, NotationError> {
        if self.rest.starts_with(['[', '(', '{']) {
            return self.group("");
        }
        let name = self.word("an argument")?;
        if !self.take("=") {
            return self.leaf(name);
        }
        if !self.is_at_token() {
            return self.group(name);
        }
        let mut argument = Argument::new(name.to_string(), ArgumentKind::PureToken);
        argument.token = Some(self.token()?);
        Ok(argument)
    }

    /// What follows the name of a single value.
    fn leaf(&mut self, name: &str) -> Result<Argument, NotationError> {
        let mut argument = Argument::new(name.to_string(), ArgumentKind::String);
        if self.take("<") {
            argument.display = Some(self.take_while(|character| character != '>', "a name to show")?);
            self.require(">", "a closing >")?;
        }
        let kind = if self.take(":") { Some(self.kind()?) } else { None };
        if self.take("#") {
            let number = self.take_while(|character| character.is_ascii_digit(), "a key spec")?;
            argument.key_spec = Some(number.parse().map_err(|_| self.error("a smaller number"))?);
        } else if name == "key" && kind.is_none() {
            argument.key_spec = Some(0);
        }
        let implied = argument.key_spec.map_or(ArgumentKind::String, |_| ArgumentKind::Key);
        argument.kind = kind.unwrap_or(implied);
        argument.is_multiple = self.take("...");
        Ok(argument)
    }

    fn kind(&mut self) -> Result<ArgumentKind, NotationError> {
        let error = self.error("a type");
        let name = self.word("a type")?;
        ArgumentKind::NAMED.into_iter().find(|kind| kind.name() == name).ok_or(error)
    }

    /// What stands in brackets of any kind.
    fn group(&mut self, name: &str) -> Result<Argument, NotationError> {
        let start = self.error("a group");
        let close = match () {
            () if self.take("[") => "]",
            () if self.take("(") => ")",
            () if self.take("{") => "}",
            () => return Err(start),
        };
        let mut arguments = self.list()?;
        let is_one_of = self.rest.starts_with('|');
        let fits = if is_one_of { close != "}" && arguments.len() == 1 } else { close != ")" };
        if !fits {
            return Err(self.error("a group of the other kind"));
        }
        while self.take("|") {
            arguments.push(self.argument()?);
        }
        self.require(close, "a blank, a bar or the closing bracket")?;
        let is_single = close == "]" && arguments.len() == 1;
        let mut argument = match arguments.pop() {
            Some(only) if is_single && name.is_empty() => only,
            Some(_) if is_single => return Err(start),
            last => {
                let kind = if is_one_of { ArgumentKind::OneOf } else { ArgumentKind::Block };
                let mut group = Argument::new(name.to_string(), kind);
                group.arguments = arguments.into_iter().chain(last).collect();
                group
            }
        };
        argument.is_optional |= close == "]";
        if self.take("...") {
            argument.is_multiple = true;
            argument.is_token_multiple = is_single && argument.token.is_some();
        }
        Ok(argument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An argument as one line: everything that it states beyond the defaults.
    fn describe(argument: &Argument) -> String {
        let mut text = format!("{} {}", argument.name, argument.kind.name());
        let mut add = |name: &str, value: Option<String>| {
            text.extend(value.map(|value| format!(" {name}={value}")));
        };
        add("token", argument.token.map(String::from));
        add("spec", argument.key_spec.map(|number| number.to_string()));
        add("since", argument.since.map(String::from));
        add("deprecated", argument.deprecated_since.map(String::from));
        add("display", argument.display.map(String::from));
        argument.flags().for_each(|flag| text.push_str(&format!(" {flag}")));
        if !argument.arguments.is_empty() {
            let inner: Vec<_> = argument.arguments.iter().map(describe).collect();
            text.push_str(&format!(" ({})", inner.join(", ")));
        }
        text
    }

    #[track_caller]
    fn check(notation: &'static str, expected: &[&str]) {
        let arguments = parse(notation).expect("it is in the notation");
        let described: Vec<_> = arguments.iter().map(describe).collect();
        assert_eq!(described, expected, "{notation}");
    }

    #[track_caller]
    fn check_error(notation: &'static str, expected: &'static str, rest: &'static str) {
        assert_eq!(parse(notation).expect_err(notation), NotationError { expected, rest }, "{notation}");
    }

    #[test]
    fn values() {
        check("", &[]);
        check("field", &["field string"]);
        check("count:integer at:unix-time", &["count integer", "at unix-time"]);
        check("addr<ip:port>", &["addr string display=ip:port"]);
        check("field...", &["field string multiple"]);
        check("[field]@6.2.0 id!2.8.12", &["field string since=6.2.0 optional", "id string deprecated=2.8.12"]);
        check("min<score>:double...@1.2.0!6.2.0", &["min double since=1.2.0 deprecated=6.2.0 display=score multiple"]);
    }

    #[test]
    fn keys() {
        check("key", &["key key spec=0"]);
        check("key#1... key:string", &["key key spec=1 multiple", "key string"]);
        check("source#1 by:pattern#12", &["source key spec=1", "by pattern spec=12"]);
    }

    #[test]
    fn tokens() {
        check("WITHSCORES", &["withscores pure-token token=WITHSCORES"]);
        check("[NX]@3.0.2 KEY-X", &["nx pure-token token=NX since=3.0.2 optional", "key-x pure-token token=KEY-X"]);
        check(
            "change=CH equal='=' empty=''",
            &["change pure-token token=CH", "equal pure-token token==", "empty pure-token token="],
        );
        check(
            "COUNT count:integer FULL [COUNT n] '~' limit",
            &[
                "count integer token=COUNT",
                "full pure-token token=FULL",
                "n string token=COUNT optional",
                "limit string token=~",
            ],
        );
        check("[PREFIX prefix]...", &["prefix string token=PREFIX optional multiple multiple_token"]);
        check("[KEYS key...]", &["key key token=KEYS spec=0 optional multiple"]);
    }

    #[test]
    fn groups() {
        check("unit=(BYTE|bit:integer@7.0.0)", &["unit oneof (byte pure-token token=BYTE, bit integer since=7.0.0)"]);
        check("data={score member}...", &["data block multiple (score string, member string)"]);
        check(
            "unit=[BYTE|BIT]@7.0.0 range=[start [end]]",
            &[
                "unit oneof since=7.0.0 optional (byte pure-token token=BYTE, bit pure-token token=BIT)",
                "range block optional (start string, end string optional)",
            ],
        );
        check(
            "[LIMIT {offset count}] SKIPME (YES|NO)",
            &[
                "limit block token=LIMIT optional (offset string, count string)",
                "skipme oneof token=SKIPME (yes pure-token token=YES, no pure-token token=NO)",
            ],
        );
        check(
            "[TYPE client-type=(A|B)] operation=[a|b]...",
            &[
                "client-type oneof token=TYPE optional (a pure-token token=A, b pure-token token=B)",
                "operation oneof optional multiple (a string, b string)",
            ],
        );
        check(
            "[CONFIG configs={name value}]...",
            &["configs block token=CONFIG optional multiple multiple_token (name string, value string)"],
        );
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        check_error("key  value", "an argument", " value");
        check_error("key ", "an argument", "");
        check_error("key]", "a blank or the end", "]");
        check_error("count:int", "a type", "int");
        check_error("key#x", "a key spec", "x");
        check_error("key#256", "a smaller number", "");
        check_error("addr<>", "a name to show", ">");
        check_error("addr<x", "a closing >", "");
        check_error("id@x", "a version", "x");
        check_error("equal='=", "a closing quote", "=");
        check_error("[a|b]", "a name before the group", "");
        check_error("{a b}", "a name before the group", "");
        check_error("x=[a]", "a group", "[a]");
        check_error("x=a", "a group", "a");
        check_error("x=(a b)", "a group of the other kind", ")");
        check_error("x={a|b}", "a group of the other kind", "|b}");
        check_error("x=[a b|c]", "a group of the other kind", "|c]");
        check_error("x=(a|b c)", "a blank, a bar or the closing bracket", " c)");
        check_error("[key", "a blank, a bar or the closing bracket", "");
        assert_eq!(parse("key#x").expect_err("no number").to_string(), r#"a key spec expected at "x""#);
    }
}
