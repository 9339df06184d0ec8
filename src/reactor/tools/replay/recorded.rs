//! Runs a recording again.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use crate::base::tape::{self, End, Player};
use crate::reactor::launch;
use crate::storage::recording::{Header, RecordingReader};

use super::{DIFFERENT, SAME, UNTRIED};

/// Runs the recording in this process, which ends where the recording does or is left. Gives the exit status if the
/// server has come to its own end.
pub fn run(path: &Path, out: &mut dyn Write) -> u8 {
    match begin(path) {
        Ok(arguments) => match launch::replay(&arguments) {
            Ok(()) => {
                let turns = tape::replayed_turns();
                // Where nobody reads it, the exit status still tells.
                let _ = writeln!(out, "{}", End::Complete { turns });
                SAME
            }
            Err(reason) => {
                let _ = writeln!(out, "The server ended: {reason}");
                SAME
            }
        },
        Err(reason) => {
            eprintln!("{reason}");
            UNTRIED
        }
    }
}

/// Puts the recording on; gives the arguments of the process that was recorded.
fn begin(path: &Path) -> Result<Vec<OsString>, String> {
    let mut reader = RecordingReader::open(path)?;
    let own = Header::of_process(Vec::new()).map_err(|error| format!("Cannot read the executable: {error}"))?;
    if (&own.version, own.build) != (&reader.header.version, reader.header.build) {
        return Err(format!(
            "{} was made by another build (version {}): only the same one can replay it.",
            path.display(),
            reader.header.version
        ));
    }
    let arguments = reader.header.arguments.iter().map(OsString::from).collect();
    tape::replay(Player::new(Box::new(move || reader.next_piece()), Box::new(end_process)));
    Ok(arguments)
}

/// The recording is over, or was left.
fn end_process(end: &End) -> Infallible {
    println!("{end}");
    std::process::exit(match end {
        End::Complete { .. } => SAME.into(),
        End::Diverged { .. } | End::OtherOutput { .. } => DIFFERENT.into(),
    })
}
