-- polydraft: several code-completion drafts from a local model, as ghost text. See :help polydraft.

local M = {}

-- Events after which there may be something else to see.
local typing = { 'InsertEnter', 'TextChangedI', 'TextChangedP', 'CursorMovedI' }
vim.list_extend(typing, { 'CompleteChanged', 'CompleteDone' })
local leaving = { 'InsertLeave', 'BufLeave' }

--- The module that has the ghost text: session or native.
---@private
function M.ghost()
  local native = require('polydraft.config').current.view == 'native'
  return require(native and 'polydraft.native' or 'polydraft.session')
end

---@param piece polydraft.Piece
local function take(piece)
  local native = require('polydraft.config').current.view == 'native'
  return require(native and 'polydraft.native' or 'polydraft.accept').take(piece)
end

--- Accept all of the draft on display. False (here and below) if there is none.
---@return boolean
function M.accept()
  return take('all')
end

---@return boolean
function M.accept_word()
  return take('word')
end

---@return boolean
function M.accept_line()
  return take('line')
end

---@return boolean
function M.next()
  return M.ghost().cycle(1)
end

---@return boolean
function M.prev()
  return M.ghost().cycle(-1)
end

--- Hide the drafts until the text changes.
---@return boolean
function M.dismiss()
  return M.ghost().dismiss()
end

--- Ask for drafts here and now, also where none come unasked.
function M.complete()
  M.ghost().complete()
end

--- A few characters for a statusline; empty where there is no server.
---@return string
function M.statusline()
  local attached = require('polydraft.client').of() ~= nil
  local paused = require('polydraft.pause').reason(vim.api.nvim_get_current_buf())
  return require('polydraft.status').line(attached, paused ~= nil)
end

---@param group integer
local function watch_typing(group)
  local session = require('polydraft.session')
  vim.api.nvim_create_autocmd(typing, { group = group, callback = session.look })
  vim.api.nvim_create_autocmd(leaving, { group = group, callback = session.leave })
  -- A server that came, or came again, is asked; with one that went, its drafts go.
  for event, react in pairs { LspAttach = session.look, LspDetach = session.leave } do
    vim.api.nvim_create_autocmd(event, {
      group = group,
      callback = function(args)
        local client = vim.lsp.get_client_by_id(args.data.client_id)
        if client and client.name == 'polydraft' then react() end
      end,
    })
  end
  require('polydraft.occasion').watch_menus(group, session.look)
end

---@param options? table see polydraft.Config
function M.setup(options)
  if vim.fn.has('nvim-0.11') == 0 then
    vim.notify('polydraft needs Neovim 0.11 or later.', vim.log.levels.ERROR)
    return
  end
  local config = require('polydraft.config')
  local problems ---@type string[]
  config.current, problems = config.resolve(options or {})
  for _, problem in ipairs(problems) do
    vim.notify(('polydraft: %s (:help polydraft-options)'):format(problem), vim.log.levels.WARN)
  end

  local client, view = require('polydraft.client'), require('polydraft.view')
  local group = vim.api.nvim_create_augroup('polydraft', {})
  view.define_highlights()
  vim.api.nvim_create_autocmd('ColorScheme', { group = group, callback = view.define_highlights })
  client.on['polydraft/status'] = require('polydraft.status').update
  if config.current.view == 'extmark' then
    local session = require('polydraft.session')
    client.on['polydraft/status'] = function(told)
      require('polydraft.status').update(told)
      if type(told) == 'table' and told.state == 'ready' then session.on_ready() end
    end
    client.on['polydraft/draft'] = session.on_first_draft
    client.on['polydraft/drafts'] = function(params)
      session.on_better_drafts(params)
      require('polydraft.list').on_better_drafts(params)
    end
    watch_typing(group)
  end
  require('polydraft.keys').set(config.current.keymaps, M)
  client.start(group)
end

return M
