//! The programs that read the texts: the manual's formatters, and the shells.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a program prints, errors included. None, and a loud word, where it is not here.
fn output(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let done = Command::new(program).args(arguments).current_dir(folder).env("LC_ALL", "C.UTF-8").output();
    let Ok(done) = done else {
        println!("SKIP: there is no {program}");
        return None;
    };
    Some(String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

/// A folder with a file and a socket's name in it, for what shells offer beside our words.
fn folder_with_files(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("completion-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("it can be made");
    for file in ["a.conf", "with blank.rdb"] {
        fs::write(folder.join(file), "").expect("it can be written");
    }
    folder
}

#[test]
fn the_manual_pages_are_formatted_without_a_warning() {
    for page in ["scripts/package/oneloop.1", "scripts/package/oneloop.conf.5"] {
        if let Some(said) = output("mandoc", &["-T", "lint", "-W", "warning", page], root()) {
            assert_eq!(said, "");
        }
        if let Some(said) = output("groff", &["-man", "-Tutf8", "-ww", "-z", page], root()) {
            assert_eq!(said, "");
        }
        let Some(text) = output("mandoc", &["-T", "utf8", page], root()) else {
            continue;
        };
        // Bold letters are struck twice.
        assert!(text.contains("S\u{8}SE\u{8}EE\u{8}E A\u{8}AL\u{8}LS\u{8}SO\u{8}O"), "{page} is cut short");
    }
}

/// Command lines, of which the last word is to be completed, with words that are offered, and words that are not.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("oneloop che", &["check-config", "check-rdb", "check-aof"], &["ping"]),
    ("oneloop --append", &["--appendonly", "--appendfsync"], &["--maxmemory", "--fix"]),
    ("oneloop a.conf --appendonly ", &["yes", "no"], &["--appendonly", "everysec"]),
    ("oneloop --appendfsync e", &["everysec"], &["always"]),
    ("oneloop check-aof --", &["--fix", "--truncate-to-timestamp", "--help"], &["--appendonly", "--bisect"]),
    ("oneloop replay --pace ", &["fast", "recorded"], &["a.conf"]),
    ("oneloop replay --b", &["--bisect"], &["--bind"]),
    ("oneloop check-config a", &["a.conf"], &["always"]),
    ("oneloop check-rdb wi", &["with blank.rdb"], &["blank.rdb"]),
];

fn assert_offers(shell: &str, line: &str, offered: &[String], wanted: &[&str], unwanted: &[&str]) {
    for word in wanted {
        assert!(offered.iter().any(|other| other == word), "{shell}: {line}: no {word} in {offered:?}");
    }
    for word in unwanted {
        assert!(!offered.iter().any(|other| other == word), "{shell}: {line}: {word} in {offered:?}");
    }
}

#[test]
fn bash_completes_command_lines() {
    let folder = folder_with_files("bash");
    let file = root().join("scripts/package/completions/oneloop.bash");
    for (line, wanted, unwanted) in CASES {
        let script = format!(
            "source '{}'; IFS=' ' read -ra COMP_WORDS <<< '{line}'; [[ '{line}' == *' ' ]] && COMP_WORDS+=(''); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _oneloop; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let Some(said) = output("bash", &["--norc", "-c", &script], &folder) else {
            return;
        };
        let offered: Vec<String> = said.lines().map(str::to_string).collect();
        assert_offers("bash", line, &offered, wanted, unwanted);
    }
}

#[test]
fn fish_completes_command_lines() {
    let folder = folder_with_files("fish");
    let file = root().join("scripts/package/completions/oneloop.fish");
    for (line, wanted, unwanted) in CASES {
        let script = format!("source '{}'; complete -C '{line}'", file.display());
        let Some(said) = output("fish", &["--no-config", "-c", &script], &folder) else {
            return;
        };
        let offered = said.lines().map(|line| line.split('\t').next().unwrap_or_default().to_string());
        let offered: Vec<String> = offered.map(|word| word.replace("\\ ", " ")).collect();
        assert_offers("fish", line, &offered, wanted, unwanted);
    }
}

/// What an interactive zsh is told, so that it shows each candidate in a line of its own between two marks.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT= RPROMPT=; fpath=('$FOLDER' \$fpath); autoload -U compinit; compinit -u -D"
zpty -w inner 'compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then builtin compadd "$@"; return; fi
    typeset -a found; builtin compadd -A found "$@"; builtin compadd "$@"; print -l -- "<"${^found}">"
}'
zpty -w inner 'offer() { zle complete-word; print "DO""NE"; }; zle -N offer; bindkey "^I" offer; LISTMAX=10000'
zpty -w inner 'print "REA""DY"'
zpty -r inner output '*READY*'
zpty -w -n inner "$LINE"$'\t'
zpty -r inner output '*DONE*'
print -r -- "$output"
zpty -d inner
"#;

#[test]
fn zsh_completes_command_lines() {
    let folder = folder_with_files("zsh");
    let completions = root().join("scripts/package/completions");
    for (line, wanted, unwanted) in CASES {
        let script = ZSH.replace("$FOLDER", &completions.to_string_lossy()).replace("$LINE", line);
        let Some(said) = output("zsh", &["-f", "-c", &script], &folder) else {
            return;
        };
        let offered: Vec<String> = said
            .lines()
            .filter_map(|line| line.rsplit_once('<')?.1.split_once('>').map(|(word, _)| word.to_string()))
            .collect();
        assert_offers("zsh", line, &offered, wanted, unwanted);
    }
}
