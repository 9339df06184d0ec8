//! The text format that Prometheus reads, version 0.0.4: of each family of metrics its help and type, then its samples.

use std::fmt::{Display, Write as _};

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until it starts again from zero.
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A name and what it stands for.
pub type Label<'a> = (&'a str, &'a str);

/// The text as far as it has been written.
#[derive(Default)]
pub struct Text {
    text: String,
}

impl Text {
    /// Begins a family of metrics.
    pub fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = kind.name();
        // Writing to a String cannot fail, here and below.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample of the family that was begun last.
    pub fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, meaning)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            meaning.chars().for_each(|letter| self.push_escaped(letter));
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn push_escaped(&mut self, letter: char) {
        match letter {
            '\\' => self.text.push_str("\\\\"),
            '"' => self.text.push_str("\\\""),
            '\n' => self.text.push_str("\\n"),
            _ => self.text.push(letter),
        }
    }

    /// The samples of one histogram: of each class its upper bound in ns and how many there are in it, in rising order,
    /// and the sum in ns. All that is beyond the last bound is in a class without one.
    pub fn histogram(
        &mut self,
        name: &str,
        labels: &[Label<'_>],
        classes: impl Iterator<Item = (Option<u64>, u64)>,
        sum_ns: u64,
    ) {
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (bound_ns, more) in classes {
            count += more;
            let Some(bound_ns) = bound_ns else {
                continue;
            };
            self.bucket(&bucket, labels, &seconds(bound_ns), count);
        }
        self.bucket(&bucket, labels, "+Inf", count);
        self.sample(&format!("{name}_sum"), labels, seconds(sum_ns));
        self.sample(&format!("{name}_count"), labels, count);
    }

    fn bucket(&mut self, name: &str, labels: &[Label<'_>], bound: &str, count: u64) {
        let labels = [labels, &[("le", bound)]].concat();
        self.sample(name, &labels, count);
    }

    /// Bytes written so far.
    #[cfg(test)]
    pub fn byte_len(&self) -> usize {
        self.text.len()
    }

    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// Nanoseconds as seconds, without loss and without idle zeros at the end.
pub fn seconds(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (1500, "0.0000015"),
            (10_000_000_000, "10"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(seconds(nanos), text);
        }
    }

    #[test]
    fn a_family_with_labels_and_a_histogram() {
        let mut text = Text::default();
        text.head("calls_total", Kind::Counter, "Calls.");
        text.sample("calls_total", &[("cmd", "a\"b\\c\nd"), ("x", "")], 7);
        text.head("wait_seconds", Kind::Histogram, "Waits.");
        let classes = [(Some(1000), 2), (Some(2000), 0), (None, 1)];
        text.histogram("wait_seconds", &[], classes.into_iter(), 4500);
        let text = String::from_utf8(text.into_bytes()).expect("it is text");
        assert_eq!(
            text,
            "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
             calls_total{cmd=\"a\\\"b\\\\c\\nd\",x=\"\"} 7\n\
             # HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n\
             wait_seconds_bucket{le=\"0.000001\"} 2\nwait_seconds_bucket{le=\"0.000002\"} 2\n\
             wait_seconds_bucket{le=\"+Inf\"} 3\nwait_seconds_sum 0.0000045\nwait_seconds_count 3\n"
        );
    }
}
