//! The libraries as FUNCTION DUMP gives and FUNCTION RESTORE takes them.

use crate::command::error::CommandError;
use crate::engine::state::ServerState;
use crate::scripting::functions::Libraries;
use crate::storage::rdb::{Payload, RdbVersion, Reader, Writer};

/// What stands before each library's code.
const LIBRARY: u8 = 245;
/// What stood there before Redis 7.0 was released.
const LIBRARY_EARLY: u8 = 246;

/// All libraries as one payload.
pub fn dump(libraries: &Libraries) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), None);
    for (_, library) in libraries.iter() {
        writer.bytes(&[LIBRARY]);
        writer.string(&library.code);
    }
    writer.footer(RdbVersion::default().number());
    writer.into_bytes()
}

/// The code of the libraries in a payload.
///
/// Errors: its version or checksum is wrong, or it holds something else.
pub fn read(state: &ServerState, bytes: &[u8]) -> Result<Vec<Vec<u8>>, CommandError> {
    const WRONG: CommandError = CommandError::fixed("ERR DUMP payload version or checksum are wrong");
    const DAMAGED: CommandError = CommandError::fixed("ERR failed loading functions payload");
    let versions = state.config.rdb_version_check;
    let payload = Payload::verify(bytes, versions, !state.serialization.skips_checksum).ok_or(WRONG)?;
    let mut reader = Reader::new(payload.body(), 0, u64::MAX);
    let mut codes = Vec::new();
    while reader.remaining() > 0 {
        match reader.byte() {
            Ok(LIBRARY) => {}
            Ok(LIBRARY_EARLY) => {
                return Err(CommandError::fixed("ERR Pre-release function format not supported"));
            }
            _ => return Err(CommandError::fixed("ERR given type is not a function")),
        }
        codes.push(reader.string().map_err(|_| DAMAGED)?.into_vec());
    }
    Ok(codes)
}
