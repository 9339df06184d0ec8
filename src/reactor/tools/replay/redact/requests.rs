//! The requests of clients, rewritten in place: what each word is decides what becomes of it.
//!
//! | what | becomes |
//! |---|---|
//! | names of commands and their options, numbers, sizes | stays, wherever it stands |
//! | keys, values, patterns, bounds, channels, names | its runs of letters are permuted (`words`) |
//! | bytes that are no text | permuted as a whole |
//! | passwords: AUTH, HELLO, rules of ACL, directives | permuted apart from all else, numbers too |
//! | scripts and libraries | as text, but what `%` and `\` begin stays |
//! | hashes of scripts and passwords | that of what they have become |
//! | RESTORE, FUNCTION RESTORE, debugging scripts | the recording is refused |

use std::collections::BTreeMap;
use std::ops::Range;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::command::registry::Registry;
use crate::commands;

use super::super::wire::{self, Words as Form};
use super::vocabulary;
use super::words::Words;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Stays,
    Text,
    Secret,
    Script,
    ScriptHash,
    /// A rule of a user.
    Rule,
}

const SECRET_DIRECTIVES: [&str; 7] = [
    "requirepass",
    "masterauth",
    "primaryauth",
    "hash-seed",
    "http-token",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
];
/// Directives whose values are names that users choose.
const NAMING_DIRECTIVES: [&str; 34] = [
    "dir",
    "dbfilename",
    "logfile",
    "pidfile",
    "unixsocket",
    "unixsocketgroup",
    "availability-zone",
    "aclfile",
    "appendfilename",
    "appenddirname",
    "include",
    "loadmodule",
    "syslog-ident",
    "proc-title-template",
    "masteruser",
    "primaryuser",
    "bind",
    "bind-source-addr",
    "http-bind",
    "replica-announce-ip",
    "slave-announce-ip",
    "cluster-announce-ip",
    "cluster-announce-hostname",
    "cluster-config-file",
    "tls-cert-file",
    "tls-key-file",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-dh-params-file",
    "tls-ca-cert-file",
    "tls-ca-cert-dir",
    "rename-command",
    "server-cpulist",
    "locale-collate",
];

const RESTORED: &str = "what RESTORE is given cannot be redacted";

/// Rewrites requests and settings.
pub struct Redactor {
    pub words: Words,
    commands: Registry,
    /// Hashes of scripts and passwords, and what they become; in lower case.
    hashes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Redactor {
    /// One with this key.
    pub fn new(key: [u8; 32]) -> Redactor {
        let commands = Registry::new(commands::FAMILIES);
        Redactor { words: Words::new(key, vocabulary::reserved(&commands)), commands, hashes: BTreeMap::new() }
    }

    /// Notes the scripts and passwords in what a client has sent, whose hashes may stand elsewhere.
    ///
    /// Errors: why it cannot be redacted.
    pub fn learn(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut at = 0;
        while let Ok(Some(found)) = wire::next_request(&bytes[at..]) {
            for (place, role) in self.roles(&bytes[at..], &found.words)? {
                self.learn_word(&bytes[at..][place], role);
            }
            at += found.end;
            if at >= bytes.len() {
                break;
            }
        }
        Ok(())
    }

    fn learn_word(&mut self, word: &[u8], role: Role) {
        let mut replaced = word.to_vec();
        match role {
            Role::Script => {
                self.words.replace_script(&mut replaced);
                self.hashes.insert(hex(&Sha1::digest(word)), hex(&Sha1::digest(&replaced)));
            }
            Role::Secret => {
                self.words.replace_secret(&mut replaced);
                self.hashes.insert(hex(&Sha256::digest(word)), hex(&Sha256::digest(&replaced)));
            }
            Role::Rule if matches!(word.first(), Some(b'>' | b'<')) => self.learn_word(&word[1..], Role::Secret),
            _ => {}
        }
    }

    /// Rewrites all that a client has sent.
    ///
    /// Errors: why it cannot be redacted.
    pub fn rewrite(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        let mut at = 0;
        while at < bytes.len() {
            let Ok(Some(found)) = wire::next_request(&bytes[at..]) else {
                // What never became a request.
                self.words.replace(&mut bytes[at..]);
                return Ok(());
            };
            for (place, role) in self.roles(&bytes[at..], &found.words)? {
                self.rewrite_word(&mut bytes[at..][place], role);
            }
            at += found.end;
        }
        Ok(())
    }

    fn rewrite_word(&mut self, word: &mut [u8], role: Role) {
        match role {
            Role::Stays => {}
            Role::Text => self.words.replace(word),
            Role::Secret => self.words.replace_secret(word),
            Role::Script => self.words.replace_script(word),
            Role::ScriptHash => self.rewrite_hash(word),
            Role::Rule => match word.first() {
                Some(b'>' | b'<') => self.words.replace_secret(&mut word[1..]),
                Some(b'#' | b'!') => self.rewrite_hash(&mut word[1..]),
                _ => self.words.replace(word),
            },
        }
    }

    /// A hash of what stands nowhere in the recording is replaced by any other.
    fn rewrite_hash(&mut self, word: &mut [u8]) {
        let replaced = match self.hashes.get(&word.to_ascii_lowercase()) {
            Some(replaced) => replaced.clone(),
            None => hex(&self.words.replace_seed(Sha256::digest(&*word).into())).repeat(2),
        };
        let length = word.len().min(replaced.len());
        word[..length].copy_from_slice(&replaced[..length]);
    }

    /// Rewrites the arguments of a process, its name not counted.
    pub fn rewrite_arguments(&mut self, arguments: &mut [Vec<u8>]) {
        let mut directive = Vec::new();
        for argument in arguments {
            match argument.strip_prefix(b"--") {
                Some(name) if !name.is_empty() => directive = name.to_ascii_lowercase(),
                _ => self.rewrite_word(argument, role_of_setting(&directive)),
            }
        }
    }

    /// Rewrites the lines of a configuration file, or of a file of users.
    ///
    /// Errors: why they cannot be redacted.
    pub fn rewrite_settings(&mut self, text: &mut [u8]) -> Result<(), String> {
        let mut at = 0;
        while at < text.len() {
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
            let line = &mut text[at..end];
            if line.trim_ascii_start().first() == Some(&b'#') {
                self.words.replace(line);
            } else {
                let places = split(line)?;
                let directive = places.first().map(|place| line[place.clone()].to_ascii_lowercase());
                let role = role_of_setting(&directive.unwrap_or_default());
                for place in places.into_iter().skip(1) {
                    self.learn_word(&line[place.clone()], role);
                    self.rewrite_word(&mut line[place], role);
                }
            }
            at = end + 1;
        }
        Ok(())
    }

    /// What each word of a request is.
    fn roles(&self, bytes: &[u8], form: &Form) -> Result<Vec<(Range<usize>, Role)>, String> {
        let places = match form {
            Form::Multibulk(places) => places.clone(),
            Form::Inline(line) => {
                let places = split(&bytes[line.clone()])?;
                places.into_iter().map(|place| place.start + line.start..place.end + line.start).collect()
            }
        };
        let words: Vec<&[u8]> = places.iter().map(|place| &bytes[place.clone()]).collect();
        let roles = self.roles_of(&words)?;
        Ok(places.into_iter().zip(roles).collect())
    }

    fn roles_of(&self, words: &[&[u8]]) -> Result<Vec<Role>, String> {
        let mut roles = vec![Role::Text; words.len()];
        let Some(name) = words.first() else { return Ok(roles) };
        let Some(command) = self.commands.resolve(name, words.get(1).copied()) else { return Ok(roles) };
        let depth = if command.parent.is_some() { 2 } else { 1 };
        roles.iter_mut().take(depth).for_each(|role| *role = Role::Stays);
        let mut set = |index: usize, role: Role| {
            if let Some(place) = roles.get_mut(index) {
                *place = role;
            }
        };
        match command.full_name.as_str() {
            "restore" | "restore-asking" | "function|restore" => return Err(RESTORED.to_string()),
            "script|debug" => return Err("a session of the debugger cannot be redacted".to_string()),
            "auth" => set(words.len() - 1, if words.len() > 1 { Role::Secret } else { Role::Stays }),
            "hello" => {
                let login = words.iter().position(|word| word.eq_ignore_ascii_case(b"auth"));
                login.into_iter().for_each(|place| set(place + 2, Role::Secret));
            }
            "acl|setuser" | "acl|dryrun" => (3..words.len()).for_each(|index| set(index, Role::Rule)),
            "config|set" => {
                for index in (2..words.len()).step_by(2) {
                    set(index, Role::Stays);
                    set(index + 1, role_of_setting(&words[index].to_ascii_lowercase()));
                }
            }
            "config|get" => (2..words.len()).for_each(|index| set(index, Role::Stays)),
            "eval" | "eval_ro" => set(1, Role::Script),
            "script|load" => set(2, Role::Script),
            "function|load" => set(words.len() - 1, Role::Script),
            "evalsha" | "evalsha_ro" => set(1, Role::ScriptHash),
            "script|exists" => (2..words.len()).for_each(|index| set(index, Role::ScriptHash)),
            _ => {}
        }
        Ok(roles)
    }
}

/// What the value of a directive is.
fn role_of_setting(directive: &[u8]) -> Role {
    let is_among = |names: &[&str]| names.iter().any(|name| name.as_bytes() == directive);
    match directive {
        b"user" => Role::Rule,
        // A file's name stands alone.
        b"" => Role::Text,
        _ if is_among(&SECRET_DIRECTIVES) => Role::Secret,
        _ if is_among(&NAMING_DIRECTIVES) => Role::Text,
        _ => Role::Stays,
    }
}

/// Where the words of a line stand, without quotes around them.
///
/// Errors: a line with backslashes or unbalanced quotes.
fn split(line: &[u8]) -> Result<Vec<Range<usize>>, String> {
    if line.contains(&b'\\') {
        return Err(
            "lines with backslashes cannot be redacted: requests may come in the protocol's own form".to_string()
        );
    }
    let (mut places, mut at) = (Vec::new(), 0);
    while at < line.len() {
        if line[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let quote = matches!(line[at], b'"' | b'\'').then_some(line[at]);
        let start = at + usize::from(quote.is_some());
        let is_end = |byte: &u8| quote.map_or(byte.is_ascii_whitespace(), |quote| *byte == quote);
        let length = line[start..].iter().position(is_end);
        let end = length.map_or(line.len(), |length| start + length);
        places.push(start..end);
        at = end + 1;
    }
    Ok(places)
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Result<String, String> {
        let mut redactor = Redactor::new([3; 32]);
        let mut bytes = text.as_bytes().to_vec();
        redactor.learn(&bytes)?;
        redactor.rewrite(&mut bytes)?;
        Ok(String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn words_become_others_and_options_stay() {
        let text = rewritten("SET lock alice NX EX 30\r\nGET lock\r\nZADD ranks 1.5 alice\r\n").unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!((lines[0][0], &lines[0][3..]), ("SET", &["NX", "EX", "30"][..]), "{text}");
        assert_eq!((lines[0][1], lines[2][2]), (lines[1][1], "1.5"), "{text}");
        assert_eq!(lines[0][2], lines[2][3], "{text}");
        assert!(!text.contains("lock") && !text.contains("alice"), "{text}");
    }

    #[test]
    fn secrets_are_replaced_alike_wherever_they_stand() {
        let text = rewritten(
            "ACL SETUSER bob on >12345 ~app:* +get\r\nAUTH bob 12345\r\nHELLO 3 AUTH bob 12345\r\nCONFIG SET requirepass 12345\r\n",
        );
        let text = text.unwrap();
        assert!(!text.contains("12345") && !text.contains("bob") && !text.contains("app:"), "{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let secret = &words[4][1..];
        assert_eq!(text.matches(secret).count(), 4, "{text}");
    }

    #[test]
    fn scripts_and_their_hashes_belong_together() {
        let body = "return redis.call('get', 'app:' .. ARGV[1])";
        let sha = String::from_utf8(hex(&Sha1::digest(body))).unwrap();
        let request = format!(
            "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n${}\r\n{body}\r\n*3\r\n$7\r\nEVALSHA\r\n$40\r\n{sha}\r\n$1\r\n0\r\n",
            body.len()
        );
        let text = rewritten(&request).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[6].starts_with("return redis.call('get', '") && lines[6].ends_with(" .. ARGV[1])"), "{text}");
        assert_eq!(lines[11].as_bytes(), hex(&Sha1::digest(lines[6])), "{text}");
    }

    #[test]
    fn what_cannot_be_rewritten_is_refused() {
        assert_eq!(rewritten("RESTORE k 0 payload\r\n"), Err(RESTORED.to_string()));
        assert!(rewritten("SET k \"\\x00\"\r\n").is_err());
    }
}
