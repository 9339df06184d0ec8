//! Until when a client waits: the timeouts of blocking commands and of CLIENT PAUSE, in Redis's forms.

use crate::command::error::CommandError;
use crate::text::long_double::LongDouble;

const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR timeout is out of range");

/// The deadline of a timeout in seconds, which may have a fraction: in ms since the epoch, rounded up; none for a
/// timeout of 0.
///
/// Errors: it is no number, negative, or too large.
pub fn parse_seconds(text: &[u8], now_ms: i64) -> Result<Option<i64>, CommandError> {
    let seconds = LongDouble::parse(text).ok_or(CommandError::fixed("ERR timeout is not a float or out of range"))?;
    deadline(seconds.times_rounded_up(1000).ok_or(OUT_OF_RANGE)?, now_ms)
}

/// The deadline of a timeout in milliseconds, a whole number; none for a timeout of 0.
///
/// Errors: it is no whole number, negative, or too large.
pub fn parse_milliseconds(text: &[u8], now_ms: i64) -> Result<Option<i64>, CommandError> {
    let duration_ms = crate::resp::number::parse_i64(text)
        .ok_or(CommandError::fixed("ERR timeout is not an integer or out of range"))?;
    deadline(duration_ms, now_ms)
}

fn deadline(duration_ms: i64, now_ms: i64) -> Result<Option<i64>, CommandError> {
    match duration_ms {
        0 => Ok(None),
        duration_ms if duration_ms < 0 => Err(CommandError::fixed("ERR timeout is negative")),
        duration_ms => match duration_ms.checked_add(now_ms) {
            Some(deadline_ms) => Ok(Some(deadline_ms)),
            None => Err(OUT_OF_RANGE),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    #[track_caller]
    fn seconds(text: &str) -> Result<Option<i64>, String> {
        let deadline_ms = parse_seconds(text.as_bytes(), NOW_MS);
        deadline_ms
            .map(|deadline_ms| deadline_ms.map(|deadline_ms| deadline_ms - NOW_MS))
            .map_err(|error| error.text().to_string())
    }

    #[test]
    fn seconds_are_rounded_up_to_milliseconds() {
        for (text, duration_ms) in [
            ("1", 1000),
            ("0.001", 1),
            ("0.1", 100),
            ("0.3", 300),
            ("1.1", 1100),
            ("0.0001", 1),
            ("0.0000001", 1),
            ("1.0001", 1001),
            ("0x10", 16_000),
            ("1e3", 1_000_000),
            ("9223372036853", 9_223_372_036_853_000),
        ] {
            assert_eq!(seconds(text), Ok(Some(duration_ms)), "{text}");
        }
        // In 80 bits a thousandth times a thousand is less than one, and what is above -1 is rounded up to 0: as in
        // Redis.
        for text in ["0", "-0", "0.0", "-0.0001", "-0.001"] {
            assert_eq!(seconds(text), Ok(None), "{text}");
        }
    }

    /// As Redis 8.2 and Valkey 9.1 reply; 7.0 let what is too large overflow.
    #[test]
    fn what_is_no_timeout_is_refused() {
        let no_float = Err("ERR timeout is not a float or out of range".to_string());
        for text in ["abc", "", " 1", "1 ", "nan", "1e5000", "1s"] {
            assert_eq!(seconds(text), no_float, "{text}");
        }
        let out_of_range = Err("ERR timeout is out of range".to_string());
        for text in ["9223372036854775", "9223372036854776", "1e300", "inf"] {
            assert_eq!(seconds(text), out_of_range, "{text}");
        }
        let negative = Err("ERR timeout is negative".to_string());
        for text in ["-1", "-0.002", "-1e300", "-inf"] {
            assert_eq!(seconds(text), negative, "{text}");
        }
    }

    #[test]
    fn milliseconds_are_whole() {
        let text = |text: &str| parse_milliseconds(text.as_bytes(), NOW_MS);
        assert_eq!(text("0"), Ok(None));
        assert_eq!(text("25"), Ok(Some(NOW_MS + 25)));
        for (wrong, error) in [
            ("1.5", "ERR timeout is not an integer or out of range"),
            ("-1", "ERR timeout is negative"),
            ("9223372036854775807", "ERR timeout is out of range"),
        ] {
            assert_eq!(text(wrong), Err(CommandError::fixed(error)), "{wrong}");
        }
    }
}
