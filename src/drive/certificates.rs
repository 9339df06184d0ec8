//! Certificates, keys and authorities that are replaced in their files while the server runs. Never reads a file that
//! has not changed.

use crate::drive::cluster;
use crate::engine::state::ServerState;
use crate::net::tls::{self, Connector};

/// Reads the files of TLS again if they have changed; new connections use what they hold. If that is invalid, the old
/// stays in use, and the log says so once for each change.
pub fn reload_if_changed(state: &mut ServerState) {
    let Some(listeners) = &mut state.listeners else { return };
    if !listeners.note_tls_change(&state.config) {
        return;
    }
    match reload(state) {
        Ok(()) => log::info!("The files of TLS have changed: new connections use the new ones."),
        Err(reason) => log::warn!("The files of TLS have changed, and the old ones stay in use: {reason}"),
    }
}

/// All of them or none.
fn reload(state: &mut ServerState) -> Result<(), String> {
    let config = &state.config;
    tls::check_files(config)?;
    let connector = match state.cluster.is_some() && config.tls_cluster {
        true => Some(Connector::new(config)?),
        false => None,
    };
    if let Some(listeners) = &mut state.listeners {
        listeners.configure_tls(config)?;
    }
    cluster::configure(state);
    if let Some(cluster) = &mut state.cluster {
        cluster.bus.connector = connector;
    }
    Ok(())
}
