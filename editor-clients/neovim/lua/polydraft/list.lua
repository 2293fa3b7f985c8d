-- All drafts of a place in a floating window, to choose one; they get better while it is open.

local accept = require('polydraft.accept')
local clients = require('polydraft.client')
local offers = require('polydraft.offer')
local page = require('polydraft.page')
local telling = require('polydraft.telling')

local M = {}

---@param buf integer
---@param filetype string
local function highlight(buf, filetype)
  local language = vim.treesitter.language.get_lang(filetype)
  if language and pcall(vim.treesitter.start, buf, language) then return end
  vim.bo[buf].syntax = filetype
end

---@param buf integer
---@param place polydraft.Place
---@return integer
local function open_window(buf, place)
  local width = math.max(56, page.width(buf))
  local win = vim.api.nvim_open_win(buf, true, {
    relative = 'cursor',
    row = 1,
    col = 0,
    width = math.min(width, vim.o.columns - 4),
    height = math.min(vim.api.nvim_buf_line_count(buf), math.max(3, vim.o.lines - 6)),
    style = 'minimal',
    border = 'rounded',
    title = ' polydraft ',
    footer = ' <CR> or number: insert · q: close ',
  })
  vim.wo[win].wrap = false
  vim.wo[win].cursorline = true
  highlight(buf, vim.bo[place.buf].filetype)
  vim.bo[buf].bufhidden = 'wipe'
  return win
end

---@class polydraft.List
---@field fits polydraft.Fit[]
---@field offer polydraft.Offer
---@field place polydraft.Place
---@field inserting boolean whether Insert mode was left for the list
---@field buf? integer
---@field rows? integer[] where each draft's text begins

---@type polydraft.List? the one that is open
local opened

---@param list polydraft.List
---@param fit polydraft.Fit
local function insert(list, fit)
  local place, client = list.place, clients.of(list.place.buf)
  if vim.api.nvim_buf_get_changedtick(place.buf) ~= place.tick then
    vim.notify('polydraft: the text has changed since the drafts were made', vim.log.levels.WARN)
    return
  end
  local tail = offers.tail(list.offer, fit.draft)
  local column = accept.insert(place, fit.rest, tail, fit.outdent)
  if client then telling.accepted(client, fit.draft.id, place.buf) end
  if not list.inserting then return end
  vim.cmd.startinsert { bang = column >= #vim.api.nvim_get_current_line() }
end

---@param list polydraft.List
---@param row integer
---@return polydraft.Fit
local function fit_at(list, row)
  local chosen = 1
  for number, fit in ipairs(list.fits) do
    if row >= list.rows[number] - page.header_lines(fit.draft) then chosen = number end
  end
  return list.fits[chosen]
end

---@param list polydraft.List
local function show(list)
  local buf = vim.api.nvim_create_buf(false, true)
  list.buf = buf
  list.rows = page.write(buf, list.fits, list.offer.encoding)
  local home = vim.api.nvim_get_current_win()
  local win = open_window(buf, list.place)
  vim.api.nvim_win_set_cursor(win, { list.rows[1] + 1, 0 })
  local function close()
    if vim.api.nvim_win_is_valid(win) then vim.api.nvim_win_close(win, true) end
    vim.api.nvim_set_current_win(home)
    opened = nil
  end
  local function choose(fit)
    close()
    if fit then insert(list, fit) end
  end
  local function map(lhs, action)
    vim.keymap.set('n', lhs, action, { buffer = buf, nowait = true })
  end
  map('q', close)
  map('<Esc>', close)
  map('<CR>', function()
    choose(fit_at(list, vim.api.nvim_win_get_cursor(win)[1] - 1))
  end)
  for number = 1, 9 do
    map(tostring(number), function()
      choose(list.fits[number])
    end)
  end
  opened = list
end

---@param offer polydraft.Offer
---@param drafts polydraft.Draft[]
---@return polydraft.Fit[]
local function as_fits(offer, drafts)
  return vim.tbl_map(function(draft)
    return { draft = draft, rest = draft.text, outdent = offers.outdent(offer, draft) }
  end, drafts)
end

--- The large model has looked at the drafts that are listed.
---@param params { requestId: integer, drafts: polydraft.Draft[] }
function M.on_better_drafts(params)
  local list = opened
  if not list or list.offer.request ~= params.requestId then return end
  if not vim.api.nvim_buf_is_valid(list.buf) or #params.drafts == 0 then return end
  list.fits = as_fits(list.offer, params.drafts)
  list.rows = page.write(list.buf, list.fits, list.offer.encoding)
end

--- Ask for the drafts at the cursor and list them. In Normal mode that is before the character
--- under the cursor, but behind it if it is the line's last.
function M.open()
  local place, client = offers.here(), clients.required()
  if not client then return end
  local inserting = vim.api.nvim_get_mode().mode:sub(1, 1) == 'i'
  if not inserting then
    local last = #place.line - #(vim.fn.matchstr(place.line, '.$'))
    if place.col >= last then place.col = #place.line end
  end
  vim.cmd.stopinsert()
  local params = offers.params(place, client.offset_encoding, false)
  local asking ---@type integer?
  local _, request = client:request('polydraft/drafts', params, function(err, answer)
    local drafts = answer and answer.drafts or {}
    if err or #drafts == 0 then
      local why = err and err.message or require('polydraft.status').summary(place.buf)
      vim.notify('polydraft: no drafts here: ' .. why, vim.log.levels.WARN)
      return
    end
    if vim.api.nvim_get_current_buf() ~= place.buf then return end
    local offer = offers.new(place, drafts, client.offset_encoding, asking, true)
    show { fits = as_fits(offer, drafts), offer = offer, place = place, inserting = inserting }
  end, place.buf)
  asking = request
end

return M
