-- Where the server's executable is: what the user named, or `polydraft` on PATH.
--
-- A folder that is opened must not bring the program that runs: entries of PATH that are relative
-- or inside of that folder are passed over, unless the user named the command.

local M = {}

M.remedy = table.concat({
  'polydraft: no executable `polydraft` on PATH.',
  'Install the server (:help polydraft-install), or name it:',
  "require('polydraft').setup { cmd = { '/path/to/polydraft', 'serve', '--stdio' } }",
}, ' ')

---@param path string
---@param folder? string
local function is_inside(path, folder)
  if not folder then return false end
  local real = vim.uv.fs_realpath(path) or path
  return vim.fs.relpath(vim.uv.fs_realpath(folder) or folder, real) ~= nil
end

--- `polydraft` on PATH, but never from the folder.
---@param folder? string
---@return string?
function M.find(folder)
  local windows = vim.fn.has('win32') == 1
  for _, entry in ipairs(vim.split(vim.env.PATH or '', windows and ';' or ':', { plain = true })) do
    local absolute = entry:sub(1, 1) == '/' or (windows and entry:match('^%a:[/\\]'))
    if absolute and not is_inside(entry, folder) then
      local found = vim.fn.exepath(vim.fs.joinpath(entry, 'polydraft'))
      if found ~= '' then return found end
    end
  end
end

--- The command that starts the server; nil and a message with the remedy if there is none.
---@param named? string[]
---@param folder? string
---@return string[]?, string?
function M.command(named, folder)
  if named then
    if vim.fn.executable(named[1]) == 1 then return named end
    return nil, ('polydraft: cannot run %q, which `cmd` names in setup.'):format(named[1])
  end
  local found = M.find(folder)
  if found then return { found, 'serve', '--stdio' } end
  return nil, M.remedy
end

return M
