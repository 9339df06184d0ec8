//! What a crash report can say of the server: the last INFO text and the name of the running command.
//!
//! The report is written in a lost process, from within whatever was going on, so it must not look at
//! the instance itself. The cron leaves it a text about once a second, and the loop's thread notes the
//! command that it is about to run in a cell of its own (two bytes, no more than a store).

use std::cell::{Cell, RefCell};

use crate::base::crash::CrashSection;
use crate::command::registry::{CommandId, Registry};
use crate::engine::state::ServerState;

use super::Selection;
use crate::drive::info::snapshot::InfoSnapshot;

/// What stands for no command.
const NONE: u16 = u16::MAX;

/// What the cron leaves for the report.
#[derive(Default)]
struct Remembered {
    info: String,
    clients: usize,
    /// Full names of all commands, by id.
    names: Vec<String>,
}

thread_local! {
    static RUNNING: Cell<u16> = const { Cell::new(NONE) };
    static REMEMBERED: RefCell<Remembered> = RefCell::new(Remembered::default());
}

/// Remembers the commands' names; once, when the server starts.
pub fn remember_names(commands: &Registry) {
    let names = commands.iter().map(|command| command.full_name.clone()).collect();
    REMEMBERED.with_borrow_mut(|remembered| remembered.names = names);
}

/// Remembers what INFO says now.
pub fn remember(state: &ServerState) {
    let info = InfoSnapshot::new(state, None);
    let info = super::text(&info, &Selection::of([b"everything".as_slice()].into_iter()));
    REMEMBERED.with_borrow_mut(|remembered| {
        remembered.info = info;
        remembered.clients = state.clients.len();
    });
}

/// Notes the command that is about to run.
#[inline]
pub fn begin_command(command: CommandId) {
    RUNNING.set(command.number());
}

/// Notes that it has run.
#[inline]
pub fn end_command() {
    RUNNING.set(NONE);
}

/// A section of the crash report. Empty where the report struck in the midst of remembering.
pub fn section(section: CrashSection) -> String {
    let read = |remembered: &RefCell<Remembered>| {
        let Ok(remembered) = remembered.try_borrow() else {
            return String::new();
        };
        match section {
            CrashSection::Info => remembered.info.clone(),
            CrashSection::ClientList => format!("connected_clients={}\n", remembered.clients),
            CrashSection::CurrentClient => {
                remembered.names.get(usize::from(RUNNING.get())).map_or(String::new(), |name| format!("cmd={name}\n"))
            }
        }
    };
    REMEMBERED.try_with(read).unwrap_or_default()
}
