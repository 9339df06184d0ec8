-- What scripts find: made once for each Lua state, before any script runs.
--
-- Gets the native tables and functions as its first argument and gives back the table that stands for the globals, the one
-- behind it, and the one to put there while a library is loaded. Nothing that scripts share can be changed by them: it is behind proxies, empty tables whose metatables read
-- what is behind them and refuse to write.

local native = ...
local readonly = "Attempt to modify a readonly table"

local error, type, select, setmetatable, getmetatable = error, type, select, setmetatable, getmetatable
local rawget, rawset, next, pairs, pcall = rawget, rawset, next, pairs, pcall
local loadstring, collectgarbage, tostring, tonumber = loadstring, collectgarbage, tostring, tonumber
local byte, sub, concat = string.byte, string.sub, table.concat
local insert, remove, sort = table.insert, table.remove, table.sort
local foreach, foreachi = table.foreach, table.foreachi
local floor, gsub, debug_getmetatable = math.floor, string.gsub, debug.getmetatable

jit.off()

-- By proxy, what is behind it; by metatable, what scripts see of it (false: nothing).
local behind, shown = {}, {}

local function refuse()
  error(readonly, 2)
end

local function protect(real)
  local proxy = {}
  local meta = { __index = real, __newindex = refuse }
  behind[proxy] = real
  shown[meta] = false
  return setmetatable(proxy, meta), meta
end

local function choose(from, names)
  local chosen = {}
  for name in names:gmatch("%S+") do
    chosen[name] = from[name]
  end
  return chosen
end

local G = choose(_G, [[assert coroutine error gcinfo ipairs rawequal select tonumber type unpack _VERSION]])

-- As the metamethod of its own name LuaJIT's own would go round and round where nothing can stop it.
function G.tostring(...)
  return tostring(...)
end

-- Functions that go around metatables, taught about proxies. Those that are left are called last, so that errors in their
-- arguments are told of as ever.

function G.next(t, ...)
  return next(behind[t] or t, ...)
end

function G.pairs(t, ...)
  local real = behind[t]
  if real then
    return next, real, nil
  end
  return pairs(t, ...)
end

function G.rawget(t, ...)
  return rawget(behind[t] or t, ...)
end

function G.rawset(t, ...)
  if behind[t] then
    error(readonly, 0)
  end
  return rawset(t, ...)
end

function G.setmetatable(t, ...)
  if behind[t] then
    error(readonly, 0)
  end
  return setmetatable(t, ...)
end

function G.getmetatable(...)
  local meta = getmetatable(...)
  local seen = shown[meta]
  if seen == nil then
    return meta
  end
  return seen or nil
end

-- An error reply that is raised is a table; whoever catches it gets its text.
local function unwrap(ok, failure, ...)
  if not ok and type(failure) == "table" then
    local text = rawget(failure, "err")
    if type(text) == "string" then
      return ok, text
    end
  end
  return ok, failure, ...
end

function G.pcall(...)
  return unwrap(pcall(...))
end

-- The handler is called when the stack is unwound already: while an error of the hook's is handled, the hook is switched off.
local function handle(handler, ok, failure, ...)
  if ok then
    return ok, failure, ...
  end
  return false, select(2, pcall(handler, failure))
end

function G.xpcall(work, handler)
  return handle(handler, pcall(work))
end

-- Text only: compiled code could do anything.
function G.load(chunk, name)
  if type(chunk) ~= "function" then
    local got = chunk == nil and "no value" or type(chunk)
    error("bad argument #1 to 'load' (function expected, got " .. got .. ")", 2)
  end
  -- The pieces are gathered here: what is raised while the compiler waits for one would leave the hook switched off.
  local parts = {}
  while true do
    local ok, piece = pcall(chunk)
    if not ok then
      return nil, piece
    elseif piece == nil or piece == "" then
      break
    elseif type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    parts[#parts + 1] = piece
  end
  return G.loadstring(concat(parts), name or "=(load)")
end

function G.loadstring(text, name)
  if type(text) == "string" and byte(text) == 27 then
    return nil, "bytecode is not allowed"
  end
  return loadstring(text, name, "t")
end

-- The pace of the collection is the server's own matter.
function G.collectgarbage(option, ...)
  if option == "stop" or option == "restart" or option == "setpause" or option == "setstepmul" then
    return 0
  end
  return collectgarbage(option, ...)
end

function G.__redis__err__handler(failure)
  return failure
end

local lib = {}

lib.table = choose(table, [[concat foreach foreachi getn insert maxn remove sort]])

function lib.table.insert(t, ...)
  if behind[t] then
    error(readonly, 0)
  end
  return insert(t, ...)
end

function lib.table.remove(t, ...)
  if behind[t] then
    error(readonly, 0)
  end
  return remove(t, ...)
end

-- Nothing can stop LuaJIT's sort where it compares by itself, so what is not small is sorted here, as Lua 5.1 does it: a quicksort
-- by the median of three, the smaller part first. Values that compare as equal end up in the same order as there.

local SORTED_BY_NATIVE_MAX = 1000
local disorder = "invalid order function for sorting"

local function less_by_default(a, b)
  return a < b
end

-- Brings the ends and the middle of a part into order; gives the middle, or nothing if that was all.
local function order_three(t, less, first, last)
  if less(t[last], t[first]) then
    t[first], t[last] = t[last], t[first]
  end
  if last - first == 1 then
    return nil
  end
  local middle = floor((first + last) / 2)
  if less(t[middle], t[first]) then
    t[middle], t[first] = t[first], t[middle]
  elseif less(t[last], t[middle]) then
    t[middle], t[last] = t[last], t[middle]
  end
  return last - first > 2 and middle or nil
end

-- Parts a part that has been through `order_three` in two around the value in its middle; gives where that comes to lie.
local function part(t, less, first, middle, last)
  local pivot = t[middle]
  t[middle], t[last - 1] = t[last - 1], pivot
  local low, high = first, last - 1
  while true do
    low = low + 1
    while less(t[low], pivot) do
      if low > last then
        error(disorder, 0)
      end
      low = low + 1
    end
    high = high - 1
    while less(pivot, t[high]) do
      if high < first then
        error(disorder, 0)
      end
      high = high - 1
    end
    if high < low then
      t[last - 1], t[low] = t[low], t[last - 1]
      return low
    end
    t[low], t[high] = t[high], t[low]
  end
end

local function order(t, less, first, last)
  while first < last do
    local middle = order_three(t, less, first, last)
    if not middle then
      return
    end
    local place = part(t, less, first, middle, last)
    if place - first < last - place then
      order(t, less, first, place - 1)
      first = place + 1
    else
      order(t, less, place + 1, last)
      last = place - 1
    end
  end
end

local function sort_large(t, less)
  local list = t
  if debug_getmetatable(t) then
    list = {}
    for place = 1, #t do
      list[place] = rawget(t, place)
    end
  end
  local ok, failure = pcall(order, list, less or less_by_default, 1, #list)
  if not ok then
    if failure == disorder then
      error(failure, 2)
    end
    -- Where in this file values could not be compared is of no interest.
    error(type(failure) == "string" and gsub(failure, "^sandbox:%d+: ", "") or failure, 0)
  end
  if list ~= t then
    for place = 1, #list do
      rawset(t, place, list[place])
    end
  end
end

function lib.table.sort(t, ...)
  if behind[t] then
    error(readonly, 0)
  end
  local less = ...
  local is_fit = type(t) == "table" and (less == nil or type(less) == "function")
  if is_fit and #t > SORTED_BY_NATIVE_MAX then
    return sort_large(t, less)
  end
  return sort(t, ...)
end

function lib.table.foreach(t, ...)
  return foreach(behind[t] or t, ...)
end

function lib.table.setn()
  error("'setn' is obsolete", 2)
end

lib.string = choose(string, [[byte char dump format len lower rep reverse sub upper]])

-- Searches that can be stopped.
local search, walk, substitute = native.searches.search, native.searches.walk, native.searches.gsub
lib.string.find, lib.string.match = native.searches.find, native.searches.match

local function text(value, index, name)
  local kind = type(value)
  if kind == "number" then
    return tostring(value)
  elseif kind ~= "string" then
    if kind == "nil" then
      kind = "no value"
    end
    error("bad argument #" .. index .. " to '" .. name .. "' (string expected, got " .. kind .. ")", 3)
  end
  return value
end

function lib.string.gmatch(s, pattern)
  s, pattern = text(s, 1, "gmatch"), text(pattern, 2, "gmatch")
  local at = 1
  local function step(next_at, ...)
    at = next_at
    return ...
  end
  return function()
    return step(walk(s, pattern, at))
  end
end
lib.string.gfind = lib.string.gmatch

function lib.string.gsub(s, pattern, with, limit)
  local kind = type(with)
  if kind ~= "function" and kind ~= "table" then
    return substitute(s, pattern, with, limit)
  end
  s, pattern = text(s, 1, "gsub"), text(pattern, 2, "gsub")
  limit = limit == nil and #s + 1 or tonumber(limit)
  if not limit then
    return substitute(s, pattern, "", limit)
  end
  local anchored = byte(pattern) == 94
  local parts, count, at, copied = {}, 0, 1, 1
  local function use(first, last, ...)
    if not first then
      return false
    end
    count = count + 1
    local value
    if kind == "table" then
      value = with[(...)]
    else
      value = with(...)
    end
    if value then
      local got = type(value)
      if got ~= "string" and got ~= "number" then
        error("invalid replacement value (a " .. got .. ")", 3)
      end
      parts[#parts + 1] = sub(s, copied, first - 1)
      parts[#parts + 1] = value
      copied = last + 1
    end
    at = last >= first and last + 1 or first + 1
    return at <= #s + 1 and not anchored
  end
  while count < limit and use(search(s, pattern, at)) do
  end
  parts[#parts + 1] = sub(s, copied)
  return concat(parts), count
end

lib.math = choose(math, [[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf pi
  pow rad sin sinh sqrt tan tanh]])
lib.math.mod = math.fmod
lib.math.random = native.random
lib.math.randomseed = native.randomseed

lib.os = choose(os, "clock")
lib.bit = choose(bit, "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex")
lib.coroutine = choose(coroutine, "create running status yield")

-- Each coroutine that resumes another takes of the machine's stack, so there must not be too many within each other.
local level = setmetatable({}, { __mode = "k" })
local create, resume, running = coroutine.create, coroutine.resume, coroutine.running

local function resume_within(co, ...)
  local current = running()
  local depth = current and level[current] or 0
  if depth >= 190 then
    return false, "C stack overflow"
  elseif type(co) == "thread" then
    level[co] = depth + 1
  end
  return resume(co, ...)
end
lib.coroutine.resume = resume_within

local function unless_failed(ok, failure, ...)
  if ok then
    return failure, ...
  end
  error(failure, type(failure) == "string" and 2 or 0)
end

function lib.coroutine.wrap(work)
  local co = create(work)
  return function(...)
    return unless_failed(resume_within(co, ...))
  end
end

for name, real in pairs(native.libraries) do
  lib[name] = real
end

for name, real in pairs(lib) do
  G[name] = protect(real)
end
G.server = G.redis

local strings = getmetatable("")
strings.__index = lib.string
shown[strings] = protect({ __index = G.string })

-- JSON's null is shown as C shows a null pointer.
local null = { __tostring = function() return "userdata: (nil)" end }
debug.setmetatable(native.libraries.cjson.null, null)
shown[null] = false

-- A name that is not there is an error, not nil.
local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

-- While a library is loaded there is but this.
local loading = { redis = protect(native.loading) }
loading.server = loading.redis

local globals, meta = protect(G)
G._G = globals
setmetatable(G, { __index = missing })
shown[meta] = protect({ __index = missing })
shown[getmetatable(G)] = shown[meta]

setmetatable(loading, getmetatable(G))
setmetatable(native.loading, getmetatable(G))

return globals, G, loading
