-- All drafts of a place in a floating window: who wrote them, how sure the model is, and the choice.
--
-- The window's buffer holds the drafts' code alone, so that the file's own highlighting serves; what
-- is said of a draft is virtual text on an empty line above it.

local accept = require('polydraft.accept')
local client_of = require('polydraft.client').of
local offers = require('polydraft.offer')
local telling = require('polydraft.telling')
local text = require('polydraft.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('polydraft.list')

--- How sure the model is: the geometric mean of its tokens' probabilities, and its logarithm.
---@param draft polydraft.Draft
---@return string
function M.score(draft)
  local logprob = tonumber(draft.meanLogprob)
  if not logprob then return 'no score' end
  return ('%.0f %% per token (log %.2f), %d tokens'):format(
    100 * math.exp(logprob),
    logprob,
    draft.tokenCount
  )
end

--- Which model wrote how much, and whether the large one has judged it all.
---@param draft polydraft.Draft
---@return string?
function M.writers(draft)
  local tokens = { small = 0, large = 0 }
  for _, part in ipairs(draft.parts or {}) do
    tokens[part.origin] = tokens[part.origin] + part.tokens
  end
  if tokens.small + tokens.large == 0 then return end
  local checked = draft.checked and 'checked' or 'not checked'
  return ('small %d, large %d, %s'):format(tokens.small, tokens.large, checked)
end

---@param intervention table
---@return string
local function intervention_line(intervention)
  local of = ('%s (%s)'):format(intervention.monitor, intervention.analyser)
  return ('   %s: %s instead of %s'):format(of, intervention.taken, intervention.wanted)
end

---@param number integer
---@param draft polydraft.Draft
---@return [string, string][][] one list of chunks for each line
local function headers(number, draft)
  local facts = { draft.drafter, M.score(draft), M.writers(draft) }
  local lines = {
    {
      { ('%d  '):format(number), 'PolydraftTitle' },
      { table.concat(facts, ' · '), 'PolydraftNote' },
    },
  }
  for _, intervention in ipairs(draft.interventions or {}) do
    lines[#lines + 1] = { { intervention_line(intervention), 'PolydraftNote' } }
  end
  for _, problem in ipairs(draft.problems or {}) do
    lines[#lines + 1] = { { '   ' .. problem, 'PolydraftNote' } }
  end
  return lines
end

--- Underline what the large model wrote.
---@param buf integer
---@param row integer where the shown text begins
---@param fit polydraft.Fit
---@param encoding string
local function mark_large(buf, row, fit, encoding)
  local draft, from = fit.draft, 0
  local skipped = #draft.text - #fit.rest
  for _, part in ipairs(draft.parts or {}) do
    local to = text.to_bytes(draft.text, part['end'], encoding)
    if part.origin == 'large' and to > skipped then
      local before = fit.rest:sub(1, math.max(0, from - skipped))
      local upto = fit.rest:sub(1, to - skipped)
      local function point(shown)
        local lines = vim.split(shown, '\n')
        return row + #lines - 1, #lines[#lines]
      end
      local start_row, start_col = point(before)
      local end_row, end_col = point(upto)
      vim.api.nvim_buf_set_extmark(buf, namespace, start_row, start_col, {
        end_row = end_row,
        end_col = end_col,
        hl_group = 'PolydraftLarge',
      })
    end
    from = to
  end
end

---@param fits polydraft.Fit[]
---@param encoding string
---@return integer buf, integer[] rows the first row of each draft
local function fill(fits, encoding)
  local buf = vim.api.nvim_create_buf(false, true)
  local lines, heads, rows = {}, {}, {}
  for number, fit in ipairs(fits) do
    for _, chunks in ipairs(headers(number, fit.draft)) do
      heads[#lines] = chunks
      lines[#lines + 1] = ''
    end
    rows[number] = #lines
    vim.list_extend(lines, vim.split(fit.rest, '\n'))
  end
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  for row, chunks in pairs(heads) do
    local opts = { virt_text = chunks, virt_text_pos = 'overlay' }
    vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, opts)
  end
  for number, fit in ipairs(fits) do
    mark_large(buf, rows[number], fit, encoding)
  end
  return buf, rows
end

---@param buf integer
---@param filetype string
local function highlight(buf, filetype)
  local language = vim.treesitter.language.get_lang(filetype)
  if not language or not pcall(vim.treesitter.start, buf, language) then vim.bo[buf].syntax = filetype end
end

---@param buf integer
---@param place polydraft.Place
---@return integer
local function open_window(buf, place)
  local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
  local width = 56
  for _, line in ipairs(lines) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { details = true })) do
    local shown = vim.iter(mark[4].virt_text or {}):fold('', function(all, chunk)
      return all .. chunk[1]
    end)
    width = math.max(width, vim.fn.strdisplaywidth(shown))
  end
  local win = vim.api.nvim_open_win(buf, true, {
    relative = 'cursor',
    row = 1,
    col = 0,
    width = math.min(width, vim.o.columns - 4),
    height = math.min(#lines, math.max(3, vim.o.lines - 6)),
    style = 'minimal',
    border = 'rounded',
    title = ' polydraft ',
    footer = ' <CR> or number: insert · q: close ',
  })
  vim.wo[win].wrap = false
  vim.wo[win].cursorline = true
  highlight(buf, vim.bo[place.buf].filetype)
  vim.bo[buf].modifiable = false
  vim.bo[buf].bufhidden = 'wipe'
  return win
end

---@class polydraft.List
---@field fits polydraft.Fit[]
---@field offer polydraft.Offer
---@field place polydraft.Place
---@field inserting boolean whether Insert mode was left for the list

---@param list polydraft.List
---@param fit polydraft.Fit
local function insert(list, fit)
  local place, client = list.place, client_of(list.place.buf)
  if vim.api.nvim_buf_get_changedtick(place.buf) ~= place.tick then
    vim.notify('polydraft: the text has changed since the drafts were made', vim.log.levels.WARN)
    return
  end
  accept.insert(place, fit.rest, offers.tail(list.offer, fit.draft))
  if client then telling.accepted(client, fit.draft.id, place.buf) end
  if not list.inserting then return end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local at_end = col >= #vim.api.nvim_get_current_line() - 1
  vim.cmd.startinsert { bang = at_end }
  if not at_end then vim.api.nvim_win_set_cursor(0, { row, col }) end
end

---@param list polydraft.List
local function show(list)
  local buf, rows = fill(list.fits, list.offer.encoding)
  local home = vim.api.nvim_get_current_win()
  local win = open_window(buf, list.place)
  vim.api.nvim_win_set_cursor(win, { rows[1] + 1, 0 })
  local function close()
    if vim.api.nvim_win_is_valid(win) then vim.api.nvim_win_close(win, true) end
    vim.api.nvim_set_current_win(home)
  end
  local function map(lhs, action)
    vim.keymap.set('n', lhs, action, { buffer = buf, nowait = true })
  end
  map('q', close)
  map('<Esc>', close)
  map('<CR>', function()
    local row, number = vim.api.nvim_win_get_cursor(win)[1] - 1, 1
    for each, first in ipairs(rows) do
      if row >= first - #headers(each, list.fits[each].draft) then number = each end
    end
    close()
    insert(list, list.fits[number])
  end)
  for number, fit in ipairs(list.fits) do
    map(tostring(number), function()
      close()
      insert(list, fit)
    end)
  end
end

--- Ask for the drafts at the cursor and list them. In Normal mode on a line's last character that is
--- behind the line, else before the character under the cursor.
function M.open()
  local place, client = offers.here(), client_of()
  if not client then
    vim.notify('polydraft: no server for this buffer (:checkhealth polydraft)', vim.log.levels.WARN)
    return
  end
  local inserting = vim.api.nvim_get_mode().mode:sub(1, 1) == 'i'
  if not inserting then
    local last = #place.line - #(vim.fn.matchstr(place.line, '.$'))
    if place.col >= last then place.col = #place.line end
  end
  vim.cmd.stopinsert()
  local position = {
    line = place.row,
    character = text.to_units(place.line, place.col, client.offset_encoding),
  }
  local document = vim.lsp.util.make_text_document_params(place.buf)
  local params = { textDocument = document, position = position, automatic = false }
  client:request('polydraft/drafts', params, function(err, answer)
    local drafts = answer and answer.drafts or {}
    if err or #drafts == 0 then
      local why = err and err.message or require('polydraft.status').summary(place.buf)
      vim.notify('polydraft: no drafts here: ' .. why, vim.log.levels.WARN)
      return
    end
    if vim.api.nvim_get_current_buf() ~= place.buf then return end
    local offer = offers.new(place, drafts, client.offset_encoding, nil, true)
    local fits = vim.tbl_map(function(draft)
      return { draft = draft, rest = draft.text }
    end, drafts)
    show { fits = fits, offer = offer, place = place, inserting = inserting }
  end, place.buf)
end

return M
