-- Maps keys to verbs. A key whose verb has nothing to do does what it did before.

local M = {}

local description = 'polydraft: '

---@param previous table what maparg() said
local function run_previous(previous)
  if previous.expr ~= 1 then
    if previous.callback then return previous.callback() end
    local keys = vim.api.nvim_replace_termcodes(previous.rhs, true, false, true)
    return vim.api.nvim_feedkeys(keys, previous.noremap == 1 and 'in' or 'im', false)
  end
  local keys = previous.callback and previous.callback() or vim.api.nvim_eval(previous.rhs)
  if type(keys) ~= 'string' then return end
  if previous.replace_keycodes == 1 then
    keys = vim.api.nvim_replace_termcodes(keys, true, false, true)
  end
  vim.api.nvim_feedkeys(keys, previous.noremap == 1 and 'in' or 'im', false)
end

---@param lhs string
---@param name string
---@param verb fun(): boolean?
local function map(lhs, name, verb)
  local previous = vim.fn.maparg(lhs, 'i', false, true)
  if vim.startswith(previous.desc or '', description) then return end
  vim.keymap.set('i', lhs, function()
    if verb() ~= false then return end
    if next(previous) and previous.buffer ~= 1 then
      run_previous(previous)
    else
      vim.api.nvim_feedkeys(vim.keycode(lhs), 'in', false)
    end
  end, { desc = description .. name })
end

---@param keymaps polydraft.Keymaps|false
---@param verbs table<string, fun(): boolean?>
function M.set(keymaps, verbs)
  for name, lhs in pairs(keymaps or {}) do
    if lhs then map(lhs, (name:gsub('_', ' ')), verbs[name]) end
  end
end

--- Whether a key still leads here.
---@param lhs string
---@return boolean
function M.is_ours(lhs)
  local mapping = vim.fn.maparg(lhs, 'i', false, true)
  return vim.startswith(mapping.desc or '', description)
end

return M
