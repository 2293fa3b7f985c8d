-- Chooses the small and the large model of a folder, and remembers them for it.

local clients = require('polydraft.client')
local folders = require('polydraft.folders')
local store = require('polydraft.store')

local M = {}

local method_not_found = -32601

---@class polydraft.Model
---@field name string
---@field family string
---@field parameters number
---@field cached boolean
---@field bytes number

---@type polydraft.Model[] as the server told them last
local models = {}

---@param model polydraft.Model|'none'
---@return string
local function label(model)
  if model == 'none' then return 'none (one model)' end
  local bytes = tonumber(model.bytes) -- not known of all that would have to be fetched
  local size = bytes and bytes > 0 and ('%.1f GB, '):format(bytes / 1e9) or ''
  return ('%s (%s%s)'):format(model.name, size, model.cached and 'here' or 'to be fetched')
end

---@param prompt string
---@param choices (polydraft.Model|'none')[]
---@param go_on fun(name: string)
local function select(prompt, choices, go_on)
  vim.ui.select(choices, { prompt = prompt, format_item = label }, function(choice)
    if choice then go_on(choice == 'none' and 'none' or choice.name) end
  end)
end

---@param name? string
---@return (polydraft.Model|'none')[]
local function partners(name)
  local small = vim.iter(models):find(function(model)
    return model.name == name
  end)
  local larger = vim.tbl_filter(function(model)
    return small == nil or (model.family == small.family and model.parameters > small.parameters)
  end, models)
  return vim.list_extend({ 'none' }, larger)
end

--- Names for the command line's completion; behind a first one, those that go with it.
---@param first? string
---@return string[]
function M.known_names(first)
  local client = clients.of()
  if client and #models == 0 then
    local reply = client:request_sync('polydraft/models', vim.empty_dict(), 1000)
    models = vim.tbl_get(reply or {}, 'result', 'models') or models
  end
  if first then
    return vim.tbl_map(function(model)
      return model == 'none' and model or model.name
    end, partners(first))
  end
  return vim.tbl_map(function(model)
    return model.name
  end, models)
end

---@param client vim.lsp.Client
---@param root? string
---@param pair polydraft.Pair
local function apply(client, root, pair)
  if root then
    store.remember(root, pair)
  else
    local settings = require('polydraft.config').current.settings
    settings.model, settings.large = pair.model, pair.large
  end
  folders.settings_changed(client)
  local with = pair.large == 'none' and '' or (' with ' .. pair.large)
  vim.notify(('polydraft: %s%s in %s'):format(pair.model, with, root or 'files without a folder'))
end

---@param use fun(pair: polydraft.Pair)
local function choose_by_menu(use)
  select('Model that drafts', models, function(model)
    select('Larger model that looks at its drafts', partners(model), function(large)
      use { model = model, large = large }
    end)
  end)
end

---@param use fun(pair: polydraft.Pair)
local function choose_by_typing(use)
  vim.ui.input({ prompt = 'Model that drafts: ' }, function(model)
    if not model or model == '' then return end
    vim.ui.input({ prompt = 'Larger model (empty: none): ' }, function(large)
      if large then use { model = model, large = large ~= '' and large or 'none' } end
    end)
  end)
end

--- Switch to a pair; what is not named is asked for.
---@param model? string
---@param large? string
function M.choose(model, large)
  local client = clients.required()
  if not client then return end
  local root = folders.root_of(vim.api.nvim_get_current_buf())
  local function use(pair)
    apply(client, root, pair)
  end
  if model then return use { model = model, large = large or 'none' } end
  client:request('polydraft/models', vim.empty_dict(), function(err, answer)
    if err and err.code == method_not_found then return choose_by_typing(use) end
    if err then return vim.notify('polydraft: ' .. err.message, vim.log.levels.WARN) end
    models = answer.models
    choose_by_menu(use)
  end)
end

return M
