//! Lua's stack of values. Negative places count from the top; -1 is the top.

use std::ffi::{CStr, c_int};
use std::slice;

use mlua_sys as ffi;
use mlua_sys::lua_State;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such place.
    Absent,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Kind {
    /// The name that Lua's own messages use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Absent => "no value",
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::LightUserdata | Kind::Userdata => "userdata",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Thread => "thread",
        }
    }
}

/// Where a function on the call stack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name that its chunk was given: `@user_script`.
    pub source: String,
    /// The same as messages show it: `user_script`.
    pub shown: String,
    pub line: i32,
    pub is_native: bool,
}

impl Place {
    /// What Lua puts before messages: `user_script:1: `; nothing for native code.
    pub fn prefix(&self) -> String {
        match self.line {
            1.. => format!("{}:{}: ", self.shown, self.line),
            _ => String::new(),
        }
    }
}

/// A value that Lua keeps for us. Good until it is released, or its state is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference(pub(super) c_int);

/// A stack of values: that of one function call.
///
/// What is read from it borrows it, and what takes values off it borrows it alone: a string is good for as long as it
/// is on the stack, and Lua never moves one. Before pushing more than a few values `reserve` room for them.
pub struct Stack {
    raw: *mut lua_State,
}

/// Looking at values.
impl Stack {
    /// # Safety
    /// The state is one of `Lua::new`'s, or a thread of one, and is used through one `Stack` at a time.
    pub(super) unsafe fn new(raw: *mut lua_State) -> Stack {
        Stack { raw }
    }

    pub(super) fn raw(&self) -> *mut lua_State {
        self.raw
    }

    /// Number of values.
    pub fn len(&self) -> i32 {
        // SAFETY: the state is alive, as for all calls below.
        unsafe { ffi::lua_gettop(self.raw) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for so many values more; tells whether that is possible.
    pub fn reserve(&self, count: i32) -> bool {
        // SAFETY: it grows the stack or returns 0, without raising an error.
        unsafe { ffi::lua_checkstack(self.raw, count) != 0 }
    }

    /// The place, or one above the top, where there is no value, for one below the bottom, which must not be asked for.
    #[inline]
    fn checked(&self, index: i32) -> i32 {
        let len = self.len();
        if index < 0 && -index > len { len + 1 } else { index }
    }

    /// What the value at this place is.
    #[inline]
    pub fn kind(&self, index: i32) -> Kind {
        // SAFETY: the place is one that may be asked for.
        match unsafe { ffi::lua_type(self.raw, self.checked(index)) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TTHREAD => Kind::Thread,
            ffi::LUA_TNONE => Kind::Absent,
            _ => Kind::Userdata,
        }
    }

    /// The bytes of a string; none for any other value, numbers too.
    #[inline]
    pub fn bytes(&self, index: i32) -> Option<&[u8]> {
        // SAFETY: of a string `lua_tolstring` gives the address of its bytes, which stay where they are while the
        // string is on the stack; taking it off needs `&mut self`.
        let index = self.checked(index);
        unsafe {
            if ffi::lua_type(self.raw, index) != ffi::LUA_TSTRING {
                return None;
            }
            let mut len = 0;
            let start = ffi::lua_tolstring(self.raw, index, &mut len);
            Some(slice::from_raw_parts(start.cast(), len))
        }
    }

    /// The number; none for any other value, strings of digits too.
    #[inline]
    pub fn number(&self, index: i32) -> Option<f64> {
        let index = self.checked(index);
        // SAFETY: the place is one that may be asked for.
        unsafe { (ffi::lua_type(self.raw, index) == ffi::LUA_TNUMBER).then(|| ffi::lua_tonumber(self.raw, index)) }
    }

    /// The number, or the one that a string spells.
    pub fn to_number(&self, index: i32) -> Option<f64> {
        let index = self.checked(index);
        // SAFETY: the place is one that may be asked for.
        unsafe { (ffi::lua_isnumber(self.raw, index) != 0).then(|| ffi::lua_tonumber(self.raw, index)) }
    }

    /// Whether the value counts as true: it is neither false nor nil.
    pub fn truth(&self, index: i32) -> bool {
        // SAFETY: the place is one that may be asked for.
        unsafe { ffi::lua_toboolean(self.raw, self.checked(index)) != 0 }
    }

    /// An address that tells tables, functions and threads apart.
    pub fn identity(&self, index: i32) -> usize {
        // SAFETY: it takes any place.
        unsafe { ffi::lua_topointer(self.raw, index) as usize }
    }

    /// The same place counted from the bottom.
    pub fn absolute(&self, index: i32) -> i32 {
        if (-1_000_000..0).contains(&index) { self.len() + 1 + index } else { index }
    }

    /// Where the function that many levels up the call stack is (0: the one that runs).
    pub fn place(&self, level: i32) -> Option<Place> {
        // SAFETY: `lua_getinfo` fills the structure in that `lua_getstack` has begun; its texts end with a zero byte.
        unsafe {
            let mut debug: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.raw, level, &mut debug) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.raw, c"Sl".as_ptr(), &mut debug);
            let text = |start| CStr::from_ptr(start).to_string_lossy().into_owned();
            Some(Place {
                source: text(debug.source),
                shown: text(debug.short_src.as_ptr()),
                line: debug.currentline,
                is_native: CStr::from_ptr(debug.what) == c"C",
            })
        }
    }
}

/// How the native function that runs was called.
impl Stack {
    /// The name under which it was called, `?` if by none, and whether as a method.
    pub fn called_as(&self) -> (String, bool) {
        // SAFETY: as for `place`; the name is null or ends with a zero byte.
        unsafe {
            let mut debug: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.raw, 0, &mut debug) == 0 {
                return ("?".to_string(), false);
            }
            ffi::lua_getinfo(self.raw, c"n".as_ptr(), &mut debug);
            if debug.name.is_null() {
                return ("?".to_string(), false);
            }
            let name = CStr::from_ptr(debug.name).to_string_lossy().into_owned();
            (name, CStr::from_ptr(debug.namewhat) == c"method")
        }
    }
}

/// Pushing, and taking off.
impl Stack {
    /// Pushes nil.
    pub fn push_nil(&self) {
        // SAFETY: the caller has made sure that there is room, for this call and those below.
        unsafe { ffi::lua_pushnil(self.raw) }
    }

    /// Pushes a boolean.
    pub fn push_bool(&self, value: bool) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushboolean(self.raw, c_int::from(value)) }
    }

    /// Pushes a number.
    #[inline]
    pub fn push_number(&self, value: f64) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushnumber(self.raw, value) }
    }

    /// Pushes a string.
    #[inline]
    pub fn push_bytes(&self, value: &[u8]) {
        // SAFETY: as above; Lua copies the bytes.
        unsafe { ffi::lua_pushlstring_(self.raw, value.as_ptr().cast(), value.len()) }
    }

    /// Pushes the null pointer, which cjson takes for JSON's null.
    pub fn push_null(&self) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushlightuserdata(self.raw, std::ptr::null_mut()) }
    }

    /// Whether the value is that null pointer.
    pub fn is_null(&self, index: i32) -> bool {
        // SAFETY: both take any place.
        unsafe {
            ffi::lua_type(self.raw, index) == ffi::LUA_TLIGHTUSERDATA && ffi::lua_touserdata(self.raw, index).is_null()
        }
    }

    /// Pushes the value at a place once more.
    pub fn push_copy(&self, index: i32) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushvalue(self.raw, index) }
    }

    /// Pushes an empty table with room for so many elements and fields.
    #[inline]
    pub fn push_table(&self, elements: usize, fields: usize) {
        let bounded = |count: usize| c_int::try_from(count).unwrap_or(0).min(1 << 20);
        // SAFETY: as above.
        unsafe { ffi::lua_createtable(self.raw, bounded(elements), bounded(fields)) }
    }

    /// Takes the topmost values off. Panics if there are fewer.
    pub fn pop(&mut self, count: i32) {
        self.truncate(self.len() - count);
    }

    /// Takes all values off but the lowest. Panics if there are fewer.
    #[inline]
    pub fn truncate(&mut self, len: i32) {
        assert!(0 <= len && len <= self.len(), "only what is there is taken off");
        // SAFETY: there are so many.
        unsafe { ffi::lua_settop(self.raw, len) }
    }

    /// Moves the top down to a place, and what is from there on up.
    pub fn insert(&mut self, index: i32) {
        // SAFETY: places are those of values, as for all calls that take one.
        unsafe { ffi::lua_insert(self.raw, index) }
    }

    /// Takes the top off and puts it in the place of another value.
    pub fn replace(&mut self, index: i32) {
        // SAFETY: as above.
        unsafe { ffi::lua_replace(self.raw, index) }
    }

    /// Takes the top off and keeps it.
    pub fn keep(&mut self) -> Reference {
        // SAFETY: the registry is always there, and the top is a value.
        Reference(unsafe { ffi::luaL_ref(self.raw, ffi::LUA_REGISTRYINDEX) })
    }

    /// Takes the value at a place out.
    pub fn remove(&mut self, index: i32) {
        // SAFETY: as above.
        unsafe { ffi::lua_remove(self.raw, index) }
    }
}

/// Tables, all without metamethods.
impl Stack {
    /// Pushes an element of the table at a place.
    #[inline]
    pub fn push_element(&self, table: i32, number: i32) {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: it is a table; nothing is raised without metamethods, as for the calls below.
        unsafe { ffi::lua_rawgeti_(self.raw, table, number) }
    }

    /// Pushes a field of the table at a place.
    #[inline]
    pub fn push_field(&self, table: i32, name: &[u8]) {
        let table = self.absolute(table);
        debug_assert_eq!(self.kind(table), Kind::Table);
        self.push_bytes(name);
        // SAFETY: as above.
        unsafe { ffi::lua_rawget_(self.raw, table) }
    }

    /// Takes the top off and makes it an element of the table at a place.
    #[inline]
    pub fn set_element(&mut self, table: i32, number: i32) {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: as above.
        unsafe { ffi::lua_rawseti_(self.raw, table, number) }
    }

    /// Takes the top off and makes it a field of the table at a place.
    pub fn set_field(&mut self, table: i32, name: &[u8]) {
        let table = self.absolute(table);
        debug_assert_eq!(self.kind(table), Kind::Table);
        self.push_bytes(name);
        // SAFETY: the key is a string, never nil or NaN.
        unsafe {
            ffi::lua_insert(self.raw, -2);
            ffi::lua_rawset(self.raw, table);
        }
    }

    /// Takes a key and, above it, its value off and puts them into the table at a place.
    ///
    /// Panics if the key is nil or NaN.
    pub fn set_pair(&mut self, table: i32) {
        let key = self.kind(-2);
        assert!(key != Kind::Nil && self.number(-2).is_none_or(|number| !number.is_nan()));
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: the key may be one.
        unsafe { ffi::lua_rawset(self.raw, table) }
    }

    /// Replaces the key on top by the next key of the table at a place and its value; at the end takes it off and gives
    /// false. The first key follows nil.
    pub fn next(&mut self, table: i32) -> bool {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: the key is one of the table's, or nil: callers change no table while they walk through it.
        unsafe { ffi::lua_next(self.raw, table) != 0 }
    }

    /// A border of the table at a place (`#`), or the length of a string.
    pub fn length(&self, index: i32) -> usize {
        // SAFETY: it takes any place.
        unsafe { ffi::lua_objlen(self.raw, index) }
    }

    /// Pushes the metatable of the value at a place, if it has one.
    pub fn push_metatable(&self, index: i32) -> bool {
        // SAFETY: it takes any place.
        unsafe { ffi::lua_getmetatable(self.raw, index) != 0 }
    }
}
