//! The end of the server: asked for by SHUTDOWN or by a signal, then carried out by the loop.

use crate::drive::aof::rewrite;
use crate::drive::cluster::handover;
use crate::drive::replication::primary;
use crate::drive::save;
use crate::drive::save::background;
use crate::drive::save::backup;
use crate::drive::save::foreground;
use log::{info, warn};

use crate::base::sys::signals::{Signal, remove_when_insisted};
use crate::config::system_reason;
use crate::engine::loop_request::ShutdownOptions;
use crate::engine::pause::PauseReason;
use crate::engine::propagation;
use crate::engine::session::Token;
use crate::storage::aof::append_only::State;

use super::ending::Waiting;
use super::event_loop::EventLoop;
use super::startup;
use super::supervision::Supervisor;

impl EventLoop {
    /// Names the supervisor to tell when the end begins.
    pub fn set_supervisor(&mut self, supervisor: Supervisor) {
        self.shutdown.supervisor = supervisor;
    }

    /// Ends the server if a signal has asked for it.
    pub(crate) fn begin_scheduled_shutdown(&mut self) {
        // What a script has done is saved as a whole.
        if !self.state.debug.cron_paused
            && !self.state.is_amid_unit()
            && let Some(signal) = self.shutdown.scheduled.take()
        {
            self.state.shutdown_scheduled = false;
            self.begin_shutdown_by_signal(signal);
        }
    }

    /// Stays, though a signal has asked for the end.
    pub(crate) fn forget_shutdown(&mut self) {
        self.shutdown.scheduled = None;
        let waiting = self.stop_waiting_for_replicas();
        self.give_up_shutdown(waiting.map_or(Vec::new(), |waiting| waiting.requesters));
    }

    /// A signal asks for the end; its options are those of the settings.
    fn begin_shutdown_by_signal(&mut self, signal: Signal) {
        let flags = match signal {
            Signal::Terminate => self.state.config.shutdown_on_sigterm,
            Signal::Interrupt => self.state.config.shutdown_on_sigint,
        };
        let options = ShutdownOptions {
            save: flags.save,
            no_save: flags.nosave,
            now: flags.now,
            force: flags.force,
            safe: flags.safe,
            failover: flags.failover,
        };
        self.begin_shutdown(options, None);
    }

    /// Ends the server, unless the data are to be saved and cannot be. First the replicas get everything, unless that
    /// is not wanted: for so long nobody writes.
    pub(crate) fn begin_shutdown(&mut self, options: ShutdownOptions, requester: Option<Token>) {
        if let Some(waiting) = &mut self.shutdown.waiting {
            waiting.requesters.extend(requester);
            if options.now {
                self.end_waiting_shutdown();
            }
            return;
        }
        warn!("User requested shutdown...");
        if !self.may_end(options) {
            return self.give_up_shutdown(requester.into_iter().collect());
        }
        let timeout_ms = i64::from(self.state.config.shutdown_timeout) * 1000;
        if options.now || timeout_ms == 0 || primary::are_in_sync(&self.state) {
            return self.end(options, requester.into_iter().collect());
        }
        info!("Waiting for replicas before shutting down.");
        primary::ask_now(&mut self.state);
        self.state.hold_writes(PauseReason::Shutdown, true);
        self.state.shutdown_due_ms = Some(self.state.now_ms() + timeout_ms);
        self.shutdown.waiting = Some(Waiting { options, requesters: requester.into_iter().collect() });
    }

    /// Ends the server if that has waited for the replicas, and they have everything or the time is over.
    pub(crate) fn tend_waiting_shutdown(&mut self) {
        let is_over = self.state.shutdown_due_ms.is_some_and(|due_ms| self.state.now_ms() >= due_ms);
        if self.shutdown.waiting.is_some() && (is_over || primary::are_in_sync(&self.state)) {
            self.end_waiting_shutdown();
        }
    }

    fn end_waiting_shutdown(&mut self) {
        if let Some(waiting) = self.stop_waiting_for_replicas() {
            self.end(waiting.options, waiting.requesters);
        }
    }

    fn stop_waiting_for_replicas(&mut self) -> Option<Waiting> {
        let waiting = self.shutdown.waiting.take()?;
        self.state.shutdown_due_ms = None;
        self.state.hold_writes(PauseReason::Shutdown, false);
        Some(waiting)
    }

    /// Saves what is to be saved, and ends. Clients get what was written for them so far.
    fn end(&mut self, options: ShutdownOptions, requesters: Vec<Token>) {
        primary::log_lag(&self.state);
        self.shutdown.supervisor.tell_stopping();
        // What this server is may have changed while it waited.
        if !self.may_end(options) || !self.save_at_the_end(options) {
            warn!("Errors trying to shut down the server. Check the logs for more information.");
            return self.give_up_shutdown(requesters);
        }
        for token in std::mem::take(&mut self.held) {
            self.flush_client(token);
        }
        if options.failover {
            handover::begin(&mut self.state);
        }
        self.feed_replicas();
        while self.state.clients.has_to_flush() {
            let mut flushing = Vec::new();
            self.state.clients.take_to_flush(&mut flushing);
            for token in flushing {
                self.flush_client(token);
            }
        }
        if let Some(listeners) = &mut self.state.listeners {
            listeners.close();
        }
        if let Some(pid_file) = self.state.process.pid_file.take() {
            startup::remove_pid_file(&pid_file);
        }
        self.state.end_spill();
        startup::log_exit();
        self.shutdown.complete = true;
    }

    /// Whether the end does no harm, or that does not matter.
    fn may_end(&self, options: ShutdownOptions) -> bool {
        if !options.safe || !handover::is_voting_primary(&self.state) {
            return true;
        }
        let verdict = if options.force { "Exit anyway" } else { "Can't exit" };
        warn!("This is a voting primary. Shutting down may cause the cluster to go down. {verdict}.");
        options.force
    }

    /// Saves the data if that is asked for, or if there are save points and NOSAVE was not given. Says whether
    /// the server may end.
    fn save_at_the_end(&mut self, options: ShutdownOptions) -> bool {
        if background::cancel_background_save(&mut self.state) {
            warn!("There is a child saving an .rdb. Killing it!");
        }
        backup::cancel(&mut self.state);
        if !self.finish_appending(options) {
            return false;
        }
        let has_points = !self.state.config.save.is_empty();
        let saves = options.save || has_points && !options.no_save;
        // What has been loaded so far must not take the place of what is in the file.
        if !saves || self.state.is_loading() {
            return true;
        }
        info!("Saving the final RDB snapshot before exiting.");
        remove_when_insisted(&save::foreground_snapshot_path(&self.state));
        if foreground::save(&mut self.state).is_ok() {
            return true;
        }
        if options.force {
            warn!("Error trying to save the DB. Exit anyway.");
        } else {
            warn!("Error trying to save the DB, can't exit.");
        }
        options.force
    }

    /// Brings what was appended to the disk. Says whether the server may end: not while nothing but the first base,
    /// which is not complete, holds the data.
    fn finish_appending(&mut self, options: ShutdownOptions) -> bool {
        // The base may wait for a script that does not end, and a user who wants nothing saved knows what is lost.
        let waits_for_script = self.state.scripting.busy().is_some() && options.no_save;
        match self.state.aof.state() {
            State::Off => return true,
            State::Starting if !options.force && !waits_for_script => {
                warn!("Writing initial AOF, can't exit.");
                return false;
            }
            State::Starting => warn!("Writing initial AOF. Exit anyway."),
            State::On => {}
        }
        if rewrite::cancel_rewrite(&mut self.state) {
            warn!("There is a child rewriting the append only file. Killing it!");
        }
        info!("Calling fsync() on the AOF file.");
        propagation::mark_history(&mut self.state, true);
        if let Err(error) = self.state.aof.finish(&mut self.state.keyspace.changes.propagation.log) {
            warn!("Fail to fsync the AOF file: {}.", system_reason(&error));
        }
        true
    }

    /// Stays, and tells who asked for the end that it does not come.
    fn give_up_shutdown(&mut self, requesters: Vec<Token>) {
        self.signals.forget_request();
        for token in requesters {
            let Some(session) = self.state.clients.get_mut(token) else { continue };
            session.blocked = None;
            self.state.clients.flush_after(token, |session| {
                session.reply.error(b"ERR Errors trying to SHUTDOWN. Check logs.");
            });
            self.state.clients.queue_resume(token);
        }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        info!("{} clients were connected at the end", self.connections.len());
    }
}
