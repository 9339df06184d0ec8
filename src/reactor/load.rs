//! Loading the data set at the start, with the loop running: a slice of every turn.

use crate::base::tape;
use crate::drive::aof::start;
use crate::drive::cluster;
use crate::drive::replication::{replica, replica_payload};
use crate::drive::save;
use crate::drive::save::loading;

use log::{info, warn};

use crate::config::system_reason;
use crate::engine::loading::LoadingStep;

use super::event_loop::EventLoop;

/// How long one turn loads data, in ns: few clients have anything to ask meanwhile.
const LOAD_SHARE_NS: u64 = 1_000_000;

/// The last line of a server that cannot load its snapshot.
const LOAD_FAILED: &str = "Fatal error loading the DB, check server logs. Exiting.";

impl EventLoop {
    /// Loads the data set, if there is one, with the loop running: clients are told to wait.
    ///
    /// Errors: the text to log before giving up.
    pub fn load(&mut self) -> Result<(), String> {
        match self.state.config.appendonly {
            true => self.load_append_only(),
            false => self.load_snapshot().map(|_| ()),
        }
    }

    /// Loads the snapshot; says whether there is one.
    fn load_snapshot(&mut self) -> Result<bool, String> {
        let is_there = loading::begin_loading(&mut self.state).map_err(|error| {
            warn!("Can't open the snapshot {}: {}", save::snapshot_path(&self.state).display(), system_reason(&error));
            LOAD_FAILED.to_string()
        })?;
        self.run_until_loaded()?;
        if let Some(error) = self.load_error.take() {
            warn!("{error}");
            warn!(
                "Terminating server after rdb file reading failure. To check the file, use oneloop check-rdb {}",
                save::snapshot_path(&self.state).display()
            );
            return Err(LOAD_FAILED.to_string());
        }
        Ok(is_there)
    }

    /// Loads the append-only file; from then on every change is appended to it.
    fn load_append_only(&mut self) -> Result<(), String> {
        if start::begin_replay(&mut self.state)? {
            self.run_until_loaded()?;
        } else {
            self.load_snapshot_for_first_base()?;
        }
        if let Some(error) = self.load_error.take() {
            return Err(error);
        }
        match self.shutdown.is_complete() {
            true => Ok(()),
            false => start::open_append_only(&mut self.state),
        }
    }

    /// The append-only file was turned on in the settings of a server that has kept its data in snapshots. To begin
    /// with no data would lose them all with the next snapshot.
    fn load_snapshot_for_first_base(&mut self) -> Result<(), String> {
        if self.load_snapshot()? {
            info!(
                "The append-only file is on and there is none yet: its first base is written from the data of the snapshot {}",
                save::snapshot_path(&self.state).display()
            );
        }
        Ok(())
    }

    /// Takes part in the cluster, if this server is a member of one, now that the data are loaded.
    pub(crate) fn join_cluster(&mut self) {
        cluster::join(&mut self.state);
    }

    /// Follows the primary that the settings name, if they name one.
    pub(crate) fn begin_following(&mut self) {
        replica::begin(&mut self.state);
    }

    fn run_until_loaded(&mut self) -> Result<(), String> {
        let mut ready = Vec::new();
        let mut now = self.state.clock.ticks();
        while self.state.loads_files() && self.load_error.is_none() && !self.shutdown.is_complete() && !tape::is_over()
        {
            now = self.poll_and_turn(&mut ready, now).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Loads for as long as one turn may take.
    pub(crate) fn load_slice(&mut self) {
        if !self.state.loads_files() || self.load_error.is_some() {
            return;
        }
        let clock = &self.state.clock;
        let deadline = clock.ticks() + clock.nanos_as_ticks(LOAD_SHARE_NS);
        self.load_waits = false;
        while self.state.clock.ticks() < deadline {
            let step = if self.state.replay.is_some() {
                start::replay_step(&mut self.state)
            } else if replica_payload::loads_file(&self.state) {
                Ok(replica::load_step(&mut self.state))
            } else {
                loading::loading_step(&mut self.state)
            };
            match step {
                Ok(LoadingStep::More) => {}
                Ok(LoadingStep::Waits) => {
                    self.load_waits = true;
                    return;
                }
                Ok(LoadingStep::Done) => return,
                Err(error) => {
                    self.load_error = Some(error);
                    return;
                }
            }
        }
    }
}
