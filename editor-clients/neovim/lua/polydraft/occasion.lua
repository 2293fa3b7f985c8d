-- When ghost text is out of place: other modes, macros, snippets, and menus of other completions.

local M = {}

---@param module string
---@param ask string the function that tells whether a menu is open
---@return boolean
local function shows_menu(module, ask)
  local loaded = package.loaded[module] -- never load what the user does not use
  if type(loaded) ~= 'table' then return false end
  local ok, visible = pcall(function()
    return loaded[ask] and loaded[ask]()
  end)
  return ok and visible == true
end

---@return boolean
function M.menu_is_open()
  return vim.fn.pumvisible() == 1
    or shows_menu('cmp', 'visible')
    or shows_menu('blink.cmp', 'is_visible')
end

--- Whether drafts may be shown in the current window.
---@return boolean
function M.suits()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == 'i'
    and vim.fn.reg_recording() == ''
    and vim.fn.reg_executing() == ''
    and not vim.snippet.active()
    and not M.menu_is_open()
end

--- Call back when a menu of another plugin opens or closes; Neovim's own has events of its own.
---@param group integer
---@param callback fun()
function M.watch_menus(group, callback)
  vim.api.nvim_create_autocmd('User', {
    group = group,
    pattern = { 'BlinkCmpMenuOpen', 'BlinkCmpMenuClose' },
    callback = callback,
  })
  local watching = false
  vim.api.nvim_create_autocmd('InsertEnter', {
    group = group,
    callback = function()
      local cmp = package.loaded.cmp
      if watching or type(cmp) ~= 'table' or not cmp.event then return end
      watching = true
      cmp.event:on('menu_opened', callback)
      cmp.event:on('menu_closed', callback)
    end,
  })
end

return M
