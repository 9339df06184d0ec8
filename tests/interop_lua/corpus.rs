//! The data files: one case a line.
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | a comment (a `#` and a blank) |
//! | `= a, b` | a case: a list of expressions, each shown with its type and value |
//! | anything else | a case: the whole script; `⏎` stands for a line feed |
//! | `with: 1 k a "b\x00"` | the next case's number of keys, keys and arguments (0 without this line) |
//! | `as: eval_ro`, `as: library` | the next case's command (EVAL without this line); a library is loaded, and then `with:` is what FCALL gets |
//! | `as: twice` | the next case is run twice, and both replies count: what one script leaves to the next |
//! | `7.2: "+OK\r\n"` | the next case's reply in 7.2, where genuine servers at hand (7.0, 8.0) differ from it or crash |
//! | `7.2 RESP3: "_\r\n"` | the same for RESP3, where that differs from RESP2 |

use std::path::Path;

/// Shows its arguments with their types; numbers with all digits.
const SHOW: &str = "local function show(...) local t={} for i=1,select('#',...) do local v=select(i,...) t[i]=type(v)=='number' and string.format('%.17g',v) or type(v)..':'..tostring(v) end return table.concat(t,' ') end return show(";

/// One script and how it is run.
pub struct Case {
    /// The file.
    pub origin: String,
    line: usize,
    text: String,
    script: Vec<u8>,
    words: Vec<Vec<u8>>,
    command: String,
    expected: Option<Vec<u8>>,
    expected_resp3: Option<Vec<u8>>,
}

impl Case {
    /// A script that is run by EVAL without keys.
    pub fn of_script(origin: &str, script: String) -> Case {
        Case {
            origin: origin.into(),
            line: 0,
            // The first line of a random script is the same in all.
            text: script.lines().skip(1).collect::<Vec<_>>().join("⏎"),
            script: script.into_bytes(),
            words: vec![b"0".to_vec()],
            command: "eval".into(),
            expected: None,
            expected_resp3: None,
        }
    }

    /// Where it stands and what it is.
    pub fn label(&self) -> String {
        if self.line == 0 {
            return self.text.clone();
        }
        format!("{}:{}: {}", self.origin, self.line, self.text)
    }

    /// What 7.2 replies, where the data file says it.
    pub fn expected(&self, resp3: bool) -> Option<&[u8]> {
        let other = self.expected_resp3.as_ref().filter(|_| resp3);
        other.or(self.expected.as_ref()).map(Vec::as_slice)
    }

    /// Commands that bring about the state that every case starts from.
    pub fn preparation(&self) -> Vec<Vec<Vec<u8>>> {
        // The random numbers go on from script to script.
        let seed = ["EVAL", "math.randomseed(0)", "0"].map(|word| word.as_bytes().to_vec());
        let mut commands = vec![words_of("FLUSHALL"), words_of("SCRIPT FLUSH"), seed.to_vec()];
        if self.command == "library" {
            commands.push(words_of("FUNCTION FLUSH"));
        }
        commands
    }

    /// The commands whose replies are compared.
    pub fn commands(&self) -> Vec<Vec<Vec<u8>>> {
        if self.command == "library" {
            let mut load = words_of("FUNCTION LOAD");
            load.push(self.script.clone());
            let mut commands = vec![load];
            if self.words != [b"0"] {
                commands.push([words_of("FCALL"), self.words.clone()].concat());
            }
            return commands;
        }
        let twice = self.command == "twice";
        let command = if twice { "eval" } else { &self.command };
        let start = vec![command.to_uppercase().into_bytes(), self.script.clone()];
        let run = [start, self.words.clone()].concat();
        vec![run; if twice { 2 } else { 1 }]
    }
}

fn words_of(text: &str) -> Vec<Vec<u8>> {
    text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// All cases of all files, in order.
pub fn read() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lua");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of the one-liners")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().flat_map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Vec<Case> {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    let text = std::fs::read_to_string(path).expect("a text file");
    let mut cases = Vec::new();
    let mut next = Case::of_script(&name, String::new());
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("with: ") {
            next.words = quoted_words(rest);
        } else if let Some(rest) = line.strip_prefix("as: ") {
            next.command = rest.into();
        } else if let Some(rest) = line.strip_prefix("7.2: ") {
            next.expected = Some(quoted_words(rest).remove(0));
        } else if let Some(rest) = line.strip_prefix("7.2 RESP3: ") {
            next.expected_resp3 = Some(quoted_words(rest).remove(0));
        } else {
            next.line = index + 1;
            next.text = line.into();
            next.script = match line.strip_prefix("= ") {
                Some(list) => format!("{SHOW}{list})"),
                None => line.to_string(),
            }
            .replace('⏎', "\n")
            .into_bytes();
            cases.push(next);
            next = Case::of_script(&name, String::new());
        }
    }
    cases
}

/// Words parted by blanks; in double quotes with `\n`, `\r`, `\"`, `\\` and `\xHH`.
fn quoted_words(text: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b' ' => rest = tail,
            b'"' => {
                let (word, after) = quoted(tail);
                words.push(word);
                rest = after;
            }
            _ => {
                let len = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
                words.push(rest[..len].to_vec());
                rest = &rest[len..];
            }
        }
    }
    words
}

/// What stands before the closing quote, and what comes after it.
fn quoted(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut word = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return (word, after),
            [b'\\', b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("hexadecimal digits");
                word.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
                rest = after;
            }
            [b'\\', letter, after @ ..] => {
                word.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => panic!("a quote is not closed"),
        }
    }
}

/// Bytes as the data files write them.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::from('"');
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'"' | b'\\' => text.extend(['\\', byte as char]),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}
