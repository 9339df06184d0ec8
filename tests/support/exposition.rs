//! A strict reader of the text that Prometheus takes (format 0.0.4): whatever it would refuse, or warn of, is a panic.

use std::collections::{BTreeMap, BTreeSet};

/// A family's samples, and what it says of itself.
#[derive(Debug)]
pub struct Family {
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All families by name.
#[derive(Debug, Default)]
pub struct Exposition {
    pub families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Reads a text and checks all of it.
    #[track_caller]
    pub fn parse(text: &str) -> Exposition {
        assert!(text.ends_with('\n'), "the last line has an end");
        let mut exposition = Exposition::default();
        let mut seen = BTreeSet::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let help = line.strip_prefix("# HELP ").expect(line);
            let (name, help) = help.split_once(' ').expect(line);
            check_name(name, true);
            assert!(!help.trim().is_empty(), "{line}");
            let line = lines.next().expect("a type behind each help");
            let declared = line.strip_prefix("# TYPE ").expect(line);
            let (typed, kind) = declared.split_once(' ').expect(line);
            assert_eq!(typed, name, "{line}");
            check_kind(name, kind);
            let mut samples = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let sample = parse_sample(line);
                let end = sample.name.strip_prefix(name).expect(line);
                let ends: &[&str] = match kind {
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(ends.contains(&end), "{line}");
                let series = (sample.name.clone(), sample.labels.clone());
                assert!(seen.insert(series), "twice: {line}");
                assert!(kind == "gauge" || sample.value >= 0.0, "it only grows: {line}");
                samples.push(sample);
            }
            if kind == "histogram" {
                check_histograms(name, &samples);
            }
            let family = Family { kind: kind.to_string(), samples };
            let before = exposition.families.insert(name.to_string(), family);
            assert!(before.is_none(), "two families {name}");
        }
        exposition
    }

    /// The value of the sample with these labels.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.find(name, labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?}")).value
    }

    /// The sample with these labels, if there is one.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Sample> {
        let samples = self.families.values().flat_map(|family| &family.samples);
        let wanted = |sample: &&Sample| {
            sample.name == name
                && sample.labels.len() == labels.len()
                && labels.iter().all(|(label, text)| sample.labels.get(*label).is_some_and(|is| is == text))
        };
        samples.into_iter().find(wanted)
    }
}

#[track_caller]
fn check_name(name: &str, colons: bool) {
    let first = name.chars().next().expect("a name");
    assert!(!first.is_ascii_digit(), "{name}");
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || colons && letter == ':';
    assert!(name.chars().all(fits), "{name}");
}

#[track_caller]
fn check_kind(name: &str, kind: &str) {
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
    assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    for end in ["_bucket", "_sum", "_count"] {
        assert!(!name.ends_with(end), "{name}");
    }
}

#[track_caller]
fn parse_sample(line: &str) -> Sample {
    let name_end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(name_end);
    check_name(name, true);
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, behind) = inside.split_once("=\"").expect(line);
            check_name(label, false);
            let (text, behind) = parse_text(behind).expect(line);
            let before = labels.insert(label.to_string(), text);
            assert!(before.is_none(), "{label} twice: {line}");
            match behind.strip_prefix(',') {
                Some(behind) => inside = behind,
                None => {
                    rest = behind.strip_prefix('}').expect(line);
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').expect(line);
    assert!(!value.contains(' ') && !value.starts_with('+'), "{line}");
    Sample { name: name.to_string(), labels, value: value.parse().expect(line) }
}

/// A label's text up to its closing quote, and what follows that.
fn parse_text(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '"' => return Some((plain, &text[place + 1..])),
            '\\' => plain.push(match letters.next()?.1 {
                'n' => '\n',
                letter @ ('\\' | '"') => letter,
                _ => return None,
            }),
            _ => plain.push(letter),
        }
    }
    None
}

/// Bounds rise, counts do not fall, the last class has no bound and holds all.
#[track_caller]
fn check_histograms(name: &str, samples: &[Sample]) {
    let mut histograms: BTreeMap<_, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        assert_eq!(bound.is_some(), sample.name.ends_with("_bucket"), "{sample:?}");
        histograms.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in histograms {
        let [buckets @ .., sum, count] = samples.as_slice() else { panic!("{name} {labels:?} is not whole") };
        assert_eq!(sum.name, format!("{name}_sum"));
        assert_eq!(count.name, format!("{name}_count"));
        let bound = |sample: &Sample| match sample.labels["le"].as_str() {
            "+Inf" => f64::INFINITY,
            number => number.parse().expect("a number"),
        };
        for pair in buckets.windows(2) {
            assert!(bound(pair[0]) < bound(pair[1]), "{pair:?}");
            assert!(pair[0].value <= pair[1].value, "{pair:?}");
        }
        let last = buckets.last().expect("a class");
        assert_eq!((bound(last), last.value), (f64::INFINITY, count.value), "{name} {labels:?}");
        let lowest = buckets.windows(2).map(|pair| bound(pair[0]) * (pair[1].value - pair[0].value));
        assert!(lowest.sum::<f64>() <= sum.value * 1.02, "{name} {labels:?}");
    }
}
