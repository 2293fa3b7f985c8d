-- The ghost text: draws the rest of one draft at the cursor with extmarks, and nothing else.
--
-- Marks have fixed ids, so that a new text moves them in place and nothing flickers. A draft may
-- replace text behind the cursor. Where that text survives in the draft, the ghost is put around
-- it; else the rest of the line is covered by what it will be. A draft that takes indentation back
-- is drawn where it will stand, before the cursor.

local text = require('polydraft.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('polydraft')
M.namespace = namespace

---@type { buf: integer, marks: integer }?
local drawn

function M.define_highlights()
  local links = {
    PolydraftGhost = 'Comment',
    PolydraftCount = 'NonText',
    PolydraftTitle = 'Title',
    PolydraftLarge = 'DiagnosticUnderlineHint',
    PolydraftNote = 'Comment',
  }
  for group, target in pairs(links) do
    vim.api.nvim_set_hl(0, group, { link = target, default = true })
  end
end

function M.clear()
  if drawn and vim.api.nvim_buf_is_valid(drawn.buf) then
    vim.api.nvim_buf_clear_namespace(drawn.buf, namespace, 0, -1)
  end
  drawn = nil
end

---@class polydraft.Ghost
---@field buf integer
---@field row integer
---@field col integer bytes
---@field line string the whole line as it is
---@field rest string what the draft adds
---@field tail integer bytes behind the cursor that the draft replaces
---@field outdent integer bytes of indentation before the cursor that the draft takes back
---@field count? string such as (1/3)

---@alias polydraft.Mark { col: integer, opts: vim.api.keyset.set_extmark }

---@param ghost polydraft.Ghost
---@param first string the draft's first line
---@return polydraft.Mark[]?
local function around(ghost, first)
  local kept = ghost.line:sub(ghost.col + 1, ghost.col + ghost.tail)
  local fragments = text.fragments(first, kept)
  if not fragments then return end
  local marks = {}
  for _, fragment in ipairs(fragments) do
    marks[#marks + 1] = {
      col = ghost.col + fragment.offset,
      opts = {
        virt_text = { { fragment.text, 'PolydraftGhost' } },
        virt_text_pos = 'inline',
        hl_mode = 'combine',
      },
    }
  end
  return marks
end

--- Cover all that is behind the cursor with the draft's line and what will stand behind it.
---@param ghost polydraft.Ghost
---@param first string
---@param behind string
---@return polydraft.Mark[]
local function over(ghost, first, behind)
  local width = vim.fn.strdisplaywidth(ghost.line:sub(ghost.col + 1))
  local blank = (' '):rep(math.max(0, width - vim.api.nvim_strwidth(first .. behind)))
  local chunks = { { first, 'PolydraftGhost' }, { behind .. blank, 'Normal' } }
  local opts = { virt_text = chunks, virt_text_pos = 'overlay' }
  return { { col = ghost.col - ghost.outdent, opts = opts } }
end

---@param ghost polydraft.Ghost
---@return polydraft.Mark[]
local function layout(ghost)
  local tabstop = vim.bo[ghost.buf].tabstop
  local column = vim.fn.strdisplaywidth(ghost.line:sub(1, ghost.col - ghost.outdent))
  local lines = vim.split(ghost.rest, '\n')
  local first = text.expand_tabs(lines[1], column, tabstop)
  local behind = ghost.line:sub(ghost.col + ghost.tail + 1):gsub('\r$', '')
  local last_end = #lines > 1 and 0 or column
  last_end = last_end + vim.fn.strdisplaywidth(text.expand_tabs(lines[#lines], last_end, tabstop))
  behind = text.expand_tabs(behind, last_end, tabstop)
  local moves = #lines > 1 and ghost.line:sub(ghost.col + 1):gsub('\r$', '') ~= ''

  local marks, covered
  if moves then
    marks, covered = over(ghost, first, ''), true
  else
    marks = ghost.outdent == 0 and around(ghost, first) or nil
    covered = marks == nil
    marks = marks or over(ghost, first, behind)
  end
  if #lines > 1 then
    local below = {}
    for i = 2, #lines do
      below[i - 1] = { { text.expand_tabs(lines[i], 0, tabstop), 'PolydraftGhost' } }
    end
    if moves then table.insert(below[#below], { behind, 'Normal' }) end
    marks[#marks + 1] =
      { col = ghost.col, opts = { virt_lines = below, virt_lines_overflow = 'scroll' } }
  end
  if ghost.count and covered then
    table.insert(marks[1].opts.virt_text, { ' ' .. ghost.count, 'PolydraftCount' })
  elseif ghost.count then
    local opts = { virt_text = { { ghost.count, 'PolydraftCount' } }, virt_text_pos = 'eol' }
    marks[#marks + 1] = { col = ghost.col, opts = opts }
  end
  return marks
end

---@param ghost polydraft.Ghost
function M.draw(ghost)
  if drawn and drawn.buf ~= ghost.buf then M.clear() end
  local marks = layout(ghost)
  for id, mark in ipairs(marks) do
    mark.opts.id = id
    mark.opts.undo_restore = false
    mark.opts.strict = false
    vim.api.nvim_buf_set_extmark(ghost.buf, namespace, ghost.row, mark.col, mark.opts)
  end
  for id = #marks + 1, drawn and drawn.marks or 0 do
    vim.api.nvim_buf_del_extmark(ghost.buf, namespace, id)
  end
  drawn = { buf = ghost.buf, marks = #marks }
end

return M
