-- What the handler of errors does to a table that has a metatable: gives two functions.
--
-- Redis's handler is Lua code, and its chunk is named where something fails in it. So it does here, and the two assignments
-- of `note` are in the lines that Redis has them in, the tenth and the eleventh.

-- Notes the place in the table. Nothing is known of the place of an error that no function has raised.
local note = function(error, source, line)
  if source ~= nil then

    error['source'] = source
    error['line'] = line
  end
  return error
end

-- The same; then reads the error through its metatable, in Redis's order.
local read = function(...)
  local error = note(...)
  return {
    err = error.err,
    source = error.source,
    line = error.line,
    ignore_error_stats_update = error.ignore_error_stats_update,
  }
end

return note, read
