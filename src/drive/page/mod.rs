//! What the HTTP port serves besides the page itself: the metrics, the frames of the live view, its history, and the
//! trace.
//!
//! Never counts anything, and never holds the loop: each text is written by a job in steps of some ten microseconds.
//!
//! `frame` is the state of the loop a few times a second, `cluster` what it tells of a cluster, `history` the last hour
//! for a viewer that has just come,
//! `ledger` is what it tells of keys and prefixes, `trace` the last turns for Perfetto.

mod cluster;
mod event;
mod frame;
mod history;
mod ledger;
mod trace;

use std::rc::Rc;

use super::metrics::{self, Metrics};
use crate::engine::state::ServerState;

use frame::Frames;
use history::HistoryWriting;
use trace::TraceWriting;

/// A text that a job writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The figures for Prometheus.
    Metrics,
    /// The turns that are kept, for Perfetto.
    Trace,
    /// The last hour in seconds, the first event for a viewer.
    History,
    /// The state of the loop, an event for all viewers.
    Frame,
}

impl Document {
    /// All, in the order in which they are written.
    pub const ALL: [Document; 4] = [Document::Metrics, Document::Trace, Document::History, Document::Frame];

    /// The type of the text, as HTTP names it.
    pub fn content_type(self) -> &'static str {
        match self {
            Document::Metrics => metrics::CONTENT_TYPE,
            Document::Trace => "application/json",
            Document::History | Document::Frame => "text/event-stream",
        }
    }

    /// More header lines for HTTP, each with its line end.
    pub fn more_headers(self) -> &'static str {
        match self {
            Document::Trace => "Content-Disposition: attachment; filename=\"oneloop-trace.json\"\r\n",
            Document::Metrics | Document::History | Document::Frame => "",
        }
    }
}

/// The texts that are being written, and those that have been.
#[derive(Default)]
pub struct Documents {
    metrics: Metrics,
    trace: Option<Box<TraceWriting>>,
    history: Option<Box<HistoryWriting>>,
    frames: Frames,
    written: [Option<Rc<[u8]>>; Document::ALL.len()],
    is_watched: bool,
}

impl Documents {
    /// Begins to write a text, unless that is going on.
    pub fn begin(&mut self, document: Document) {
        match document {
            Document::Metrics => self.metrics.begin(),
            Document::Trace => {
                self.trace.get_or_insert_default();
            }
            Document::History => {
                self.history.get_or_insert_default();
            }
            Document::Frame => self.frames.begin(),
        }
    }

    /// Whether a text is being written.
    #[inline]
    pub fn are_being_written(&self) -> bool {
        self.metrics.is_writing() || self.trace.is_some() || self.history.is_some() || self.frames.is_writing()
    }

    /// Whether there are viewers.
    pub fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// There are viewers, or none any more.
    pub fn set_watched(&mut self, is_watched: bool) {
        if self.is_watched && !is_watched {
            self.frames = Frames::default();
        }
        self.is_watched = is_watched;
    }

    /// Writes a piece of one text; tells whether there is more to write.
    pub fn step(&mut self, state: &ServerState) -> bool {
        if self.metrics.is_writing() {
            self.metrics.step(state);
            self.keep(Document::Metrics, None);
        } else if self.frames.is_writing() {
            if let Some(text) = self.frames.step(state) {
                self.keep(Document::Frame, Some(text));
            }
        } else if let Some(mut history) = self.history.take() {
            match history.step(state) {
                true => self.history = Some(history),
                false => self.keep(Document::History, Some(history.into_text())),
            }
        } else if let Some(mut trace) = self.trace.take() {
            match trace.step(state) {
                true => self.trace = Some(trace),
                false => self.keep(Document::Trace, Some(trace.into_text())),
            }
        }
        self.are_being_written()
    }

    /// Keeps a text that is complete.
    fn keep(&mut self, document: Document, text: Option<String>) {
        let text = text.map(|text| text.into_bytes().into()).or_else(|| self.metrics.take_written());
        if text.is_some() {
            self.written[document as usize] = text;
        }
    }

    /// The text, once it is complete.
    pub fn take_written(&mut self, document: Document) -> Option<Rc<[u8]>> {
        self.written[document as usize].take()
    }
}
