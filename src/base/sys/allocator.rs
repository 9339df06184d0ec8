//! The global allocator: mimalloc, with a count of the bytes handed out.
//!
//! The count is the owning thread's alone (everything of size is allocated by the loop's thread), so it costs an
//! addition, not an atomic operation. It counts blocks as large as mimalloc makes them: up to a quarter larger than
//! asked for.
//!
//! What one thread allocates and another one frees would be counted wrongly by both. So a buffer that goes from one
//! thread to another is [`InTransit`], and counts for neither meanwhile; and a thread that works for the loop hands its
//! count over with what it reports ([`Balance`]). What the loop counts then follows from what it was told, and not from
//! how far its helpers are.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;

use mimalloc::MiMalloc;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
}

/// mimalloc that counts.
#[derive(Clone, Copy, Debug)]
pub struct Allocator;

fn count(bytes: isize) {
    // A thread that is ending may free after its counter is gone: that is not missed.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

/// The largest request that mimalloc serves from a class of sizes, in bytes.
const CLASSED_MAX: usize = 512 << 10;
const PAGE_BYTES: usize = 4096;

/// The size of the block that mimalloc takes for a request: its classes are every 16 bytes up to 64, then four to each
/// doubling (`_mi_bin`); what is larger is rounded up to pages.
#[inline]
fn block_bytes(size: usize) -> isize {
    let rounded = match size {
        0..=8 => 8,
        9..=64 => size.next_multiple_of(16),
        65..=CLASSED_MAX => size.next_multiple_of(1 << ((size - 1).ilog2() - 2)),
        _ => size.saturating_add(PAGE_BYTES - 1) & !(PAGE_BYTES - 1),
    };
    rounded as isize
}

/// Bytes of the blocks that this thread has allocated and not freed.
pub fn allocated_bytes() -> usize {
    usize::try_from(ALLOCATED.with(Cell::get)).unwrap_or(0)
}

/// Whether this allocator is the program's: else nothing is counted here.
pub fn counts() -> bool {
    let before = ALLOCATED.get();
    let block = std::hint::black_box(Box::new(0_u64));
    let counts = ALLOCATED.get() != before;
    drop(block);
    counts
}

/// What a thread has allocated, less what it has freed, since it handed its balance over last.
#[derive(Debug, Default)]
pub struct Balance(isize);

impl Balance {
    /// Takes over what this thread has counted: from now on it counts from zero.
    pub fn take() -> Balance {
        Balance(ALLOCATED.replace(0))
    }

    /// Adds it to what this thread counts.
    pub fn settle(self) {
        count(self.0);
    }
}

/// Does work whose memory this thread does not count: what it allocates is not the server's. It has to be freed within
/// such work too.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let before = ALLOCATED.get();
    let result = work();
    ALLOCATED.set(before);
    result
}

/// A buffer on its way from one thread to another, which counts for neither.
#[derive(Debug)]
pub struct InTransit(Vec<u8>);

impl InTransit {
    /// Sends a buffer off: this thread counts it no more.
    pub fn new(buffer: Vec<u8>) -> InTransit {
        count(-room_bytes(&buffer));
        InTransit(buffer)
    }

    /// Takes the buffer in: this thread counts it.
    pub fn arrive(mut self) -> Vec<u8> {
        let buffer = std::mem::take(&mut self.0);
        count(room_bytes(&buffer));
        buffer
    }
}

impl Deref for InTransit {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for InTransit {
    fn drop(&mut self) {
        // It is freed as this thread's own.
        count(room_bytes(&self.0));
    }
}

/// The size of a buffer's block.
fn room_bytes(buffer: &Vec<u8>) -> isize {
    if buffer.capacity() == 0 { 0 } else { block_bytes(buffer.capacity()) }
}

/// The allocator's name and version: `mimalloc-3.3.2`.
pub fn name() -> String {
    // SAFETY: the function only returns a constant.
    let version = unsafe { libmimalloc_sys::mi_version() };
    // The number has one digit for each part up to 999, then two for minor and patch.
    let (major, minor, patch) = match version {
        0..=999 => (version / 100, version / 10 % 10, version % 10),
        _ => (version / 10_000, version / 100 % 100, version % 100),
    };
    format!("mimalloc-{major}.{minor}.{patch}")
}

/// Has the allocator give memory that it holds in reserve back to the system: free regions, and what is free in the
/// calling thread's own. May take 0.1 s and more.
pub fn release_reserves() {
    // SAFETY: collecting is allowed at any time; it touches only unused blocks.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Mimalloc's option for how many times longer than its delay it keeps free memory.
const ARENA_PURGE_MULTIPLIER: libmimalloc_sys::mi_option_t = 24;

/// Keeps the allocator from giving memory back to the system by itself, which it would do in the middle of any
/// allocation, for as long as the system takes: 0.1 s and more where much is free. [`release_reserves`] does it.
pub fn keep_reserves() {
    /// With the delay of a second that it multiplies: a day.
    const MULTIPLIER: std::ffi::c_long = 24 * 3600;
    // SAFETY: options may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set(ARENA_PURGE_MULTIPLIER, MULTIPLIER) };
}

/// The allocator's own statistics, as text.
pub fn statistics() -> String {
    let mut text = String::new();
    let target: *mut String = &mut text;
    // SAFETY: `append` has the signature that is asked for and gets the pointer given here, which lives
    // until the call is over.
    unsafe { libmimalloc_sys::mi_stats_print_out(Some(append), target.cast()) };
    text
}

/// Adds a piece of the statistics to the `String` at `target`.
unsafe extern "C" fn append(piece: *const c_char, target: *mut c_void) {
    // SAFETY: the allocator hands over a string ended by NUL and the pointer that `statistics` gave it.
    unsafe { (*target.cast::<String>()).push_str(&CStr::from_ptr(piece).to_string_lossy()) };
}

// SAFETY: every call goes to mimalloc unchanged.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(block_bytes(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-block_bytes(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(block_bytes(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(block_bytes(new_size) - block_bytes(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.realloc(block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALLOCATED, Balance, InTransit, block_bytes, count};

    /// The test's allocator counts nothing by itself: what is seen here are the corrections alone.
    #[test]
    fn a_buffer_in_transit_counts_for_no_thread() {
        let counted = |work: fn()| {
            let before = ALLOCATED.get();
            work();
            ALLOCATED.get() - before
        };
        assert_eq!(counted(|| drop(InTransit::new(Vec::new()))), 0);
        assert_eq!(counted(|| drop(InTransit::new(vec![1; 5000]))), 0, "as one that was never sent");
        assert_eq!(counted(|| assert_eq!(InTransit::new(vec![1; 5000]).arrive(), [1; 5000])), 0);
        assert_eq!(counted(|| std::mem::forget(InTransit::new(vec![1; 5000]))), -block_bytes(5000));
    }

    #[test]
    fn a_balance_goes_over_once() {
        let helper = std::thread::spawn(|| {
            count(-100);
            let balance = Balance::take();
            assert_eq!(ALLOCATED.get(), 0);
            balance
        });
        let before = ALLOCATED.get();
        helper.join().unwrap().settle();
        assert_eq!(ALLOCATED.get(), before - 100);
        Balance::default().settle();
        assert_eq!(ALLOCATED.get(), before - 100);
    }

    #[test]
    fn the_number_of_the_option_is_that_of_this_mimalloc() {
        assert!(super::name().starts_with("mimalloc-3.3."), "see its options");
        // SAFETY: the function only reads.
        let multiplier = unsafe { libmimalloc_sys::mi_option_get(super::ARENA_PURGE_MULTIPLIER) };
        assert_eq!(multiplier, 1, "the default");
    }

    #[test]
    fn blocks_are_counted_as_large_as_they_are() {
        for size in (1..3000).chain((3000..1_200_000).step_by(1237)) {
            // SAFETY: the function only computes.
            let good = unsafe { libmimalloc_sys::mi_good_size(size) };
            assert_eq!(block_bytes(size), good as isize, "{size}");
        }
    }
}
