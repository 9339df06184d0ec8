//! Error replies of commands, in Redis's wording.

use std::borrow::Cow;

/// What a handler returns: nothing (the reply is written already) or the error to reply with.
pub type CommandResult = Result<(), CommandError>;

/// The text of an error reply, code first, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    text: Cow<'static, str>,
    /// The same where it is no text: bytes of a script's own.
    #[expect(clippy::box_collection)]
    bytes: Option<Box<Vec<u8>>>,
    is_counted: bool,
}

impl CommandError {
    /// Clients do not write to a replica.
    pub const READ_ONLY: CommandError = CommandError::fixed("READONLY You can't write against a read only replica.");
    /// The data are not there yet.
    pub const LOADING: CommandError = CommandError::fixed("LOADING Redis is loading the dataset in memory");
    /// The command has failed, but its reply is written: there are errors in what a script gave.
    pub const WITHIN_REPLY: CommandError = CommandError::fixed("");
    pub const WRONG_TYPE: CommandError =
        CommandError::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub const OUT_OF_MEMORY: CommandError =
        CommandError::fixed("OOM command not allowed when used memory > 'maxmemory'.");
    pub const SYNTAX: CommandError = CommandError::fixed("ERR syntax error");
    /// Writes are refused while automatic saving fails.
    pub const SAVE_FAILED: CommandError = CommandError::fixed(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
        persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report \
        errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
        details about the RDB error.",
    );
    /// Writes are refused while too few replicas are near enough.
    pub const NO_GOOD_REPLICAS: CommandError = CommandError::fixed("NOREPLICAS Not enough good replicas to write.");
    pub const NOT_AN_INTEGER: CommandError = CommandError::fixed("ERR value is not an integer or out of range");
    pub const NOT_A_FLOAT: CommandError = CommandError::fixed("ERR value is not a valid float");
    pub const NO_SUCH_KEY: CommandError = CommandError::fixed("ERR no such key");
    pub const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR index out of range");
    pub const DATABASE_OUT_OF_RANGE: CommandError = CommandError::fixed("ERR DB index is out of range");
    pub const SAME_OBJECT: CommandError = CommandError::fixed("ERR source and destination objects are the same");

    /// An error whose text is known at compile time.
    pub const fn fixed(text: &'static str) -> CommandError {
        CommandError { text: Cow::Borrowed(text), bytes: None, is_counted: false }
    }

    /// An error whose text is put together. It may hold bytes of the request: the reply writer
    /// keeps line breaks out.
    pub fn new(text: impl Into<String>) -> CommandError {
        CommandError { text: Cow::Owned(text.into()), bytes: None, is_counted: false }
    }

    /// An error whose text may be any bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> CommandError {
        match String::from_utf8(bytes) {
            Ok(text) => CommandError::new(text),
            Err(error) => CommandError {
                text: Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
                bytes: Some(Box::new(error.into_bytes())),
                is_counted: false,
            },
        }
    }

    /// The error of a command that failed within this one, and was counted there.
    pub fn as_counted(mut self) -> CommandError {
        self.is_counted = true;
        self
    }

    /// Whether the statistics have this error already.
    pub fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Whether the reply is written already.
    pub fn is_within_reply(&self) -> bool {
        self.text.is_empty()
    }

    /// The error of a command called with too few or too many arguments.
    pub fn wrong_arity(full_name: &str) -> CommandError {
        CommandError::new(format!("ERR wrong number of arguments for '{full_name}' command"))
    }

    /// The error of a subcommand that is unknown or got too few or too many arguments, of a command that
    /// takes its subcommands apart by itself.
    pub fn unknown_subcommand(container: &str, subcommand: &[u8]) -> CommandError {
        let shown = String::from_utf8_lossy(&subcommand[..subcommand.len().min(128)]);
        let container = container.to_ascii_uppercase();
        CommandError::new(format!(
            "ERR unknown subcommand or wrong number of arguments for '{shown}'. Try {container} HELP."
        ))
    }

    /// The error of an expiry time that cannot be.
    pub fn invalid_expire_time(full_name: &str) -> CommandError {
        CommandError::new(format!("ERR invalid expire time in '{full_name}' command"))
    }

    /// The whole text; what is no text in it is replaced.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text as it is replied.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Some(bytes) => bytes,
            None => self.text.as_bytes(),
        }
    }
}
