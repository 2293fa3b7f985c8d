-- What the server said of itself, by folder, and that in words.

local M = {}

---@class polydraft.Status
---@field state 'loading'|'ready'|'error'
---@field message string
---@field model string
---@field progress? number
---@field root? string
---@field large? string
---@field largeState 'none'|'loading'|'ready'|'error'
---@field largeMessage string

---@type table<string, polydraft.Status>
local by_root = {}

---@type number? milliseconds that the last request took
M.latency = nil
---@type string? what went wrong last
M.failure = nil

--- JSON's null is a value of its own in Neovim; here it is nil.
---@param raw table
---@return table
local function without_nulls(raw)
  return vim.iter(raw):fold({}, function(all, key, value)
    if value ~= vim.NIL then all[key] = value end
    return all
  end)
end

---@param raw? table
function M.update(raw)
  if type(raw) ~= 'table' then return end
  local told = without_nulls(raw) --[[@as polydraft.Status]]
  by_root[told.root or ''] = told
  vim.api.nvim_exec_autocmds('User', { pattern = 'PolydraftStatus', modeline = false })
  vim.cmd.redrawstatus()
end

function M.forget()
  by_root = {}
end

--- What holds for a buffer: its innermost folder's status, else any.
---@param buf? integer
---@return polydraft.Status?
function M.of(buf)
  local uri = vim.uri_from_bufnr(buf or 0)
  local best ---@type string?
  for root in pairs(by_root) do
    local inside = vim.startswith(uri, root)
    if inside and (not best or #root > #best) then best = root end
  end
  return by_root[best or next(by_root)]
end

--- One line for people.
---@param buf? integer
---@return string
function M.summary(buf)
  local told = M.of(buf)
  if not told then return 'no server' end
  return told.message ~= '' and told.message or told.state
end

--- All that is known, line by line.
---@param buf? integer
---@param paused string? why there are no drafts unasked here
---@return string[]
function M.lines(buf, paused)
  local told = M.of(buf)
  if not told then return { 'polydraft: no server for this buffer (:checkhealth polydraft)' } end
  local lines = { ('model    %s'):format(told.model), ('state    %s'):format(told.state) }
  if told.progress then
    lines[2] = ('%s, %d %%'):format(lines[2], math.floor(100 * told.progress))
  end
  if told.large then
    lines[#lines + 1] = ('large    %s (%s)'):format(told.large, told.largeState)
    if told.largeMessage ~= '' then lines[#lines + 1] = '         ' .. told.largeMessage end
  end
  if told.message ~= '' then lines[#lines + 1] = ('message  %s'):format(told.message) end
  if paused then lines[#lines + 1] = ('paused   %s'):format(paused) end
  if M.latency then lines[#lines + 1] = ('latency  %.0f ms (last request)'):format(M.latency) end
  if M.failure then lines[#lines + 1] = ('failed   %s'):format(M.failure) end
  return lines
end

--- For a statusline: empty where polydraft has nothing to do with the buffer.
---@param attached boolean
---@param paused boolean
---@return string
function M.line(attached, paused)
  if not attached then return '' end
  local told = M.of()
  if not told then return 'polydraft …' end
  if told.state == 'error' then return 'polydraft !' end
  if told.state == 'loading' then
    local percent = told.progress and (' %d%%%%'):format(math.floor(100 * told.progress)) or ' …'
    return 'polydraft' .. percent
  end
  if paused then return 'polydraft paused' end
  return told.largeState == 'ready' and 'polydraft 2' or 'polydraft'
end

return M
