//! The options that XADD and XTRIM share: how much to trim, and what becomes of what the groups know.

use smallvec::SmallVec;

use crate::command::error::CommandError;
use crate::config::Config;
use crate::resp::Args;
use crate::types::stream::{Given, Id, References, Threshold, Trim};

use super::producers::Production;
use super::{INVALID_ID, parse_id, parse_integer};

/// Most entries that approximate trimming removes at once unless told otherwise.
const LIMIT_MAX: u64 = 1_000_000;
/// The same when blocks have no limit of entries.
const LIMIT_WITHOUT_ENTRIES: usize = 10_000;

/// Which command it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Add,
    Trim,
}

/// What the options of XADD or XTRIM say.
pub(super) struct Options<'a> {
    pub trim: Option<Trim>,
    pub create: bool,
    /// The producer of the entry.
    pub production: Option<Production<'a>>,
    /// XADD's ID, unless it is to be made up.
    pub id: Option<Given>,
    /// Where the limit of trimming is, if it is approximate.
    pub approximate_at: Option<usize>,
    /// Where words are that older servers do not know, and need not.
    pub newer: SmallVec<[usize; 4]>,
    /// The argument behind the options, and XADD's ID.
    pub rest: usize,
}

/// What is gathered while the options are read.
#[derive(Default)]
struct Gathered {
    threshold: Option<Threshold>,
    is_approximate: bool,
    limit: Option<usize>,
    references: Option<References>,
}

fn is_word(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

fn references(option: &[u8]) -> Option<References> {
    let policies = [("KEEPREF", References::Keep), ("DELREF", References::Delete), ("ACKED", References::Acknowledged)];
    let found = policies.iter().find(|(word, _)| is_word(option, word));
    found.map(|(_, references)| *references)
}

/// Reads what becomes of what the groups know, if an argument says that and none did before.
pub(super) fn parse_references(argument: &[u8], given: &mut Option<References>) -> bool {
    match references(argument) {
        Some(policy) if given.is_none() => {
            *given = Some(policy);
            true
        }
        _ => false,
    }
}

impl<'a> Options<'a> {
    /// Reads the options of a command. Errors: all that can be wrong with them. A command that is obeyed was trimmed
    /// already where it comes from, and its limits are exact: LIMIT does not matter then.
    pub fn parse(args: Args<'a>, syntax: Syntax, config: &Config, is_exact: bool) -> Result<Options<'a>, CommandError> {
        let mut gathered = Gathered::default();
        let mut options = Options::none(args);
        let mut at = 2;
        while let Some(option) = args.get(at) {
            let is_last = at + 1 == args.len();
            if syntax == Syntax::Add && option == b"*" {
                options.rest = at + 1;
                break;
            } else if (is_word(option, "MAXLEN") || is_word(option, "MINID")) && !is_last {
                at = gathered.parse_threshold(args, at)?;
                options.approximate_at = gathered.is_approximate.then_some(at);
            } else if is_word(option, "LIMIT") && !is_last {
                at += 1;
                gathered.parse_limit(&args[at])?;
            } else if syntax == Syntax::Add && is_word(option, "NOMKSTREAM") {
                options.create = false;
            } else if parse_references(option, &mut gathered.references) {
                if gathered.references == Some(References::Keep) {
                    options.newer.push(at);
                }
            } else if syntax == Syntax::Add && options.parse_production(args, at)? {
                at = options.newer.last().copied().unwrap_or(at);
            } else if syntax == Syntax::Add {
                options.id = Some(Id::parse_given(option).ok_or(INVALID_ID)?);
                options.rest = at + 1;
                break;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        if is_exact {
            gathered.limit = gathered.is_approximate.then_some(0);
        }
        options.trim = gathered.finish(syntax, config)?;
        if options.production.is_some() && options.id.is_some() {
            return Err(CommandError::fixed("ERR IDMP/IDMPAUTO can be used only with auto-generated IDs"));
        }
        Ok(options)
    }

    fn none(args: Args<'a>) -> Options<'a> {
        Options {
            trim: None,
            create: true,
            production: None,
            id: None,
            approximate_at: None,
            newer: SmallVec::new(),
            rest: args.len() + 1,
        }
    }

    /// Reads IDMP or IDMPAUTO with its operands, if that is what stands there; says whether it is.
    fn parse_production(&mut self, args: Args<'a>, at: usize) -> Result<bool, CommandError> {
        let (is_automatic, operands) = match args.at(at) {
            option if is_word(option, "IDMP") => (false, 2),
            option if is_word(option, "IDMPAUTO") => (true, 1),
            _ => return Ok(false),
        };
        if at + operands >= args.len() {
            return Ok(false);
        }
        if self.production.is_some() {
            return Err(CommandError::fixed("ERR IDMP/IDMPAUTO specified multiple times"));
        }
        let production = Production { producer: args.at(at + 1), message: (!is_automatic).then(|| args.at(at + 2)) };
        if production.producer.is_empty() {
            let name = if is_automatic { "IDMPAUTO" } else { "IDMP" };
            return Err(CommandError::new(format!("ERR {name} requires a non-empty producer ID")));
        }
        if production.message == Some(b"") {
            return Err(CommandError::fixed("ERR IDMP requires a non-empty idempotent ID"));
        }
        self.production = Some(production);
        self.newer.extend(at..=at + operands);
        Ok(true)
    }
}

impl Gathered {
    /// Reads MAXLEN or MINID; gives its last argument.
    fn parse_threshold(&mut self, args: Args<'_>, at: usize) -> Result<usize, CommandError> {
        if self.threshold.is_some() {
            return Err(CommandError::fixed(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let has_operator = at + 2 < args.len() && matches!(&args[at + 1], b"~" | b"=");
        self.is_approximate = has_operator && &args[at + 1] == b"~";
        let operand = at + 1 + usize::from(has_operator);
        self.threshold = Some(if is_word(&args[at], "MINID") {
            Threshold::Below(parse_id(&args[operand])?)
        } else {
            let length = usize::try_from(parse_integer(&args[operand])?);
            Threshold::Length(length.map_err(|_| CommandError::fixed("ERR The MAXLEN argument must be >= 0."))?)
        });
        Ok(operand)
    }

    fn parse_limit(&mut self, text: &[u8]) -> Result<(), CommandError> {
        let limit = usize::try_from(parse_integer(text)?);
        self.limit = Some(limit.map_err(|_| CommandError::fixed("ERR The LIMIT argument must be >= 0."))?);
        Ok(())
    }

    fn finish(self, syntax: Syntax, config: &Config) -> Result<Option<Trim>, CommandError> {
        if self.threshold.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.threshold.is_none() && syntax == Syntax::Trim {
            return Err(CommandError::fixed("ERR syntax error, XTRIM must be called with a trimming strategy"));
        }
        if self.limit.is_some() && !self.is_approximate {
            return Err(CommandError::fixed("ERR syntax error, LIMIT cannot be used without the special ~ option"));
        }
        let default_limit = match self.is_approximate {
            true => approximate_limit(config),
            false => 0,
        };
        Ok(self.threshold.map(|threshold| Trim {
            threshold,
            is_approximate: self.is_approximate,
            limit: self.limit.unwrap_or(default_limit),
            references: self.references.unwrap_or_default(),
        }))
    }
}

/// A hundred blocks of entries: so that one command does not take too long.
fn approximate_limit(config: &Config) -> usize {
    match config.stream_node_max_entries.saturating_mul(100) {
        0 => LIMIT_WITHOUT_ENTRIES,
        limit => limit.min(LIMIT_MAX) as usize,
    }
}
