//! Recordings of the servers of a test, which are kept if it fails: `oneloop replay` runs again what they did.

use std::fs;
use std::path::PathBuf;

use super::server::Server;

/// The recordings. They go with this, unless the test fails.
pub struct Recordings {
    name: String,
    paths: Vec<PathBuf>,
}

impl Recordings {
    /// Those of a test whose moments follow from this seed.
    pub fn new(name: &str, seed: u64) -> Recordings {
        Recordings { name: format!("{name}-seed-{seed}-{}", std::process::id()), paths: Vec::new() }
    }

    fn with_recording(&mut self, options: &[&str]) -> Vec<String> {
        let file = format!("{}-{}.recording", self.name, self.paths.len() + 1);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
        let _ = fs::remove_file(&path);
        let own = ["--record".to_string(), path.to_string_lossy().into_owned()];
        self.paths.push(path);
        own.into_iter().chain(options.iter().map(|option| option.to_string())).collect()
    }

    /// Starts a server.
    pub fn start(&mut self, options: &[&str]) -> Server {
        let options = self.with_recording(options);
        Server::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts another one in the same folder, once that one has ended.
    pub fn restart(&mut self, server: Server, options: &[&str]) -> Server {
        let options = self.with_recording(options);
        server.restart(&options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Their files.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

impl Drop for Recordings {
    fn drop(&mut self) {
        for path in &self.paths {
            if std::thread::panicking() {
                eprintln!("What the server did until shortly before its end: oneloop replay {}", path.display());
            } else {
                let _ = fs::remove_file(path);
            }
        }
    }
}
