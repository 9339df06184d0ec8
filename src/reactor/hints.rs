//! What to say to a command line whose options are those of another program.

use std::ffi::OsString;

use crate::config::Config;

/// Options of `redis-cli`, which users try on the server too, and the directives that do the like here.
const OPTIONS_OF_CLIENTS: &[(&str, &str)] =
    &[("-p", "port"), ("-h", "bind"), ("-s", "unixsocket"), ("-a", "requirepass"), ("-d", "daemonize")];

/// A line about the first option with a single dash; none where there is no such option.
pub fn for_arguments(arguments: &[OsString]) -> Option<String> {
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let place = (0..words.len()).find(|place| {
        let is_value = *place > 0 && words[*place - 1].starts_with("--");
        !is_value && has_single_dash(&words[*place])
    })?;
    let word = &words[place];
    let known = OPTIONS_OF_CLIENTS.iter().find(|(option, _)| option == word);
    let directive = match known {
        Some((_, directive)) => directive,
        None if is_directive(&word[1..]) => &word[1..],
        None => return Some("Hint: options begin with two dashes; see --help.".to_string()),
    };
    let value = words.get(place + 1).filter(|next| !next.starts_with('-'));
    let value = value.map_or_else(|| "VALUE".to_string(), |next| next.clone());
    Some(format!("Hint: did you mean --{directive} {value}?"))
}

/// Whether a word is a dash and a name; negative numbers are values.
fn has_single_dash(word: &str) -> bool {
    let name = word.strip_prefix('-').unwrap_or_default();
    name.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

fn is_directive(name: &str) -> bool {
    !Config::default().get(&[name.as_bytes()]).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        for_arguments(&arguments)
    }

    #[test]
    fn options_of_clients_are_translated() {
        for (line, expected) in [
            ("oneloop -p 6380", "Hint: did you mean --port 6380?"),
            ("oneloop a.conf -p", "Hint: did you mean --port VALUE?"),
            ("oneloop -maxmemory 1gb", "Hint: did you mean --maxmemory 1gb?"),
            ("oneloop -x", "Hint: options begin with two dashes; see --help."),
        ] {
            assert_eq!(hint(line).as_deref(), Some(expected), "{line}");
        }
        for line in ["oneloop - --port 1 --nothing x", "oneloop --hz -1 -2", "oneloop --requirepass -secret"] {
            assert_eq!(hint(line), None, "{line}");
        }
    }
}
