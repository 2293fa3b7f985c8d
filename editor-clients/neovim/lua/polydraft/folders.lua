-- One server for all folders: it shares models among them, and asks for each folder's settings.

local config = require('polydraft.config')
local store = require('polydraft.store')

local M = {}

---@type table<integer, string[]> folders that wait for their client to be initialized
local waiting = {}

---@param buf integer
---@return string?
function M.root_of(buf)
  return vim.fs.root(buf, config.current.root_markers)
end

--- The settings in one folder: the user's own, and the pair chosen there.
---@param root? string
---@return table
function M.settings(root)
  return vim.tbl_extend('force', config.current.settings, root and store.pair(root) or {})
end

--- Tell the server of a folder, as soon as it can be told.
---@param client vim.lsp.Client
---@param root string
function M.add(client, root)
  local uri = vim.uri_from_fname(root)
  for _, folder in ipairs(client.workspace_folders or {}) do
    if folder.uri == uri then return end
  end
  if not client.initialized then
    waiting[client.id] = waiting[client.id] or {}
    table.insert(waiting[client.id], root)
    return
  end
  local folder = { uri = uri, name = root }
  client.workspace_folders = client.workspace_folders or {}
  table.insert(client.workspace_folders, folder)
  local event = { added = { folder }, removed = {} }
  client:notify('workspace/didChangeWorkspaceFolders', { event = event })
end

---@param client vim.lsp.Client
function M.add_waiting(client)
  local roots = waiting[client.id] or {}
  waiting[client.id] = nil
  for _, root in ipairs(roots) do
    M.add(client, root)
  end
end

--- The handler of `workspace/configuration`.
---@param params lsp.ConfigurationParams
---@param context lsp.HandlerContext
function M.configuration(_, params, context)
  local client = assert(vim.lsp.get_client_by_id(context.client_id))
  return vim
    .iter(params.items or {})
    :map(function(item)
      if item.section ~= 'polydraft' then return vim.NIL end
      local root = item.scopeUri and vim.uri_to_fname(item.scopeUri) or client.root_dir
      local settings = M.settings(root)
      return next(settings) and settings or vim.empty_dict()
    end)
    :totable()
end

---@param client vim.lsp.Client
function M.settings_changed(client)
  client.settings = { polydraft = M.settings(client.root_dir) }
  client:notify('workspace/didChangeConfiguration', { settings = client.settings })
end

return M
