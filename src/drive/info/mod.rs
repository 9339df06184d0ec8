//! INFO: one table of sections and fields, from which every text derives.
//!
//! Never counts anything: it only reads what the others have counted.

pub mod snapshot;

pub mod machine;
pub mod persistence;
pub mod replication;
pub mod tables;
pub mod traffic;

use crate::drive::key_sizes;
use crate::engine::state::ServerState;

pub use crate::drive::info::snapshot::{InfoSnapshot, MemoryFigures, human_bytes};

/// One line of a section: a name and what it shows.
pub struct Field {
    pub name: &'static str,
    pub value: FieldValue,
}

/// What a field shows.
pub enum FieldValue {
    /// The same at all times: what Redis shows while the subject is idle or absent.
    Fixed(&'static str),
    /// Worked out for each INFO.
    Of(fn(&InfoSnapshot<'_>) -> String),
}

impl Field {
    const fn fixed(name: &'static str, value: &'static str) -> Field {
        Field { name, value: FieldValue::Fixed(value) }
    }

    const fn of(name: &'static str, value: fn(&InfoSnapshot<'_>) -> String) -> Field {
        Field { name, value: FieldValue::Of(value) }
    }
}

/// When a section is shown, besides being asked for by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By INFO without arguments, and by `default`, `all` and `everything`.
    ByDefault,
    /// By `default` and `everything`, but not by `all`.
    WithModules,
    /// By `all` and `everything`.
    InAll,
    /// Only when named.
    OnlyByName,
}

/// Works out lines, each a name and a value.
pub type Lines = fn(&InfoSnapshot<'_>) -> Vec<(String, String)>;

/// One section: fixed fields, then lines whose number varies.
pub struct Section {
    /// The name that INFO takes, and another one for the same.
    pub names: &'static [&'static str],
    pub title: &'static str,
    pub shown: Shown,
    pub fields: &'static [Field],
    /// Further lines.
    pub lines: Option<Lines>,
}

/// All sections, in the order of the text.
pub static SECTIONS: &[Section] = &[
    Section {
        names: &["server"],
        title: "Server",
        shown: Shown::ByDefault,
        fields: machine::SERVER,
        lines: Some(machine::listeners),
    },
    Section { names: &["clients"], title: "Clients", shown: Shown::ByDefault, fields: traffic::CLIENTS, lines: None },
    Section { names: &["memory"], title: "Memory", shown: Shown::ByDefault, fields: machine::MEMORY, lines: None },
    Section {
        names: &["persistence"],
        title: "Persistence",
        shown: Shown::ByDefault,
        fields: persistence::PERSISTENCE,
        lines: Some(persistence::more),
    },
    Section { names: &["stats"], title: "Stats", shown: Shown::ByDefault, fields: traffic::STATS, lines: None },
    Section {
        names: &["replication"],
        title: "Replication",
        shown: Shown::ByDefault,
        fields: replication::REPLICATION,
        lines: Some(replication::lines),
    },
    Section { names: &["cpu"], title: "CPU", shown: Shown::ByDefault, fields: machine::CPU, lines: None },
    Section {
        names: &["modules", "module_list"],
        title: "Modules",
        shown: Shown::WithModules,
        fields: &[],
        lines: None,
    },
    Section {
        names: &["commandstats"],
        title: "Commandstats",
        shown: Shown::InAll,
        fields: &[],
        lines: Some(tables::commands),
    },
    Section {
        names: &["errorstats"],
        title: "Errorstats",
        shown: Shown::ByDefault,
        fields: &[],
        lines: Some(tables::errors),
    },
    Section {
        names: &["latencystats"],
        title: "Latencystats",
        shown: Shown::InAll,
        fields: &[],
        lines: Some(tables::latencies),
    },
    Section {
        names: &["cluster"],
        title: "Cluster",
        shown: Shown::ByDefault,
        fields: persistence::CLUSTER,
        lines: None,
    },
    Section {
        names: &["keyspace"],
        title: "Keyspace",
        shown: Shown::ByDefault,
        fields: &[],
        lines: Some(tables::databases),
    },
    Section {
        names: &["keysizes"],
        title: "Keysizes",
        shown: Shown::OnlyByName,
        fields: &[],
        lines: Some(|info| key_sizes::lines(info.state)),
    },
    Section { names: &["debug"], title: "Debug", shown: Shown::OnlyByName, fields: traffic::DEBUG, lines: None },
];

/// The sections that INFO's arguments ask for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    default: bool,
    all: bool,
    everything: bool,
    names: Vec<Vec<u8>>,
}

impl Selection {
    /// The selection of INFO with these arguments.
    pub fn of<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Selection {
        let mut selection = Selection::default();
        let mut given = false;
        for argument in arguments {
            given = true;
            let argument = argument.to_ascii_lowercase();
            match argument.as_slice() {
                b"default" => selection.default = true,
                b"all" => selection.all = true,
                b"everything" => selection.everything = true,
                _ => selection.names.push(argument),
            }
        }
        selection.default |= !given;
        selection
    }

    /// Whether a section is asked for by its name.
    pub fn names(&self, section: &str) -> bool {
        self.names.iter().any(|given| given == section.as_bytes())
    }

    fn has(&self, section: &Section) -> bool {
        let implied = match section.shown {
            Shown::ByDefault => self.default || self.all || self.everything,
            Shown::WithModules => self.default || self.everything,
            Shown::InAll => self.all || self.everything,
            Shown::OnlyByName => false,
        };
        implied || section.names.iter().any(|name| self.names(name))
    }
}

/// The text of all sections, as INFO EVERYTHING gives it.
pub fn everything(state: &ServerState) -> String {
    text(&InfoSnapshot::new(state, None), &Selection::of([b"everything".as_slice()].into_iter()))
}

/// The text of INFO. O(fields + clients + commands that were called).
pub fn text(info: &InfoSnapshot<'_>, selection: &Selection) -> String {
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| selection.has(section)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        text.push_str("# ");
        text.push_str(section.title);
        text.push_str("\r\n");
        for field in section.fields {
            match field.value {
                FieldValue::Fixed(value) => push_line(&mut text, field.name, value),
                FieldValue::Of(value) => push_line(&mut text, field.name, &value(info)),
            }
        }
        if let Some(lines) = section.lines {
            for (name, value) in lines(info) {
                push_line(&mut text, &name, &value);
            }
        }
    }
    text
}

fn push_line(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push(':');
    text.push_str(value);
    text.push_str("\r\n");
}
