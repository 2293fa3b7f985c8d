-- Where no drafts are wanted for now: everywhere, in a file, in a language or in a folder.

local M = {}

M.scopes = { 'file', 'language', 'workspace' }

---@type table<string, true>
local paused = {}

---@param scope? string nil: everywhere
---@param buf integer
---@return string
local function key(scope, buf)
  if not scope then return 'everywhere' end
  local value ---@type string|integer
  if scope == 'file' then
    value = buf
  elseif scope == 'language' then
    value = vim.bo[buf].filetype
  else
    value = require('polydraft.folders').root_of(buf) or 'no folder'
  end
  return scope .. ' ' .. value
end

---@param scope? string
function M.pause(scope)
  paused[key(scope, vim.api.nvim_get_current_buf())] = true
end

--- Without a scope: whatever pauses this buffer.
---@param scope? string
function M.resume(scope)
  local buf = vim.api.nvim_get_current_buf()
  local scopes = scope and { scope } or M.scopes
  for _, each in ipairs(scopes) do
    paused[key(each, buf)] = nil
  end
  if not scope then paused[key(nil, buf)] = nil end
end

--- Which pause holds in a buffer, in words.
---@param buf integer
---@return string?
function M.reason(buf)
  if not next(paused) then return end
  if paused.everywhere then return 'everywhere' end
  for _, scope in ipairs(M.scopes) do
    if paused[key(scope, buf)] then return 'in this ' .. scope end
  end
end

return M
