//! What a turn of the member asks of its owner. Nothing of it can be had before the configuration has been saved.

use std::rc::Rc;

use log::Level;

use super::super::node::{Address, LinkId};
use super::super::node_id::NodeId;
use super::super::slot::SlotSet;

/// A frame for a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub link: LinkId,
    /// Shared by the links that get the same one.
    pub frame: Rc<[u8]>,
}

/// What becomes of the keys in slots that this member has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysOfLostSlots {
    /// The new owner has them.
    Delete,
    /// This member becomes a replica of the new owner, and replaces all its data if it has to.
    Keep,
}

/// What the owner is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the bus of a node, and say `on_connected` or `on_closed`.
    Connect {
        link: LinkId,
        ip: String,
        port: u16,
    },
    /// Close a connection. Nothing is to be said of it any more.
    Close(LinkId),
    /// Replicate from this node.
    Follow {
        id: NodeId,
        address: Address,
    },
    /// Replicate from nobody: this member is a primary.
    Promote,
    /// Accept no writes until then, on the steady clock, at the latest.
    PauseWrites {
        until_ms: u64,
    },
    ResumeWrites,
    /// These slots belong to another node: subscribers of their channels and clients that wait for their keys go.
    SlotsLost {
        slots: SlotSet,
        keys: KeysOfLostSlots,
    },
    /// Delete all data, after a reset of a replica.
    DeleteAll,
    StateChanged {
        is_ok: bool,
    },
    /// Hand a message to the subscribers at this server.
    Deliver {
        channel: Vec<u8>,
        message: Vec<u8>,
        is_sharded: bool,
    },
    Log(Level, String),
}

/// How soon a file has to be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It may be written in the background.
    Eventually,
    /// It has to be synced, the folder too, before `save` returns.
    Synced,
}

/// What a turn has led to.
#[derive(Debug, Default)]
#[must_use = "frames and effects of the turn are lost"]
pub struct Output {
    file: Option<(String, Durability)>,
    effects: Vec<Effect>,
    sends: Vec<Send>,
}

/// What may be done now: all that the frames say is on disk.
#[derive(Debug, Default)]
pub struct Released {
    /// In order; before the frames.
    pub effects: Vec<Effect>,
    pub sends: Vec<Send>,
}

impl Output {
    pub(super) fn new(file: Option<(String, Durability)>, effects: Vec<Effect>, sends: Vec<Send>) -> Output {
        Output { file, effects, sends }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.effects.is_empty() && self.sends.is_empty()
    }

    /// The file that has to be synced before anything else is done.
    pub fn synced_file(&self) -> Option<&str> {
        self.file.as_ref().filter(|(_, durability)| *durability == Durability::Synced).map(|(text, _)| text.as_str())
    }

    /// Saves the configuration if it has changed, and only then gives what else is to be done. An owner that saves in
    /// the background keeps the output, and those of later turns behind it, until that is done.
    ///
    /// Errors: those of `save`. Frames and effects are dropped, since a peer may not see what a restart would forget.
    pub fn release<E>(self, save: impl FnOnce(&str, Durability) -> Result<(), E>) -> Result<Released, E> {
        if let Some((text, durability)) = &self.file {
            save(text, *durability)?;
        }
        Ok(Released { effects: self.effects, sends: self.sends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_before_it_is_saved() {
        let output = || {
            let send = Send { link: LinkId(2), frame: Rc::from([1u8].as_slice()) };
            Output::new(Some(("text".into(), Durability::Synced)), vec![Effect::Promote], vec![send])
        };
        assert_eq!(output().synced_file(), Some("text"));
        assert_eq!(output().release(|_, _| Err("disk full")).err(), Some("disk full"));
        let mut saved = Vec::new();
        let released = output().release(|text, durability| {
            saved.push((text.to_string(), durability));
            Ok::<(), ()>(())
        });
        let released = released.expect("it was saved");
        assert_eq!((released.effects.len(), released.sends.len()), (1, 1));
        assert_eq!(saved, [("text".to_string(), Durability::Synced)]);
    }
}
