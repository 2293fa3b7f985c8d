-- The language client: starts the server, attaches buffers, and starts it again if it dies.

local config = require('polydraft.config')
local folders = require('polydraft.folders')
local server = require('polydraft.server')
local status = require('polydraft.status')

local M = {}

local most_restarts = 3
local restarts = 0
local leaving = false
local told = {} ---@type table<string, true> messages that need no second telling

---@type table<string, fun(params: any)> what to do with the server's own notifications
M.on = {}

---@param message string
---@param level? integer
local function tell(message, level)
  vim.schedule(function()
    vim.notify(message, level or vim.log.levels.WARN)
  end)
end

---@param buf? integer
---@return vim.lsp.Client?
function M.of(buf)
  local bufnr = buf or vim.api.nvim_get_current_buf()
  return vim.lsp.get_clients({ name = 'polydraft', bufnr = bufnr })[1]
end

--- The client of this buffer, for a command that needs it; says so where there is none.
---@return vim.lsp.Client?
function M.required()
  local client = M.of()
  if not client then
    vim.notify('polydraft: no server for this buffer (:checkhealth polydraft)', vim.log.levels.WARN)
  end
  return client
end

---@param buf integer
---@return boolean
local function is_wanted(buf)
  return vim.api.nvim_buf_is_loaded(buf)
    and vim.bo[buf].buftype == ''
    and vim.bo[buf].modifiable
    and vim.bo[buf].filetype ~= ''
    and config.wants(vim.bo[buf].filetype)
end

local function attach_all()
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    M.attach(buf)
  end
end

---@param code integer
---@param signal integer
local function on_exit(code, signal)
  status.forget()
  -- 15 is how Neovim itself ends a server that was told to stop.
  if leaving or (code == 0 and (signal == 0 or signal == 15)) then return end
  local how = signal ~= 0 and ('by signal %d'):format(signal) or ('with code %d'):format(code)
  if restarts >= most_restarts then
    local often = 'polydraft: the server ended %s again and is not started any more. '
    tell(often:format(how) .. ':Polydraft log shows why, :Polydraft reload starts it.')
    return
  end
  restarts = restarts + 1
  local again = 'polydraft: the server ended %s; starting it again (%d of %d). '
  tell(again:format(how, restarts, most_restarts) .. ':Polydraft log shows why.')
  vim.defer_fn(attach_all, 200 * restarts)
end

---@return table<string, function>
local function handlers()
  local own = { ['workspace/configuration'] = folders.configuration }
  for method, handle in pairs(M.on) do
    own[method] = function(_, params)
      handle(params)
    end
  end
  return own
end

---@return lsp.ClientCapabilities
local function capabilities()
  local all = vim.lsp.protocol.make_client_capabilities()
  -- Known as a client of inline completion, so that no drafts come among the ordinary items.
  all.textDocument.inlineCompletion = { dynamicRegistration = false }
  return all
end

---@param client vim.lsp.Client
local function on_init(client)
  local native = vim.lsp.inline_completion
  if native and native.enable then
    native.enable(config.current.view == 'native', { client_id = client.id })
  end
  folders.add_waiting(client)
end

--- Give a buffer drafts, if its file is one that should have some.
---@param buf integer
function M.attach(buf)
  if not is_wanted(buf) or M.of(buf) then return end
  local root = folders.root_of(buf)
  local cmd, problem = server.command(config.current.cmd, root)
  if not cmd then
    if not told[problem] then
      tell(problem --[[@as string]])
    end
    told[problem] = true
    return
  end
  local options = { stream = config.current.view == 'extmark', trusted = config.current.trusted }
  local id = vim.lsp.start({
    name = 'polydraft',
    cmd = cmd,
    root_dir = root,
    settings = { polydraft = folders.settings(root) },
    init_options = vim.tbl_extend('force', config.current.settings, options),
    capabilities = capabilities(),
    handlers = handlers(),
    on_init = on_init,
    on_exit = on_exit,
  }, {
    bufnr = buf,
    reuse_client = function(client)
      return client.name == 'polydraft' and not client:is_stopped()
    end,
  })
  local client = id and vim.lsp.get_client_by_id(id)
  if client and root then folders.add(client, root) end
  if client and config.current.view == 'native' then
    vim.lsp.inline_completion.enable(true, { bufnr = buf })
  end
end

--- Read the settings again and try again what had failed; start a server that is gone.
function M.reload()
  local client = M.of() or vim.lsp.get_clients({ name = 'polydraft' })[1]
  restarts, told = 0, {}
  if not client then
    attach_all()
    return
  end
  client:request('polydraft/reload', vim.empty_dict(), function(err, answer)
    if err then
      tell('polydraft: reload failed: ' .. err.message)
    else
      status.update(answer)
      tell('polydraft: ' .. status.summary(), vim.log.levels.INFO)
    end
  end)
end

---@param group integer
function M.start(group)
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    callback = function(event)
      M.attach(event.buf)
    end,
  })
  vim.api.nvim_create_autocmd('VimLeavePre', {
    group = group,
    callback = function()
      leaving = true
    end,
  })
  attach_all()
end

return M
