//! The end of the server: asked for by SHUTDOWN or by a signal, then carried out by the loop.

use log::warn;

use crate::instance::ShutdownOptions;
use crate::session::Token;
use crate::sys::signals::Signal;

use super::event_loop::EventLoop;
use super::startup;

/// How far the end has come.
#[derive(Default)]
pub struct Shutdown {
    complete: bool,
}

impl Shutdown {
    /// Whether the loop is to end.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl EventLoop {
    /// A signal asks for the end; its options are those of the settings.
    pub(super) fn begin_shutdown_by_signal(&mut self, signal: Signal) {
        let flags = match signal {
            Signal::Terminate => self.instance.config.shutdown_on_sigterm,
            Signal::Interrupt => self.instance.config.shutdown_on_sigint,
        };
        let options = ShutdownOptions {
            save: flags.save,
            no_save: flags.nosave,
            now: flags.now,
            force: flags.force,
        };
        self.begin_shutdown(options, None);
    }

    /// Ends the server. Nothing is left to wait for: clients get what was written for them so far.
    pub(super) fn begin_shutdown(&mut self, _options: ShutdownOptions, _requester: Option<Token>) {
        warn!("User requested shutdown...");
        while self.instance.clients.has_to_flush() {
            let mut flushing = Vec::new();
            self.instance.clients.take_to_flush(&mut flushing);
            for token in flushing {
                self.flush_client(token);
            }
        }
        if let Some(listeners) = &mut self.instance.listeners {
            listeners.close();
        }
        if let Some(pid_file) = self.instance.pid_file.take() {
            startup::remove_pid_file(&pid_file);
        }
        startup::log_exit();
        self.shutdown.complete = true;
    }
}
