-- The options of `setup`: their defaults, and messages about wrong ones, which never stop anything.

local M = {}

---@class polydraft.Keymaps
---@field accept string|false all of the draft
---@field accept_word string|false
---@field accept_line string|false
---@field next string|false
---@field prev string|false
---@field dismiss string|false
---@field complete string|false ask for drafts here and now

---@class polydraft.Config
---@field cmd? string[] the server's command; found on PATH if nil
---@field settings table<string, any> the server's settings, for all folders
---@field view 'extmark'|'native'
---@field filetypes? string[] only these; all if nil
---@field filetypes_off string[] none of these
---@field root_markers string[]
---@field trusted boolean whether all folders that are opened may name any model
---@field keymaps polydraft.Keymaps|false

---@type polydraft.Config
M.defaults = {
  cmd = nil,
  settings = {},
  view = 'extmark',
  filetypes = nil,
  filetypes_off = { 'gitcommit', 'gitrebase', 'help' },
  root_markers = { 'polydraft.toml', '.git' },
  trusted = false,
  keymaps = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-End>',
    next = '<M-]>',
    prev = '<M-[>',
    dismiss = '<C-]>',
    complete = [[<M-\>]],
  },
}

---@param value any
local function is_list_of_strings(value)
  return vim.islist(value)
    and vim.iter(value):all(function(item)
      return type(item) == 'string'
    end)
end

---@type table<string, { wanted: string, holds: fun(value: any): boolean }>
local rules = {}

local strings = { wanted = 'a list of strings', holds = is_list_of_strings }
for _, name in ipairs { 'filetypes', 'filetypes_off', 'root_markers' } do
  rules[name] = strings
end
rules.cmd = {
  wanted = 'a list of strings, the command and its arguments',
  holds = function(value)
    return is_list_of_strings(value) and #value > 0
  end,
}
rules.settings = {
  wanted = "a table of the server's settings",
  holds = function(value)
    return type(value) == 'table'
  end,
}
rules.view = {
  wanted = '"extmark" or "native"',
  holds = function(value)
    return value == 'extmark' or value == 'native'
  end,
}
rules.trusted = {
  wanted = 'true or false',
  holds = function(value)
    return type(value) == 'boolean'
  end,
}
rules.keymaps = {
  wanted = 'a table, or false for none',
  holds = function(value)
    return type(value) == 'table' or value == false
  end,
}

---@param keymaps table
---@param problems string[]
---@return polydraft.Keymaps
local function merged_keymaps(keymaps, problems)
  local merged = vim.deepcopy(M.defaults.keymaps) --[[@as table]]
  for name, lhs in vim.spairs(keymaps) do
    if merged[name] == nil then
      problems[#problems + 1] = ('there is no option keymaps.%s'):format(name)
    elseif lhs ~= false and type(lhs) ~= 'string' then
      problems[#problems + 1] = ('keymaps.%s must be a key or false'):format(name)
    else
      merged[name] = lhs
    end
  end
  return merged
end

--- The options with defaults, and what is wrong with them: for each of these the default holds.
---@param options table
---@return polydraft.Config, string[]
function M.resolve(options)
  local config, problems = vim.deepcopy(M.defaults), {}
  for name, value in vim.spairs(options) do
    local rule = rules[name]
    if not rule then
      problems[#problems + 1] = ('there is no option %q'):format(name)
    elseif not rule.holds(value) then
      problems[#problems + 1] = ('%s must be %s'):format(name, rule.wanted)
    elseif name == 'keymaps' and value then
      config.keymaps = merged_keymaps(value, problems)
    else
      config[name] = value
    end
  end
  if config.view == 'native' and not (vim.lsp.inline_completion or {}).enable then
    problems[#problems + 1] = 'view = "native" needs Neovim 0.12'
    config.view = 'extmark'
  end
  return config, problems
end

---@type polydraft.Config
M.current = vim.deepcopy(M.defaults)

---@param filetype string
---@return boolean
function M.wants(filetype)
  local config = M.current
  if vim.list_contains(config.filetypes_off, filetype) then return false end
  return config.filetypes == nil or vim.list_contains(config.filetypes, filetype)
end

return M
