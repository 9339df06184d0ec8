//! `oneloop replay --what-if`: what came to a recorded server, served with other settings, and the figures of both side
//! by side. A second run with the recorded settings tells what the simulation itself makes different.

use std::ffi::OsString;
use std::io::Write;

use super::simulation::{self, Plan};

/// Columns are so wide.
const WIDTH: usize = 16;

/// Compares; the directives are as on a command line.
///
/// Errors: the text for the user.
pub fn compare(recording: &str, settings: &[OsString], out: &mut dyn Write) -> Result<(), String> {
    let scenario = simulation::gather(recording)?;
    let run = |settings: &[OsString]| simulation::run(&scenario, &Plan { settings, keeps: &|_| true }, &mut |_| true);
    let changed = run(settings)?;
    let control = run(&[])?;
    let columns = [&scenario.figures, &control.figures, &changed.figures].map(|figures| figures.lines());
    let mut text = format!("{:20}{:>WIDTH$}{:>WIDTH$}{:>WIDTH$}\n", "", "recorded", "run again", "what if");
    for (place, (name, recorded)) in columns[0].iter().enumerate() {
        let [again, what_if] = [&columns[1][place].1, &columns[2][place].1];
        text.push_str(&format!("{name:20}{recorded:>WIDTH$}{again:>WIDTH$}{what_if:>WIDTH$}\n"));
    }
    if changed.left_out > 0 {
        text.push_str(&format!(
            "Left out: {} requests about files, other servers or the process, or that set one of these directives.\n",
            changed.left_out
        ));
    }
    // Where nobody reads it, nobody wants it.
    let _ = out.write_all(text.as_bytes());
    Ok(())
}
