//! No text, however hostile, may bring the loader down. The bounded twin of the fuzz target `config_parser`.

use super::Loader;
use crate::config::{Config, SetContext, directives};
use crate::text::quoting::quote;

const ROUNDS: usize = 3000;
/// No `include` among them: what it finds depends on the machine.
const PIECES: &[&str] = &[
    " ",
    " ",
    " ",
    "\n",
    "\n",
    "\"",
    "'",
    "\\",
    "\\x",
    "\\x0",
    "#",
    "\0",
    "-1",
    "0",
    "1",
    "99999999999999999999",
    "yes",
    "no",
    "%",
    "1gb",
    "18446744073709551615gb",
    "*",
    "user",
    "a.b",
    "rename-command",
    "save",
    "{",
    "}",
    "{title",
    "é",
];

/// A text of random pieces, names of directives and bytes.
fn text(random: &mut fastrand::Rng, names: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..random.usize(..40) {
        match random.u8(..4) {
            0 => text.extend(names[random.usize(..names.len())].as_bytes()),
            1 => text.push(random.u8(..)),
            _ => text.extend(PIECES[random.usize(..PIECES.len())].as_bytes()),
        }
    }
    text
}

#[test]
fn any_text_loads_or_is_refused() {
    let names: Vec<&str> = directives().flat_map(|directive| [directive.name, " "]).collect();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..ROUNDS {
        let text = text(&mut random, &names);
        let mut loader = Loader::new();
        let outcome = loader.load(&text, 0);
        let rewritten = loader.config.rewritten(&text, &[]);
        if let Err(error) = outcome {
            assert!(!error.to_string().is_empty());
            continue;
        }
        // What was accepted can be written and loaded again.
        let mut again = Loader::new();
        again.config.dir.clone_from(&loader.config.dir);
        again.load(&rewritten, 0).unwrap_or_else(|error| panic!("{}\n{error}", rewritten.escape_ascii()));
    }
}

/// Lines that may well be valid: each accepted text must survive being written and loaded.
#[test]
fn what_loads_is_the_same_after_rewriting() {
    let all: Vec<_> = directives().filter(|directive| !["dir", "hz"].contains(&directive.name)).collect();
    let mut random = fastrand::Rng::with_seed(13);
    let mut accepted_count = 0;
    for _ in 0..ROUNDS {
        let mut text = Vec::new();
        for _ in 0..random.usize(..4) {
            let directive = all[random.usize(..all.len())];
            let piece = PIECES[random.usize(..PIECES.len())];
            let value = if random.bool() { piece } else { directive.default }.as_bytes();
            text.extend(format!("{} {}\n", directive.name, quote(value)).into_bytes());
        }
        let mut loader = Loader::new();
        if loader.load(&text, 0).is_err() {
            continue;
        }
        accepted_count += 1;
        let rewritten = loader.config.rewritten(&text, &[]);
        let mut again = Loader::new();
        again.load(&rewritten, 0).expect("it was accepted before");
        again.config.dir.clone_from(&loader.config.dir);
        assert_eq!(again.config, loader.config, "{}", rewritten.escape_ascii());
    }
    assert!(accepted_count > ROUNDS / 10, "{accepted_count}");
}

#[test]
fn any_value_is_set_or_refused() {
    let mut random = fastrand::Rng::with_seed(11);
    let all: Vec<_> = directives().collect();
    let mut config = Config::default();
    for _ in 0..ROUNDS {
        let directive = all[random.usize(..all.len())];
        let value = text(&mut random, &["", "normal 1 2 3", "1 2"]);
        let before = config.clone();
        if config.set(&[(directive.name.as_bytes(), &value)], SetContext::default()).is_err() {
            assert_eq!(config, before);
        }
    }
}
