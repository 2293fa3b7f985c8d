-- An offer: drafts for one place, and what of them is left to take while the user types on.
--
-- It stands at the place where it was asked for (the anchor). What is between there and the cursor
-- was typed, or accepted in part; a draft still fits if it begins with that, and if nothing else
-- changed in the lines around.

local text = require('polydraft.text')

local M = {}

---@class polydraft.Intervention where static analysis changed a draft
---@field monitor string
---@field analyser string
---@field wanted string
---@field taken string

---@class polydraft.Draft as the server sends it
---@field id string
---@field text string
---@field range lsp.Range
---@field meanLogprob number
---@field tokenCount integer
---@field drafter string
---@field parts { origin: 'small'|'large', tokens: integer, ['end']: integer }[]
---@field checked boolean
---@field interventions polydraft.Intervention[]
---@field problems string[]

---@class polydraft.Place a cursor in a buffer; row and col from 0, col in bytes
---@field buf integer
---@field row integer
---@field col integer
---@field line string
---@field tick integer

---@class polydraft.Offer
---@field place polydraft.Place where the drafts begin
---@field encoding string
---@field drafts polydraft.Draft[]
---@field current? polydraft.Draft the one that the user looks at
---@field chosen boolean whether the user went to it
---@field request? integer
---@field complete boolean false while more drafts are to come
---@field taken table<string, integer> UTF-16 units accepted so far, by draft

---@class polydraft.Fit
---@field draft polydraft.Draft
---@field rest string what is not typed yet
---@field outdent integer bytes of indentation before the cursor that the draft takes back

--- The cursor of the current window.
---@return polydraft.Place
function M.here()
  local buf = vim.api.nvim_get_current_buf()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  local tick = vim.api.nvim_buf_get_changedtick(buf)
  return { buf = buf, row = row - 1, col = col, line = line, tick = tick }
end

---@param place polydraft.Place
---@param drafts polydraft.Draft[]
---@param encoding string
---@param request? integer
---@param complete boolean
---@return polydraft.Offer
function M.new(place, drafts, encoding, request, complete)
  return {
    place = place,
    drafts = drafts,
    encoding = encoding,
    chosen = false,
    request = request,
    complete = complete,
    taken = {},
  }
end

--- What `polydraft/drafts` is asked with for a place.
---@param place polydraft.Place
---@param encoding string
---@param automatic boolean whether typing caused it
---@return table
function M.params(place, encoding, automatic)
  local character = text.to_units(place.line, place.col, encoding)
  return {
    textDocument = vim.lsp.util.make_text_document_params(place.buf),
    position = { line = place.row, character = character },
    automatic = automatic,
  }
end

--- How many bytes behind the cursor a draft replaces.
---@param offer polydraft.Offer
---@param draft polydraft.Draft
---@return integer
function M.tail(offer, draft)
  local place, last = offer.place, draft.range['end']
  if last.line ~= place.row then return 0 end
  return math.max(0, text.to_bytes(place.line, last.character, offer.encoding) - place.col)
end

--- How many bytes of indentation before the cursor a draft takes back.
---@param offer polydraft.Offer
---@param draft polydraft.Draft
---@return integer
function M.outdent(offer, draft)
  local place, first = offer.place, draft.range.start
  if first.line ~= place.row then return 0 end
  return math.max(0, place.col - text.to_bytes(place.line, first.character, offer.encoding))
end

--- What was typed between the anchor and the cursor; nil if the text around has changed as well.
---@param offer polydraft.Offer
---@param here polydraft.Place
---@return string?
function M.typed(offer, here)
  local from = offer.place
  if here.buf ~= from.buf or here.row < from.row then return end
  local lines = vim.api.nvim_buf_get_lines(from.buf, from.row, here.row + 1, false)
  local before, behind = from.line:sub(1, from.col), from.line:sub(from.col + 1)
  if not vim.startswith(lines[1], before) or here.line:sub(here.col + 1) ~= behind then return end
  lines[#lines] = here.line:sub(1, here.col)
  if #lines[1] < from.col then return end -- the cursor went back
  lines[1] = lines[1]:sub(from.col + 1)
  return (table.concat(lines, '\n'):gsub('\r\n', '\n'))
end

--- The drafts that still fit and have something left.
---@param offer polydraft.Offer
---@param here polydraft.Place
---@return polydraft.Fit[]
function M.fitting(offer, here)
  local typed, fits = M.typed(offer, here), {}
  for _, draft in ipairs(typed and offer.drafts or {}) do
    local rest = text.rest(draft.text, typed --[[@as string]])
    local back = M.outdent(offer, draft)
    local elsewhere = back > 0 and typed ~= '' -- typed at another depth it is another line
    if rest and rest ~= '' and not elsewhere then
      fits[#fits + 1] = { draft = draft, rest = rest, outdent = back }
    end
  end
  return fits
end

--- The fitting draft that the user looks at, by its place in the list; the first if there is none.
---@param offer polydraft.Offer
---@param fits polydraft.Fit[]
---@return integer
function M.index(offer, fits)
  for index, fit in ipairs(fits) do
    if fit.draft == offer.current then return index end
  end
  return 1
end

--- Go on with the same draft in a newer offer: by its text if that is there, else by its id.
---@param offer polydraft.Offer the newer one
---@param seen polydraft.Fit
---@param here polydraft.Place
function M.keep_choice(offer, seen, here)
  local fits = M.fitting(offer, here)
  local function keep(is_same)
    local fit = vim.iter(fits):find(is_same)
    if not fit then return false end
    offer.current, offer.chosen = fit.draft, true
    return true
  end
  local function same_text(fit)
    return fit.rest == seen.rest
  end
  local function same_id(fit)
    return fit.draft.id == seen.draft.id
  end
  return keep(same_text) or keep(same_id)
end

return M
