//! A heap on a thread of a program whose own allocator does not count: what it counts then, and its end.

use super::{resident_bytes, retire_empty_spans, trim_step, with};

/// Has this thread's heap count what the general allocator gives to its data. To be called before anything is
/// allocated.
pub fn count_alone() {
    with(|heap| heap.counts_alone = true);
}

/// What lies outside of the heap and is counted as memory in use, as a large string is, has grown or shrunk by so many
/// bytes. Counts where nothing else does.
#[cold]
pub fn note_outside(difference: isize) {
    with(|heap| {
        if heap.counts_alone {
            heap.allocated = heap.allocated.saturating_add_signed(difference);
        }
    });
}

/// Gives all memory that is not in use back to the system, at the end of a thread; gives how many bytes are left.
pub fn release() -> usize {
    retire_empty_spans();
    while trim_step(0) {}
    resident_bytes()
}
