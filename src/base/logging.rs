//! The log: Redis's line format on top of `log` and `env_logger`, to standard output, a file and the system log.
//!
//! A line is `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL message`. Code logs through the `log` crate's macros, whose
//! levels stand for Redis's: `warn!` is warning (`#`), `info!` notice (`*`), `debug!` verbose (`-`), `trace!` debug
//! (`.`). The file is opened and closed for each line, so that it can be rotated by renaming it. When `RUST_LOG` is
//! set it narrows, by env_logger's rules, which modules may log; `loglevel` still applies on top.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::base::clock::wall_clock;
use crate::base::sys::{faults, syslog, time_zone};

/// How much is logged; each level includes those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// Much, and rarely useful.
    Verbose,
    /// What one wants to know of a server in use.
    Notice,
    /// Only what is critical.
    Warning,
    /// Nothing at all.
    Nothing,
}

impl LogLevel {
    /// The level of that name, as directive `loglevel` spells it, in any case.
    pub fn from_name(name: &str) -> Option<LogLevel> {
        let levels = [LogLevel::Debug, LogLevel::Verbose, LogLevel::Notice, LogLevel::Warning, LogLevel::Nothing];
        levels.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// The name that directive `loglevel` uses.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Verbose => "verbose",
            LogLevel::Notice => "notice",
            LogLevel::Warning => "warning",
            LogLevel::Nothing => "nothing",
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::Trace,
            LogLevel::Verbose => LevelFilter::Debug,
            LogLevel::Notice => LevelFilter::Info,
            LogLevel::Warning => LevelFilter::Warn,
            LogLevel::Nothing => LevelFilter::Off,
        }
    }
}

/// The letter after the process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Not yet a server: still starting, or a child (`C`).
    Child = b'C',
    /// A primary (`M`).
    Primary = b'M',
    /// A replica (`S`).
    Replica = b'S',
    /// A sentinel (`X`).
    Sentinel = b'X',
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum LineFormat {
    /// Redis's.
    #[default]
    Legacy,
    /// Pairs of key and value.
    Logfmt,
    /// An object.
    Json,
}

/// The form of the time in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum TimestampFormat {
    /// Redis's.
    #[default]
    Legacy,
    /// A date of ISO 8601 with the offset of local time.
    Iso8601,
    /// Milliseconds since the epoch.
    Milliseconds,
}

/// Where the log goes, and how much of it.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Directive `loglevel`.
    pub level: LogLevel,
    /// Directive `log-format`.
    pub format: LineFormat,
    /// Directive `log-timestamp-format`.
    pub timestamps: TimestampFormat,
    /// Directive `logfile`: empty for standard output.
    pub file: PathBuf,
    /// Directive `syslog-enabled`.
    pub syslog_enabled: bool,
    /// Directive `syslog-ident`.
    pub syslog_ident: String,
    /// Directive `syslog-facility`.
    pub syslog_facility: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            level: LogLevel::Notice,
            format: LineFormat::Legacy,
            timestamps: TimestampFormat::Legacy,
            file: PathBuf::new(),
            syslog_enabled: false,
            syslog_ident: String::from("redis"),
            syslog_facility: String::from("local0"),
        }
    }
}

static FILE: OnceLock<PathBuf> = OnceLock::new();
static ROLE: AtomicU8 = AtomicU8::new(Role::Child as u8);
static FORMAT: AtomicU8 = AtomicU8::new(LineFormat::Legacy as u8);
static TIMESTAMPS: AtomicU8 = AtomicU8::new(TimestampFormat::Legacy as u8);
static HIDES_USER_DATA: AtomicBool = AtomicBool::new(false);
/// The last known offset of local time, for the crash report, which cannot ask the C library.
static UTC_OFFSET_SECONDS: AtomicI64 = AtomicI64::new(0);

/// Starts the log. To be called once; the role is [`Role::Child`] until [`set_role`].
///
/// Errors: the file cannot be opened for appending (the message says so as a configuration error should), or a logger
/// is there already.
pub fn init(settings: &LogSettings) -> io::Result<()> {
    if !settings.file.as_os_str().is_empty() {
        open_file(&settings.file).map_err(|error| {
            io::Error::new(error.kind(), format!("Can't open the log file: {}", system_text(&error)))
        })?;
    }
    if settings.syslog_enabled {
        syslog::open(&settings.syslog_ident, &settings.syslog_facility);
    }
    let to_syslog = settings.syslog_enabled;
    let mut builder = env_logger::Builder::new();
    match std::env::var("RUST_LOG") {
        Ok(rules) => builder.parse_filters(&rules),
        // Our own lines only: the libraries' are of no use to an operator.
        Err(_) => builder.filter_module(env!("CARGO_PKG_NAME"), LevelFilter::Trace),
    };
    builder.format(move |sink, record| {
        let message = record.args().to_string();
        if to_syslog {
            syslog::write(priority(record.level()), &message);
        }
        sink.write_all(line(record.level(), &message, current_offset()).as_bytes())
    });
    builder.target(env_logger::Target::Pipe(Box::new(Sink)));
    let already_there = |_| io::Error::new(io::ErrorKind::AlreadyExists, "a logger is installed already");
    builder.try_init().map_err(already_there)?;
    FILE.get_or_init(|| settings.file.clone());
    current_offset();
    set_format(settings.format, settings.timestamps);
    set_level(settings.level);
    Ok(())
}

/// Changes how much is logged from now on.
pub fn set_level(level: LogLevel) {
    log::set_max_level(level.filter());
}

/// Changes the form of the lines from now on. Those of a signal handler keep theirs.
pub fn set_format(format: LineFormat, timestamps: TimestampFormat) {
    FORMAT.store(format as u8, Ordering::Relaxed);
    TIMESTAMPS.store(timestamps as u8, Ordering::Relaxed);
}

/// Does some work of which the log says nothing: that of a server within this one.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let level = log::max_level();
    log::set_max_level(log::LevelFilter::Off);
    let result = work();
    log::set_max_level(level);
    result
}

/// Follows directive `hide-user-data-from-log`.
pub fn set_user_data_hidden(hidden: bool) {
    HIDES_USER_DATA.store(hidden, Ordering::Relaxed);
}

/// A key, or whatever else is a user's, as a line of the log may show it.
pub fn user_data(data: &[u8]) -> Cow<'_, str> {
    shown(data, HIDES_USER_DATA.load(Ordering::Relaxed))
}

fn shown(data: &[u8], hidden: bool) -> Cow<'_, str> {
    match hidden {
        true => Cow::Borrowed("*redacted*"),
        false => String::from_utf8_lossy(data),
    }
}

/// Changes the letter after the process id.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

/// Logs text as it is, without the head of a line, at level notice: for the banner.
pub fn raw(text: &str) {
    if log::max_level() >= LevelFilter::Info {
        write_out(text.as_bytes());
    }
}

/// Logs text as it is at any level but `nothing`, without a lock or the C library: for the crash report.
pub fn crash_raw(text: &str) {
    if log::max_level() >= LevelFilter::Warn {
        write_out(text.as_bytes());
    }
}

/// Logs a line at level warning without a lock or the C library: for the crash report.
pub fn crash_line(message: &str) {
    crash_raw(&line(Level::Warn, message, UTC_OFFSET_SECONDS.load(Ordering::Relaxed)));
}

/// Logs a line from within a signal handler: `PID:signal-handler (SECONDS) message`. Allocates nothing but the path.
pub fn handler_line(message: &str) {
    if log::max_level() < LevelFilter::Warn {
        return;
    }
    let mut text = arrayvec::ArrayString::<512>::new();
    let now_seconds = wall_clock().as_secs();
    // A message that does not fit is cut short, which is what a full buffer does by itself.
    let _ = writeln!(text, "{}:signal-handler ({now_seconds}) {message}", std::process::id());
    write_out(text.as_bytes());
}

/// A path as the log shows it: whole, whatever the working folder is.
pub fn whole_path(path: &Path) -> String {
    let whole = std::path::absolute(path);
    whole.as_deref().unwrap_or(path).display().to_string()
}

/// The system's words for an error, without Rust's addition of its number.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn current_offset() -> i64 {
    let now_seconds = i64::try_from(wall_clock().as_secs()).unwrap_or(0);
    let offset = time_zone::utc_offset_seconds(now_seconds);
    UTC_OFFSET_SECONDS.store(offset, Ordering::Relaxed);
    offset
}

fn priority(level: Level) -> syslog::Priority {
    match level {
        Level::Error | Level::Warn => syslog::Priority::Warning,
        Level::Info => syslog::Priority::Notice,
        Level::Debug => syslog::Priority::Info,
        Level::Trace => syslog::Priority::Debug,
    }
}

fn line(level: Level, message: &str, offset_seconds: i64) -> String {
    let head = Head {
        process: std::process::id(),
        role: char::from(ROLE.load(Ordering::Relaxed)),
        at: wall_clock(),
        offset_seconds,
        level,
    };
    let timestamps = match TIMESTAMPS.load(Ordering::Relaxed) {
        format if format == TimestampFormat::Iso8601 as u8 => TimestampFormat::Iso8601,
        format if format == TimestampFormat::Milliseconds as u8 => TimestampFormat::Milliseconds,
        _ => TimestampFormat::Legacy,
    };
    match FORMAT.load(Ordering::Relaxed) {
        format if format == LineFormat::Logfmt as u8 => head.as_logfmt(message, timestamps),
        format if format == LineFormat::Json as u8 => head.as_json(message, timestamps),
        _ => head.before(message, timestamps),
    }
}

/// What stands before the message.
struct Head {
    process: u32,
    role: char,
    at: Duration,
    offset_seconds: i64,
    level: Level,
}

impl Head {
    /// The line in Redis's form.
    fn before(&self, message: &str, timestamps: TimestampFormat) -> String {
        let level = match self.level {
            Level::Error | Level::Warn => '#',
            Level::Info => '*',
            Level::Debug => '-',
            Level::Trace => '.',
        };
        format!("{}:{} {} {level} {message}\n", self.process, self.role, self.timestamp(timestamps))
    }

    fn as_logfmt(&self, message: &str, timestamps: TimestampFormat) -> String {
        let (process, role, level) = (self.process, self.role_name(), self.level_name());
        let (timestamp, message) = (self.timestamp(timestamps), escaped(message));
        format!("pid={process} role={role} timestamp=\"{timestamp}\" level={level} message=\"{message}\"\n")
    }

    fn as_json(&self, message: &str, timestamps: TimestampFormat) -> String {
        let (process, role, level) = (self.process, self.role_name(), self.level_name());
        let (timestamp, message) = (self.timestamp(timestamps), escaped(message));
        format!(
            "{{\"pid\":{process},\"role\":\"{role}\",\"timestamp\":\"{timestamp}\",\"level\":\"{level}\",\
             \"message\":\"{message}\"}}\n"
        )
    }

    fn role_name(&self) -> &'static str {
        match self.role {
            'M' => "primary",
            'S' => "replica",
            'X' => "sentinel",
            _ => "RDB/AOF",
        }
    }

    fn level_name(&self) -> &'static str {
        match self.level {
            Level::Error | Level::Warn => "warning",
            Level::Info => "notice",
            Level::Debug => "verbose",
            Level::Trace => "debug",
        }
    }

    fn timestamp(&self, format: TimestampFormat) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let local = i64::try_from(self.at.as_secs()).unwrap_or(0) + self.offset_seconds;
        let (year, month, day) = civil_date(local.div_euclid(86_400));
        let second = local.rem_euclid(86_400);
        let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
        let time = format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", self.at.subsec_millis());
        match format {
            TimestampFormat::Legacy => format!("{day:02} {} {year} {time}", MONTHS[month]),
            TimestampFormat::Iso8601 => {
                let sign = if self.offset_seconds < 0 { '-' } else { '+' };
                let offset_minutes = self.offset_seconds.abs() / 60;
                let (hours, minutes) = (offset_minutes / 60, offset_minutes % 60);
                format!("{year}-{:02}-{day:02}T{time}{sign}{hours:02}:{minutes:02}", month + 1)
            }
            TimestampFormat::Milliseconds => self.at.as_millis().to_string(),
        }
    }
}

/// Text within quotes, as JSON has it and logfmt's readers understand it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\0'..'\u{20}' => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Year, month (from 0) and day of a number of days since the epoch, in the proleptic Gregorian calendar.
///
/// Method: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`: years begin in March,
/// which puts the leap day last, and repeat every 400 years (146,097 days).
fn civil_date(days_since_epoch: i64) -> (i64, usize, i64) {
    let shifted = days_since_epoch + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = usize::try_from((month_from_march + 2) % 12).unwrap_or(0);
    let year = era * 400 + year_of_era + i64::from(month < 2);
    (year, month, day)
}

/// What env_logger writes to: one call a line.
struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_out(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Failures are passed over: there is nowhere to report that the log cannot be written.
fn write_out(bytes: &[u8]) {
    match FILE.get() {
        Some(path) if !path.as_os_str().is_empty() => {
            if let Ok(mut file) = open_file(path) {
                let _ = file.write_all(bytes);
            }
        }
        _ => faults::write_stdout(bytes),
    }
}

fn open_file(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_users_is_shown_unless_it_is_to_be_hidden() {
        assert_eq!(shown(b"key", false), "key");
        assert_eq!(shown(b"key", true), "*redacted*");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(civil_date(0), (1970, 0, 1));
        assert_eq!(civil_date(-1), (1969, 11, 31));
        assert_eq!(civil_date(11_016), (2000, 1, 29));
        assert_eq!(civil_date(11_017), (2000, 2, 1));
        assert_eq!(civil_date(19_722), (2023, 11, 31));
        assert_eq!(civil_date(47_540), (2100, 1, 28));
        assert_eq!(civil_date(47_541), (2100, 2, 1));
    }

    const HEAD: Head = Head {
        process: 42,
        role: 'M',
        at: Duration::from_millis(1_700_000_000_007),
        offset_seconds: 3600,
        level: Level::Info,
    };

    #[test]
    fn a_line_has_the_known_form() {
        assert_eq!(HEAD.before("hello", TimestampFormat::Legacy), "42:M 14 Nov 2023 23:13:20.007 * hello\n");
        assert_eq!(HEAD.before("hello", TimestampFormat::Iso8601), "42:M 2023-11-14T23:13:20.007+01:00 * hello\n");
        assert_eq!(HEAD.before("hello", TimestampFormat::Milliseconds), "42:M 1700000000007 * hello\n");
        let west = Head { offset_seconds: -12_600, ..HEAD };
        assert_eq!(west.timestamp(TimestampFormat::Iso8601), "2023-11-14T18:43:20.007-03:30");
    }

    #[test]
    fn lines_for_programs_have_the_forms_of_valkey() {
        assert_eq!(
            HEAD.as_logfmt("a \"b\"", TimestampFormat::Milliseconds),
            "pid=42 role=primary timestamp=\"1700000000007\" level=notice message=\"a \\\"b\\\"\"\n"
        );
        assert_eq!(
            HEAD.as_json("a\\\u{1}\n", TimestampFormat::Legacy),
            "{\"pid\":42,\"role\":\"primary\",\"timestamp\":\"14 Nov 2023 23:13:20.007\",\"level\":\"notice\",\
             \"message\":\"a\\\\\\u0001\\n\"}\n"
        );
    }

    #[test]
    fn level_names_go_both_ways_in_any_case() {
        for name in ["debug", "verbose", "notice", "warning", "nothing"] {
            assert_eq!(LogLevel::from_name(&name.to_uppercase()).unwrap().name(), name);
        }
        assert_eq!(LogLevel::from_name("loud"), None);
    }

    #[test]
    fn error_texts_are_the_systems_alone() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(system_text(&error), "No such file or directory");
    }
}
