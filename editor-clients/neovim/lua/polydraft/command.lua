-- The command :Polydraft and its completion.

local client = require('polydraft.client')
local pause = require('polydraft.pause')
local status = require('polydraft.status')

local M = {}

--- Bring what is on display in line with a pause that began or ended.
local function look()
  require('polydraft').ghost().look()
end

---@param scope? string
---@return boolean
local function is_scope(scope)
  if scope == nil or vim.list_contains(pause.scopes, scope) then return true end
  local known = table.concat(pause.scopes, ', ')
  vim.notify(('polydraft: pause and resume take one of %s'):format(known), vim.log.levels.WARN)
  return false
end

---@type table<string, fun(arguments: string[])>
local actions = {
  status = function()
    local buf = vim.api.nvim_get_current_buf()
    local lines = status.lines(buf, pause.reason(buf))
    vim.api.nvim_echo({ { table.concat(lines, '\n') } }, true, {})
  end,
  drafts = function()
    require('polydraft.list').open()
  end,
  pair = function(arguments)
    require('polydraft.pair').choose(arguments[1], arguments[2])
  end,
  pause = function(arguments)
    if not is_scope(arguments[1]) then return end
    pause.pause(arguments[1])
    look()
  end,
  resume = function(arguments)
    if not is_scope(arguments[1]) then return end
    pause.resume(arguments[1])
    look()
  end,
  log = function()
    vim.cmd.split(vim.fn.fnameescape(vim.lsp.log.get_filename()))
  end,
  reload = function()
    client.reload()
  end,
}

---@param arguments string[]
function M.run(arguments)
  local action = actions[arguments[1] or 'status']
  if not action then
    local known = table.concat(vim.fn.sort(vim.tbl_keys(actions)), ', ')
    local message = ('polydraft: there is no :Polydraft %s, but %s'):format(arguments[1], known)
    vim.notify(message, vim.log.levels.WARN)
    return
  end
  action(vim.list_slice(arguments, 2))
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local words = vim.split(vim.trim(line:sub(1, #line - #lead)), '%s+')
  local candidates ---@type string[]
  if #words == 1 then
    candidates = vim.fn.sort(vim.tbl_keys(actions))
  elseif words[2] == 'pause' or words[2] == 'resume' then
    candidates = #words == 2 and pause.scopes or {}
  elseif words[2] == 'pair' then
    candidates = #words <= 3 and require('polydraft.pair').known_names(words[3]) or {}
  else
    candidates = {}
  end
  return vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, lead)
  end, candidates)
end

return M
