-- Text helpers: pure functions over strings. They know nothing of buffers, windows or the server.

local M = {}

--- What is left of a draft behind what was typed, or nil if the user typed something else.
---@param draft string
---@param typed string
---@return string?
function M.rest(draft, typed)
  if vim.startswith(draft, typed) then return draft:sub(#typed + 1) end
end

--- The next word of a draft with the blanks before it; where no word is next, the run of signs.
---@param rest string
---@return string
function M.next_word(rest)
  -- Bytes from 0x80 on belong to characters outside of ASCII, which are never cut apart.
  return rest:match('^%s*[%w_\128-\255]+') or rest:match('^%s*[^%s%w_\128-\255]+') or rest
end

--- The rest of the draft's line; where that is empty, the next line with the break before it.
---@param rest string
---@return string
function M.next_line(rest)
  return rest:match('^\n*[^\n]+') or rest
end

--- A length as LSP counts it by default.
---@param text string
---@return integer
function M.utf16_length(text)
  return vim.str_utfindex(text, 'utf-16')
end

--- The position in the units of the server for a byte column, and the other way round.
---@param line string
---@param col integer bytes
---@param encoding string
---@return integer
function M.to_units(line, col, encoding)
  return vim.str_utfindex(line, encoding, math.min(col, #line), false)
end

---@param line string
---@param units integer
---@param encoding string
---@return integer
function M.to_bytes(line, units, encoding)
  return vim.str_byteindex(line, encoding, units, false)
end

--- Virtual text has no tab stops, so tabs become the blanks that they will be when accepted.
---@param line string
---@param column integer the screen column at which the line begins
---@param tabstop integer
---@return string
function M.expand_tabs(line, column, tabstop)
  local out = {}
  for piece, tab in line:gmatch('([^\t]*)(\t?)') do
    out[#out + 1] = piece
    column = column + vim.api.nvim_strwidth(piece)
    if tab == '\t' then
      local width = tabstop - column % tabstop
      out[#out + 1] = (' '):rep(width)
      column = column + width
    end
  end
  return table.concat(out)
end

---@class polydraft.Fragment
---@field offset integer where in the kept text it goes, in bytes
---@field text string

--- What has to be put where into `kept` to make it `whole`; nil if something would have to go.
---
---     fragments('a, b)', ')')  ->  { { offset = 0, text = 'a, b' } }
---@param whole string
---@param kept string
---@return polydraft.Fragment[]?
function M.fragments(whole, kept)
  local new, old = vim.fn.split(whole, [[\zs]]), vim.fn.split(kept, [[\zs]])
  local found, offset, i = {}, #kept, #old
  for n = #new, 1, -1 do
    if i > 0 and new[n] == old[i] then
      offset, i = offset - #old[i], i - 1
    elseif found[1] and found[1].offset == offset then
      found[1].text = new[n] .. found[1].text
    else
      table.insert(found, 1, { offset = offset, text = new[n] })
    end
  end
  return i == 0 and found or nil
end

return M
