-- Takes a draft, or its next word or line, into the text: as one step of undo of its own.

local session = require('polydraft.session')
local text = require('polydraft.text')

local M = {}

---@alias polydraft.Piece 'all'|'word'|'line'

---@type table<polydraft.Piece, fun(rest: string): string>
M.piece_of = {
  all = function(rest)
    return rest
  end,
  word = text.next_word,
  line = text.next_line,
}

--- Put text at a place, in place of some bytes around it, and the cursor behind the text.
---@param place polydraft.Place
---@param new string with LF line ends
---@param tail integer bytes behind the place
---@param outdent integer bytes before it
---@return integer column of the cursor, which Normal mode may not keep behind a line
function M.insert(place, new, tail, outdent)
  -- A file with CR LF that is edited as a Unix file has the CR as its lines' last character.
  local ending = place.line:sub(-1) == '\r' and '\r' or ''
  local lines = vim.split(new, '\n')
  for i = 1, #lines - 1 do
    lines[i] = lines[i] .. ending
  end
  local row, col = place.row, place.col - outdent
  vim.api.nvim_buf_set_text(place.buf, row, col, row, place.col + tail, lines)
  local column = #lines[#lines] + (#lines == 1 and col or 0)
  vim.api.nvim_win_set_cursor(0, { row + #lines, column })
  return column
end

---@param piece polydraft.Piece
function M.apply(piece)
  local fit, here, tail = session.selected()
  if not fit then return end
  local new = M.piece_of[piece](fit.rest)
  local whole = new == fit.rest
  M.insert(here, new, whole and tail or 0, fit.outdent)
  session.accepted(fit, new, whole)
end

--- Run a Lua expression between two breaks of the undo sequence.
---@param expression string
function M.between_undo_breaks(expression)
  local keys = ('<C-g>u<Cmd>lua %s<CR><C-g>u'):format(expression)
  -- As if mapped: in front of what is typed ahead, and not mapped again.
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, false, true), 'in', false)
end

--- Accept; false if there is nothing to accept.
---@param piece polydraft.Piece
---@return boolean
function M.take(piece)
  if not session.is_visible() then return false end
  M.between_undo_breaks(("require('polydraft.accept').apply('%s')"):format(piece))
  return true
end

return M
