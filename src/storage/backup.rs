//! What a backup consists of, and its manifest: a text that tells what the files are and how they sum up.
//!
//! ```text
//! oneloop-backup 1
//! server 0.1.0
//! began-unix-time-ms 1700000000000
//! keys 1000
//! replication-id 8f3c… 1402                      where the data have a place in a history
//! file dump.rdb 12345 sha256 9f86d081884c7d65…
//! end
//! ```

/// The snapshot within a backup's folder, by the name that a server reads it under.
pub const DATA_NAME: &str = "dump.rdb";
/// The manifest, which is written last.
pub const MANIFEST_NAME: &str = "backup.manifest";
const TITLE: &str = "oneloop-backup 1";

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The version of the server that made it.
    pub server: String,
    /// Of when the data are, in ms since the epoch.
    pub began_ms: i64,
    pub keys: u64,
    /// The id of the data's history, and how far it had come.
    pub history: Option<(String, i64)>,
    /// Bytes of the snapshot.
    pub data_bytes: u64,
    pub data_sha256: [u8; 32],
}

impl Manifest {
    /// As it is written.
    pub fn to_text(&self) -> String {
        let Manifest { server, began_ms, keys, data_bytes, .. } = self;
        let history = match &self.history {
            Some((id, offset)) => format!("replication-id {id} {offset}\n"),
            None => String::new(),
        };
        let sum = hex(&self.data_sha256);
        format!(
            "{TITLE}\nserver {server}\nbegan-unix-time-ms {began_ms}\nkeys {keys}\n{history}\
             file {DATA_NAME} {data_bytes} sha256 {sum}\nend\n"
        )
    }

    /// What `to_text` was made of. Lines that it does not know are passed over, so that later versions may add some.
    ///
    /// Errors: what is missing or cannot be read.
    pub fn of_text(text: &str) -> Result<Manifest, String> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(format!("it does not begin with '{TITLE}'"));
        }
        if !text.ends_with("\nend\n") {
            return Err("it has no end".into());
        }
        let mut manifest = Manifest {
            server: String::new(),
            began_ms: 0,
            keys: 0,
            history: None,
            data_bytes: 0,
            data_sha256: [0; 32],
        };
        let mut has_file = false;
        for line in lines {
            let unreadable = || format!("it has an unreadable line: {line}");
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["server", version] => manifest.server = version.to_string(),
                ["began-unix-time-ms", time] => manifest.began_ms = time.parse().map_err(|_| unreadable())?,
                ["keys", keys] => manifest.keys = keys.parse().map_err(|_| unreadable())?,
                ["replication-id", id, offset] => {
                    manifest.history = Some((id.to_string(), offset.parse().map_err(|_| unreadable())?));
                }
                ["file", DATA_NAME, bytes, "sha256", sum] => {
                    manifest.data_bytes = bytes.parse().map_err(|_| unreadable())?;
                    manifest.data_sha256 = of_hex(sum).ok_or_else(unreadable)?;
                    has_file = true;
                }
                _ => {}
            }
        }
        if has_file { Ok(manifest) } else { Err(format!("it does not tell of {DATA_NAME}")) }
    }
}

/// Bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_hex(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, place) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(place..place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            server: "0.1.0".into(),
            began_ms: 1_700_000_000_000,
            keys: 3,
            history: Some(("8f3c".into(), 1402)),
            data_bytes: 99,
            data_sha256: std::array::from_fn(|place| place as u8 * 7),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for history in [None, Some(("8f3c".into(), 1402))] {
            let manifest = Manifest { history, ..manifest() };
            let text = manifest.to_text();
            assert_eq!(Manifest::of_text(&text), Ok(manifest.clone()));
            assert_eq!(Manifest::of_text(&text.replace("keys", "later 1\nkeys")), Ok(manifest));
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_refused() {
        let text = manifest().to_text();
        for length in 0..text.len() {
            assert!(Manifest::of_text(&text[..length]).is_err(), "{length}");
        }
        for (good, bad) in [("file", "fill"), ("sha256 0", "sha256 x"), ("keys 3", "keys x"), ("backup 1", "backup 2")]
        {
            assert!(Manifest::of_text(&text.replace(good, bad)).is_err(), "{bad}");
        }
    }
}
