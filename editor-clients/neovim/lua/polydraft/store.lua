-- The pair of models chosen for each folder, in the user's own state directory.

local M = {}

---@alias polydraft.Pair { model: string, large: string }

---@return string
local function path()
  return vim.fs.joinpath(vim.fn.stdpath('state') --[[@as string]], 'polydraft', 'pairs.json')
end

---@return table<string, polydraft.Pair>
local function read()
  local file = io.open(path(), 'r')
  if not file then return {} end
  local content = file:read('*a')
  file:close()
  local ok, pairs_ = pcall(vim.json.decode, content)
  return ok and type(pairs_) == 'table' and pairs_ or {}
end

---@param root string
---@return polydraft.Pair?
function M.pair(root)
  local pair = read()[root]
  if type(pair) ~= 'table' or type(pair.model) ~= 'string' then return end
  return { model = pair.model, large = type(pair.large) == 'string' and pair.large or 'none' }
end

---@param root string
---@param pair polydraft.Pair
function M.remember(root, pair)
  local all = read()
  all[root] = pair
  vim.fn.mkdir(vim.fs.dirname(path()), 'p')
  local file = assert(io.open(path(), 'w'))
  file:write(vim.json.encode(all))
  file:close()
end

return M
