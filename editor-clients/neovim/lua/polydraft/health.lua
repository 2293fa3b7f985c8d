-- :checkhealth polydraft

local M = {}

local config = require('polydraft.config')
local health = vim.health

local function check_neovim()
  health.start('Neovim')
  if vim.fn.has('nvim-0.11') == 0 then
    health.error('Neovim 0.11 or later is needed')
    return
  end
  health.ok(('Neovim %s'):format(tostring(vim.version())))
  local native = vim.lsp.inline_completion ~= nil and vim.lsp.inline_completion.enable ~= nil
  local has = native and 'is there' or 'is not there (0.12 has it)'
  health.info(("Neovim's own ghost text %s"):format(has))
  health.info(('view = %q'):format(config.current.view))
end

---@param root? string
local function check_server(root)
  health.start('Server')
  local command, problem = require('polydraft.server').command(config.current.cmd, root)
  if not command then
    health.error(problem --[[@as string]])
    return
  end
  health.ok(('command: %s'):format(table.concat(command, ' ')))
  if vim.list_contains(command, 'serve') then
    local run = vim.system({ command[1], '--version' }, { text = true, timeout = 20000 }):wait()
    if run.code == 0 then
      health.ok(vim.trim(run.stdout))
    else
      local ended = ('%s --version ended with code %d'):format(command[1], run.code)
      health.error(ended .. ': ' .. (run.stderr or ''))
    end
  end
end

---@param buf integer
local function check_client(buf)
  health.start('Client')
  local client = require('polydraft.client').of(buf)
  if not client then
    health.warn('no server is attached to this buffer', {
      'Open a file of a type that is not in filetypes_off, and look at :messages.',
    })
    return
  end
  local told = require('polydraft.status').of(buf)
  health.ok(('attached, client %d, %s'):format(client.id, client.offset_encoding))
  if not told then
    health.info('the server has not told its state yet')
  elseif told.state == 'error' then
    health.error(('%s: %s'):format(told.model, told.message))
  else
    health.ok(('%s: %s'):format(told.model, told.state))
  end
  if told and told.largeState == 'error' then
    health.warn(('%s: %s'):format(told.large or 'large model', told.largeMessage))
  end
  local native = vim.lsp.inline_completion
  if native and native.enable and config.current.view == 'extmark' then
    if native.is_enabled { bufnr = buf, client_id = client.id } then
      local off = ('vim.lsp.inline_completion.enable(false, { client_id = %d })'):format(client.id)
      local advice = { off, "or setup { view = 'native' }" }
      health.warn("Neovim's own ghost text is on for the same server: drafts appear twice", advice)
    end
  end
end

local function check_keys()
  health.start('Keys')
  for name, lhs in vim.spairs(config.current.keymaps or {}) do
    if lhs and require('polydraft.keys').is_ours(lhs) then
      health.ok(('%s: %s'):format(lhs, name))
    elseif lhs then
      local other = vim.fn.maparg(lhs, 'i', false, true)
      local whose = other.desc or other.rhs or '?'
      health.warn(('%s, for %s, is mapped by something else: %s'):format(lhs, name, whose), {
        'Call setup after what maps it, or give the verb another key:',
        ("setup { keymaps = { %s = '…' } }"):format(name),
      })
    end
  end
end

function M.check()
  -- The report has a buffer of its own; what is asked is about the one it was called from.
  local buf = vim.fn.bufnr('#')
  if buf < 1 then buf = vim.api.nvim_get_current_buf() end
  check_neovim()
  if vim.fn.exists('#polydraft') == 0 then
    health.warn("require('polydraft').setup {} was not called")
    return
  end
  check_server(require('polydraft.folders').root_of(buf))
  check_client(buf)
  check_keys()
end

return M
