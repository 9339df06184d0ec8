//! The work that a turn of the member leaves to its owner. It is accessible only after the configuration has been
//! saved.

use std::rc::Rc;

use log::Level;

use super::super::node::{Address, LinkId};
use super::super::node_id::NodeId;
use super::super::slot::SlotSet;

/// A frame for a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub link: LinkId,
    /// Shared by the links that send the same frame.
    pub frame: Rc<[u8]>,
}

/// The fate of the keys in slots that this member has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysOfLostSlots {
    /// The new owner has them.
    Delete,
    /// This member becomes a replica of the new owner, and replaces all its data if it has to.
    Keep,
}

/// Work for the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the bus of a node, then call `on_connected` or `on_closed`.
    Connect {
        link: LinkId,
        ip: String,
        port: u16,
    },
    /// Close a connection. The owner makes no further calls about it.
    Close(LinkId),
    /// Replicate from this node.
    Follow {
        id: NodeId,
        address: Address,
    },
    /// Stop replicating: this member is a primary.
    Promote,
    /// Accept no writes until this time on the steady clock, or until `ResumeWrites`.
    PauseWrites {
        until_ms: u64,
    },
    ResumeWrites,
    /// These slots belong to another node now: subscribers of their channels are unsubscribed, and clients blocked on
    /// their keys are redirected.
    SlotsLost {
        slots: SlotSet,
        keys: KeysOfLostSlots,
    },
    /// Delete all data, after a reset of a replica.
    DeleteAll,
    StateChanged {
        is_ok: bool,
    },
    /// Deliver a message to the subscribers of this server.
    Deliver {
        channel: Vec<u8>,
        message: Vec<u8>,
        is_sharded: bool,
    },
    Log(Level, String),
}

/// How durably a file has to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The file may be written in the background.
    Eventually,
    /// The file and its folder have to be synced before `save` returns.
    Synced,
}

/// The result of a turn.
#[derive(Debug, Default)]
#[must_use = "frames and effects of the turn are lost"]
pub struct Output {
    file: Option<(String, Durability)>,
    effects: Vec<Effect>,
    sends: Vec<Send>,
}

/// The work that may be done now: everything that the frames state is on disk.
#[derive(Debug, Default)]
pub struct Released {
    /// To be carried out in order, before the frames are sent.
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

    /// Saves the configuration if it has changed, and only then releases the effects and frames. An owner that saves in
    /// the background queues this output and those of later turns until the save is complete.
    ///
    /// Errors: those of `save`. Frames and effects are dropped, since a peer may not see a state that a restart would
    /// forget.
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
