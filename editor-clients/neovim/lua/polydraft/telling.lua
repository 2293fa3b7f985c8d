-- What the server is told about drafts: shown, accepted in part, accepted, hidden.
--
-- The notifications are named as other servers of ghost text name them.

local M = {}

---@type { client: vim.lsp.Client, id: string, rest: string }? what the user sees, as told
local shown

---@param id string
local function item(id)
  local command = { title = 'Draft accepted', command = 'polydraft.accepted', arguments = { id } }
  return { command = command }
end

--- A draft is on display now, unless it already was; one that it replaces is hidden by that.
---@param client vim.lsp.Client
---@param id string
---@param rest string what is seen of it
function M.shown(client, id, rest)
  local before = shown
  shown = { client = client, id = id, rest = rest }
  if before and before.id == id then return end
  -- The same text under a new id, or what is left of it, was not taken away from the user.
  if before and not vim.endswith(before.rest, rest) then
    before.client:notify('polydraft/hidden', { item = item(before.id) })
  end
  client:notify('textDocument/didShowCompletion', { item = item(id) })
end

--- No draft is on display any more.
function M.hidden()
  local before = shown
  shown = nil
  if not before or before.client:is_stopped() then return end
  before.client:notify('polydraft/hidden', { item = item(before.id) })
end

---@param client vim.lsp.Client
---@param id string
---@param buf integer
function M.accepted(client, id, buf)
  shown = nil
  local params = { command = 'polydraft.accepted', arguments = { id } }
  client:request('workspace/executeCommand', params, function() end, buf)
end

--- A part is in the text now.
---@param client vim.lsp.Client
---@param id string
---@param accepted integer UTF-16 units of this draft so far
function M.partly_accepted(client, id, accepted)
  local params = { item = item(id), acceptedLength = accepted }
  client:notify('textDocument/didPartiallyAcceptCompletion', params)
end

return M
