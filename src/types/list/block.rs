//! One block of a large list: a run of elements, one large element, or either of them compressed. Never knows its
//! neighbours.

use std::borrow::Cow;
use std::rc::Rc;

use bytes::Bytes;

use crate::collections::buffer::Buffer;
use crate::collections::listpack::Listpack;
use crate::collections::ordered::{Item as TreeItem, Weighted};
use crate::collections::packed::Packed;

use super::compress;
use super::run::Run;

/// A block of a list.
#[derive(Clone)]
pub(super) enum Block {
    Run(Run),
    /// One element that is too large for a run.
    Large(Bytes),
    Compressed(Compressed),
}

/// A block in its compressed form.
#[derive(Clone)]
pub(super) struct Compressed {
    bytes: Buffer,
    /// Bytes that it has when it is not compressed.
    plain_length: u32,
    count: u32,
    is_large: bool,
}

/// A block as it is stored, for code that writes it elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum BlockRef<'a> {
    /// Elements.
    Run(Listpack<'a>),
    /// One large element.
    Large(&'a Bytes),
    /// Either of them, compressed by LZF.
    Compressed {
        bytes: &'a [u8],
        plain_length: usize,
        /// Whether it is one large element.
        is_large: bool,
    },
}

/// A block that can be read.
pub(super) enum Open<'a> {
    Run(Cow<'a, [u8]>),
    Large(Cow<'a, Bytes>),
}

impl Default for Block {
    fn default() -> Block {
        Block::Run(Run::default())
    }
}

impl Block {
    /// How many elements there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Block::Run(run) => run.listpack().len(),
            Block::Large(_) => 1,
            Block::Compressed(compressed) => compressed.count as usize,
        }
    }

    /// Bytes that it takes, besides itself.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        match self {
            Block::Run(run) => run.memory_bytes(),
            Block::Large(bytes) => bytes.len(),
            Block::Compressed(compressed) => compressed.bytes.memory_bytes(),
        }
    }

    /// How it is stored.
    pub fn stored(&self) -> BlockRef<'_> {
        match self {
            Block::Run(run) => BlockRef::Run(run.listpack()),
            Block::Large(bytes) => BlockRef::Large(bytes),
            Block::Compressed(compressed) => BlockRef::Compressed {
                bytes: &compressed.bytes,
                plain_length: compressed.plain_length as usize,
                is_large: compressed.is_large,
            },
        }
    }

    /// Its elements, unpacked if it is compressed. O(1), O(bytes) if it is compressed.
    #[inline]
    pub fn open(&self) -> Open<'_> {
        match self {
            Block::Run(run) => Open::Run(Cow::Borrowed(run.bytes())),
            Block::Large(bytes) => Open::Large(Cow::Borrowed(bytes)),
            Block::Compressed(compressed) => {
                let bytes = compress::unpack(&compressed.bytes, compressed.plain_length as usize);
                if compressed.is_large {
                    Open::Large(Cow::Owned(Bytes::from(bytes)))
                } else {
                    Open::Run(Cow::Owned(bytes))
                }
            }
        }
    }

    /// Whether it is compressed.
    pub fn is_compressed(&self) -> bool {
        matches!(self, Block::Compressed(_))
    }

    /// Takes the form that can be changed. O(bytes) if it was compressed.
    pub fn decompress(&mut self) {
        if !self.is_compressed() {
            return;
        }
        *self = match self.open() {
            Open::Run(bytes) => Block::Run(Run::new(&bytes)),
            Open::Large(bytes) => Block::Large(bytes.into_owned()),
        };
    }

    /// Takes the compressed form, if that is worth it. O(bytes).
    pub fn compress(&mut self) {
        let (plain, is_large) = match self {
            Block::Run(run) => (run.bytes(), false),
            Block::Large(bytes) => (&**bytes, true),
            Block::Compressed(_) => return,
        };
        let plain_length = plain.len();
        let Some(bytes) = compress::pack(plain) else {
            return;
        };
        *self = Block::Compressed(Compressed {
            bytes,
            plain_length: plain_length as u32,
            count: self.len() as u32,
            is_large,
        });
    }
}

/// A block in its place in the middle of a list.
#[derive(Clone)]
pub(super) struct Link {
    pub block: Rc<Block>,
    /// The block's elements, at hand for a search by position.
    pub count: u32,
}

impl Link {
    /// A link to this block.
    pub fn new(block: Rc<Block>) -> Link {
        Link { count: block.len() as u32, block }
    }
}

impl TreeItem for Link {
    type Weight = Weighted;

    #[inline]
    fn weight(&self) -> usize {
        self.count as usize
    }
}
