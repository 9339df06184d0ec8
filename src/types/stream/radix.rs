//! How many nodes Redis's radix tree of the blocks' IDs would have: XINFO tells it, and tools show it.
//!
//! The IDs are keys of 16 bytes, most significant first. A node is a place where keys part, a run of bytes that all
//! keys below it share, or the end of a key.

use super::entries::Entries;
use super::id::Id;

/// Bytes of a key.
const KEY_BYTES: usize = 16;

/// Of more blocks than this only the last are looked at, and the rest taken to be like them.
const EXACT_MAX: usize = 4096;

impl Entries {
    /// The number of nodes; an estimate if there are many blocks.
    pub fn radix_nodes(&self) -> usize {
        let count = self.blocks();
        let skipped = count.saturating_sub(EXACT_MAX);
        let full = self.blocks.range(skipped.min(self.blocks.len())..);
        let tail = self.tail.iter().map(|tail| tail.node().first);
        let keys: Vec<Id> = full.map(|block| block.first).chain(tail).collect();
        let nodes = nodes_of(&keys);
        match skipped {
            0 => nodes,
            _ => nodes.saturating_mul(count) / EXACT_MAX,
        }
    }
}

/// How many bytes two keys have in common at their start.
fn common_bytes(first: Id, second: Id) -> usize {
    let key = |id: Id| u128::from(id.ms) << 64 | u128::from(id.seq);
    (key(first) ^ key(second)).leading_zeros() as usize / 8
}

/// The nodes of a tree of these keys, which are in order and all different.
fn nodes_of(keys: &[Id]) -> usize {
    if keys.is_empty() {
        return 1;
    }
    // The places where keys part that are above the present key, by their depth.
    let mut above: Vec<usize> = Vec::new();
    let mut nodes = 0;
    // A place, or the end of a key, and the run of bytes before it, if any.
    let mut close = |depth: usize, parent: Option<usize>| {
        let run_start = parent.map_or(0, |parent| parent + 1);
        nodes += 1 + usize::from(depth > run_start);
    };
    for (index, key) in keys.iter().enumerate() {
        let next = keys.get(index + 1);
        let common = next.map(|next| common_bytes(*key, *next));
        if let Some(common) = common
            && above.last().is_none_or(|deepest| *deepest < common)
        {
            above.push(common);
        }
        close(KEY_BYTES, above.last().copied());
        while let Some(deepest) = above.last().copied() {
            if common.is_some_and(|common| deepest <= common) {
                break;
            }
            above.pop();
            let parent = above.last().copied();
            match common {
                // Between the two there is a place that was not known yet.
                Some(common) if parent.is_none_or(|parent| parent < common) => {
                    above.push(common);
                    close(deepest, Some(common));
                }
                _ => close(deepest, parent),
            }
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As XINFO STREAM of Redis 7.0.15 tells, with one entry a block.
    #[test]
    fn nodes_are_counted_as_in_a_radix_tree() {
        let ids = |ids: &[(u64, u64)]| -> Vec<Id> { ids.iter().map(|(ms, seq)| Id::new(*ms, *seq)).collect() };
        assert_eq!(nodes_of(&[]), 1);
        assert_eq!(nodes_of(&ids(&[(1, 0)])), 2);
        assert_eq!(nodes_of(&ids(&[(1, 0), (3, 0)])), 6);
        assert_eq!(nodes_of(&ids(&[(1, 0), (3, 0), (5, 0), (7, 0)])), 10);
        assert_eq!(nodes_of(&ids(&[(1, 0), (1, 1), (1, 2)])), 5);
    }
}
