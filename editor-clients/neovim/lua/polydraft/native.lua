-- The verbs on Neovim's own ghost text (0.12, vim.lsp.inline_completion).
--
-- It asks 200 ms after the last key, gets all drafts at once, and tells nobody what it shows. What
-- is on display is seen from its extmarks, since it has no question for that.

local accept = require('polydraft.accept')
local client_of = require('polydraft.client').of
local telling = require('polydraft.telling')
local text = require('polydraft.text')

local M = {}

---@return boolean
function M.is_visible()
  local namespace = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
  local marks = namespace and vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { limit = 1 })
  return marks ~= nil and #marks > 0
end

--- Insert the next piece of an item by hand; the item itself if nothing would be left of it.
---@param item table a vim.lsp.inline_completion.Item
---@param next_piece fun(rest: string): string
local function take_piece(item, next_piece)
  local whole, here = item.insert_text, require('polydraft.offer').here()
  if type(whole) ~= 'string' or not item.range then return item end
  local _, start = item.range:to_extmark()
  local typed = math.max(0, here.col - start)
  local piece = next_piece(whole:sub(typed + 1))
  if typed + #piece >= #whole then return item end
  accept.insert(here, piece, 0, 0)
  local client, id = client_of(), vim.tbl_get(item, 'command', 'arguments', 1)
  if client and id then telling.partly_accepted(client, id, text.utf16_length(piece)) end
end

---@param piece polydraft.Piece
function M.apply(piece)
  vim.lsp.inline_completion.get {
    on_accept = function(item)
      -- The item goes in when this returns, and the break of the undo sequence behind it.
      vim.schedule(function()
        vim.api.nvim_feedkeys(vim.keycode('<C-g>u'), 'in', false)
      end)
      return take_piece(item, accept.piece_of[piece])
    end,
  }
end

---@param piece polydraft.Piece
---@return boolean
function M.take(piece)
  if not M.is_visible() then return false end
  accept.between_undo_breaks(("require('polydraft.native').apply('%s')"):format(piece))
  return true
end

---@param step integer
---@return boolean
function M.cycle(step)
  if not M.is_visible() then return false end
  vim.lsp.inline_completion.select { count = step }
  return true
end

--- There is no verb for it, but a buffer that is switched off and on forgets its items.
---@return boolean
function M.dismiss()
  if not M.is_visible() then return false end
  local buf = vim.api.nvim_get_current_buf()
  vim.lsp.inline_completion.enable(false, { bufnr = buf })
  vim.lsp.inline_completion.enable(true, { bufnr = buf })
  return true
end

--- There is no verb for this either; it asks whenever the cursor moves.
function M.complete()
  vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = vim.api.nvim_get_current_buf() })
end

--- Native ghost text follows the pauses by being on or off in the buffer.
function M.look()
  local buf = vim.api.nvim_get_current_buf()
  local on = client_of(buf) ~= nil and not require('polydraft.pause').reason(buf)
  if on ~= vim.lsp.inline_completion.is_enabled { bufnr = buf } then
    vim.lsp.inline_completion.enable(on, { bufnr = buf })
  end
end

return M
