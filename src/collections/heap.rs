//! Owns the memory of small blocks: records, and the blocks of the tables. Never hands a block to another thread.
//!
//! General allocators round sizes up by a tenth and more; here the steps are 8 bytes up to 1 KiB and a 64th above. The
//! memory lies together in large aligned chunks, which the system may back by huge pages where it has them at hand.
//! They are not asked for: to find one the kernel may move others about for ten milliseconds, at a touch, and this heap
//! is of a server that never delays the loop for so long.
//!
//! ```text
//! chunk, 4 MiB, aligned:  | header | unit 0 | unit 1 | … | unit 63 |     a unit is 64 KiB; the header takes from unit 0
//! span: 1, 3 or 7 units:  | block | block | … |   all of one size class
//! ```
//!
//! A block's span is found from its address and size alone: the chunk by masking, the unit by shifting. A span hands
//! out blocks that were freed first, then untouched ones from its start on, so that untouched memory stays untouched.
//! Each class has a list of spans that may have room. A span without blocks gives its units back to its chunk;
//! `trim_step` gives idle units, and chunks without spans, back to the system.

pub mod alone;
use crate::base::sys::memory;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

/// The largest block that is carved from a span, in bytes; larger ones come from the global allocator.
pub const MAX_BLOCK: usize = 16 * 1024;
/// Under the sanitizer of addresses all blocks come from the global allocator, whose blocks it watches one by one.
const CARVED_MAX: usize = if cfg!(sanitized) { 0 } else { MAX_BLOCK };

const CHUNK_BYTES: usize = 4 << 20;
const UNIT_BYTES: usize = 64 << 10;
const UNITS: usize = CHUNK_BYTES / UNIT_BYTES;
const ALL_UNITS: u64 = u64::MAX;

/// Blocks up to this size have classes of their own every eight bytes.
const FINE_MAX: usize = 1024;
const FINE_CLASSES: usize = FINE_MAX / 8;

/// Classes per doubling above.
const STEPS: usize = 64;
const CLASSES: usize = FINE_CLASSES + 4 * STEPS + 1;

/// How many chunks with free units are tried before a new one is reserved.
const CHUNK_TRIES: usize = 16;

/// The place of a class in the order of sizes.
#[inline]
fn class_of(size: usize) -> usize {
    if size <= FINE_MAX {
        return size.max(1).div_ceil(8);
    }
    let last = size - 1;
    let doubling = (last.ilog2() - FINE_MAX.ilog2()) as usize;
    let step = (last >> ((FINE_MAX / STEPS).ilog2() as usize + doubling)) - STEPS;
    FINE_CLASSES + doubling * STEPS + step + 1
}

fn block_bytes(class: usize) -> usize {
    if class <= FINE_CLASSES {
        return class * 8;
    }
    let above = class - FINE_CLASSES - 1;
    let step_bytes = (FINE_MAX / STEPS) << (above / STEPS);
    (STEPS + above % STEPS + 1) * step_bytes
}

/// How many units a span for blocks of this size has: so many that little is left over at its end.
#[inline]
fn span_units(block_bytes: usize) -> usize {
    match block_bytes {
        0..=FINE_MAX => 1,
        1025..=4096 => 3,
        _ => 7,
    }
}

/// What a free block holds.
struct FreeBlock {
    next: *mut FreeBlock,
}

/// A run of units with blocks of one size. The fields that every call needs share a cache line.
#[repr(align(64))]
struct Span {
    free: *mut FreeBlock,
    /// Where the untouched blocks begin.
    untouched: *mut u8,
    /// Up to where untouched blocks may be handed out before the next unit is counted as touched.
    limit: *mut u8,
    end: *mut u8,
    previous: *mut Span,
    next: *mut Span,
    used: u32,
    block_bytes: u16,
    /// Whether it is in its class's list.
    listed: bool,
}

impl Span {
    fn has_room(&self) -> bool {
        let untouched_bytes = self.limit.addr() - self.untouched.addr();
        !self.free.is_null() || untouched_bytes >= usize::from(self.block_bytes)
    }
}

struct Chunk {
    previous: *mut Chunk,
    next: *mut Chunk,
    /// Units without a span, one bit each.
    free_units: u64,
    /// Units that have memory behind them.
    touched: u64,
    /// The span that begins at each unit, if one does.
    spans: [Span; UNITS],
}

struct Heap {
    lists: [*mut Span; CLASSES],
    /// The chunks that have free units.
    chunks: *mut Chunk,
    chunk_count: usize,
    spare_chunks: usize,
    /// Units that have memory behind them and no span.
    idle_units: usize,
    allocated: usize,
    resident: usize,
    /// The part of both that the general allocator gave and counts: nothing if this heap counts alone.
    large: usize,
    counts_alone: bool,
}

thread_local! {
    /// Has no destructor, so that reaching it costs nothing: when a thread ends, its chunks stay reserved.
    static HEAP: UnsafeCell<Heap> = const { UnsafeCell::new(Heap::new()) };
}

/// The heap of this thread.
#[inline]
fn with<T>(operation: impl FnOnce(&mut Heap) -> T) -> T {
    // SAFETY: only this thread reaches its heap, and no operation of a heap calls back into `with`.
    HEAP.with(|heap| operation(unsafe { &mut *heap.get() }))
}

/// A block of at least `size` bytes, 8-byte aligned; 64-byte aligned if `size` is a multiple of 64 and at most
/// [`MAX_BLOCK`]. O(1).
#[inline]
pub fn allocate(size: usize) -> NonNull<u8> {
    if size > CARVED_MAX {
        return allocate_large(size);
    }
    with(|heap| heap.allocate(class_of(size)))
}

/// Gives a block back. O(1).
///
/// # Safety
/// This thread must have got the block from [`allocate`] for `size`, or for another size with the same [`class_size`],
/// and it must not be used any more.
#[inline]
pub unsafe fn free(block: NonNull<u8>, size: usize) {
    // SAFETY: the caller vouches for the block and its size.
    unsafe {
        if size > CARVED_MAX {
            return free_large(block, size);
        }
        with(|heap| heap.free(block.as_ptr(), class_of(size)));
    }
}

/// The usable bytes of the block that [`allocate`] gives for `size`.
#[inline]
pub fn class_size(size: usize) -> usize {
    if size > CARVED_MAX { size } else { block_bytes(class_of(size)) }
}

/// Bytes of all blocks that are in use by this thread. O(1).
pub fn allocated_bytes() -> usize {
    with(|heap| heap.allocated)
}

/// The part of [`allocated_bytes`] that the general allocator gave, and counts as well. O(1).
pub fn large_bytes() -> usize {
    with(|heap| heap.large)
}

/// Bytes of memory that this thread's heap takes from the system, in use or not. O(1).
pub fn resident_bytes() -> usize {
    with(|heap| heap.resident)
}

/// Takes the spans that hold no block from their classes, so that their memory can be given back. O(classes).
pub fn retire_empty_spans() {
    with(Heap::retire_empty_spans);
}

/// Gives a piece of the memory that is not in use back to the system, until no more than a reserve is left; says
/// whether there may be more. A piece is 256 KiB: the system needs some 0.2 ms for one.
pub fn trim_step(reserve_bytes: usize) -> bool {
    with(|heap| heap.trim_step(reserve_bytes))
}

fn large_layout(size: usize) -> Layout {
    let alignment = if cfg!(sanitized) && size.is_multiple_of(64) { 64 } else { 8 };
    match Layout::from_size_align(size, alignment) {
        Ok(layout) => layout,
        Err(_) => panic!("a block of {size} bytes does not exist"),
    }
}

#[cold]
fn allocate_large(size: usize) -> NonNull<u8> {
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(large_layout(size)) };
    with(|heap| {
        heap.allocated += size;
        heap.resident += size;
        heap.large += if heap.counts_alone { 0 } else { size };
    });
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(large_layout(size)))
}

/// # Safety
/// As for `free`; the size must be above `MAX_BLOCK`.
#[cold]
unsafe fn free_large(block: NonNull<u8>, size: usize) {
    with(|heap| {
        heap.allocated -= size;
        heap.resident -= size;
        heap.large -= if heap.counts_alone { 0 } else { size };
    });
    // SAFETY: the caller vouches that `allocate_large` gave it.
    unsafe { dealloc(block.as_ptr(), large_layout(size)) };
}

fn chunk_of(address: *mut u8) -> *mut Chunk {
    address.map_addr(|address| address & !(CHUNK_BYTES - 1)).cast()
}

/// The span of a block of this size.
///
/// # Safety
/// The block must lie in a chunk of this thread.
#[inline]
unsafe fn span_of(block: *mut u8, block_bytes: usize) -> *mut Span {
    let unit = block.addr() % CHUNK_BYTES / UNIT_BYTES;
    let first = first_of_span(unit, span_units(block_bytes));
    // SAFETY: the chunk is alive; the index is below `UNITS`.
    unsafe { (&raw mut (*chunk_of(block)).spans).cast::<Span>().add(first) }
}

// SAFETY, for all of `Heap`: spans and chunks are reached only through the lists and through blocks that are in use.
// Both lead to chunks that are mapped, since a chunk goes back to the system only when it has no span. All belong to
// this thread.
impl Heap {
    const fn new() -> Heap {
        Heap {
            lists: [ptr::null_mut(); CLASSES],
            chunks: ptr::null_mut(),
            chunk_count: 0,
            spare_chunks: 0,
            idle_units: 0,
            allocated: 0,
            resident: 0,
            large: 0,
            counts_alone: false,
        }
    }

    #[inline]
    fn allocate(&mut self, class: usize) -> NonNull<u8> {
        let span = self.lists[class];
        if span.is_null() {
            return self.allocate_slowly(class);
        }
        // SAFETY: see `impl Heap`. A free block was in use before, so it can hold a `FreeBlock`.
        unsafe {
            let size = usize::from((*span).block_bytes);
            let block = (*span).free;
            if let Some(block) = NonNull::new(block) {
                (*span).free = (*block.as_ptr()).next;
                (*span).used += 1;
                self.allocated += size;
                return block.cast();
            }
            let block = (*span).untouched;
            if size <= (*span).limit.addr() - block.addr() {
                (*span).untouched = block.add(size);
                (*span).used += 1;
                self.allocated += size;
                return NonNull::new_unchecked(block);
            }
        }
        self.allocate_slowly(class)
    }

    /// Finds room where the class's first span has none at once.
    #[cold]
    fn allocate_slowly(&mut self, class: usize) -> NonNull<u8> {
        // SAFETY: see `impl Heap`.
        unsafe {
            loop {
                let span = self.lists[class];
                if span.is_null() {
                    self.new_span(class);
                } else if (*span).has_room() {
                    return self.allocate(class);
                } else if (*span).limit < (*span).end {
                    self.touch_next_unit(span);
                } else {
                    self.unlist(span, class);
                }
            }
        }
    }

    /// # Safety
    /// As for [`free`].
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, class: usize) {
        // SAFETY: see `impl Heap`; the caller vouches for the block.
        unsafe {
            let size = block_bytes(class);
            let span = span_of(block, size);
            debug_assert_eq!(usize::from((*span).block_bytes), size);
            let block = block.cast::<FreeBlock>();
            block.write(FreeBlock { next: (*span).free });
            (*span).free = block;
            (*span).used -= 1;
            self.allocated -= size;
            if !(*span).listed || (*span).used == 0 {
                self.settle(span, class);
            }
        }
    }

    /// Lists a span that has room again, or retires one without blocks unless it is its class's only one.
    ///
    /// # Safety
    /// The span must be of that class.
    #[cold]
    unsafe fn settle(&mut self, span: *mut Span, class: usize) {
        // SAFETY: see `impl Heap`.
        unsafe {
            if !(*span).listed {
                self.list(span, class);
            }
            let only = self.lists[class] == span && (*span).next.is_null();
            if (*span).used == 0 && !only {
                self.retire(span, class);
            }
        }
    }

    unsafe fn list(&mut self, span: *mut Span, class: usize) {
        // SAFETY: see `impl Heap`.
        unsafe {
            let head = self.lists[class];
            (*span).previous = ptr::null_mut();
            (*span).next = head;
            (*span).listed = true;
            if !head.is_null() {
                (*head).previous = span;
            }
        }
        self.lists[class] = span;
    }

    unsafe fn unlist(&mut self, span: *mut Span, class: usize) {
        // SAFETY: see `impl Heap`.
        unsafe {
            let (previous, next) = ((*span).previous, (*span).next);
            (*span).listed = false;
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.lists[class] = next;
            } else {
                (*previous).next = next;
            }
        }
    }

    /// Gives the units of a listed span without blocks back to its chunk.
    unsafe fn retire(&mut self, span: *mut Span, class: usize) {
        // SAFETY: see `impl Heap`.
        unsafe {
            self.unlist(span, class);
            let chunk = chunk_of(span.cast());
            let first = span.offset_from((&raw const (*chunk).spans).cast::<Span>()) as usize;
            let units = span_units(block_bytes(class));
            if (*chunk).free_units == 0 {
                self.list_chunk(chunk);
            }
            let run = run_of_units(first, units);
            (*chunk).free_units |= run;
            self.idle_units += idle_of(chunk, run);
            if (*chunk).free_units == ALL_UNITS {
                self.spare_chunks += 1;
            }
        }
    }

    fn new_span(&mut self, class: usize) {
        let size = block_bytes(class);
        let units = span_units(size);
        let mut chunk = self.chunks;
        // SAFETY: see `impl Heap`. The span's fields are set before it is listed.
        unsafe {
            let mut found = None;
            for _ in 0..CHUNK_TRIES {
                if chunk.is_null() || found.is_some() {
                    break;
                }
                found = free_run((*chunk).free_units, units).map(|first| (chunk, first));
                chunk = (*chunk).next;
            }
            let (chunk, first) = found.unwrap_or_else(|| {
                let first = usize::from(units > 1);
                (self.new_chunk(), first)
            });
            if (*chunk).free_units == ALL_UNITS {
                self.spare_chunks -= 1;
            }
            let run = run_of_units(first, units);
            (*chunk).free_units &= !run;
            self.idle_units -= idle_of(chunk, run);
            if (*chunk).free_units == 0 {
                self.unlist_chunk(chunk);
            }
            let base = chunk.cast::<u8>();
            let header = if first == 0 { size_of::<Chunk>() } else { 0 };
            let span = (&raw mut (*chunk).spans).cast::<Span>().add(first);
            span.write(Span {
                free: ptr::null_mut(),
                untouched: base.add(first * UNIT_BYTES + header),
                limit: base.add(first * UNIT_BYTES),
                end: base.add((first + units) * UNIT_BYTES),
                previous: ptr::null_mut(),
                next: ptr::null_mut(),
                used: 0,
                block_bytes: size as u16,
                listed: true,
            });
            self.touch_next_unit(span);
            self.list(span, class);
        }
    }

    /// Moves a span's limit on by a unit and counts that as resident.
    unsafe fn touch_next_unit(&mut self, span: *mut Span) {
        // SAFETY: see `impl Heap`; the limit is a unit or more below the end.
        unsafe {
            let chunk = chunk_of(span.cast());
            let unit = (*span).limit.offset_from(chunk.cast::<u8>()) as usize / UNIT_BYTES;
            (*span).limit = (*span).limit.add(UNIT_BYTES);
            let units = 1 << unit;
            self.resident += UNIT_BYTES * (units & !(*chunk).touched).count_ones() as usize;
            (*chunk).touched |= units;
        }
    }

    fn new_chunk(&mut self) -> *mut Chunk {
        let layout = Layout::new::<Chunk>();
        let block = memory::reserve(CHUNK_BYTES, CHUNK_BYTES).unwrap_or_else(|| handle_alloc_error(layout));
        let chunk = block.cast::<Chunk>().as_ptr();
        // SAFETY: the memory is fresh, aligned and zeroed; zeros are valid spans (`new_span` fills them in before use).
        unsafe {
            (*chunk).free_units = ALL_UNITS;
            self.list_chunk(chunk);
        }
        self.chunk_count += 1;
        self.spare_chunks += 1;
        chunk
    }

    unsafe fn list_chunk(&mut self, chunk: *mut Chunk) {
        // SAFETY: see `impl Heap`.
        unsafe {
            (*chunk).previous = ptr::null_mut();
            (*chunk).next = self.chunks;
            if !self.chunks.is_null() {
                (*self.chunks).previous = chunk;
            }
        }
        self.chunks = chunk;
    }

    unsafe fn unlist_chunk(&mut self, chunk: *mut Chunk) {
        // SAFETY: see `impl Heap`.
        unsafe {
            let (previous, next) = ((*chunk).previous, (*chunk).next);
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.chunks = next;
            } else {
                (*previous).next = next;
            }
        }
    }

    /// Gives a chunk without spans back to the system.
    unsafe fn release_chunk(&mut self, chunk: *mut Chunk) {
        // SAFETY: see `impl Heap`.
        unsafe {
            self.unlist_chunk(chunk);
            self.resident -= UNIT_BYTES * (*chunk).touched.count_ones() as usize;
            memory::release(NonNull::new_unchecked(chunk.cast()), CHUNK_BYTES, CHUNK_BYTES);
        }
        self.spare_chunks -= 1;
        self.chunk_count -= 1;
    }

    fn retire_empty_spans(&mut self) {
        for class in 1..CLASSES {
            let span = self.lists[class];
            // SAFETY: see `impl Heap`.
            unsafe {
                if !span.is_null() && (*span).used == 0 {
                    self.retire(span, class);
                }
            }
        }
    }

    fn trim_step(&mut self, reserve_bytes: usize) -> bool {
        let spare_chunks = usize::from(reserve_bytes > 0);
        if self.idle_units * UNIT_BYTES <= reserve_bytes && self.spare_chunks <= spare_chunks {
            return false;
        }
        let mut chunk = self.chunks;
        // SAFETY: see `impl Heap`. Memory is given back only of units without spans, which are unused; unit 0, with the
        // header, goes with its chunk.
        unsafe {
            while !chunk.is_null() {
                let idle = (*chunk).free_units & (*chunk).touched & !1;
                if idle != 0 {
                    self.give_back_some(chunk, idle);
                    return true;
                }
                if (*chunk).free_units == ALL_UNITS && (self.spare_chunks > 1 || reserve_bytes == 0) {
                    self.release_chunk(chunk);
                    return true;
                }
                chunk = (*chunk).next;
            }
        }
        false
    }

    /// Gives back the memory of the first few of a chunk's idle units.
    unsafe fn give_back_some(&mut self, chunk: *mut Chunk, idle: u64) {
        /// The system takes some microseconds for each page, and there are 16 in a unit.
        const UNITS_PER_STEP: u32 = 4;
        let first = idle.trailing_zeros() as usize;
        let length = (idle >> first).trailing_ones().min(UNITS_PER_STEP) as usize;
        self.idle_units -= length;
        self.resident -= UNIT_BYTES * length;
        // SAFETY: the caller guarantees that the units are unused.
        unsafe {
            (*chunk).touched &= !run_of_units(first, length);
            let start = chunk.cast::<u8>().add(first * UNIT_BYTES);
            memory::give_back(NonNull::new_unchecked(start), length * UNIT_BYTES);
        }
    }
}

/// How many of these units, which have no span, have memory behind them that could be given back.
///
/// # Safety
/// The chunk must be alive.
unsafe fn idle_of(chunk: *mut Chunk, run: u64) -> usize {
    // SAFETY: the caller vouches for it.
    unsafe { ((*chunk).touched & run & !1).count_ones() as usize }
}

fn run_of_units(first: usize, length: usize) -> u64 {
    (ALL_UNITS >> (UNITS - length)) << first
}

/// The unit where the span begins that unit `unit` belongs to, for spans of so many units. Behind the first unit, where
/// the header is, spans of three units and of seven fill a chunk without a gap.
#[inline]
fn first_of_span(unit: usize, units: usize) -> usize {
    if units == 1 { unit } else { 1 + (unit - 1) / units * units }
}

/// The first of so many free units in a row where a span of that length may begin.
fn free_run(free_units: u64, units: usize) -> Option<usize> {
    let free = |first: &usize| {
        let run = run_of_units(*first, units);
        free_units & run == run
    };
    if units == 1 {
        return (free_units != 0).then(|| free_units.trailing_zeros() as usize);
    }
    (1..UNITS).step_by(units).find(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_fine_and_cover_every_size() {
        for size in 1..=MAX_BLOCK {
            let usable = class_size(size);
            assert!(usable >= size && usable - size <= (size / 32).max(7), "{size} {usable}");
            assert_eq!(class_of(usable), class_of(size));
            assert!(!size.is_multiple_of(64) || usable.is_multiple_of(64));
        }
        assert_eq!(class_of(MAX_BLOCK), CLASSES - 1);
        assert_eq!(class_size(MAX_BLOCK + 1), MAX_BLOCK + 1);
    }

    /// A block that the test fills with a pattern of its own.
    struct Filled {
        block: NonNull<u8>,
        size: usize,
        pattern: u8,
    }

    impl Filled {
        fn new(size: usize, pattern: u8) -> Filled {
            let block = allocate(size);
            assert!(block.addr().get().is_multiple_of(8));
            assert!(!size.is_multiple_of(64) || size > MAX_BLOCK || block.addr().get().is_multiple_of(64));
            // SAFETY: the block has `class_size(size)` bytes.
            unsafe { block.write_bytes(pattern, class_size(size)) };
            Filled { block, size, pattern }
        }
    }

    impl Drop for Filled {
        fn drop(&mut self) {
            // SAFETY: the block has these bytes and is freed once.
            unsafe {
                let bytes = std::slice::from_raw_parts(self.block.as_ptr(), class_size(self.size));
                assert!(bytes.iter().all(|&byte| byte == self.pattern));
                free(self.block, self.size);
            }
        }
    }

    fn random_size(random: &mut fastrand::Rng) -> usize {
        match random.u32(..10) {
            0..7 => random.usize(1..200),
            7 => random.usize(1..2000),
            // Miri takes a second for some thousand bytes.
            _ if cfg!(miri) => random.usize(1..400),
            8 => random.usize(1..=MAX_BLOCK),
            _ => random.usize(MAX_BLOCK..3 * MAX_BLOCK),
        }
    }

    #[test]
    fn blocks_do_not_overlap_and_all_memory_comes_back() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut blocks = Vec::new();
        let mut expected = 0;
        for round in 0..6 {
            let target = match round % 2 {
                0 if cfg!(miri) => 120,
                0 => 25_000,
                _ if cfg!(miri) => 20,
                _ => 300,
            };
            while blocks.len() != target {
                if blocks.len() < target && random.u32(..4) > 0 || blocks.is_empty() {
                    let block = Filled::new(random_size(&mut random), random.u8(..));
                    expected += class_size(block.size);
                    blocks.push(block);
                } else {
                    let freed = blocks.swap_remove(random.usize(..blocks.len()));
                    expected -= class_size(freed.size);
                }
            }
            assert_eq!(allocated_bytes(), expected);
            assert!(resident_bytes() >= expected);
        }
        blocks.clear();
        assert_eq!(allocated_bytes(), 0);
        retire_empty_spans();
        while trim_step(0) {}
        assert_eq!(resident_bytes(), 0);
        drop(Filled::new(100, 1));
    }

    #[test]
    fn trim_gives_back_free_units_of_chunks_in_use() {
        let (count, step) = if cfg!(miri) { (300, 200) } else { (64_000, 4000) };
        let blocks: Vec<Filled> = (0..count).map(|_| Filled::new(1000, 7)).collect();
        let full = resident_bytes();
        assert!(full < (count + 2000) * 1000, "{full}");
        let kept = blocks.into_iter().enumerate().filter(|(index, _)| index % step == 0);
        let kept: Vec<Filled> = kept.map(|(_, block)| block).collect();
        retire_empty_spans();
        while trim_step(0) {}
        assert_eq!(allocated_bytes(), kept.len() * 1000);
        assert!(resident_bytes() < full / 2, "{}", resident_bytes());
    }
}
