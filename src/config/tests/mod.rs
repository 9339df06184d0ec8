//! Tests of the settings against facts and answers of genuine servers. Never a network or a clock.

mod hostile;
mod loading;
mod rewriting;
mod runtime;
mod table;

use super::file::Loader;
use super::{Config, ConfigError, Statements};

/// Loads a text as a whole configuration.
fn load(text: &str) -> Result<(Config, Statements), ConfigError> {
    Config::parse_text(text.as_bytes())
}

/// The value of one directive.
fn value(config: &Config, name: &str) -> String {
    let found = config.get(&[name.as_bytes()]);
    assert_eq!(found.len(), 1, "{name}");
    String::from_utf8_lossy(&found[0].1).into_owned()
}

/// An empty folder of one test, removed at its end.
struct Folder(std::path::PathBuf);

impl std::ops::Deref for Folder {
    type Target = std::path::Path;

    fn deref(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn folder(name: &str) -> Folder {
    let path = std::env::temp_dir().join(format!("oneloop-config-{}-{name}", std::process::id()));
    // The process number may have been used before.
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a temporary folder can be made");
    Folder(path.canonicalize().expect("it was just made"))
}
