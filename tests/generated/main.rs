//! What is written from the tables of commands and directives: `redis.conf.example`, the manual pages and the
//! completions of shells. Each is compared with what the tables give now, and written anew with `UPDATE_GENERATED=1`.

mod completions;
mod example;
mod manual;
mod programs;
mod tools;

use std::fs;
use std::path::Path;

use oneloop::config::Directive;

/// Where each text stands, and what it is to be.
fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("redis.conf.example", example::text()),
        ("scripts/package/oneloop.1", manual::program()),
        ("scripts/package/oneloop.conf.5", manual::configuration()),
        ("scripts/package/completions/oneloop.bash", completions::bash()),
        ("scripts/package/completions/_oneloop", completions::zsh()),
        ("scripts/package/completions/oneloop.fish", completions::fish()),
    ]
}

/// Whether a directive is documented: all that CONFIG GET shows, and the one that makes another kind of server.
fn is_documented(directive: &Directive) -> bool {
    !directive.is_hidden || directive.name == "training"
}

/// Folds a paragraph into lines no wider than this.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[test]
fn what_is_generated_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = Vec::new();
    for (path, text) in texts() {
        if fs::read_to_string(root.join(path)).ok().as_ref() == Some(&text) {
            continue;
        }
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        } else {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "written anew by UPDATE_GENERATED=1 cargo test --test generated: {stale:?}");
}

#[test]
fn no_text_holds_a_line_of_a_manual_page_that_begins_with_a_request_by_chance() {
    for (path, text) in texts().into_iter().filter(|(path, _)| path.ends_with(".1") || path.ends_with(".5")) {
        for line in text.lines().filter(|line| line.starts_with(['.', '\''])) {
            let known = [".TH ", ".SH ", ".SS ", ".TP", ".B ", ".BR ", ".PP", ".nf", ".fi"];
            assert!(known.iter().any(|request| line.starts_with(request)), "{path}: {line}");
        }
    }
}
