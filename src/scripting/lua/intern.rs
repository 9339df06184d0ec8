//! Lua's table of strings, in which each string lies once. Stands in for the part of Lua of the same names
//! (`lstring.c`), which the linker then leaves out. The one difference is Redis's: all bytes of a string go into its
//! hash. Lua leaves bytes of long strings out, so strings that differ in those alone collide, as many as a client likes
//! to make; and tables with long keys are walked in another order.
//!
//! The structures are those of Lua 5.1.5, whose sources are fixed.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use mlua_sys::{LUA_TSTRING, LUA_TUSERDATA, lua_Alloc, lua_State};

unsafe extern "C-unwind" {
    /// Lua's own: allocates, or raises an error.
    fn luaM_realloc_(raw: *mut lua_State, block: *mut c_void, old_bytes: usize, bytes: usize) -> *mut c_void;
    fn luaM_toobig(raw: *mut lua_State) -> *mut c_void;
}

/// What every object begins with that Lua collects.
#[repr(C)]
struct Object {
    next: *mut Object,
    kind: u8,
    marked: u8,
}

/// A string; its bytes follow, and a zero byte.
#[repr(C)]
struct Text {
    next: *mut Object,
    kind: u8,
    marked: u8,
    reserved: u8,
    hash: u32,
    len: usize,
}

/// A userdata; its bytes follow.
#[repr(C)]
struct Userdata {
    next: *mut Object,
    kind: u8,
    marked: u8,
    metatable: *mut c_void,
    environment: *mut c_void,
    len: usize,
}

/// The table of all strings: chains by hash.
#[repr(C)]
struct Texts {
    chains: *mut *mut Object,
    count: u32,
    size: c_int,
}

/// What all coroutines of a state share, up to what is used here.
#[repr(C)]
struct Shared {
    texts: Texts,
    allocate: lua_Alloc,
    user: *mut c_void,
    current_white: u8,
    collector_state: u8,
    sweep_position: c_int,
    lists: [*mut c_void; 6],
    buffer: [usize; 3],
    sizes: [usize; 4],
    pause: [c_int; 2],
    panic: *mut c_void,
    registry: [u64; 2],
    main: *mut Object,
}

/// The beginning of a state.
#[repr(C)]
struct State {
    next: *mut Object,
    kind: u8,
    marked: u8,
    status: u8,
    top: *mut c_void,
    base: *mut c_void,
    shared: *mut Shared,
}

/// The bits of an object's mark that tell whether it is alive.
const WHITE_BITS: u8 = 3;
/// The collector walks through the table of strings.
const SWEEPS_TEXTS: u8 = 2;

/// All bytes of a text, from the last to the first.
fn hash_of(bytes: &[u8]) -> u32 {
    let seed = bytes.len() as u32;
    bytes
        .iter()
        .rev()
        .fold(seed, |hash, byte| hash ^ (hash << 5).wrapping_add(hash >> 2).wrapping_add(u32::from(*byte)))
}

unsafe fn shared_of<'a>(raw: *mut lua_State) -> &'a mut Shared {
    // SAFETY: a state begins so, and what it points to lives as long.
    unsafe { &mut *(*raw.cast::<State>()).shared }
}

/// The string of these bytes: the one that is there, or a new one.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn luaS_newlstr(raw: *mut lua_State, start: *const c_char, len: usize) -> *mut c_void {
    // SAFETY: Lua calls this with a state and with bytes that outlive the call. Its chains hold strings alone. What is
    // raised for want of memory crosses nothing with a destructor.
    unsafe {
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), len);
        let hash = hash_of(bytes);
        let shared = shared_of(raw);
        let other_white = (shared.current_white ^ WHITE_BITS) & WHITE_BITS;
        let chain = hash as usize & (shared.texts.size as usize - 1);
        let mut object = *shared.texts.chains.add(chain);
        while !object.is_null() {
            let text = object.cast::<Text>();
            if (*text).len == len && std::slice::from_raw_parts(text.add(1).cast::<u8>(), len) == bytes {
                // It may be one that the collector was about to free.
                if (*text).marked & other_white != 0 {
                    (*text).marked ^= WHITE_BITS;
                }
                return text.cast();
            }
            object = (*object).next;
        }
        make(raw, bytes, hash)
    }
}

#[cold]
unsafe fn make(raw: *mut lua_State, bytes: &[u8], hash: u32) -> *mut c_void {
    // SAFETY: as above.
    unsafe {
        let len = bytes.len();
        if len > usize::MAX / 4 {
            luaM_toobig(raw);
        }
        let text = luaM_realloc_(raw, ptr::null_mut(), 0, size_of::<Text>() + len + 1).cast::<Text>();
        let shared = shared_of(raw);
        let texts = &mut shared.texts;
        let chain = texts.chains.add(hash as usize & (texts.size as usize - 1));
        text.write(Text {
            next: *chain,
            kind: LUA_TSTRING as u8,
            marked: shared.current_white & WHITE_BITS,
            reserved: 0,
            hash,
            len,
        });
        let place = text.add(1).cast::<u8>();
        ptr::copy_nonoverlapping(bytes.as_ptr(), place, len);
        place.add(len).write(0);
        *chain = text.cast();
        texts.count += 1;
        if texts.count > texts.size as u32 && texts.size <= c_int::MAX / 2 {
            luaS_resize(raw, texts.size * 2);
        }
        text.cast()
    }
}

/// Gives the table of strings another number of chains, a power of two.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn luaS_resize(raw: *mut lua_State, size: c_int) {
    // SAFETY: as above; each string is moved from its old chain to its new one.
    unsafe {
        if shared_of(raw).collector_state == SWEEPS_TEXTS {
            return;
        }
        let bytes_of = |size: c_int| size as usize * size_of::<*mut Object>();
        let chains = luaM_realloc_(raw, ptr::null_mut(), 0, bytes_of(size)).cast::<*mut Object>();
        for chain in 0..size as usize {
            chains.add(chain).write(ptr::null_mut());
        }
        let texts = &mut shared_of(raw).texts;
        for old in 0..texts.size as usize {
            let mut object = *texts.chains.add(old);
            while !object.is_null() {
                let next = (*object).next;
                let hash = (*object.cast::<Text>()).hash;
                let chain = chains.add(hash as usize & (size as usize - 1));
                (*object).next = *chain;
                *chain = object;
                object = next;
            }
        }
        luaM_realloc_(raw, texts.chains.cast(), bytes_of(texts.size), 0);
        texts.size = size;
        texts.chains = chains;
    }
}

/// A new userdata.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn luaS_newudata(raw: *mut lua_State, len: usize, environment: *mut c_void) -> *mut c_void {
    // SAFETY: as above; userdata stand behind the main state in the list of all objects.
    unsafe {
        if len > usize::MAX / 4 {
            luaM_toobig(raw);
        }
        let userdata = luaM_realloc_(raw, ptr::null_mut(), 0, len + size_of::<Userdata>()).cast::<Userdata>();
        let shared = shared_of(raw);
        userdata.write(Userdata {
            next: (*shared.main).next,
            kind: LUA_TUSERDATA as u8,
            marked: shared.current_white & WHITE_BITS,
            metatable: ptr::null_mut(),
            environment,
            len,
        });
        (*shared.main).next = userdata.cast();
        userdata.cast()
    }
}
