-- What scripts find: made once for each Lua state, before any script runs.
--
-- Gets the native tables and functions as its first argument and gives back the table that stands for the globals, the one
-- behind it, and the one to put there while a library is loaded. No function of this chunk is left when it is over. Tables are made and filled
-- in the order in which Redis does it, since that is the order in which scripts walk through them.

local native = ...
local wrap, protect = native.wrap, native.protect

-- Lua's own functions with something in front of them, by name.
local base = {}
for name in ("next rawget rawset setmetatable getmetatable unpack collectgarbage pcall xpcall load loadstring tostring"):gmatch("%a+") do
  base[name] = wrap(name, _G[name])
end
base.pairs = wrap("pairs", next)

-- Functions that are there are replaced, which leaves the order as it is.
for name in ("concat insert remove sort maxn getn foreach foreachi"):gmatch("%a+") do
  table[name] = wrap(name, table[name])
end
for name, searches in pairs(native.string) do
  string[name] = searches
end
math.random, math.randomseed = native.random, native.randomseed

local libraries = {
  coroutine = coroutine, table = table, string = string, math = math, cjson = native.cjson,
  struct = native.struct, cmsgpack = native.cmsgpack, bit = native.bit, redis = native.redis,
}
local proxies = {}
for name, library in pairs(libraries) do
  proxies[name] = protect(library)
end

-- The globals, in Redis's order; what is there for a while only leaves its mark on that.
local G = native.globals
local names = [[_G assert collectgarbage error gcinfo getmetatable load loadstring next pcall rawequal rawget rawset select
  setmetatable tonumber tostring type unpack xpcall _VERSION ipairs pairs coroutine table string math debug cjson struct
  cmsgpack bit redis]]
for name in names:gmatch("%S+") do
  G[name] = proxies[name] or base[name] or _G[name] or true
end
G.debug = nil
G.__redis__err__handler = native.handler

local strings = getmetatable("")
strings.__index = string
native.show("", protect({ __index = G.string }))

-- JSON's null is shown as C shows a null pointer.
native.set_metatable(native.cjson.null, { __tostring = native.null_text })
native.show(native.cjson.null, false)

-- While a library is loaded there is but this.
local loading = { redis = protect(native.loading) }

local globals = protect(G)
G._G = globals
setmetatable(G, { __index = native.missing })
native.show(globals, protect({ __index = native.missing }))
setmetatable(loading, getmetatable(G))
setmetatable(native.loading, getmetatable(G))

return globals, G, loading
